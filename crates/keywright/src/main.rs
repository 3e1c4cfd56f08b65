//! The keywright command: one binary that takes payments in and gives licenses out.

mod backup_options;
mod clock;
mod commands;
mod dialler;
mod entropy;
mod faults;
mod identity_calls;
mod logging;
mod mail_options;
mod options;
mod output;
mod ring_file;
mod server;
mod simulator;
mod stripe_options;

use std::{io::Write, process::ExitCode};

use clap::{Parser, Subcommand};
use domain::order::Approval;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Turns a payment into a working license, and keeps it true for as long as the customer pays.
#[derive(Debug, Parser)]
#[command(name = "keywright", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    logging: logging::LoggingOptions,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows everything once, on a server of its own that leaves nothing behind.
    Demo(commands::demo::Demo),
    /// Runs the server. Nothing is required: data and keys are made in the data folder.
    Serve(commands::serve::Serve),
    /// Brings products, plans, price rules, connections and API keys in line with a file.
    Apply(commands::apply::Apply),
    /// Makes, lists and revokes API keys.
    #[command(subcommand)]
    ApiKey(commands::api_key::ApiKeyCommand),
    /// Makes, lists, suspends, closes and resumes vendors' accounts.
    #[command(subcommand)]
    Tenant(commands::tenant::TenantCommand),
    /// Makes owners: people who sign in to the console.
    #[command(subcommand)]
    Admin(commands::admin::AdminCommand),
    /// Issues a license by hand and prints its key.
    Issue(commands::issue::Issue),
    /// Brings licenses along from another system, with the keys that buyers have.
    #[command(subcommand)]
    Import(commands::import::ImportCommand),
    /// Lets a sale have its licenses, where its plan waits for somebody to approve it.
    Approve(commands::approve::Decide),
    /// Gives a sale no licenses. It may be approved later after all.
    Reject(commands::approve::Decide),
    /// Shows what an app would be told about a license key.
    Check(commands::check::Check),
    /// Connects an account at a payment provider.
    Connect(commands::connect::Connect),
    /// Manages mails.
    #[command(subcommand)]
    Mail(commands::mail::MailCommand),
    /// Lists what is on its way to webhook endpoints, and what became of it.
    Deliveries(commands::deliveries::Deliveries),
    /// Delivers an event to a webhook endpoint once more.
    Redeliver(commands::deliveries::Redeliver),
    /// Delivers to a webhook endpoint what happened since then and did not arrive.
    Recover(commands::recover::Recover),
    /// Shows events as they happen, and posts them to a server on this machine.
    Listen(commands::listen::Listen),
    /// Tries out by which ways alerts reach people.
    #[command(subcommand)]
    Alert(commands::alert::AlertCommand),
    /// Manages the master keys.
    #[command(subcommand)]
    Keys(commands::keys::KeysCommand),
    /// Plays something at a payment provider on loopback: real signed webhooks to a running server.
    ///
    /// The server must run on the same data folder. The first call adds a test connection named `simulated-PROVIDER`, and
    /// its prices are mapped to your plans as they are bought. Nothing leaves this machine.
    #[command(subcommand)]
    Simulate(commands::simulate::Simulate),
    /// Tells what is paid without a license, and what is active although its payment went back.
    Reconcile(commands::reconcile::Reconcile),
    /// Copies the whole database into one file, while the server works.
    Backup(commands::backup::Backup),
    /// Puts a backup in the place of a database, with which no server or other command works.
    Restore(commands::restore::Restore),
    /// Whether mails, webhooks, alerts and calls to providers leave.
    #[command(subcommand)]
    Outgoing(commands::outgoing::OutgoingCommand),
    /// Looks for anything that is not as it should be.
    Doctor(commands::doctor::Doctor),
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// Says what went wrong and what led to it. Where in the program helps nobody at a command line, even if the environment
/// asks for backtraces.
fn complain(error: &anyhow::Error) {
    let causes: String = error.chain().skip(1).map(|cause| format!("\n  because: {cause}")).collect();
    // Whoever closed it does not want to hear of it.
    let _ = writeln!(std::io::stderr(), "Error: {error}{causes}");
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let level = match cli.command {
        // They tell what happens themselves, and warnings would stand in the middle of it.
        Command::Demo(_) | Command::Simulate(_) => "error",
        Command::Serve(_) => "info",
        // What a command did, it prints.
        _ => "warn",
    };
    logging::start(&cli.logging, level)?;
    faults::arm()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match cli.command {
            Command::Demo(command) => command.run().await,
            Command::Serve(command) => command.run().await,
            Command::Apply(command) => command.run().await,
            Command::ApiKey(command) => command.run().await,
            Command::Tenant(command) => command.run().await,
            Command::Admin(command) => command.run().await,
            Command::Issue(command) => command.run().await,
            Command::Import(command) => command.run().await,
            Command::Approve(command) => command.run(Approval::Approved).await,
            Command::Reject(command) => command.run(Approval::Rejected).await,
            Command::Check(command) => command.run().await,
            Command::Connect(command) => command.run().await,
            Command::Mail(command) => command.run().await,
            Command::Deliveries(command) => command.run().await,
            Command::Redeliver(command) => command.run().await,
            Command::Recover(command) => command.run().await,
            Command::Listen(command) => command.run().await,
            Command::Alert(command) => command.run().await,
            Command::Keys(command) => command.run().await,
            Command::Simulate(command) => command.run().await,
            Command::Reconcile(command) => command.run().await,
            Command::Backup(command) => command.run().await,
            Command::Restore(command) => command.run().await,
            Command::Outgoing(command) => command.run().await,
            Command::Doctor(command) => command.run().await,
        }
    })
}
