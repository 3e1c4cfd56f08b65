//! Many licenses at once: first what would follow, then a reason, then how far it has come.

use askama::Template;
use axum::{
    Form, Router,
    extract::{Path, Query, State},
    response::Response,
    routing::get,
};
use domain::{
    id::{BulkChangeId, LicenseId},
    member::{Ability, Role},
};
use engine::bulk::{self, BulkAction, LICENSES_MAX};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use store::{
    lists::{Cursor, LicenseFilter, ListedLicense, Page},
    many::status,
    rows::BulkChange,
};
use uuid::Uuid;

use super::{
    action::{Field, Question, Sent},
    browser::see_other,
    entries::People,
    filters,
    license_actions::{LEASES, extends_at_most},
    list::{Asked, ROWS},
    place::{Place, to::Look},
    refusal::Refusal,
    shell::{Shell, page},
    words::{Pill, When, counted},
};
use crate::Web;

/// What can be done with many licenses: word, name, and who may.
pub(crate) const ACTIONS: [(&str, &str, Ability); 5] = [
    ("extend", "Extend", Ability::Help),
    ("freeze", "Freeze", Ability::Help),
    ("unfreeze", "Unfreeze", Ability::Help),
    ("resend", "Resend the keys", Ability::Help),
    ("revoke", "Revoke", Ability::Decide),
];

/// Changes in their list, and skipped licenses on the page of one, at most.
const SHOWN: u64 = 50;
/// Licenses that are read at once.
const READ: u64 = 500;
/// How soon the page of a change looks again while it goes on, in milliseconds.
const SOON: u32 = 2_000;

pub(crate) fn routes() -> Router<Web> {
    Router::new()
        .route("/console/{tenant}/{mode}/licenses/changes", get(list))
        .route("/console/{tenant}/{mode}/licenses/changes/new", get(form).post(act))
        .route("/console/{tenant}/{mode}/licenses/changes/{id}", get(show))
        .route("/console/{tenant}/{mode}/licenses/changes/{id}/stop", get(stop_form).post(stop))
}

/// What an address asks for: which licenses, and what is to be done with them.
struct Wanted {
    word: &'static str,
    name: &'static str,
    licenses: Vec<ListedLicense>,
    /// There are more than can be changed at once.
    is_too_many: bool,
}

/// Reads it. Those that were chosen one by one, or all that a filter finds, which only those may ask for who decide.
async fn wanted(web: &Web, place: &Place<Look>, pairs: Vec<(String, String)>) -> Result<Wanted, Refusal> {
    let ids: Vec<LicenseId> =
        pairs.iter().filter(|(name, _)| name == "id").filter_map(|(_, id)| id.parse().ok()).collect();
    let asked = Asked::of(pairs);
    let action = ACTIONS.iter().find(|(word, ..)| *word == asked.get("action"));
    let &(word, name, ability) = action.ok_or(Refusal::NotFound)?;
    place.may(ability)?;
    if word == BulkAction::Revoke.as_str() {
        place.confirmed(web)?;
    }
    let is_all = !asked.get("all").is_empty();
    if is_all || ids.len() > usize::try_from(ROWS).unwrap_or(usize::MAX) {
        place.may(Ability::Decide)?;
    }
    let mut licenses = if is_all {
        let filters = filters::read(web, place, &place.at("licenses"), &asked, web.engine.now()).await?;
        found(web, place, &filters.filter).await?
    } else {
        web.engine.store.listed_licenses(place.whose(), ids.into_iter().take(LICENSES_MAX + 1).collect()).await?
    };
    licenses.sort_unstable_by_key(|listed| std::cmp::Reverse(listed.license.id));
    let is_too_many = licenses.len() > LICENSES_MAX;
    Ok(Wanted { word, name, licenses, is_too_many })
}

/// All licenses that a filter finds; one more than can be changed says that there are too many.
async fn found(web: &Web, place: &Place<Look>, filter: &LicenseFilter) -> Result<Vec<ListedLicense>, Refusal> {
    let mut found: Vec<ListedLicense> = Vec::new();
    let mut from = None;
    while found.len() <= LICENSES_MAX {
        let listed = web.engine.store.list_licenses(place.whose(), filter, Page { limit: READ, from }).await?;
        from = listed.rows.last().map(|row| Cursor::After(row.license.id.0));
        let is_last = !listed.has_more;
        found.extend(filters::meant(web, place, filter, listed.rows).await?);
        if is_last {
            break;
        }
    }
    Ok(found)
}

/// `GET …/licenses/changes/new`: what would follow.
pub(crate) async fn form(
    State(web): State<Web>,
    place: Place<Look>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Response, Refusal> {
    let wanted = wanted(&web, &place, pairs).await?;
    asked(&web, &place, &wanted, "30", None).await
}

async fn asked(
    web: &Web,
    place: &Place<Look>,
    wanted: &Wanted,
    days: &str,
    wrong: Option<String>,
) -> Result<Response, Refusal> {
    let action = BulkAction::read(wanted.word, 0).ok_or(Refusal::NotFound)?;
    let preview = bulk::preview(action, &wanted.licenses);
    let title = format!("{} · {}", wanted.name, licenses(preview.changes));
    let mut question = Question::new(title, button(action), place.at("licenses"));
    let nothing = match (wanted.is_too_many, wanted.licenses.is_empty(), preview.changes) {
        (true, ..) => {
            Some("The filter finds more than 10,000 licenses. Narrow it, and change them in parts.".to_owned())
        }
        (_, true, _) => Some("Nothing is chosen. Go back, and tick the licenses that are meant.".to_owned()),
        (.., 0) => Some("Nothing would change.".to_owned()),
        _ => None,
    };
    question = question.says(format!("This changes {}.", licenses(preview.changes)));
    for (why, count) in &preview.skipped {
        question = question.says(format!("{} skipped because {why}.", counted(*count, "is", "are")));
    }
    for text in consequences(action) {
        question = question.says(*text);
    }
    if let BulkAction::Extend(_) = action {
        let days = Field::text("days", "Days", days).of("number").needed();
        question = question.asks(days.hint(extends_at_most(place.role).1));
    }
    question = question.asks(Field::reason());
    question = question.asks(Field::Hidden { name: "seen", value: seen(action, &wanted.licenses) });
    if action == BulkAction::Revoke {
        question = question.dangerous();
    }
    question.page(web, place, "licenses", wrong.or(nothing)).await
}

/// What the page shows, in short: which licenses, and which of them stay as they are. A filter may find others a moment later,
/// and nobody has confirmed those.
fn seen(action: BulkAction, licenses: &[ListedLicense]) -> String {
    let mut hash = Sha256::new();
    for ListedLicense { license, .. } in licenses {
        hash.update(license.id.0.as_bytes());
        hash.update([u8::from(action.skips(license).is_some())]);
    }
    format!("{}-{}", licenses.len(), Uuid::from_slice(&hash.finalize()[..16]).unwrap_or_default().simple())
}

fn licenses(count: usize) -> String {
    counted(count, "license", "licenses")
}

const fn button(action: BulkAction) -> &'static str {
    match action {
        BulkAction::Extend(_) => "Extend them",
        BulkAction::Freeze => "Freeze them",
        BulkAction::Unfreeze => "Unfreeze them",
        BulkAction::Revoke => "Revoke them",
        BulkAction::Resend => "Send the mails",
    }
}

const fn consequences(action: BulkAction) -> &'static [&'static str] {
    match action {
        BulkAction::Extend(_) => {
            &["Each lasts that many days longer, counted from its own end or from today, whichever is later."]
        }
        BulkAction::Freeze => {
            &["They stop working until somebody unfreezes them, and their buyers are told by mail.", LEASES]
        }
        BulkAction::Unfreeze => &[
            "They work again, and everything that speaks against them now is excused. A new refund or dispute counts again.",
        ],
        BulkAction::Revoke => &[
            "They stop working, whatever was or will be paid, and their buyers are told by mail. Each can be undone on its \
             own page.",
            LEASES,
        ],
        BulkAction::Resend => &["Each mail with a key goes out once more, with the same Message-ID."],
    }
}

const OTHERS: &str = "The licenses have changed since this page was shown. Read what follows now, and confirm.";

/// `POST …/licenses/changes/new`.
pub(crate) async fn act(
    State(web): State<Web>,
    place: Place<Look>,
    Query(pairs): Query<Vec<(String, String)>>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    let wanted = wanted(&web, &place, pairs).await?;
    let days = match days(place.role, wanted.word, &sent) {
        Ok(days) => days,
        Err(wrong) => return asked(&web, &place, &wanted, sent.get("days"), Some(wrong)).await,
    };
    let action = BulkAction::read(wanted.word, days).ok_or(Refusal::NotFound)?;
    if wanted.is_too_many || bulk::preview(action, &wanted.licenses).changes == 0 {
        return asked(&web, &place, &wanted, sent.get("days"), None).await;
    }
    if sent.get("seen") != seen(action, &wanted.licenses) {
        return asked(&web, &place, &wanted, sent.get("days"), Some(OTHERS.to_owned())).await;
    }
    let by = place.by(sent.get("note"));
    let id = web.engine.change_licenses(place.whose(), action, &wanted.licenses, &by).await?;
    Ok(see_other(&place.at(&format!("licenses/changes/{id}"))))
}

/// By how many days it extends; 0 where it does something else.
fn days(role: Role, word: &str, sent: &Sent) -> Result<u32, String> {
    if word != "extend" {
        return Ok(0);
    }
    let (most, _) = extends_at_most(role);
    let days: u32 = sent.number("days", "Days")?.unwrap_or_default();
    if (1..=most).contains(&days) { Ok(days) } else { Err(format!("You may extend by 1 to {most} days.")) }
}

/// A change of many licenses, in words.
struct Change {
    path: String,
    title: String,
    pill: Pill,
    who: String,
    note: String,
    total: i32,
    done: i32,
    changed: i32,
    skipped: i32,
    began: When,
    is_running: bool,
    /// Where it is stopped, by those who may.
    stop_path: Option<String>,
}

/// Who may do, and stop, what a stored change does.
fn ability(row: &BulkChange) -> Ability {
    let known = ACTIONS.iter().find(|(word, ..)| *word == row.action);
    known.map_or(Ability::Decide, |(_, _, ability)| *ability)
}

fn change(place: &Place<Look>, people: &People, row: &BulkChange, now: Timestamp) -> Change {
    let name = ACTIONS.iter().find(|(word, ..)| *word == row.action).map_or(row.action.as_str(), |(_, name, _)| name);
    let days = row.days.map(|days| format!(" by {days} days")).unwrap_or_default();
    let is_running = row.status == status::RUNNING;
    let (word, tone, icon) = match row.status.as_str() {
        status::RUNNING => ("under way", "warn", "clock"),
        status::STOPPED => ("stopped", "quiet", "stop"),
        _ => ("done", "good", "check"),
    };
    let path = place.at(&format!("licenses/changes/{}", BulkChangeId(row.id)));
    let licenses = counted(row.total, "license", "licenses");
    Change {
        stop_path: (is_running && place.role.may(ability(row))).then(|| format!("{path}/stop")),
        path,
        title: format!("{name}{days} · {licenses}"),
        pill: Pill { word, tone, icon },
        who: people.name(&row.actor),
        note: row.note.clone().unwrap_or_default(),
        total: row.total,
        done: row.done,
        changed: row.done - row.skipped,
        skipped: row.skipped,
        began: When::stored(row.created_at, now),
        is_running,
    }
}

/// Whether many licenses were ever changed at once.
pub(crate) async fn any(web: &Web, place: &Place<Look>) -> Result<bool, Refusal> {
    Ok(!web.engine.store.bulk_changes(place.whose(), 1).await?.is_empty())
}

#[derive(Template)]
#[template(path = "console/changes.html")]
struct ChangesPage {
    shell: Shell,
    changes: Vec<Change>,
    licenses_path: String,
}

/// `GET …/licenses/changes`.
pub(crate) async fn list(State(web): State<Web>, place: Place<Look>) -> Result<Response, Refusal> {
    let (now, people) = (web.engine.now(), People::of(&web, &place).await?);
    let rows = web.engine.store.bulk_changes(place.whose(), SHOWN).await?;
    page(&ChangesPage {
        shell: Shell::new(&web, &place, "licenses", "Changes of many licenses").await?,
        changes: rows.iter().map(|row| change(&place, &people, row, now)).collect(),
        licenses_path: place.at("licenses"),
    })
}

#[derive(Template)]
#[template(path = "console/change.html")]
struct ChangePage {
    shell: Shell,
    change: Change,
    /// Address and id of a license that stayed as it was, and why.
    skipped: Vec<(String, String, String)>,
    changes_path: String,
    licenses_path: String,
}

/// `GET …/licenses/changes/{id}`.
pub(crate) async fn show(
    State(web): State<Web>,
    place: Place<Look>,
    Path((_, _, id)): Path<(String, String, String)>,
) -> Result<Response, Refusal> {
    let id: BulkChangeId = id.parse().map_err(|_| Refusal::NotFound)?;
    let store = &web.engine.store;
    let row = store.bulk_change(place.whose(), id).await?.ok_or(Refusal::NotFound)?;
    let (now, people) = (web.engine.now(), People::of(&web, &place).await?);
    let change = change(&place, &people, &row, now);
    let skipped = store.skipped_bulk_items(id, SHOWN).await?.into_iter().map(|item| {
        let license = LicenseId(item.license_id).to_string();
        (place.at(&format!("licenses/{license}")), license, item.outcome.unwrap_or_default())
    });
    page(&ChangePage {
        shell: Shell::new(&web, &place, "licenses", change.title.clone())
            .await?
            .looks_again(change.is_running.then_some(SOON)),
        skipped: skipped.collect(),
        change,
        changes_path: place.at("licenses/changes"),
        licenses_path: place.at("licenses"),
    })
}

/// The change that an address names, for those who may stop it.
async fn stoppable(web: &Web, place: &Place<Look>, id: &str) -> Result<(BulkChangeId, BulkChange), Refusal> {
    let id: BulkChangeId = id.parse().map_err(|_| Refusal::NotFound)?;
    let row = web.engine.store.bulk_change(place.whose(), id).await?.ok_or(Refusal::NotFound)?;
    place.may(ability(&row))?;
    Ok((id, row))
}

/// `GET …/licenses/changes/{id}/stop`.
pub(crate) async fn stop_form(
    State(web): State<Web>,
    place: Place<Look>,
    Path((_, _, id)): Path<(String, String, String)>,
) -> Result<Response, Refusal> {
    let (id, row) = stoppable(&web, &place, &id).await?;
    let is_over = row.status != status::RUNNING;
    let wrong = is_over.then(|| "It is over: there is nothing to stop.".to_owned());
    Question::new("Stop the change", "Stop it", place.at(&format!("licenses/changes/{id}")))
        .says(format!("{} of {} were looked at so far.", row.done, counted(row.total, "license", "licenses")))
        .says("Those that were changed stay changed; all others stay as they are. It cannot be taken up again.")
        .asks(Field::reason())
        .page(&web, &place, "licenses", wrong)
        .await
}

/// `POST …/licenses/changes/{id}/stop`. One that is over by then has nothing left to stop, and its page says so.
pub(crate) async fn stop(
    State(web): State<Web>,
    place: Place<Look>,
    Path((_, _, id)): Path<(String, String, String)>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    let (id, _) = stoppable(&web, &place, &id).await?;
    web.engine.stop_change(place.whose(), id, &place.by(sent.get("note"))).await?;
    Ok(see_other(&place.at(&format!("licenses/changes/{id}"))))
}
