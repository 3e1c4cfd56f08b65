//! Calls that change something at Paddle, and what it answers.

use secrecy::SecretString;
use serde::Deserialize;
use serde_json::json;

use super::{INFO, preflight::detail};
use crate::{
    calls::{NewWebhook, NotCreated},
    http::{Content, Post, Request},
    read,
};

/// Makes the destination that delivers to `url` all that is understood. What Paddle's simulator makes up stays out: it would
/// be taken for a sale. Paddle takes no idempotency key, so the attempt is told to whoever finds two destinations.
pub(super) fn create_webhook(url: &str, attempt: &str) -> Request {
    let destination = json!({
        "description": format!("Keywright {attempt}"),
        "type": "url",
        "destination": url,
        "api_version": 1,
        "include_sensitive_fields": false,
        "traffic_source": "platform",
        "subscribed_events": INFO.events,
    });
    let content = Content::Json(destination.to_string());
    Request::post("/notification-settings", Post { content, idempotency_key: None })
}

/// Reads the answer to [`create_webhook`].
pub(super) fn webhook_created(status: u16, body: &str) -> Result<NewWebhook, NotCreated> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Made {
        #[serde(deserialize_with = "read::object")]
        data: Option<Destination>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Destination {
        #[serde(deserialize_with = "read::text")]
        id: Option<String>,
        #[serde(deserialize_with = "read::text")]
        endpoint_secret_key: Option<String>,
    }
    let refused = |message: &str| NotCreated { status, message: message.to_owned() };
    if !(200..300).contains(&status) {
        return Err(refused(&detail(body).unwrap_or_else(|| "it did not say why".to_owned())));
    }
    let destination = serde_json::from_str::<Made>(body).unwrap_or_default().data.unwrap_or_default();
    let id = destination.id.ok_or_else(|| refused("its answer lacks `data.id`"))?;
    let secret = destination.endpoint_secret_key;
    let secret = secret.ok_or_else(|| refused("its answer lacks `data.endpoint_secret_key`"))?;
    Ok(NewWebhook { id, secret: SecretString::from(secret) })
}
