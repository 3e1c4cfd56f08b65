//! Processes of the binary: started, waited for, and ended by their own id.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tempfile::TempDir;

/// The longest that anything may take.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(5);

/// The binary, without whatever the environment says about another installation.
pub(crate) fn keywright() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keywright"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_ours(&name.to_string_lossy())) {
        command.env_remove(name);
    }
    // No test asks anybody beyond this machine.
    command.stdin(Stdio::null()).env("KEYWRIGHT_OFFLINE", "true");
    command
}

/// Whether a variable of the environment is one that the binary reads.
fn is_ours(name: &str) -> bool {
    ["KEYWRIGHT_", "STRIPE_"].iter().any(|beginning| name.starts_with(beginning))
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// What was printed, with every line in one piece. Keys stay on lines of their own.
    pub(crate) fn text(&self) -> String {
        unwrapped(&self.stdout)
    }

    /// The lines that speak of this, as `simulate` writes them.
    pub(crate) fn told(&self, word: &str) -> Vec<String> {
        told(&self.text(), word)
    }

    /// The license keys that were shown.
    pub(crate) fn keys(&self) -> Vec<String> {
        keys(&self.stdout)
    }
}

/// A text whose lines that go on with the one before them have joined it.
pub(crate) fn unwrapped(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let goes_on = line.starts_with("                ") && !is_key(line.trim());
        match lines.last_mut() {
            Some(last) if goes_on => last.extend([" ", line.trim()]),
            _ => lines.push(line.to_owned()),
        }
    }
    lines.join("\n")
}

/// The lines of a text that speak of this.
pub(crate) fn told(text: &str, word: &str) -> Vec<String> {
    let said = |line: &&str| line.split_whitespace().skip_while(|part| *part != "ms").nth(1) == Some(word);
    text.lines().filter(said).map(str::to_owned).collect()
}

fn is_key(line: &str) -> bool {
    line.split('-').count() == 5 && line.bytes().all(|byte| byte == b'-' || byte.is_ascii_alphanumeric())
}

/// The license keys in a text, on lines of their own.
pub(crate) fn keys(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| is_key(line)).map(str::to_owned).collect()
}

/// A process that is ended with this value.
pub(crate) struct Process(pub(crate) Child);

impl Process {
    /// Waits until it ends, and kills it if it does not.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let since = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(since.elapsed() < PATIENCE, "process {} does not end", self.0.id());
            std::thread::sleep(LOOK);
        }
    }

    /// Asks it to end as ctrl-c does.
    pub(crate) fn interrupt(&self) {
        let command = format!("kill -INT {}", self.0.id());
        assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success());
    }

    /// The lines that it prints, up to one that begins with this.
    pub(crate) fn lines_until(&mut self, beginning: &'static str) -> Vec<String> {
        let stdout = self.0.stdout.take().unwrap();
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            // Goes on reading, so that the process never waits for us.
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut lines: Vec<String> = Vec::new();
        while !lines.last().is_some_and(|line| line.starts_with(beginning)) {
            match receiver.recv_timeout(PATIENCE) {
                Ok(line) => lines.push(line),
                Err(error) => panic!("no line that begins with `{beginning}` ({error}) in {lines:#?}"),
            }
        }
        lines
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until it is so.
pub(crate) fn until(mut is_so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < PATIENCE, "it does not come to that");
        std::thread::sleep(LOOK);
    }
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Ran {
    run_with(command, "")
}

/// Runs a command that reads this to its end.
pub(crate) fn run_with(command: &mut Command, input: &str) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let file = |name: &str| File::create(path(name)).unwrap();
    std::fs::write(path("stdin"), input).unwrap();
    command.stdin(File::open(path("stdin")).unwrap());
    let child = command.stdout(file("stdout")).stderr(file("stderr")).spawn().unwrap();
    let status = Process(child).wait();
    let text = |name: &str| std::fs::read_to_string(path(name)).unwrap();
    Ran { status, stdout: text("stdout"), stderr: text("stderr") }
}

/// A folder with data, and perhaps a server on it.
pub(crate) struct Installation {
    pub(crate) folder: TempDir,
    /// What its commands find in their environment.
    pub(crate) environment: Vec<(&'static str, String)>,
    server: Option<(Process, String)>,
}

impl Installation {
    /// A folder that has no data yet.
    pub(crate) fn empty() -> Self {
        Self::with(Vec::new())
    }

    /// The same, with this in the environment of the server and of every command.
    pub(crate) fn with(environment: Vec<(&'static str, String)>) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), environment, server: None }
    }

    /// A server on a folder with the sample configuration.
    pub(crate) fn of_sample() -> Self {
        let mut installation = Self::empty();
        installation.serve();
        let applied = installation.run(&["apply", sample().to_str().unwrap()]);
        assert!(applied.status.success(), "{applied:?}");
        installation
    }

    /// The folder with everything.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts a server on a folder that has no data yet; returns the link by which the first owner comes.
    pub(crate) fn serve_for_the_first_time(&mut self) -> String {
        let lines = self.serve_until("  Finish set-up");
        lines[1].split_whitespace().last().unwrap().to_owned()
    }

    /// Starts a server on a port that the system chooses.
    pub(crate) fn serve(&mut self) {
        self.serve_until("keywright");
    }

    fn serve_until(&mut self, beginning: &'static str) -> Vec<String> {
        let log = File::create(self.folder.path().join("log")).unwrap();
        let mut command = self.command();
        command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(self.data_dir());
        let child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut process = Process(child);
        let lines = process.lines_until(beginning);
        let address = lines[0].split_whitespace().find(|word| word.starts_with("http://")).unwrap().to_owned();
        self.server = Some((process, address));
        lines
    }

    /// Ends the server.
    pub(crate) fn stop(&mut self) {
        self.server = None;
    }

    /// Where the server is.
    pub(crate) fn address(&self) -> &str {
        &self.server.as_ref().unwrap().1
    }

    /// Runs a command on the same data.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        run(self.command().args(arguments).arg("--data-dir").arg(self.data_dir()))
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = keywright();
        command.envs(self.environment.iter().map(|(name, value)| (*name, value)));
        command
    }

    /// Everything that must hold, holds.
    pub(crate) fn verify(&self) {
        let verified = self.run(&["doctor", "--verify"]);
        assert!(verified.status.success(), "{}\n{}", verified.stdout, verified.stderr);
    }

    /// Plays a scenario at Stripe; it must succeed.
    pub(crate) fn simulate(&self, arguments: &[&str]) -> Ran {
        self.simulate_at("stripe", arguments)
    }

    /// Plays a scenario at a provider; it must succeed.
    pub(crate) fn simulate_at(&self, provider: &str, arguments: &[&str]) -> Ran {
        let ran = self.try_to_simulate_at(provider, arguments);
        assert!(ran.status.success(), "{arguments:?}\n{}\n{}\n{}", ran.stdout, ran.stderr, self.log());
        ran
    }

    /// Plays a scenario at Stripe, or not.
    pub(crate) fn try_to_simulate(&self, arguments: &[&str]) -> Ran {
        self.try_to_simulate_at("stripe", arguments)
    }

    /// Plays a scenario at a provider, or not.
    pub(crate) fn try_to_simulate_at(&self, provider: &str, arguments: &[&str]) -> Ran {
        let all = [&["simulate", provider], arguments, &["--server", self.address()]].concat();
        self.run(&all)
    }

    /// What the server has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

/// The sample configuration.
pub(crate) fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/shop.toml")
}

/// One call. None: the server is away, or was killed in the middle.
pub(crate) fn ask(address: SocketAddr, request: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the server that is tested reads the machine's clock, so signatures must too"
)]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
