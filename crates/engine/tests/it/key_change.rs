//! A license gets another key, and perhaps another holder: what the keys before still open, what is mailed, and what is told.

use domain::{activation::VerdictCode, id::LicenseId, order::Contact, text::EmailAddress};
use engine::{
    key_change::{KeyChange, KeyChangeError, OVERLAP_HOURS_MAX},
    rulings::By,
    runtime::AppCall,
};
use jiff::SignedDuration;
use store::{
    lists::{AuditFilter, MailFilter, Page, Whose},
    rows::Mail,
};

use crate::harness::{Harness, SHOP, on_both_databases};

on_both_databases![
    the_key_before_stops_at_once_or_later,
    a_new_key_is_mailed_once_however_often_it_changes,
    a_sale_goes_to_somebody_else_with_all_its_licenses,
    a_vendor_who_mails_keys_is_told_of_the_new_one,
];

const PAGE: Page = Page { limit: 100, from: None };

fn by() -> By {
    By { actor: "test".to_owned(), note: Some("it leaked".to_owned()) }
}

fn call(key: &str) -> AppCall {
    AppCall { key: key.to_owned(), ..AppCall::default() }
}

const fn at_once() -> KeyChange {
    KeyChange { overlap_hours: 0, is_mailed: true }
}

impl Harness {
    async fn verdict(&self, key: &str) -> VerdictCode {
        self.engine.check(&call(key)).await.unwrap().verdict.code
    }

    async fn activates(&self, key: &str, device: &str) -> VerdictCode {
        self.engine.activate(&call(key), device, "https://keys.example").await.unwrap().verdict.code
    }

    fn whose(&self) -> Whose {
        Whose { tenant: self.tenant, livemode: true }
    }

    async fn key_mails(&self, license: LicenseId) -> Vec<Mail> {
        let filter =
            MailFilter { license: Some(license), kind: Some("license-delivery".to_owned()), ..MailFilter::default() };
        let mut mails =
            self.engine.store.list_mails(self.whose(), &filter, Page { limit: 10, from: None }).await.unwrap().rows;
        mails.reverse();
        mails
    }

    /// What stands in the audit log, the latest last.
    async fn log(&self) -> Vec<String> {
        let filter = AuditFilter::default();
        let mut entries = self.engine.store.list_audit(self.whose(), &filter, PAGE).await.unwrap().rows;
        entries.reverse();
        entries.into_iter().map(|entry| entry.action).collect()
    }

    /// The relay has taken everything, and a second goes by: what is written later has a later id.
    async fn mails_leave(&self) {
        self.clock.advance(SignedDuration::from_secs(1));
        self.database.sql("UPDATE mails SET status = 'sent', next_attempt_at = NULL").await;
    }
}

async fn the_key_before_stops_at_once_or_later(harness: Harness) {
    harness.apply(SHOP).await;
    let issued = harness.issue("pro", "ada@example.com", 1).await.licenses.remove(0);
    let (license, first) = (issued.license.id, issued.key.reveal().to_owned());
    assert_eq!(harness.activates(&first, "mac-1").await, VerdictCode::Valid);
    let change = |overlap_hours| {
        let by = by();
        let harness = &harness;
        async move {
            let change = KeyChange { overlap_hours, is_mailed: true };
            harness.engine.change_key(harness.tenant, license, change, &by).await.unwrap().unwrap()
        }
    };

    let second = change(2).await.key.reveal().to_owned();
    assert!(second.starts_with("TOOL-") && second != first);
    for key in [&first, &second] {
        assert_eq!(harness.verdict(key).await, VerdictCode::Valid, "both open it for two hours");
    }
    harness.clock.advance(SignedDuration::from_hours(2));
    assert_eq!(harness.verdict(&first).await, VerdictCode::NotFound);
    assert_eq!(harness.activates(&first, "mac-2").await, VerdictCode::NotFound);
    assert_eq!(harness.activates(&second, "mac-1").await, VerdictCode::Valid, "the device has kept its place");
    assert_eq!(harness.engine.store.activations(license).await.unwrap().len(), 1);

    let third = change(0).await.key.reveal().to_owned();
    assert_eq!(
        (harness.verdict(&second).await, harness.verdict(&third).await),
        (VerdictCode::NotFound, VerdictCode::Valid)
    );
    let listed = harness.engine.store.listed_license(harness.whose(), license).await.unwrap().unwrap();
    let hint = listed.key_hint.unwrap();
    assert!(third.ends_with(hint.rsplit('-').next().unwrap()), "{hint} is shown of {third}");
    assert_eq!(listed.license.keys, 1);
    for old in [&first, &second] {
        assert_eq!(
            harness.engine.license_with_key(old).await.unwrap().unwrap().id,
            license,
            "who has it can be helped"
        );
    }
    harness.mails_leave().await;
    let findings = harness.engine.verify().await.unwrap();
    assert!(findings.is_empty(), "{findings:?}");
}

async fn a_new_key_is_mailed_once_however_often_it_changes(harness: Harness) {
    harness.apply(SHOP).await;
    let Harness { engine, tenant, .. } = &harness;
    let license = harness.issue("pro", "ada@example.com", 1).await.licenses.remove(0).license.id;
    let made = engine.change_key(*tenant, license, at_once(), &by()).await.unwrap().unwrap();
    assert!(made.is_mailed, "the mail that waits brings it");
    assert_eq!(harness.key_mails(license).await.len(), 1);
    harness.mails_leave().await;
    engine.change_key(*tenant, license, at_once(), &by()).await.unwrap();
    engine.change_key(*tenant, license, at_once(), &by()).await.unwrap();
    let mails = harness.key_mails(license).await;
    assert_eq!(mails.iter().map(|mail| mail.status.as_str()).collect::<Vec<_>>(), ["sent", "pending"]);
    let silently = KeyChange { is_mailed: false, ..at_once() };
    harness.mails_leave().await;
    assert!(!engine.change_key(*tenant, license, silently, &by()).await.unwrap().unwrap().is_mailed);
    assert_eq!(harness.key_mails(license).await.len(), 2);

    let to = Contact { email: EmailAddress::parse("ada@home.example").unwrap(), name: None };
    let correct = engine::rulings::OrderRuling::Contact { to, again: true };
    let order = engine.store.listed_license(harness.whose(), license).await.unwrap().unwrap().order;
    engine.rule_order(*tenant, order, &correct, &by()).await.unwrap();
    let mails = harness.key_mails(license).await;
    assert_eq!(
        mails.iter().map(|mail| mail.status.as_str()).collect::<Vec<_>>(),
        ["sent", "pending"],
        "it goes there once"
    );

    let stranger = domain::id::TenantId(uuid::Uuid::nil());
    assert!(engine.change_key(stranger, license, at_once(), &by()).await.unwrap().is_none());
    let long = KeyChange { overlap_hours: OVERLAP_HOURS_MAX + 1, ..at_once() };
    let refused = engine.change_key(*tenant, license, long, &by()).await;
    assert!(matches!(refused, Err(KeyChangeError::TooLong)), "{refused:?}");
}

async fn a_sale_goes_to_somebody_else_with_all_its_licenses(harness: Harness) {
    harness.apply(SHOP).await;
    let Harness { engine, tenant, .. } = &harness;
    let issued = harness.issue("pro", "ada@example.com", 2).await;
    let keys: Vec<String> = issued.licenses.iter().map(|issued| issued.key.reveal().to_owned()).collect();
    harness.mails_leave().await;
    for (key, device) in [(&keys[0], "mac-1"), (&keys[0], "mac-2"), (&keys[1], "pc-1")] {
        assert_eq!(harness.activates(key, device).await, VerdictCode::Valid, "{device}");
    }
    let before = harness.log().await.len();
    let to = Contact { email: EmailAddress::parse("bob@example.com").unwrap(), name: Some("Bob".into()) };
    let license = issued.licenses[0].license.id;
    let made = engine.transfer(*tenant, license, &to, &by()).await.unwrap().unwrap();

    assert_eq!(made.len(), 2, "the address is the sale's");
    for key in &keys {
        assert_eq!(harness.verdict(key).await, VerdictCode::NotFound);
    }
    for new in &made {
        assert!(new.is_mailed);
        assert_eq!(harness.verdict(new.key.reveal()).await, VerdictCode::Valid);
        assert_eq!(engine.store.activations(new.license).await.unwrap(), []);
        let mails = harness.key_mails(new.license).await;
        let went: Vec<_> = mails.iter().map(|mail| (mail.recipient.as_str(), mail.status.as_str())).collect();
        assert_eq!(went, [("ada@example.com", "sent"), ("bob@example.com", "pending")]);
        let listed = engine.store.listed_license(harness.whose(), new.license).await.unwrap().unwrap();
        let holder = engine.store.customer(harness.whose(), listed.customer.unwrap()).await.unwrap().unwrap();
        assert_eq!(holder.email, "bob@example.com");
    }
    let mut told = harness.log().await.split_off(before);
    told.sort();
    let freed = "activation.freed";
    assert_eq!(told, [freed, freed, freed, "license.key_changed", "license.key_changed", "order.transferred"]);
    let findings = engine.verify().await.unwrap();
    assert!(findings.is_empty(), "{findings:?}");
}

async fn a_vendor_who_mails_keys_is_told_of_the_new_one(harness: Harness) {
    const OWN_MAILS: &str = r#"
        product = [{ code = "tool", name = "Tool" }]
        plan = [{ code = "pro", product = "tool", name = "Pro", policy = { mail = "vendor" } }]
        webhook_endpoint = [{ code = "crm", mode = "live", url = "https://crm.example/hooks", events = ["license.changed"] }]
    "#;
    harness.apply(OWN_MAILS).await;
    let Harness { engine, tenant, .. } = &harness;
    let license = harness.issue("pro", "ada@example.com", 1).await.licenses.remove(0);
    let made = engine.change_key(*tenant, license.license.id, at_once(), &by()).await.unwrap().unwrap();
    assert!(!made.is_mailed && harness.key_mails(license.license.id).await.is_empty());
    let delivery = harness.deliveries_to("crm").await.pop().unwrap();
    let event = engine.store.events(vec![delivery.event_id]).await.unwrap().pop().unwrap();
    assert_eq!(event.kind, "license.changed");
    assert!(event.body.contains(&format!(r#""key_hint":"{}""#, license.key.masked())), "{}", event.body);
    assert!(!event.body.contains(made.key.reveal()), "the key itself is only in `license.created`");
}
