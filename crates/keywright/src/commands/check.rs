//! `keywright check KEY`.

use clap::Args;
use engine::runtime::{ActivationKind, AppCall};

use crate::{options::DataOptions, output::say, server};

/// Shows what an app would be told.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The license key.
    key: String,

    /// The code of the product that the app is.
    #[arg(long)]
    product: Option<String>,

    /// The fingerprint of a device.
    #[arg(long)]
    device: Option<String>,

    #[command(flatten)]
    data: DataOptions,
}

impl Check {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let engine = server::open(&self.data).await?.engine;
        let call = AppCall {
            key: self.key,
            product: self.product,
            device: self.device,
            device_name: None,
            kind: ActivationKind::Device,
            ..AppCall::default()
        };
        let answer = engine.check(&call).await?;
        let verdict = &answer.verdict;
        say!(
            "{} ({}): {}",
            if verdict.code.is_valid() { "valid" } else { "not valid" },
            verdict.code.as_str(),
            verdict.message
        );
        if let Some(license) = &answer.license {
            say!("{}, plan {} of {}", license.found.id, license.offer.plan.code, license.offer.product);
        }
        if let Some(until) = verdict.until {
            say!("until {until}");
        }
        std::process::exit(if verdict.code.is_valid() { 0 } else { 1 });
    }
}
