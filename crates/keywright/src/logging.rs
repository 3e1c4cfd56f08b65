//! Logs: readable on a terminal, JSON for machines. Keys and addresses never stand in them in clear.

use std::io::IsTerminal;

use clap::{Args, ValueEnum};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{Layer, Registry, filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// How logs look.
#[derive(Debug, Clone, Args)]
pub(crate) struct LoggingOptions {
    /// What is logged: `info`, or per part such as `info,engine=debug`. [default: info in serve, error in demo
    /// and simulate, warn in all others]
    #[arg(long, env = "KEYWRIGHT_LOG", global = true)]
    log: Option<String>,

    /// The form of logs. [default: text on a terminal, json otherwise]
    #[arg(long, env = "KEYWRIGHT_LOG_FORMAT", global = true)]
    log_format: Option<LogFormat>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// Libraries that print addresses with secrets in their paths, or statements, at deeper levels.
const QUIET: [&str; 6] = ["h2", "hyper", "reqwest", "sqlx", "sea_orm", "sea_orm_migration"];

/// Starts logging, with this default where nothing was asked for.
pub(crate) fn start(options: &LoggingOptions, default: &str) -> anyhow::Result<()> {
    let mut targets: Targets = options.log.as_deref().unwrap_or(default).parse()?;
    for library in QUIET {
        targets = targets.with_target(library, LevelFilter::WARN);
    }
    let json = match options.log_format {
        Some(format) => format == LogFormat::Json,
        None => !std::io::stderr().is_terminal(),
    };
    let layer: Box<dyn Layer<Registry> + Send + Sync> = if json {
        fmt::layer().json().with_writer(std::io::stderr).boxed()
    } else {
        fmt::layer().with_target(false).with_writer(std::io::stderr).boxed()
    };
    tracing_subscriber::registry().with(layer.with_filter(targets)).try_init()?;
    Ok(())
}
