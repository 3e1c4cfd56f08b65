//! The yardstick: a bare axum handler that reads a body and answers a short JSON. It runs as a process of its own, like
//! the server that is measured.

use std::net::SocketAddr;

use axum::{Router, body::Bytes, routing::post};

/// Serves until the process ends; the address is printed first.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let routes =
        Router::new().route("/echo", post(|body: Bytes| async move { format!("{{\"bytes\":{}}}", body.len()) }));
    let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    println!("{}", listener.local_addr()?);
    axum::serve(listener, routes).await?;
    Ok(())
}
