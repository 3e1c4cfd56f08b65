//! A connection as it is shown, and the words for it.

use domain::id::{ConnectionId, TenantId};
use engine::{
    connections::{ConnectionSecrets, Mode, Reached, open_secrets},
    webhook_secrets::fingerprint,
};
use jiff::Timestamp;
use providers::{Level, LicenseKeys, Settings};
use serde::Serialize;
use store::rows;
use utoipa::ToSchema;

use crate::{Api, admin::instant, page::Listable, problem::Problem};

words! {
    /// Which money a connection is about.
    ModeWord as Mode of Mode {
        /// Real money.
        Live,
        /// The provider's test mode.
        Test,
        /// A provider of our own on loopback.
        Simulated,
    }
}

words! {
    /// What a connection's API key may look up at the provider.
    LevelWord as Level of Level {
        /// There is no API key: only the webhook's signing secret is known.
        None,
        /// Customers, charges, checkout sessions.
        Read,
        /// All that the provider offers, subscriptions among it.
        Full,
    }
}

words! {
    /// Whose keys the licenses of a connection have.
    KeysWord as LicenseKeys of LicenseKeys {
        /// Each has a key of ours.
        Ours,
        /// The provider gives keys out and mails them itself: those open the licenses.
        Theirs,
    }
}

/// A signing secret, which is not shown.
#[derive(Debug, Serialize, ToSchema)]
struct WebhookSecret {
    /// Tells it from the others, and names it when it is removed.
    #[schema(example = "5f3a9c1e")]
    fingerprint: String,
}

/// An account at a payment provider, in one mode.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Connection)]
pub(crate) struct ConnectionDocument {
    #[schema(example = "con_01kag0000000000000000000000")]
    id: String,
    livemode: bool,
    mode: ModeWord,
    /// The vendor's name for it.
    code: String,
    #[schema(example = "stripe")]
    provider: String,
    level: LevelWord,
    /// Whether keys are written to the provider's record of its customer, as metadata.
    write_back: bool,
    /// Seconds that the signature of a webhook may be old, where the provider signs a time; none: 300.
    tolerance_seconds: Option<u32>,
    /// Whose keys its licenses have.
    license_keys: KeysWord,
    /// The provider's id of the store whose sales these are, where its key reads those of several.
    #[schema(example = "12345")]
    store: Option<String>,
    /// Whether data that a buyer's browser hands to a checkout may name the plan, before any price rule (Lemon Squeezy,
    /// Paddle). Who opens a checkout can change it.
    plan_from_custom_data: bool,
    /// Where the provider's API is, for one that is simulated.
    api_base: Option<String>,
    /// The account there, where a platform's key acts for it.
    #[schema(example = "acct_1032D82eZvKYlo2C")]
    account: Option<String>,
    /// Whether that account may be used: its vendor has not disconnected it. Always true without one.
    connected: bool,
    /// Where the provider delivers its events; none: orders are made by hand.
    #[schema(example = "https://licenses.example.com/v1/webhooks/stripe/default")]
    webhook_url: Option<String>,
    /// The events that the provider should deliver.
    webhook_events: Vec<String>,
    /// The signing secrets that are accepted. None: nothing is.
    webhook_secrets: Vec<WebhookSecret>,
    /// Whether there is a key to the provider's API.
    has_api_key: bool,
    /// Where a provider that sends buyers is to send them; none: it sends nobody.
    #[schema(example = json!(null))]
    redirect_url: Option<String>,
    /// What such a provider knows the vendor by.
    #[schema(example = json!(null))]
    oauth_client_id: Option<String>,
    created_at: Timestamp,
}

impl Listable for ConnectionDocument {
    fn id(&self) -> &str {
        &self.id
    }
}

pub(in crate::admin) fn mode(row: &rows::Connection) -> Mode {
    Mode::read(&row.mode)
}

pub(super) fn settings(row: &rows::Connection) -> Settings {
    serde_json::from_str(&row.settings).unwrap_or_default()
}

impl Api {
    pub(super) fn connection_document(&self, row: rows::Connection, slug: &str) -> Result<ConnectionDocument, Problem> {
        let secrets = self.secrets(&row)?;
        let settings = settings(&row);
        let reached = Reached::new(&self.public_url, slug, (&row.provider, &row.code), &settings);
        Ok(ConnectionDocument {
            id: ConnectionId(row.id).to_string(),
            livemode: mode(&row).is_live(),
            mode: mode(&row).into(),
            level: settings.level.into(),
            write_back: settings.write_back,
            tolerance_seconds: settings.tolerance_seconds,
            license_keys: settings.license_keys.into(),
            store: settings.store,
            plan_from_custom_data: settings.plan_from_custom_data,
            account: settings.account,
            connected: !settings.disconnected,
            webhook_url: reached.webhook_url,
            webhook_events: reached.webhook_events.into_iter().map(str::to_owned).collect(),
            webhook_secrets: secrets
                .webhook
                .iter()
                .map(|secret| WebhookSecret { fingerprint: fingerprint(ConnectionId(row.id), secret) })
                .collect(),
            has_api_key: secrets.api_key.is_some(),
            redirect_url: reached.redirect_url,
            oauth_client_id: secrets.oauth_client.map(|client| client.id),
            created_at: instant(row.created_at),
            code: row.code,
            provider: row.provider,
            api_base: row.api_base,
        })
    }

    fn secrets(&self, row: &rows::Connection) -> Result<ConnectionSecrets, Problem> {
        Ok(open_secrets(row, &self.engine.ring()).map_err(engine::Error::from)?)
    }

    pub(in crate::admin) async fn connection_rows(&self, tenant: TenantId) -> Result<Vec<rows::Connection>, Problem> {
        let mut rows = self.engine.store.connections().await?;
        rows.retain(|row| row.tenant_id == tenant.0);
        Ok(rows)
    }

    pub(super) async fn slug(&self, tenant: TenantId) -> Result<String, Problem> {
        let tenants = self.engine.store.tenants().await?;
        Ok(tenants.into_iter().find(|row| row.id == tenant.0).map(|row| row.slug).unwrap_or_default())
    }
}
