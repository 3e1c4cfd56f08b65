//! `keywright keys list|rotate`.

use clap::{Args, Subcommand};

use crate::{entropy::ThreadEntropy, options::DataOptions, output::say, ring_file, server};

/// What to do with the master keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Shows the ids of the master keys; the first one seals.
    List(DataOptions),
    /// Makes a new master key and seals everything with it. Interrupted, it goes on where it stopped.
    Rotate(Rotate),
}

/// A rotation.
#[derive(Debug, Args)]
pub(crate) struct Rotate {
    /// Makes no new key: seals with the first key of the file what is not sealed with it yet. With several nodes, first
    /// add the new key to every node's file and restart them, then run this.
    #[arg(long)]
    resume: bool,

    #[command(flatten)]
    data: DataOptions,
}

impl KeysCommand {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::List(data) => {
                for (place, id) in ring_file::read(&data.master_key_file())?.ids().enumerate() {
                    say!("{id}{}", if place == 0 { " active" } else { "" });
                }
                Ok(())
            }
            Self::Rotate(rotate) => rotate.run().await,
        }
    }
}

impl Rotate {
    async fn run(self) -> anyhow::Result<()> {
        let installation = server::open(&self.data).await?;
        let path = self.data.master_key_file();
        if !self.resume {
            let ring = ring_file::read(&path)?.add_active(&mut ThreadEntropy)?;
            // The file comes first: whatever is sealed with the new key can be opened after a crash.
            ring_file::replace(&path, &ring)?;
            installation.ring.set(ring);
        }
        let report = installation.engine.reseal().await?;
        say!("{report}");
        say!("The old master keys still stand in {}; running servers must be restarted.", path.display());
        Ok(())
    }
}
