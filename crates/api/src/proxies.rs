//! Whose call it is that a proxy hands on. Limits that count by address would otherwise count the proxy, and one stranger would
//! use up what everybody has.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    Router,
    extract::{ConnectInfo, Request, State},
    http::HeaderMap,
    middleware::{Next, from_fn_with_state},
    response::Response,
};

/// Where a proxy writes who called it, behind what stood there. `Forwarded` is not read: a proxy that writes one of the two hands
/// the other one on as the caller sent it.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// Whether a proxy that is trusted has this address.
pub type IsProxy = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// Routes that see the address of whoever called a trusted proxy in place of the proxy's own.
pub fn behind_proxies(routes: Router, is_proxy: IsProxy) -> Router {
    routes.layer(from_fn_with_state(is_proxy, see_through))
}

async fn see_through(State(is_proxy): State<IsProxy>, mut request: Request, next: Next) -> Response {
    if let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>() {
        let address = caller(peer.ip(), request.headers(), &*is_proxy);
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(address, 0)));
    }
    next.run(request).await
}

/// The nearest address that is no trusted proxy's. Each hop was written by the one on its right, so only what a trusted proxy
/// wrote counts; what is further to the left anybody can make up.
fn caller(peer: IpAddr, headers: &HeaderMap, is_proxy: &dyn Fn(IpAddr) -> bool) -> IpAddr {
    let lines: Vec<_> = headers.get_all(FORWARDED_FOR).iter().collect();
    let hops = lines.into_iter().rev().flat_map(|line| line.to_str().unwrap_or_default().rsplit(','));
    let mut nearest = peer.to_canonical();
    for hop in hops {
        let Some(address) = read(hop.trim()).filter(|_| is_proxy(nearest)) else { break };
        nearest = address;
    }
    nearest
}

/// An address as proxies write it, some of them with its port.
fn read(hop: &str) -> Option<IpAddr> {
    let without_brackets = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    let with_port = || hop.parse().map(|address: SocketAddr| address.ip());
    without_brackets.parse().or_else(|_| with_port()).ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_nearest_address_that_is_no_trusted_proxys_counts() {
        let is_proxy = |address: IpAddr| address.to_string().starts_with("10.") || address.to_string() == "fd00::1";
        for (peer, lines, expected) in [
            ("192.0.2.1", &["198.51.100.7"][..], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
            ("::ffff:10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
            ("fd00::1", &["2001:db8::7"], "2001:db8::7"),
            ("10.0.0.1", &["::ffff:198.51.100.7"], "198.51.100.7"),
            // What stands before it was sent by the caller.
            ("10.0.0.1", &["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["203.0.113.9", "198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["10.0.0.9, 198.51.100.7"], "198.51.100.7"),
            // One trusted proxy behind another.
            ("10.0.0.1", &["203.0.113.9,198.51.100.7 ,10.0.0.2"], "198.51.100.7"),
            ("10.0.0.1", &["198.51.100.7", "10.0.0.2, 10.0.0.3"], "198.51.100.7"),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            // With a port, as some write it.
            ("10.0.0.1", &["198.51.100.7:4711"], "198.51.100.7"),
            ("10.0.0.1", &["[2001:db8::7]:4711"], "2001:db8::7"),
            ("10.0.0.1", &["[2001:db8::7]"], "2001:db8::7"),
            // What is no address ends it.
            ("10.0.0.1", &["198.51.100.7, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.7, unknown, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["198.51.100.7,"], "10.0.0.1"),
            ("10.0.0.1", &[""], "10.0.0.1"),
        ] {
            let line = |line: &&str| (FORWARDED_FOR.parse().unwrap(), HeaderValue::from_str(line).unwrap());
            let mut headers = HeaderMap::new();
            lines
                .iter()
                .map(line)
                .for_each(|(name, value): (axum::http::HeaderName, _)| _ = headers.append(name, value));
            headers.append("forwarded", HeaderValue::from_static("for=203.0.113.66"));
            assert_eq!(caller(peer.parse().unwrap(), &headers, &is_proxy).to_string(), expected, "{peer} {lines:?}");
        }
    }
}
