//! PostgreSQL for tests and measurements: its programs, and a private server that leaves nothing behind.

mod account;
mod cluster;
mod programs;

pub(crate) use cluster::Cluster;
pub(crate) use programs::Programs;

use std::thread::sleep;
use std::time::Duration;

use crate::interrupt;
use crate::step::Step;

/// Where tests find a server on which they may create databases.
pub(crate) const URL_VARIABLE: &str = "KEYWRIGHT_TEST_POSTGRES_URL";

/// Options of `cargo xtask postgres`, and of whatever else starts a server.
#[derive(clap::Args, Clone, Copy)]
#[group(skip)]
pub(crate) struct Options {
    /// Let the server wait for the disk, as a real one does (slower)
    #[arg(long)]
    pub(crate) fsync: bool,
}

/// Starts a server, prints its address and waits for Ctrl-C.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let programs = Programs::ensure()?;
    let mut cluster = start(&programs, *options)?;
    println!("{}", cluster.url());
    eprintln!(
        "xtask: Ctrl-C stops it; tests in another terminal use it with\n  export {URL_VARIABLE}='{}'",
        cluster.url()
    );
    while interrupt::received().is_none() {
        cluster.check_alive()?;
        sleep(Duration::from_millis(100));
    }
    let step = Step::begin("postgresql server");
    drop(cluster);
    step.done("stopped and removed");
    Ok(())
}

/// Starts a server and says so.
pub(crate) fn start(programs: &Programs, options: Options) -> anyhow::Result<Cluster> {
    let step = Step::begin("postgresql server");
    let cluster = Cluster::start(programs, options)?;
    let fsync = if options.fsync { "on" } else { "off" };
    step.done(format_args!("on port {} in {}, fsync {fsync}", cluster.port(), cluster.folder().display()));
    Ok(cluster)
}
