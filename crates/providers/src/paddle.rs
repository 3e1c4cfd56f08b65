//! Paddle Billing: whole snapshots, ordered by the moment at which each event happened.
//!
//! A transaction names its subscription, and an adjustment its transaction, so the events of one sale meet by themselves.
//! Nothing in a sale says who bought it but the customer's id: that is looked up, or awaited from the customer's own event.
//! Each kind of object has its file here.

mod adjustment;
mod backfill;
mod customer;
mod event;
mod ignored;
mod outgoing;
mod preflight;
mod price;
mod subscription;
mod transaction;

use domain::{fact::Fact, order::Missing};
use jiff::Timestamp;
use secrecy::SecretString;

use self::event::Event;
use crate::{
    ApiBase, Delivery, Guide, Incoming, Info, Malformed, Outcome, Provider, Reject, Settings, Step, Verified,
    backfill::Backfill,
    calls::{KeyCheck, NewWebhook, NotCreated, Unsupported, Uses},
    http::{Answer, HttpAnswer, Request},
    lookup::{LookUps, Stop},
    read, signature,
};

/// The provider of this module.
#[derive(Debug)]
pub struct Paddle;

static INFO: Info = Info {
    slug: "paddle",
    name: "Paddle",
    events: &[
        "transaction.completed",
        "subscription.created",
        "subscription.trialing",
        "subscription.activated",
        "subscription.updated",
        "subscription.past_due",
        "subscription.paused",
        "subscription.resumed",
        "subscription.canceled",
        "subscription.imported",
        "adjustment.created",
        "adjustment.updated",
        "customer.created",
        "customer.updated",
        "customer.imported",
    ],
    permissions: &[(Missing::Customer, "Customers: read")],
    api_base: ApiBase { live: "https://api.paddle.com", test: "https://sandbox-api.paddle.com" },
    api_headers: &[("paddle-version", "1")],
    guide: Guide {
        endpoint: "In Paddle open *Developer tools → Notifications*, choose *New destination*, then *URL* as its type, and \
                   paste the address.",
        secret: "*Edit destination* on the list of destinations shows it under *Secret key*. It begins with `pdl_ntfset_`.",
        api_key: Some(
            "*Developer tools → Authentication → API keys → New API key*, with the permissions *Customers: read* and \
             *Notifications: read*. With a key, the buyer's address is looked up and lost webhooks are caught up; with \
             *Notification settings: write*, too, `keywright connect paddle` makes the destination and keeps its secret. \
             Without one, a license is mailed once an event of the customer tells the address, so leave the customer events on. \
             Paddle lets a key expire after 90 days unless you say otherwise when you make it.",
        ),
        redirect: None,
        price: "`price` is the id of a price of a product: *Catalog → Products*, the product, and the menu beside the price \
                copies it.",
        price_example: "pri_01h1vjes1y163xfj1rh1tkfb65",
        notes: &[
            "The sandbox is an account of its own at `sandbox-vendors.paddle.com`, with its own prices, keys and \
             destinations: it is a connection of its own, in test mode.",
            "`transaction.completed` gives the license, and comes a moment after `transaction.paid`.",
            "The custom data of a price or product may name the plan that it gives (`plan_id`). What a checkout's page sends as \
             `customData` is not believed, since a buyer can change it there. Only with `plan_from_custom_data = true` at the \
             connection does the custom data of a transaction, or of an imported subscription, name the plan, before any \
             price rule.",
            "A refund counts once Paddle has approved it. In the sandbox that takes up to ten minutes.",
            "A chargeback takes the license back, of whatever part of the payment it is, until Paddle has won it back.",
            "`subscription.canceled` means that it is over now. A cancellation for the end of the period is told before, by \
             `subscription.updated`.",
            "Paddle does not say when it tries again to collect an overdue payment: give a plan as many days of grace as your \
             account goes on trying.",
            "A payload that *Developer tools → Simulations* makes up looks like a sale: let its destination be another one.",
        ],
    },
};

/// What Paddle reads when a call is not believed (E11). A connection without a secret answers the same: who has no
/// signature need not learn which it was. The difference is on the connection's page.
const REJECTED: &str = r#"{"error":"Invalid signature"}"#;

impl Provider for Paddle {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn verify<'a>(
        &self,
        delivery: &Delivery<'a>,
        secrets: &[SecretString],
        settings: &Settings,
        now: Timestamp,
    ) -> Result<Verified<'a>, Reject> {
        signature::PADDLE.verify((delivery.header)("paddle-signature"), delivery.body, secrets, settings, now)
    }

    fn incoming(&self, verified: &Verified<'_>) -> Result<Vec<Incoming>, Malformed> {
        event::incoming(verified.body()).map(|incoming| vec![incoming])
    }

    fn ignores(&self, kind: &str) -> Option<&'static str> {
        translator(kind).is_none().then(|| read::reason_for(kind, ignored::REASONS))
    }

    fn translate(&self, incoming: &Incoming, settings: &Settings, answers: &[Answer]) -> Result<Step, Malformed> {
        let Some(translate) = translator(&incoming.kind) else { return Ok(Step::Facts(Vec::new())) };
        let look_ups = LookUps { level: settings.level, answers };
        Stop::or_facts(facts(translate, incoming, settings, look_ups))
    }

    fn backfill(&self) -> Option<&'static dyn Backfill> {
        Some(&backfill::Events)
    }

    fn answer(&self, outcome: &Outcome) -> HttpAnswer {
        match outcome {
            Outcome::Received { .. } => HttpAnswer::json(200, r#"{"received":true}"#),
            Outcome::Rejected(_) => HttpAnswer::json(401, REJECTED),
        }
    }

    fn is_live_key(&self, key: &str) -> Option<bool> {
        match (key.starts_with("pdl_live_apikey_"), key.starts_with("pdl_sdbx_apikey_")) {
            (false, false) => None,
            (live, _) => Some(live),
        }
    }

    fn preflight(&self, uses: Uses) -> Vec<Request> {
        preflight::questions(uses)
    }

    fn check_key(&self, _: Uses, answers: &[Answer], live: bool) -> KeyCheck {
        preflight::read(answers, live)
    }

    fn create_webhook(&self, url: &str, attempt: &str) -> Result<Request, Unsupported> {
        Ok(outgoing::create_webhook(url, attempt))
    }

    fn webhook_created(&self, status: u16, body: &str) -> Result<NewWebhook, NotCreated> {
        outgoing::webhook_created(status, body)
    }
}

/// Says what an event of one kind means.
type Translate = fn(&Event<'_>, LookUps<'_>) -> Result<Vec<Fact>, Stop>;

/// Who knows what events of a kind mean. A kind that is not named here means nothing for licenses, and [`ignored`] says why.
fn translator(kind: &str) -> Option<Translate> {
    Some(match kind {
        "transaction.completed" => transaction::completed,
        "subscription.created"
        | "subscription.trialing"
        | "subscription.activated"
        | "subscription.updated"
        | "subscription.past_due"
        | "subscription.paused"
        | "subscription.resumed"
        | "subscription.canceled"
        | "subscription.imported" => subscription::subscription,
        "adjustment.created" | "adjustment.updated" => adjustment::adjustment,
        "customer.created" | "customer.updated" | "customer.imported" => customer::customer,
        _ => return None,
    })
}

fn facts(
    translate: Translate,
    incoming: &Incoming,
    settings: &Settings,
    look_ups: LookUps<'_>,
) -> Result<Vec<Fact>, Stop> {
    translate(&Event::read(incoming, settings)?, look_ups)
}
