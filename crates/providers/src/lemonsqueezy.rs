//! Lemon Squeezy: one JSON:API object an event, signed with the webhook's secret.
//!
//! Its events have no id and their signature no time, so an event is known by what it says: what happened to which object,
//! as of which change. One sale is an order, its subscription and its invoices, each an object of its own; only the
//! subscription names both others. An invoice does not tell which period it paid, and the subscription tells until when it
//! is paid (`renews_at`), so the domain finds out which belongs to which (`Order::with_payments_of_periods`). Ids are
//! counted per kind of object, so every reference has its kind in front.
//!
//! Lemon Squeezy sells in its own name: a buyer's bank that takes money back takes it from Lemon Squeezy, which tells it as
//! a refund. There are no disputes here.

mod backfill;
mod event;
mod ignored;
mod invoice;
mod license_key;
mod order;
mod signature;
mod subscription;

use domain::{fact::Fact, text::Reference};
use jiff::Timestamp;
use secrecy::SecretString;

use self::event::Event;
pub use self::signature::sign;
use crate::{
    ApiBase, Delivery, Guide, Incoming, Info, LicenseKeys, Malformed, Outcome, Provider, Reject, Settings, Step,
    Verified,
    backfill::Backfill,
    http::{Answer, HttpAnswer},
    lookup::{LookUps, Stop},
};

/// The provider of this module.
#[derive(Debug)]
pub struct LemonSqueezy;

static INFO: Info = Info {
    slug: "lemonsqueezy",
    name: "Lemon Squeezy",
    events: &[
        "order_created",
        "order_refunded",
        "subscription_created",
        "subscription_updated",
        "subscription_cancelled",
        "subscription_resumed",
        "subscription_expired",
        "subscription_paused",
        "subscription_unpaused",
        "subscription_payment_success",
        "subscription_payment_recovered",
        "subscription_payment_refunded",
        "license_key_created",
        "license_key_updated",
    ],
    // Its keys may read everything or are none.
    permissions: &[],
    api_base: ApiBase::both("https://api.lemonsqueezy.com"),
    api_headers: &[("accept", "application/vnd.api+json"), ("content-type", "application/vnd.api+json")],
    guide: Guide {
        endpoint: "In the dashboard open *Settings → Webhooks*, press *+*, paste the address as the *Callback URL* and tick \
                   the events. Test mode has webhooks of its own.",
        secret: "You choose it yourself: type 6 to 40 characters nobody can guess into *Signing secret*, and the same here.",
        api_key: Some(
            "*Settings → API → +*, in the same mode as the webhook. Lemon Squeezy tries only four times in three minutes to \
             deliver an event, and sends none when only a quantity changes: with a key, both are found in its lists. A \
             key is good for a year. It reads all stores of the account, so name the one of this connection: the number \
             beside its name in *Settings → Stores*. What another store of yours sells needs a connection of its own.",
        ),
        redirect: None,
        price: "A variant of a product. Its id is a number: *Products → the product → the variant's menu → Copy ID*.",
        price_example: "123456",
        notes: &[
            "What a checkout's address carries is not believed: whoever opens it could choose their plan. Only with \
             `plan_from_custom_data = true` at the connection does `checkout[custom][plan_id]=CODE` name the plan, before any \
             price rule.",
            "A subscription that is cancelled stays valid until the end of what was paid, and can be resumed until then.",
            "A paused subscription freezes its licenses, unless it was paused with *free* service.",
            "A product with *Generate license keys* switched on gives out keys of Lemon Squeezy's own, which it mails itself. With \
             `license_keys = \"theirs\"` at the connection those open the licenses; otherwise switch them off, or your customers \
             have two keys. Lemon Squeezy gives one key for each item of an order: let the price rule say \
             `quantity = \"seats\"`.",
            "An order's event shows its first item alone. Whoever sells several variants in one order gives the connection a key to the \
             API, which tells them all; without one, a person hears of an order that cost more than the item it shows.",
            "An order does not tell whether what was bought renews. With a key to the API the price is looked up; without one the order \
             counts as bought once until the events of its subscription say otherwise, so have all of them delivered.",
            "There are no disputes: Lemon Squeezy sells in its own name, and money that goes back is a refund.",
        ],
    },
};

impl Provider for LemonSqueezy {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn verify<'a>(
        &self,
        delivery: &Delivery<'a>,
        secrets: &[SecretString],
        _: &Settings,
        _: Timestamp,
    ) -> Result<Verified<'a>, Reject> {
        signature::verify((delivery.header)("x-signature"), delivery.body, secrets)
    }

    fn signs_time(&self) -> bool {
        false
    }

    fn incoming(&self, verified: &Verified<'_>) -> Result<Vec<Incoming>, Malformed> {
        event::incoming(verified.body()).map(|incoming| vec![incoming])
    }

    fn ignores(&self, kind: &str) -> Option<&'static str> {
        let is_translated = kind.starts_with(LICENSE_KEY) || translator(kind).is_some();
        (!is_translated).then(|| ignored::why(kind))
    }

    fn translate(&self, incoming: &Incoming, settings: &Settings, answers: &[Answer]) -> Result<Step, Malformed> {
        if settings.store.as_deref().is_some_and(|store| !event::is_of_store(&incoming.body, store)) {
            return Ok(Step::Facts(Vec::new()));
        }
        if incoming.kind.starts_with(LICENSE_KEY) {
            return match settings.license_keys {
                LicenseKeys::Ours => Ok(Step::Facts(Vec::new())),
                LicenseKeys::Theirs => license_key::license_key(incoming).map(Step::Facts),
            };
        }
        let Some(translate) = translator(&incoming.kind) else { return Ok(Step::Facts(Vec::new())) };
        let look_ups = LookUps { level: settings.level, answers };
        Stop::or_facts(
            Event::read(incoming).map_err(Stop::from).and_then(|event| translate(&event.believed(settings), look_ups)),
        )
    }

    fn has_stores(&self) -> bool {
        true
    }

    fn gives_keys(&self) -> bool {
        true
    }

    fn given_key(&self, body: &str) -> Option<SecretString> {
        license_key::given_in(body)
    }

    fn backfill(&self) -> Option<&'static dyn Backfill> {
        Some(&backfill::Lists)
    }

    fn answer(&self, outcome: &Outcome) -> HttpAnswer {
        match outcome {
            Outcome::Received { .. } => HttpAnswer::json(200, r#"{"received":true}"#),
            Outcome::Rejected(_) => HttpAnswer::text(401, "Invalid signature"),
        }
    }
}

/// What the kinds of events begin with that are about keys of Lemon Squeezy's own.
const LICENSE_KEY: &str = "license_key_";

/// Says what an event of one kind means.
type Translate = fn(&Event<'_>, LookUps<'_>) -> Result<Vec<Fact>, Stop>;

/// Who knows what events of a kind mean. A kind that is not named here means nothing for licenses, and [`ignored`] says why.
fn translator(kind: &str) -> Option<Translate> {
    Some(match kind {
        "order_created" | "order_refunded" => order::order,
        "subscription_created"
        | "subscription_updated"
        | "subscription_cancelled"
        | "subscription_resumed"
        | "subscription_expired"
        | "subscription_paused"
        | "subscription_unpaused"
        | "subscription_plan_changed" => subscription::subscription,
        "subscription_payment_success" | "subscription_payment_recovered" | "subscription_payment_refunded" => {
            invoice::invoice
        }
        _ => return None,
    })
}

/// Names of the parts of a sale. Lemon Squeezy counts each kind of object by itself.
fn named(kind: &str, id: &str) -> Reference {
    Reference::new(format!("{kind}:{id}"))
}

/// What started a subscription: its order and its first invoice are this one payment. Each of them knows the subscription
/// or is known to it, and not the other.
fn first_payment(subscription: &Reference) -> Reference {
    Reference::new(format!("{subscription}:first"))
}
