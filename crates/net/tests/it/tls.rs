//! Whom the client trusts.
//!
//! `tls/authority.pem` signed `tls/shop.pem` for the name `shop.test`; its key was thrown away. The key of
//! `shop.test` protects nothing but this test.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use net::{Client, Policy, Reach, SendError, SetupError};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};

use crate::support::{AMPLE, Script, answer, get, url};

const AUTHORITY: &[u8] = include_bytes!("tls/authority.pem");
const SHOP: &[u8] = include_bytes!("tls/shop.pem");
const SHOP_KEY: &[u8] = include_bytes!("tls/shop.key.pem");

/// HEADERS with ":status: 200" (0x88 in the static table of HPACK) and DATA that ends the stream.
const SEALED: &[u8] = b"\0\0\x01\x01\x04\0\0\0\x01\x88\0\0\x06\0\x01\0\0\0\x01sealed";

/// GOAWAY for a protocol error before the first request, with a text for debugging that the other side chose.
const GO_AWAY: &[u8] = b"\0\0\x0e\x07\0\0\0\0\0\0\0\0\0\0\0\0\x01c4n4ry";

/// A TLS server that speaks `protocol` (an ALPN name) and answers one request on one connection.
///
/// In HTTP/2 the answer is `last_frames`.
fn serve_once(protocol: &'static str, last_frames: &'static [u8]) -> SocketAddr {
    let certificate = CertificateDer::from_pem_slice(SHOP).expect("the certificate beside this file");
    let key = PrivateKeyDer::from_pem_slice(SHOP_KEY).expect("the key beside this file");
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring knows TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("the key belongs to the certificate");
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
    let address = listener.local_addr().expect("a bound listener has an address");
    thread::spawn(move || {
        let (mut socket, _) = listener.accept()?;
        socket.set_read_timeout(Some(Duration::from_secs(20)))?;
        let mut connection = ServerConnection::new(Arc::new(config)).map_err(io::Error::other)?;
        let mut stream = Stream::new(&mut connection, &mut socket);
        // A client that does not trust us ends the handshake, and then there is nobody to answer.
        match protocol {
            "h2" => answer_http2(&mut stream, last_frames)?,
            _ => {
                let _ = stream.read(&mut [0; 4096])?;
                stream.write_all(&answer("200 OK", "", b"sealed"))?;
            }
        }
        connection.send_close_notify();
        connection.complete_io(&mut socket)
    });
    address
}

/// As little of HTTP/2 as one request needs (RFC 9113): frames are length, type, flags, stream and payload.
fn answer_http2(stream: &mut (impl Read + Write), last_frames: &[u8]) -> io::Result<()> {
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const SETTINGS_SEEN: [u8; 9] = [0, 0, 0, 4, 1, 0, 0, 0, 0];
    const TYPE_HEADERS: u8 = 1;
    let mut preface = [0; 24];
    stream.read_exact(&mut preface)?;
    assert!(preface.starts_with(b"PRI * HTTP/2.0"));
    stream.write_all(&[SETTINGS, SETTINGS_SEEN].concat())?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let length = usize::from(head[1]) * 256 + usize::from(head[2]);
        stream.read_exact(&mut vec![0; length])?;
        if head[3] == TYPE_HEADERS {
            return stream.write_all(last_frames);
        }
    }
}

fn client(extra_roots_pem: &[u8]) -> Client {
    let policy = Policy { extra_roots_pem: extra_roots_pem.to_vec(), ..Policy::from(Reach::Loopback) };
    Client::with_resolver(policy, AMPLE, Script::new(&[&["127.0.0.1"]])).expect("a good certificate")
}

#[tokio::test]
async fn a_certificate_of_a_listed_authority_is_trusted() {
    for protocol in ["http/1.1", "h2"] {
        let port = serve_once(protocol, SEALED).port();
        let response = client(AUTHORITY).send(get(url(&format!("https://shop.test:{port}/")))).await.unwrap();
        assert_eq!((response.status, &response.body[..]), (200, &b"sealed"[..]), "{protocol}");
    }
}

#[tokio::test]
async fn unknown_authorities_and_wrong_names_are_tls_errors() {
    for (roots, name) in [(&b""[..], "shop.test"), (AUTHORITY, "other.test"), (AUTHORITY, "127.0.0.1")] {
        let port = serve_once("http/1.1", SEALED).port();
        let error = client(roots).send(get(url(&format!("https://{name}:{port}/")))).await.expect_err("untrusted");
        assert!(matches!(error, SendError::Tls { .. }), "{name}: {error}");
        assert!(error.to_string().contains("certificate"), "{error}");
        assert!(!error.may_have_arrived());
    }
}

#[tokio::test]
async fn what_the_other_side_says_when_it_hangs_up_is_not_repeated() {
    let port = serve_once("h2", GO_AWAY).port();
    let error = client(AUTHORITY).send(get(url(&format!("https://shop.test:{port}/")))).await.expect_err("gone");
    assert!(matches!(error, SendError::Protocol { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains("c4n4ry"), "{error}");
}

#[test]
fn roots_that_are_no_certificates_are_refused() {
    let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for roots in [b"not PEM".as_slice(), SHOP_KEY, broken] {
        let policy = Policy { extra_roots_pem: roots.to_vec(), ..Policy::from(Reach::Public) };
        assert!(matches!(Client::new(policy, AMPLE).err(), Some(SetupError::Roots(_))));
    }
}
