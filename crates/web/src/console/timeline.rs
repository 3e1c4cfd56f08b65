//! What happened to a license, line by line.

use engine::timeline::{Happened, Moment};
use jiff::Timestamp;
use serde_json::Value;
use store::rows::AuditEntry;

use super::{
    place::Place,
    words::{When, capitalised},
};

/// A line of a timeline.
pub(crate) struct Line {
    pub(crate) at: Timestamp,
    pub(crate) when: When,
    /// `money`, `decision`, `mail`, `device`, `staff` or `webhook`: what the filter chips choose by.
    pub(crate) kind: &'static str,
    pub(crate) icon: &'static str,
    pub(crate) title: String,
    pub(crate) text: String,
    pub(crate) link: Option<String>,
    /// Whether the license has had its state since.
    pub(crate) changes_state: bool,
}

/// The lines of a timeline, the latest first.
pub(crate) fn lines<A>(place: &Place<A>, moments: Vec<Moment>, now: Timestamp) -> Vec<Line> {
    let line = |Moment { at, what }: Moment| {
        let drawn = drawn(place, what);
        let Drawn { kind, icon, title, text, link, changes_state } = drawn;
        Line { at, when: When::new(at, now), kind, icon, title, text, link, changes_state }
    };
    moments.into_iter().map(line).collect()
}

struct Drawn {
    kind: &'static str,
    icon: &'static str,
    title: String,
    text: String,
    link: Option<String>,
    changes_state: bool,
}

fn drawn<A>(place: &Place<A>, what: Happened) -> Drawn {
    let plain =
        |kind, icon, title: String, text: String| Drawn { kind, icon, title, text, link: None, changes_state: false };
    match what {
        Happened::Told(row) => {
            let link = Some(place.at(&format!("inbound/{}", domain::id::InboundId(row.id))));
            Drawn { link, ..plain("money", "in", row.kind, row.event_key) }
        }
        Happened::Changed(row) => changed(row),
        Happened::Written(row) => {
            let text = format!("to {} · {}", row.recipient, row.response.as_deref().unwrap_or(&row.status));
            let link = Some(place.at(&format!("mails/{}", domain::id::MailId(row.id))));
            Drawn { link, ..plain("mail", "mail", format!("Mail: {}", spaced(&row.kind)), text) }
        }
        Happened::Used(row) => {
            let name = row.name.unwrap_or_else(|| row.fingerprint.clone());
            plain("device", "device", format!("Activated on {name}"), row.fingerprint)
        }
        Happened::Delivered(row) => {
            let link = Some(place.at(&format!("deliveries/{}", domain::id::DeliveryId(row.id))));
            let text = row.error.unwrap_or_else(|| format!("{} tries", row.attempts));
            Drawn { link, ..plain("webhook", "out", format!("Webhook {}", row.status), text) }
        }
    }
}

fn changed(row: AuditEntry) -> Drawn {
    let detail: Value = serde_json::from_str(&row.detail).unwrap_or_default();
    let text = |name: &str| detail[name].as_str().map(str::to_owned);
    let changes_state =
        detail["after"]["state"].is_string() || detail["state"].is_string() || row.action == "license.issued";
    let because = text("because").or_else(|| text("note")).unwrap_or_default();
    let is_staff = row.actor.starts_with("member:") || row.actor.starts_with("key:") || row.actor == "cli";
    let (kind, icon) = if is_staff { ("staff", "person") } else { ("decision", "key") };
    let title = spaced(row.action.rsplit_once('.').map_or(row.action.as_str(), |(_, word)| word));
    let subject = row.action.split('.').next().unwrap_or_default();
    Drawn {
        kind,
        icon,
        title: format!("{} {title}", capitalised(&spaced(subject))),
        text: if because.is_empty() { format!("by {}", row.actor) } else { format!("by {}: {because}", row.actor) },
        link: None,
        changes_state,
    }
}

fn spaced(word: &str) -> String {
    word.replace('_', " ")
}
