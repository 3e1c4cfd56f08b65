//! `keywright mail`.

use std::sync::Arc;

use anyhow::Context;
use clap::{Args, Subcommand};
use delivery::{MailParts, MailWorker};
use engine::tenants::DEFAULT_TENANT;

use crate::{
    clock::SystemClock,
    entropy::SystemEntropy,
    mail_options::DkimOptions,
    options::DataOptions,
    output::say,
    server::{self, Installation},
};

/// What to do with mails.
#[derive(Debug, Subcommand)]
pub(crate) enum MailCommand {
    /// Has all mails sent that were caught while no sender was configured. The running server sends them.
    Release(Release),
    /// Prints the DNS record by which receivers verify signed mails (DKIM).
    DkimRecord(DkimRecord),
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

/// The record of a key.
#[derive(Debug, Args)]
pub(crate) struct DkimRecord {
    #[command(flatten)]
    dkim: DkimOptions,
}

impl MailCommand {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Release(release) => release.run().await,
            Self::DkimRecord(record) => record.run(),
        }
    }
}

impl Release {
    async fn run(self) -> anyhow::Result<()> {
        let Installation { engine, ring } = server::open(&self.data).await?;
        let tenant = engine.tenant(&self.tenant).await?;
        let tenant = tenant.ok_or_else(|| anyhow::anyhow!("there is no tenant `{}`", self.tenant))?;
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
        say!("{released} mails are released; a server with --smtp-url or --mail-url sends them now.");
        Ok(())
    }
}

impl DkimRecord {
    fn run(self) -> anyhow::Result<()> {
        let dkim = self.dkim.read()?.context(
            "no key is given: --dkim-key-file dkim.pem --dkim-selector key1 --dkim-domain acme.example; `openssl genrsa \
             -out dkim.pem 2048` makes one",
        )?;
        say!("name   {}", dkim.name());
        say!("type   TXT");
        say!("value  {}", dkim.record());
        Ok(())
    }
}
