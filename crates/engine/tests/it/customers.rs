//! Buyers: what happened around them, page by page, and how they are erased.

use domain::{
    id::{CustomerId, LicenseId},
    order::Contact,
    ruling::Ruling,
    text::EmailAddress,
};
use engine::{
    erasure::Erasure,
    inbound::ReplayError,
    merging::MergeError,
    receive::Received,
    rulings::By,
    runtime::{ActivationKind, AppCall},
    timeline::{Happened, MomentId, MomentKind},
};
use jiff::SignedDuration;
use providers::{Delivery, signature};
use serde_json::Value;
use store::lists::{Cursor, CustomerFilter, LicenseFilter, Page, Whose};

use crate::{
    harness::{Harness, SHOP, on_both_databases},
    life::{SECRET, refunded_life},
};

on_both_databases![
    a_timeline_tells_everything_once_page_by_page,
    who_is_erased_is_in_no_table_any_more_and_keeps_what_they_paid_for,
    what_is_told_later_still_counts_and_brings_nothing_back,
    an_address_that_is_given_later_counts,
    who_has_a_part_in_an_order_and_is_somebody_else_stays,
    what_is_told_of_somebody_later_is_not_kept_either,
    the_audit_log_has_no_address_of_theirs,
    two_become_one_when_somebody_says_so,
];

fn staff() -> By {
    By { actor: "member:ada".to_owned(), note: Some("asked by phone".to_owned()) }
}

async fn customer(harness: &Harness, email: &str) -> CustomerId {
    let filter = CustomerFilter { email_normalised: Some(email.to_owned()), ..CustomerFilter::default() };
    let whose = Whose { tenant: harness.tenant, livemode: true };
    let listed = harness.engine.store.list_customers(whose, &filter, Page { limit: 1, from: None }).await.unwrap();
    CustomerId(listed.rows[0].id)
}

/// Somebody buys, uses what they bought, and is frozen and thawed.
async fn lived(harness: &Harness, email: &str) -> LicenseId {
    let issued = harness.issue("pro", email, 1).await.licenses.remove(0);
    let call = AppCall {
        key: issued.key.reveal().to_owned(),
        product: None,
        device: None,
        device_name: Some("Ada's laptop".to_owned()),
        kind: ActivationKind::Device,
        ..AppCall::default()
    };
    harness.engine.activate(&call, &format!("mac {}", issued.license.id), "https://keys.example.com").await.unwrap();
    for ruling in [Ruling::Freeze, Ruling::Unfreeze] {
        harness.clock.advance(SignedDuration::from_secs(1));
        harness.engine.rule(harness.tenant, issued.license.id, &ruling, &staff()).await.unwrap();
    }
    issued.license.id
}

async fn a_timeline_tells_everything_once_page_by_page(harness: Harness) {
    harness.apply(SHOP).await;
    for email in ["ada@example.com", "eve@example.com", "ada@example.com"] {
        lived(&harness, email).await;
        harness.clock.advance(SignedDuration::from_secs(1));
    }
    let ada = customer(&harness, "ada@example.com").await;
    let all = harness.engine.timeline_of_customer(ada, None, 1_000, None).await.unwrap();
    assert!(!all.has_more);
    let all: Vec<MomentId> = all.rows.iter().filter_map(engine::timeline::Moment::id).collect();
    let mut unique: Vec<String> = all.iter().map(MomentId::to_string).collect();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), all.len());

    let page = async |limit, from| {
        let listed = harness.engine.timeline_of_customer(ada, None, limit, from).await.unwrap();
        (listed.rows.iter().filter_map(engine::timeline::Moment::id).collect::<Vec<_>>(), listed.has_more)
    };
    for limit in [1, 2, 3, 7] {
        let (mut read, mut from) = (Vec::new(), None);
        loop {
            let (rows, has_more) = page(limit, from).await;
            from = rows.last().copied().map(Cursor::After);
            read.extend(rows);
            if !has_more {
                break;
            }
        }
        assert_eq!(read, all, "{limit} at a time, to the oldest");
        let mut back = Vec::new();
        let mut from = all.last().copied().map(Cursor::Before);
        loop {
            let (rows, has_more) = page(limit, from).await;
            from = rows.first().copied().map(Cursor::Before);
            back.splice(0..0, rows);
            if !has_more {
                break;
            }
        }
        assert_eq!(back, all[..all.len() - 1], "{limit} at a time, to the newest");
    }

    let of_kind = async |kind| {
        let listed = harness.engine.timeline_of_customer(ada, Some(kind), 1_000, None).await.unwrap();
        listed.rows
    };
    for (kind, expected) in [
        (MomentKind::Money, 2),
        (MomentKind::Mail, 4),
        (MomentKind::Device, 2),
        (MomentKind::Staff, 8),
        (MomentKind::Webhook, 0),
    ] {
        assert_eq!(of_kind(kind).await.len(), expected, "{kind:?}");
    }
    let decided = of_kind(MomentKind::Decision).await;
    assert!(
        decided
            .iter()
            .all(|moment| matches!(&moment.what, Happened::Changed(row) if !row.actor.starts_with("member:")))
    );
    let kinds: usize = 2 + 4 + 2 + 8 + decided.len();
    assert_eq!(kinds, all.len(), "each line is of one kind");
}

/// Every text of the database, table by table.
async fn everything(harness: &Harness) -> Vec<(String, String)> {
    harness.database.texts().await
}

/// Where one of these words stands.
async fn told_in(harness: &Harness, words: &[&str]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (table, text) in everything(harness).await {
        let text = text.to_lowercase();
        found
            .extend(words.iter().filter(|word| text.contains(*word)).map(|word| format!("{table} has {word}: {text}")));
    }
    found
}

async fn erase(harness: &Harness, id: CustomerId, dry_run: bool) -> Erasure {
    let whose = Whose { tenant: harness.tenant, livemode: true };
    let by = By { actor: "member:boss".to_owned(), note: Some("asked by letter".to_owned()) };
    harness.engine.erase_customer(whose, id, dry_run, &by).await.unwrap().unwrap()
}

async fn verified(harness: &Harness) {
    let findings = harness.engine.verify().await.unwrap();
    assert!(findings.is_empty(), "{findings:?}");
}

async fn who_is_erased_is_in_no_table_any_more_and_keeps_what_they_paid_for(harness: Harness) {
    harness.apply(SHOP).await;
    harness.apply(r#"webhook_endpoint = [{ code = "crm", url = "https://crm.example/hooks", mode = "live" }]"#).await;
    let license = lived(&harness, "ada@example.com").await;
    lived(&harness, "eve@example.com").await;
    let ada = customer(&harness, "ada@example.com").await;
    let words = ["ada@example.com", "a…@example.com", "laptop", "by phone"];
    let before = told_in(&harness, &words).await.len();
    assert!(before > 10, "{before}");
    verified(&harness).await;

    let preview = erase(&harness, ada, true).await;
    assert_eq!(told_in(&harness, &words).await.len(), before, "nothing was done");
    let Erasure { orders, identities, mails, devices, inbound, events, notes, requests, licenses } = preview;
    assert_eq!((orders, identities, mails, devices, inbound, requests, licenses), (1, 0, 2, 1, 1, 0, 1));
    assert!(events > 3 && notes == 2, "{preview:?}");

    assert_eq!(erase(&harness, ada, false).await, preview);
    let left = told_in(&harness, &["ada@example.com"]).await;
    assert_eq!(left, Vec::<String>::new());
    let of_eve = told_in(&harness, &["laptop", "by phone"]).await;
    assert!(!of_eve.is_empty() && !of_eve.iter().any(|text| text.contains(&license.to_string())), "{of_eve:#?}");
    assert!(!told_in(&harness, &["eve@example.com"]).await.is_empty(), "somebody else is as before");

    let whose = Whose { tenant: harness.tenant, livemode: true };
    let listed = harness.engine.store.listed_license(whose, license).await.unwrap().unwrap();
    assert_eq!(listed.license.standing.state.as_str(), "active");
    assert_eq!(listed.customer, Some(ada));
    let entries = harness.audited().await;
    assert!(entries.contains(&"customer.erased".to_owned()), "{entries:?}");
    verified(&harness).await;

    let again = erase(&harness, ada, true).await;
    assert_eq!(again, Erasure { licenses: 1, ..Erasure::default() }, "there is nothing left to erase");
    let other = Whose { livemode: false, ..whose };
    assert_eq!(harness.engine.erase_customer(other, ada, true, &staff()).await.unwrap(), None, "of the other mode");
    lived(&harness, "ada@example.com").await;
    assert_ne!(customer(&harness, "ada@example.com").await, ada, "who buys again is somebody new");
}

/// A shop at Stripe whose customers have identities.
async fn at_stripe(harness: &Harness) {
    let file = r#"
        product = [{ code = "studio", name = "Studio", key_prefix = "ACME" }]
        plan = [{ code = "basic", product = "studio", name = "Basic" }, { code = "pro", product = "studio", name = "Pro" }]
        connection = [{ code = "stripe", provider = "stripe", mode = "test", level = "none", webhook_secrets = ["env:SECRET"] }]
        price_rule = [
            { connection = "stripe", price = "price_basic", plan = "basic" },
            { connection = "stripe", price = "price_pro", plan = "pro" },
        ]
    "#;
    let file = engine::configuration::ConfigurationFile::parse(file).unwrap();
    harness.engine.apply(&file, &|_: &str| Ok(SECRET.to_owned()), false, "test").await.unwrap();
}

async fn deliver(harness: &Harness, event: &Value) {
    let body = event.to_string();
    let signed = signature::sign(&SECRET.into(), body.as_bytes(), harness.engine.now());
    let header = |name: &str| (name == "stripe-signature").then_some(signed.as_str());
    let delivery = Delivery { header: &header, body: body.as_bytes() };
    let received = harness.engine.receive("stripe", "default", &delivery).await;
    assert!(matches!(received, Received::Answer(answer) if answer.status == 200));
    harness.settle().await;
    harness.clock.advance(SignedDuration::from_secs(1));
}

/// The only customer of test mode.
async fn of_test_mode(harness: &Harness) -> CustomerId {
    let whose = Whose { tenant: harness.tenant, livemode: false };
    let page = Page { limit: 9, from: None };
    let rows = harness.engine.store.list_customers(whose, &CustomerFilter::default(), page).await.unwrap().rows;
    assert_eq!(rows.len(), 1, "{rows:?}");
    CustomerId(rows[0].id)
}

async fn what_is_told_later_still_counts_and_brings_nothing_back(harness: Harness) {
    at_stripe(&harness).await;
    let life = refunded_life("sold");
    let [checkout, created, part, rest, refund] = &life[..] else { panic!("{}", life.len()) };
    deliver(&harness, created).await;
    deliver(&harness, checkout).await;
    deliver(&harness, part).await;
    let words = ["sold@example.com", "\"ada\""];
    assert!(told_in(&harness, &words).await.len() > 5);
    let id = of_test_mode(&harness).await;
    let whose = Whose { tenant: harness.tenant, livemode: false };
    let erasure = harness.engine.erase_customer(whose, id, false, &staff()).await.unwrap().unwrap();
    assert_eq!((erasure.orders, erasure.identities, erasure.inbound, erasure.licenses), (1, 1, 3, 1), "{erasure:?}");
    assert_eq!(told_in(&harness, &words).await, Vec::<String>::new());
    verified(&harness).await;

    let mut renamed = created.clone();
    renamed["id"] = "evt_renamed".into();
    renamed["type"] = "customer.updated".into();
    renamed["created"] = (created["created"].as_i64().unwrap() + 90_000).into();
    renamed["data"]["object"]["email"] = "ada.new@example.com".into();
    let mut again = checkout.clone();
    again["id"] = "evt_again".into();
    for event in [rest, refund, &renamed, &again] {
        deliver(&harness, event).await;
    }
    let words = ["sold@example.com", "\"ada\"", "ada.new@example.com"];
    assert_eq!(told_in(&harness, &words).await, Vec::<String>::new());
    let (all, page) = (LicenseFilter::default(), Page { limit: 9, from: None });
    let licenses = harness.engine.store.list_licenses(whose, &all, page).await.unwrap().rows;
    assert_eq!(licenses.len(), 1);
    assert_eq!(licenses[0].license.standing.state.as_str(), "revoked", "the money went back");
    assert_eq!(of_test_mode(&harness).await, id);
    assert_eq!(harness.attention().await, Vec::<String>::new());
    verified(&harness).await;

    let events = harness.engine.store.inbound_with_key(whose, "evt_again").await.unwrap();
    let replayed = harness.engine.replay(whose, events[0], false, &staff()).await;
    assert!(matches!(replayed, Err(ReplayError::Erased)), "{replayed:?}");
}

async fn an_address_that_is_given_later_counts(harness: Harness) {
    harness.apply(SHOP).await;
    let license = harness.issue("pro", "ada@example.com", 1).await.licenses.remove(0).license.id;
    let ada = customer(&harness, "ada@example.com").await;
    let whose = Whose { tenant: harness.tenant, livemode: true };
    harness.clock.advance(SignedDuration::from_secs(1));
    erase(&harness, ada, false).await;
    let mail = harness.engine.mail_with_key(whose, license).await.unwrap().unwrap();
    assert_eq!((mail.recipient.as_str(), mail.status.as_str()), ("erased", "superseded"), "it had not left");
    let resent = harness.engine.resend_mail(whose, domain::id::MailId(mail.id), &staff()).await.unwrap().unwrap();
    assert_eq!(resent.status, "superseded", "nobody is there to be written to");
    harness.clock.advance(SignedDuration::from_secs(1));
    let to = Contact { email: EmailAddress::parse("lovelace@example.com").unwrap(), name: None };
    let mail = domain::id::MailId(mail.id);
    let resent = harness.engine.resend_mail_to(whose, mail, to, &staff()).await.unwrap().unwrap();
    assert_eq!((resent.recipient.as_str(), resent.status.as_str()), ("lovelace@example.com", "pending"));
    verified(&harness).await;
    harness.clock.advance(SignedDuration::from_secs(1));
    erase(&harness, ada, false).await;
    assert_eq!(told_in(&harness, &["lovelace@example.com"]).await, Vec::<String>::new());
    verified(&harness).await;
}

/// What is kept of providers' customers: their snapshots, and whether they are marked.
async fn identities(harness: &Harness) -> Vec<String> {
    let texts = everything(harness).await.into_iter();
    texts.filter(|(table, text)| table == "identities" && text.starts_with('{')).map(|(_, text)| text).collect()
}

async fn who_has_a_part_in_an_order_and_is_somebody_else_stays(harness: Harness) {
    at_stripe(&harness).await;
    let life = refunded_life("sold");
    for event in [&life[1], &life[0]] {
        deliver(&harness, event).await;
    }
    let ada = of_test_mode(&harness).await;
    let whose = Whose { tenant: harness.tenant, livemode: false };
    // The customer of the provider who has a part in Ada's order is Eve, who is known here, too.
    harness
        .database
        .sql("UPDATE identities SET snapshot = replace(snapshot, 'sold@example.com', 'eve@example.com')")
        .await;
    for (is_known, identities) in [(true, 0), (false, 1)] {
        if is_known {
            let row = harness.engine.store.customer(whose, ada).await.unwrap().unwrap();
            let email = "eve@example.com".to_owned();
            // Any id that is not Ada's.
            let row = store::rows::Customer { id: harness.tenant.0, email_normalised: email.clone(), email, ..row };
            let write = harness.engine.store.begin().await.unwrap();
            write.find_or_create_customers(vec![row]).await.unwrap();
            write.commit().await.unwrap();
        } else {
            harness.database.sql("UPDATE customers SET email_normalised = 'x' WHERE email = 'eve@example.com'").await;
        }
        let erasure = harness.engine.erase_customer(whose, ada, true, &staff()).await.unwrap().unwrap();
        assert_eq!((erasure.orders, erasure.identities), (1, identities), "{is_known}");
    }
}

async fn what_is_told_of_somebody_later_is_not_kept_either(harness: Harness) {
    at_stripe(&harness).await;
    let life = refunded_life("sold");
    deliver(&harness, &life[0]).await;
    let whose = Whose { tenant: harness.tenant, livemode: false };
    let ada = of_test_mode(&harness).await;
    assert_eq!(identities(&harness).await.len(), 0, "their own event has not come yet");
    harness.engine.erase_customer(whose, ada, false, &staff()).await.unwrap().unwrap();
    deliver(&harness, &life[1]).await;
    assert_eq!(identities(&harness).await.len(), 1);
    assert_eq!(told_in(&harness, &["sold@example.com", "\"ada\""]).await, Vec::<String>::new());
    verified(&harness).await;
}

async fn the_audit_log_has_no_address_of_theirs(harness: Harness) {
    harness.apply(SHOP).await;
    let whose = Whose { tenant: harness.tenant, livemode: true };
    let license = harness.issue("pro", "ada@example.com", 1).await.licenses.remove(0).license.id;
    harness.issue("pro", "lovelace@example.com", 1).await;
    let [ada, lovelace] =
        [customer(&harness, "ada@example.com").await, customer(&harness, "lovelace@example.com").await];
    harness.clock.advance(SignedDuration::from_secs(1));
    let to = Contact { email: EmailAddress::parse("lovelace@example.com").unwrap(), name: None };
    harness.engine.transfer(harness.tenant, license, &to, &staff()).await.unwrap().unwrap();
    harness.engine.merge_customers(whose, (ada, lovelace), false, &staff()).await.unwrap().unwrap();
    assert!(!told_in(&harness, &["a…@example.com", "by phone"]).await.is_empty());
    harness.clock.advance(SignedDuration::from_secs(1));
    erase(&harness, ada, false).await;
    let words = ["a…@example.com", "l…@example.com", "by phone", "ada@example.com", "lovelace@example.com"];
    assert_eq!(told_in(&harness, &words).await, Vec::<String>::new());
    assert!(!told_in(&harness, &["asked by letter"]).await.is_empty(), "why they were erased stays");
    verified(&harness).await;
    let again = erase(&harness, ada, true).await;
    assert_eq!(again, Erasure { licenses: 2, ..Erasure::default() }, "there is nothing left to erase");
}

async fn two_become_one_when_somebody_says_so(harness: Harness) {
    harness.apply(SHOP).await;
    let (engine, whose) = (&harness.engine, Whose { tenant: harness.tenant, livemode: true });
    let first = lived(&harness, "ada@example.com").await;
    harness.clock.advance(SignedDuration::from_secs(1));
    let second = lived(&harness, "lovelace@example.com").await;
    harness.clock.advance(SignedDuration::from_secs(1));
    lived(&harness, "eve@example.com").await;
    let [ada, lovelace, eve] = [
        customer(&harness, "ada@example.com").await,
        customer(&harness, "lovelace@example.com").await,
        customer(&harness, "eve@example.com").await,
    ];
    let row = async |id| engine.store.customer(whose, id).await.unwrap().unwrap();
    assert_eq!(engine.same_person_as(whose, &row(lovelace).await).await.unwrap(), [], "nothing says so");
    let order = engine.store.listed_license(whose, second).await.unwrap().unwrap().order;
    let to = Contact { email: EmailAddress::parse("Ada@Example.com").unwrap(), name: None };
    let ruling = engine::rulings::OrderRuling::Contact { to, again: false };
    engine.rule_order(harness.tenant, order, &ruling, &staff()).await.unwrap().unwrap();
    assert_eq!(engine.same_person_as(whose, &row(lovelace).await).await.unwrap(), [row(ada).await]);

    let same = engine.merge_customers(whose, (ada, ada), false, &staff()).await;
    assert!(matches!(same, Err(MergeError::Same)), "{same:?}");
    let other = Whose { livemode: false, ..whose };
    assert_eq!(engine.merge_customers(other, (ada, lovelace), false, &staff()).await.unwrap(), None);
    let told = engine.merge_customers(whose, (lovelace, ada), true, &staff()).await.unwrap().unwrap();
    assert_eq!((told.survivor.id, told.other.id, told.orders, told.licenses), (ada.0, lovelace.0, 1, 1));
    assert_eq!(row(lovelace).await.id, lovelace.0, "nothing was done");

    engine.merge_customers(whose, (lovelace, ada), false, &staff()).await.unwrap().unwrap();
    assert_eq!(row(lovelace).await.id, ada.0, "whoever asks for the other is led on");
    for license in [first, second] {
        let listed = engine.store.listed_license(whose, license).await.unwrap().unwrap();
        assert_eq!((listed.customer, listed.license.standing.state.as_str()), (Some(ada), "active"));
    }
    let page = Page { limit: 9, from: None };
    let all = engine.store.list_customers(whose, &CustomerFilter::default(), page).await.unwrap().rows;
    assert_eq!(all.iter().map(|row| row.id).collect::<Vec<_>>(), [eve.0, ada.0]);
    let found = engine.customer_named(whose, "Lovelace@example.com").await.unwrap().unwrap();
    assert_eq!(found.id, ada.0, "the address of the other finds who they are");
    let again = harness.issue("pro", "lovelace@example.com", 1).await.licenses.remove(0).license.id;
    let listed = engine.store.listed_license(whose, again).await.unwrap().unwrap();
    assert_eq!(listed.customer, Some(ada), "whoever buys under either address is this customer");
    verified(&harness).await;

    engine.merge_customers(whose, (ada, eve), false, &staff()).await.unwrap().unwrap();
    assert_eq!((row(lovelace).await.id, row(eve).await.id), (ada.0, ada.0));
    let erasure = erase(&harness, ada, false).await;
    assert_eq!(erasure.licenses, 4);
    assert_eq!(
        told_in(&harness, &["ada@example.com", "lovelace@example.com", "eve@example.com"]).await,
        Vec::<String>::new()
    );
    let merged = engine.merge_customers(whose, (ada, eve), false, &staff()).await;
    assert!(merged.is_ok_and(|merged| merged.is_none()), "they are one already");
    verified(&harness).await;
}
