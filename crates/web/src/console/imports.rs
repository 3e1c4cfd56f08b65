//! Licenses from a file: first what importing it would come to, line by line, then a job that can be watched and stopped.

use askama::Template;
use axum::{
    Form, Router,
    extract::{DefaultBodyLimit, Multipart, Path, Query, State, multipart::Field as Part},
    response::Response,
    routing::get,
};
use domain::{id::BulkChangeId, text::PlanCode};
use engine::import::{ACTION, BYTES_MAX, ImportError, ImportOptions, LINES_MAX, Outcome};
use store::{
    many::status,
    rows::{BulkChange, ImportRow},
};

use super::{
    action::{Field, Question, Sent},
    browser::see_other,
    list::{Asked, address},
    place::{Place, to::Decide},
    refusal::Refusal,
    shell::{Shell, page},
    tabs::Tab,
    words::{Pill, capitalised, counted, sentence},
};
use crate::Web;

/// Lines of a page.
const LINES_SHOWN: u64 = 100;
/// What is shown of the columns that were left out, in characters at most: an address carries it on.
const IGNORED_SHOWN: usize = 200;
/// What a browser sends around a file, in bytes at most.
const AROUND_BYTES_MAX: usize = 64 * 1024;

pub(crate) fn routes() -> Router<Web> {
    let upload = get(form).post(upload).layer(DefaultBodyLimit::max(BYTES_MAX + AROUND_BYTES_MAX));
    Router::new()
        .route("/console/{tenant}/{mode}/licenses/import", upload)
        .route("/console/{tenant}/{mode}/licenses/import/{id}", get(show))
        .route("/console/{tenant}/{mode}/licenses/import/{id}/begin", get(begin_form).post(begin))
        .route("/console/{tenant}/{mode}/licenses/import/{id}/discard", get(discard_form).post(discard))
}

#[derive(Template)]
#[template(path = "console/import.html")]
struct ImportPage {
    shell: Shell,
    /// Code, words, and whether it is chosen.
    plans: Vec<(String, String, bool)>,
    sends_mails: bool,
    lines_max: usize,
    mebibytes_max: usize,
    wrong: Option<String>,
    licenses_path: String,
}

/// What a browser sent: the file, and how it is to be read.
#[derive(Default)]
struct Uploaded {
    file: Vec<u8>,
    options: ImportOptions,
    note: String,
}

/// `GET …/licenses/import`.
async fn form(State(web): State<Web>, place: Place<Decide>) -> Result<Response, Refusal> {
    asked(&web, &place, &ImportOptions::default(), None).await
}

async fn asked(
    web: &Web,
    place: &Place<Decide>,
    options: &ImportOptions,
    wrong: Option<String>,
) -> Result<Response, Refusal> {
    let chosen = options.plan.as_ref().map(PlanCode::as_str);
    let plans = web.engine.store.newest_plans(place.whose().tenant).await?.into_iter();
    page(&ImportPage {
        shell: Shell::new(web, place, "licenses", "Import licenses").await?,
        plans: plans.map(|row| (row.code.clone(), row.name, chosen == Some(row.code.as_str()))).collect(),
        sends_mails: options.send_email,
        lines_max: LINES_MAX,
        mebibytes_max: BYTES_MAX / 1024 / 1024,
        wrong,
        licenses_path: place.at("licenses"),
    })
}

/// `POST …/licenses/import`: reads the file, and shows what it would come to.
async fn upload(State(web): State<Web>, place: Place<Decide>, sent: Multipart) -> Result<Response, Refusal> {
    let uploaded = match uploaded(sent).await {
        Ok(uploaded) => uploaded,
        Err(wrong) => return asked(&web, &place, &ImportOptions::default(), Some(wrong)).await,
    };
    let Uploaded { file, options, note } = uploaded;
    let preview = match web.engine.preview_import(place.whose(), &file, &options).await {
        Ok(preview) => preview,
        Err(ImportError::Engine(error)) => return Err(error.into()),
        Err(error) => return asked(&web, &place, &options, Some(sentence(&error))).await,
    };
    let ignored: String = preview.ignored.join(", ").chars().take(IGNORED_SHOWN).collect();
    let id = match web.engine.prepare_import(place.whose(), preview, &place.by(&note)).await {
        Ok(id) => id,
        Err(ImportError::Engine(error)) => return Err(error.into()),
        Err(error) => return asked(&web, &place, &options, Some(sentence(&error))).await,
    };
    Ok(see_other(&address(&place.at(&format!("licenses/import/{id}")), &[("ignored", &ignored)])))
}

async fn uploaded(mut sent: Multipart) -> Result<Uploaded, String> {
    let unreadable = |_| format!("The file did not arrive whole, or has more than {} MiB.", BYTES_MAX / 1024 / 1024);
    let mut uploaded = Uploaded::default();
    while let Some(part) = sent.next_field().await.map_err(unreadable)? {
        let name = part.name().unwrap_or_default().to_owned();
        let text = async |part: Part<'_>| part.text().await.map_err(unreadable);
        match name.as_str() {
            "file" => uploaded.file = part.bytes().await.map_err(unreadable)?.to_vec(),
            "plan" => {
                uploaded.options.plan = Some(text(part).await?).filter(|code| !code.is_empty()).map(PlanCode::new);
            }
            "send_email" => uploaded.options.send_email = !text(part).await?.is_empty(),
            "note" => uploaded.note = text(part).await?,
            _ => {}
        }
    }
    if uploaded.file.is_empty() { Err("Choose a file first.".to_owned()) } else { Ok(uploaded) }
}

/// A line, as a person reads it.
struct Line {
    number: i32,
    key: String,
    text: String,
}

#[derive(Template)]
#[template(path = "console/import_preview.html")]
struct PreviewPage {
    shell: Shell,
    path: String,
    total: String,
    tabs: Vec<Tab>,
    /// How many would be imported.
    new: i64,
    pill: Pill,
    /// What these lines come to.
    explanation: &'static str,
    lines: Vec<Line>,
    more: Option<String>,
    /// Columns that were left out.
    ignored: String,
    import_path: String,
}

/// `GET …/licenses/import/{id}`.
async fn show(
    State(web): State<Web>,
    place: Place<Decide>,
    Path((_, _, id)): Path<(String, String, String)>,
    Query(query): Query<Asked>,
) -> Result<Response, Refusal> {
    let (id, change) = import(&web, &place, &id).await?;
    if change.status != status::PREPARED {
        return Ok(see_other(&place.at(&format!("licenses/changes/{id}"))));
    }
    let counts = web.engine.store.import_outcomes(id).await?;
    let count =
        |outcome: Outcome| counts.iter().find(|(word, _)| word == outcome.as_str()).map_or(0, |(_, count)| *count);
    let asked_for = Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == query.get("show"));
    // What cannot be imported is what a person looks for first.
    let with_lines = [Outcome::Refused, Outcome::Differs, Outcome::New, Outcome::Same];
    let first = with_lines.into_iter().find(|outcome| count(*outcome) > 0).unwrap_or(Outcome::New);
    let here = asked_for.unwrap_or(first);
    let from = query.get("from").parse().unwrap_or(0);
    let rows = web.engine.store.import_rows(id, here.as_str(), from, LINES_SHOWN + 1).await?;
    let path = place.at(&format!("licenses/import/{id}"));
    let ignored: String = query.get("ignored").chars().take(IGNORED_SHOWN).collect();
    let at = |pairs: &[(&str, &str)]| address(&path, &[pairs, &[("ignored", ignored.as_str())]].concat());
    let tab = |outcome: Outcome| Tab {
        path: at(&[("show", outcome.as_str())]),
        name: format!("{} {}", count(outcome), name(outcome)),
        is_here: outcome == here,
    };
    let shown = usize::try_from(LINES_SHOWN).unwrap_or(usize::MAX);
    let next = rows.get(shown).map(|row| at(&[("show", here.as_str()), ("from", &row.position.to_string())]));
    page(&PreviewPage {
        shell: Shell::new(&web, &place, "licenses", "Import licenses").await?,
        total: counted(change.total, "line", "lines"),
        tabs: Outcome::ALL.into_iter().map(tab).collect(),
        new: count(Outcome::New),
        pill: pill(here),
        explanation: explanation(here),
        lines: rows.into_iter().take(shown).map(line).collect(),
        more: next,
        path: path.clone(),
        ignored,
        import_path: place.at("licenses/import"),
    })
}

fn line(row: ImportRow) -> Line {
    Line { number: row.line, key: row.hint, text: capitalised(&row.detail) }
}

const fn name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::New => "new",
        Outcome::Same => "the same",
        Outcome::Differs => "different",
        Outcome::Refused => "refused",
    }
}

const fn pill(outcome: Outcome) -> Pill {
    match outcome {
        Outcome::New => Pill { word: "new", tone: "good", icon: "check" },
        Outcome::Same => Pill { word: "the same", tone: "quiet", icon: "check" },
        Outcome::Differs => Pill { word: "different", tone: "warn", icon: "info" },
        Outcome::Refused => Pill { word: "refused", tone: "bad", icon: "stop" },
    }
}

const fn explanation(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::New => "These become licenses, each with the key that it has.",
        Outcome::Same => "These are here already, and the same: nothing is done with them.",
        Outcome::Differs => {
            "These are here already, and not the same. They stay as they are here; change them by hand."
        }
        Outcome::Refused => "These cannot be imported. All others can; mend these in the file and import it once more.",
    }
}

/// The import that an address names.
async fn import(web: &Web, place: &Place<Decide>, id: &str) -> Result<(BulkChangeId, BulkChange), Refusal> {
    let id: BulkChangeId = id.parse().map_err(|_| Refusal::NotFound)?;
    let change = web.engine.store.bulk_change(place.whose(), id).await?.ok_or(Refusal::NotFound)?;
    if change.action == ACTION { Ok((id, change)) } else { Err(Refusal::NotFound) }
}

/// `GET …/licenses/import/{id}/begin`.
async fn begin_form(
    State(web): State<Web>,
    place: Place<Decide>,
    Path((_, _, id)): Path<(String, String, String)>,
) -> Result<Response, Refusal> {
    let (id, change) = import(&web, &place, &id).await?;
    let counts = web.engine.store.import_outcomes(id).await?;
    let new = counts.iter().find(|(word, _)| word == Outcome::New.as_str()).map_or(0, |(_, count)| *count);
    let wrong = match (change.status == status::PREPARED, new) {
        (false, _) => Some("It has begun already.".to_owned()),
        (true, 0) => Some("Nothing in the file is new.".to_owned()),
        _ => None,
    };
    let licenses = counted(i32::try_from(new).unwrap_or(i32::MAX), "license", "licenses");
    Question::new(format!("Import · {licenses}"), "Import them", place.at(&format!("licenses/import/{id}")))
        .says("Each becomes a license with the key that its buyer has. The key works at once, as it is typed now.")
        .says("They are sold by hand, for no money: what was paid elsewhere is not counted here.")
        .says("It goes on in the background and can be stopped. What was imported by then stays.")
        .asks(Field::reason())
        .page(&web, &place, "licenses", wrong)
        .await
}

/// `POST …/licenses/import/{id}/begin`. One that has begun by then is watched all the same.
async fn begin(
    State(web): State<Web>,
    place: Place<Decide>,
    Path((_, _, id)): Path<(String, String, String)>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    let (id, _) = import(&web, &place, &id).await?;
    web.engine.begin_import(place.whose(), id, &place.by(sent.get("note"))).await?;
    Ok(see_other(&place.at(&format!("licenses/changes/{id}"))))
}

/// `GET …/licenses/import/{id}/discard`.
async fn discard_form(
    State(web): State<Web>,
    place: Place<Decide>,
    Path((_, _, id)): Path<(String, String, String)>,
) -> Result<Response, Refusal> {
    let (id, _) = import(&web, &place, &id).await?;
    Question::new("Discard the file", "Discard it", place.at(&format!("licenses/import/{id}")))
        .says("What the file says is forgotten, and nothing is imported.")
        .says("A file that nobody imports is forgotten after a day by itself.")
        .page(&web, &place, "licenses", None)
        .await
}

/// `POST …/licenses/import/{id}/discard`.
async fn discard(
    State(web): State<Web>,
    place: Place<Decide>,
    Path((_, _, id)): Path<(String, String, String)>,
) -> Result<Response, Refusal> {
    let (id, _) = import(&web, &place, &id).await?;
    match web.engine.discard_import(place.whose(), id).await? {
        true => Ok(see_other(&place.at("licenses?said=import_discarded"))),
        false => Ok(see_other(&place.at(&format!("licenses/changes/{id}")))),
    }
}
