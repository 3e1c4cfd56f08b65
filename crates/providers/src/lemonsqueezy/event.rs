//! The envelope of an event, and what it is known by.

use std::collections::BTreeMap;

use domain::{order::Contact, text::PlanCode};
use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};
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

/// What of a body tells it apart from another about the same change.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Content {
    #[serde(deserialize_with = "read::object")]
    meta: Option<Own>,
    #[serde(deserialize_with = "read::object")]
    data: Option<Told>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Own {
    custom_data: Value,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Told {
    attributes: Value,
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
    #[serde(deserialize_with = "read::name")]
    store_id: Option<String>,
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

    /// Whether it is that store's, or does not say.
    pub(super) fn is_of(&self, store: &str) -> bool {
        let told = self.attributes.as_ref().and_then(|common| common.store_id.as_deref());
        told.is_none_or(|told| told == store)
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

/// What an event is known by, since it has no id: what happened to which object, as of which change of it, and what it
/// tells. So a body that is delivered again is the event it was, and so is one that tells the same otherwise: a resent one,
/// whose links are signed anew, or an element of a list ([`super::backfill`]). Changes have whole seconds, so two refunds of
/// one second differ only in what they tell. An object that does not say when it changed is known by its bytes.
fn key(kind: &str, object: &Object, body: &str) -> String {
    match (&object.kind, &object.id, object.changed_at()) {
        (Some(object_kind), Some(id), Some(changed_at)) => {
            format!("{kind}:{object_kind}:{id}:{changed_at}:{}", digest_of_content(body))
        }
        _ => format!("{kind}:sha256:{}", hex::encode(Sha256::digest(body))),
    }
}

/// A digest of what the object tells, but for links, and of the checkout's own data, which lists leave out.
fn digest_of_content(body: &str) -> String {
    let Content { meta, data } = serde_json::from_str(body).unwrap_or_default();
    let mut attributes = data.unwrap_or_default().attributes;
    remove_links(&mut attributes);
    let own = meta.unwrap_or_default().custom_data;
    let own = Some(own).filter(|own| own.as_object().is_some_and(|own| !own.is_empty()));
    let content = serde_json::json!([attributes, own]).to_string();
    hex::encode(&Sha256::digest(content)[..DIGEST_BYTES])
}

/// So much of a digest tells two events about one object in one second apart.
const DIGEST_BYTES: usize = 12;

/// Links are signed for the moment at which they are asked for.
fn remove_links(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|name, _| name != "urls" && name != "links" && !name.ends_with("_url"));
            members.values_mut().for_each(remove_links);
        }
        Value::Array(elements) => elements.iter_mut().for_each(remove_links),
        _ => {}
    }
}

/// Whether an event is about an object of that store. What does not read is for its translation to refuse.
pub(super) fn is_of_store(body: &str, store: &str) -> bool {
    let envelope = serde_json::from_str::<Envelope<'_>>(body).ok();
    let told = envelope.and_then(|envelope| object::<Object>(envelope.data?.get()).ok());
    told.is_none_or(|object| object.is_of(store))
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
