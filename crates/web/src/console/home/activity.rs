//! The latest of what happened, each with its page.

use std::collections::HashMap;

use domain::id::LicenseId;
use jiff::Timestamp;
use store::rows::{AttentionItem, AuditEntry};
use uuid::Uuid;

use crate::{
    Web,
    console::{
        attention::item,
        entries::{People, is_staff, page_of, what},
        place::{Place, to::Look},
        refusal::Refusal,
        words::When,
    },
};

/// Lines at most.
const LINES: usize = 8;

/// One line.
pub(super) struct News {
    at: i64,
    pub(super) when: When,
    /// `good`, `cold`, `bad`, `staff` or blank.
    pub(super) tone: &'static str,
    pub(super) icon: &'static str,
    pub(super) what: String,
    /// Address and name of what it is about.
    pub(super) about: Option<(String, String)>,
    pub(super) who: String,
}

/// The latest decisions and the mails that failed, the latest first.
pub(super) async fn news(
    web: &Web,
    place: &Place<Look>,
    failed: Vec<AttentionItem>,
    now: Timestamp,
) -> Result<Vec<News>, Refusal> {
    let entries = web.engine.latest(place.whose(), LINES).await?;
    let people = People::of(web, place).await?;
    let ids = entries.iter().filter_map(|entry| entry.license_id.map(LicenseId)).collect();
    let licenses = web.engine.store.listed_licenses(place.whose(), ids).await?;
    let hints = licenses.into_iter().filter_map(|listed| Some((listed.license.id.0, listed.key_hint?))).collect();
    let mut news: Vec<News> = entries.into_iter().map(|entry| decided(place, &people, &hints, entry, now)).collect();
    news.extend(failed.into_iter().map(|row| mail_failed(place, row, now)));
    news.sort_by_key(|line| std::cmp::Reverse(line.at));
    news.truncate(LINES);
    Ok(news)
}

fn decided(
    place: &Place<Look>,
    people: &People,
    hints: &HashMap<Uuid, String>,
    entry: AuditEntry,
    now: Timestamp,
) -> News {
    let (tone, icon) = match entry.action.as_str() {
        "license.issued" | "license.renewed" | "license.unfrozen" | "license.reinstated" => ("good", "key"),
        "license.frozen" => ("cold", "pause"),
        "license.revoked" | "license.retired" => ("bad", "stop"),
        "license.expired" | "license.expiring" => ("", "clock"),
        _ if is_staff(&entry.actor) => ("staff", "person"),
        action if action.starts_with("license.") => ("", "key"),
        _ => ("", "book"),
    };
    let hint = entry.license_id.and_then(|id| hints.get(&id)).cloned();
    let license = entry.license_id.filter(|_| hint.is_some()).map(|id| LicenseId(id).to_string());
    let path = page_of(place, license.as_deref().unwrap_or(&entry.subject));
    News {
        at: entry.occurred_at,
        when: When::stored(entry.occurred_at, now),
        tone,
        icon,
        what: what(&entry.action),
        about: path.map(|path| (path, hint.unwrap_or(entry.subject))),
        who: people.name(&entry.actor),
    }
}

fn mail_failed(place: &Place<Look>, row: AttentionItem, now: Timestamp) -> News {
    let at = row.opened_at;
    let item = item(place, row, now);
    News {
        at,
        when: item.since,
        tone: "bad",
        icon: "mail",
        what: item.kind,
        about: item.mend.map(|(path, _)| (path, "the mail".to_owned())),
        who: "the mail relay".to_owned(),
    }
}
