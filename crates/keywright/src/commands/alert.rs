//! `keywright alert test CODE`.

use std::time::Duration;

use anyhow::bail;
use clap::{Args, Subcommand};
use domain::id::AlertChannelId;
use engine::{rulings::By, tenants::DEFAULT_TENANT};
use store::{alerts::status, lists::Whose};

use crate::{options::DataOptions, output::say, server};

/// How long the running server may take: a call takes a quarter of a minute at most, a mail a whole one.
const PATIENCE: Duration = Duration::from_secs(75);
/// How often it is looked what became of it.
const LOOK: Duration = Duration::from_millis(200);

/// What to do with alerts.
#[derive(Debug, Subcommand)]
pub(crate) enum AlertCommand {
    /// Has the running server send a test by a channel, and says what became of it.
    Test(Test),
}

/// Which channel.
#[derive(Debug, Args)]
pub(crate) struct Test {
    /// Its code.
    code: String,

    /// The tenant's slug.
    #[arg(long, default_value = DEFAULT_TENANT)]
    tenant: String,

    #[command(flatten)]
    data: DataOptions,
}

impl AlertCommand {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let Self::Test(Test { code, tenant: slug, data }) = self;
        let engine = server::open(&data).await?.engine;
        let tenant = engine.tenant(&slug).await?;
        let tenant = tenant.ok_or_else(|| anyhow::anyhow!("there is no tenant `{slug}`"))?;
        let channels = engine.store.alert_channels(tenant).await?;
        let Some(channel) = channels.into_iter().find(|channel| channel.code == code) else {
            bail!("`{slug}` has no alert channel `{code}`; `keywright apply` or POST /v1/alert-channels makes one");
        };
        let whose = Whose { tenant, livemode: channel.livemode };
        let by = By { actor: "cli".to_owned(), note: None };
        let alert = engine.test_alert_channel(whose, AlertChannelId(channel.id), &by).await?;
        let alert = alert.ok_or_else(|| anyhow::anyhow!("the alert channel `{code}` was just removed"))?;
        let ended = tokio::time::timeout(PATIENCE, async {
            loop {
                match engine.store.alert(alert.id).await? {
                    Some(row) if row.attempts == 0 => tokio::time::sleep(LOOK).await,
                    other => break Ok::<_, store::StoreError>(other),
                }
            }
        });
        let Ok(ended) = ended.await else {
            bail!("the test waits, and nobody sends it; is `keywright serve` running on this data?");
        };
        let Some(row) = ended? else { bail!("the alert channel `{code}` was just removed") };
        if row.status != status::SENT {
            bail!("`{code}` ({}) did not take it: {}", channel.hint, row.error.unwrap_or_default());
        }
        say!("`{code}` ({}) took a test.", channel.hint);
        Ok(())
    }
}
