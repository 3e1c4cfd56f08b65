//! Names: what they resolve to is checked, and what was checked is dialled.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt;
use futures::future::BoxFuture;
use net::{Client, Reach, Refusal, Resolver, SendError, Special, Stage};
use tokio::sync::Notify;

use crate::support::{AMPLE, SHORT_CONNECT, Script, Server, Temper, answer, get, ip, networks, url};

/// An ordinary address to the guard, and yet nobody's: it belonged to the 6bone, which ended in 2006 (RFC 3701).
/// So even a broken guard calls no stranger.
const NOWHERE: &str = "3ffe::1";

fn fine() -> Temper {
    Temper::Says(answer("200 OK", "", b"fine"))
}

/// The kind of address that `client` objected to.
async fn refused(client: &Client, address: url::Url) -> Special {
    match client.send(get(address)).await.expect_err("refused") {
        SendError::Refused { refusal: Refusal::Address { special, .. }, .. } => special,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn the_address_that_was_checked_is_dialled() {
    let server = Server::start(fine()).await;
    let script = Script::new(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let client = Client::with_resolver(networks(&["127.0.0.1"]), AMPLE, script.clone()).unwrap();
    let response = client.send(get(server.named("rebind.test"))).await.unwrap();
    assert_eq!(response.peer, Some(server.address));
    assert_eq!(script.asked(), 1, "the name is resolved once, not once to check and once to dial");
    assert_eq!(refused(&client, server.named("rebind.test")).await, Special::Loopback);
    assert_eq!(script.asked(), 2);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_name_that_was_fine_when_saved_is_checked_again_when_called() {
    let server = Server::start(fine()).await;
    let script = Script::new(&[&[NOWHERE], &["127.0.0.1"]]);
    let client = Client::with_resolver(networks(&["10.0.0.0/8"]), AMPLE, script).unwrap();
    let address = url(&format!("https://rebind.test:{}/", server.address.port()));
    assert_eq!(client.examine(&address).await, Ok(()));
    assert_eq!(refused(&client, address).await, Special::Loopback);
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn one_forbidden_address_among_several_forbids_all() {
    let server = Server::start(fine()).await;
    // 127.0.0.1 is permitted here and somebody listens there, so a guard with a hole would get an answer.
    let mixtures: [(&[&str], Special); 6] = [
        (&["127.0.0.1", "::1"], Special::Loopback),
        (&["::1", "127.0.0.1"], Special::Loopback),
        (&["127.0.0.1", "10.0.0.1"], Special::Private),
        (&["127.0.0.1", NOWHERE, "fd00:ec2::254"], Special::Metadata),
        (&["127.0.0.1", "::ffff:127.0.0.1"], Special::Mapped),
        (&["127.0.0.1", "127.0.0.1", "127.0.0.2"], Special::Loopback),
    ];
    for (answers, kind) in mixtures {
        let script = Script::new(&[answers]);
        let client = Client::with_resolver(networks(&["127.0.0.1"]), AMPLE, script).unwrap();
        // https, because NOWHERE may not be called by plain http.
        let address = url(&format!("https://mixed.test:{}/", server.address.port()));
        assert_eq!(refused(&client, address).await, kind, "{answers:?}");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn names_that_lead_inside_are_refused_with_the_name_and_the_address() {
    let client = Client::with_resolver(Reach::Public, AMPLE, Script::new(&[&["169.254.169.254"]])).unwrap();
    let address = url("https://169.254.169.254.nip.test:8443/latest?token=1");
    assert_eq!(client.check(&address), Ok(()), "a name says nothing before it is resolved");
    let saving = client.examine(&address).await.expect_err("refused");
    let sending = client.send(get(address)).await.expect_err("refused");
    let refusal = Refusal::Address { address: ip("169.254.169.254"), special: Special::Metadata };
    assert_eq!(sending, SendError::Refused { host: "169.254.169.254.nip.test:8443".into(), refusal: refusal.clone() });
    assert!(matches!(saving, SendError::Refused { refusal: seen, .. } if seen == refusal));
}

#[tokio::test]
async fn plain_http_to_a_name_reaches_listed_networks_only() {
    let script = Script::new(&[&[NOWHERE]]);
    let client = Client::with_resolver(networks(&["127.0.0.0/8"]), AMPLE, script).unwrap();
    let error = client.send(get(url("http://public.test/"))).await.expect_err("refused");
    assert!(matches!(error, SendError::Refused { refusal: Refusal::PlainHttp, .. }), "{error}");
}

#[tokio::test]
async fn a_name_without_an_answer_is_a_dns_error() {
    for script in [Script::failing("no such host"), Script::new(&[&[]])] {
        let client = Client::with_resolver(Reach::Public, AMPLE, script).unwrap();
        let error = client.send(get(url("https://gone.test/"))).await.expect_err("no address");
        assert!(matches!(error, SendError::Dns { .. }), "{error}");
        assert_eq!((error.kind(), error.may_have_arrived()), ("dns", false));
        assert!(matches!(client.examine(&url("https://gone.test/")).await, Err(SendError::Dns { .. })));
    }
}

#[tokio::test]
async fn the_system_resolves_localhost() {
    let server = Server::start(fine()).await;
    let client = Client::new(Reach::Loopback, AMPLE).unwrap();
    let response = client.send(get(server.named("localhost"))).await.unwrap();
    assert_eq!(&response.body[..], b"fine");
    let public = Client::new(Reach::Public, AMPLE).unwrap();
    assert_eq!(refused(&public, url("https://localhost/")).await, Special::Loopback);
}

/// Answers when it is told to, and counts the questions.
#[derive(Default)]
struct Slow {
    asked: AtomicUsize,
    go: Arc<Notify>,
}

impl Resolver for Slow {
    fn resolve(&self, _name: &str) -> BoxFuture<'static, Result<Vec<IpAddr>, String>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let go = Arc::clone(&self.go);
        async move {
            go.notified().await;
            Ok(vec![ip("127.0.0.1")])
        }
        .boxed()
    }
}

#[tokio::test]
async fn a_dead_name_server_costs_one_look_up_per_name() {
    let slow = Arc::new(Slow::default());
    let client = Client::with_resolver(Reach::Loopback, SHORT_CONNECT, slow.clone()).unwrap();
    let calls = (0..20).map(|_| client.send(get(url("http://dead.test/"))));
    for result in futures::future::join_all(calls).await {
        let error = result.expect_err("nobody answers");
        assert!(matches!(error, SendError::Timeout { stage: Stage::Connect, .. }), "{error}");
        assert!(!error.may_have_arrived());
    }
    let examined = client.examine(&url("http://dead.test/")).await;
    assert!(matches!(examined, Err(SendError::Timeout { stage: Stage::Connect, .. })));
    assert_eq!(slow.asked.load(Ordering::SeqCst), 1);
    // Once it has answered, the next call asks again: nothing is cached.
    slow.go.notify_one();
    while slow.asked.load(Ordering::SeqCst) == 1 {
        let _ = client.examine(&url("http://dead.test/")).await;
    }
}
