//! What people do about mails: those that are held are released, one goes elsewhere, and what has not left is counted.

use domain::{id::MailId, order::Contact, ruling::Ruling, text::EmailAddress};
use engine::rulings::By;
use store::{
    lists::Whose,
    outbox::{HELD_AS_OLD, NO_SENDER},
    rows::AttentionItem,
};

use crate::harness::{Harness, SHOP, on_both_databases};

on_both_databases![held_mails_are_released_once_and_that_is_told, a_mail_goes_elsewhere_and_the_sale_with_it];

async fn held_mails_are_released_once_and_that_is_told(harness: Harness) {
    harness.apply(SHOP).await;
    harness.issue("pro", "ada@example.com", 2).await;
    let (store, now) = (&harness.engine.store, harness.engine.now());
    let item = |kind: &str| AttentionItem {
        id: uuid::Uuid::from_u128(kind.len() as u128),
        tenant_id: harness.tenant.0,
        kind: kind.to_owned(),
        subject: harness.tenant.to_string(),
        lookup: None,
        livemode: None,
        connection_id: None,
        order_id: None,
        inbound_id: None,
        detail: String::new(),
        opened_at: now.as_microsecond(),
        closed_at: None,
        dismissed_at: None,
        told_at: None,
    };
    let write = store.begin().await.unwrap();
    assert_eq!(write.hold_mails(now, 10).await.unwrap().len(), 2);
    write.open_items(vec![item(NO_SENDER), item(HELD_AS_OLD)]).await.unwrap();
    write.commit().await.unwrap();
    let told = async || harness.audited().await.iter().filter(|action| *action == "mails.released").count();

    let by = By { actor: "cli".to_owned(), note: None };
    let stranger = domain::id::TenantId(uuid::Uuid::nil());
    assert_eq!(harness.engine.release_mails(stranger, &by).await.unwrap(), 0);
    assert_eq!((harness.attention().await.len(), told().await), (2, 0));
    assert_eq!(harness.engine.release_mails(harness.tenant, &by).await.unwrap(), 2);
    let status = store.status(None).await.unwrap();
    assert_eq!((status.mails_pending, status.mails_held, harness.attention().await.len()), (2, 0, 0));
    assert!(harness.engine.metrics_text().await.unwrap().contains("\nkeywright_mails_pending 2\n"));
    assert_eq!(harness.engine.release_mails(harness.tenant, &by).await.unwrap(), 0, "they wait for the relay now");
    assert_eq!(told().await, 1);
}

async fn a_mail_goes_elsewhere_and_the_sale_with_it(harness: Harness) {
    harness.apply(SHOP).await;
    let Harness { engine, tenant, .. } = &harness;
    let (whose, by) = (Whose { tenant: *tenant, livemode: true }, By { actor: "test".to_owned(), note: None });
    let license = harness.issue("pro", "aad@example.com", 1).await.licenses.remove(0).license.id;
    engine.rule(*tenant, license, &Ruling::Freeze, &by).await.unwrap();
    let write = engine.store.begin().await.unwrap();
    write.hold_mails(engine.now(), 10).await.unwrap();
    write.commit().await.unwrap();

    let mails = async || {
        let mut mails = engine.store.mails(tenant.0, 10).await.unwrap();
        mails.sort_by(|one, other| one.kind.cmp(&other.kind));
        mails
    };
    let shown = async || {
        let mails = mails().await.into_iter();
        mails.map(|mail| format!("{} to {} is {}", mail.kind, mail.recipient, mail.status)).collect::<Vec<_>>()
    };
    let queue = async || {
        let queue = engine.store.mail_queue(*tenant).await.unwrap();
        assert_eq!(queue.pending_since.is_some(), queue.pending > 0);
        assert_eq!(queue.held_since.is_some(), queue.held > 0);
        (queue.pending, queue.held)
    };
    let sent_to = async |kind: &str, email: &str| {
        let mail = mails().await.into_iter().find(|mail| mail.kind == kind).unwrap();
        let to = Contact { email: EmailAddress::parse(email).unwrap(), name: None };
        engine.resend_mail_to(whose, MailId(mail.id), to, &by).await.unwrap().unwrap();
    };
    assert_eq!(queue().await, (0, 2));
    sent_to("license-frozen", "ada@example.com").await;
    assert_eq!(
        shown().await,
        ["license-delivery to ada@example.com is held", "license-frozen to ada@example.com is pending"],
        "the one goes now, the other will go there"
    );
    assert_eq!(queue().await, (1, 1));
    sent_to("license-delivery", "lovelace@example.com").await;
    assert_eq!(
        shown().await,
        ["license-delivery to lovelace@example.com is pending", "license-frozen to lovelace@example.com is pending"]
    );
    assert_eq!(queue().await, (2, 0));
    let elsewhere = Whose { livemode: false, ..whose };
    let mail = MailId(mails().await[0].id);
    let to = Contact { email: EmailAddress::parse("eve@example.com").unwrap(), name: None };
    assert!(engine.resend_mail_to(elsewhere, mail, to, &by).await.unwrap().is_none(), "it is of the other mode");
}
