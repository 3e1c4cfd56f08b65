//! `cargo xtask test`: everything the tests need, then the tests.

use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::postgres::{self, Cluster, Programs};
use crate::step::Step;
use crate::{oracles, process, workspace};

/// Installed where no other version is at hand; a fixed one, so that a new release cannot break a test run.
const NEXTEST_VERSION: &str = "0.9.143";

/// Options of `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    postgres: postgres::Options,
    /// Passed on to `cargo nextest run`, such as `-p store` or a part of a test's name
    #[arg(last = true)]
    nextest: Vec<String>,
}

/// Runs all tests, or those that the arguments choose.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    ensure_nextest()?;
    let database = Database::prepare()?;
    let oracles = oracles::ensure()?;
    let everything = options.nextest.is_empty();
    if everything {
        build()?;
        examples()?;
    }
    let server = database.start(options.postgres)?;
    let step = Step::begin("tests");
    let mut nextest = nextest(&options.nextest);
    nextest.env(postgres::URL_VARIABLE, server.url()).envs(oracles);
    let outcome = process::run(&mut nextest);
    step.done(if outcome.is_ok() { "passed" } else { "failed" });
    server.end(outcome.is_err())?;
    outcome
}

fn ensure_nextest() -> anyhow::Result<()> {
    let step = Step::begin("cargo-nextest");
    let asked = || process::output(workspace::cargo().args(["nextest", "--version"]));
    if asked().is_err() {
        process::run(workspace::cargo().args(["install", "cargo-nextest", "--locked", "--version", NEXTEST_VERSION]))
            .context("cannot install cargo-nextest, which runs the tests")?;
    }
    let version = asked().context("cargo-nextest is installed but cannot be run: is cargo's bin folder on PATH?")?;
    step.done(version.lines().next().unwrap_or_default());
    Ok(())
}

fn build() -> anyhow::Result<()> {
    let step = Step::begin("build");
    process::run(workspace::cargo().args(["nextest", "run", "--workspace", "--no-run"]))?;
    step.done("all tests");
    Ok(())
}

/// The test runner does not know the examples in documentation. Few crates have any, and only those are asked.
fn examples() -> anyhow::Result<()> {
    let step = Step::begin("examples in documentation");
    let mut packages = workspace::packages()?;
    packages.retain(|package| package.targets.iter().any(|target| target.doctest));
    if !packages.is_empty() {
        let chosen = packages.iter().flat_map(|package| ["-p", &package.name]);
        process::run(workspace::cargo().args(["test", "--quiet", "--doc"]).args(chosen))?;
    }
    step.done(format_args!("passed in {} crate(s)", packages.len()));
    Ok(())
}

fn nextest(arguments: &[String]) -> Command {
    let mut command = workspace::cargo();
    command.args(["nextest", "run"]);
    if !chooses_packages(arguments) {
        command.arg("--workspace");
    }
    command.args(arguments);
    command
}

/// Cargo would take `--workspace -p store` as the whole workspace.
fn chooses_packages(arguments: &[String]) -> bool {
    arguments.iter().any(|argument| argument.starts_with("-p") || argument.starts_with("--package"))
}

/// The server that the tests get: one that was given, or one of our own.
enum Database {
    Given(String),
    Own(Programs),
}

impl Database {
    /// Everything that can be missing is found out before anything is built.
    fn prepare() -> anyhow::Result<Self> {
        let Ok(url) = std::env::var(postgres::URL_VARIABLE) else {
            return Programs::ensure().map(Self::Own);
        };
        ensure!(
            url.starts_with("postgres://") || url.starts_with("postgresql://"),
            "{} must be the address of a PostgreSQL server, such as postgres://user:password@127.0.0.1:5432/postgres",
            postgres::URL_VARIABLE
        );
        Ok(Self::Given(url))
    }

    fn start(self, options: postgres::Options) -> anyhow::Result<Server> {
        match self {
            Self::Given(url) => {
                Step::begin("postgresql server").done(format_args!("given by {}", postgres::URL_VARIABLE));
                Ok(Server::Given(url))
            }
            Self::Own(programs) => postgres::start(&programs, options).map(Server::Own),
        }
    }
}

enum Server {
    Given(String),
    Own(Cluster),
}

impl Server {
    fn url(&self) -> String {
        match self {
            Self::Given(url) => url.clone(),
            Self::Own(cluster) => cluster.url(),
        }
    }

    fn end(self, failed: bool) -> anyhow::Result<()> {
        let Self::Own(cluster) = self else { return Ok(()) };
        let step = Step::begin("postgresql server");
        let log = workspace::target().join("postgres.log");
        if failed {
            cluster.keep_log(&log)?;
        }
        drop(cluster);
        if failed {
            step.done(format_args!("stopped and removed, its log is {}", log.display()));
        } else {
            step.done("stopped and removed");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::nextest;

    fn arguments(given: &[&str]) -> Vec<String> {
        let given: Vec<String> = given.iter().map(ToString::to_string).collect();
        nextest(&given).get_args().map(|argument| argument.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn without_a_choice_the_whole_workspace_is_tested() {
        assert_eq!(arguments(&[]), ["nextest", "run", "--workspace"]);
        assert_eq!(arguments(&["refund"]), ["nextest", "run", "--workspace", "refund"]);
    }

    #[test]
    fn chosen_packages_are_tested_alone() {
        assert_eq!(arguments(&["-p", "store"]), ["nextest", "run", "-p", "store"]);
        assert_eq!(arguments(&["--package=store"]), ["nextest", "run", "--package=store"]);
    }
}
