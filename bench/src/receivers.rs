//! Receivers of webhooks: good ones, which note when what arrived, and bad ones of several kinds.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::post};
use tokio::{io::AsyncWriteExt, net::TcpListener};

/// What arrived at one receiver: the number of the buyer, and when it came first.
pub(crate) type Arrived = Arc<Mutex<HashMap<usize, Instant>>>;

/// A receiver that takes what it gets.
pub(crate) struct Good {
    pub(crate) address: SocketAddr,
    arrived: Arrived,
}

impl Good {
    pub(crate) async fn serve() -> anyhow::Result<Self> {
        let arrived = Arrived::default();
        let routes = Router::new().route("/hooks", post(take)).with_state(Arc::clone(&arrived));
        Ok(Self { address: listen(routes).await?, arrived })
    }

    /// How many have arrived, each counted once.
    pub(crate) fn count(&self) -> usize {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(crate) fn arrived(&self) -> HashMap<usize, Instant> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn take(State(arrived): State<Arrived>, body: Bytes) {
    let now = Instant::now();
    if let Some(number) = buyer(&body) {
        arrived.lock().unwrap_or_else(PoisonError::into_inner).entry(number).or_insert(now);
    }
}

/// The number in `buyer17@example.com`.
fn buyer(body: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(body).ok()?;
    let (_, rest) = text.split_once("\"buyer")?;
    rest.split_once('@')?.0.parse().ok()
}

/// Receivers that never take anything, a quarter of each kind: nobody listens, they hang, they say no, they drip.
pub(crate) async fn bad(count: usize) -> anyhow::Result<Vec<SocketAddr>> {
    let mut addresses = Vec::with_capacity(count);
    for number in 0..count {
        addresses.push(match number % 4 {
            0 => TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?.local_addr()?,
            1 => hanging().await?,
            2 => listen(Router::new().route("/hooks", post(|| async { StatusCode::INTERNAL_SERVER_ERROR }))).await?,
            _ => dripping().await?,
        });
    }
    Ok(addresses)
}

async fn listen(routes: Router) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(address)
}

async fn hanging() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(60)).await;
                drop(stream);
            });
        }
    });
    Ok(address)
}

async fn dripping() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n").await?;
                for _ in 0..1_000 {
                    stream.write_all(b".").await?;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                std::io::Result::Ok(())
            });
        }
    });
    Ok(address)
}
