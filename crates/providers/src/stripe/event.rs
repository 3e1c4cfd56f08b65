//! The envelope of an event.

use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

pub(super) use super::read::lacks;
use super::read::{self, malformed};
use crate::{Incoming, Malformed};

#[derive(Deserialize)]
struct Envelope {
    #[serde(default, deserialize_with = "read::text")]
    id: Option<String>,
    #[serde(default, deserialize_with = "read::text")]
    object: Option<String>,
    #[serde(default, rename = "type", deserialize_with = "read::text")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "read::time")]
    created: Option<Timestamp>,
    #[serde(default, deserialize_with = "read::flag_if_told")]
    livemode: Option<bool>,
    #[serde(default, deserialize_with = "read::text")]
    account: Option<String>,
}

/// Reads the outside of a body. What it is about is read when it is translated.
pub(super) fn incoming(body: &[u8]) -> Result<Incoming, Malformed> {
    let (body, envelope): (_, Envelope) = read::document(body)?;
    match envelope.object.as_deref() {
        None | Some("event") => {}
        Some(thin) if thin.starts_with("v2.") => {
            return Err(malformed(format!(
                "this is a thin event (`{thin}`), which carries no object; set the endpoint's payload style to snapshot"
            )));
        }
        Some(other) => return Err(malformed(format!("this is `{other}`, not an event"))),
    }
    Ok(Incoming {
        key: envelope.id.ok_or_else(|| lacks("id"))?,
        kind: envelope.kind.ok_or_else(|| lacks("type"))?,
        occurred_at: envelope.created,
        live: envelope.livemode,
        account: envelope.account,
        body: body.to_owned(),
    })
}

/// An event whose kind means something.
pub(super) struct Event<'a> {
    /// What happened.
    pub(super) kind: &'a str,
    /// When the event was made. Two events of one second have no order.
    pub(super) created: Timestamp,
    object: &'a RawValue,
    previous: Option<&'a RawValue>,
}

impl<'a> Event<'a> {
    pub(super) fn read(incoming: &'a Incoming) -> Result<Self, Malformed> {
        #[derive(Deserialize)]
        struct Body<'a> {
            #[serde(default, borrow)]
            data: Option<Data<'a>>,
        }
        #[derive(Deserialize)]
        struct Data<'a> {
            #[serde(default, borrow)]
            object: Option<&'a RawValue>,
            #[serde(default, borrow)]
            previous_attributes: Option<&'a RawValue>,
        }
        let body: Body<'a> = serde_json::from_str(&incoming.body)
            .map_err(|error| malformed(format!("`data` does not read: {error}")))?;
        let data = body.data.ok_or_else(|| lacks("data"))?;
        Ok(Self {
            kind: &incoming.kind,
            created: incoming.occurred_at.ok_or_else(|| lacks("created"))?,
            object: data.object.ok_or_else(|| lacks("data.object"))?,
            previous: data.previous_attributes,
        })
    }

    /// What the event is about.
    pub(super) fn object<T: DeserializeOwned>(&self) -> Result<T, Malformed> {
        serde_json::from_str(self.object.get())
            .map_err(|error| malformed(format!("`data.object` does not read: {error}")))
    }

    /// What the changed fields were before, as far as they read.
    pub(super) fn previous<T: DeserializeOwned + Default>(&self) -> T {
        self.previous.and_then(|previous| serde_json::from_str(previous.get()).ok()).unwrap_or_default()
    }
}
