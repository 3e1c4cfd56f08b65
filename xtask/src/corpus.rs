//! Runs every event file of a folder through the module of its provider and says what came of it, and holds files of
//! signing vectors against what that module believes.
//!
//! The files stay where they are: recordings of other people's events show how tolerant the reading is, but no test
//! depends on them.

mod vectors;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use domain::{
    fact::Fact,
    order::{Lines, Order},
};
use jiff::Timestamp;
use providers::{
    Delivery, Incoming, Level, Malformed, Provider, Settings, Step,
    appsumo::{self, AppSumo},
    generic::{self, Generic},
    lemonsqueezy::{self, LemonSqueezy},
    paddle::Paddle,
    signature,
    stripe::Stripe,
};
use secrecy::SecretString;
use serde_json::Value;

use self::vectors::Checked;

/// Makes the headers of a call.
type Sign = fn(&SecretString, &[u8], Timestamp) -> Vec<(&'static str, String)>;

/// Whose events are known by their form, and how their calls are signed. The most exacting come first: of a shop's own
/// events every field is known, and of Stripe's an id and a type are enough.
static PROVIDERS: [(&dyn Provider, Sign); 5] = [
    (&Generic, |secret, body, at| vec![(generic::SIGNATURE, signature::STRIPE.sign(secret, body, at))]),
    (&AppSumo, appsumo::sign),
    (&LemonSqueezy, |secret, body, _| vec![("x-signature", lemonsqueezy::sign(secret, body))]),
    (&Paddle, |secret, body, at| vec![("paddle-signature", signature::PADDLE.sign(secret, body, at))]),
    (&Stripe, |secret, body, at| vec![("stripe-signature", signature::STRIPE.sign(secret, body, at))]),
];

/// What came of one file.
enum Outcome {
    /// It is no event: a bare object, a recipe, a thin event.
    NotAnEvent(String),
    /// It says something about licenses.
    Facts(Report),
    /// It says nothing about licenses, for this reason.
    Ignored(Report, &'static str),
    /// It is an event, and cannot be understood.
    NotUnderstood(Report, String),
    /// It has signatures of a provider that is one of ours: so many are judged as they should be, and these are not.
    Signatures { right: usize, wrong: Vec<String> },
    /// The code broke.
    Panicked,
}

/// The event of a file.
struct Report {
    kind: String,
    version: String,
    /// What it says, and what would be asked first.
    lines: Vec<String>,
}

/// Reads all `*.json` below a folder as events or signing vectors, prints what each yields, and a summary.
///
/// # Errors
/// An event is not understood, a signature is misjudged, or the code panics; also if the folder cannot be read.
pub(crate) fn run(folder: &Path) -> anyhow::Result<()> {
    let mut files = Vec::new();
    gather(folder, &mut files)?;
    if files.is_empty() {
        bail!("there is no JSON file below {}", folder.display());
    }
    files.sort();
    let mut summary = Summary::default();
    for file in files {
        let bytes = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
        let outcome = catch_unwind(AssertUnwindSafe(|| examine(&file, &bytes))).unwrap_or(Outcome::Panicked);
        let name = file.strip_prefix(folder).unwrap_or(&file).display().to_string();
        print(&name, &outcome);
        summary.add(name, outcome);
    }
    summary.print();
    let wrong = summary.not_understood.len() + summary.misjudged.len() + summary.panicked.len();
    ensure!(wrong == 0, "{wrong} of it went wrong and stand at the end of the list");
    Ok(())
}

fn gather(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            gather(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    Ok(())
}

fn examine(file: &Path, bytes: &[u8]) -> Outcome {
    match vectors::check(file, bytes) {
        None => examine_event(bytes),
        Some(Ok(Checked::NotOurs(slug))) => {
            Outcome::NotAnEvent(format!("signatures of {slug}, which is no provider here"))
        }
        Some(Ok(Checked::Held { right, wrong })) => Outcome::Signatures { right, wrong },
        Some(Err(error)) => Outcome::Signatures { right: 0, wrong: vec![format!("{error:#}")] },
    }
}

/// Finds whose event it is, and translates it without and with a key.
fn examine_event(bytes: &[u8]) -> Outcome {
    let mut why = String::new();
    for (provider, sign) in &PROVIDERS {
        match taken_in(*provider, *sign, bytes) {
            Ok(events) => {
                let nothing = || Outcome::NotAnEvent("it holds no events".to_owned());
                return events.into_iter().next().map_or_else(nothing, |event| translated(*provider, event));
            }
            Err(malformed) => why = malformed.what,
        }
    }
    Outcome::NotAnEvent(why)
}

/// Takes the bytes in as a signed call, since nothing else can be read.
fn taken_in(provider: &dyn Provider, sign: Sign, bytes: &[u8]) -> Result<Vec<Incoming>, Malformed> {
    let secrets = [SecretString::from("corpus")];
    let signed_at = Timestamp::UNIX_EPOCH;
    let headers = sign(&secrets[0], bytes, signed_at);
    let header = |asked: &str| headers.iter().find(|(name, _)| *name == asked).map(|(_, value)| value.as_str());
    let delivery = Delivery { header: &header, body: bytes };
    let verified = provider.verify(&delivery, &secrets, &Settings::default(), signed_at);
    provider.incoming(&verified.map_err(|reject| Malformed { what: reject.to_string() })?)
}

fn translated(provider: &dyn Provider, event: Incoming) -> Outcome {
    let document: Value = serde_json::from_str(&event.body).unwrap_or_default();
    let version = document["api_version"].as_str().unwrap_or("no version").to_owned();
    let mut lines = Vec::new();
    let mut says_something = false;
    let mut refused = None;
    for (word, level) in [("none", Level::None), ("full", Level::Full)] {
        let (facts, wanted) = match provider.translate(&event, &Settings { level, ..Settings::default() }, &[]) {
            Ok(Step::Need(wanted)) => (Vec::new(), wanted),
            Ok(Step::Partly { facts, wanted }) => (facts, wanted),
            Ok(Step::Facts(facts)) => (facts, Vec::new()),
            Err(malformed) => {
                refused = Some(malformed.what);
                continue;
            }
        };
        says_something |= !facts.is_empty();
        lines.extend(facts.iter().map(|fact| format!("{word}: {}", describe(fact))));
        lines.extend(wanted.iter().map(|request| format!("{word}: asks GET {}", request.path)));
    }
    // Of these kinds some events matter: not a checkout that only saved a way to pay, nor an invoice of no subscription.
    let why = provider.ignores(&event.kind).unwrap_or("of a kind that matters, and nothing in this one does");
    let report = Report { kind: event.kind, version, lines };
    match refused {
        Some(why) => Outcome::NotUnderstood(report, why),
        None if says_something => Outcome::Facts(report),
        None => Outcome::Ignored(report, why),
    }
}

fn describe(fact: &Fact) -> String {
    match fact {
        Fact::Order(order) => describe_order(order),
        Fact::Customer(customer) => {
            let snapshot = &customer.snapshot.value;
            let gone = if snapshot.deleted { "deleted" } else { "known" };
            let email = if snapshot.email.is_some() { "an address" } else { "no address" };
            format!("customer {gone}, {email}")
        }
    }
}

fn describe_order(order: &Order) -> String {
    let mut parts = Vec::new();
    for purchase in order.purchases.values() {
        let lines = match &purchase.lines {
            Lines::Shown(lines) => format!("{} lines and maybe more", lines.len()),
            Lines::Known(lines) => format!("{} lines", lines.len()),
            Lines::Unknown { named: Some(plan), .. } => format!("plan {plan}"),
            Lines::Unknown { named: None, .. } => "lines unknown".to_owned(),
        };
        parts.push(format!("purchase {:?}, {}, {lines}", purchase.state, purchase.total));
    }
    for register in order.subscriptions.values() {
        let subscription = &register.value;
        parts.push(format!("subscription {:?}", subscription.status));
        let moments = [
            ("granted until", subscription.granted_until),
            ("cancels at", subscription.cancel_at),
            ("ended at", subscription.ended_at),
        ];
        parts.extend(moments.iter().filter_map(|(word, at)| at.map(|at| format!("{word} {at}"))));
    }
    parts.extend(order.items.values().map(|items| format!("{} items", items.value.len())));
    parts.extend(order.periods.values().map(|period| format!("paid until {}, {}", period.until, period.total)));
    for refund in order.refunds.values().map(|register| &register.value) {
        let what = if refund.cumulative { "refunded in all".to_owned() } else { format!("refund {:?}", refund.state) };
        parts.push(format!("{what} {}", refund.amount));
    }
    parts.extend(order.disputes.values().map(|dispute| format!("dispute {:?}", dispute.state)));
    if order.contact.is_some() {
        parts.push("an address".to_owned());
    }
    parts.extend(order.missing.iter().map(|missing| format!("not allowed to know: {missing:?}")));
    parts.push(format!("{} names", order.references.len()));
    parts.join("; ")
}

fn print(name: &str, outcome: &Outcome) {
    let show = |report: &Report, what: &str| {
        println!("{name}\n    {} · {}{what}", report.kind, report.version);
        for line in &report.lines {
            println!("    {line}");
        }
    };
    match outcome {
        Outcome::NotAnEvent(why) => println!("{name}\n    not an event: {why}"),
        Outcome::Facts(report) => show(report, ""),
        Outcome::Ignored(report, why) => show(report, &format!(" · says nothing about licenses: {why}")),
        Outcome::NotUnderstood(report, why) => show(report, &format!(" · NOT UNDERSTOOD: {why}")),
        Outcome::Signatures { right, wrong } => {
            println!("{name}\n    signatures: {right} judged as they should be, {} not", wrong.len());
        }
        Outcome::Panicked => println!("{name}\n    PANICKED"),
    }
}

/// What came of all files.
#[derive(Default)]
struct Summary {
    telling: BTreeMap<String, usize>,
    ignored: BTreeMap<(String, &'static str), usize>,
    versions: BTreeSet<String>,
    asking: usize,
    not_events: usize,
    not_understood: Vec<String>,
    signature_files: usize,
    signatures: usize,
    misjudged: Vec<String>,
    panicked: Vec<String>,
}

impl Summary {
    fn add(&mut self, name: String, outcome: Outcome) {
        match outcome {
            Outcome::NotAnEvent(_) => self.not_events += 1,
            Outcome::Facts(report) => {
                self.asking += usize::from(report.lines.iter().any(|line| line.contains(": asks GET")));
                self.versions.insert(report.version);
                *self.telling.entry(report.kind).or_default() += 1;
            }
            Outcome::Ignored(report, why) => {
                self.versions.insert(report.version);
                *self.ignored.entry((report.kind, why)).or_default() += 1;
            }
            Outcome::NotUnderstood(_, why) => self.not_understood.push(format!("{name}: {why}")),
            Outcome::Signatures { right, wrong } => {
                self.signature_files += 1;
                self.signatures += right;
                self.misjudged.extend(wrong.iter().map(|wrong| format!("{name}: {wrong}")));
            }
            Outcome::Panicked => self.panicked.push(name),
        }
    }

    fn print(&self) {
        let (telling, ignored) = (self.telling.values().sum::<usize>(), self.ignored.values().sum::<usize>());
        let events = telling + ignored + self.not_understood.len();
        let all = events + self.not_events + self.signature_files + self.panicked.len();
        let (others, signed) = (self.not_events, self.signature_files);
        println!("\n{all} files: {events} events, {others} not events, {signed} with signatures");
        let versions: Vec<&str> = self.versions.iter().map(String::as_str).collect();
        println!("versions: {}", versions.join(", "));
        println!("{telling} say something about licenses ({} would ask first with a key):", self.asking);
        for (kind, count) in &self.telling {
            println!("    {count:3} {kind}");
        }
        println!("{ignored} say nothing about licenses:");
        for ((kind, why), count) in &self.ignored {
            println!("    {count:3} {kind}: {why}");
        }
        println!("{} not understood", self.not_understood.len());
        println!("{} signatures judged as they should be, {} misjudged", self.signatures, self.misjudged.len());
        println!("{} panicked", self.panicked.len());
        for each in self.not_understood.iter().chain(&self.misjudged).chain(&self.panicked) {
            println!("    {each}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace;

    #[test]
    fn our_own_fixtures_are_a_corpus() {
        let fixtures = workspace::root().join("crates/providers/fixtures");
        run(&fixtures).expect("all is understood");
        run(&fixtures.join("nowhere")).expect_err("there is no such folder");
    }

    /// An event of Stripe that says nothing of what went back.
    const SENSELESS: &str = r#"{"id":"evt_1","type":"charge.refunded","created":1,"data":{"object":{}}}"#;

    #[test]
    fn what_is_not_understood_and_what_is_misjudged_fails() {
        let misjudged = r#"{"body":"{}","secret":"secret","x_signature":"nonsense"}"#;
        for (file, content, fails) in [
            ("events/one.json", SENSELESS, true),
            ("events/other.json", r#"{"id":"evt_1","type":"price.updated"}"#, false),
            ("signing-vectors/lemonsqueezy.json", misjudged, true),
            ("signing-vectors/stripe.json", r#"{"form":"another"}"#, true),
            ("signing-vectors/bank.json", misjudged, false),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
            assert_eq!(run(folder.path()).is_err(), fails, "{file}");
        }
    }

    #[test]
    fn files_are_sorted_by_what_comes_of_them() {
        let transaction = r#"{"event_id":"evt_1","event_type":"transaction.completed","occurred_at":"2026-09-21T14:13:20Z","data":{"id":"txn_1"}}"#;
        let generic = include_str!("../../crates/providers/fixtures/generic/paid-once.json");
        for (text, what) in [
            ("no JSON", "not an event"),
            (r#"{"object":"charge","id":"ch_1"}"#, "not an event"),
            (r#"{"id":"evt_1","type":"price.updated"}"#, "ignored"),
            (SENSELESS, "not understood"),
            (r#"{"id":"evt_1","type":"customer.created","created":1,"data":{"object":{"id":"cus_1"}}}"#, "facts"),
            (r#"{"event_id":"evt_1","event_type":"price.updated"}"#, "ignored"),
            (transaction, "facts"),
            (r#"{"license_key":"k1","event":"activate","created_at":1790000000000,"tier":1}"#, "facts"),
            (generic, "facts"),
        ] {
            let word = match examine(Path::new("events/some.json"), text.as_bytes()) {
                Outcome::NotAnEvent(_) => "not an event",
                Outcome::Facts(_) => "facts",
                Outcome::Ignored(..) => "ignored",
                Outcome::NotUnderstood(..) => "not understood",
                Outcome::Signatures { .. } => "signatures",
                Outcome::Panicked => "panicked",
            };
            assert_eq!(word, what, "{text}");
        }
    }
}
