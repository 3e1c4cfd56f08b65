//! `keywright connect PROVIDER`: one command instead of a form at the provider and a secret carried by hand.

use anyhow::{Context, bail};
use clap::Args;
use engine::{
    configuration::{AccountsInput, ConnectionInput, Existing},
    connect::Connect as Asked,
    connections::Mode,
    tenants::DEFAULT_TENANT,
};
use providers::Level;
use secrecy::SecretString;
use url::Url;

use crate::{
    options::{DataOptions, secret},
    output::say,
    server,
};

/// Connects an account at a payment provider: finds out what its API key may do, and has the webhook endpoint made there.
#[derive(Debug, Args)]
pub(crate) struct Connect {
    /// Which provider: `stripe` or `paddle`.
    provider: String,

    /// Where its API key is: env:NAME or file:PATH. A restricted key will do.
    #[arg(long, required_unless_present = "account")]
    api_key: Option<String>,

    /// An account that this server, as a platform, acts for: acct_…. Also has one that was disconnected used again. Make sure
    /// that it is the tenant's: its sales are theirs from then on.
    #[arg(long, conflicts_with_all = ["api_key", "url"])]
    account: Option<String>,

    /// The account is used in test mode.
    #[arg(long, requires = "account")]
    test: bool,

    /// Where the provider reaches this server, such as https://keys.example.com. Without it, the webhook endpoint is
    /// made by hand and its secret applied from a file.
    #[arg(long)]
    url: Option<Url>,

    /// Your name for the connection. [default: the provider's]
    #[arg(long)]
    code: Option<String>,

    /// Looks up subscriptions as they are now as well, not only as events tell them.
    #[arg(long)]
    full: bool,

    /// Whose account it is.
    #[arg(long, default_value = DEFAULT_TENANT)]
    tenant: String,

    #[command(flatten)]
    data: DataOptions,
}

impl Connect {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match (&self.account, &self.api_key) {
            (Some(account), _) => self.connect_account(account).await,
            (None, Some(source)) => {
                let source = source.clone();
                self.connect_key(&source).await
            }
            (None, None) => bail!("say --api-key or --account"),
        }
    }

    async fn connect_account(&self, account: &str) -> anyhow::Result<()> {
        let mode = if self.test { Mode::Test } else { Mode::Live };
        let engine = server::open(&self.data).await?.engine;
        let tenant = engine.tenant(&self.tenant).await?;
        let tenant = tenant.with_context(|| format!("there is no tenant `{}`", self.tenant))?;
        let code = self.code.clone().unwrap_or_else(|| format!("{}-account", self.provider));
        let input = ConnectionInput {
            level: if self.full { Level::Full } else { Level::Read },
            accounts: AccountsInput {
                account: Some(account.to_owned()),
                is_connected: Some(true),
                ..AccountsInput::default()
            },
            ..ConnectionInput::new(code, &self.provider, mode)
        };
        let change = engine.save_connection(tenant, input, Existing::Either, "cli").await?;
        say!("{change}");
        Ok(())
    }

    async fn connect_key(self, source: &str) -> anyhow::Result<()> {
        let key = secret(source).map_err(|problem| anyhow::anyhow!("--api-key: {problem}"))?;
        let key = key.trim().to_owned();
        let provider = providers::by_slug(&self.provider)
            .with_context(|| format!("there is no provider `{}`; there are {}", self.provider, with_an_api()))?;
        let mode = match provider.is_live_key(&key) {
            Some(true) => Mode::Live,
            Some(false) => Mode::Test,
            None => bail!(
                "--api-key names no API key of {}. Where one is made: {}",
                provider.info().name,
                provider.info().guide.api_key.unwrap_or("it has none")
            ),
        };
        let engine = server::open(&self.data).await?.engine;
        let tenant = engine.tenant(&self.tenant).await?;
        let tenant = tenant.with_context(|| format!("there is no tenant `{}`", self.tenant))?;
        let asked = Asked {
            tenant,
            tenant_slug: self.tenant.clone(),
            code: self.code.unwrap_or_else(|| self.provider.clone()),
            provider: self.provider,
            mode,
            level: if self.full { Level::Full } else { Level::Read },
            api_key: SecretString::from(key),
            api_base: None,
            server: self.url.map(|url| url.origin().ascii_serialization()),
        };
        let connected = engine.connect(&asked, "cli").await?;
        say!("The {} connection `{}` is {}.", mode.as_str(), asked.code, connected.change.action.as_str());
        match &connected.webhook {
            Some(id) => say!("{} sends its events here now (endpoint {id}); the secret is kept.", provider.info().name),
            None => say!("No webhook endpoint was made; say --url https://… to have it made."),
        }
        for missing in &connected.check.missing {
            say!("The key lacks `{}`: {}.", missing.name, missing.without);
        }
        if let Some(link) = &connected.check.link {
            say!("A key that has all of it is made here:\n  {link}");
        }
        Ok(())
    }
}

/// The providers that have an API, for whoever named another.
fn with_an_api() -> String {
    let slugs = providers::PROVIDERS.iter().map(|provider| provider.info()).filter(|info| info.has_api());
    slugs.map(|info| format!("`{}`", info.slug)).collect::<Vec<_>>().join(", ")
}
