//! A provider that answers one look-up: the lines of a checkout.

use std::net::SocketAddr;

use axum::{Router, extract::Path, http::header, routing::get};

/// Serves in this process; returns its address.
pub(crate) async fn serve() -> anyhow::Result<SocketAddr> {
    let routes = Router::new().route("/v1/checkout/sessions/{id}/line_items", get(lines));
    let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(address)
}

async fn lines(Path(id): Path<String>) -> ([(header::HeaderName, &'static str); 1], String) {
    let line = format!(
        "{{\"object\":\"list\",\"has_more\":false,\"data\":[{{\"id\":\"li_{id}\",\"object\":\"item\",\"quantity\":1,\
         \"description\":\"Bench Pro\",\"price\":{{\"id\":\"price_bench\",\"object\":\"price\",\"type\":\"one_time\",\
         \"recurring\":null,\"product\":\"prod_bench\"}}}}]}}"
    );
    ([(header::CONTENT_TYPE, "application/json")], line)
}
