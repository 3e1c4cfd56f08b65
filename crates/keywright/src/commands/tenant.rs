//! `keywright tenant create|list|suspend|close|resume`. Only the operator has these: an API key is always one tenant's.

use clap::{Args, Subcommand};
use engine::{
    accounts::{Account, AccountStanding, AccountStatus},
    rulings::By,
};

use crate::{options::DataOptions, output::say, server};

/// What to do with vendors' accounts.
#[derive(Debug, Subcommand)]
pub(crate) enum TenantCommand {
    /// Makes a tenant and prints its id.
    Create(Create),
    /// Lists tenants.
    List(List),
    /// Lets a tenant sell no more for now: what is paid waits, and licenses that are there go on working.
    Suspend(Change),
    /// Closes a tenant's account. Its licenses go on being checked.
    Close(Change),
    /// Makes a suspended or closed account active again, and issues what waited.
    Resume(Change),
}

/// A new tenant.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Its name in addresses: letters a-z, digits, `-`.
    slug: String,

    /// What people read.
    #[arg(long)]
    name: String,

    /// Live licenses it may have. [default: any number]
    #[arg(long)]
    licenses_max: Option<u32>,

    #[command(flatten)]
    data: DataOptions,
}

/// Which data.
#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    data: DataOptions,
}

/// Whose account.
#[derive(Debug, Args)]
pub(crate) struct Change {
    /// The tenant's slug.
    slug: String,

    /// Why, for the audit log.
    #[arg(long)]
    note: Option<String>,

    #[command(flatten)]
    data: DataOptions,
}

impl TenantCommand {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Create(create) => create.run().await,
            Self::List(list) => list.run().await,
            Self::Suspend(change) => change.run(AccountStatus::Suspended).await,
            Self::Close(change) => change.run(AccountStatus::Closed).await,
            Self::Resume(change) => change.run(AccountStatus::Active).await,
        }
    }
}

impl Create {
    async fn run(self) -> anyhow::Result<()> {
        let engine = server::open(&self.data).await?.engine;
        let account = Account { licenses_max: self.licenses_max, ..Account::default() };
        let tenant = engine.create_tenant(&self.slug, &self.name, &account, &by(None)).await?;
        say!("{tenant}");
        Ok(())
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let engine = server::open(&self.data).await?.engine;
        for row in engine.store.tenants().await? {
            let AccountStanding { status, account } = AccountStanding::read(&row);
            let most = account.licenses_max.map(|most| format!("  at most {most} licenses")).unwrap_or_default();
            say!("{:<40}  {status:<9}  {}{most}", row.slug, row.name);
        }
        Ok(())
    }
}

impl Change {
    async fn run(self, status: AccountStatus) -> anyhow::Result<()> {
        let engine = server::open(&self.data).await?.engine;
        engine.set_account_status(&self.slug, status, &by(self.note)).await?;
        say!("{} is {status}", self.slug);
        Ok(())
    }
}

fn by(note: Option<String>) -> By {
    By { actor: "cli".to_owned(), note }
}
