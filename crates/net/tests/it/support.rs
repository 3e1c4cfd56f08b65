//! Servers of several temperaments, resolvers with a script, and short ways to call.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::Method;
use net::{Client, Limits, Overflow, Reach, Request, Resolver};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

/// Long enough for a machine under load; the tests that use it never reach it.
pub(crate) const AMPLE: Limits = Limits {
    connect: Duration::from_secs(20),
    total: Duration::from_secs(30),
    body_bytes_max: 1024,
    overflow: Overflow::Refuse,
};

/// For tests whose server never finishes its answer.
pub(crate) const SHORT: Limits =
    Limits { connect: Duration::from_millis(400), total: Duration::from_millis(500), ..AMPLE };

/// For tests that never get a connection.
pub(crate) const SHORT_CONNECT: Limits = Limits { connect: Duration::from_millis(100), ..AMPLE };

/// What a server does with each connection after it has read a request's head.
#[derive(Clone)]
pub(crate) enum Temper {
    /// Writes these bytes and closes.
    Says(Vec<u8>),
    /// Writes these bytes for every request that comes on the connection.
    Repeats(Vec<u8>),
    /// Writes these bytes and keeps the connection open without another word.
    SaysAndHangs(Vec<u8>),
    /// Writes these bytes, and then one more every few milliseconds for as long as anybody listens.
    SaysAndDrips(Vec<u8>),
    /// Accepts, reads and never says a word, whatever it is sent.
    Mute,
}

/// A server on a port of its own; it ends with the runtime of the test.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) async fn start(temper: Temper) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback is there");
        let address = listener.local_addr().expect("a bound listener has an address");
        let connections = Arc::new(AtomicUsize::new(0));
        let heads = Arc::new(Mutex::new(Vec::new()));
        let server = Server { address, connections: Arc::clone(&connections), heads: Arc::clone(&heads) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, temper.clone(), Arc::clone(&heads)));
            }
        });
        server
    }

    /// An address on this server by its IP address.
    pub(crate) fn url(&self, path: &str) -> Url {
        url(&format!("http://{}{path}", self.address))
    }

    /// An address on this server by a name.
    pub(crate) fn named(&self, name: &str) -> Url {
        url(&format!("http://{name}:{}/", self.address.port()))
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// The heads of the requests so far, in lower case.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("no test panicked while it held this").clone()
    }
}

/// Reads the head of a request, if one comes, and notes it.
async fn read_head(stream: &mut TcpStream, heads: &Mutex<Vec<String>>) -> Option<()> {
    let mut read = Vec::new();
    while !read.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer).await {
            Ok(count @ 1..) => read.extend_from_slice(&buffer[..count]),
            _ => return None,
        }
    }
    let head = String::from_utf8_lossy(&read).to_lowercase();
    heads.lock().expect("no test panicked while it held this").push(head);
    Some(())
}

async fn serve(mut stream: TcpStream, temper: Temper, heads: Arc<Mutex<Vec<String>>>) {
    if read_head(&mut stream, &heads).await.is_none() {
        return;
    }
    match temper {
        Temper::Says(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
        Temper::Repeats(bytes) => {
            while stream.write_all(&bytes).await.is_ok() && read_head(&mut stream, &heads).await.is_some() {}
        }
        Temper::SaysAndHangs(bytes) => {
            let _ = stream.write_all(&bytes).await;
            std::future::pending::<()>().await;
        }
        Temper::SaysAndDrips(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let mut drip = tokio::time::interval(Duration::from_millis(10));
            loop {
                drip.tick().await;
                if stream.write_all(b"a").await.is_err() {
                    return;
                }
            }
        }
        Temper::Mute => std::future::pending().await,
    }
}

/// An answer with this status line, these further header lines and this body, after which the server closes.
pub(crate) fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

/// Gives the scripted answers one after the other, the last one for ever, and counts the questions.
pub(crate) struct Script {
    answers: Vec<Result<Vec<IpAddr>, String>>,
    asked: AtomicUsize,
}

impl Script {
    pub(crate) fn new(answers: &[&[&str]]) -> Arc<Script> {
        let parse = |addresses: &&[&str]| Ok(addresses.iter().map(|text| ip(text)).collect());
        Arc::new(Script { answers: answers.iter().map(parse).collect(), asked: AtomicUsize::new(0) })
    }

    pub(crate) fn failing(reason: &str) -> Arc<Script> {
        Arc::new(Script { answers: vec![Err(reason.to_owned())], asked: AtomicUsize::new(0) })
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Resolver for Script {
    fn resolve(&self, _name: &str) -> BoxFuture<'static, Result<Vec<IpAddr>, String>> {
        let turn = self.asked.fetch_add(1, Ordering::SeqCst).min(self.answers.len() - 1);
        futures::future::ready(self.answers[turn].clone()).boxed()
    }
}

/// A client that calls loopback only.
pub(crate) fn loopback(limits: Limits) -> Client {
    Client::new(Reach::Loopback, limits).expect("valid limits")
}

/// Public addresses and these networks, the latter by plain http too.
pub(crate) fn networks(allowed: &[&str]) -> Reach {
    let allowed = allowed.iter().map(|text| text.parse().expect("a network")).collect();
    Reach::Networks { allowed, plain_http: true }
}

pub(crate) fn get(url: Url) -> Request {
    Request { method: Method::GET, url, headers: Vec::new(), body: Bytes::new() }
}

pub(crate) fn url(text: &str) -> Url {
    text.parse().expect("an address")
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().expect("an IP address")
}
