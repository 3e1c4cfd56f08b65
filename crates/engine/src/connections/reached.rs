//! Where providers reach this server.

use providers::{Provider, Settings, accounts::Accounts, manual};

/// Where the provider of a connection reaches this server, and about what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Where it delivers its events; none: orders are made by hand.
    pub webhook_url: Option<String>,
    /// The events that it should deliver.
    pub webhook_events: Vec<&'static str>,
    /// Where it is to send buyers; none: it sends nobody.
    pub redirect_url: Option<String>,
}

impl Reached {
    /// For a connection with this code and these settings, of the vendor with this slug. `server` is where this server is
    /// reached.
    #[must_use]
    pub fn new(server: &str, tenant_slug: &str, (provider, code): (&str, &str), settings: &Settings) -> Self {
        let server = server.trim_end_matches('/');
        let is_of_platform = settings.platform || settings.account.is_some();
        let known = providers::by_slug(provider);
        let accounts = known.and_then(Provider::accounts).filter(|_| is_of_platform);
        let events = known.map(|known| known.info().events).unwrap_or_default();
        let webhook_url = match is_of_platform {
            true => format!("{server}/api/{provider}/webhook/connect"),
            false => format!("{server}/v1/webhooks/{provider}/{tenant_slug}"),
        };
        let sends_buyers = known.is_some_and(|known| known.redeem().is_some());
        Self {
            webhook_url: (provider != manual::SLUG).then_some(webhook_url),
            webhook_events: events.iter().copied().chain(accounts.map(Accounts::disconnection)).collect(),
            redirect_url: sends_buyers.then(|| format!("{server}/redeem/{provider}/{tenant_slug}/{code}")),
        }
    }
}
