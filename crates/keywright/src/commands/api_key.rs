//! `keywright api-key create|list|revoke`.

use clap::{Args, Subcommand, ValueEnum};
use crypto::token::ApiKeyKind;
use engine::{api_keys::Scope, tenants::DEFAULT_TENANT};

use crate::{options::DataOptions, output::say, server};

/// What to do with API keys.
#[derive(Debug, Subcommand)]
pub(crate) enum ApiKeyCommand {
    /// Makes a key and prints it once.
    Create(Create),
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

    /// What it may do, several times or separated by commas: admin, issue, license:read, license:write, user:read, …
    #[arg(long = "scope", value_delimiter = ',', required = true)]
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
}

impl ApiKeyCommand {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let Self::Create(create) = self;
        let scopes = create.scopes.iter().map(|scope| scope.parse::<Scope>()).collect::<Result<Vec<_>, _>>()?;
        let kind = match create.kind {
            Kind::Live => ApiKeyKind::Live,
            Kind::Test => ApiKeyKind::Test,
            Kind::Checkout => ApiKeyKind::Checkout,
        };
        let engine = server::open(&create.data).await?.engine;
        let tenant = engine.tenant(&create.tenant).await?;
        let tenant = tenant.ok_or_else(|| anyhow::anyhow!("there is no tenant `{}`", create.tenant))?;
        let (_, key) = engine.create_api_key(tenant, &create.name, kind, &scopes, "cli").await?;
        say!("{}", key.reveal().as_str());
        eprintln!("This key is shown once. Only its hash is kept.");
        Ok(())
    }
}
