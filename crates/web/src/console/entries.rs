//! Entries of the audit log, as people read them: who did what, on what, and what was so before and after.

use std::collections::HashMap;

use domain::id::{CustomerId, DeliveryId, InboundId, LicenseId, MailId, MemberId, OrderId};
use jiff::Timestamp;
use serde_json::{Map, Value};
use store::rows::AuditEntry;

use super::{place::Place, refusal::Refusal, words::When};
use crate::Web;

/// The links of a chain are long: so many digits tell two of them apart at a glance.
const LINK_SHOWN: usize = 12;

/// An entry of the audit log.
pub(crate) struct Entry {
    pub(crate) when: When,
    pub(crate) who: String,
    /// `License renewed`.
    pub(crate) what: String,
    pub(crate) subject: String,
    pub(crate) subject_path: Option<String>,
    /// The order that it is about, where the subject is something else.
    pub(crate) order: Option<String>,
    /// Name and words.
    pub(crate) details: Vec<(String, String)>,
    pub(crate) sequence: i64,
    /// The whole link, in hexadecimal.
    pub(crate) link: String,
    /// Its first digits.
    pub(crate) link_shown: String,
}

/// Members by the name that the audit log has for them.
pub(crate) struct People(HashMap<String, String>);

impl People {
    /// Those of the vendor.
    pub(crate) async fn of<A>(web: &Web, place: &Place<A>) -> Result<Self, Refusal> {
        let members = web.engine.store.members_of(place.whose().tenant).await?;
        let named = |(member, _): (store::rows::Member, _)| (format!("member:{}", MemberId(member.id)), member.email);
        Ok(Self(members.into_iter().map(named).collect()))
    }

    /// An actor as people know them.
    pub(crate) fn name(&self, actor: &str) -> String {
        match (self.0.get(actor), actor.split_once(':')) {
            (Some(email), _) => email.clone(),
            (None, Some(("member", id))) => format!("a former member ({id})"),
            (None, Some(("key", id))) => format!("API key {id}"),
            (None, _) if actor == "time" => "time passing".to_owned(),
            (None, _) if actor == "cli" => "the command line".to_owned(),
            (None, _) => actor.to_owned(),
        }
    }
}

/// Whether a person did it, or a program that one of them has given a key, and not what followed by itself.
pub(crate) fn is_staff(actor: &str) -> bool {
    actor.starts_with("member:") || actor.starts_with("key:") || actor == "cli"
}

/// Entries as people read them.
pub(crate) fn entries<A>(place: &Place<A>, people: &People, rows: Vec<AuditEntry>, now: Timestamp) -> Vec<Entry> {
    let entry = |row: AuditEntry| {
        let link: String = row.chain.iter().map(|byte| format!("{byte:02x}")).collect();
        let order = row.order_id.map(|id| OrderId(id).to_string()).filter(|id| *id != row.subject);
        Entry {
            when: When::stored(row.occurred_at, now),
            who: people.name(&row.actor),
            what: what(&row.action),
            subject_path: page_of(place, &row.subject),
            order: order.and_then(|id| page_of(place, &id)),
            subject: row.subject,
            details: details(&row.detail),
            sequence: row.sequence,
            link_shown: link.chars().take(LINK_SHOWN).collect(),
            link,
        }
    };
    rows.into_iter().map(entry).collect()
}

/// The page of what an id names; none: it has none of its own.
pub(crate) fn page_of<A>(place: &Place<A>, id: &str) -> Option<String> {
    let section = match id.split_once('_')?.0 {
        LicenseId::PREFIX => "licenses",
        OrderId::PREFIX => "orders",
        CustomerId::PREFIX => "customers",
        InboundId::PREFIX => "inbound",
        DeliveryId::PREFIX => "deliveries",
        MailId::PREFIX => "mails",
        _ => return None,
    };
    Some(place.at(&format!("{section}/{id}")))
}

/// `license.plan_changed` as words.
pub(crate) fn what(action: &str) -> String {
    let text = action.replace(['.', '_'], " ");
    super::words::capitalised(&text)
}

/// What an entry says, in one line.
pub(crate) fn words_of(detail: &str) -> String {
    let pairs = details(detail).into_iter().map(|(name, words)| format!("{name}: {words}"));
    pairs.collect::<Vec<_>>().join("; ")
}

/// What an entry says, in pairs of a name and words.
pub(crate) fn details(detail: &str) -> Vec<(String, String)> {
    match serde_json::from_str(detail) {
        Ok(Value::Object(members)) => of_members(members),
        _ => Vec::new(),
    }
}

/// The words that say how it was, each with those that say how it is.
const BEFORE: [(&str, &[&str]); 4] =
    [("before", &["after"]), ("from", &["to", "state", "until"]), ("was", &["now"]), ("was_email", &["email"])];

fn of_members(mut members: Map<String, Value>) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let note = members.remove("note");
    if members.contains_key("because") {
        // The same as a word for machines.
        members.remove("reason");
    }
    for (before, afters) in BEFORE {
        let Some(after) = afters.iter().find(|after| members.contains_key(**after) && members.contains_key(before))
        else {
            continue;
        };
        let (old, new) = (members.remove(before).unwrap_or_default(), members.remove(*after).unwrap_or_default());
        let name = if matches!(*after, "state" | "until") { *after } else { "changed" };
        if old != new {
            changed(name, &old, &new, &mut pairs);
        }
    }
    for (name, value) in members {
        match value {
            Value::Null => {}
            Value::Array(values) if values.is_empty() => {}
            Value::Object(inner) if !inner.is_empty() => {
                pairs.extend(
                    of_members(inner).into_iter().map(|(inner, text)| (format!("{}: {inner}", named(&name)), text)),
                );
            }
            value => pairs.push((named(&name), words(&value))),
        }
    }
    pairs.extend(note.filter(|note| !note.is_null()).map(|note| ("note".to_owned(), words(&note))));
    pairs
}

/// What is not as it was: of two objects, each member by its name.
fn changed(name: &str, old: &Value, new: &Value, pairs: &mut Vec<(String, String)>) {
    let none = Map::new();
    let (Some(before), Some(after)) = (members(old, &none), members(new, &none)) else {
        pairs.push((named(name), format!("{} → {}", words(old), words(new))));
        return;
    };
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let (old, new) = (before.get(name).unwrap_or(&Value::Null), after.get(name).unwrap_or(&Value::Null));
        if old != new {
            pairs.push((named(name), format!("{} → {}", words(old), words(new))));
        }
    }
}

/// The members of an object; of nothing, none.
fn members<'a>(value: &'a Value, none: &'a Map<String, Value>) -> Option<&'a Map<String, Value>> {
    match value {
        Value::Object(members) => Some(members),
        Value::Null => Some(none),
        _ => None,
    }
}

fn named(name: &str) -> String {
    name.replace('_', " ")
}

/// A value as people write it.
fn words(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => match text.parse::<Timestamp>() {
            Ok(at) => at.strftime("%-d %b %Y %H:%M UTC").to_string(),
            Err(_) => text.clone(),
        },
        Value::Array(values) => values.iter().map(words).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_say_what_was_so_and_what_is() {
        for (detail, told) in [
            (
                r#"{"from":"active","state":"frozen","because":"it was refunded"}"#,
                "state: active → frozen; because: it was refunded",
            ),
            (r#"{"from":"2026-01-31T10:00:00Z","until":null}"#, "until: 31 Jan 2026 10:00 UTC → none"),
            (r#"{"from":{"plan":"a","seats":1},"to":{"plan":"b","seats":1}}"#, "plan: a → b"),
            (r#"{"before":null,"after":{"name":"Pro"}}"#, "name: none → Pro"),
            (r#"{"before":{"code":"x"},"after":null,"note":"gone"}"#, "code: x → none; note: gone"),
            (r#"{"was":"sent","kind":"license-delivery","note":null}"#, "kind: license-delivery; was: sent"),
            (
                r#"{"ruling":{"extend":"2026-01-31T10:00:00Z"},"note":"kind"}"#,
                "ruling: extend: 31 Jan 2026 10:00 UTC; note: kind",
            ),
            (
                r#"{"from":"active","state":"active","reason":"payment_past_due","because":"it is overdue","details":[]}"#,
                "because: it is overdue",
            ),
            (r#"{"references":["cs_1","pi_1"],"again":true}"#, "again: yes; references: cs_1, pi_1"),
            ("{}", ""),
            ("not a document", ""),
        ] {
            assert_eq!(words_of(detail), told, "{detail}");
        }
    }
}
