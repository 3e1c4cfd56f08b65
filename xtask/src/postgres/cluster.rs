//! A private server: its own folder, user, port and password, and gone afterwards.

use std::fs::{self, File};
use std::io::Read as _;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::process::Signal;
use tempfile::TempDir;

use super::account::Account;
use super::{Options, Programs};
use crate::{interrupt, process};

const USER: &str = "keywright";
/// Another program may take the free port before the server does.
const ATTEMPTS: usize = 3;
const START_LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);
/// The line of `postmaster.pid` that says whether the server takes connections.
const STATUS_LINE: usize = 7;

/// A running server. Dropping it stops it and removes its folder.
pub(crate) struct Cluster {
    server: Child,
    port: u16,
    password: String,
    folder: TempDir,
}

impl Cluster {
    /// Makes and starts a server that only this machine's loopback reaches.
    pub(crate) fn start(programs: &Programs, options: Options) -> anyhow::Result<Self> {
        let account = Account::choose()?;
        let folder = tempfile::Builder::new()
            .prefix("keywright-postgres-")
            .tempdir()
            .context("cannot make a temporary folder for PostgreSQL")?;
        if let Some(account) = &account {
            account.own(folder.path())?;
        }
        let password = password()?;
        initialise(programs, account.as_ref(), folder.path(), &password)?;
        let (server, port) = start_server(programs, account.as_ref(), folder.path(), options)?;
        Ok(Self { server, port, password, folder })
    }

    /// The address for a client that may do everything on this server.
    pub(crate) fn url(&self) -> String {
        format!("postgres://{USER}:{}@127.0.0.1:{}/postgres", self.password, self.port)
    }

    /// The port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Everything the server writes is in here.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Fails with the end of its log if the server has ended by itself.
    pub(crate) fn check_alive(&mut self) -> anyhow::Result<()> {
        match self.server.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("the PostgreSQL server ended by itself ({status}):\n{}", log_end(self.folder.path())),
        }
    }

    /// Keeps the server's log beyond its life, for whoever looks into a failed test.
    pub(crate) fn keep_log(&self, path: &Path) -> anyhow::Result<()> {
        fs::copy(log_file(self.folder.path()), path)
            .map(drop)
            .with_context(|| format!("cannot copy the PostgreSQL log to {}", path.display()))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // SIGINT is PostgreSQL's fast shutdown: connections are closed, not waited for.
        if let Err(error) = process::stop(&mut self.server, Signal::INT) {
            eprintln!("xtask: cannot stop the PostgreSQL server, process {}: {error:#}", self.server.id());
        }
    }
}

fn initialise(programs: &Programs, account: Option<&Account>, folder: &Path, password: &str) -> anyhow::Result<()> {
    let password_file = folder.join("password");
    fs::write(&password_file, password).with_context(|| format!("cannot write {}", password_file.display()))?;
    if let Some(account) = account {
        account.own(&password_file)?;
    }
    let mut initdb = command(&programs.path("initdb"), account, folder);
    initdb.arg("--pgdata").arg(data(folder)).arg("--pwfile").arg(&password_file);
    initdb.args(["--username", USER, "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync"]);
    process::output(&mut initdb).with_context(|| {
        format!("cannot make a PostgreSQL cluster in {} (set TMPDIR to have it elsewhere)", folder.display())
    })?;
    fs::remove_file(&password_file).with_context(|| format!("cannot remove {}", password_file.display()))
}

fn start_server(
    programs: &Programs,
    account: Option<&Account>,
    folder: &Path,
    options: Options,
) -> anyhow::Result<(Child, u16)> {
    for _ in 0..ATTEMPTS {
        let port = free_port()?;
        let mut server = spawn(programs, account, folder, port, options)?;
        match wait_until_ready(&mut server, folder) {
            Ok(true) => return Ok((server, port)),
            Ok(false) if log_end(folder).contains("could not bind") => {}
            Ok(false) => bail!("the PostgreSQL server does not start:\n{}", log_end(folder)),
            Err(error) => {
                process::stop(&mut server, Signal::INT)?;
                return Err(error);
            }
        }
    }
    bail!("{ATTEMPTS} ports in a row were free and then taken when PostgreSQL wanted them: try again")
}

/// In a process group of its own, so that a terminal's Ctrl-C does not end it before those who use it.
fn spawn(
    programs: &Programs,
    account: Option<&Account>,
    folder: &Path,
    port: u16,
    options: Options,
) -> anyhow::Result<Child> {
    let log = File::create(log_file(folder)).context("cannot create PostgreSQL's log")?;
    let mut server = command(&programs.path("postgres"), account, folder);
    server.arg("-D").arg(data(folder));
    for setting in settings(port, options) {
        server.arg("-c").arg(setting);
    }
    server.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
    server.spawn().context("cannot start the PostgreSQL server")
}

fn settings(port: u16, options: Options) -> Vec<String> {
    let durable = if options.fsync { "on" } else { "off" };
    // To be measured it has what the manual advises, a quarter of a server's memory; taken only as far as it is used.
    let buffers = if options.fsync { "2GB" } else { "128MB" };
    vec![
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={port}"),
        "unix_socket_directories=".to_owned(),
        "max_connections=200".to_owned(),
        format!("shared_buffers={buffers}"),
        format!("fsync={durable}"),
        format!("full_page_writes={durable}"),
    ]
}

fn command(program: &Path, account: Option<&Account>, folder: &Path) -> Command {
    let mut command = dying_with_us(program);
    command.current_dir(folder).env("LC_ALL", "C");
    if let Some(account) = account {
        account.apply(&mut command);
    }
    command
}

/// Where Linux's `setpriv` is at hand, the program is stopped even if this process is killed outright.
fn dying_with_us(program: &Path) -> Command {
    let Some(setpriv) = process::on_path("setpriv").filter(|setpriv| knows_parent_death(setpriv)) else {
        return Command::new(program);
    };
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", "INT"]).arg(program);
    command
}

fn knows_parent_death(setpriv: &Path) -> bool {
    process::output(Command::new(setpriv).arg("--help")).is_ok_and(|help| help.contains("--pdeathsig"))
}

/// Whether the server takes connections; `false` when it has ended instead.
fn wait_until_ready(server: &mut Child, folder: &Path) -> anyhow::Result<bool> {
    let deadline = Instant::now() + START_LIMIT;
    let status_file = data(folder).join("postmaster.pid");
    loop {
        interrupt::check()?;
        if server.try_wait()?.is_some() {
            return Ok(false);
        }
        if fs::read_to_string(&status_file).is_ok_and(|status| says_ready(&status)) {
            return Ok(true);
        }
        ensure!(
            Instant::now() < deadline,
            "PostgreSQL takes longer than {START_LIMIT:?} to start:\n{}",
            log_end(folder)
        );
        sleep(POLL);
    }
}

fn says_ready(status: &str) -> bool {
    status.lines().nth(STATUS_LINE).is_some_and(|line| line.trim() == "ready")
}

fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

fn log_file(folder: &Path) -> PathBuf {
    folder.join("server.log")
}

fn log_end(folder: &Path) -> String {
    let log = fs::read_to_string(log_file(folder)).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot find a free port on 127.0.0.1")?;
    Ok(listener.local_addr()?.port())
}

/// Other users of the machine can reach the port, so they must not be able to log in.
fn password() -> anyhow::Result<String> {
    let mut bytes = [0_u8; 16];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .context("cannot read /dev/urandom")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::{Options, says_ready, settings};

    #[test]
    fn the_status_file_tells_when_connections_are_taken() {
        let status = |word: &str| format!("4711\n/data\n1700000000\n5433\n\n127.0.0.1\n  1 2\n{word}   \n");
        assert!(says_ready(&status("ready")));
        assert!(!says_ready(&status("starting")));
        assert!(!says_ready("4711\n/data\n"));
    }

    #[test]
    fn only_who_asks_for_it_waits_for_the_disk() {
        assert!(settings(1, Options { fsync: true }).contains(&"fsync=on".to_owned()));
        assert!(settings(1, Options { fsync: false }).contains(&"fsync=off".to_owned()));
    }
}
