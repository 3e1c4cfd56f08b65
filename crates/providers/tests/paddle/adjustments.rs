//! Adjustments: refunds, chargebacks, and what is neither.

use domain::{
    order::{DisputeState, Order, RefundState},
    text::Reference,
};
use providers::Level;
use serde_json::{Value, json};

use crate::support::{event_at, joined, names, order, permutations, refusal, tells_nothing, told, with};

const CREATED: &str = "adjustment.created";
const UPDATED: &str = "adjustment.updated";

fn adjustment(action: &str, status: &str) -> Value {
    json!({
        "id": "adj_1", "action": action, "status": status, "type": "full", "transaction_id": "txn_1",
        "subscription_id": "sub_1", "customer_id": "ctm_1", "currency_code": "EUR", "totals": { "total": "1900" }
    })
}

#[test]
fn a_refund_counts_once_it_is_approved_whichever_event_says_so() {
    for (kind, status, state) in [
        (CREATED, "pending_approval", RefundState::Pending),
        (CREATED, "approved", RefundState::Succeeded),
        (UPDATED, "approved", RefundState::Succeeded),
        (UPDATED, "rejected", RefundState::Failed),
        (UPDATED, "reversed", RefundState::Failed),
        (UPDATED, "of_tomorrow", RefundState::Pending),
    ] {
        let order = told(kind, &adjustment("refund", status));
        let refund = &order.refunds[&Reference::from("adj_1")].value;
        assert_eq!((refund.state, refund.amount.to_string()), (state, "19.00 EUR".into()), "{status}");
        assert_eq!((refund.payment.as_str(), refund.cumulative), ("txn_1", false));
        assert_eq!(order.references, names(&["sub_1", "txn_1"]).into_iter().collect());
    }
}

#[test]
fn refunds_are_summed_by_their_names_in_any_order_of_arrival() {
    let refund = |id: &str, status: &str, amount: &str, second: i64| {
        let fields = json!({ "id": id, "totals": { "total": amount } });
        order(Level::None, &event_at(second, UPDATED, &with(adjustment("refund", status), fields)), &[])
    };
    for (tellings, sum) in [
        (vec![refund("adj_1", "pending_approval", "1900", 1)], 0),
        (vec![refund("adj_1", "pending_approval", "1900", 1), refund("adj_1", "approved", "1900", 2)], 1900),
        (vec![refund("adj_1", "pending_approval", "1900", 1), refund("adj_1", "rejected", "1900", 2)], 0),
        (vec![refund("adj_1", "approved", "400", 1), refund("adj_2", "approved", "300", 2)], 700),
    ] {
        for arrival in permutations(&tellings) {
            let twice = joined(&[joined(&arrival), joined(&arrival)]);
            assert_eq!(twice.refunded(&"txn_1".into()), sum);
        }
    }
}

#[test]
fn a_chargeback_is_lost_until_paddle_wins_it_back() {
    for (action, status, state) in [
        ("chargeback_warning", "approved", DisputeState::Inquiry),
        ("chargeback_warning_reverse", "approved", DisputeState::Inquiry),
        ("chargeback", "approved", DisputeState::Lost),
        ("chargeback", "reversed", DisputeState::Won),
        ("chargeback_reverse", "approved", DisputeState::Won),
        ("chargeback", "rejected", DisputeState::Inquiry),
        ("chargeback_of_tomorrow", "approved", DisputeState::Inquiry),
    ] {
        let order = told(CREATED, &adjustment(action, status));
        let dispute = &order.disputes[&Reference::from("adj_1")];
        assert_eq!((dispute.state, dispute.payment.as_str()), (state, "txn_1"), "{action} {status}");
        assert_eq!(dispute.returns, action == "chargeback_reverse");
        assert!(order.refunds.is_empty());
    }
    let story = [
        ("chargeback_warning", "approved", 0),
        ("chargeback", "approved", 1),
        ("chargeback_reverse", "approved", 0),
        ("chargeback", "approved", 1),
        ("chargeback_reverse", "approved", 0),
    ];
    let all: Vec<Order> = (1..)
        .zip(story)
        .map(|(number, (action, status, _))| {
            told(CREATED, &with(adjustment(action, status), json!({ "id": format!("adj_{number}") })))
        })
        .collect();
    for (count, (_, _, lost)) in (1..).zip(story) {
        for arrival in permutations(&all[..count]) {
            let twice = joined(&[joined(&arrival), joined(&arrival)]);
            assert_eq!(twice.disputes_of(&"txn_1".into()).count(), lost, "after {count} adjustments");
        }
    }
    // Where the chargeback itself is told to be reversed as well, it is no second return.
    let reversed = told(UPDATED, &with(adjustment("chargeback", "reversed"), json!({ "id": "adj_2" })));
    let again = joined(&[joined(&all[..4]), reversed]);
    let payment = Reference::from("txn_1");
    let lost: Vec<&str> = again.disputes_of(&payment).map(|(id, _)| id.as_str()).collect();
    assert_eq!(lost, ["adj_4"]);
}

#[test]
fn a_credit_gives_no_money_back() {
    for action in ["credit", "credit_reverse", "of_tomorrow"] {
        tells_nothing(CREATED, &adjustment(action, "approved"));
    }
    tells_nothing(CREATED, &json!({}));
}

#[test]
fn what_it_lacks_is_named() {
    for (field, action, words) in [
        ("id", "refund", "`data.id` is missing"),
        ("transaction_id", "refund", "`data.transaction_id` is missing"),
        ("totals", "refund", "`data.totals.total` is missing"),
        ("transaction_id", "chargeback", "`data.transaction_id` is missing"),
        ("id", "chargeback", "`data.id` is missing"),
    ] {
        let mut adjustment = adjustment(action, "approved");
        adjustment[field] = json!(null);
        assert_eq!(refusal(CREATED, &adjustment), words, "{field} of {action}");
    }
}
