//! The envelope of an event, and what it is known by.

use std::collections::BTreeMap;

use domain::{order::Contact, text::PlanCode};
use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

pub(super) use crate::read::lacks;
use crate::{Incoming, Malformed, Settings, read, sale};

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(default, deserialize_with = "read::object")]
    meta: Option<Meta>,
    #[serde(default, borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Meta {
    #[serde(deserialize_with = "read::text")]
    event_name: Option<String>,
    #[serde(deserialize_with = "read::flag_if_told")]
    test_mode: Option<bool>,
    #[serde(deserialize_with = "read::metadata")]
    custom_data: BTreeMap<String, String>,
}

/// What all objects have in common.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Object {
    #[serde(rename = "type", deserialize_with = "read::text")]
    kind: Option<String>,
    #[serde(deserialize_with = "read::name")]
    id: Option<String>,
    #[serde(deserialize_with = "read::object")]
    attributes: Option<Common>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Common {
    #[serde(deserialize_with = "read::text")]
    status: Option<String>,
    #[serde(deserialize_with = "read::instant")]
    created_at: Option<Timestamp>,
    #[serde(deserialize_with = "read::instant")]
    updated_at: Option<Timestamp>,
    #[serde(deserialize_with = "read::flag_if_told")]
    test_mode: Option<bool>,
    #[serde(deserialize_with = "read::object")]
    first_subscription_item: Option<Item>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Item {
    #[serde(deserialize_with = "read::instant")]
    updated_at: Option<Timestamp>,
}

impl Object {
    /// Its status, in the words of its kind.
    pub(super) fn status(&self) -> Option<&str> {
        self.attributes.as_ref()?.status.as_deref()
    }

    /// When it was made.
    pub(super) fn created_at(&self) -> Option<Timestamp> {
        self.attributes.as_ref()?.created_at
    }

    /// When it was changed the last time. The quantity of a subscription is that of its item, which is changed by itself.
    pub(super) fn changed_at(&self) -> Option<Timestamp> {
        let common = self.attributes.as_ref()?;
        let item = common.first_subscription_item.as_ref().and_then(|item| item.updated_at);
        common.updated_at.max(item)
    }
}

/// Reads the outside of a body. What it is about is read when it is translated.
pub(super) fn incoming(body: &[u8]) -> Result<Incoming, Malformed> {
    let (body, envelope): (_, Envelope<'_>) = read::document(body)?;
    let meta = envelope.meta.unwrap_or_default();
    let kind = meta.event_name.ok_or_else(|| lacks("meta.event_name"))?;
    let data = envelope.data.ok_or_else(|| lacks("data"))?;
    let object: Object = object(data.get())?;
    let test_mode = object.attributes.as_ref().and_then(|common| common.test_mode).or(meta.test_mode);
    Ok(Incoming {
        key: key(&kind, &object, body),
        occurred_at: object.changed_at().or_else(|| object.created_at()),
        live: test_mode.map(|test_mode| !test_mode),
        account: None,
        body: body.to_owned(),
        kind,
    })
}

/// What an event is known by, since it has no id: what happened to which object, as of which change of it. So a body that
/// is delivered again is the event it was, and so is another body that tells of the same change: a resent one, whose links
/// are signed anew, or an element of a list ([`super::backfill`]). An object that does not say when it changed is known by
/// its bytes.
fn key(kind: &str, object: &Object, body: &str) -> String {
    match (&object.kind, &object.id, object.changed_at()) {
        (Some(object_kind), Some(id), Some(changed_at)) => format!("{kind}:{object_kind}:{id}:{changed_at}"),
        _ => format!("{kind}:sha256:{}", hex::encode(Sha256::digest(body))),
    }
}

/// An event whose kind means something.
pub(super) struct Event<'a> {
    /// What happened.
    pub(super) kind: &'a str,
    /// The object's id among those of its kind.
    pub(super) id: String,
    /// When the object was made.
    pub(super) created_at: Timestamp,
    /// When it was changed the last time: Lemon Squeezy's own order of what it tells.
    pub(super) changed_at: Timestamp,
    custom_data: BTreeMap<String, String>,
    attributes: &'a RawValue,
}

impl<'a> Event<'a> {
    pub(super) fn read(incoming: &'a Incoming) -> Result<Self, Malformed> {
        #[derive(Deserialize)]
        struct Data<'a> {
            #[serde(default, borrow)]
            attributes: Option<&'a RawValue>,
        }
        let (_, envelope): (_, Envelope<'a>) = read::document(incoming.body.as_bytes())?;
        let data = envelope.data.ok_or_else(|| lacks("data"))?;
        let object: Object = object(data.get())?;
        let Data { attributes } =
            serde_json::from_str(data.get()).map_err(|error| malformed(format!("`data` does not read: {error}")))?;
        let changed_at = object.changed_at().or_else(|| object.created_at());
        let changed_at = changed_at.ok_or_else(|| lacks("data.attributes.updated_at"))?;
        Ok(Self {
            kind: &incoming.kind,
            created_at: object.created_at().unwrap_or(changed_at),
            changed_at,
            id: object.id.ok_or_else(|| lacks("data.id"))?,
            custom_data: envelope.meta.unwrap_or_default().custom_data,
            attributes: attributes.ok_or_else(|| lacks("data.attributes"))?,
        })
    }

    /// Without what whoever opened the checkout could write into its address, unless the vendor believes that.
    pub(super) fn believed(mut self, settings: &Settings) -> Self {
        if !settings.plan_from_custom_data {
            self.custom_data.clear();
        }
        self
    }

    /// What the event is about.
    pub(super) fn attributes<T: DeserializeOwned>(&self) -> Result<T, Malformed> {
        serde_json::from_str(self.attributes.get())
            .map_err(|error| malformed(format!("`data.attributes` does not read: {error}")))
    }

    /// The plan that the data in the checkout's address names, where that is believed.
    pub(super) fn named_plan(&self) -> Option<PlanCode> {
        sale::plan_named_in(&self.custom_data)
    }
}

/// Who bought, as every object tells.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Buyer {
    #[serde(deserialize_with = "read::name")]
    pub(super) customer_id: Option<String>,
    #[serde(deserialize_with = "read::email")]
    user_email: Option<domain::text::EmailAddress>,
    #[serde(deserialize_with = "read::text")]
    user_name: Option<String>,
}

impl Buyer {
    /// Where mails go, as told at that moment.
    pub(super) fn contact(&self, at: Timestamp) -> Option<domain::join::Register<Contact>> {
        sale::contact(self.user_email.clone(), self.user_name.clone(), at)
    }

    /// Lemon Squeezy's customer.
    pub(super) fn customers(&self) -> std::collections::BTreeSet<domain::text::CustomerReference> {
        sale::customers(self.customer_id.as_deref().map(Into::into))
    }
}

/// Reads an object; a list would be read as its fields.
fn object<T: DeserializeOwned>(text: &str) -> Result<T, Malformed> {
    if !text.trim_start().starts_with('{') {
        return Err(malformed("`data` is not an object".into()));
    }
    serde_json::from_str(text).map_err(|error| malformed(format!("`data` does not read: {error}")))
}

fn malformed(what: String) -> Malformed {
    Malformed { what }
}
