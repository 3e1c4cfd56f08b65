//! The envelope of an event. It does not say whose money it is about: live and sandbox are two environments, each with its
//! own endpoints, so the connection knows.

use std::collections::BTreeMap;

use domain::text::PlanCode;
use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

pub(super) use crate::read::lacks;
use crate::{
    Incoming, Malformed, Settings,
    read::{self, malformed},
    sale,
};

#[derive(Deserialize)]
struct Envelope {
    /// One event may be delivered as several notifications, each with an id of its own, and is in the list without any.
    #[serde(default, deserialize_with = "read::text")]
    event_id: Option<String>,
    #[serde(default, deserialize_with = "read::text")]
    event_type: Option<String>,
    #[serde(default, deserialize_with = "read::instant")]
    occurred_at: Option<Timestamp>,
    /// What Paddle Classic calls the kind of its alerts.
    #[serde(default, deserialize_with = "read::text")]
    alert_name: Option<String>,
}

/// Reads the outside of a body. What it is about is read when it is translated.
pub(super) fn incoming(body: &[u8]) -> Result<Incoming, Malformed> {
    let (body, envelope): (_, Envelope) = read::document(body)?;
    if let (None, Some(alert)) = (&envelope.event_id, envelope.alert_name) {
        return Err(malformed(format!(
            "this is an alert of Paddle Classic (`{alert}`), not an event of Paddle Billing"
        )));
    }
    Ok(Incoming {
        key: envelope.event_id.ok_or_else(|| lacks("event_id"))?,
        kind: envelope.event_type.ok_or_else(|| lacks("event_type"))?,
        occurred_at: envelope.occurred_at,
        live: None,
        account: None,
        body: body.to_owned(),
    })
}

/// What the key of an event begins with that tells no id.
pub(super) const NO_ID: &str = "sha256:";

/// Reads an element of a list. One that lacks something does not keep the others back: it is known by its bytes, and held
/// when it is translated. What does not even tell its kind is none of those that were asked for.
pub(super) fn listed(element: &str) -> Option<Incoming> {
    incoming(element.as_bytes()).ok().or_else(|| {
        let (body, envelope): (_, Envelope) = read::document(element.as_bytes()).ok()?;
        Some(Incoming {
            key: format!("{NO_ID}{}", hex::encode(Sha256::digest(body))),
            kind: envelope.event_type?,
            occurred_at: envelope.occurred_at,
            live: None,
            account: None,
            body: body.to_owned(),
        })
    })
}

/// An event whose kind means something.
pub(super) struct Event<'a> {
    /// What happened.
    pub(super) kind: &'a str,
    /// When it happened, to the microsecond: this orders the events of one thing.
    pub(super) at: Timestamp,
    settings: &'a Settings,
    data: &'a RawValue,
}

impl<'a> Event<'a> {
    pub(super) fn read(incoming: &'a Incoming, settings: &'a Settings) -> Result<Self, Malformed> {
        #[derive(Deserialize)]
        struct Body<'a> {
            #[serde(default, borrow)]
            data: Option<&'a RawValue>,
        }
        let body: Body<'a> = serde_json::from_str(&incoming.body)
            .map_err(|error| malformed(format!("`data` does not read: {error}")))?;
        Ok(Self {
            kind: &incoming.kind,
            at: incoming.occurred_at.ok_or_else(|| lacks("occurred_at"))?,
            settings,
            data: body.data.ok_or_else(|| lacks("data"))?,
        })
    }

    /// The plan that the data of a transaction or subscription names, where that is believed: the checkout's page writes it,
    /// and runs at the buyer's.
    pub(super) fn plan_named_in(&self, custom_data: &BTreeMap<String, String>) -> Option<PlanCode> {
        sale::plan_named_in(custom_data).filter(|_| self.settings.plan_from_custom_data)
    }

    /// What the event is about, as it was then.
    pub(super) fn data<T: DeserializeOwned>(&self) -> Result<T, Malformed> {
        serde_json::from_str(self.data.get()).map_err(|error| malformed(format!("`data` does not read: {error}")))
    }
}
