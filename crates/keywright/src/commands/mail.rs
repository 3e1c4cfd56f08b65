//! `keywright mail release`.

use std::sync::Arc;

use clap::{Args, Subcommand};
use delivery::{MailParts, MailWorker};
use engine::tenants::DEFAULT_TENANT;

use crate::{
    clock::SystemClock,
    entropy::SystemEntropy,
    options::DataOptions,
    output::say,
    server::{self, Installation},
};

/// What to do with mails.
#[derive(Debug, Subcommand)]
pub(crate) enum MailCommand {
    /// Has all mails sent that were caught while no sender was configured. The running server sends them.
    Release(Release),
}

/// A release.
#[derive(Debug, Args)]
pub(crate) struct Release {
    /// The tenant's slug.
    #[arg(long, default_value = DEFAULT_TENANT)]
    tenant: String,

    #[command(flatten)]
    data: DataOptions,
}

impl MailCommand {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let Self::Release(release) = self;
        let Installation { engine, ring } = server::open(&release.data).await?;
        let tenant = engine.tenant(&release.tenant).await?;
        let tenant = tenant.ok_or_else(|| anyhow::anyhow!("there is no tenant `{}`", release.tenant))?;
        let mails = MailWorker::new(MailParts {
            store: engine.store.clone(),
            ring,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            sender: None,
            wake: Arc::clone(&engine.mails),
            lease: server::LEASE,
        });
        let released = mails.release_held(tenant).await?;
        say!("{released} mails are released; a server with --smtp-url sends them now.");
        Ok(())
    }
}
