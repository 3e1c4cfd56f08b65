//! No error and no `Debug` shows what may be a secret.

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Method};
use net::{Client, Limits, Reach, Request, SendError};

use crate::support::{AMPLE, SHORT, Script, Server, Temper, answer, loopback, url};

const CANARY: &str = "c4n4ry";

/// A request with the canary in every place that may hold a secret.
fn secret(address: &str) -> Request {
    Request {
        method: Method::POST,
        url: url(&format!("{address}/services/{CANARY}?token={CANARY}#{CANARY}")),
        headers: vec![(AUTHORIZATION, HeaderValue::from_static(CANARY))],
        body: Bytes::from_static(CANARY.as_bytes()),
    }
}

async fn error(client: &Client, request: Request) -> SendError {
    client.send(request).await.expect_err("these servers never answer well")
}

#[tokio::test]
async fn errors_name_the_host_and_nothing_else() {
    let mute = Server::start(Temper::Mute).await;
    let echo = format!("HTTP/1.1 200 {CANARY}\r\n{CANARY}: {CANARY}\r\ncontent-length: 99\r\n\r\n{CANARY}");
    let broken = Server::start(Temper::Says(echo.into_bytes())).await;
    let nonsense = Server::start(Temper::Says(CANARY.as_bytes().to_vec())).await;
    let large = Server::start(Temper::Says(answer("200 OK", "", &[b'a'; 4096]))).await;
    let http = |server: &Server| format!("http://{}", server.address);
    let failing = Script::failing("no such host");
    let dead = Client::with_resolver(Reach::Public, AMPLE, failing).unwrap();
    let inside = Client::with_resolver(Reach::Public, AMPLE, Script::new(&[&["10.0.0.1"]])).unwrap();
    let errors = [
        error(&loopback(SHORT), secret(&http(&mute))).await,
        error(&loopback(AMPLE), secret(&http(&broken))).await,
        error(&loopback(AMPLE), secret(&http(&nonsense))).await,
        error(&loopback(AMPLE), secret(&http(&large))).await,
        error(&loopback(AMPLE), secret("http://127.0.0.1:1")).await,
        error(&loopback(SHORT), secret(&format!("https://{}", mute.address))).await,
        error(&dead, secret("https://gone.test")).await,
        error(&inside, secret("https://inside.test")).await,
        error(&inside, secret("ftp://inside.test")).await,
        error(&inside, secret(&format!("https://{CANARY}:{CANARY}@inside.test"))).await,
    ];
    for error in errors {
        let text = format!("{error} {error:?}");
        assert!(!text.contains(CANARY), "{text}");
        assert!(text.contains("127.0.0.1:") || text.contains(".test"), "{text}");
    }
}

#[tokio::test]
async fn requests_and_answers_do_not_print_their_contents() {
    let headers = format!("x-secret: {CANARY}\r\n");
    let server = Server::start(Temper::Says(answer("200 OK", &headers, CANARY.as_bytes()))).await;
    let request = secret(&format!("http://{}", server.address));
    let shown = format!("{request:?}");
    assert!(!shown.contains(CANARY) && shown.contains("authorization"), "{shown}");
    let limits = Limits { body_bytes_max: 64, ..AMPLE };
    let response = loopback(limits).send(request).await.unwrap();
    let shown = format!("{response:?}");
    assert!(!shown.contains(CANARY) && shown.contains("x-secret"), "{shown}");
}
