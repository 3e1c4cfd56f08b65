//! What happened to a license, or around a buyer, line by line.

use domain::{
    denied::{Denied, Devices, begin_of},
    id::{DeliveryId, InboundId, LicenseId, MailId, OrderId},
};
use engine::timeline::{Happened, Moment};
use jiff::Timestamp;
use serde_json::Value;
use store::rows::AuditEntry;

use super::{
    chart::count,
    entries::{People, details, is_staff, page_of, what},
    letters,
    place::Place,
    words::{When, counted, progress},
};

/// A line of a timeline.
pub(crate) struct Line {
    pub(crate) at: Timestamp,
    pub(crate) when: When,
    /// `money`, `decision`, `mail`, `device`, `denied`, `staff` or `webhook`: what the filter chips choose by.
    pub(crate) kind: &'static str,
    pub(crate) icon: &'static str,
    pub(crate) title: String,
    pub(crate) text: String,
    pub(crate) link: Option<String>,
    /// What else is known of it: name and words.
    pub(crate) details: Vec<(String, String)>,
    /// By which other places lead to it.
    pub(crate) anchor: Option<String>,
    /// Whether the license has had its state since.
    pub(crate) changes_state: bool,
}

/// The lines of a timeline, the latest first.
pub(crate) fn lines<A>(place: &Place<A>, people: &People, moments: Vec<Moment>, now: Timestamp) -> Vec<Line> {
    let line = |Moment { at, what }: Moment| {
        let Drawn { kind, icon, title, text, link, details, anchor, changes_state } = drawn(place, people, what, now);
        Line { at, when: When::new(at, now), kind, icon, title, text, link, details, anchor, changes_state }
    };
    moments.into_iter().map(line).collect()
}

/// The lines of the timeline of several licenses and orders: what was decided leads to the one that it is about.
pub(crate) fn lines_of_many<A>(place: &Place<A>, people: &People, moments: Vec<Moment>, now: Timestamp) -> Vec<Line> {
    let subjects: Vec<Option<String>> = moments.iter().map(|moment| about(&moment.what)).collect();
    let with_subject = |(line, subject): (Line, Option<String>)| {
        let link = line.link.or_else(|| page_of(place, subject.as_deref()?));
        Line { link, ..line }
    };
    lines(place, people, moments, now).into_iter().zip(subjects).map(with_subject).collect()
}

/// What it happened to, where the line does not lead to what happened itself.
fn about(what: &Happened) -> Option<String> {
    match what {
        Happened::Changed(row) => {
            let order = row.order_id.map(|id| OrderId(id).to_string());
            row.license_id.map(|id| LicenseId(id).to_string()).or(order)
        }
        Happened::Used(row) => Some(LicenseId(row.license_id).to_string()),
        Happened::Told(_) | Happened::Written(_) | Happened::Delivered(_) | Happened::Denied(_) => None,
    }
}

/// By what the line of an entry is found on its page.
pub(crate) fn anchor(entry: &AuditEntry) -> String {
    format!("entry-{}", entry.sequence)
}

#[derive(Default)]
struct Drawn {
    kind: &'static str,
    icon: &'static str,
    title: String,
    text: String,
    link: Option<String>,
    details: Vec<(String, String)>,
    anchor: Option<String>,
    changes_state: bool,
}

fn drawn<A>(place: &Place<A>, people: &People, what: Happened, now: Timestamp) -> Drawn {
    let plain = |kind, icon, title: String, text: String| Drawn { kind, icon, title, text, ..Drawn::default() };
    match what {
        Happened::Told(row) => {
            let id = InboundId(row.id).to_string();
            Drawn {
                link: Some(place.at(&format!("inbound/{id}"))),
                details: known([("event", id), ("state", progress(&row.status).word.to_owned())]),
                ..plain("money", "in", row.kind, row.event_key)
            }
        }
        Happened::Changed(row) => changed(people, row),
        Happened::Written(row) => {
            let id = MailId(row.id).to_string();
            let state = progress(&row.status).word;
            let text = format!("to {} · {}", row.recipient, row.response.as_deref().unwrap_or(state));
            Drawn {
                link: Some(place.at(&format!("mails/{id}"))),
                details: known([("mail", id), ("state", state.to_owned())]),
                ..plain("mail", "mail", format!("Mail: {}", letters::name(&row.kind)), text)
            }
        }
        Happened::Used(row) => {
            let name = row.name.unwrap_or_else(|| row.fingerprint.clone());
            plain("device", "device", format!("Activated on {name}"), row.fingerprint)
        }
        Happened::Delivered(row) => {
            let id = DeliveryId(row.id).to_string();
            let text = row.error.unwrap_or_else(|| counted(row.attempts, "try", "tries"));
            Drawn {
                link: Some(place.at(&format!("deliveries/{id}"))),
                details: known([("delivery", id)]),
                ..plain("webhook", "out", format!("Webhook {}", progress(&row.status).word), text)
            }
        }
        Happened::Denied(all) => denied(all, now),
    }
}

/// Days that a line of denials tells apart.
const DAYS_TOLD: usize = 7;

/// All denials with one answer: so many of the same would hide what else happened.
fn denied(Denied { code, denials, days }: Denied, now: Timestamp) -> Drawn {
    let Devices { fingerprints, are_more } = denials.devices;
    let devices = match (fingerprints.len(), are_more) {
        (0, _) => "without a device".to_owned(),
        (some, true) => format!("from more than {some} devices"),
        (some, false) => format!("from {}", counted(some as u64, "device", "devices")),
    };
    let day = |(day, times): &(i64, i64)| (begin_of(*day).strftime("%-d %b %Y").to_string(), count(*times));
    let mut details: Vec<_> = fingerprints.into_iter().map(|device| ("device".to_owned(), device)).collect();
    details.extend(days.iter().take(DAYS_TOLD).map(day));
    let earlier: i64 = days.iter().skip(DAYS_TOLD).map(|(_, times)| times).sum();
    details.extend((earlier > 0).then(|| ("before".to_owned(), count(earlier))));
    let how_often = if denials.times == 1 { "once".to_owned() } else { format!("{} times", count(denials.times)) };
    Drawn {
        kind: "denied",
        icon: "stop",
        title: format!("Denied {how_often}: {}", code.as_str().replace('_', " ")),
        text: format!("{devices}, last {}", When::new(denials.last_at, now)),
        details,
        ..Drawn::default()
    }
}

fn known<const N: usize>(pairs: [(&str, String); N]) -> Vec<(String, String)> {
    pairs.map(|(name, words)| (name.to_owned(), words)).to_vec()
}

fn changed(people: &People, row: AuditEntry) -> Drawn {
    let detail: Value = serde_json::from_str(&row.detail).unwrap_or_default();
    let text = |name: &str| detail[name].as_str();
    let changes_state =
        detail["after"]["state"].is_string() || detail["state"].is_string() || row.action == "license.issued";
    let because = text("because").or_else(|| text("note")).unwrap_or_default();
    let (kind, icon) = if is_staff(&row.actor) { ("staff", "person") } else { ("decision", "key") };
    let who = people.name(&row.actor);
    Drawn {
        kind,
        icon,
        title: what(&row.action),
        text: if because.is_empty() { format!("by {who}") } else { format!("by {who}: {because}") },
        link: None,
        details: details(&row.detail),
        anchor: Some(anchor(&row)),
        changes_state,
    }
}
