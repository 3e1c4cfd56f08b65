//! Buyers: what happened around them, page by page.

use domain::{
    id::{CustomerId, LicenseId},
    ruling::Ruling,
};
use engine::{
    rulings::By,
    runtime::{ActivationKind, AppCall},
    timeline::{Happened, MomentId, MomentKind},
};
use jiff::SignedDuration;
use store::lists::{Cursor, CustomerFilter, Page, Whose};

use crate::harness::{Harness, SHOP, on_both_databases};

on_both_databases![a_timeline_tells_everything_once_page_by_page];

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
    };
    harness.engine.activate(&call, &format!("mac of {email}"), "https://keys.example.com").await.unwrap();
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
    let all: Vec<MomentId> = all.rows.iter().map(engine::timeline::Moment::id).collect();
    let mut unique: Vec<String> = all.iter().map(MomentId::to_string).collect();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), all.len());

    let page = async |limit, from| {
        let listed = harness.engine.timeline_of_customer(ada, None, limit, from).await.unwrap();
        (listed.rows.iter().map(engine::timeline::Moment::id).collect::<Vec<_>>(), listed.has_more)
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
