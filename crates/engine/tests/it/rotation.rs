//! Master keys that do not fit, and those that come after them.

use crypto::{ring::KeyRing, seal::Place, token::ApiKeyKind};
use domain::id::ApiKeyId;
use engine::{
    Engine,
    alerts::open_target,
    api_keys::Scope,
    idempotency::{Answer, Call, Claim},
    members::NewMember,
    rotation::RotationError,
    runtime::{ActivationKind, AppCall},
    testing::TestProvider,
};
use secrecy::ExposeSecret;
use store::rows::Member;

use crate::{
    harness::{Harness, SHOP, on_both_databases, ring, with_new_key},
    identity::{set_up, signed_in},
};

/// Keys for three pages.
const KEYS: u32 = 600;

on_both_databases!(
    only_a_ring_that_fits_may_start,
    a_ring_that_lost_its_new_key_may_not_start,
    everything_is_sealed_anew_even_after_a_crash,
    what_does_not_open_is_told_and_left,
    nodes_that_know_each_others_keys_find_everything,
);

async fn only_a_ring_that_fits_may_start(harness: Harness) {
    harness.engine.check_ring().await.unwrap();
    harness.engine.check_ring().await.unwrap();
    let refused = harness.another_node(ring(2)).check_ring().await.unwrap_err();
    let missing = harness.ring.get().ids().next().unwrap().to_string();
    assert!(matches!(&refused, RotationError::MissingKeys { missing: id, .. } if *id == missing), "{refused}");
    // Without the canary, what is sealed speaks for itself.
    harness.apply(SHOP).await;
    harness.issue("pro", "ada@example.com", 1).await;
    harness.database.sql("DELETE FROM settings").await;
    let refused = harness.another_node(ring(2)).check_ring().await.unwrap_err();
    assert!(matches!(&refused, RotationError::MissingKeys { .. }), "{refused}");
    harness.engine.check_ring().await.unwrap();
    harness.database.sql("UPDATE settings SET value = replace(value, 'sealed\":\"01', 'sealed\":\"02')").await;
    let refused = harness.engine.check_ring().await.unwrap_err();
    assert!(matches!(&refused, RotationError::Canary(_)), "{refused}");
}

async fn a_ring_that_lost_its_new_key_may_not_start(harness: Harness) {
    harness.engine.check_ring().await.unwrap();
    let both = with_new_key(&harness.ring.get(), 1);
    harness.another_node(KeyRing::parse(&both.to_text()).unwrap()).check_ring().await.unwrap();
    let refused = harness.engine.check_ring().await.unwrap_err();
    assert!(matches!(&refused, RotationError::MissingKeys { .. }), "{refused}");
    harness.ring.set(both);
    harness.engine.check_ring().await.unwrap();
}

/// Whatever is sealed, and what it says.
struct Sealed {
    keys: Vec<String>,
    call: Call,
    answer: Answer,
    kid: String,
}

impl Sealed {
    async fn make(harness: &Harness) -> Self {
        let engine = &harness.engine;
        engine.check_ring().await.unwrap();
        harness.apply(SHOP).await;
        harness
            .apply(r#"connection = [{ code = "stripe", provider = "stripe", mode = "test", webhook_secrets = ["env:A"] }]"#)
            .await;
        harness
            .apply(r#"webhook_endpoint = [{ code = "crm", url = "https://crm.example/", headers = { X-A = "b" } }]"#)
            .await;
        harness.database.sql("UPDATE webhook_endpoints SET status = 'paused'").await;
        harness.apply(r#"alert = [{ code = "team", kind = "mail", to = "ops@acme.test" }]"#).await;
        let new =
            NewMember { email: "ada@acme.test".to_owned(), name: String::new(), password: "correct horse".into() };
        let member = engine.create_owner(harness.tenant, &new).await.unwrap();
        let member = engine.store.member(member).await.unwrap().unwrap();
        let authenticator = Some(engine.new_authenticator(&member).unwrap().sealed);
        let write = engine.store.begin().await.unwrap();
        write.save_member(Member { authenticator, ..member }).await.unwrap();
        write.commit().await.unwrap();
        set_up(harness, &signed_in(harness, "ada@acme.test").await, &[]).await;
        let issued = harness.issue("pro", "ada@example.com", KEYS).await;
        let keys = issued.licenses.iter().map(|license| license.key.reveal().to_owned()).collect();
        let (caller, _) =
            engine.create_api_key(harness.tenant, "ci", ApiKeyKind::Live, &[Scope::Issue], "cli").await.unwrap();
        let call =
            Call { tenant: harness.tenant, caller: ApiKeyId(caller.id), key: "once".to_owned(), fingerprint: [1; 32] };
        let Claim::Run(id) = engine.claim(&call).await.unwrap() else { panic!("it is new") };
        let answer =
            Answer { status: 201, content_type: "application/json".to_owned(), body: "{\"key\":\"K\"}".to_owned() };
        engine.finish(harness.tenant, id, Some(&answer)).await.unwrap();
        let kid = engine.signer(harness.tenant).await.unwrap().public().kid().to_owned();
        Self { keys, call, answer, kid }
    }

    /// Everything is found and opens, with this node's ring.
    async fn opens(&self, harness: &Harness, node: &Engine) {
        for key in self.keys.iter().step_by(97) {
            let call = AppCall {
                key: key.clone(),
                product: None,
                device: None,
                device_name: None,
                kind: ActivationKind::Device,
                ..AppCall::default()
            };
            let answer = node.check(&call).await.unwrap();
            assert!(answer.verdict.code.is_valid(), "{:?}", answer.verdict);
        }
        assert_eq!(node.claim(&self.call).await.unwrap(), Claim::Answered(self.answer.clone()));
        assert_eq!(node.signer(harness.tenant).await.unwrap().public().kid(), self.kid);
        let connections = node.connections().await.unwrap();
        let stripe = connections.iter().find(|connection| connection.code == "stripe").unwrap();
        assert_eq!(stripe.webhook_secrets[0].expose_secret(), "secret-env:A");
        assert_eq!(node.webhook_header_names(&harness.endpoint("crm").await).unwrap(), ["X-A"]);
        let channels = node.store.alert_channels(harness.tenant).await.unwrap();
        assert_eq!(open_target(&channels[0], &node.ring()).unwrap().to, "ops@acme.test");
        let member = node.store.members().await.unwrap().remove(0);
        let url = node.authenticator_url(&member, member.authenticator.as_deref().unwrap()).unwrap();
        assert!(url.contains("ada%40acme.test"), "{}", url.as_str());
        let provider = node.store.identity_provider(harness.tenant).await.unwrap().unwrap();
        let place = Place::identity_provider(harness.tenant, provider.id);
        assert_eq!(*node.ring().open(place, &provider.sealed).unwrap(), TestProvider::CLIENT.1.as_bytes());
    }
}

async fn everything_is_sealed_anew_even_after_a_crash(harness: Harness) {
    let sealed = Sealed::make(&harness).await;
    let old = harness.ring.get();
    let both = with_new_key(&old, 1);
    let node = || harness.another_node(KeyRing::parse(&both.to_text()).unwrap());

    // It stops after the first page of license keys.
    let stopped = node().reseal_while(&mut |done| done.license_keys == 0).await.unwrap();
    assert_eq!((stopped.license_keys, stopped.connections, stopped.signing_keys), (256, 1, 1));
    assert_eq!((stopped.webhook_endpoints, stopped.alert_channels, stopped.authenticators), (1, 1, 1));
    assert_eq!(stopped.identity_providers, 1);
    assert!(!stopped.is_finished);
    assert_eq!(node().seals().await.unwrap().len(), 2, "both keys are in use");
    sealed.opens(&harness, &node()).await;
    let refused = harness.engine.check_ring().await.unwrap_err();
    assert!(matches!(&refused, RotationError::MissingKeys { .. }), "the old ring alone does not open all: {refused}");

    let mut pages = Vec::new();
    let finished = node()
        .reseal_while(&mut |done| {
            pages.push(done.license_keys);
            true
        })
        .await
        .unwrap();
    assert_eq!((finished.license_keys, finished.answers, finished.connections), (u64::from(KEYS) - 256, 1, 0));
    assert!(finished.is_finished, "{finished}");
    assert_eq!(pages, [256, 344, 344]);
    let again = node().reseal().await.unwrap();
    assert_eq!((again.license_keys, again.is_finished), (0, true));

    let alone =
        harness.another_node(KeyRing::parse(&both.to_text()).unwrap().without(old.ids().next().unwrap()).unwrap());
    alone.check_ring().await.unwrap();
    sealed.opens(&harness, &alone).await;
    assert_eq!(alone.verify().await.unwrap(), []);
    let refused = harness.engine.check_ring().await.unwrap_err();
    assert!(matches!(&refused, RotationError::MissingKeys { .. }), "{refused}");
}

async fn what_does_not_open_is_told_and_left(harness: Harness) {
    let sealed = Sealed::make(&harness).await;
    let old = harness.ring.get();
    // The seal of one key stands in the row of another.
    let swap = "UPDATE license_keys SET sealed = (SELECT other.sealed FROM license_keys other ORDER BY other.id LIMIT 1) \
         WHERE id = (SELECT last.id FROM license_keys last ORDER BY last.id DESC LIMIT 1)";
    assert_eq!(harness.database.sql(swap).await, 1);
    let node = harness.another_node(with_new_key(&old, 1));
    for _ in 0..2 {
        let error = node.reseal().await.unwrap_err();
        assert!(matches!(&error, RotationError::Unopened { count: 1, .. }), "{error}");
    }
    assert_eq!(node.seals().await.unwrap()[&old.ids().next().unwrap().to_string()], 1);
    let findings = node.verify().await.unwrap();
    assert_eq!(findings.len(), 1, "{findings:?}");
    // The old key is still needed, and a ring without it is refused.
    let new = with_new_key(&old, 1).without(old.ids().next().unwrap()).unwrap();
    assert!(harness.another_node(new).check_ring().await.is_err());
    let call = AppCall {
        key: sealed.keys[0].clone(),
        product: None,
        device: None,
        device_name: None,
        kind: ActivationKind::Device,
        ..AppCall::default()
    };
    assert!(node.check(&call).await.unwrap().verdict.code.is_valid());
}

/// The two steps that several nodes take: every ring has the new key before any ring seals with it.
async fn nodes_that_know_each_others_keys_find_everything(harness: Harness) {
    harness.engine.check_ring().await.unwrap();
    harness.apply(SHOP).await;
    let new_first = with_new_key(&harness.ring.get(), 1);
    // First the new key stands behind the old one.
    let text = new_first.to_text();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    harness.ring.set(KeyRing::parse(&[lines[1], lines[0]].join("\n")).unwrap());
    harness.engine.check_ring().await.unwrap();
    let moved = harness.another_node(new_first);
    moved.check_ring().await.unwrap();
    let by_old = harness.issue("pro", "ada@example.com", 1).await.licenses.remove(0).key;
    moved.reseal().await.unwrap();
    let by_old_again = harness.issue("pro", "ada@example.com", 1).await.licenses.remove(0).key;
    for node in [&harness.engine, &moved] {
        for key in [&by_old, &by_old_again] {
            let call = AppCall {
                key: key.reveal().to_owned(),
                product: None,
                device: None,
                device_name: None,
                kind: ActivationKind::Device,
                ..AppCall::default()
            };
            assert!(node.check(&call).await.unwrap().verdict.code.is_valid());
        }
    }
    // A node that was late sealed with the old key: reseal finds it.
    assert_eq!(moved.reseal().await.unwrap().license_keys, 1);
    assert_eq!(moved.seals().await.unwrap().len(), 1);
}
