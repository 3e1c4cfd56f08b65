//! The processes that are measured: the echo, and Keywright on an empty database.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
};

use anyhow::Context;
use tempfile::TempDir;

use crate::{Database, events::SECRET};

/// Databases made by this run.
static DATABASES: AtomicUsize = AtomicUsize::new(0);

/// A process with an address. It ends with this value.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Process {
    /// The processor time it has used so far, in milliseconds.
    pub(crate) fn processor_milliseconds(&self) -> anyhow::Result<u64> {
        // Linux counts in hundredths of a second on every machine (proc(5), USER_HZ).
        const TICK_MILLISECONDS: u64 = 10;
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name in brackets may have blanks; user and system time are the 14th and 15th field of all.
        let (_, fields) = text.rsplit_once(')').context("a name in brackets")?;
        let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
        Ok(ticks.sum::<Result<u64, _>>()? * TICK_MILLISECONDS)
    }

    /// The memory that it holds now, in MiB.
    pub(crate) fn resident_mebibytes(&self) -> anyhow::Result<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("a line VmRSS")?;
        let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kibibytes / 1024)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Who signs in to the console.
pub(crate) const OWNER: &str = "owner@bench.example";
/// The owner's password.
pub(crate) const PASSWORD: &str = "bench-0123456789";

/// Keywright, on an empty database of its own.
pub(crate) struct Keywright {
    pub(crate) process: Process,
    pub(crate) api_key: String,
    _folder: TempDir,
}

/// Starts the echo: this binary again, in its other role.
pub(crate) fn echo() -> anyhow::Result<Process> {
    let mut command = Command::new(std::env::current_exe()?);
    start(command.arg("echo"), |line| line.parse().ok())
}

/// Who Keywright talks to, besides those that press.
#[derive(Debug, Clone, Default)]
pub(crate) struct Neighbours {
    /// Answers look-ups; none: there are no look-ups.
    pub(crate) provider: Option<SocketAddr>,
    /// Takes mails; none: they are caught.
    pub(crate) relay: Option<SocketAddr>,
    /// Are told of every license, by tenant: those of the first are the default tenant's.
    pub(crate) receivers: Vec<Vec<SocketAddr>>,
}

/// The name in addresses of a tenant, by its number.
pub(crate) fn tenant(number: usize) -> String {
    if number == 0 { "default".to_owned() } else { format!("seller-{number}") }
}

/// Starts Keywright with a plan and a connection with the secret of the events at each tenant, and an API key.
pub(crate) fn keywright(binary: &Path, database: Database, neighbours: &Neighbours) -> anyhow::Result<Keywright> {
    let folder = tempfile::tempdir()?;
    let url = match database {
        Database::Sqlite => format!("sqlite:{}", folder.path().join("keywright.db").display()),
        Database::Postgres => fresh_postgres()?,
    };
    let command = |arguments: &[&str]| {
        let mut command = Command::new(binary);
        command.args(arguments).arg("--data-dir").arg(folder.path());
        command.env("KEYWRIGHT_DATABASE_URL", &url).env("BENCH_SECRET", SECRET).env("BENCH_API_KEY", "sk_test_bench");
        command.env("KEYWRIGHT_LOG", "error").env("KEYWRIGHT_ALLOWED_NETWORKS", "127.0.0.0/8");
        command
    };
    for number in 0..neighbours.receivers.len().max(1) {
        let slug = tenant(number);
        if number > 0 {
            output_of(command(&["tenant", "create", "--name", &slug, &slug]))?;
        }
        let file = folder.path().join(format!("{slug}.toml"));
        std::fs::write(&file, configuration(neighbours, number))?;
        output_of(command(&["apply", &file.to_string_lossy()]))?;
    }
    let api_key = output_of(command(&["api-key", "create", "--name", "bench", "--kind", "test", "--scope", "admin"]))?;
    let password = folder.path().join("password");
    std::fs::write(&password, PASSWORD)?;
    output_of(command(&["admin", "create", OWNER, "--password-file", &password.to_string_lossy()]))?;
    let mut serve = command(&["serve", "--listen", "127.0.0.1:0"]);
    if let Some(relay) = neighbours.relay {
        serve.args(["--smtp-url", &format!("smtp://{relay}"), "--mail-from", "keys@bench.example"]);
    }
    let process = start(&mut serve, |line| line.split("http://").nth(1)?.trim().parse().ok())?;
    Ok(Keywright { process, api_key, _folder: folder })
}

/// What a command prints.
fn output_of(mut command: Command) -> anyhow::Result<String> {
    let output = command.output()?;
    anyhow::ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn configuration(neighbours: &Neighbours, tenant_number: usize) -> String {
    let connection = match neighbours.provider {
        None => "mode = \"test\"\nlevel = \"none\"".to_owned(),
        Some(address) => format!(
            "mode = \"simulated\"\nlevel = \"read\"\napi_key = \"env:BENCH_API_KEY\"\napi_base = \"http://{address}\""
        ),
    };
    let endpoint = |(number, address): (usize, &SocketAddr)| {
        format!(
            "[[webhook_endpoint]]\ncode = \"receiver-{number}\"\nmode = \"test\"\nurl = \"http://{address}/hooks\"\n\
             events = [\"license.created\"]\n"
        )
    };
    let endpoints: String =
        neighbours.receivers.get(tenant_number).into_iter().flatten().enumerate().map(endpoint).collect();
    format!(
        "[tenant]\nslug = \"{}\"\n\n[[product]]\ncode = \"bench\"\nname = \"Bench\"\nkey_prefix = \"BENCH\"\n\n[[plan]]\ncode = \"pro\"\n\
         product = \"bench\"\nname = \"Pro\"\nactivations = 3\n\n[[plan]]\ncode = \"year\"\nproduct = \"bench\"\n\
         name = \"Year\"\nduration_days = 365\n\n[[connection]]\ncode = \"stripe\"\nprovider = \"stripe\"\n\
         {connection}\nwebhook_secrets = [\"env:BENCH_SECRET\"]\n\n[[price_rule]]\nconnection = \"stripe\"\n\
         price = \"price_bench\"\nplan = \"pro\"\n{endpoints}",
        tenant(tenant_number)
    )
}

fn start(command: &mut Command, address: impl Fn(&str) -> Option<SocketAddr>) -> anyhow::Result<Process> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("the process does not start")?;
    let output = child.stdout.take().context("it has an output")?;
    let mut lines = BufReader::new(output).lines();
    while let Some(line) = lines.next() {
        if let Some(address) = address(&line?) {
            // It goes on being read: a process whose output nobody takes would end with its next line.
            std::thread::spawn(move || lines.for_each(drop));
            return Ok(Process { child, address });
        }
    }
    anyhow::bail!("the process ended before it said where it listens: {}", child.wait()?)
}

/// A fresh database on the server that the test command runs.
fn fresh_postgres() -> anyhow::Result<String> {
    let server = std::env::var("KEYWRIGHT_TEST_POSTGRES_URL")
        .context("KEYWRIGHT_TEST_POSTGRES_URL is not set; run `cargo xtask bench`")?;
    let name = format!("bench_{}_{}", std::process::id(), DATABASES.fetch_add(1, Ordering::Relaxed));
    let made = Command::new("psql").args([server.as_str(), "-qc", &format!("CREATE DATABASE {name}")]).status()?;
    anyhow::ensure!(made.success(), "psql cannot make a database");
    let (base, _) = server.rsplit_once('/').context("the address ends with a database")?;
    Ok(format!("{base}/{name}"))
}
