//! A load generator that costs little: raw HTTP/1.1 on kept connections, one request in flight on each.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

/// What a burst of load came to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Load {
    /// Calls that were answered with 200.
    pub(crate) answered: usize,
    /// How long it took, in seconds.
    pub(crate) seconds: f64,
    /// How long each call took.
    pub(crate) latencies: Vec<Duration>,
}

impl Load {
    pub(crate) fn per_second(&self) -> f64 {
        self.answered as f64 / self.seconds
    }

    /// The latency that this share of calls did not exceed.
    pub(crate) fn percentile(&self, share: f64) -> Duration {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let place = ((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1));
        sorted.get(place).copied().unwrap_or_default()
    }
}

/// A request as bytes.
pub(crate) fn post(path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut request = format!("POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    [request.as_bytes(), body].concat()
}

/// How hard to press.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pressure {
    /// Connections at the same time.
    pub(crate) connections: usize,
    /// Stop after this long.
    pub(crate) seconds: u64,
    /// Stop after that many calls, however long it takes.
    pub(crate) calls_max: usize,
    /// Calls per second; none: as many as go.
    pub(crate) rate: Option<f64>,
}

/// Sends requests, the next one of `request` by its number, until the pressure ends.
pub(crate) async fn press<F>(address: SocketAddr, pressure: Pressure, request: F) -> anyhow::Result<Load>
where
    F: Fn(usize) -> Arc<Vec<u8>> + Send + Sync + 'static,
{
    let (next, request) = (Arc::new(AtomicUsize::new(0)), Arc::new(request));
    let begun = Instant::now();
    let mut connections = JoinSet::new();
    for _ in 0..pressure.connections {
        let (next, request) = (Arc::clone(&next), Arc::clone(&request));
        connections.spawn(connection(address, pressure, begun, next, request));
    }
    let mut load = Load::default();
    while let Some(done) = connections.join_next().await {
        let latencies = done??;
        load.answered += latencies.len();
        load.latencies.extend(latencies);
    }
    load.seconds = begun.elapsed().as_secs_f64();
    Ok(load)
}

async fn connection<F>(
    address: SocketAddr,
    pressure: Pressure,
    begun: Instant,
    next: Arc<AtomicUsize>,
    request: Arc<F>,
) -> anyhow::Result<Vec<Duration>>
where
    F: Fn(usize) -> Arc<Vec<u8>>,
{
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut buffer, mut latencies) = (Vec::with_capacity(16 * 1024), Vec::new());
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= pressure.calls_max || begun.elapsed().as_secs() >= pressure.seconds {
            return Ok(latencies);
        }
        // With a rate, a call counts from when it was due: a server that stalls is charged for those that queue up.
        let due = pressure.rate.map(|rate| begun + Duration::from_secs_f64(number as f64 / rate));
        if let Some(due) = due {
            tokio::time::sleep_until(due.into()).await;
        }
        let sent = due.unwrap_or_else(Instant::now);
        stream.write_all(&request(number)).await?;
        answer(&mut stream, &mut buffer).await.with_context(|| format!("call {number}"))?;
        latencies.push(sent.elapsed());
    }
}

/// Reads one answer, which has to be 200.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> anyhow::Result<()> {
    buffer.clear();
    while body(buffer)?.is_none() {
        if stream.read_buf(buffer).await? == 0 {
            bail!("the server closed the connection");
        }
    }
    if !buffer.starts_with(b"HTTP/1.1 200") {
        bail!("{}", String::from_utf8_lossy(buffer));
    }
    Ok(())
}

/// The body of an answer, once all of it is there.
pub(crate) fn body(buffer: &[u8]) -> anyhow::Result<Option<&[u8]>> {
    let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = str::from_utf8(&buffer[..end])?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let length = length.context("the answer has no length")?;
    Ok(buffer.get(end + 4..end + 4 + length))
}
