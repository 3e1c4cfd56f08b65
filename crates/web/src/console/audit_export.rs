//! The audit log as a file, for whoever may take everything along.

use axum::{
    Form,
    extract::{Query, State},
    http::header,
    response::{IntoResponse, Response},
};
use domain::id::{AuditId, LicenseId, OrderId};
use engine::rulings::By;
use jiff::Timestamp;
use serde_json::json;
use store::{
    lists::{Cursor, Page},
    rows::AuditEntry,
};

use super::{
    action::{Field, Question, Sent},
    audit::Wanted,
    csv::push_row,
    place::{Place, to::Decide},
    refusal::Refusal,
};
use crate::Web;

/// Entries of one file; whoever needs more takes them a stretch of time at a time.
const ENTRIES_MAX: usize = 50_000;
/// Entries read at once.
const PAGE: u64 = 1_000;

fn question(place: &Place<Decide>, wanted: &Wanted) -> Question {
    let asked = wanted.pairs();
    let what = match asked.is_empty() {
        true => "All entries".to_owned(),
        false => asked.iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", "),
    };
    let question = Question::new("Export the audit log", "Export", wanted.address(&place.at("audit")))
        .says(format!("{what}, the newest {ENTRIES_MAX} at most. E-mail addresses of buyers may be among it: keep the file as you keep them."))
        .says("That you took it along is an entry of its own.")
        .asks(Field::choice("format", "As", [("csv", "CSV, for a spreadsheet"), ("json", "JSON, a document on each line")], "csv"));
    let question = question.asks(Field::reason());
    let carry = |question: Question, (name, value): &(&'static str, &str)| {
        question.asks(Field::Hidden { name, value: (*value).to_owned() })
    };
    asked.iter().fold(question, carry)
}

/// `GET …/audit/export`.
pub(crate) async fn form(
    State(web): State<Web>,
    place: Place<Decide>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Refusal> {
    place.confirmed(&web)?;
    question(&place, &wanted).page(&web, &place, "audit", None).await
}

/// `POST …/audit/export`.
pub(crate) async fn export(
    State(web): State<Web>,
    place: Place<Decide>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    place.confirmed(&web)?;
    let wanted = Wanted::sent(&sent);
    let filter = wanted.filter()?;
    let is_json = sent.get("format") == "json";
    let mut rows: Vec<AuditEntry> = Vec::new();
    let mut from = None;
    loop {
        let listed = web.engine.store.list_audit(place.whose(), &filter, Page { limit: PAGE, from }).await?;
        from = listed.rows.last().map(|row| Cursor::After(row.id));
        rows.extend(listed.rows);
        if !listed.has_more || rows.len() >= ENTRIES_MAX {
            break;
        }
    }
    rows.truncate(ENTRIES_MAX);
    let by: By = place.by(sent.get("note"));
    let asked: std::collections::BTreeMap<_, _> = wanted.pairs().into_iter().collect();
    let detail = json!({ "entries": rows.len(), "format": if is_json { "json" } else { "csv" }, "asked": asked, "note": by.note });
    web.engine.note_export(place.whose().tenant, "audit.exported", &detail, &by).await?;
    let (kind, name) = if is_json { ("application/x-ndjson", "jsonl") } else { ("text/csv; charset=utf-8", "csv") };
    let today = web.engine.now().strftime("%Y-%m-%d");
    let disposition = format!("attachment; filename=\"audit-{}-{today}.{name}\"", place.tenant.slug);
    let text = if is_json { as_json(&rows) } else { as_csv(&rows) };
    Ok(([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, disposition)], text).into_response())
}

const NAMES: [&str; 10] =
    ["sequence", "id", "occurred_at", "actor", "action", "subject", "order", "license", "detail", "link"];

/// An entry as the API tells it, in the order of [`NAMES`].
fn fields(row: &AuditEntry) -> [String; 10] {
    let at = Timestamp::from_microsecond(row.occurred_at).unwrap_or(Timestamp::MIN);
    [
        row.sequence.to_string(),
        AuditId(row.id).to_string(),
        at.to_string(),
        row.actor.clone(),
        row.action.clone(),
        row.subject.clone(),
        row.order_id.map(|id| OrderId(id).to_string()).unwrap_or_default(),
        row.license_id.map(|id| LicenseId(id).to_string()).unwrap_or_default(),
        row.detail.clone(),
        row.chain.iter().map(|byte| format!("{byte:02x}")).collect(),
    ]
}

fn as_csv(rows: &[AuditEntry]) -> String {
    let mut text = String::new();
    push_row(&mut text, NAMES);
    for row in rows {
        push_row(&mut text, fields(row).iter().map(String::as_str));
    }
    text
}

fn as_json(rows: &[AuditEntry]) -> String {
    let line = |row: &AuditEntry| {
        let mut document: serde_json::Map<String, serde_json::Value> = NAMES
            .into_iter()
            .zip(fields(row))
            .filter(|(_, text)| !text.is_empty())
            .map(|(name, text)| (name.to_owned(), text.into()))
            .collect();
        document.insert("sequence".to_owned(), row.sequence.into());
        if let Ok(detail) = serde_json::from_str(&row.detail) {
            document.insert("detail".to_owned(), detail);
        }
        format!("{}\n", serde_json::Value::Object(document))
    };
    rows.iter().map(line).collect()
}
