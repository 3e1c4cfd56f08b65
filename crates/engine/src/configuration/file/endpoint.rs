//! Addresses to which events go, in a file.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use domain::{
    event::{EventKind, EventStyle},
    retry::Schedule,
};
use secrecy::SecretString;
use serde::Deserialize;

use super::{
    super::{input::WebhookEndpointInput, secret::SecretSource},
    Reader, SectionMode,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookEndpointSection {
    code: String,
    #[serde(default)]
    mode: SectionMode,
    url: String,
    #[serde(default)]
    events: Vec<String>,
    #[serde(default)]
    style: EventStyle,
    #[serde(default)]
    schedule: Schedule,
    #[serde(default)]
    ordered: bool,
    #[serde(default)]
    headers: BTreeMap<String, HeaderValue>,
    secret: Option<SecretSource>,
}

/// The value of a header: as it is, or where it is found. It may be a secret, and does not print itself.
#[derive(Deserialize)]
#[serde(transparent)]
struct HeaderValue(String);

impl fmt::Debug for HeaderValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl Reader<'_> {
    pub(super) fn webhook_endpoint(
        &mut self,
        line: usize,
        section: &WebhookEndpointSection,
    ) -> Option<WebhookEndpointInput> {
        let subject = format!("webhook endpoint `{}`", section.code);
        let mut kinds = BTreeSet::new();
        for word in &section.events {
            match word.parse::<EventKind>() {
                Ok(kind) => _ = kinds.insert(kind),
                Err(unknown) => self.wrong(line, &subject, Some("events"), unknown.to_string()),
            }
        }
        let mut headers = Vec::new();
        for (name, HeaderValue(value)) in &section.headers {
            let value = if value.starts_with("env:") || value.starts_with("file:") {
                self.secret(line, &subject, "headers", &SecretSource(value.clone()))?
            } else {
                value.clone()
            };
            headers.push((name.clone(), SecretString::from(value)));
        }
        let secret = self.webhook_secret(line, &subject, section.secret.as_ref()).ok()?;
        Some(WebhookEndpointInput {
            code: section.code.clone(),
            is_live: section.mode == SectionMode::Live,
            url: Some(section.url.clone()),
            events: Some(kinds.into_iter().collect()),
            style: Some(section.style),
            schedule: Some(section.schedule),
            is_ordered: Some(section.ordered),
            headers: Some(headers),
            secret,
        })
    }
}
