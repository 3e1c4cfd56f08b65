//! The plans and prices of the source documents, as the samples that are shipped have them (A13, E23, E24, X14): every price
//! is sold, and the license of each sale has the numbers of the document's table.

use std::sync::Arc;

use domain::{decision::Catalogue, plan::Limits, text::Reference};
use engine::{
    Dial, DialError, Dialled, configuration::ConfigurationFile, connections::Connection, receive::Received,
    tenants::DEFAULT_TENANT,
};
use futures::future::BoxFuture;
use providers::{Delivery, http::Request, signature};
use serde_json::{Value, json};
use store::testing::TestDatabase;

use crate::harness::Harness;

const OF_STRIPE: &str = include_str!("../../../keywright/samples/traffic-orchestrator-stripe.toml");
const OF_PADDLE: &str = include_str!("../../../keywright/samples/traffic-orchestrator-paddle.toml");

const STRIPES_SECRET: &str = "whsec_0123456789abcdef";
const PADDLES_SECRET: &str = "pdl_ntfset_0123456789abcdef";

/// What a plan allows: its code, activations, checks per month, features.
type Row = (&'static str, u32, Option<u32>, &'static [&'static str]);

/// `planConfig` of the document about Stripe.
const STRIPES_TABLE: [Row; 3] = [
    ("starter", 5, Some(1_000), &["basic"]),
    ("professional", 25, Some(10_000), &["basic", "analytics", "webhooks"]),
    ("business", 100, Some(100_000), &["basic", "analytics", "webhooks", "sso", "priority_support"]),
];

/// The tiers of `PADDLE_PRICE_MAP`.
const PADDLES_TABLE: [Row; 3] = [
    ("starter", 3, None, &["basic"]),
    ("pro", 10, None, &["basic", "api", "analytics"]),
    ("business", 25, None, &["basic", "api", "analytics", "whitelabel"]),
];

/// Both providers, for a key that may look up what it wants: every checkout was for a price that nobody mapped.
struct Shops;

impl Dial for Shops {
    fn dial<'a>(&'a self, _: &'a Connection, request: &'a Request) -> BoxFuture<'a, Result<Dialled, DialError>> {
        let body = match request.path.starts_with("/customers/") {
            true => json!({ "data": { "id": "ctm_ada", "email": "ada@example.com" } }),
            false => json!({ "data": [{ "id": "li_1", "price": { "id": "price_unmapped" }, "quantity": 1 }] }),
        };
        Box::pin(std::future::ready(Ok(Dialled { status: 200, body: body.to_string(), retry_after_seconds: None })))
    }
}

async fn shop(sample: &str) -> Harness {
    let harness = Harness::with_dialler(TestDatabase::sqlite().await, Arc::new(Shops)).await;
    let secret = |source: &str| {
        let secret = match source {
            "env:STRIPE_WEBHOOK_SECRET" => STRIPES_SECRET,
            "env:STRIPE_SECRET_KEY" => "rk_test_1",
            "env:PADDLE_WEBHOOK_SECRET" => PADDLES_SECRET,
            _ => "pdl_sdbx_apikey_1",
        };
        Ok(secret.to_owned())
    };
    harness.engine.apply(&ConfigurationFile::parse(sample).unwrap(), &secret, false, "test").await.unwrap();
    harness
}

fn limits((_, activations, checks_per_month, features): Row) -> Limits {
    let features = features.iter().map(|feature| (*feature).to_owned()).collect();
    Limits { activations: Some(activations), checks_per_month, features }
}

async fn catalogue(harness: &Harness) -> Catalogue {
    harness.engine.store.snapshot().await.unwrap().catalogue(harness.tenant).await.unwrap()
}

/// Delivers a sale, and says which plan its one license is of and what that allows.
async fn sold(harness: &Harness, provider: &str, event: &Value, reference: &str) -> (String, Limits) {
    let (body, now) = (event.to_string(), harness.engine.now());
    let (name, signed) = match provider {
        "stripe" => ("stripe-signature", signature::STRIPE.sign(&STRIPES_SECRET.into(), body.as_bytes(), now)),
        _ => ("paddle-signature", signature::PADDLE.sign(&PADDLES_SECRET.into(), body.as_bytes(), now)),
    };
    let header = |asked: &str| (asked == name).then_some(signed.as_str());
    let delivery = Delivery { header: &header, body: body.as_bytes() };
    let Received::Answer(answer) = harness.engine.receive(provider, DEFAULT_TENANT, &delivery).await else {
        panic!("{reference} is not answered")
    };
    assert_eq!(answer.status, 200, "{reference}");
    harness.settle().await;
    let connection = harness.connection(provider).await;
    let found = harness.engine.store.order_licenses(connection, &Reference::new(reference)).await.unwrap();
    let (_, licenses) = found.unwrap_or_else(|| panic!("{reference} has no order"));
    let [license] = &licenses[..] else { panic!("{reference}: {} licenses", licenses.len()) };
    let catalogue = catalogue(harness).await;
    let plan = catalogue.plan(license.plan).unwrap();
    (plan.code.to_string(), license.limits(&plan.terms.limits))
}

#[tokio::test]
async fn each_sample_has_the_plans_of_its_document_and_no_others() {
    for (sample, table) in [(OF_STRIPE, STRIPES_TABLE), (OF_PADDLE, PADDLES_TABLE)] {
        let harness = shop(sample).await;
        let catalogue = catalogue(&harness).await;
        let mut plans: Vec<_> =
            catalogue.plans().map(|plan| (plan.code.to_string(), plan.terms.limits.clone())).collect();
        plans.sort_by_key(|(_, limits)| limits.activations);
        assert_eq!(plans, table.map(|row| (row.0.to_owned(), limits(row))));
    }
}

#[tokio::test]
async fn a_checkout_is_of_the_plan_that_its_metadata_names_and_otherwise_the_starter() {
    let harness = shop(OF_STRIPE).await;
    let [starter, professional, business] = STRIPES_TABLE;
    for (named, row) in [
        (Some("starter"), starter),
        (Some("professional"), professional),
        (Some("business"), business),
        (None, starter),
    ] {
        let session = format!("cs_test_{}", named.unwrap_or("nameless"));
        let metadata = named.map_or(json!({}), |plan| json!({ "plan_id": plan }));
        let event = json!({
            "id": format!("evt_{session}"), "object": "event", "type": "checkout.session.completed", "livemode": false,
            "created": harness.engine.now().as_second(),
            "data": { "object": {
                "id": session, "object": "checkout.session", "mode": "payment", "status": "complete",
                "payment_status": "paid", "payment_intent": format!("pi_{session}"), "amount_total": 4900,
                "currency": "eur", "metadata": metadata, "customer_details": { "email": "ada@example.com" },
            } },
        });
        let expected = (row.0.to_owned(), limits(row));
        assert_eq!(sold(&harness, "stripe", &event, &session).await, expected, "{named:?}");
    }
}

#[tokio::test]
async fn each_of_the_six_prices_leads_to_its_tier_and_any_other_to_the_smallest() {
    let harness = shop(OF_PADDLE).await;
    let [starter, pro, business] = PADDLES_TABLE;
    for (price, row) in [
        ("pri_starter_mo", starter),
        ("pri_starter_yr", starter),
        ("pri_pro_mo", pro),
        ("pri_pro_yr", pro),
        ("pri_business_mo", business),
        ("pri_business_yr", business),
        ("pri_nobody_mapped", starter),
    ] {
        let transaction = format!("txn_{price}");
        let interval = if price.ends_with("_yr") { "year" } else { "month" };
        let now = harness.engine.now();
        let event = json!({
            "event_id": format!("evt_{price}"), "event_type": "transaction.completed", "occurred_at": now,
            "data": {
                "id": transaction, "origin": "web", "customer_id": "ctm_ada", "subscription_id": format!("sub_{price}"),
                "currency_code": "EUR", "details": { "totals": { "grand_total": "1900" } },
                "billing_period": { "ends_at": now + jiff::SignedDuration::from_hours(30 * 24) },
                "items": [{ "quantity": 1, "price": { "id": price, "billing_cycle": { "interval": interval } } }],
            },
        });
        let expected = (row.0.to_owned(), limits(row));
        assert_eq!(sold(&harness, "paddle", &event, &transaction).await, expected, "{price}");
    }
    assert!(harness.attention().await.is_empty(), "no price waits for a person");
}
