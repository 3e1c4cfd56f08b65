//! `keywright apply FILE`.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use delivery::Brand;
use engine::configuration::ConfigurationFile;

use crate::{
    options::{DataOptions, secret},
    output::say,
    server,
};

/// Brings the configuration in line with a file. Twice changes nothing.
#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// A TOML file with products, plans, price rules, connections and API keys.
    file: PathBuf,

    /// Also takes away what the file does not name. Nothing that a license stands on is ever deleted.
    #[arg(long)]
    prune: bool,

    #[command(flatten)]
    data: DataOptions,
}

impl Apply {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let text =
            std::fs::read_to_string(&self.file).with_context(|| format!("{} cannot be read", self.file.display()))?;
        let file = ConfigurationFile::parse(&text).with_context(|| self.file.display().to_string())?;
        for (line, brand) in file.brands() {
            Brand::check_texts(brand).with_context(|| format!("{}, line {line}", self.file.display()))?;
        }
        let engine = server::open(&self.data).await?.engine;
        let report = engine.apply(&file, &secret, self.prune, "cli").await?;
        say!("{}", report.to_string().trim_end());
        Ok(())
    }
}
