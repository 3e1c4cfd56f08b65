//! Addresses as people write them: schemes, ports, odd notations. Nothing here opens a connection.

use futures::FutureExt;
use net::{Client, Policy, Ports, Reach, Refusal, SendError, Special, check_header};
use tokio::net::TcpListener;
use url::Url;

use crate::support::{AMPLE, get, ip, networks, url};

/// 127.0.0.1 and its neighbours in the notations that browsers understand. `PORT` is replaced by an open port.
const NOTATIONS: &[&str] = &[
    "https://127.0.0.1:PORT/",
    "https://127.1:PORT/",
    "https://127.0.1:PORT/",
    "https://0x7f.1:PORT/",
    "https://0x7f000001:PORT/",
    "https://0x7F.0.0.0x1:PORT/",
    "https://0177.0.0.1:PORT/",
    "https://0177.1:PORT/",
    "https://017700000001:PORT/",
    "https://2130706433:PORT/",
    "https://127.0.0.1.:PORT/",
    "https://127.000.000.001:PORT/",
    "https://127。0。0。1:PORT/",
    "https://①②⑦.⓪.⓪.①:PORT/",
    "https://127.0.0.1:PORT/",
    "https://%31%32%37.0.0.1:PORT/",
    "https://[::1]:PORT/",
    "https://[0:0:0:0:0:0:0:1]:PORT/",
    "https://[::127.0.0.1]:PORT/",
    "https://[::ffff:127.0.0.1]:PORT/",
    "https://[::ffff:7f00:1]:PORT/",
    "https://[::ffff:0:127.0.0.1]:PORT/",
    "https://[64:ff9b::127.0.0.1]:PORT/",
    "https://[64:ff9b:1::7f00:1]:PORT/",
    "https://[2002:7f00:1::]:PORT/",
    "https://[2606:4700::5efe:7f00:1]:PORT/",
    "https://0:PORT/",
    "https://0.0.0.0:PORT/",
    "https://[::]:PORT/",
    "https://169.254.169.254/latest/meta-data/",
    "https://0xa9fea9fe/",
    "https://2852039166/",
    "https://[fd00:ec2::254]/latest/meta-data/",
    "https://10.0.0.1/",
    "https://0300.0250.1/",
];

#[tokio::test]
async fn forbidden_notations_open_no_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let client = Client::new(Reach::Public, AMPLE).unwrap();
    for notation in NOTATIONS {
        let address = url(&notation.replace("PORT", &port));
        assert!(matches!(client.check(&address), Err(Refusal::Address { .. })), "{notation}");
        let error = client.send(get(address)).await.expect_err(notation);
        assert!(matches!(error, SendError::Refused { refusal: Refusal::Address { .. }, .. }), "{notation}: {error}");
        assert!(!error.may_have_arrived(), "{notation}");
    }
    assert!(listener.accept().now_or_never().is_none(), "somebody connected");
}

#[test]
fn names_pass_the_check_of_the_literal_and_numbers_are_never_names() {
    let client = Client::new(Reach::Public, AMPLE).unwrap();
    for name in ["https://example.com/", "https://bücher.example/", "https://localhost/", "https://a.1x/"] {
        assert_eq!(client.check(&url(name)), Ok(()), "{name}");
    }
    for nonsense in ["https://1.2.3.4.5/", "https://a.1/", "https://0x100000000/", "https://[fe80::1%25eth0]/"] {
        assert!(Url::parse(nonsense).is_err(), "{nonsense}");
    }
}

#[test]
fn plain_http_is_for_loopback_clients_and_listed_networks() {
    let public = Client::new(Reach::Public, AMPLE).unwrap();
    assert_eq!(public.check(&url("http://example.com/")), Err(Refusal::PlainHttp));
    let listed = Client::new(networks(&["10.0.0.0/8"]), AMPLE).unwrap();
    assert_eq!(listed.check(&url("http://10.0.0.1/")), Ok(()));
    assert_eq!(listed.check(&url("http://8.8.8.8/")), Err(Refusal::PlainHttp));
    let Reach::Networks { allowed, .. } = networks(&["10.0.0.0/8"]) else { unreachable!() };
    let https_only = Client::new(Reach::Networks { allowed, plain_http: false }, AMPLE).unwrap();
    assert_eq!(https_only.check(&url("http://10.0.0.1/")), Err(Refusal::PlainHttp));
    assert_eq!(https_only.check(&url("https://10.0.0.1/")), Ok(()));
}

#[test]
fn a_loopback_client_calls_nothing_else() {
    let client = Client::new(Reach::Loopback, AMPLE).unwrap();
    for open in ["http://127.0.0.1:8080/", "https://127.9.9.9/", "http://[::1]/"] {
        assert_eq!(client.check(&url(open)), Ok(()), "{open}");
    }
    for closed in ["http://8.8.8.8/", "https://10.0.0.1/", "http://[::ffff:127.0.0.1]/", "http://0.0.0.0/"] {
        assert!(matches!(client.check(&url(closed)), Err(Refusal::NotLoopback { .. })), "{closed}");
    }
}

#[test]
fn other_schemes_credentials_and_ports_are_refused() {
    let client = Client::new(Reach::Public, AMPLE).unwrap();
    for scheme in ["ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "data:,x", "ws://example.com"] {
        assert!(matches!(client.check(&url(scheme)), Err(Refusal::Scheme { .. })), "{scheme}");
    }
    for credentials in ["https://user@example.com/", "https://user:word@example.com/", "https://:word@example.com/"] {
        assert_eq!(client.check(&url(credentials)), Err(Refusal::UserInfo), "{credentials}");
    }
    assert_eq!(client.check(&url("https://example.com:0/")), Err(Refusal::Port { port: 0 }));
    let ports = Policy { ports: Ports::Only(vec![0, 443, 8443]), ..Policy::from(Reach::Public) };
    let client = Client::new(ports, AMPLE).unwrap();
    assert_eq!(client.check(&url("https://example.com/")), Ok(()));
    assert_eq!(client.check(&url("https://example.com:8443/")), Ok(()));
    assert_eq!(client.check(&url("https://example.com:0/")), Err(Refusal::Port { port: 0 }));
    assert_eq!(client.check(&url("https://example.com:22/")), Err(Refusal::Port { port: 22 }));
}

#[tokio::test]
async fn headers_of_the_connection_are_refused() {
    let client = Client::new(Reach::Loopback, AMPLE).unwrap();
    for name in ["Host", "content-length", "Transfer-Encoding", "connection", "proxy-authorization"] {
        let name: http::HeaderName = name.parse().unwrap();
        assert_eq!(check_header(&name), Err(Refusal::Header { name: name.clone() }));
        let mut request = get(url("http://127.0.0.1:1/"));
        request.headers.push((name, "x".parse().unwrap()));
        let error = client.send(request).await.expect_err("refused before it connects");
        assert!(matches!(error, SendError::Refused { refusal: Refusal::Header { .. }, .. }), "{error}");
    }
    for name in ["authorization", "webhook-id", "content-type", "user-agent"] {
        assert_eq!(check_header(&name.parse().unwrap()), Ok(()));
    }
}

#[test]
fn refusals_say_what_to_do() {
    let private = Refusal::Address { address: ip("10.0.0.5"), special: Special::Private };
    assert_eq!(
        private.to_string(),
        "10.0.0.5 is a private address, which is called only if its network is on the list of allowed networks"
    );
    let metadata = Refusal::Address { address: ip("169.254.169.254"), special: Special::Metadata };
    assert_eq!(
        metadata.to_string(),
        "169.254.169.254 is the address of a cloud's metadata service, which is never called"
    );
}
