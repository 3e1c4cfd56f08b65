//! The SMTP server: another process, by people who know SMTP better than we do.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use delivery::{Smtp, SmtpSettings};
use secrecy::SecretString;
use serde_json::Value;

/// How long to wait for another process before a test has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// The interpreter that the test command prepares.
pub(crate) fn python() -> PathBuf {
    std::env::var_os("KEYWRIGHT_TEST_PYTHON")
        .map(PathBuf::from)
        .expect("KEYWRIGHT_TEST_PYTHON is not set; run the tests with `cargo xtask test`")
}

/// A script of this folder.
pub(crate) fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it").join(name)
}

/// A running server, and what it has told so far.
pub(crate) struct Relay {
    process: Child,
    told: Arc<Mutex<Vec<Value>>>,
    pub(crate) port: u16,
}

impl Relay {
    /// Starts it; see the script for the modes.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut process = Command::new(python())
            .arg(script("smtp_server.py"))
            .args(arguments)
            .stdout(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()
            .expect("python starts");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let first: Value = serde_json::from_str(&lines.next().expect("the server tells its port").unwrap()).unwrap();
        let port = u16::try_from(first["port"].as_u64().unwrap()).unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&told);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                kept.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        });
        Self { process, told, port }
    }

    /// The events of a kind that were told so far.
    pub(crate) fn events(&self, kind: &str) -> Vec<Value> {
        self.told.lock().unwrap().iter().filter(|event| event["event"] == kind).cloned().collect()
    }

    /// Waits until there are so many events of a kind, and returns them.
    pub(crate) async fn wait(&self, kind: &str, count: usize) -> Vec<Value> {
        let start = Instant::now();
        loop {
            let events = self.events(kind);
            if events.len() >= count {
                return events;
            }
            assert!(start.elapsed() < PATIENCE, "{count} × {kind} did not come, but {:?}", self.told.lock().unwrap());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// How we reach it, without patience.
    pub(crate) fn settings(&self) -> SmtpSettings {
        settings(&format!("smtp://127.0.0.1:{}", self.port))
    }

    /// A client of it.
    pub(crate) fn client(&self) -> Smtp {
        Smtp::new(self.settings()).unwrap()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Settings without patience, for a server that will not answer.
pub(crate) fn settings(address: &str) -> SmtpSettings {
    let mut settings = SmtpSettings::parse(&SecretString::from(address.to_owned()), Some("keys@relay.test")).unwrap();
    settings.connect_timeout = Duration::from_secs(5);
    settings.send_timeout = Duration::from_secs(10);
    settings.answer_timeout = Duration::from_secs(10);
    settings
}
