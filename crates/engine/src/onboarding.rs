//! Connecting a vendor's own account to a platform: the account is made for the vendor, who fills it in on a page of the
//! provider's. Nobody names an account that is somebody else's in this way.

use std::sync::Arc;

use domain::id::{ConnectionId, TenantId, uuid_v7};
use jiff::SignedDuration;
use providers::{Level, accounts::Accounts, http::Request, selling::Refused};

use crate::{
    DialError, Engine, Error,
    checkout::wrong_with_url,
    configuration::{AccountsInput, ConfigurationError, ConnectionInput, Existing, is_code},
    connections::Connection,
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
    /// The vendor's name for the connection. One that is there and was not finished goes on.
    pub code: String,
    /// Where the vendor goes who is done.
    pub return_url: String,
    /// Where the vendor goes whose page is too old; this call makes another.
    pub refresh_url: String,
    /// The same when the call has to be made again. None: it is a call of its own.
    pub attempt: Option<uuid::Uuid>,
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

impl Engine {
    /// Makes an account and its connection, unless they are there, and returns the connection and where its vendor is sent.
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
        let known = connections.iter().find(|known| known.tenant == asked.tenant && known.code == asked.code);
        let has_account = |known: &&Arc<Connection>| known.tenant == asked.tenant && known.settings.account.is_some();
        let account = match known {
            None if connections.iter().filter(has_account).count() >= ACCOUNTS_MAX => {
                return Err(OnboardingError::TooMany);
            }
            None => self.make_account(platform, accounts, asked, actor).await?,
            Some(known) => {
                let is_it = known.mode == platform.mode && !known.settings.disconnected;
                let account = known.settings.account.clone().filter(|_| is_it);
                account.ok_or_else(|| OnboardingError::Taken(asked.code.clone()))?
            }
        };
        let request = accounts.onboard(&account, &asked.return_url, &asked.refresh_url);
        let dialled = self.dialler.dial(platform, &request).await?;
        let url = accounts.onboarded(dialled.status, &dialled.body)?;
        let rows = self.store.connections().await.map_err(Error::from)?;
        let row = rows.iter().find(|row| row.tenant_id == asked.tenant.0 && row.code == asked.code);
        let row = row.ok_or_else(|| OnboardingError::Taken(asked.code.clone()))?;
        Ok((ConnectionId(row.id), url))
    }

    async fn make_account(
        &self,
        platform: &Connection,
        accounts: &dyn Accounts,
        asked: &Onboarding,
        actor: &str,
    ) -> Result<String, OnboardingError> {
        let attempt = asked.attempt.unwrap_or_else(|| uuid_v7(self.now(), &mut *self.entropy()));
        let request: Request = accounts.create(&attempt.to_string());
        let dialled = self.dialler.dial(platform, &request).await?;
        let account = accounts.created(dialled.status, &dialled.body)?;
        let input = ConnectionInput {
            level: Level::Full,
            accounts: AccountsInput { account: Some(account.clone()), ..AccountsInput::default() },
            ..ConnectionInput::new(&asked.code, &asked.provider, platform.mode)
        };
        self.save_connection(asked.tenant, input, Existing::New, actor).await?;
        Ok(account)
    }
}
