//! Alerts by the program itself: tried out from the command line, and sent whatever happens to the process.

use std::{net::TcpListener, process::Command};

use store::testing::TestDatabase;
use tempfile::TempDir;

use crate::{
    process::{Process, keywright, run, until},
    receiver::Receiver,
};

const CONFIGURATION: &str = r#"
    product = [{ code = "studio", name = "Studio" }]
    plan = [{ code = "pro", product = "studio", name = "Pro" }]
    alert = [{ code = "pager", kind = "webhook", to = "env:PAGER_URL", secret = "env:PAGER_SECRET" }]
"#;

/// Every step from an item to its alert.
const STEPS: [&str; 3] = ["alert-before-commit", "alert-after-send", "alert-after-commit"];

/// An installation without a mail relay, and who is told of that.
struct Desk {
    folder: TempDir,
    postgres: Option<String>,
    pager: Receiver,
}

impl Desk {
    fn new(postgres: Option<String>) -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap(), postgres, pager: Receiver::start() };
        let file = desk.folder.path().join("shop.toml");
        std::fs::write(&file, CONFIGURATION).unwrap();
        let applied = run(desk.command().arg("apply").arg(&file));
        assert!(applied.status.success(), "{applied:?}");
        desk
    }

    fn command(&self) -> Command {
        let mut command = keywright();
        command
            .env("KEYWRIGHT_DATA_DIR", self.folder.path().join("data"))
            .env("PAGER_URL", self.pager.url())
            .env("PAGER_SECRET", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=");
        if let Some(address) = &self.postgres {
            command.env("KEYWRIGHT_DATABASE_URL", address);
        }
        command
    }

    fn serve(&self, die_at: Option<&str>) -> Process {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = self.command();
        command.args(["serve", "--lease-seconds", "1", "--listen"]).arg(address.to_string());
        command.envs(die_at.map(|step| ("KEYWRIGHT_TEST_DIE_AT", format!("{step}:1"))));
        Process(command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap())
    }

    /// Lets the minute pass after which what opened is told. Returns how many alerts waited for it.
    fn minute_passes(&self, runtime: &tokio::runtime::Runtime) -> u64 {
        let file = format!("sqlite:{}", self.folder.path().join("data/keywright.db").display());
        runtime.block_on(async {
            let database = TestDatabase::at(self.postgres.as_ref().unwrap_or(&file)).await;
            database.sql("UPDATE alerts SET next_attempt_at = 0 WHERE status = 'pending' AND next_attempt_at > 0").await
        })
    }

    /// The ids under which something was told, and how often each.
    fn told(&self, kind: &str) -> Vec<usize> {
        let kind = format!(r#""kind":"{kind}""#);
        self.pager.told().values().filter(|bodies| bodies[0].contains(&kind)).map(Vec::len).collect()
    }
}

fn survives(step: &str, runtime: &tokio::runtime::Runtime, postgres: Option<String>) {
    let desk = Desk::new(postgres);
    let mut doomed = desk.serve(Some(step));
    let issued = run(desk.command().args(["issue", "pro", "--email", "ada@example.com", "--send-email"]));
    assert!(issued.status.success(), "{issued:?}");
    // At the first step it dies before there is an alert.
    until(|| step == STEPS[0] || desk.minute_passes(runtime) > 0);
    assert!(!doomed.wait().success(), "{step}: it was to be killed");
    let revived = desk.serve(None);
    until(|| {
        desk.minute_passes(runtime);
        !desk.told("no_sender").is_empty()
    });
    let tested = run(desk.command().args(["alert", "test", "pager"]));
    assert_eq!(tested.stdout, "`pager` (127.0.0.1) took a test.\n", "{step}: {}", tested.stderr);
    drop(revived);
    let told = desk.told("no_sender");
    assert!(told == [1] || (step == "alert-after-send" && told == [2]), "{step}: one alert under one id: {told:?}");
    assert_eq!(desk.told("test"), [1]);
}

#[test]
fn sqlite_alerts_survive_a_kill_at_every_step() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    STEPS.iter().for_each(|step| survives(step, &runtime, None));
}

#[test]
fn postgres_alerts_survive_a_kill_at_every_step() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for step in STEPS {
        survives(step, &runtime, Some(runtime.block_on(store::testing::fresh_postgres())));
    }
}

#[test]
fn what_cannot_be_tried_out_is_told() {
    let desk = Desk::new(None);
    let unknown = run(desk.command().args(["alert", "test", "nobody"]));
    assert!(unknown.stderr.contains("`default` has no alert channel `nobody`"), "{}", unknown.stderr);
}
