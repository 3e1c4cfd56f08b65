//! Connecting an account at a provider: what its key may do is found out first, then the provider is told where to send
//! its webhooks, and the secret it answers with is kept.

use std::sync::Arc;

use domain::id::{ConnectionId, TenantId};
use jiff::SignedDuration;
use providers::{
    Level, Settings,
    calls::{KeyCheck, NotCreated, Unsupported, Uses},
    http::Answer,
};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    DialError, Engine, Error,
    configuration::{ConfigurationChange, ConfigurationError, ConnectionInput, Existing},
    connections::{Connection, Mode},
};

/// What is to be connected.
#[derive(Debug)]
pub struct Connect {
    /// Whose account it is.
    pub tenant: TenantId,
    /// The slug of the tenant, which stands in the address of webhooks.
    pub tenant_slug: String,
    /// The vendor's name for the connection.
    pub code: String,
    /// The provider's slug.
    pub provider: String,
    /// Which money.
    pub mode: Mode,
    /// What is looked up.
    pub level: Level,
    /// The key to the provider's API.
    pub api_key: SecretString,
    /// Where the provider's API is, for one that is simulated.
    pub api_base: Option<String>,
    /// Where this server is reached, without a path: then the webhook endpoint is made at the provider.
    pub server: Option<String>,
}

/// How connecting ended.
#[derive(Debug)]
pub struct Connected {
    /// What became of the connection.
    pub change: ConfigurationChange,
    /// What the key lacks.
    pub check: KeyCheck,
    /// The provider's name for the webhook endpoint, if one was made.
    pub webhook: Option<String>,
}

/// Why nothing was connected. Nothing is written then.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// There is no such provider.
    #[error("there is no provider `{0}`")]
    Provider(String),
    /// The provider does not take the key.
    #[error("the provider does not take this API key: {0}")]
    Refused(String),
    /// The connection of that code is of the other mode.
    #[error("the connection `{0}` is a {1} connection and the key is not; give the new one another name with --code")]
    OtherMode(String, &'static str),
    /// The key may not make a webhook endpoint.
    #[error(
        "the key lacks the permission `{permission}`, so the webhook endpoint cannot be made; make a key that has it: {link}"
    )]
    MayNotMakeWebhook {
        /// The provider's words for it.
        permission: String,
        /// The provider's form, filled in.
        link: String,
    },
    /// The provider cannot be asked.
    #[error("the provider cannot be reached: {0}")]
    Dial(#[from] DialError),
    /// It makes no endpoints by its API.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// It did not make this one.
    #[error(transparent)]
    NotCreated(#[from] NotCreated),
    /// The connection cannot be so.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
}

impl Engine {
    /// Finds out what the key may do, has the webhook endpoint made if `server` is given, and writes the connection. A
    /// connection of that code is changed; its webhook secrets stay if no endpoint is made.
    ///
    /// # Errors
    /// The provider refuses the key or cannot be reached, or the connection cannot be so.
    pub async fn connect(&self, asked: &Connect, actor: &str) -> Result<Connected, ConnectError> {
        let connections = self.connections_within(SignedDuration::ZERO).await.map_err(ConfigurationError::from)?;
        let known = connections.iter().find(|known| known.tenant == asked.tenant && known.code == asked.code);
        let writes_back = known.is_some_and(|known| known.settings.write_back);
        let connection = asked.connection(writes_back).ok_or_else(|| ConnectError::Provider(asked.provider.clone()))?;
        let uses = self.uses_of(&connection).await.map_err(ConfigurationError::from)?;
        let check = self.check_key(&connection, uses).await?;
        if let Some(words) = check.refused {
            return Err(ConnectError::Refused(words));
        }
        if let Some(known) = known.filter(|known| known.mode != asked.mode) {
            return Err(ConnectError::OtherMode(asked.code.clone(), known.mode.as_str()));
        }
        let webhook = match &asked.server {
            Some(server) => Some(self.make_webhook(&connection, uses, server).await?),
            None => None,
        };
        // What was signed for an endpoint that was made before is still believed.
        let before = || known.map(|known| known.webhook_secrets.clone()).unwrap_or_default();
        let (id, secrets) = match webhook {
            Some((id, secret)) => (Some(id), Some(before().into_iter().chain([secret]).collect())),
            None => (None, None),
        };
        let input = ConnectionInput {
            level: asked.level,
            api_base: asked.api_base.clone(),
            webhook_secrets: secrets,
            api_key: Some(asked.api_key.clone()),
            ..ConnectionInput::new(&asked.code, &asked.provider, asked.mode)
        };
        let change = self.save_connection(asked.tenant, input, Existing::Either, actor).await?;
        Ok(Connected { change, check, webhook: id })
    }

    /// What a connection's key is used for: what its settings say, and selling, where a plan has a price that it sells at.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn uses_of(&self, connection: &Connection) -> Result<Uses, Error> {
        let uses = Uses::of(&connection.settings);
        Ok(Uses { sells: uses.sells || self.is_seller(connection).await?, ..uses })
    }

    /// What a connection's key lacks for these uses. Nothing is changed at the provider.
    ///
    /// # Errors
    /// The provider cannot be reached.
    pub async fn check_key(&self, connection: &Connection, uses: Uses) -> Result<KeyCheck, DialError> {
        let mut answers = Vec::new();
        for request in connection.provider.preflight(uses) {
            let asked_at = self.now();
            let dialled = self.dialler.dial(connection, &request).await?;
            answers.push(Answer { request, asked_at, status: dialled.status, body: dialled.body });
        }
        Ok(connection.provider.check_key(uses, &answers, connection.mode.is_live()))
    }

    async fn make_webhook(
        &self,
        connection: &Connection,
        uses: Uses,
        server: &str,
    ) -> Result<(String, SecretString), ConnectError> {
        let provider = connection.provider;
        let uses = Uses { create_webhook: true, ..uses };
        let alone = Uses { create_webhook: true, ..Uses::default() };
        if let Some(missing) = self.check_key(connection, alone).await?.missing.into_iter().next() {
            let link = self.check_key(connection, uses).await?.link.unwrap_or_default();
            return Err(ConnectError::MayNotMakeWebhook { permission: missing.name, link });
        }
        let (slug, tenant) = (provider.info().slug, &connection.tenant_slug);
        let url = format!("{}/v1/webhooks/{slug}/{tenant}", server.trim_end_matches('/'));
        let attempt = domain::id::uuid_v7(self.now(), &mut *self.entropy()).to_string();
        let request = provider.create_webhook(&url, &attempt)?;
        let is_once = request.post.as_ref().is_some_and(|post| post.idempotency_key.is_some());
        let dialled = match self.dialler.dial(connection, &request).await {
            // The endpoint may have been made: asked again under the same key, the provider says so. Whoever asks later has
            // another made.
            Err(_) if is_once => self.dialler.dial(connection, &request).await?,
            other => other?,
        };
        let made = provider.webhook_created(dialled.status, &dialled.body)?;
        Ok((made.id, made.secret))
    }
}

impl Connect {
    /// The connection as it is before it is written: enough to ask its provider. Whether keys are written back is a setting
    /// that it has already, for `keywright connect` leaves it alone.
    fn connection(&self, write_back: bool) -> Option<Arc<Connection>> {
        let provider = providers::by_slug(&self.provider)?;
        let api_base =
            self.api_base.clone().unwrap_or_else(|| provider.info().api_base.of(self.mode.is_live()).to_owned());
        Some(Arc::new(Connection {
            id: ConnectionId(uuid::Uuid::nil()),
            tenant: self.tenant,
            tenant_slug: self.tenant_slug.clone(),
            code: self.code.clone(),
            provider,
            mode: self.mode,
            settings: Settings { level: self.level, write_back, ..Settings::default() },
            api_base,
            webhook_secrets: Vec::new(),
            api_key: Some(SecretString::from(self.api_key.expose_secret())),
            oauth_client: None,
        }))
    }
}
