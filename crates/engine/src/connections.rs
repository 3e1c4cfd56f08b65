//! Connections as they are used: settings read, secrets unsealed, kept in memory and read again when they change.

mod reached;

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use crypto::{
    ring::KeyRing,
    seal::{Place, SealError},
};
use domain::{
    Entropy,
    id::{ConnectionId, TenantId},
    order::Order,
};
use jiff::{SignedDuration, Timestamp};
use providers::{LicenseKeys, Provider, Settings, manual, redeem::OauthClient};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use store::{Store, rows};

pub use self::reached::Reached;
use crate::Error;

/// Another process may have changed a connection: what is kept is read again after this.
pub(crate) const FRESH: SignedDuration = SignedDuration::from_secs(5);
/// A call that no kept connection believes may be meant for one that is newer than this.
pub(crate) const FRESH_ENOUGH_TO_REJECT: SignedDuration = SignedDuration::from_secs(1);

/// Which money a connection is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Real money.
    Live,
    /// The provider's test mode.
    Test,
    /// A provider of our own on loopback: test money, and the only kind of connection that may dial loopback.
    Simulated,
}

impl Mode {
    /// The word for it, as stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Test => "test",
            Self::Simulated => "simulated",
        }
    }

    /// Whether the money is real.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Live)
    }

    /// Reads the word as stored. What is not known is not live.
    #[must_use]
    pub fn read(text: &str) -> Self {
        match text {
            "live" => Self::Live,
            "simulated" => Self::Simulated,
            _ => Self::Test,
        }
    }
}

/// A connection's secrets, as they are sealed together.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConnectionSecrets {
    /// Signing secrets of its webhooks. Several are accepted, so that they can be changed without a gap (C14).
    pub webhook: Vec<String>,
    /// The key to the provider's API.
    pub api_key: Option<String>,
    /// What the provider knows the vendor by when buyers come from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oauth_client: Option<OauthSecret>,
}

/// What a provider knows the vendor by.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OauthSecret {
    /// Its name.
    pub id: String,
    /// What proves it.
    pub secret: String,
}

impl std::fmt::Debug for ConnectionSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (api_key, oauth_client) = (self.api_key.is_some(), self.oauth_client.is_some());
        write!(f, "{} webhook secrets, API key: {api_key}, OAuth client: {oauth_client}", self.webhook.len())
    }
}

/// A connection, ready to use.
pub struct Connection {
    /// Its id.
    pub id: ConnectionId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The tenant's name in addresses.
    pub tenant_slug: String,
    /// The vendor's name for it.
    pub code: String,
    /// Its provider.
    pub provider: &'static dyn Provider,
    /// Which money.
    pub mode: Mode,
    /// What translation may know.
    pub settings: Settings,
    /// Where the provider's API is.
    pub api_base: String,
    /// Signing secrets of its webhooks.
    pub webhook_secrets: Vec<SecretString>,
    /// The key to the provider's API.
    pub api_key: Option<SecretString>,
    /// What the provider knows the vendor by when buyers come from it.
    pub oauth_client: Option<OauthClient>,
}

impl Connection {
    /// Whether its provider sends buyers here.
    #[must_use]
    pub fn expects_buyers(&self) -> bool {
        self.oauth_client.is_some() && self.provider.redeem().is_some()
    }
}

/// The account that a stored connection is about, with its provider and mode.
pub(crate) fn account_of(row: &rows::Connection) -> Option<(String, String, String)> {
    row.account.clone().map(|account| (row.provider.clone(), row.mode.clone(), account))
}

impl Connection {
    /// Whether a provider is asked in the same way as with `other`.
    pub(crate) fn asks_like(&self, other: &Self) -> bool {
        let key = |connection: &Self| connection.api_key.as_ref().map(|key| key.expose_secret().to_owned());
        (&self.settings, &self.api_base) == (&other.settings, &other.api_base) && key(self) == key(other)
    }

    /// Whether the provider gives out the keys of its licenses.
    pub(crate) fn is_keyed_by_provider(&self) -> bool {
        self.settings.license_keys == LicenseKeys::Theirs
    }

    /// Whether the licenses of this order take keys that were made elsewhere: by the provider, or by the system that they were
    /// brought from.
    pub(crate) fn has_keys_for(&self, order: &Order) -> bool {
        self.is_keyed_by_provider() || (self.provider.info().slug == manual::SLUG && !order.keys.is_empty())
    }
}

/// The connection of that id.
#[must_use]
pub fn find(connections: &[Arc<Connection>], id: ConnectionId) -> Option<&Arc<Connection>> {
    connections.iter().find(|connection| connection.id == id)
}

/// Seals a connection's secrets into its row.
pub fn seal_secrets(
    connection: &mut rows::Connection,
    secrets: &ConnectionSecrets,
    ring: &KeyRing,
    entropy: &mut dyn Entropy,
) -> Result<(), Error> {
    let text = zeroize::Zeroizing::new(serde_json::to_vec(secrets).map_err(Error::Document)?);
    connection.secrets = Some(ring.seal(place_of(connection), &text, entropy).0);
    Ok(())
}

fn place_of(connection: &rows::Connection) -> Place<'static> {
    Place::connection(TenantId(connection.tenant_id), connection.id)
}

/// Opens a connection's secrets.
///
/// # Errors
/// The ring has not the key, or the row was tampered with.
pub fn open_secrets(connection: &rows::Connection, ring: &KeyRing) -> Result<ConnectionSecrets, SealError> {
    let Some(sealed) = &connection.secrets else { return Ok(ConnectionSecrets::default()) };
    let text = ring.open(place_of(connection), sealed)?;
    Ok(serde_json::from_slice(&text).unwrap_or_default())
}

/// All connections, and when they were read.
type Read = (Timestamp, Arc<Vec<Arc<Connection>>>);

/// What was read last, and how often it was forgotten: what began before it was forgotten is not kept after.
#[derive(Default)]
struct Kept {
    read: Option<Read>,
    forgotten: u64,
}

/// All connections, read from the database and kept for a few seconds.
#[derive(Default)]
pub struct Connections {
    kept: RwLock<Kept>,
}

impl Connections {
    /// Reads them again with the next call.
    pub fn forget(&self) {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        *kept = Kept { read: None, forgotten: kept.forgotten + 1 };
    }

    /// All connections of this installation, as they were at most `fresh` ago.
    ///
    /// # Errors
    /// Those of the database, or a secret does not open.
    pub async fn all(
        &self,
        store: &Store,
        ring: &KeyRing,
        now: Timestamp,
        fresh: SignedDuration,
    ) -> Result<Arc<Vec<Arc<Connection>>>, Error> {
        let forgotten = {
            let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
            if let Some((read_at, connections)) = &kept.read
                && now.duration_since(*read_at).abs() < fresh
            {
                return Ok(Arc::clone(connections));
            }
            kept.forgotten
        };
        let tenants = store.tenants().await?;
        let mut connections = Vec::new();
        for row in store.connections().await? {
            let slug = tenants.iter().find(|tenant| tenant.id == row.tenant_id).map(|tenant| tenant.slug.clone());
            if let (Some(slug), Some(provider)) = (slug, providers::by_slug(&row.provider)) {
                connections.push(connection(row, slug, provider, ring)?);
            }
        }
        let connections = Arc::new(with_platforms(connections));
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if kept.forgotten == forgotten {
            kept.read = Some((now, Arc::clone(&connections)));
        }
        Ok(connections)
    }
}

/// Connected accounts are reached with the key of their platform, where that is. A simulated platform is on a port of its
/// own, which is its accounts' too.
fn with_platforms(mut connections: Vec<Connection>) -> Vec<Arc<Connection>> {
    let of_platform = |platform: &Connection| {
        let key = (platform.provider.info().slug, platform.mode.as_str());
        (key, (platform.api_key.clone(), platform.api_base.clone(), platform.settings.fee_ten_thousandths))
    };
    let platforms: HashMap<_, _> =
        connections.iter().filter(|connection| connection.settings.platform).map(of_platform).collect();
    for connection in connections.iter_mut().filter(|connection| connection.settings.account.is_some()) {
        let platform = platforms.get(&(connection.provider.info().slug, connection.mode.as_str()));
        let Some((key, api_base, fee)) = platform.filter(|_| !connection.settings.disconnected) else { continue };
        connection.api_key.clone_from(key);
        connection.api_base.clone_from(api_base);
        connection.settings.fee_ten_thousandths = connection.settings.fee_ten_thousandths.or(*fee);
    }
    connections.into_iter().map(Arc::new).collect()
}

fn connection(
    row: rows::Connection,
    tenant_slug: String,
    provider: &'static dyn Provider,
    ring: &KeyRing,
) -> Result<Connection, Error> {
    let secrets = open_secrets(&row, ring)?;
    Ok(Connection {
        id: ConnectionId(row.id),
        tenant: TenantId(row.tenant_id),
        tenant_slug,
        provider,
        mode: Mode::read(&row.mode),
        settings: serde_json::from_str(&row.settings).map_err(Error::Document)?,
        api_base: row
            .api_base
            .unwrap_or_else(|| provider.info().api_base.of(Mode::read(&row.mode).is_live()).to_owned()),
        webhook_secrets: secrets.webhook.into_iter().map(SecretString::from).collect(),
        api_key: secrets.api_key.map(SecretString::from),
        oauth_client: secrets.oauth_client.map(|OauthSecret { id, secret }| OauthClient { id, secret: secret.into() }),
        code: row.code,
    })
}
