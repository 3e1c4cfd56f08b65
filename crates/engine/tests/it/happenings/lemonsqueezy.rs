//! Lemon Squeezy's words: an order, snapshots of the subscription, invoices, and totals of what went back. It sells in its own
//! name, so that it has no word for a dispute.

use jiff::Timestamp;
use providers::lemonsqueezy::sign;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{ALL, Happening as H, NO_KEY, Reversal, SECRET, Story, Teller, Trial, day, permutations, shop::Shop};

pub(super) struct LemonSqueezy;

/// The subscription as Lemon Squeezy shows it.
struct Shown<'a> {
    name: &'a str,
    id: u64,
    variant: &'static str,
    quantity: u32,
    quantity_on: u32,
    status: &'static str,
    cancels: bool,
    until: u32,
    trial_until: Option<u32>,
}

/// All its ids are numbers. The same name has the same ones.
fn number(name: &str) -> u64 {
    let digest = Sha256::digest(name);
    u64::from(u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]))
}

fn on(number: u32) -> String {
    day(number).to_string()
}

impl<'a> Shown<'a> {
    fn new(name: &'a str) -> Self {
        Self {
            name,
            id: number(name),
            variant: "A",
            quantity: 1,
            quantity_on: 0,
            status: "active",
            cancels: false,
            until: 30,
            trial_until: None,
        }
    }

    fn subscription(&self, at: u32, ended: bool) -> Value {
        let Self { name, id, .. } = self;
        let status = match (ended, self.cancels, self.status) {
            (true, ..) => "expired",
            (false, true, "active" | "on_trial") => "cancelled",
            (false, _, status) => status,
        };
        let ends_at = if ended { Some(on(at)) } else { self.cancels.then(|| on(self.until)) };
        // While it is overdue, it renews with the next try.
        let renews_at = if status == "past_due" { on(at + 3) } else { on(self.until) };
        json!({
            "store_id": 1, "customer_id": id, "order_id": id, "order_item_id": id, "product_id": 5, "variant_id": self.variant,
            "product_name": "Tool", "variant_name": self.variant, "user_email": format!("{name}@example.com"), "status": status,
            "pause": (status == "paused").then(|| json!({ "mode": "void", "resumes_at": null })),
            "cancelled": self.cancels || ended, "trial_ends_at": self.trial_until.map(on), "renews_at": renews_at, "ends_at": ends_at,
            "first_subscription_item": {
                "id": id, "subscription_id": id, "quantity": self.quantity, "updated_at": on(self.quantity_on) },
            "created_at": on(0), "updated_at": on(at), "test_mode": true
        })
    }

    fn order(&self, total: u32, refunded: u32, at: u32) -> Value {
        let Self { name, id, .. } = self;
        json!({
            "store_id": 1, "customer_id": id, "identifier": format!("uuid-{name}"), "user_email": format!("{name}@example.com"),
            "currency": "EUR", "total": total, "refunded_amount": refunded, "status": status(refunded),
            "refunded": if refunded == 0 { Value::Null } else { json!(refunded == 1000) },
            "first_order_item": { "id": id, "order_id": id, "product_id": 5, "variant_id": "A", "quantity": 1 },
            "created_at": on(0), "updated_at": on(at), "test_mode": true
        })
    }

    fn invoice(&self, reason: &str, made_at: u32, refunded: u32, at: u32) -> Value {
        let Self { name, id, .. } = self;
        json!({
            "store_id": 1, "customer_id": id, "subscription_id": id, "user_email": format!("{name}@example.com"),
            "billing_reason": reason, "currency": "EUR", "total": 1000, "refunded_amount": refunded,
            "status": status(refunded), "refunded": refunded == 1000, "created_at": on(made_at), "updated_at": on(at),
            "test_mode": true
        })
    }
}

fn status(refunded: u32) -> &'static str {
    match refunded {
        0 => "paid",
        1000 => "refunded",
        _ => "partial_refund",
    }
}

impl Teller for LemonSqueezy {
    fn slug(&self) -> &'static str {
        "lemonsqueezy"
    }

    fn price(&self, plan: &str) -> String {
        plan.to_owned()
    }

    fn knows(&self, happening: H) -> bool {
        !matches!(happening, H::Dispute | H::DisputeLost)
    }

    fn tell(&self, name: &str, happenings: &[H]) -> Vec<String> {
        let mut shown = Shown::new(name);
        let id = shown.id;
        let first =
            |shown: &Shown<'_>, refunded, at| ("subscription-invoices", id, shown.invoice("initial", 0, refunded, at));
        let mut told = vec![
            ("order_created", ("orders", id, shown.order(1_000, 0, 0))),
            ("subscription_created", ("subscriptions", id, shown.subscription(0, false))),
            ("subscription_payment_success", first(&shown, 0, 0)),
        ];
        let mut refunded = 0;
        for (happening, at, _) in ALL.into_iter().filter(|(happening, ..)| happenings.contains(happening)) {
            match happening {
                H::PlanChange => shown.variant = "B",
                H::QuantityChange => (shown.quantity, shown.quantity_on) = (2, at),
                H::Pause => shown.status = "paused",
                H::PastDue => shown.status = "past_due",
                H::CancelAtPeriodEnd => shown.cancels = true,
                H::Renewal => (shown.status, shown.until) = ("active", 60),
                H::Reactivation => (shown.status, shown.cancels) = ("active", false),
                H::PartialRefund => refunded = 400,
                H::FullRefund => refunded = 1000,
                H::CancelAtOnce | H::Dispute | H::DisputeLost => {}
            }
            if matches!(happening, H::PartialRefund | H::FullRefund) {
                told.push(("order_refunded", ("orders", id, shown.order(1_000, refunded, at))));
                told.push(("subscription_payment_refunded", first(&shown, refunded, at)));
                continue;
            }
            let kind = match happening {
                H::Pause => "subscription_paused",
                H::CancelAtPeriodEnd => "subscription_cancelled",
                H::CancelAtOnce => "subscription_expired",
                H::Reactivation => "subscription_resumed",
                _ => "subscription_updated",
            };
            let snapshot = shown.subscription(at, happening == H::CancelAtOnce);
            told.push((kind, ("subscriptions", id, snapshot)));
            if happening == H::Renewal {
                let invoice = shown.invoice("renewal", 30, 0, at);
                told.push(("subscription_payment_success", ("subscription-invoices", id + 1, invoice)));
            }
        }
        events(told)
    }

    /// It has a word for neither.
    fn tell_reversal(&self, _: &str, _: Reversal) -> Vec<Vec<String>> {
        Vec::new()
    }

    fn tell_trial(&self, name: &str, what: Trial) -> Vec<String> {
        let mut shown = Shown { status: "on_trial", until: 14, trial_until: Some(14), ..Shown::new(name) };
        let id = shown.id;
        let mut told = vec![
            ("order_created", ("orders", id, shown.order(0, 0, 0))),
            ("subscription_created", ("subscriptions", id, shown.subscription(0, false))),
        ];
        let snapshot = |shown: &Shown<'_>, at, ended| ("subscriptions", id, shown.subscription(at, ended));
        if what == Trial::ChangedAndPaid {
            shown.variant = "B";
            told.push(("subscription_updated", snapshot(&shown, 8, false)));
        }
        match what {
            Trial::Nothing => {}
            Trial::Paid | Trial::ChangedAndPaid => {
                (shown.status, shown.until) = ("active", 44);
                told.push(("subscription_updated", snapshot(&shown, 14, false)));
                let invoice = shown.invoice("renewal", 14, 0, 14);
                told.push(("subscription_payment_success", ("subscription-invoices", id + 1, invoice)));
            }
            Trial::PastDue => {
                shown.status = "past_due";
                told.push(("subscription_updated", snapshot(&shown, 14, false)));
            }
            Trial::CancelledAtEnd => {
                shown.cancels = true;
                told.push(("subscription_cancelled", snapshot(&shown, 10, false)));
            }
            Trial::CancelledAtOnce => told.push(("subscription_expired", snapshot(&shown, 10, true))),
        }
        events(told)
    }

    fn answer(&self, path: &str) -> Option<Value> {
        let id = path.strip_prefix("/v1/orders/")?.strip_suffix("?include=order-items,subscriptions")?;
        let item = json!({ "order_id": id, "product_id": 5, "variant_id": "A", "quantity": 1 });
        Some(json!({ "data": { "type": "orders", "id": id, "attributes": { "status": "paid" } }, "included": [
            { "type": "order-items", "id": id, "attributes": item },
            { "type": "subscriptions", "id": id, "attributes": { "order_id": id, "order_item_id": id } },
        ] }))
    }

    fn headers(&self, body: &str, _: Timestamp) -> Vec<(&'static str, String)> {
        vec![("x-signature", sign(&SECRET.into(), body.as_bytes()))]
    }

    fn reference(&self, name: &str) -> String {
        format!("subscription:{}", number(name))
    }
}

fn events(told: Vec<(&str, (&str, u64, Value))>) -> Vec<String> {
    let event = |(kind, (object, id, attributes)): (&str, (&str, u64, Value))| {
        json!({
            "meta": { "event_name": kind, "test_mode": true },
            "data": { "type": object, "id": id.to_string(), "attributes": attributes }
        })
        .to_string()
    };
    told.into_iter().map(event).collect()
}

/// What a webhook that was lost would have told, and what an invoice of a change paid for, nobody says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_of_a_period_that_nobody_told_of_is_worth_three_days_and_a_persons_look() {
    let (unknown, unlinked) = (Some("period_unknown"), Some("payment_unlinked"));
    for (words, expected, attention) in [
        (
            &["order", "subscription", "initial", "renewal"][..],
            "A ×1 active renewal_awaited until 35, at risk, expired on 49, look again 49",
            unknown,
        ),
        (&["subscription", "renewal", "renewed"], "A ×1 active paid until 60, look again 60", None),
        (
            &["overdue", "renewal"],
            "A ×1 active payment_past_due until 35, at risk, frozen on 49, look again 49",
            unknown,
        ),
        (&["subscription", "initial", "yearly", "change refunded"], "A ×1 revoked refunded_in_full until 30", None),
        (
            &["subscription", "initial", "change refunded"],
            "A ×1 active renewal_awaited until 30, at risk, expired on 44, look again 44",
            unlinked,
        ),
    ] {
        let arrivals = permutations(words.len()).into_iter().zip(0..);
        let story = |(arrival, number): (Vec<usize>, u32)| Story {
            name: format!("ada{number}"),
            what: format!("{arrival:?}"),
            arrival: events(
                arrival.iter().map(|place| told(&Shown::new(&format!("ada{number}")), words[*place])).collect(),
            ),
            expected: expected.to_owned(),
        };
        let stories: Vec<Story> = arrivals.map(story).collect();
        let shop = Shop::open(&[&LemonSqueezy], NO_KEY).await;
        shop.tell(&LemonSqueezy, &stories).await;
        shop.pass_time().await;
        let names: Vec<&str> = stories.iter().map(|story| story.name.as_str()).collect();
        for (Story { what, expected, .. }, outcome) in stories.iter().zip(shop.outcomes(&LemonSqueezy, &names).await) {
            assert_eq!(outcome, *expected, "{words:?} in the order {what}");
        }
        let each: Vec<&str> = attention.into_iter().flat_map(|kind| vec![kind; stories.len()]).collect();
        assert_eq!(shop.0.attention().await, each, "{words:?}");
    }
}

/// One event of a subscription.
fn told(shown: &Shown<'_>, word: &str) -> (&'static str, (&'static str, u64, Value)) {
    let invoice = |number: u64, reason, made_at, refunded| {
        ("subscription-invoices", shown.id + number, shown.invoice(reason, made_at, refunded, made_at))
    };
    let snapshot = |status, until, at| {
        let shown = Shown { status, until, ..Shown::new(shown.name) };
        ("subscriptions", shown.id, shown.subscription(at, false))
    };
    match word {
        "order" => ("order_created", ("orders", shown.id, shown.order(1_000, 0, 0))),
        "subscription" => ("subscription_created", snapshot("active", 30, 0)),
        "initial" => ("subscription_payment_success", invoice(1, "initial", 0, 0)),
        "overdue" => ("subscription_updated", snapshot("past_due", 30, 31)),
        "renewal" => ("subscription_payment_success", invoice(2, "renewal", 32, 0)),
        "renewed" => ("subscription_updated", snapshot("active", 60, 32)),
        "yearly" => ("subscription_updated", snapshot("active", 375, 10)),
        "change refunded" => ("subscription_payment_refunded", invoice(3, "updated", 10, 1_000)),
        other => panic!("{other}"),
    }
}
