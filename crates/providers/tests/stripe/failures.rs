//! What went wrong in other integrations, as far as reading Stripe's events can show it: each test is named after it.
//!
//! What shows only once licenses exist is in `crates/domain/tests/it/failures.rs`. What needs a database or a server:
//!
//! | what went wrong | where it is tested |
//! |---|---|
//! | fifty deliveries of one event at once were fifty sales | `keywright::it::oracles::sqlite_fifty_deliveries_at_once_are_one` |
//! | events a millisecond apart, some of them twice, in one batch or several | `engine::it::arrivals::shuffled_without_an_api_key` and its siblings |
//! | an order of arrival that nobody had thought of | `engine::it::arrivals::every_order_without_an_api_key` and its siblings |
//! | one broken event kept the others from being worked on | `engine::it::intake::one_event_never_fails_the_others` |
//! | a kind that nobody handles was answered 400 until Stripe gave the endpoint up | `api::it::webhooks::unknown_kinds_are_kept_and_mean_nothing` |
//! | an event that makes no sense was answered 400, too | `api::it::webhooks::what_is_signed_is_kept_whatever_it_is` |
//! | with two secrets only one could be found | `api::it::stories::a_webhook_secret_is_rotated_without_a_gap` |
//! | an event of the other mode was worked on | `engine::it::intake::one_event_never_fails_the_others` |
//! | one URL for two accounts or modes took one for the other | `api::it::webhooks::an_event_goes_to_the_connection_whose_secret_it_is_signed_with` |
//! | a typed reader broke on any field it did not expect | `mutations::every_field_of_every_fixture_may_be_nonsense` |

use domain::{
    fact::Fact,
    money::Money,
    order::{Lines, Order, PurchaseState, SubscriptionStatus},
    text::Reference,
};
use providers::{Incoming, Level, Provider, Settings, Step, stripe::Stripe};
use serde_json::{Value, json};

use crate::{
    envelope::taken_in,
    snapshots::fixtures,
    support::{CREATED, answer, at, event, event_at, facts, joined, names, order, permutations, told, with},
};

const COMPLETED: &str = "checkout.session.completed";
const MONTH: i64 = CREATED + 2_592_000;

fn fixture(name: &str) -> Incoming {
    let body = &fixtures()[name];
    taken_in(body.as_bytes()).expect(name).remove(0)
}

/// The one fact about a sale in a fixture, without a key.
fn sale_of(name: &str) -> Order {
    order(Level::None, &fixture(name), &[])
}

fn session() -> Value {
    json!({
        "id": "cs_1", "mode": "subscription", "payment_status": "paid", "subscription": "sub_1", "invoice": "in_1",
        "amount_total": 1900, "currency": "eur", "customer_details": { "email": "ada@example.com" },
    })
}

/// A line of an invoice, in the form since 2025-03-31.
fn line(end: i64, proration: bool) -> Value {
    let details = json!({ "subscription": "sub_1", "proration": proration });
    let parent = json!({ "type": "subscription_item_details", "subscription_item_details": details });
    json!({ "period": { "end": end }, "parent": parent })
}

/// The same line as it was before.
fn old_line(end: i64, proration: bool) -> Value {
    let kind = if proration { "invoiceitem" } else { "subscription" };
    json!({ "period": { "end": end }, "type": kind, "proration": proration, "subscription": "sub_1" })
}

fn invoice(lines: &[Value]) -> Value {
    json!({
        "id": "in_1", "amount_paid": 1900, "currency": "eur", "lines": { "data": lines },
        "parent": { "type": "subscription_details", "subscription_details": { "subscription": "sub_1" } },
    })
}

#[test]
fn two_licenses_for_one_sale() {
    let subscription =
        json!({ "id": "sub_1", "status": "active", "items": { "data": [{ "id": "si_1", "price": "p" }] } });
    for fact in [
        told(COMPLETED, &session()),
        told("customer.subscription.created", &subscription),
        told("invoice.paid", &invoice(&[line(MONTH, false)])),
    ] {
        assert!(fact.references.contains(&Reference::from("sub_1")), "all of them name the sale: {fact:?}");
    }
    let slow = |status: &str| with(session(), json!({ "payment_status": status }));
    let delayed = [
        told(COMPLETED, &slow("unpaid")),
        told("checkout.session.async_payment_succeeded", &slow("paid")),
        told(COMPLETED, &slow("paid")),
    ];
    assert_eq!(joined(&delayed).purchases.len(), 1, "a payment that took days is the same purchase");
}

#[test]
fn the_same_thing_told_by_two_events_was_two_sales() {
    let (once, again) = (fixture("checkout-paid.dahlia"), fixture("checkout-paid-again.dahlia"));
    assert_ne!(once.key, again.key);
    assert_eq!(facts(Level::None, &once, &[]), facts(Level::None, &again, &[]));
    let first = sale_of("checkout-paid.dahlia");
    assert_eq!(joined(&[first.clone(), sale_of("checkout-paid-again.dahlia")]), first);
}

#[test]
fn a_payment_link_without_metadata_was_passed_over() {
    let items = json!({ "data": [{ "id": "li_1", "price": { "id": "price_app" }, "quantity": 1 }] });
    let path = "/v1/checkout/sessions/cs_test_link/line_items?limit=100";
    let link = fixture("checkout-payment-link.2020-08-27");
    let known = order(Level::Read, &link, &[answer(path, 200, &items)]);
    let Lines::Known(lines) = &known.purchases[&Reference::from("cs_test_link")].lines else { panic!("not known") };
    assert_eq!(lines[0].price.as_str(), "price_app", "its price tells what was bought");
    let unknown = order(Level::None, &link, &[]);
    assert_eq!((unknown.purchases.len(), unknown.missing.len()), (1, 1), "or a person is asked");
}

#[test]
fn a_guest_without_a_customer_got_nothing() {
    let guest = sale_of("checkout-payment-link.2020-08-27");
    assert!(guest.customers.is_empty());
    assert_eq!(
        guest.contact.map(|contact| contact.value.email.as_str().to_owned()),
        Some("ada@example.com".to_owned())
    );
    assert_eq!(guest.purchases[&Reference::from("cs_test_link")].state, PurchaseState::Paid);
}

#[test]
fn money_on_its_way_was_taken_for_paid() {
    for (kind, payment_status, state) in [
        (COMPLETED, "unpaid", PurchaseState::Pending),
        ("checkout.session.async_payment_succeeded", "paid", PurchaseState::Paid),
        ("checkout.session.async_payment_failed", "unpaid", PurchaseState::Failed),
    ] {
        let session = with(session(), json!({ "payment_status": payment_status }));
        assert_eq!(told(kind, &session).purchases[&Reference::from("cs_1")].state, state, "{kind}");
    }
}

#[test]
fn a_sale_of_nothing_due_broke_the_reader_or_was_no_sale() {
    for name in ["checkout-free.basil", "checkout-discounted.dahlia"] {
        let purchases = sale_of(name).purchases;
        let purchase = purchases.values().next().expect(name);
        assert_eq!((purchase.state, purchase.total.minor), (PurchaseState::Paid, 0), "{name}");
    }
    assert_eq!(
        sale_of("checkout-free.basil").purchases.values().next().map(|purchase| purchase.total),
        Some(Money::ZERO)
    );
    for name in ["invoice-trial.basil", "invoice-discounted.dahlia"] {
        let periods = sale_of(name).periods;
        assert_eq!(
            periods.values().map(|period| period.total.minor).collect::<Vec<_>>(),
            [0],
            "{name} pays its period"
        );
    }
}

#[test]
fn a_proration_was_taken_for_a_new_period() {
    let until = |lines: &[Value]| {
        let update = with(invoice(lines), json!({ "billing_reason": "subscription_update" }));
        told("invoice.paid", &update).periods.values().map(|period| period.until).next()
    };
    assert_eq!(until(&[line(MONTH, true), line(MONTH, true)]), None, "credit and rest of an upgrade");
    let year = CREATED + 31_536_000;
    assert_eq!(until(&[line(MONTH, true), line(year, false)]), Some(at(year)), "a swap to yearly pays a year");
    assert_eq!(until(&[line(year, true), line(MONTH, false)]), Some(at(MONTH)), "and the first line is not the one");
}

#[test]
fn the_time_of_an_event_was_taken_for_its_place() {
    let subscription = |status: &str| json!({ "id": "sub_1", "status": status });
    let of_one_second = [
        told("customer.subscription.created", &subscription("incomplete")),
        told("customer.subscription.updated", &subscription("active")),
        told("customer.subscription.deleted", &subscription("canceled")),
    ];
    for arrival in permutations(&of_one_second) {
        let status = joined(&arrival).subscriptions[&Reference::from("sub_1")].value.status;
        assert_eq!(status, SubscriptionStatus::Ended);
    }
    let late = event_at(CREATED + 9, "customer.subscription.updated", &subscription("active"));
    let late = order(Level::None, &late, &[]);
    let end = told("customer.subscription.deleted", &subscription("canceled"));
    for arrival in permutations(&[late, end]) {
        let status = joined(&arrival).subscriptions[&Reference::from("sub_1")].value.status;
        assert_eq!(status, SubscriptionStatus::Ended, "what has ended does not come back by a later event");
    }
}

#[test]
fn partial_refunds_were_added_twice() {
    let charge = |total: i64, second: i64| {
        let charge = json!({ "id": "ch_1", "payment_intent": "pi_1", "amount_refunded": total });
        order(Level::None, &event_at(second, "charge.refunded", &charge), &[])
    };
    let refund = |id: &str, amount: i64| {
        told("refund.created", &json!({ "id": id, "payment_intent": "pi_1", "amount": amount, "status": "succeeded" }))
    };
    let tellings = [refund("re_1", 400), charge(400, CREATED), refund("re_2", 300), charge(700, CREATED + 60)];
    for arrival in permutations(&tellings) {
        let known = joined(&[arrival.clone(), arrival].concat());
        assert_eq!(known.refunded(&"pi_1".into()), 700, "told twice, in two ways, in any order");
    }
}

#[test]
fn fields_that_moved_lost_their_subscription() {
    let old = with(
        invoice(&[old_line(MONTH, false)]),
        json!({ "parent": null, "subscription": "sub_1", "charge": "ch_1", "payment_intent": "pi_1" }),
    );
    let new = invoice(&[line(MONTH, false)]);
    let both = with(
        invoice(&[with(old_line(MONTH, false), line(MONTH, false))]),
        json!({ "subscription": "sub_1", "charge": "ch_1", "payment_intent": "pi_1" }),
    );
    let periods = [old, new, both].map(|object| told("invoice.paid", &object).periods);
    assert_eq!(periods[0].len(), 1);
    assert!(periods.iter().all(|period| *period == periods[0]), "{periods:?}");
    let subscription = json!({ "id": "sub_1", "status": "active", "collection_method": "charge_automatically" });
    for fields in [
        json!({ "current_period_end": MONTH }),
        json!({ "items": { "data": [{ "id": "si_1", "price": "p", "current_period_end": MONTH }] } }),
    ] {
        let order = told("customer.subscription.updated", &with(subscription.clone(), fields));
        assert_eq!(order.subscriptions[&Reference::from("sub_1")].value.granted_until, Some(at(MONTH)));
    }
    let link = told(
        "invoice_payment.paid",
        &json!({ "invoice": "in_1", "payment": { "type": "payment_intent", "payment_intent": "pi_1" } }),
    );
    let before = told("charge.succeeded", &json!({ "id": "ch_1", "payment_intent": "pi_1", "invoice": "in_1" }));
    for way in [link, before] {
        assert!(way.payments.same(&"pi_1".into(), &"in_1".into()), "a refund finds its invoice either way");
    }
}

#[test]
fn an_api_version_that_nobody_knew_broke_the_reader() {
    for (name, body) in fixtures() {
        let facts_as = |version: Value| {
            let mut event: Value = serde_json::from_str(&body).expect(&name);
            event["api_version"] = version;
            event["context"] = json!({ "of": "tomorrow" });
            facts(Level::None, &taken_in(event.to_string().as_bytes()).expect(&name)[0], &[])
        };
        assert_eq!(facts_as(json!("2031-01-01.zinnia")), facts_as(json!(null)), "{name}");
    }
}

#[test]
fn test_money_or_anothers_account_was_taken_for_ones_own() {
    let connect = fixture("checkout-connect.clover");
    assert!(connect.account.is_some(), "the envelope says whose it is, and nothing else does");
    for (live, told) in [(json!(true), Some(true)), (json!(false), Some(false)), (json!(null), None)] {
        let body = json!({ "id": "evt_1", "type": COMPLETED, "livemode": live, "data": { "object": session() } });
        assert_eq!(taken_in(body.to_string().as_bytes()).expect("an event")[0].live, told);
    }
}

#[test]
fn an_address_changed_in_the_portal_was_ignored() {
    let [Fact::Customer(customer)] = &facts(Level::None, &fixture("customer-updated.clover"), &[])[..] else {
        panic!("one fact about a customer");
    };
    assert!(customer.snapshot.value.email.is_some());
    let bare = facts(Level::None, &fixture("customer-deleted-bare.dahlia"), &[]);
    assert!(
        matches!(&bare[..], [Fact::Customer(gone)] if gone.snapshot.value.deleted),
        "and one without broke the reader"
    );
}

#[test]
fn a_strangers_checkout_adopted_a_customer_by_address() {
    let order = told(COMPLETED, &session());
    assert_eq!(order.references, names(&["cs_1", "in_1", "sub_1"]).into_iter().collect(), "no address among its names");
    assert!(facts(Level::None, &event(COMPLETED, &session()), &[]).iter().all(|fact| matches!(fact, Fact::Order(_))));
}

#[test]
fn a_kind_that_nobody_handles_was_refused() {
    for kind in
        ["payment_link.created", "radar.early_fraud_warning.created", "entitlements.active_entitlement_summary.updated"]
    {
        assert!(Stripe.ignores(kind).is_some(), "{kind}");
        let said = Stripe.translate(
            &event(kind, &json!({ "id": "x" })),
            &Settings { level: Level::Full, ..Settings::default() },
            &[],
        );
        assert_eq!(said, Ok(Step::Facts(Vec::new())), "{kind}");
    }
}
