//! The developer's commands, started as `cargo xtask COMMAND`.
//!
//! To add one: a module with its options and a function `run`, and a line in [`Command`] and in [`run`].

mod bench;
mod corpus;
mod debian;
mod interrupt;
mod oracles;
mod postgres;
mod process;
mod requirements;
mod step;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(bin_name = "cargo xtask", about = "The developer's commands of Keywright")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run all tests; what they need is found, installed or started first
    Test(test::Options),
    /// Start a private PostgreSQL server, print its address and keep it until Ctrl-C
    Postgres(postgres::Options),
    /// Measure the release build on both databases
    Bench(bench::Options),
    /// Check that every requirement has its row and that the tests the rows name exist
    Requirements,
    /// Run every event file of a folder through parsing and translation, check signing vectors, print what each yields
    Corpus {
        /// The folder; those inside it count as well
        folder: std::path::PathBuf,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match interrupt::watch().and_then(|()| run(arguments.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            interrupt::received().map_or(ExitCode::FAILURE, |signal| ExitCode::from(128 + signal))
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Test(options) => test::run(&options),
        Command::Postgres(options) => postgres::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Requirements => requirements::run(),
        Command::Corpus { folder } => corpus::run(&folder),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        super::Arguments::command().debug_assert();
    }
}
