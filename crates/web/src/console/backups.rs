//! Backups of the whole installation, and what was held after one was restored: for those who run it.

use std::{borrow::Cow, sync::Arc, time::Duration};

use askama::Template;
use axum::{
    Form, Router,
    body::Body,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use domain::member::Role;
use engine::{
    backups::{BackupError, Kept, Made, Plan},
    outgoing::{Held, Released},
    support::size,
};
use futures::stream;
use jiff::Timestamp;
use tokio::{fs::File, io::AsyncReadExt};

use super::{
    about::is_operators,
    action::{Field, Question, Sent},
    browser::see_other,
    place::{Place, to::Decide},
    refusal::Refusal,
    shell::{Shell, page},
    words::{Pill, When, counted, sentence},
};
use crate::Web;

pub(crate) const SECTION: &str = "settings/backups";
/// How long somebody waits for a backup; a longer one goes on without them.
const WAITED_FOR: Duration = Duration::from_secs(20);
/// How much of a backup is in memory while it is downloaded.
const PIECE_BYTES: usize = 256 * 1024;

/// The pages of backups.
pub(crate) fn routes() -> Router<Web> {
    Router::new()
        .route("/console/{tenant}/{mode}/settings/backups", get(show))
        .route("/console/{tenant}/{mode}/settings/backups/now", get(ask_now).post(now))
        .route("/console/{tenant}/{mode}/settings/backups/download", get(ask_download).post(download))
        .route("/console/{tenant}/{mode}/settings/backups/release", get(ask_release).post(release))
}

#[derive(Template)]
#[template(path = "console/backups.html")]
struct BackupsPage {
    shell: Shell,
    path: String,
    /// PostgreSQL has its own tools.
    is_shared: bool,
    held: Option<HeldCard>,
    last: Option<Last>,
    /// How it stands, and what is wrong.
    pill: Pill,
    problem: Option<String>,
    schedule: Option<Schedule>,
    kept: Vec<Row>,
    may_download: bool,
    master_key_file: String,
}

/// What waits since everything is held.
struct HeldCard {
    since: When,
    backup_of: Option<When>,
    mails: String,
    deliveries: String,
    mails_path: String,
    deliveries_path: String,
}

/// The last backup.
struct Last {
    made: When,
    size: String,
    took: String,
    path: String,
    holds: String,
    master_keys: String,
}

struct Schedule {
    every: String,
    keep: usize,
    folder: String,
}

/// A backup that can be had.
struct Row {
    made: When,
    name: String,
    size: String,
    is_newest: bool,
}

/// Goes on for those who run the installation; to others there is no such page.
fn operators(place: &Place<Decide>) -> Result<(), Refusal> {
    if is_operators(place) { Ok(()) } else { Err(Refusal::NotFound) }
}

/// Goes on for an owner of them: a backup holds everything of all vendors.
fn operators_owner(place: &Place<Decide>) -> Result<(), Refusal> {
    operators(place)?;
    if place.role == Role::Owner { Ok(()) } else { Err(Refusal::Forbidden(place.role)) }
}

/// `GET …/settings/backups`.
async fn show(State(web): State<Web>, place: Place<Decide>) -> Result<Response, Refusal> {
    operators(&place)?;
    let (engine, now) = (&web.engine, web.engine.now());
    let last = engine.last_backup().await?;
    let failed = engine.failed_backup().await?;
    let kept = engine.backups_kept();
    let mut shell = Shell::new(&web, &place, SECTION, "Backups").await?;
    shell.said = still_held(&place).map(Cow::Owned).or(shell.said);
    page(&BackupsPage {
        shell,
        path: place.at(SECTION),
        is_shared: engine.store.is_shared(),
        held: match engine.outgoing_held().await? {
            Some(held) => Some(held_card(&web, &place, held, now).await?),
            None => None,
        },
        pill: pill(last.is_some(), failed.is_some(), engine.backup_is_overdue()),
        problem: failed.map(|failed| format!("{}: {}", When::new(failed.at, now).short(), sentence(&failed.problem))),
        last: last.map(|made| drawn(made, now)),
        schedule: engine.backup_plan().map(schedule),
        kept: kept.iter().enumerate().map(|(place, kept)| row(kept, place == 0, now)).collect(),
        may_download: operators_owner(&place).is_ok(),
        master_key_file: format!("{}/master-key", web.data_folder),
    })
}

const fn pill(was_made: bool, has_failed: bool, is_overdue: bool) -> Pill {
    match (has_failed, is_overdue, was_made) {
        (true, ..) => Pill { word: "failed", tone: "bad", icon: "stop" },
        (_, true, _) => Pill { word: "overdue", tone: "bad", icon: "clock" },
        (_, _, true) => Pill { word: "made", tone: "good", icon: "check" },
        _ => Pill { word: "none yet", tone: "warn", icon: "clock" },
    }
}

async fn held_card(web: &Web, place: &Place<Decide>, held: Held, now: Timestamp) -> Result<HeldCard, Refusal> {
    let status = web.engine.store.status(None).await?;
    Ok(HeldCard {
        since: When::new(held.since, now),
        backup_of: held.backup_of.map(|at| When::new(at, now)),
        mails: counted(status.mails_pending, "mail", "mails"),
        deliveries: counted(status.deliveries_pending, "delivery", "deliveries"),
        mails_path: place.at("mails"),
        deliveries_path: place.at("deliveries"),
    })
}

fn drawn(made: Made, now: Timestamp) -> Last {
    Last {
        made: When::new(made.at, now),
        size: size(made.bytes),
        took: took(made.took_millis),
        path: made.path.display().to_string(),
        holds: format!(
            "{}, {}",
            counted(made.tenants, "account", "accounts"),
            counted(made.licenses, "license", "licenses")
        ),
        master_keys: made.master_keys.join(", "),
    }
}

/// How long something took: to a tenth of a second, or in milliseconds if it was less than one.
fn took(millis: i64) -> String {
    if millis < 1_000 { format!("{millis} ms") } else { format!("{}.{} s", millis / 1_000, millis % 1_000 / 100) }
}

fn schedule(plan: &Plan) -> Schedule {
    let hours = plan.every.as_hours();
    Schedule {
        every: if hours == 24 { "day".to_owned() } else { counted(hours, "hour", "hours") },
        keep: plan.keep,
        folder: plan.folder.display().to_string(),
    }
}

fn row(kept: &Kept, is_newest: bool, now: Timestamp) -> Row {
    let name = kept.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Row { made: When::new(kept.made_at, now), name, size: size(kept.bytes), is_newest }
}

fn backing_up(place: &Place<Decide>) -> Question {
    Question::new("Back up now", "Back up", place.at(SECTION))
        .says("The whole database is copied into one file on the server, with everything of all vendors. The server goes on working meanwhile.")
        .says("The master keys are not in it. Without them it opens nothing, so keep a copy of their file in another place.")
        .asks(Field::reason())
}

/// `GET …/settings/backups/now`.
async fn ask_now(State(web): State<Web>, place: Place<Decide>) -> Result<Response, Refusal> {
    operators(&place)?;
    place.confirmed(&web)?;
    backing_up(&place).page(&web, &place, SECTION, None).await
}

/// `POST …/settings/backups/now`.
async fn now(State(web): State<Web>, place: Place<Decide>, Form(sent): Form<Sent>) -> Result<Response, Refusal> {
    operators(&place)?;
    place.confirmed(&web)?;
    let (engine, by) = (Arc::clone(&web.engine), place.by(sent.get("note")));
    // It goes on where nobody waits for it any more.
    let work = tokio::spawn(async move { engine.back_up_as_planned(&by).await });
    let Ok(ended) = tokio::time::timeout(WAITED_FOR, work).await else {
        return Ok(see_other(&place.at(&format!("{SECTION}?said=backing_up"))));
    };
    match ended.map_err(|error| Refusal::Failed(error.to_string()))? {
        Ok(_) => Ok(see_other(&place.at(&format!("{SECTION}?said=backed_up")))),
        Err(BackupError::Engine(error)) => Err(error.into()),
        Err(error) => backing_up(&place).page(&web, &place, SECTION, Some(sentence(&error))).await,
    }
}

/// `GET …/settings/backups/download`.
async fn ask_download(State(web): State<Web>, place: Place<Decide>) -> Result<Response, Refusal> {
    operators_owner(&place)?;
    place.confirmed(&web)?;
    let kept = web.engine.backups_kept().into_iter().next().ok_or(Refusal::NotFound)?;
    Question::new("Download the newest backup", "Download", place.at(SECTION))
        .says(format!("It was made {} and has {}.", When::new(kept.made_at, web.engine.now()), size(kept.bytes)))
        .says("Everything of all vendors is in it: buyers with their addresses, orders, licenses. Whoever also has the master keys can read every license key, so keep it apart from them.")
        .says("That you took it along stands in the audit log.")
        .asks(Field::reason())
        .page(&web, &place, SECTION, None)
        .await
}

/// `POST …/settings/backups/download`.
async fn download(State(web): State<Web>, place: Place<Decide>, Form(sent): Form<Sent>) -> Result<Response, Refusal> {
    operators_owner(&place)?;
    place.confirmed(&web)?;
    let kept = web.engine.backups_kept().into_iter().next().ok_or(Refusal::NotFound)?;
    // Once it is open it stays whole, even if it makes room for newer ones meanwhile.
    let file = File::open(&kept.path).await.map_err(|error| Refusal::Failed(format!("the backup: {error}")))?;
    web.engine.backup_taken(place.whose().tenant, &kept, &place.by(sent.get("note"))).await?;
    let name = kept.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, kept.bytes.to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    let pieces = stream::try_unfold(file, async |mut file: File| {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        (&mut file).take(PIECE_BYTES as u64).read_to_end(&mut piece).await?;
        Ok::<_, std::io::Error>(Some((piece, file)).filter(|(piece, _)| !piece.is_empty()))
    });
    Ok((headers, Body::from_stream(pieces)).into_response())
}

async fn releasing(web: &Web, place: &Place<Decide>) -> Result<Question, Refusal> {
    let held = web.engine.outgoing_held().await?.ok_or(Refusal::NotFound)?;
    let waited = held.backup_of.map_or("when it was held", |_| "in the backup");
    Ok(Question::new("Let everything leave again", "Release", place.at(SECTION))
        .says("Mails, webhooks, alerts and calls to providers leave again, for all vendors.")
        .says("Alerts and calls to providers that waited leave in any case, ticked or not.")
        .says(format!("What waited {waited} may have left before. Unless you tick the box it stays held: mails are released under E-mail, Sender; webhooks at their address."))
        .asks(Field::Check {
            name: "with_older",
            label: "Also send what waited then",
            hint: "Right if nothing left between the backup and the restore.",
            is_on: false,
        })
        .asks(Field::reason()))
}

/// `GET …/settings/backups/release`.
async fn ask_release(State(web): State<Web>, place: Place<Decide>) -> Result<Response, Refusal> {
    operators(&place)?;
    place.confirmed(&web)?;
    releasing(&web, &place).await?.page(&web, &place, SECTION, None).await
}

/// `POST …/settings/backups/release`.
async fn release(State(web): State<Web>, place: Place<Decide>, Form(sent): Form<Sent>) -> Result<Response, Refusal> {
    operators(&place)?;
    place.confirmed(&web)?;
    let released = web.engine.release_outgoing(sent.is_on("with_older"), &place.by(sent.get("note"))).await?;
    let Released { mails_held, deliveries_held } = released.ok_or(Refusal::NotFound)?;
    let said = format!("{SECTION}?said=leaves_again&mails={mails_held}&deliveries={deliveries_held}");
    Ok(see_other(&place.at(&said)))
}

/// What a release came to, by the words in the address; none: nothing was held of what waited.
fn still_held(place: &Place<Decide>) -> Option<String> {
    let asked = |name| place.asked(name).parse::<u64>().unwrap_or_default();
    let (mails, deliveries) = (asked("mails"), asked("deliveries"));
    if place.asked("said") != "leaves_again" || (mails, deliveries) == (0, 0) {
        return None;
    }
    let (mails, deliveries) = (counted(mails, "mail", "mails"), counted(deliveries, "delivery", "deliveries"));
    Some(format!(
        "Everything leaves again but what waited before, {mails} and {deliveries}: mails are released under E-mail, Sender, \
         deliveries at their webhook address."
    ))
}
