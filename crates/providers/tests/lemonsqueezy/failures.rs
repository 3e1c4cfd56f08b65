//! What went wrong elsewhere (providers.md section 8), one test each.

use domain::{
    order::{Lines, Order},
    text::Reference,
};
use providers::Level;
use serde_json::json;

use crate::{
    snapshots,
    support::{a_subscription, an_invoice, an_order, day, event, facts, joined, taken_in, told, with},
};

/// pay#1041: the order and the first invoice of its subscription each made a license. Here they are one sale with one line.
#[test]
fn an_order_and_the_first_invoice_of_its_subscription_are_one_sale() {
    let order = told("order_created", "1", &an_order());
    let subscription = told("subscription_created", "2", &a_subscription());
    let invoice = told("subscription_payment_success", "3", &an_invoice());
    let share = |one: &Order, other: &Order| !one.references.is_disjoint(&other.references);
    assert!(share(&order, &subscription) && share(&subscription, &invoice));
    let Lines::Known(lines) = &order.purchases["order:1"].lines else { panic!("a line") };
    let covers = subscription.subscriptions["subscription:2"].value.covers.clone().expect("it names its line");
    assert!(lines.iter().all(|line| covers.contains(&line.line)), "the subscription stands for what was ordered");
    assert!(invoice.purchases.is_empty() && invoice.items.is_empty(), "an invoice sells nothing by itself");
}

/// tabloy/keygate#22: a second purchase of the same by the same buyer was taken for the first.
#[test]
fn two_orders_of_one_buyer_are_two_sales() {
    let first = told("order_created", "1", &an_order());
    let second = told("order_created", "4", &with(an_order(), json!({ "identifier": "5e2f7c1a-4" })));
    assert!(first.references.is_disjoint(&second.references), "neither customer nor address is a name of a sale");
}

/// ChuanQiao1128/replyinmyvoice#301, cacheplane/threadplane#529: parts that went back were added up, twice.
#[test]
fn what_went_back_in_parts_is_the_last_total_and_not_their_sum() {
    let refunded = |minor: i64, on: u32| {
        told("order_refunded", "1", &with(an_order(), json!({ "refunded_amount": minor, "updated_at": day(on) })))
    };
    let (part, more) = (refunded(1000, 3), refunded(3000, 5));
    for told in [[&part, &more, &part], [&more, &part, &more], [&part, &part, &more]] {
        assert_eq!(joined(&told.map(Clone::clone)).refunded(&"order:1".into()), 3000);
    }
}

/// The same of a subscription: Lemon Squeezy tells of one refund by the order and by its first invoice.
#[test]
fn a_refund_that_is_told_by_order_and_invoice_went_back_once() {
    let part = json!({ "refunded_amount": 3000, "status": "partial_refund", "updated_at": day(5) });
    let known = joined(&[
        told("order_refunded", "1", &with(an_order(), part.clone())),
        told("subscription_created", "2", &a_subscription()),
        told("subscription_payment_refunded", "3", &with(an_invoice(), part)),
    ]);
    assert_eq!(known.refunded(&"order:1".into()), 3000);
}

/// calcom#26793, proliferate#1589: the invoice of a change was taken for a new period.
#[test]
fn the_invoice_of_a_change_is_no_renewal() {
    let change = with(an_invoice(), json!({ "billing_reason": "updated" }));
    let order = told("subscription_payment_success", "5", &change);
    assert!(order.collected["invoice:5"].change && order.periods.is_empty());
}

/// scrt-link-v2#331: what happened to one subscription of a buyer happened to the other.
#[test]
fn the_end_of_one_subscription_is_not_that_of_another() {
    let ended = with(a_subscription(), json!({ "status": "expired", "ends_at": day(9), "updated_at": day(9) }));
    let ended = told("subscription_expired", "2", &ended);
    let other =
        told("subscription_created", "6", &with(a_subscription(), json!({ "order_id": 5, "order_item_id": 15 })));
    assert!(ended.references.is_disjoint(&other.references));
    assert!(other.subscriptions.keys().all(|name| *name == Reference::from("subscription:6")));
}

/// lemonsqueezy.js#116: two events of one moment, of which only the second has the new quantity.
#[test]
fn a_quantity_that_changed_by_itself_is_another_event_and_counts() {
    let item =
        |quantity: u32, on: u32| json!({ "first_subscription_item": { "quantity": quantity, "updated_at": day(on) } });
    let before = with(a_subscription(), item(1, 1));
    let after = with(a_subscription(), item(5, 9));
    let [known, news] = [&before, &after].map(|attributes| event("subscription_updated", "2", attributes));
    assert_ne!(known.key, news.key);
    let told = |attributes| told("subscription_updated", "2", attributes);
    for orders in [[told(&before), told(&after)], [told(&after), told(&before)]] {
        let order = joined(&orders);
        assert_eq!(order.items["subscription:2"].value[0].quantity, 5);
        assert!(!order.items["subscription:2"].tied);
    }
}

/// nextjs-subscription-payments#362: an event that nobody knew was refused, and the endpoint was switched off.
#[test]
fn an_event_of_tomorrow_is_kept_and_says_nothing() {
    let body = br#"{"meta":{"event_name":"order_teleported"},"data":{"type":"orders","id":"1"}}"#;
    let incoming = taken_in(body).expect("an event").remove(0);
    assert_eq!(facts(Level::None, &incoming, &[]), []);
}

/// async-stripe#347 and its like: one field of another form cost the whole event. Lemon Squeezy writes cents as decimals,
/// flags as 0 and 1, and nulls where nothing was refunded.
#[test]
fn numbers_as_decimals_and_nulls_cost_nothing() {
    for (name, body) in snapshots::fixtures() {
        let incoming = taken_in(body.as_bytes()).expect(&name).remove(0);
        let says = facts(Level::None, &incoming, &[]);
        let is_silent = ["license-key", "customer", "payment-failed"].iter().any(|start| name.starts_with(start));
        assert_eq!(says.is_empty(), is_silent, "{name}");
    }
}

/// AI-Shipping-Labs#643: who changed their address got no mail any more.
#[test]
fn the_address_that_the_subscription_told_last_counts() {
    let moved = with(a_subscription(), json!({ "user_email": "new@example.com", "updated_at": day(9) }));
    let renewed =
        with(an_invoice(), json!({ "billing_reason": "renewal", "created_at": day(8), "updated_at": day(12) }));
    let refunded = with(an_order(), json!({ "refunded_amount": 1000, "updated_at": day(20) }));
    let known = joined(&[
        told("order_refunded", "1", &refunded),
        told("subscription_updated", "2", &moved),
        told("subscription_payment_success", "4", &renewed),
    ]);
    assert_eq!(known.contact.expect("an address").value.email.as_str(), "new@example.com");
}

/// anomalyco/opencode#32420, charged but not activated: four calls in three minutes is all that Lemon Squeezy tries.
#[test]
fn an_order_whose_event_was_lost_is_what_its_list_says() {
    let delivered = told("order_created", "1", &an_order());
    let listed = json!({ "data": { "type": "orders", "id": "1", "attributes": an_order() }, "meta": { "event_name": "order_created" } });
    let found = taken_in(listed.to_string().as_bytes()).expect("an event").remove(0);
    assert_eq!(crate::support::order(Level::None, &found, &[]), delivered);
}
