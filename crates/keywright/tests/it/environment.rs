//! Stripe by environment variables alone.

use std::net::SocketAddr;

use providers::signature;

use crate::process::{Installation, ask, now};

fn stripe(key: &str, secret: &str) -> Vec<(&'static str, String)> {
    vec![("STRIPE_SECRET_KEY", key.to_owned()), ("STRIPE_WEBHOOK_SECRET", secret.to_owned())]
}

/// The status of an event that is signed with this.
fn status(installation: &Installation, secret: &str) -> String {
    let body = r#"{"id":"evt_1","object":"event","type":"ping","livemode":false,"data":{"object":{}}}"#;
    let signed = signature::sign(&secret.into(), body.as_bytes(), now());
    let address: SocketAddr = installation.address().trim_start_matches("http://").parse().unwrap();
    let request = format!(
        "POST /webhooks/stripe HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\nstripe-signature: {signed}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    ask(address, &request).unwrap().split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn the_documents_variables_make_a_connection() {
    let mut installation = Installation::with(stripe("sk_test_1", "whsec_first"));
    installation.serve();
    assert!(installation.log().contains("created   connection `stripe-test`"), "{}", installation.log());
    assert_eq!(
        (status(&installation, "whsec_first").as_str(), status(&installation, "whsec_other").as_str()),
        ("200", "400")
    );
    installation.serve();
    assert!(installation.log().contains("unchanged connection `stripe-test`"), "{}", installation.log());
    installation.environment = stripe("sk_test_1", "whsec_other");
    installation.serve();
    assert!(installation.log().contains("changed   connection `stripe-test`"), "{}", installation.log());
    assert_eq!(
        (status(&installation, "whsec_first").as_str(), status(&installation, "whsec_other").as_str()),
        ("400", "200")
    );
    for secret in ["whsec_", "sk_test_"] {
        assert!(!installation.log().contains(secret), "{}", installation.log());
    }
    installation.verify();
}

#[test]
fn a_missing_partner_is_named_and_a_wrong_key_is_refused() {
    let mut installation = Installation::with(stripe("rk_live_1", ""));
    installation.serve();
    assert!(installation.log().contains("STRIPE_WEBHOOK_SECRET is not set"), "{}", installation.log());
    let refused = Installation::with(stripe("pk_live_1", "whsec_1")).run(&["serve", "--listen", "127.0.0.1:0"]);
    assert!(!refused.status.success());
    assert!(refused.stderr.contains("STRIPE_SECRET_KEY is a publishable key"), "{}", refused.stderr);
}

#[test]
fn a_platform_says_whether_it_sells_itself_and_its_own_connection_has_the_new_key() {
    let platform = |key: &str, secret: &str| {
        let connect = ("STRIPE_CONNECT_WEBHOOK_SECRET", "whsec_connect".to_owned());
        stripe(key, secret).into_iter().chain([connect]).collect::<Vec<_>>()
    };
    let mut installation = Installation::with(platform("sk_test_1", ""));
    installation.serve();
    let log = installation.log();
    assert!(log.contains("created   connection `stripe-connect-test`") && !log.contains("`stripe-test`"), "{log}");
    assert!(log.contains("STRIPE_WEBHOOK_SECRET is not set: connected accounts sell"), "{log}");

    installation.environment = platform("sk_test_1", "whsec_own");
    installation.serve();
    assert!(installation.log().contains("created   connection `stripe-test`"), "{}", installation.log());

    // The secret is kept, and need not be said again.
    installation.environment = platform("sk_test_2", "");
    installation.serve();
    let log = installation.log();
    for changed in ["changed   connection `stripe-connect-test`", "changed   connection `stripe-test`"] {
        assert!(log.contains(changed), "{log}");
    }
    assert!(!log.contains("is not set"), "{log}");
    assert_eq!(status(&installation, "whsec_own"), "200");
    installation.verify();
}
