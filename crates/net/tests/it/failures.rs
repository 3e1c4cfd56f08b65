//! Servers that are dead, slow or talk nonsense, and the kinds of error that come of it.

use std::time::Duration;

use futures::future::join_all;
use net::{Client, Limits, Overflow, Reach, SendError, SetupError, Stage};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::support::{AMPLE, SHORT, SHORT_CONNECT, Server, Temper, get, loopback, url};

async fn failure(limits: Limits, temper: Temper) -> SendError {
    let server = Server::start(temper).await;
    loopback(limits).send(get(server.url("/"))).await.expect_err("no complete answer")
}

/// What a call was waiting for when its time ran out.
fn stage(error: &SendError) -> Stage {
    match error {
        SendError::Timeout { stage, .. } => *stage,
        other => panic!("no timeout: {other}"),
    }
}

#[tokio::test]
async fn nobody_listening_is_a_connect_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = loopback(AMPLE).send(get(url(&format!("http://{address}/")))).await.expect_err("refused");
    assert!(matches!(error, SendError::Connect { .. }), "{error}");
    assert_eq!(error.to_string(), format!("no connection to {address}: connection refused"));
    assert!(!error.may_have_arrived());
}

#[tokio::test]
async fn a_server_that_never_answers_is_cut() {
    let error = failure(SHORT, Temper::Mute).await;
    assert_eq!(stage(&error), Stage::Answer);
    assert!(error.may_have_arrived());
}

#[tokio::test]
async fn headers_that_drip_are_cut() {
    let error = failure(SHORT, Temper::SaysAndDrips(b"HTTP/1.1 200 OK\r\nx-long: ".to_vec())).await;
    assert_eq!(stage(&error), Stage::Answer);
}

#[tokio::test]
async fn a_body_that_hangs_or_drips_is_cut() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nbegin".to_vec();
    let keep = Limits { overflow: Overflow::Truncate, ..SHORT };
    let tempers = [Temper::SaysAndHangs(head.clone()), Temper::SaysAndDrips(head)];
    let cases = tempers.iter().flat_map(|temper| [(SHORT, temper.clone()), (keep, temper.clone())]);
    for error in join_all(cases.map(|(limits, temper)| failure(limits, temper))).await {
        assert_eq!(stage(&error), Stage::Body { status: 200 });
        assert!(error.may_have_arrived());
    }
}

#[tokio::test]
async fn a_tls_handshake_that_hangs_counts_as_connecting() {
    let server = Server::start(Temper::Mute).await;
    let address = url(&format!("https://{}/", server.address));
    let error = loopback(SHORT_CONNECT).send(get(address)).await.expect_err("no handshake");
    assert_eq!(stage(&error), Stage::Connect);
    assert!(!error.may_have_arrived());
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_a_protocol_error() {
    for bytes in [
        b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nbegin".as_slice(),
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"",
    ] {
        let error = failure(AMPLE, Temper::Says(bytes.to_vec())).await;
        assert!(matches!(error, SendError::Protocol { .. }), "{error}");
        assert!(error.may_have_arrived(), "{error}");
    }
}

#[tokio::test]
async fn plain_text_on_a_tls_port_is_a_tls_error() {
    // A ClientHello holds no empty line to wait for, so this server speaks first.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        std::future::pending::<()>().await;
    });
    let error = loopback(AMPLE).send(get(url(&format!("https://{address}/")))).await.expect_err("not TLS");
    assert!(matches!(error, SendError::Tls { .. }), "{error}");
    assert!(!error.may_have_arrived());
}

#[test]
fn limits_that_contradict_each_other_are_refused() {
    for connect in [Duration::ZERO, AMPLE.total] {
        let result = Client::new(Reach::Public, Limits { connect, ..AMPLE });
        assert!(matches!(result.err(), Some(SetupError::Limits(_))));
    }
}
