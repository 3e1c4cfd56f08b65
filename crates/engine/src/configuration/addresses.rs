//! Whether webhooks may go where they are to: asked before the transaction, since it asks the network.

use domain::id::TenantId;

use super::{
    ConfigurationError, Problem,
    input::{Entry, Wanted, WebhookEndpointInput},
    report::What,
};
use crate::{Engine, webhooks::CheckAddress};

impl Engine {
    /// Checks the headers and addresses that are asked for. One that is there with the same address is not asked again: its
    /// name may not resolve just now.
    pub(super) async fn check_addresses(
        &self,
        tenant: Option<TenantId>,
        wanted: &Wanted,
    ) -> Result<(), ConfigurationError> {
        if wanted.webhook_endpoints.is_empty() {
            return Ok(());
        }
        let there = match tenant {
            Some(tenant) => self.store.webhook_endpoints(tenant).await?,
            None => Vec::new(),
        };
        let (mut wrong, mut refused) = (Vec::new(), Vec::new());
        for entry in &wanted.webhook_endpoints {
            wrong.extend(wrong_headers(&*self.addresses, entry));
            let Some(Ok(url)) = entry.item.url.as_deref().map(str::parse) else { continue };
            if there.iter().any(|row| row.code == entry.item.code && Some(&row.url) == entry.item.url.as_ref()) {
                continue;
            }
            if let Err(reason) = self.addresses.check(&url).await {
                refused.push(problem(entry, "url", reason));
            }
        }
        match (wrong.is_empty(), refused.is_empty()) {
            (false, _) => Err(ConfigurationError::Problems(wrong)),
            (true, false) => Err(ConfigurationError::Addresses(refused)),
            (true, true) => Ok(()),
        }
    }
}

fn wrong_headers(addresses: &dyn CheckAddress, entry: &Entry<WebhookEndpointInput>) -> Vec<Problem> {
    use secrecy::ExposeSecret;
    let headers = entry.item.headers.iter().flatten();
    let refused = headers.filter_map(|(name, value)| addresses.check_header(name, value.expose_secret()).err());
    refused.map(|reason| problem(entry, "headers", reason)).collect()
}

fn problem(entry: &Entry<WebhookEndpointInput>, field: &'static str, message: String) -> Problem {
    let subject = format!("{} `{}`", What::WebhookEndpoint, entry.item.code);
    Problem { line: entry.line, subject, field: Some(field), message }
}
