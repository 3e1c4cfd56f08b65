//! Calls that nobody believes: they are refused, and a person hears of it (D32).

use std::sync::Arc;

use engine::{Engine, receive::Received, testing::RefusingDialler};
use jiff::SignedDuration;
use providers::{Delivery, signature};

use crate::harness::{Harness, on_both_databases};

on_both_databases!(a_secret_that_was_changed_at_the_provider_alone_is_told_until_a_call_is_believed);

const SHOP: &str = r#"
    connection = [
        { code = "shop", provider = "stripe", mode = "live", level = "none", webhook_secrets = ["env:live"] },
        { code = "shop-test", provider = "stripe", mode = "test", level = "none", webhook_secrets = ["env:test"] },
    ]
"#;

/// Delivers something that says nothing, signed with a secret so many seconds ago. None: without a signature.
async fn call(engine: &Engine, secret: Option<&str>, age_seconds: i64) -> u16 {
    deliver(engine, "default", secret, age_seconds).await.expect("an answer")
}

async fn deliver(engine: &Engine, tenant: &str, secret: Option<&str>, age_seconds: i64) -> Option<u16> {
    let body = br#"{"id":"evt_1","object":"event","type":"ping","created":1,"data":{"object":{}}}"#;
    let at = engine.now() - SignedDuration::from_secs(age_seconds);
    let signed = secret.map(|secret| signature::sign(&format!("secret-env:{secret}").into(), body, at));
    let header = |name: &str| signed.as_deref().filter(|_| name == "stripe-signature");
    let delivery = Delivery { header: &header, body };
    let received = match tenant {
        "" => engine.receive_for_accounts("stripe", &delivery).await,
        _ => engine.receive("stripe", tenant, &delivery).await,
    };
    match received {
        Received::Answer(answer) => Some(answer.status),
        Received::Unknown => None,
        Received::Unavailable(problem) => panic!("{problem}"),
    }
}

/// What a person reads.
async fn told(harness: &Harness) -> Vec<String> {
    let items = harness.engine.store.attention(harness.tenant, 100).await.unwrap();
    let mut told: Vec<String> = items.into_iter().map(|item| format!("{}: {}", item.kind, item.detail)).collect();
    told.sort();
    told
}

async fn one_connection(harness: &Harness) {
    harness.apply(&SHOP.lines().filter(|line| !line.contains("shop-test")).collect::<String>()).await;
}

async fn a_secret_that_was_changed_at_the_provider_alone_is_told_until_a_call_is_believed(harness: Harness) {
    one_connection(&harness).await;
    let engine = &harness.engine;
    assert_eq!(call(engine, Some("live"), 0).await, 200);
    for count in 1..=2 {
        assert_eq!((call(engine, Some("new"), 0).await, told(&harness).await), (400, vec![]), "{count} in a row");
    }
    harness.clock.advance(SignedDuration::from_mins(90));
    assert_eq!(call(engine, Some("new"), 0).await, 400);
    let item = "signatures_failing: webhook calls for shop are refused, 3 in a row since 2026-11-01 00:00 UTC, so nothing that is \
        paid there becomes a license; the last one because the signature matches none of the configured secrets; compare the \
        signing secret that Stripe shows for its webhook endpoint with that of shop, and add it to `webhook_secrets`, then have \
        Stripe send again what was refused; if Stripe has sent nothing, it was a stranger, and nothing is lost";
    assert_eq!(told(&harness).await, [item]);
    for _ in 0..100 {
        call(engine, Some("new"), 0).await;
    }
    assert_eq!(told(&harness).await, [item], "a hundred more write nothing");
    harness.clock.advance(SignedDuration::from_mins(10));
    call(engine, None, 0).await;
    let [later] = &told(&harness).await[..] else { panic!("one item") };
    assert!(later.contains("104 in a row since") && later.contains("the signature header is missing"), "{later}");
    // The new secret beside the old one.
    harness.apply(&SHOP.replace(r#"["env:live"]"#, r#"["env:live", "env:new"]"#)).await;
    assert_eq!((call(engine, Some("new"), 0).await, told(&harness).await), (200, vec![]));
    harness.clock.advance(SignedDuration::from_mins(10));
    for _ in 0..3 {
        call(engine, Some("newer"), 0).await;
    }
    assert_eq!(told(&harness).await.len(), 2, "and again; now either of two connections may be meant");
}

#[tokio::test]
async fn what_was_dismissed_is_told_again_once_it_had_ended() {
    let harness = Harness::sqlite().await;
    one_connection(&harness).await;
    let three = async |secret| {
        harness.clock.advance(SignedDuration::from_mins(11));
        for _ in 0..3 {
            call(&harness.engine, Some(secret), 0).await;
        }
        told(&harness).await.len()
    };
    assert_eq!(three("new").await, 1);
    harness.database.sql("UPDATE attention_items SET dismissed_at = 1").await;
    assert_eq!(three("new").await, 0, "it was dismissed");
    assert_eq!(three("live").await, 0);
    assert_eq!(three("new").await, 1);
}

#[tokio::test]
async fn connections_that_share_an_address_are_told_apart_by_what_they_believe() {
    let harness = Harness::sqlite().await;
    harness.apply(SHOP).await;
    let engine = &harness.engine;
    for _ in 0..3 {
        call(engine, Some("new"), 0).await;
    }
    let both = told(&harness).await;
    assert!(both.len() == 2 && both[0].contains("for shop (or for shop-test) are"), "{both:?}");
    assert!(both[1].contains("for shop-test (or for shop) are"), "{both:?}");
    assert_eq!(call(engine, Some("test"), 0).await, 200);
    let left = told(&harness).await;
    assert!(left.len() == 1 && left[0].contains("for shop (or"), "the one that believes calls is out of it: {left:?}");
}

#[tokio::test]
async fn a_signature_that_was_right_once_says_whose_it_is() {
    let harness = Harness::sqlite().await;
    harness.apply(SHOP).await;
    for _ in 0..3 {
        assert_eq!(call(&harness.engine, Some("test"), 301).await, 400);
    }
    let [item] = &told(&harness).await[..] else { panic!("one item") };
    assert!(
        item.contains("for shop-test are") && item.contains("is 301 seconds old") && item.contains("clock"),
        "{item}"
    );
}

#[tokio::test]
async fn a_connection_without_a_secret_and_a_platform_are_told_of_too() {
    let harness = Harness::sqlite().await;
    harness.apply(&SHOP.replace(r#", webhook_secrets = ["env:live"]"#, "").replace("shop-test", "other")).await;
    harness
        .apply(
            r#"connection = [{ code = "all", provider = "stripe", mode = "live", level = "none", platform = true,
        webhook_secrets = ["env:platform"] }]"#,
        )
        .await;
    for _ in 0..3 {
        deliver(&harness.engine, "", Some("new"), 0).await;
    }
    let [item] = &told(&harness).await[..] else { panic!("one item") };
    assert!(item.contains("for all are"), "the operator's platform: {item}");
    for _ in 0..3 {
        call(&harness.engine, Some("new"), 0).await;
    }
    let shop = told(&harness).await.into_iter().find(|item| item.contains("for shop (or for other")).unwrap();
    assert!(shop.contains("because no signing secret is configured") && shop.contains("give shop the"), "{shop}");
}

#[tokio::test]
async fn what_no_call_is_for_is_not_told() {
    let harness = Harness::sqlite().await;
    one_connection(&harness).await;
    for _ in 0..5 {
        assert_eq!(deliver(&harness.engine, "nobody", Some("new"), 0).await, None);
        let delivery = Delivery { header: &|_| None, body: b"{}" };
        harness.engine.receive("manual", "default", &delivery).await;
    }
    assert_eq!(told(&harness).await, [""; 0]);
}

#[tokio::test]
async fn another_process_closes_what_one_has_opened() {
    let harness = Harness::sqlite().await;
    one_connection(&harness).await;
    let peer = harness.peer(Arc::new(RefusingDialler));
    for _ in 0..3 {
        call(&harness.engine, Some("new"), 0).await;
    }
    assert_eq!(told(&harness).await.len(), 1);
    assert_eq!((call(&peer, Some("live"), 0).await, told(&harness).await), (200, vec![]));
}
