//! A signed webhook in our own words, for any shop that no module of ours knows: `order.paid`, `order.changed`,
//! `order.refunded`, `order.disputed`, `order.ended`.
//!
//! Whoever writes these events reads our documentation, so a field that is not ours is a mistake to be told, not one to be
//! passed over. Every event that is about the state of an order tells all of it, so that a lost one is made up for by the
//! next. The names of a shop's orders and payments may be the same, so each kind has a word in front.

mod body;

use jiff::Timestamp;
use secrecy::SecretString;

use self::body::{Envelope, Event};
use crate::{
    ApiBase, Delivery, Guide, Incoming, Info, Malformed, Outcome, Provider, Reject, Settings, Step, Verified,
    http::{Answer, HttpAnswer},
    signature,
};

/// The provider of this module.
#[derive(Debug)]
pub struct Generic;

/// The header that carries the signature, in lower case.
pub const SIGNATURE: &str = "x-keywright-signature";

static INFO: Info = Info {
    slug: "generic",
    name: "Any other shop",
    events: &["order.paid", "order.changed", "order.refunded", "order.disputed", "order.ended"],
    permissions: &[],
    api_base: ApiBase::both(""),
    api_headers: &[],
    guide: Guide {
        endpoint: include_str!("generic/endpoint.md"),
        secret: "The secret is yours to make: at least 32 random characters, known to your shop and to this server alone \
                 (`openssl rand -hex 32`).",
        api_key: None,
        redirect: None,
        price: "`price` is whatever your shop calls what it sells. An item that names a `plan` needs no rule.",
        price_example: "studio-pro",
        notes: &[
            "Send an event again until it is answered with 200: the same `id` is the same event, however often it comes.",
            "The order of arrival does not matter; `occurred_at` says what came later.",
            "A body with a field that is not in this page is answered with `\"understood\":false`, kept, and shown among what \
             needs attention with the place of the mistake. Send it right, under the same `id`.",
            "A refund tells all that has gone back of its payment so far, not what went back this time.",
        ],
    },
};

impl Provider for Generic {
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
        signature::STRIPE.verify((delivery.header)(SIGNATURE), delivery.body, secrets, settings, now)
    }

    fn incoming(&self, verified: &Verified<'_>) -> Result<Vec<Incoming>, Malformed> {
        let text = str::from_utf8(verified.body()).map_err(|error| Malformed { what: error.to_string() })?;
        let Envelope { id, kind, occurred_at, livemode, order } = body::read(text)?;
        let kind = String::from(kind);
        // Read whole at once, so that whoever posts learns in the answer whether it makes sense.
        if self.ignores(&kind).is_none() {
            Event::read(&kind, order)?.fact(occurred_at)?;
        }
        Ok(vec![Incoming {
            key: id.into(),
            kind,
            occurred_at: Some(occurred_at),
            live: livemode,
            account: None,
            body: text.to_owned(),
        }])
    }

    fn ignores(&self, kind: &str) -> Option<&'static str> {
        let says_something = INFO.events.contains(&kind);
        (!says_something).then_some("only order.paid, .changed, .refunded, .disputed and .ended say something")
    }

    fn translate(&self, incoming: &Incoming, _: &Settings, _: &[Answer]) -> Result<Step, Malformed> {
        if self.ignores(&incoming.kind).is_some() {
            return Ok(Step::Facts(Vec::new()));
        }
        let Envelope { occurred_at, order, .. } = body::read(&incoming.body)?;
        Event::read(&incoming.kind, order)?.fact(occurred_at).map(|fact| Step::Facts(vec![fact]))
    }

    fn answer(&self, outcome: &Outcome) -> HttpAnswer {
        match outcome {
            Outcome::Received { kinds } if kinds.is_empty() => {
                HttpAnswer::json(200, r#"{"received":true,"understood":false}"#)
            }
            Outcome::Received { .. } => HttpAnswer::json(200, r#"{"received":true,"understood":true}"#),
            Outcome::Rejected(reject) => {
                HttpAnswer::json(401, serde_json::json!({ "error": reject.to_string() }).to_string())
            }
        }
    }
}
