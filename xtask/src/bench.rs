//! `cargo xtask bench`: measures the release build, each figure beside the echo of the same run.

use clap::Args;

use crate::{
    postgres::{self, Programs},
    process, workspace,
};

/// How to measure.
#[derive(Args)]
pub(crate) struct Options {
    /// What the measuring program gets, such as `--database sqlite --seconds 10`
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// Builds, starts a server that really syncs to disk, and measures.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    process::run(workspace::cargo().args(["build", "--release", "--package", "keywright", "--package", "bench"]))?;
    let programs = Programs::ensure()?;
    let server = postgres::start(&programs, postgres::Options { fsync: true })?;
    let release = workspace::target().join("release");
    let mut bench = std::process::Command::new(release.join("bench"));
    bench.arg("run").arg("--binary").arg(release.join("keywright")).args(&options.arguments);
    process::run(bench.env("KEYWRIGHT_TEST_POSTGRES_URL", server.url()))
}
