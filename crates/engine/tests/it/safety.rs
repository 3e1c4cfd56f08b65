//! How a vendor keeps itself safe: keys that follow each other, second factors, browsers that are signed out, a log that is followed.

use domain::{id::MemberId, member::Role};
use engine::{
    audit::AuditVerified,
    members::{CameFrom, MemberError, NewMember, SignedIn},
    rulings::By,
    signing::{Phase, SigningError},
    support::Process,
};
use jiff::SignedDuration;
use store::{
    lists::{AuditFilter, Page, Whose},
    rows::Session,
};

use crate::harness::{Harness, SHOP, on_both_databases};

on_both_databases!(
    a_key_follows_another_on_every_node,
    a_second_factor_is_asked_for_by_who_has_one,
    browsers_are_signed_out_by_who_may,
    the_log_is_followed_to_where_it_breaks,
    the_log_is_read_by_who_what_and_when,
    what_would_be_forgotten_is_counted,
    a_text_for_support_names_nobody,
);

fn by() -> By {
    By { actor: "test".to_owned(), note: Some("since".to_owned()) }
}

async fn member(harness: &Harness, role: Role, email: &str) -> SignedIn {
    let link = harness.engine.invite(harness.tenant, email, role, &by()).await.unwrap();
    let new = NewMember { email: email.to_owned(), name: String::new(), password: "correct horse".into() };
    let from = CameFrom { address: "192.0.2.1".to_owned(), agent: "test".to_owned() };
    let (_, handle) = harness.engine.take_invitation(&link, &new, &from).await.unwrap();
    harness.engine.signed_in(&handle).await.unwrap().unwrap()
}

async fn kid(node: &engine::Engine, harness: &Harness) -> String {
    node.signer(harness.tenant).await.unwrap().public().kid().to_owned()
}

async fn a_key_follows_another_on_every_node(harness: Harness) {
    let (engine, tenant) = (&harness.engine, harness.tenant);
    let other = harness.peer(std::sync::Arc::new(engine::testing::RefusingDialler));
    let first = kid(engine, &harness).await;
    assert_eq!(kid(&other, &harness).await, first);
    assert!(matches!(engine.rotate_signing_key(tenant, 2_161, &by()).await, Err(SigningError::Overlap)));
    let second = engine.rotate_signing_key(tenant, 24, &by()).await.unwrap();
    let from = engine.now() + SignedDuration::from_hours(24);
    let phases = || async {
        let keys = engine.published_keys(tenant).await.unwrap();
        keys.into_iter().map(|key| (key.public.kid().to_owned(), key.phase)).collect::<Vec<_>>()
    };
    let expected = [(second.clone(), Phase::Next(from)), (first.clone(), Phase::Signs(Some(from)))];
    assert_eq!(phases().await, expected);
    assert!(matches!(engine.withdraw_signing_key(tenant, &first, &by()).await, Err(SigningError::InUse)));
    harness.clock.advance(SignedDuration::from_hours(24));
    for node in [engine, &other] {
        assert_eq!(kid(node, &harness).await, second, "a node notices by itself");
        assert_eq!(node.public_keys(tenant).await.unwrap().len(), 2, "both are published");
    }
    assert_eq!(phases().await, [(second.clone(), Phase::Signs(None)), (first.clone(), Phase::Retired(from))]);
    let third = engine.rotate_signing_key(tenant, 0, &by()).await.unwrap();
    assert_eq!(kid(engine, &harness).await, third, "at once, if somebody saw it");
    let withdrawn = engine.withdraw_signing_key(tenant, &first, &by()).await;
    assert!(matches!(withdrawn, Err(SigningError::InUse)), "another node may sign with it for a moment");
    harness.clock.advance(SignedDuration::from_secs(30));
    engine.withdraw_signing_key(tenant, &first, &by()).await.unwrap();
    assert!(matches!(engine.withdraw_signing_key(tenant, &first, &by()).await, Err(SigningError::NoKey)));
    assert_eq!(engine.public_keys(tenant).await.unwrap().len(), 2);
    let told = harness.audited().await;
    assert_eq!(told.iter().filter(|action| action.starts_with("signing_key.")).count(), 3);
}

async fn a_second_factor_is_asked_for_by_who_has_one(harness: Harness) {
    let (engine, tenant) = (&harness.engine, harness.tenant);
    let owner = member(&harness, Role::Owner, "ada@acme.test").await;
    let asked = engine.require_second_factor(tenant, true, &owner, &by()).await;
    assert!(matches!(asked, Err(MemberError::OwnFactorFirst)));
    let owner = SignedIn { session: Session { has_factor: true, ..owner.session }, ..owner };
    for required in [true, true, false] {
        engine.require_second_factor(tenant, required, &owner, &by()).await.unwrap();
        let row = engine.store.tenant_with_id(tenant).await.unwrap().unwrap();
        assert_eq!(row.requires_second_factor, required);
    }
    let told = harness.audited().await;
    let told = told.iter().filter(|action| *action == "tenant.second_factor_required");
    assert_eq!(told.count(), 2, "what is so already is not told again");
}

async fn browsers_are_signed_out_by_who_may(harness: Harness) {
    let (engine, tenant) = (&harness.engine, harness.tenant);
    let owner = member(&harness, Role::Owner, "ada@acme.test").await;
    let viewer = member(&harness, Role::Viewer, "bob@acme.test").await;
    let sign_out = |who: MemberId, browser, deciding| async move {
        engine.sign_out_member(tenant, who, browser, deciding, &by()).await
    };
    assert!(matches!(sign_out(owner.id(), None, Role::Admin).await, Err(MemberError::Owners)));
    assert!(matches!(sign_out(MemberId(uuid::Uuid::nil()), None, Role::Owner).await, Err(MemberError::NoMember)));
    sign_out(owner.id(), Some(viewer.session()), Role::Owner).await.unwrap();
    assert_eq!(engine.store.sessions_of_team(tenant).await.unwrap().len(), 2, "that browser is somebody else's");
    sign_out(viewer.id(), Some(viewer.session()), Role::Admin).await.unwrap();
    let left = engine.store.sessions_of_team(tenant).await.unwrap();
    assert_eq!(left.iter().map(|row| row.id).collect::<Vec<_>>(), [owner.session().0]);
    sign_out(owner.id(), None, Role::Owner).await.unwrap();
    assert!(engine.store.sessions_of_team(tenant).await.unwrap().is_empty());
    let told = harness.audited().await;
    assert_eq!(told.iter().filter(|action| *action == "member.signed_out").count(), 2);
}

async fn the_log_is_followed_to_where_it_breaks(harness: Harness) {
    let (engine, tenant) = (&harness.engine, harness.tenant);
    assert_eq!(engine.audit_verified(tenant).await.unwrap(), None);
    for _ in 0..3 {
        engine.rotate_signing_key(tenant, 0, &by()).await.unwrap();
    }
    let whole = engine.verify_audit(tenant).await.unwrap();
    assert!(whole.problem.is_none() && !whole.is_unfinished && whole.entries >= 3, "{whole:?}");
    assert_eq!(engine.audit_verified(tenant).await.unwrap(), Some(whole.clone()));
    let last = whole.entries;
    harness.database.sql(&format!("UPDATE audit_entries SET actor = 'nobody' WHERE sequence = {last}")).await;
    let AuditVerified { entries, problem, .. } = engine.verify_audit(tenant).await.unwrap();
    assert_eq!(entries, last - 1);
    assert!(problem.unwrap().contains("is not what was written"));
    harness.database.sql(&format!("DELETE FROM audit_entries WHERE sequence = {last}")).await;
    let problem = engine.verify_audit(tenant).await.unwrap().problem.unwrap();
    assert_eq!(problem, format!("the audit log ends with entry {}, and {last} were written", last - 1));
}

async fn the_log_is_read_by_who_what_and_when(harness: Harness) {
    let (engine, tenant) = (&harness.engine, harness.tenant);
    let kid = engine.rotate_signing_key(tenant, 0, &by()).await.unwrap();
    harness.clock.advance(SignedDuration::from_hours(24));
    let middle = engine.now();
    let cli = By { actor: "cli".to_owned(), note: None };
    engine.rotate_signing_key(tenant, 0, &cli).await.unwrap();
    let none = AuditFilter::default;
    let some = |text: &str| Some(text.to_owned());
    for (filter, expected) in [
        (AuditFilter { action: some("signing_key."), ..none() }, 2),
        (AuditFilter { action: some("signing_key.rotated"), ..none() }, 2),
        (AuditFilter { action: some("signing_key"), ..none() }, 0),
        (AuditFilter { action: some("signing_key."), actor: some("cli"), ..none() }, 1),
        (AuditFilter { actor: some("key:"), ..none() }, 0),
        (AuditFilter { subject: some(&kid), ..none() }, 1),
        (AuditFilter { action: some("signing_key."), since: Some(middle), ..none() }, 1),
        (AuditFilter { action: some("signing_key."), until: Some(middle), ..none() }, 1),
    ] {
        let whose = Whose { tenant, livemode: true };
        let listed = engine.store.list_audit(whose, &filter, Page { limit: 10, from: None }).await.unwrap();
        assert_eq!(listed.rows.len(), expected, "{filter:?}");
    }
}

async fn what_would_be_forgotten_is_counted(harness: Harness) {
    let (engine, tenant) = (&harness.engine, harness.tenant);
    harness.apply(SHOP).await;
    harness.issue("pro", "ada@example.com", 2).await;
    let counted = |days| async move { engine.forgettable(tenant, days).await.unwrap() };
    assert_eq!(counted(1).await.events, 0, "nothing is a day old");
    harness.clock.advance(SignedDuration::from_hours(49));
    let gone = counted(2).await;
    assert!(gone.events > 0 && (gone.deliveries, gone.alerts) == (0, 0), "{gone:?}");
    engine.keep_deliveries(tenant, 2, "test").await.unwrap();
    assert_eq!(engine.forget_what_is_old().await.unwrap(), gone.events as u64, "what is counted is what goes");
    assert_eq!(counted(2).await.events, 0);
    for days in [0, 3_651] {
        assert!(engine.keep_deliveries(tenant, days, "test").await.is_err(), "{days}");
    }
}

async fn a_text_for_support_names_nobody(harness: Harness) {
    let (engine, tenant) = (&harness.engine, harness.tenant);
    member(&harness, Role::Owner, "ada@acme.test").await;
    harness.apply(SHOP).await;
    let issued = harness.issue("pro", "lovelace@buyer.test", 1).await;
    let findings = engine.verify_in_time().await.unwrap().unwrap();
    let text = engine.support_text(Process { version: "9.9.9", ..Process::default() }, Some(&findings)).await.unwrap();
    let text = text.to_string();
    for words in ["keywright 9.9.9 on ", "licenses: 1", "members: 1, 0 with a second factor", "findings: none"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let key = issued.licenses[0].key.reveal().to_owned();
    for secret in ["acme", "buyer", &key, &tenant.to_string()] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    let facts = engine.store.about().await.unwrap();
    assert!(facts.bytes > 4_096 && facts.version.contains('.'), "{facts:?}");
}
