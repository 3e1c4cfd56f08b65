//! Measures what the design promises, each figure beside the echo of the same run.
//!
//! The load generator, the server and the database share the machine, so absolute figures say little: the ratio to a bare
//! axum handler that reads the same body and answers a short JSON is what counts.

mod echo;
mod events;
mod load;
mod provider;
mod receivers;
mod relay;
mod report;
mod scenarios;
mod server;

use std::path::PathBuf;

use clap::{Args, Parser, ValueEnum};

/// The database to measure on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Database {
    /// A file.
    Sqlite,
    /// A server, from KEYWRIGHT_TEST_POSTGRES_URL.
    Postgres,
}

/// A part of the measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Webhooks in, answered after their commit.
    Intake,
    /// License checks.
    Checks,
    /// License checks where there are many, beside those where there are few. Not measured unless asked for: it takes
    /// minutes to issue them.
    Growth,
    /// What a timer far away costs: licenses that all end in a year, beside few of them. Not measured unless asked for.
    Timers,
    /// Paid events in, licenses out.
    Fulfilment,
    /// Paid events in, mails accepted by the relay.
    Mail,
    /// Fulfilment with one look-up at the provider for each.
    LookUps,
    /// Events out, to receivers that take them.
    Webhooks,
    /// The same beside receivers that take nothing. Not measured unless asked for: it takes minutes.
    Crowd,
    /// Pages of the console where there are many licenses. Not measured unless asked for: it takes minutes to issue them.
    Console,
}

/// Measures.
#[derive(Debug, Parser)]
enum Command {
    /// Measures a binary.
    Run(Run),
    /// The yardstick, as a process of its own.
    #[command(hide = true)]
    Echo,
}

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The binary to measure.
    #[arg(long)]
    pub(crate) binary: PathBuf,

    /// The databases.
    #[arg(long = "database", value_enum, default_values_t = [Database::Sqlite, Database::Postgres])]
    databases: Vec<Database>,

    /// The parts.
    #[arg(long = "part", value_enum,
        default_values_t = [Part::Intake, Part::Checks, Part::Fulfilment, Part::Mail, Part::LookUps, Part::Webhooks])]
    pub(crate) parts: Vec<Part>,

    /// Seconds that each throughput is measured.
    #[arg(long, default_value_t = 5)]
    pub(crate) seconds: u64,

    /// Paid orders in the measurements of fulfilment.
    #[arg(long, default_value_t = 20_000)]
    pub(crate) orders: usize,

    /// Seconds that events go out beside receivers that take nothing.
    #[arg(long, default_value_t = 600)]
    pub(crate) crowd_seconds: u64,

    /// Licenses that are many.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub(crate) licenses: usize,
}

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match Command::parse() {
            Command::Echo => echo::serve().await,
            Command::Run(run) => {
                for database in &run.databases {
                    println!("{}", scenarios::run(*database, &run).await?);
                }
                Ok(())
            }
        }
    })
}
