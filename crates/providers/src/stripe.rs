//! Stripe: snapshot events of every API version, signed with the endpoint's secret.
//!
//! Stripe does not promise the order of events, and may make two event objects for one thing. So a fact says only what
//! an object says of itself, keyed by that object's id; where a snapshot replaces another (a subscription) a fresh look
//! orders them if the key allows one, and the event's own time if not. Each kind of object has its file here.

mod accounts;
mod backfill;
mod checkout;
mod customer;
mod event;
mod ignored;
mod invoice;
mod lookup;
mod outgoing;
mod payment;
mod preflight;
mod price;
mod sale;
mod selling;
mod subscription;

use domain::{fact::Fact, order::Missing};
use jiff::Timestamp;
use secrecy::SecretString;

use self::{
    event::Event,
    lookup::{LookUps, Stop},
};
use crate::{
    ApiBase, Delivery, Guide, Incoming, Info, Malformed, Outcome, Provider, Reject, Settings, Step, Verified,
    accounts::Accounts,
    backfill::Backfill,
    calls::{KeyCheck, NewWebhook, NotCreated, Unsupported, Uses, WriteBack},
    http::{Answer, HttpAnswer, Request},
    read,
    selling::Selling,
    signature,
};

/// The provider of this module.
#[derive(Debug)]
pub struct Stripe;

static INFO: Info = Info {
    slug: "stripe",
    name: "Stripe",
    events: &[
        "checkout.session.completed",
        "checkout.session.async_payment_succeeded",
        "checkout.session.async_payment_failed",
        "customer.created",
        "customer.updated",
        "customer.deleted",
        "customer.subscription.created",
        "customer.subscription.updated",
        "customer.subscription.deleted",
        "customer.subscription.paused",
        "customer.subscription.resumed",
        "invoice.paid",
        "invoice.payment_failed",
        "invoice.updated",
        "invoice_payment.paid",
        "charge.refunded",
        "charge.refund.updated",
        "refund.created",
        "refund.updated",
        "refund.failed",
        "charge.dispute.created",
        "charge.dispute.updated",
        "charge.dispute.closed",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.funds_reinstated",
    ],
    permissions: &[(Missing::Lines, "Checkout Sessions: read"), (Missing::PaymentLink, "Invoices: read")],
    api_base: ApiBase::both("https://api.stripe.com"),
    // Older versions than it do not know invoice payments, which would read as "no link".
    api_headers: &[("stripe-version", VERSION)],
    guide: Guide {
        endpoint: "In the Stripe Dashboard open *Developers → Webhooks*, choose *Add endpoint* and paste the address.",
        secret: "The endpoint's page shows it under *Signing secret*. It begins with `whsec_`.",
        api_key: Some(
            "*Developers → API keys → Create restricted key*. With a key, `keywright connect stripe` makes the endpoint by \
             itself, keeps its secret, and says which permissions the key lacks. Without one, only payment links and \
             checkouts that name a plan in their metadata say what was bought.",
        ),
        redirect: None,
        price: "`price` is the id of a price of a product; it stands on the product's page.",
        price_example: "price_1Abc",
        notes: &[
            "A checkout that is completed is not always paid: a bank debit takes days. The license comes with the money.",
            "The end of a subscription that was cancelled for the end of its period is told when it comes.",
            "An operator whose vendors connect accounts makes a second endpoint, for events on connected accounts, at \
             `https://YOUR-SERVER/api/stripe/webhook/connect`, with `account.application.deauthorized` beside the events \
             above, and sets `STRIPE_CONNECT_WEBHOOK_SECRET` to its secret and `STRIPE_SECRET_KEY` to the platform's key.",
            "A refund that waits or fails changes nothing; a part of a refund does what the plan's policy says.",
        ],
    },
};

/// The version of Stripe's API that is asked, and in which an endpoint of our making delivers.
const VERSION: &str = "2026-08-26.dahlia";

/// What Stripe reads when a call is not believed. A connection without a secret answers the same: who has no signature
/// need not learn which it was. The difference is on the connection's page.
const REJECTED: &str = "Webhook signature verification failed";

impl Provider for Stripe {
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
        signature::STRIPE.verify((delivery.header)("stripe-signature"), delivery.body, secrets, settings, now)
    }

    fn accounts(&self) -> Option<&'static dyn Accounts> {
        Some(&accounts::Connect)
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
        Stop::or_facts(facts(translate, incoming, look_ups))
    }

    fn backfill(&self) -> Option<&'static dyn Backfill> {
        Some(&backfill::Events)
    }

    fn selling(&self) -> Option<&'static dyn Selling> {
        Some(&selling::Shop)
    }

    fn answer(&self, outcome: &Outcome) -> HttpAnswer {
        match outcome {
            Outcome::Received { .. } => HttpAnswer::json(200, r#"{"received":true}"#),
            Outcome::Rejected(_) => HttpAnswer::text(400, REJECTED),
        }
    }

    fn is_live_key(&self, key: &str) -> Option<bool> {
        let begins = |kinds: [&str; 2]| kinds.iter().any(|kind| key.starts_with(kind));
        match (begins(["sk_live_", "rk_live_"]), begins(["sk_test_", "rk_test_"])) {
            (false, false) => None,
            (live, _) => Some(live),
        }
    }

    fn preflight(&self, uses: Uses) -> Vec<Request> {
        preflight::questions(uses)
    }

    fn check_key(&self, uses: Uses, answers: &[Answer], live: bool) -> KeyCheck {
        preflight::read(uses, answers, live)
    }

    fn write_back(&self, note: &WriteBack<'_>) -> Result<Request, Unsupported> {
        outgoing::write_back(note)
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
        "checkout.session.completed"
        | "checkout.session.async_payment_succeeded"
        | "checkout.session.async_payment_failed" => checkout::session,
        "customer.created" | "customer.updated" | "customer.deleted" => customer::customer,
        "customer.subscription.created"
        | "customer.subscription.updated"
        | "customer.subscription.deleted"
        | "customer.subscription.paused"
        | "customer.subscription.resumed" => subscription::subscription,
        "invoice.paid" => invoice::paid,
        "invoice.payment_failed" => invoice::payment_failed,
        "invoice.updated" => invoice::updated,
        "invoice_payment.paid" => invoice::invoice_payment,
        "charge.succeeded" | "charge.updated" | "charge.refunded" => payment::charge,
        "charge.refund.updated" | "refund.created" | "refund.updated" | "refund.failed" => payment::refund,
        "charge.dispute.created"
        | "charge.dispute.updated"
        | "charge.dispute.closed"
        | "charge.dispute.funds_withdrawn"
        | "charge.dispute.funds_reinstated" => payment::dispute,
        _ => return None,
    })
}

fn facts(translate: Translate, incoming: &Incoming, look_ups: LookUps<'_>) -> Result<Vec<Fact>, Stop> {
    translate(&Event::read(incoming)?, look_ups)
}
