//! What a shop of one's own can post that the table does not have.

use serde_json::{Value, json};
use store::lists::{LicenseFilter, Whose};

use super::{PAGE, day, generic, permutations, shop::Shop};

fn euros(minor: i64) -> Value {
    json!({ "amount": minor, "currency": "EUR" })
}

/// Paid for a price; until day 30 if it renews.
fn paid(id: &str, renews: bool, price: &str) -> Value {
    let until = renews.then(|| day(30));
    json!({
        "id": id, "payment": "1", "email": "ada@example.com", "total": euros(1_000), "items": [{ "price": price }],
        "paid_until": until
    })
}

/// What came of `name` after the events in that order of arrival, what a person hears of, and how many licenses there ever
/// were.
async fn told(name: &str, events: &[String], arrival: &[usize]) -> (Vec<String>, Vec<String>, usize) {
    let shop = Shop::told_of(&generic::Generic, events, arrival).await;
    let outcomes = shop.outcomes(&generic::Generic, &[name]).await;
    let whose = Whose { tenant: shop.0.tenant, livemode: false };
    let licenses = shop.0.engine.store.list_licenses(whose, &LicenseFilter::default(), PAGE).await.unwrap().rows;
    (outcomes, shop.0.attention().await, licenses.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_takes_the_place_of_another_whether_either_renews_or_not() {
    for (old_renews, new_renews) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut upgrade = paid("new", new_renews, "tool-B");
        upgrade["replaces"] = json!("old");
        let bought = vec![(0, "order.paid", paid("old", old_renews, "tool-A")), (1, "order.paid", upgrade)];
        let events = generic::events("ada", "", bought);
        let expected = if new_renews { "B ×1 active paid until 30, look again 30" } else { "B ×1 active paid" };
        for arrival in permutations(events.len()) {
            let outcome = told("old", &events, &arrival).await;
            let one = (vec![expected.to_owned()], vec![], 1);
            assert_eq!(outcome, one, "renews: {old_renews}, then {new_renews}; arrival {arrival:?}");
        }
    }
}

/// Until it is posted with the name of its payment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_or_dispute_that_names_no_known_payment_is_brought_up() {
    let refunded =
        |payment: Value, minor| ("order.refunded", json!({ "id": "a", "payment": payment, "refunded": euros(minor) }));
    let disputed =
        |payment: Value| ("order.disputed", json!({ "id": "a", "payment": payment, "dispute": "1", "status": "lost" }));
    let (alive, unlinked) = ("A ×1 active paid until 30, look again 30", &["payment_unlinked"][..]);
    let (refund_took_it, dispute_took_it) = ("A ×1 revoked refunded_in_full", "A ×1 revoked dispute_lost");
    for (told_of, expected, attention) in [
        (vec![refunded(json!(null), 1_000)], alive, unlinked),
        (vec![refunded(json!("2"), 1_000)], alive, unlinked),
        (vec![disputed(json!(null))], alive, unlinked),
        (vec![disputed(json!("0"))], alive, unlinked),
        (vec![refunded(json!("1"), 1_000)], refund_took_it, &[]),
        (vec![disputed(json!("1"))], dispute_took_it, &[]),
        (vec![refunded(json!("2"), 1_000), refunded(json!("1"), 1_000), refunded(json!("2"), 0)], refund_took_it, &[]),
        (vec![disputed(json!(null)), disputed(json!("1"))], dispute_took_it, &[]),
    ] {
        let after = told_of.into_iter().zip(2..).map(|((kind, order), at)| (at, kind, order));
        let all = [(0, "order.paid", paid("a", true, "tool-A"))].into_iter().chain(after).collect();
        let events = generic::events("ada", "", all);
        for arrival in permutations(events.len()) {
            let (outcomes, brought_up, _) = told("a", &events, &arrival).await;
            let is = (outcomes[0].as_str(), brought_up.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(is, (expected, attention.to_vec()), "{arrival:?} of {events:#?}");
        }
    }
}
