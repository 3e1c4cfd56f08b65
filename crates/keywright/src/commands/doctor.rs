//! `keywright doctor`.

use clap::Args;
use engine::{
    Engine,
    support::{Process, size},
};

use crate::{options::DataOptions, output::say, server};

/// Looks for anything that is not as it should be.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Also computes every license again from its facts and compares.
    #[arg(long)]
    verify: bool,

    /// Prints a text for whoever helps you: how this installation is made and fares, without names, addresses or keys.
    #[arg(long)]
    share: bool,

    #[command(flatten)]
    data: DataOptions,
}

impl Doctor {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let engine = server::open(&self.data).await?.engine;
        if self.share {
            let findings = if self.verify { Some(engine.verify().await?) } else { None };
            let process = Process { version: env!("CARGO_PKG_VERSION"), ..Process::default() };
            say!("{}", engine.support_text(process, findings.as_deref()).await?);
            return Ok(());
        }
        say!("database and master keys: fine");
        for (tenant, livemode) in engine.unwatched_webhooks().await? {
            let mode = if livemode { "live" } else { "test" };
            say!(
                "`{tenant}`, {mode} mode: nobody would be told that a webhook endpoint fails; add an [[alert]] of that mode to its \
                 configuration"
            );
        }
        say!("{}", backups(&engine).await?);
        if let Some(held) = engine.outgoing_held().await? {
            let why = held.backup_of.map_or("somebody had everything held", |_| "this was restored from a backup");
            say!("nothing leaves, since {why}; let it go with: keywright outgoing release");
        }
        if !self.verify {
            return Ok(());
        }
        let findings = engine.verify().await?;
        for finding in &findings {
            say!("{finding}");
        }
        anyhow::ensure!(findings.is_empty(), "{} findings", findings.len());
        say!("all invariants hold");
        Ok(())
    }
}

/// When there was a backup last, as far as this database knows.
async fn backups(engine: &Engine) -> anyhow::Result<String> {
    if engine.store.is_shared() {
        return Ok("backups: PostgreSQL's own, which are not known here".to_owned());
    }
    let Some(made) = engine.last_backup().await? else {
        return Ok("backups: none was ever made; make one with: keywright backup".to_owned());
    };
    let failed = engine.failed_backup().await?.filter(|failed| failed.at > made.at);
    let failed = failed.map(|failed| format!("; since then one failed: {}", failed.problem));
    Ok(format!(
        "backups: the last one is of {}, {}, at {}{}",
        made.at.strftime("%Y-%m-%d %H:%M UTC"),
        size(made.bytes),
        made.path.display(),
        failed.unwrap_or_default(),
    ))
}
