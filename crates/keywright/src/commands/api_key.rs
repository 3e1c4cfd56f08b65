//! `keywright api-key create|list|revoke`.

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use crypto::token::ApiKeyKind;
use domain::id::{ApiKeyId, TenantId};
use engine::{Engine, api_keys::Scope, tenants::DEFAULT_TENANT};

use crate::{options::DataOptions, output::say, server};

/// What to do with API keys.
#[derive(Debug, Subcommand)]
pub(crate) enum ApiKeyCommand {
    /// Makes a key and prints it once.
    Create(Create),
    /// Lists keys, without what opens anything.
    List(List),
    /// Has a key open nothing any more, for good.
    Revoke(Revoke),
}

/// Which keys.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// The tenant's slug.
    #[arg(long, default_value = DEFAULT_TENANT)]
    tenant: String,

    #[command(flatten)]
    data: DataOptions,
}

/// Which key.
#[derive(Debug, Args)]
pub(crate) struct Revoke {
    /// Its name.
    name: String,

    /// The tenant's slug.
    #[arg(long, default_value = DEFAULT_TENANT)]
    tenant: String,

    #[command(flatten)]
    data: DataOptions,
}

/// A new API key.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// A name for it, unique in the tenant.
    #[arg(long)]
    name: String,

    /// What it is for.
    #[arg(long, value_enum, default_value = "live")]
    kind: Kind,

    /// What it may do, several times or separated by commas: admin, issue, license:read, license:write, user:read, … A key for
    /// checkouts takes none: it opens checkouts and nothing else.
    #[arg(long = "scope", value_delimiter = ',')]
    scopes: Vec<String>,

    /// The tenant's slug.
    #[arg(long, default_value = DEFAULT_TENANT)]
    tenant: String,

    #[command(flatten)]
    data: DataOptions,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Live,
    Test,
    Checkout,
    CheckoutTest,
}

impl ApiKeyCommand {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Create(create) => create.run().await,
            Self::List(list) => list.run().await,
            Self::Revoke(revoke) => revoke.run().await,
        }
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let engine = server::open(&self.data).await?.engine;
        for key in engine.api_keys(tenant(&engine, &self.tenant).await?).await? {
            let ends = if key.revoked_at.is_some() { "revoked" } else { "active" };
            let scopes: Vec<String> = serde_json::from_str(&key.scopes).unwrap_or_default();
            say!("{:<8} {:<13} {} {}", ends, key.kind, key.name, scopes.join(","));
        }
        Ok(())
    }
}

impl Revoke {
    async fn run(self) -> anyhow::Result<()> {
        let engine = server::open(&self.data).await?.engine;
        let tenant = tenant(&engine, &self.tenant).await?;
        let keys = engine.api_keys(tenant).await?;
        let key = keys.iter().find(|key| key.name == self.name);
        let key = key.with_context(|| format!("there is no API key named `{}`", self.name))?;
        engine.revoke_api_key(tenant, ApiKeyId(key.id), "cli").await?;
        say!("The key `{}` opens nothing any more.", self.name);
        Ok(())
    }
}

async fn tenant(engine: &Engine, slug: &str) -> anyhow::Result<TenantId> {
    engine.tenant(slug).await?.with_context(|| format!("there is no tenant `{slug}`"))
}

impl Create {
    async fn run(self) -> anyhow::Result<()> {
        let create = self;
        let scopes = create.scopes.iter().map(|scope| scope.parse::<Scope>()).collect::<Result<Vec<_>, _>>()?;
        let kind = match create.kind {
            Kind::Live => ApiKeyKind::Live,
            Kind::Test => ApiKeyKind::Test,
            Kind::Checkout => ApiKeyKind::Checkout,
            Kind::CheckoutTest => ApiKeyKind::TestCheckout,
        };
        let engine = server::open(&create.data).await?.engine;
        let tenant = tenant(&engine, &create.tenant).await?;
        let (_, key) = engine.create_api_key(tenant, &create.name, kind, &scopes, "cli").await?;
        say!("{}", key.reveal().as_str());
        eprintln!("This key is shown once. Only its hash is kept.");
        Ok(())
    }
}
