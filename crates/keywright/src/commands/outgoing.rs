//! `keywright outgoing hold|release`.

use clap::{Args, Subcommand};
use engine::outgoing::Released;

use crate::{
    options::DataOptions,
    output::{counted, say},
    server,
};

/// Whether mails, webhooks, alerts and calls to providers leave.
#[derive(Debug, Subcommand)]
pub(crate) enum OutgoingCommand {
    /// Has nothing leave, until it is released. Do this after PostgreSQL was restored, before the first server starts.
    Hold(DataOptions),
    /// Has everything leave again. What waited when it was held stays held, since it may have left already.
    Release(Release),
}

/// A release.
#[derive(Debug, Args)]
pub(crate) struct Release {
    /// Also sends what waited when it was held.
    #[arg(long)]
    with_older: bool,

    #[command(flatten)]
    data: DataOptions,
}

impl OutgoingCommand {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Hold(data) => {
                server::open(&data).await?.engine.hold_outgoing(None, &"cli".into()).await?;
                say!("Nothing leaves from the next start of a server on. Let it go with: keywright outgoing release");
            }
            Self::Release(Release { with_older, data }) => {
                match server::open(&data).await?.engine.release_outgoing(with_older, &"cli".into()).await? {
                    None => say!("nothing was held"),
                    Some(released) => tell(released),
                }
            }
        }
        Ok(())
    }
}

fn tell(Released { mails_held, deliveries_held }: Released) {
    say!("Everything leaves again; a running server begins within a second.");
    if mails_held > 0 {
        let mails = counted(mails_held, "mail");
        say!("  {mails} waited before and {}; send them with: keywright mail release", stay(mails_held));
    }
    if deliveries_held > 0 {
        let deliveries = counted(deliveries_held, "delivery").replace("deliverys", "deliveries");
        let stay = stay(deliveries_held);
        say!("  {deliveries} waited before and {stay}; release them at their webhook endpoint");
    }
    say!("  Alerts and calls to providers that waited leave as well.");
}

const fn stay(count: u64) -> &'static str {
    if count == 1 { "stays held" } else { "stay held" }
}
