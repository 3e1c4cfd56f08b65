//! Calls that change something at Stripe, and what it answers.

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{INFO, VERSION, read};
use crate::{
    calls::{NewWebhook, NotCreated, Unsupported, WriteBack},
    http::{Content, Post, Request, percent_encoded},
};

/// Characters that Stripe keeps of a metadata value.
const METADATA_CHARACTERS_MAX: usize = 500;

/// Writes a key to its customer's metadata (B05), beside what is there: Stripe merges. The entry is named after the license,
/// so that a second license leaves the first alone; an empty value takes the entry away.
pub(super) fn write_back(note: &WriteBack<'_>) -> Result<Request, Unsupported> {
    let key = note.key.expose_secret();
    let characters = key.chars().count();
    if characters > METADATA_CHARACTERS_MAX {
        return Err(Unsupported::TooLong { provider: INFO.name, characters, characters_max: METADATA_CHARACTERS_MAX });
    }
    let path = format!("/v1/customers/{}", percent_encoded(note.customer.as_str()));
    let content = Content::Form(vec![(format!("metadata[{}]", note.license), key.to_owned())]);
    // Another key or customer is another call: Stripe refuses the same idempotency key with other parameters.
    let mark = Sha256::new().chain_update(&path).chain_update([0]).chain_update(key).finalize();
    let idempotency_key = Some(format!("keywright-write-back-{}-{}", note.license, hex::encode(&mark[..8])));
    Ok(Request::post(path, Post { content, idempotency_key }))
}

/// Makes the endpoint that delivers to `url` all that is understood, in the version that look-ups use.
pub(super) fn create_webhook(url: &str, attempt: &str) -> Request {
    let events = INFO.events.iter().enumerate();
    let events = events.map(|(place, kind)| (format!("enabled_events[{place}]"), (*kind).to_owned()));
    let mut form = vec![("url".to_owned(), url.to_owned())];
    form.extend(events);
    form.push(("api_version".to_owned(), VERSION.to_owned()));
    form.push(("description".to_owned(), "Keywright".to_owned()));
    let idempotency_key = Some(format!("keywright-webhook-{attempt}"));
    Request::post("/v1/webhook_endpoints", Post { content: Content::Form(form), idempotency_key })
}

/// Reads the answer to [`create_webhook`].
pub(super) fn webhook_created(status: u16, body: &str) -> Result<NewWebhook, NotCreated> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Endpoint {
        #[serde(deserialize_with = "read::text")]
        id: Option<String>,
        #[serde(deserialize_with = "read::text")]
        secret: Option<String>,
    }
    let refused = |message: &str| NotCreated { status, message: message.to_owned() };
    if !(200..300).contains(&status) {
        return Err(refused(&message(body).unwrap_or_else(|| "it did not say why".to_owned())));
    }
    let endpoint: Endpoint = serde_json::from_str(body).unwrap_or_default();
    let id = endpoint.id.ok_or_else(|| refused("its answer lacks `id`"))?;
    let secret = endpoint.secret.ok_or_else(|| refused("its answer lacks `secret`"))?;
    Ok(NewWebhook { id, secret: SecretString::from(secret) })
}

/// What Stripe says of a refusal.
pub(super) fn message(body: &str) -> Option<String> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Refusal {
        #[serde(deserialize_with = "read::object")]
        error: Option<Reason>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Reason {
        #[serde(deserialize_with = "read::text")]
        message: Option<String>,
    }
    serde_json::from_str::<Refusal>(body).ok()?.error?.message
}
