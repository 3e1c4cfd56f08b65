//! Imports: licenses from another system, with the keys that their buyers have.

use axum::{Json, extract::State, http::StatusCode};
use domain::{id::BulkChangeId, text::PlanCode};
use engine::import::{ACTION, ImportOptions, Outcome, Preview};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::{lists::Whose, many::status, rows::BulkChange};
use utoipa::ToSchema;

use super::{NoteBody, instant, note};
use crate::{
    Api,
    caller::{Allowed, scope},
    problem::{Code, Problem},
    read::{Id, MaybeBody, SecretBody},
};

/// Lines that an answer tells of at most.
const LINES_TOLD: usize = 100;

/// How far an import has come.
#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "it describes the words of the document, which come from the row")]
enum ImportStatus {
    /// It is being written down.
    Reading,
    /// It waits in the console until somebody begins it.
    Prepared,
    /// It goes on.
    Running,
    /// All lines were looked at.
    Done,
    /// A person has stopped it.
    Stopped,
}

/// What is to be imported.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ImportStart)]
pub(crate) struct ImportBody {
    /// A CSV file in UTF-8 whose first line names its columns: `key`, and perhaps `email`, `name`, `plan` or `product`,
    /// `expires`, `created`, `activations` or `quantity`, `reference`, `note`, `devices`, `tags`. Each line has as many fields
    /// as there are columns, 200 at most.
    #[schema(example = "key,email,plan,expires\nOLD-1234-5678,ada@example.com,studio-pro,2027-01-31\n")]
    csv: String,
    /// Only tells what would follow.
    #[serde(default)]
    dry_run: bool,
    /// The code of the plan of lines that name none.
    #[serde(default)]
    #[schema(example = "studio-pro")]
    plan: Option<String>,
    /// Whether buyers get the mail with their key, as if they had bought it here.
    #[serde(default)]
    send_email: bool,
    /// For the audit log.
    #[serde(default)]
    #[schema(max_length = 1000)]
    note: Option<String>,
}

/// How many lines come to what.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImportCounts {
    /// Licenses that were not here.
    new: usize,
    /// They are here already, and the same.
    same: usize,
    /// They are here already, and not the same: they stay as they are.
    differs: usize,
    /// They cannot be imported.
    refused: usize,
}

/// A line that is not imported.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImportLine {
    /// Where it stands in the file, from 1.
    line: u64,
    /// What may be shown of its key.
    #[schema(example = "…5678")]
    key_hint: String,
    /// `differs` or `refused`.
    outcome: &'static str,
    /// Why.
    detail: String,
}

/// What became of a file.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImportPlan)]
pub(crate) struct PlannedDocument {
    /// None: it was only tried.
    import: Option<ImportDocument>,
    counts: ImportCounts,
    /// The first 100 lines that differ or are refused.
    lines: Vec<ImportLine>,
    /// The first 20 columns that are not known and were left out.
    ignored_columns: Vec<String>,
}

/// An import under way.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Import)]
pub(crate) struct ImportDocument {
    #[schema(example = "blk_01kag0000000000000000000000")]
    id: String,
    livemode: bool,
    #[schema(value_type = ImportStatus)]
    status: String,
    /// Lines of the file.
    total: i32,
    /// Lines that were looked at so far.
    done: i32,
    /// Licenses that were imported so far.
    imported: i32,
    /// Lines of which nothing was imported so far.
    skipped: i32,
    created_at: Timestamp,
    done_at: Option<Timestamp>,
}

impl From<BulkChange> for ImportDocument {
    fn from(row: BulkChange) -> Self {
        Self {
            id: BulkChangeId(row.id).to_string(),
            livemode: row.livemode,
            status: row.status,
            total: row.total,
            done: row.done,
            imported: row.done - row.skipped,
            skipped: row.skipped,
            created_at: instant(row.created_at),
            done_at: row.done_at.map(instant),
        }
    }
}

impl PlannedDocument {
    fn new(preview: &Preview) -> Self {
        let is_told = |outcome: Outcome| matches!(outcome, Outcome::Differs | Outcome::Refused);
        let lines = preview.lines.iter().filter(|line| is_told(line.outcome)).take(LINES_TOLD);
        Self {
            import: None,
            counts: ImportCounts {
                new: preview.count(Outcome::New),
                same: preview.count(Outcome::Same),
                differs: preview.count(Outcome::Differs),
                refused: preview.count(Outcome::Refused),
            },
            lines: lines
                .map(|line| ImportLine {
                    line: line.number,
                    key_hint: line.hint.clone(),
                    outcome: line.outcome.as_str(),
                    detail: line.detail.clone(),
                })
                .collect(),
            ignored_columns: preview.ignored.clone(),
        }
    }
}

/// Imports licenses from a file, each with the key that its buyer has: it opens the license as it is typed now. A line that
/// cannot be imported stops no other, and a file that is sent twice makes nothing twice. It goes on in the background. One
/// call takes 1 MiB; `keywright import` and the console take larger files.
#[utoipa::path(post, path = "/v1/imports", tag = "licenses", operation_id = "import_licenses", request_body = ImportBody,
    security(("api_key" = ["license:write"])),
    responses((status = 200, body = PlannedDocument), (status = 201, body = PlannedDocument)))]
pub(crate) async fn start(
    State(api): State<Api>,
    caller: Allowed<scope::LicenseWrite>,
    SecretBody(body): SecretBody<ImportBody>,
) -> Result<(StatusCode, Json<PlannedDocument>), Problem> {
    let ImportBody { csv, dry_run, plan, send_email, note: reason } = body;
    let (whose, by) = (caller.whose(), caller.by(note(reason)?));
    let options = ImportOptions { plan: plan.map(PlanCode::new), send_email };
    let preview = api.engine.preview_import(whose, csv.as_bytes(), &options).await?;
    let mut planned = PlannedDocument::new(&preview);
    if dry_run {
        return Ok((StatusCode::OK, Json(planned)));
    }
    let id = api.engine.prepare_import(whose, preview, &by).await?;
    let begun = api.engine.begin_import(whose, id, &by).await?;
    planned.import = begun.map(ImportDocument::from);
    Ok((StatusCode::CREATED, Json(planned)))
}

/// Shows how far an import has come.
#[utoipa::path(get, path = "/v1/imports/{id}", tag = "licenses", operation_id = "get_import",
    params(("id" = String, Path)), security(("api_key" = ["license:read"])),
    responses((status = 200, body = ImportDocument)))]
pub(crate) async fn get(
    State(api): State<Api>,
    caller: Allowed<scope::LicenseRead>,
    Id(id): Id<BulkChangeId>,
) -> Result<Json<ImportDocument>, Problem> {
    Ok(Json(found(&api, caller.whose(), id).await?.into()))
}

/// Stops an import. What was imported stays; one that is over stays as it is.
#[utoipa::path(post, path = "/v1/imports/{id}/stop", tag = "licenses", operation_id = "stop_import",
    params(("id" = String, Path)), request_body = Option<NoteBody>, security(("api_key" = ["license:write"])),
    responses((status = 200, body = ImportDocument)))]
pub(crate) async fn stop(
    State(api): State<Api>,
    caller: Allowed<scope::LicenseWrite>,
    Id(id): Id<BulkChangeId>,
    MaybeBody(body): MaybeBody<NoteBody>,
) -> Result<Json<ImportDocument>, Problem> {
    let whose = caller.whose();
    let import = found(&api, whose, id).await?;
    if [status::READING, status::PREPARED].contains(&import.status.as_str()) {
        return Err(Problem::new(Code::Conflict, "It has not begun, so there is nothing to stop."));
    }
    let stopped = api.engine.stop_change(whose, id, &caller.by(note(body.note)?)).await?;
    Ok(Json(stopped.unwrap_or(import).into()))
}

async fn found(api: &Api, whose: Whose, id: BulkChangeId) -> Result<BulkChange, Problem> {
    let row = api.engine.store.bulk_change(whose, id).await?;
    row.filter(|row| row.action == ACTION).ok_or_else(|| Problem::not_found(id))
}
