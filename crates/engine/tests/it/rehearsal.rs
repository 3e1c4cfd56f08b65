//! An event is tried out before it is played: all that follows is worked out, and nothing is written.

use domain::id::InboundId;
use engine::{
    inbound::{Rehearsal, ReplayError},
    rulings::By,
};
use store::lists::{AuditFilter, CustomerFilter, InboundFilter, LicenseFilter, MailFilter, Page, Whose};

use crate::harness::{Harness, SHOP, on_both_databases};

on_both_databases!(a_rehearsal_says_what_follows_and_writes_nothing);

const FIRST: Page = Page { limit: 100, from: None };

fn actions(rehearsal: &Rehearsal) -> Vec<&str> {
    rehearsal.changes.iter().map(|entry| entry.action.as_str()).collect()
}

/// How many licenses, mails, customers and audit entries about sales there are.
async fn kept(harness: &Harness, whose: Whose) -> [usize; 4] {
    let store = &harness.engine.store;
    let audit = store.list_audit(whose, &AuditFilter::default(), FIRST).await.unwrap().rows;
    [
        store.list_licenses(whose, &LicenseFilter::default(), FIRST).await.unwrap().rows.len(),
        store.list_mails(whose, &MailFilter::default(), FIRST).await.unwrap().rows.len(),
        store.list_customers(whose, &CustomerFilter::default(), FIRST).await.unwrap().rows.len(),
        audit.iter().filter(|entry| entry.order_id.is_some()).count(),
    ]
}

async fn a_rehearsal_says_what_follows_and_writes_nothing(harness: Harness) {
    harness.apply(SHOP).await;
    harness.sell("pro").await;
    let whose = Whose { tenant: harness.tenant, livemode: true };
    let event = || async {
        harness.engine.store.list_inbound(whose, &InboundFilter::default(), FIRST).await.unwrap().rows.remove(0)
    };
    let id = InboundId(event().await.id);
    let rehearsed = || async { harness.engine.preview_replay(whose, id, false).await.unwrap().unwrap() };

    let before = rehearsed().await;
    assert_eq!(actions(&before), ["order.created", "license.issued", "license.announced"]);
    assert_eq!((before.mails.len(), before.asks.len(), before.problem), (1, 0, None));
    assert_eq!((event().await.status.as_str(), kept(&harness, whose).await), ("received", [0; 4]));

    harness.settle().await;
    let written = kept(&harness, whose).await;
    assert_eq!(written, [1, 1, 1, 3], "what was rehearsed came to pass");
    let after = rehearsed().await;
    assert_eq!((actions(&after), after.mails.len()), (Vec::new(), 0), "its order holds all that it says");
    assert_eq!((event().await.status.as_str(), kept(&harness, whose).await), ("done", written));

    let by = By { actor: "test".to_owned(), note: None };
    harness.engine.replay(whose, id, false, &by).await.unwrap().unwrap();
    harness.settle().await;
    assert_eq!(kept(&harness, whose).await, [1, 1, 1, 4], "playing it added nothing but that it was played");

    let test = Whose { livemode: false, ..whose };
    assert!(harness.engine.preview_replay(test, id, false).await.unwrap().is_none(), "an event has one mode");
    harness.database.sql("UPDATE connections SET mode = 'test' WHERE mode = 'live'").await;
    let refused = harness.engine.preview_replay(whose, id, false).await;
    assert!(matches!(refused, Err(ReplayError::WrongMode)), "{refused:?}");
}
