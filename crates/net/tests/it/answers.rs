//! Answers of well-behaved servers, and how much of them is kept.

use std::process::Command;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use net::{Limits, Overflow, Request, SendError};

use crate::support::{AMPLE, Server, Temper, answer, get, loopback};

#[tokio::test]
async fn a_request_and_its_answer_go_through_unchanged() {
    let body = b"{\"ok\":true}";
    let server = Server::start(Temper::Says(answer("201 Created", "x-two: a\r\nx-two: b\r\n", body))).await;
    let request = Request {
        method: Method::POST,
        url: server.url("/v1/things?page=2#part"),
        headers: vec![
            (HeaderName::from_static("x-one"), HeaderValue::from_static("1")),
            (HeaderName::from_static("x-one"), HeaderValue::from_static("2")),
        ],
        body: Bytes::from_static(b"hello"),
    };
    let response = loopback(AMPLE).send(request).await.unwrap();
    assert_eq!(response.status, 201);
    assert_eq!(&response.body[..], body);
    assert!(!response.truncated);
    assert_eq!(response.peer, Some(server.address));
    assert_eq!(response.headers.get_all("x-two").iter().count(), 2);
    let head = server.heads().remove(0);
    assert!(head.starts_with("post /v1/things?page=2 http/1.1\r\n"), "{head}");
    for line in ["x-one: 1\r\n", "x-one: 2\r\n", "content-length: 5\r\n", "user-agent: keywright/"] {
        assert!(head.contains(line), "{line:?} in {head}");
    }
    assert!(!head.contains("accept-encoding"), "{head}");
}

#[tokio::test]
async fn every_status_is_an_answer() {
    for status in ["204 No Content", "400 Bad Request", "410 Gone", "429 Too Many Requests", "503 Busy"] {
        let server = Server::start(Temper::Says(answer(status, "retry-after: 7\r\n", b""))).await;
        let response = loopback(AMPLE).send(get(server.url("/"))).await.unwrap();
        assert_eq!(response.status.to_string(), status[..3]);
        assert_eq!(response.headers["retry-after"], "7");
    }
}

#[tokio::test]
async fn a_redirect_is_returned_and_not_followed() {
    let elsewhere = Server::start(Temper::Says(answer("200 OK", "", b"inside"))).await;
    // The loopback target comes first, so that a client that follows is caught before it leaves the machine.
    for target in [elsewhere.url("/").to_string(), "http://169.254.169.254/latest/meta-data/".to_owned()] {
        for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
            let location = format!("location: {target}\r\n");
            let server = Server::start(Temper::Says(answer(status, &location, b""))).await;
            let response = loopback(AMPLE).send(get(server.url("/"))).await.unwrap();
            assert_eq!(response.status.to_string(), status[..3]);
            assert_eq!(response.headers["location"], target);
            assert_eq!((server.connections(), elsewhere.connections()), (1, 0));
        }
    }
}

/// An answer of unknown length: it ends when the connection ends.
fn unannounced(bytes: usize) -> Vec<u8> {
    [b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), &vec![b'a'; bytes]].concat()
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_or_cut() {
    let keep = Limits { overflow: Overflow::Truncate, ..AMPLE };
    let big = 1024 * 1024;
    for bytes in [answer("200 OK", "", &vec![b'a'; big]), unannounced(big)] {
        let server = Server::start(Temper::Says(bytes)).await;
        let error = loopback(AMPLE).send(get(server.url("/"))).await.expect_err("too large");
        assert!(matches!(error, SendError::BodyTooLarge { status: 200, limit: 1024, .. }), "{error}");
        assert!(error.may_have_arrived());
        let response = loopback(keep).send(get(server.url("/"))).await.unwrap();
        assert_eq!((response.status, response.body.len(), response.truncated), (200, 1024, true));
    }
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_whole() {
    let keep = Limits { overflow: Overflow::Truncate, ..AMPLE };
    for limits in [AMPLE, keep] {
        let server = Server::start(Temper::Says(answer("200 OK", "", &[b'a'; 1024]))).await;
        let response = loopback(limits).send(get(server.url("/"))).await.unwrap();
        assert_eq!((response.body.len(), response.truncated), (1024, false));
    }
    let server = Server::start(Temper::Says(unannounced(1024))).await;
    let response = loopback(AMPLE).send(get(server.url("/"))).await.unwrap();
    assert_eq!((response.body.len(), response.truncated), (1024, false));
    let nothing = Limits { body_bytes_max: 0, ..keep };
    let server = Server::start(Temper::Says(answer("200 OK", "", b"abc"))).await;
    let response = loopback(nothing).send(get(server.url("/"))).await.unwrap();
    assert_eq!((response.body.len(), response.truncated), (0, true));
}

#[tokio::test]
async fn the_beginning_of_an_endless_answer_is_enough_for_a_delivery() {
    let keep = Limits { overflow: Overflow::Truncate, ..AMPLE };
    let server = Server::start(Temper::SaysAndHangs(unannounced(1024))).await;
    let response = loopback(keep).send(get(server.url("/"))).await.unwrap();
    assert_eq!((response.body.len(), response.truncated), (1024, true));
}

#[tokio::test]
async fn connections_are_reused() {
    let ok = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec();
    let server = Server::start(Temper::Repeats(ok)).await;
    let client = loopback(AMPLE);
    for _ in 0..5 {
        assert_eq!(client.clone().send(get(server.url("/"))).await.unwrap().status, 200);
    }
    assert_eq!((server.connections(), server.heads().len()), (1, 5));
}

/// Runs a test of this file again with proxies in the environment that nobody listens on.
#[test]
fn proxies_of_the_environment_are_ignored() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "answers::every_status_is_an_answer"]);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env(name, "http://127.0.0.1:1").env(name.to_lowercase(), "http://127.0.0.1:1");
    }
    command.env_remove("NO_PROXY").env_remove("no_proxy");
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
