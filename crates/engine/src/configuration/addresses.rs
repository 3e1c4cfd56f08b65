//! Whether webhooks and alerts may go where they are to: asked before the transaction, since it asks the network.

use std::collections::BTreeMap;

use domain::{alert::ChannelKind, id::TenantId};
use secrecy::ExposeSecret;
use url::Url;

use super::{
    ConfigurationError, Problem,
    input::{AlertInput, Entry, Wanted, WebhookEndpointInput},
    report::What,
};
use crate::{Engine, Error, alerts::open_target, webhooks::CheckAddress};

/// The addresses that are called already, by the code of what calls them.
type Called = BTreeMap<String, String>;

impl Engine {
    /// Checks the headers and addresses that are asked for. One that is there with the same address is not asked again: its
    /// name may not resolve just now.
    pub(super) async fn check_addresses(
        &self,
        tenant: Option<TenantId>,
        wanted: &Wanted,
    ) -> Result<(), ConfigurationError> {
        let wrong: Vec<_> =
            wanted.webhook_endpoints.iter().flat_map(|entry| wrong_headers(&*self.addresses, entry)).collect();
        if !wrong.is_empty() {
            return Err(ConfigurationError::Problems(wrong));
        }
        let mut refused = self.refused_endpoints(tenant, &wanted.webhook_endpoints).await?;
        refused.extend(self.refused_channels(tenant, &wanted.alerts).await?);
        if refused.is_empty() { Ok(()) } else { Err(ConfigurationError::Addresses(refused)) }
    }

    async fn refused_endpoints(
        &self,
        tenant: Option<TenantId>,
        entries: &[Entry<WebhookEndpointInput>],
    ) -> Result<Vec<Problem>, Error> {
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let rows = match tenant {
            Some(tenant) => self.store.webhook_endpoints(tenant).await?,
            None => Vec::new(),
        };
        let there: Called = rows.into_iter().map(|row| (row.code, row.url)).collect();
        let mut refused = Vec::new();
        for entry in entries {
            if let Some(reason) = self.refusal(&there, &entry.item.code, entry.item.url.as_deref()).await {
                refused.push(endpoint_problem(entry, "url", reason));
            }
        }
        Ok(refused)
    }

    async fn refused_channels(
        &self,
        tenant: Option<TenantId>,
        entries: &[Entry<AlertInput>],
    ) -> Result<Vec<Problem>, Error> {
        if entries.iter().all(|entry| called(&entry.item).is_none()) {
            return Ok(Vec::new());
        }
        let rows = match tenant {
            Some(tenant) => self.store.alert_channels(tenant).await?,
            None => Vec::new(),
        };
        // What cannot be opened is asked about like a new one.
        let opened = rows.into_iter().filter_map(|row| Some((open_target(&row, &self.ring()).ok()?.to, row.code)));
        let there: Called = opened.map(|(to, code)| (code, to)).collect();
        let mut refused = Vec::new();
        for entry in entries {
            if let Some(message) = self.refusal(&there, &entry.item.code, called(&entry.item)).await {
                let subject = format!("{} `{}`", What::AlertChannel, entry.item.code);
                refused.push(Problem { line: entry.line, subject, field: Some("to"), message });
            }
        }
        Ok(refused)
    }

    /// Why an address may not be called. None: it may, or it was asked about before, or is none, which others say.
    async fn refusal(&self, there: &Called, code: &str, address: Option<&str>) -> Option<String> {
        let url: Url = address?.parse().ok()?;
        let is_there = there.get(code).map(String::as_str) == address;
        if is_there { None } else { self.addresses.check(&url).await.err() }
    }
}

/// The address that a channel calls, where it is given and one that is called.
fn called(input: &AlertInput) -> Option<&str> {
    match input.kind {
        ChannelKind::Mail => None,
        ChannelKind::Webhook | ChannelKind::Slack => input.to.as_ref().map(|to| to.expose_secret()),
    }
}

fn wrong_headers(addresses: &dyn CheckAddress, entry: &Entry<WebhookEndpointInput>) -> Vec<Problem> {
    let headers = entry.item.headers.iter().flatten();
    let refused = headers.filter_map(|(name, value)| addresses.check_header(name, value.expose_secret()).err());
    refused.map(|reason| endpoint_problem(entry, "headers", reason)).collect()
}

fn endpoint_problem(entry: &Entry<WebhookEndpointInput>, field: &'static str, message: String) -> Problem {
    let subject = format!("{} `{}`", What::WebhookEndpoint, entry.item.code);
    Problem { line: entry.line, subject, field: Some(field), message }
}
