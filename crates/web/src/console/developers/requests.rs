//! What was called, and how it was answered.

use std::collections::HashMap;

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use domain::id::{ApiKeyId, RequestId};
use engine::requests::{KEPT_DAYS, ROWS_MAX, STRANGERS_A_MINUTE};
use jiff::Timestamp;
use store::{requests::RequestFilter, rows::ApiRequest};
use uuid::Uuid;

use super::{
    super::{
        entries::page_of,
        list::{Asked, Pager},
        place::{Place, to::Look},
        refusal::Refusal,
        shell::{Shell, page},
        words::When,
    },
    Tab, keys,
    reference::Reference,
    tabs,
};
use crate::Web;

/// How calls may be answered: the word in addresses, what it is called, and the statuses.
const ANSWERS: [(&str, &str, (u16, u16)); 3] =
    [("done", "done", (200, 399)), ("refused", "refused", (400, 499)), ("failed", "failed", (500, 599))];

#[derive(Template)]
#[template(path = "console/requests.html")]
struct RequestsPage {
    shell: Shell,
    tabs: Vec<Tab>,
    path: String,
    rows: Vec<Row>,
    pager: Pager,
    answers: Vec<(&'static str, &'static str, bool)>,
    /// Id, name, and whether it is this one.
    keys: Vec<(String, String, bool)>,
    asked: Asked,
    is_filtered: bool,
    wrong: Option<&'static str>,
    kept_days: i64,
    rows_max: u64,
    a_minute: u32,
}

/// A call in a list.
struct Row {
    path: String,
    method: String,
    route: String,
    status: i32,
    tone: &'static str,
    icon: &'static str,
    code: String,
    took: String,
    key: Option<String>,
    address: String,
    when: When,
}

/// The names of API keys.
struct Keys(HashMap<Uuid, String>);

impl Keys {
    async fn read(web: &Web, place: &Place<Look>) -> Result<Self, Refusal> {
        let keys = keys::keys(web, place).await?;
        Ok(Self(keys.into_iter().map(|row| (row.id, row.name)).collect()))
    }

    fn row(&self, place: &Place<Look>, row: &ApiRequest, now: Timestamp) -> Row {
        let (tone, icon) = tone(row);
        Row {
            path: place.at(&format!("developers/requests/{}", RequestId(row.id))),
            method: row.method.clone(),
            route: row.route.clone(),
            status: row.status,
            tone,
            icon,
            code: row.code.clone().unwrap_or_default(),
            took: took(row.duration_micros),
            key: row.api_key_id.map(|id| self.0.get(&id).cloned().unwrap_or_else(|| ApiKeyId(id).to_string())),
            address: row.address.clone().unwrap_or_default(),
            when: When::stored(row.received_at, now),
        }
    }
}

/// The colour of a status and its icon. An app that may not run was answered properly.
fn tone(row: &ApiRequest) -> (&'static str, &'static str) {
    match row.status {
        500.. => ("bad", "stop"),
        400.. => ("warn", "stop"),
        _ if row.code.is_some() => ("quiet", "pause"),
        _ => ("good", "check"),
    }
}

/// A time as people read it: below ten milliseconds with a place behind the point.
fn took(micros: i64) -> String {
    match micros {
        ..10_000 => format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
        _ => format!("{} ms", micros / 1_000),
    }
}

/// `GET …/developers/requests`.
pub(crate) async fn list(
    State(web): State<Web>,
    place: Place<Look>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refusal> {
    let now = web.engine.now();
    let (text, route) = (asked.get("id"), asked.get("route"));
    let id = (!text.is_empty()).then(|| text.parse::<RequestId>());
    let wrong = matches!(id, Some(Err(_))).then_some("A request id looks like req_01m8asy336fb9v7shhajj3kwx2.");
    let filter = RequestFilter {
        statuses: ANSWERS.iter().find(|(word, ..)| *word == asked.get("answer")).map(|(_, _, statuses)| *statuses),
        route: (!route.is_empty()).then(|| route.to_owned()),
        api_key: asked.get("key").parse().ok(),
        id: id.and_then(Result::ok),
    };
    let at = asked.page::<RequestId>()?;
    let examined = web.engine.store.examine_requests(place.whose(), &filter, at).await?;
    let kept = asked.kept(&["answer", "key", "route", "id"]);
    let path = place.at("developers/requests");
    let names = Keys::read(&web, &place).await?;
    let mut keys: Vec<_> = names.0.iter().map(|(id, name)| (ApiKeyId(*id).to_string(), name.clone())).collect();
    keys.sort_by(|(_, one), (_, other)| one.cmp(other));
    page(&RequestsPage {
        shell: Shell::new(&web, &place, "developers/requests", "Request log").await?,
        tabs: tabs(&place, "developers/requests"),
        rows: examined.listed.rows.iter().map(|row| names.row(&place, row, now)).collect(),
        pager: Pager::examined(&examined, at, &path, &kept, |row| row.id, |id| RequestId(id).to_string()),
        path,
        answers: ANSWERS.map(|(word, name, _)| (word, name, word == asked.get("answer"))).to_vec(),
        keys: keys
            .into_iter()
            .map(|(id, name)| (asked.get("key") == id, id, name))
            .map(|(is, id, name)| (id, name, is))
            .collect(),
        is_filtered: !kept.is_empty(),
        asked,
        wrong,
        kept_days: KEPT_DAYS,
        rows_max: ROWS_MAX,
        a_minute: STRANGERS_A_MINUTE,
    })
}

#[derive(Template)]
#[template(path = "console/request.html")]
struct RequestPage {
    shell: Shell,
    list: String,
    id: String,
    row: Row,
    why: String,
    /// Name, value, and where it leads.
    facts: Vec<(&'static str, String, Option<String>)>,
}

/// `GET …/developers/requests/{id}`.
pub(crate) async fn show(
    State(web): State<Web>,
    place: Place<Look>,
    Path((_, _, id)): Path<(String, String, String)>,
) -> Result<Response, Refusal> {
    let now = web.engine.now();
    let id: RequestId = id.parse().map_err(|_| Refusal::NotFound)?;
    let found = web.engine.store.request(place.whose(), id).await?.ok_or(Refusal::NotFound)?;
    let names = Keys::read(&web, &place).await?;
    let row = names.row(&place, &found, now);
    let title = format!("{} {}", row.method, row.route);
    page(&RequestPage {
        shell: Shell::new(&web, &place, "developers/requests", title).await?,
        list: place.at("developers/requests"),
        id: id.to_string(),
        why: why(&found),
        facts: facts(&place, &Reference::of(&web), &found, &row),
        row,
    })
}

/// What became of a call, in one sentence or two.
fn why(row: &ApiRequest) -> String {
    let (code, detail) = (row.code.as_deref(), row.detail.as_deref().map(|detail| detail.replace('`', "")));
    match (row.status, code, detail) {
        (400.., Some(code), Some(detail)) => format!("Refused with {} ({code}): {detail}", row.status),
        (400.., ..) => format!("Refused with {}.", row.status),
        (202, Some(code), Some(detail)) => format!("Accepted, and not done yet ({code}): {detail}"),
        (_, Some(code), _) => format!("The app was told that it may not run: {code}."),
        _ => format!("Answered with {}.", row.status),
    }
}

fn facts(
    place: &Place<Look>,
    reference: &Reference,
    row: &ApiRequest,
    shown: &Row,
) -> Vec<(&'static str, String, Option<String>)> {
    let operation = reference.called(&row.method, &row.route);
    let mut facts = vec![(
        "Call",
        operation.map_or_else(|| row.route.clone(), |found| found.summary.clone()),
        operation.map(|found| place.at(&format!("developers/reference/{}", found.id))),
    )];
    if let Some(subject) = &row.subject {
        facts.push(("About", subject.clone(), page_of(place, subject)));
    }
    if let Some((id, name)) = row.api_key_id.map(ApiKeyId).zip(shown.key.clone()) {
        facts.push(("API key", name, Some(place.at(&format!("developers/requests?key={id}")))));
    }
    let mode = match row.livemode {
        Some(true) => "live",
        Some(false) => "test",
        None => "not known: the call named no license and no key that opens",
    };
    facts.extend([
        ("Status", row.status.to_string(), None),
        ("Took", shown.took.clone(), None),
        ("From", shown.address.clone(), None),
        ("Came", shown.when.full(), None),
        ("Mode", mode.to_owned(), None),
    ]);
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        for (micros, shown) in
            [(0, "0.0 ms"), (1_540, "1.5 ms"), (9_999, "9.9 ms"), (10_000, "10 ms"), (3_000_000, "3000 ms")]
        {
            assert_eq!(took(micros), shown);
        }
    }
}
