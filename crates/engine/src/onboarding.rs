//! Connecting a vendor's own account to a platform: the account is made for the vendor, who fills it in on a page of the
//! provider's. Nobody names an account that is somebody else's in this way.

use std::sync::Arc;

use domain::id::{ConnectionId, TenantId};
use jiff::{SignedDuration, Timestamp};
use providers::{
    Level, Settings,
    accounts::Accounts,
    http::{Request, is_refusal},
    selling::Refused,
};
use serde_json::json;
use store::rows;

use crate::{
    DialError, Engine, Error,
    checkout::wrong_with_url,
    configuration::{AccountsInput, ConfigurationError, ConnectionInput, Existing, is_code},
    connections::{Connection, ConnectionSecrets, Mode, seal_secrets},
    rulings::By,
};

/// Accounts that a vendor may have made.
const ACCOUNTS_MAX: usize = 10;

/// An account that is to be connected.
#[derive(Clone, Debug)]
pub struct Onboarding {
    /// Whose account it is.
    pub tenant: TenantId,
    /// The provider's slug.
    pub provider: String,
    /// Whether it is about real money.
    pub livemode: bool,
    /// The vendor's name for the connection. One that is there goes on: it was not finished, or was disconnected.
    pub code: String,
    /// Where the vendor goes who is done.
    pub return_url: String,
    /// Where the vendor goes whose page is too old; this call makes another.
    pub refresh_url: String,
}

/// Why nothing was connected.
#[derive(Debug, thiserror::Error)]
pub enum OnboardingError {
    /// Nothing of that provider can be connected so.
    #[error("accounts of `{0}` cannot be connected; make a connection with a key of your own")]
    Provider(String),
    /// The operator has not set it up.
    #[error(
        "this server is no platform for {0} accounts; the operator sets STRIPE_SECRET_KEY and STRIPE_CONNECT_WEBHOOK_SECRET"
    )]
    NoPlatform(&'static str),
    /// What is made at the provider could not be named here.
    #[error("`code` has 1 to 64 characters, each a letter A-Z or a-z, a digit, `.`, `_` or `-`")]
    Code,
    /// Enough for a vendor, and for whoever would make accounts without end.
    #[error("there are {ACCOUNTS_MAX} connected accounts, which is the most; the operator connects more")]
    TooMany,
    /// There is another connection of that code.
    #[error("the connection `{0}` is there and is not about an account that could be connected; choose another code")]
    Taken(String),
    /// It was disconnected at the provider, which does not let the platform have it.
    #[error(
        "the account {account} was disconnected at the provider, and this platform cannot take it up again ({refused}); its \
         vendor connects it there, or choose another code and a new account is made"
    )]
    Gone {
        /// The account.
        account: String,
        /// What the provider says.
        refused: Refused,
    },
    /// There is nothing to disconnect.
    #[error("the connection `{0}` is not about a connected account")]
    NoAccount(String),
    /// A vendor cannot be sent there.
    #[error("`{field}`: {problem}")]
    Url {
        /// Which address.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The provider does not do it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The provider cannot be asked.
    #[error("the provider cannot be reached: {0}")]
    Dial(#[from] DialError),
    /// The connection cannot be so.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// Something else.
    #[error(transparent)]
    Engine(#[from] Error),
}

/// Where an account belongs.
struct Place {
    id: ConnectionId,
    /// None: it is not made yet.
    account: Option<String>,
    /// How often the provider has refused to make it.
    refusals: u32,
    /// Its vendor has taken the right to act for it away.
    is_disconnected: bool,
}

impl Engine {
    /// Makes an account and its connection, unless they are there, connects again what was disconnected, and returns the
    /// connection and where its vendor is sent.
    ///
    /// # Errors
    /// [`OnboardingError`].
    pub async fn onboard(&self, asked: &Onboarding, actor: &str) -> Result<(ConnectionId, String), OnboardingError> {
        for (field, address) in [("return_url", &asked.return_url), ("refresh_url", &asked.refresh_url)] {
            if let Some(problem) = wrong_with_url(address, asked.livemode) {
                return Err(OnboardingError::Url { field, problem });
            }
        }
        if !is_code(&asked.code) {
            return Err(OnboardingError::Code);
        }
        let provider = providers::by_slug(&asked.provider);
        let accounts = provider.and_then(|provider| provider.accounts());
        let accounts = accounts.ok_or_else(|| OnboardingError::Provider(asked.provider.clone()))?;
        let connections = self.connections_within(SignedDuration::ZERO).await?;
        let is_platform = |connection: &&Arc<Connection>| {
            connection.settings.platform
                && connection.provider.info().slug == asked.provider
                && connection.mode.is_live() == asked.livemode
        };
        let platform = connections.iter().find(is_platform);
        let mode = if asked.livemode { "live" } else { "test" };
        let platform = platform.ok_or(OnboardingError::NoPlatform(mode))?;
        let again = |error: &OnboardingError| matches!(error, OnboardingError::Engine(error) if error.is_conflict());
        let place = store::repeat(|| self.reserve(platform, asked, actor), again).await?;
        let account = match &place.account {
            Some(account) => account.clone(),
            None => self.make_account(platform, accounts, (&place, asked), actor).await?,
        };
        let request = accounts.onboard(&account, &asked.return_url, &asked.refresh_url);
        let dialled = self.dialler.dial(platform, &request).await?;
        let url = accounts.onboarded(dialled.status, &dialled.body).map_err(|refused| match refused.status {
            400..=428 if place.is_disconnected => OnboardingError::Gone { account: account.clone(), refused },
            _ => OnboardingError::Refused(refused),
        })?;
        if place.is_disconnected {
            // A page is made only for an account that the platform's key reaches, and its vendor asked for it.
            self.set_connected(asked.tenant, place.id, true, actor).await?;
        }
        Ok((place.id, url))
    }

    /// Has nothing sold or looked up any more by the account of a connection, until it is connected again. What it sold
    /// stays, and the provider's events about that are heard.
    ///
    /// # Errors
    /// [`OnboardingError::NoAccount`], or those of the database.
    pub async fn disconnect(&self, tenant: TenantId, id: ConnectionId, actor: &str) -> Result<(), OnboardingError> {
        self.set_connected(tenant, id, false, actor).await
    }

    async fn set_connected(
        &self,
        tenant: TenantId,
        id: ConnectionId,
        is_connected: bool,
        actor: &str,
    ) -> Result<(), OnboardingError> {
        let rows = self.store.connections().await.map_err(Error::from)?;
        let row = rows.into_iter().find(|row| (row.tenant_id, row.id) == (tenant.0, id.0));
        let row = row.ok_or_else(|| OnboardingError::NoAccount(id.to_string()))?;
        let settings: Settings = serde_json::from_str(&row.settings).map_err(Error::Document)?;
        if settings.account.is_none() {
            return Err(OnboardingError::NoAccount(row.code));
        }
        let input = ConnectionInput {
            level: settings.level,
            accounts: AccountsInput { is_connected: Some(is_connected), ..AccountsInput::default() },
            ..ConnectionInput::new(row.code, row.provider, Mode::read(&row.mode))
        };
        self.save_connection(tenant, input, Existing::There, actor).await?;
        Ok(())
    }

    /// The connection that the account belongs to, and the account, if it was made before. A new one is there before the
    /// provider is asked, so that calls at the same time are counted, and make one account.
    async fn reserve(&self, platform: &Connection, asked: &Onboarding, actor: &str) -> Result<Place, OnboardingError> {
        let (tenant, now) = (asked.tenant, self.now());
        let write = self.store.begin().await.map_err(Error::from)?;
        write.lock_catalogue(tenant).await.map_err(Error::from)?;
        let rows = write.lock_connections(tenant).await.map_err(Error::from)?;
        let settings = |row: &rows::Connection| serde_json::from_str::<Settings>(&row.settings);
        if let Some(row) = rows.iter().find(|row| row.code == asked.code) {
            let known = settings(row).map_err(Error::Document)?;
            let is_it = row.provider == asked.provider && Mode::read(&row.mode) == platform.mode;
            return match known.account.is_some() || known.account_awaited {
                true if is_it => {
                    let (id, is_disconnected) = (ConnectionId(row.id), known.disconnected);
                    Ok(Place { id, account: known.account, refusals: known.account_refusals, is_disconnected })
                }
                _ => Err(OnboardingError::Taken(asked.code.clone())),
            };
        }
        let has_account = |row: &&rows::Connection| {
            settings(row).is_ok_and(|settings| settings.account.is_some() || settings.account_awaited)
        };
        if rows.iter().filter(has_account).count() >= ACCOUNTS_MAX {
            return Err(OnboardingError::TooMany);
        }
        let row = self.awaiting(platform, asked, now)?;
        let id = ConnectionId(row.id);
        write.save_connection(row).await.map_err(Error::from)?;
        let (by, detail) = (By { actor: actor.to_owned(), note: None }, json!({ "name": asked.code, "details": [] }));
        let entry = self.told(tenant, "connection.created", id.to_string(), None, &detail, &by);
        crate::audit::add(&write, vec![entry]).await?;
        write.commit().await.map_err(Error::from)?;
        self.configuration_changed();
        Ok(Place { id, account: None, refusals: 0, is_disconnected: false })
    }

    async fn note_refusal(&self, tenant: TenantId, place: &Place) -> Result<(), Error> {
        let write = self.store.begin().await?;
        write.lock_catalogue(tenant).await?;
        let rows = write.lock_connections(tenant).await?;
        let Some(row) = rows.into_iter().find(|row| row.id == place.id.0) else { return Ok(()) };
        let settings: Settings = serde_json::from_str(&row.settings).map_err(Error::Document)?;
        let settings = Settings { account_refusals: place.refusals + 1, ..settings };
        let settings = serde_json::to_string(&settings).map_err(Error::Document)?;
        write.save_connection(rows::Connection { settings, ..row }).await?;
        Ok(write.commit().await?)
    }

    /// A connection whose account is not made yet.
    fn awaiting(
        &self,
        platform: &Connection,
        asked: &Onboarding,
        now: Timestamp,
    ) -> Result<rows::Connection, OnboardingError> {
        let settings = Settings { account_awaited: true, ..Settings::default() };
        let mut row = rows::Connection {
            id: ConnectionId::new(now, &mut *self.entropy()).0,
            tenant_id: asked.tenant.0,
            provider: asked.provider.clone(),
            code: asked.code.clone(),
            mode: platform.mode.as_str().to_owned(),
            account: None,
            settings: serde_json::to_string(&settings).map_err(Error::Document)?,
            api_base: None,
            secrets: None,
            created_at: now.as_microsecond(),
        };
        seal_secrets(&mut row, &ConnectionSecrets::default(), &self.ring(), &mut *self.entropy())?;
        Ok(row)
    }

    async fn make_account(
        &self,
        platform: &Connection,
        accounts: &dyn Accounts,
        (place, asked): (&Place, &Onboarding),
        actor: &str,
    ) -> Result<String, OnboardingError> {
        // Whoever asks for this connection's account gets the same one.
        let request: Request = accounts.create(&place.id.0.to_string()).after_refusals(place.refusals);
        let dialled = self.dialler.dial(platform, &request).await?;
        if is_refusal(dialled.status) {
            store::repeat(|| self.note_refusal(asked.tenant, place), Error::is_conflict).await?;
        }
        let account = accounts.created(dialled.status, &dialled.body)?;
        let input = ConnectionInput {
            level: Level::Full,
            accounts: AccountsInput { account: Some(account.clone()), ..AccountsInput::default() },
            ..ConnectionInput::new(&asked.code, &asked.provider, platform.mode)
        };
        self.save_connection(asked.tenant, input, Existing::There, actor).await?;
        Ok(account)
    }
}
