//! Keys to the API.

use std::time::Duration;

use crypto::token::ApiKeyKind;
use domain::id::ApiKeyId;
use engine::{
    api_keys::{ApiKeyError, OVERLAP_HOURS_MAX, Recognised, Scope},
    rulings::By,
};
use jiff::SignedDuration;

use crate::harness::{Harness, on_both_databases};

on_both_databases!(
    made_recognised_revoked,
    a_name_is_unique_until_it_is_revoked,
    its_use_is_noted_once_a_minute,
    another_takes_its_place,
    what_a_key_may_not_be,
);

async fn made_recognised_revoked(harness: Harness) {
    let engine = &harness.engine;
    assert!(engine.has_no_api_key().await.unwrap());
    let scopes = [Scope::LicenseRead, Scope::Issue];
    let (row, key) = engine.create_api_key(harness.tenant, "ci", ApiKeyKind::Test, &scopes, "cli").await.unwrap();
    assert!(!engine.has_no_api_key().await.unwrap());
    let identity = engine.authenticate(&key.reveal()).await.unwrap().unwrap();
    assert_eq!((identity.id, identity.tenant, identity.livemode), (ApiKeyId(row.id), harness.tenant, false));
    assert!(identity.may(Scope::Issue) && !identity.may(Scope::LicenseWrite));
    let wrong = key.reveal().replace("kw_test_", "kw_live_");
    for text in ["", "kw_live_nonsense", &wrong] {
        assert_eq!(engine.authenticate(text).await.unwrap(), None, "{text}");
    }
    let other = engine.generate_api_key(ApiKeyKind::Test);
    assert_eq!(engine.authenticate(&other.reveal()).await.unwrap(), None);
    // Another tenant cannot take it away.
    let foreign = engine.ensure_tenant("other", "Other").await.unwrap();
    assert!(!engine.revoke_api_key(foreign, identity.id, "cli").await.unwrap());
    assert!(engine.revoke_api_key(harness.tenant, identity.id, "cli").await.unwrap());
    assert!(engine.revoke_api_key(harness.tenant, identity.id, "cli").await.unwrap());
    assert_eq!(engine.authenticate(&key.reveal()).await.unwrap(), None);
    assert!(engine.has_no_api_key().await.unwrap());
    assert_eq!(harness.audited().await, ["api_key.created", "api_key.revoked"]);
}

async fn a_name_is_unique_until_it_is_revoked(harness: Harness) {
    let create = || harness.engine.create_api_key(harness.tenant, "ci", ApiKeyKind::Live, &[Scope::Admin], "cli");
    let (first, _) = create().await.unwrap();
    let taken = create().await.unwrap_err();
    assert!(matches!(taken, ApiKeyError::NameTaken(_)), "{taken}");
    harness.engine.revoke_api_key(harness.tenant, ApiKeyId(first.id), "cli").await.unwrap();
    create().await.unwrap();
    let keys = harness.engine.store.api_keys(harness.tenant).await.unwrap();
    let names: Vec<_> = keys.iter().map(|row| (row.name.as_str(), row.revoked_at.is_some())).collect();
    let old = format!("ci ({})", ApiKeyId(first.id));
    assert_eq!(names, [(old.as_str(), true), ("ci", false)]);
}

async fn another_takes_its_place(harness: Harness) {
    let engine = &harness.engine;
    let by = By { actor: "test".to_owned(), note: Some("leaked".to_owned()) };
    let scopes = [Scope::LicenseRead, Scope::Issue];
    let (row, old) = engine.create_api_key(harness.tenant, "ci", ApiKeyKind::Test, &scopes, "cli").await.unwrap();
    let roll = |id, hours| engine.roll_api_key(harness.tenant, ApiKeyId(id), hours, &by);
    assert!(matches!(roll(row.id, OVERLAP_HOURS_MAX + 1).await.unwrap_err(), ApiKeyError::Overlap));
    let (new_row, new) = roll(row.id, 2).await.unwrap();
    assert_eq!((new_row.name.as_str(), new_row.created_by.as_str()), ("ci", "test"));
    let identity = engine.authenticate(&new.reveal()).await.unwrap().unwrap();
    assert_eq!(identity.scopes, scopes.into());
    assert!(engine.authenticate(&old.reveal()).await.unwrap().is_some(), "both open for two hours");
    assert!(matches!(roll(row.id, 24).await.unwrap_err(), ApiKeyError::Gone), "it has its successor");
    harness.clock.advance(SignedDuration::from_hours(2));
    let refused = engine.recognise_api_key(&old.reveal()).await.unwrap();
    assert!(matches!(refused, Recognised::Refused(key) if key.id == ApiKeyId(row.id)), "{refused:?}");
    assert!(matches!(roll(row.id, 1).await.unwrap_err(), ApiKeyError::Gone));
    assert!(engine.authenticate(&new.reveal()).await.unwrap().is_some());
    assert_eq!(harness.audited().await, ["api_key.created", "api_key.rolled"]);
}

async fn its_use_is_noted_once_a_minute(harness: Harness) {
    let engine = &harness.engine;
    let (row, key) =
        engine.create_api_key(harness.tenant, "ci", ApiKeyKind::Live, &[Scope::Admin], "cli").await.unwrap();
    let used_at = async || {
        let row = engine.store.api_key(ApiKeyId(row.id)).await.unwrap().unwrap();
        row.last_used_at.map(|at| at - row.created_at)
    };
    assert_eq!(used_at().await, None);
    for (seconds, expected) in [(10, 10), (30, 10), (40, 80)] {
        harness.clock.advance(SignedDuration::from_secs(seconds));
        engine.authenticate(&key.reveal()).await.unwrap().unwrap();
        let expected = Some(expected * 1_000_000);
        // It is noted by nobody's leave, a moment later.
        for _ in 0..200 {
            if used_at().await == expected {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(used_at().await, expected);
    }
}

async fn what_a_key_may_not_be(harness: Harness) {
    let create = async |name: &str, kind, scopes: &[Scope]| {
        harness
            .engine
            .create_api_key(harness.tenant, name, kind, scopes, "cli")
            .await
            .map_err(|error| error.to_string())
    };
    assert!(create("a", ApiKeyKind::Live, &[]).await.unwrap_err().starts_with("a key without a scope opens nothing"));
    assert!(
        create("a", ApiKeyKind::Checkout, &[Scope::Admin])
            .await
            .unwrap_err()
            .starts_with("a checkout key is seen by buyers")
    );
    assert!(
        create(" ", ApiKeyKind::Live, &[Scope::Admin]).await.unwrap_err().starts_with("the name of an API key has")
    );
    assert!(create("a", ApiKeyKind::Checkout, &[]).await.is_ok());
}
