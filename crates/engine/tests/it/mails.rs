//! What people do about mails that are held.

use engine::rulings::By;
use store::{
    outbox::{HELD_AS_OLD, NO_SENDER},
    rows::AttentionItem,
};

use crate::harness::{Harness, SHOP, on_both_databases};

on_both_databases![held_mails_are_released_once_and_that_is_told];

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
