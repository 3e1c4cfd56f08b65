//! The call that brought an event, as it is kept beside it: what people look at when they ask where it came from.

use std::collections::BTreeMap;

use providers::{Delivery, Verified, headers};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use store::rows::InboundEvent;

use crate::{connections::Connection, webhook_secrets::fingerprint};

/// What is kept of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Call {
    /// Some of its headers, by their lower-case names. Signatures are cut.
    pub headers: BTreeMap<String, String>,
    /// The fingerprint of the secret that it was believed by.
    pub secret: Option<String>,
}

impl Call {
    /// The call that brought an event. None: none did, or nothing was kept of it.
    #[must_use]
    pub fn of(event: &InboundEvent) -> Option<Self> {
        serde_json::from_str(event.call.as_deref()?).ok()
    }

    /// What is kept of a call that a connection believed.
    pub(crate) fn kept(connection: &Connection, verified: &Verified<'_>, delivery: &Delivery<'_>) -> Option<String> {
        let secret = connection.webhook_secrets.get(verified.secret);
        let call = Self {
            headers: headers::kept(delivery).into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            secret: secret.map(|secret| fingerprint(connection.id, secret.expose_secret())),
        };
        serde_json::to_string(&call).ok()
    }
}
