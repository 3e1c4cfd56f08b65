//! Reconciling: what providers list as paid beside what there is here, and reading their lists so that nothing is missing.

use askama::Template;
use axum::{
    Form, Router,
    extract::{Query, State},
    response::Response,
    routing::get,
};
use domain::{
    id::{ConnectionId, OrderId},
    member::Ability,
    time::after,
};
use engine::{
    connections::Connection,
    doctor::{
        comparison::Comparison,
        discrepancies::{Discrepancy, DiscrepancyKind, Window},
    },
    reconcile::{Reading, WINDOW},
};
use jiff::{Timestamp, tz::TimeZone};

use super::{
    action::{Field, Question, Sent},
    attention::item,
    browser::see_other,
    list::ROWS,
    place::{
        Place,
        to::{Configure, Look},
    },
    refusal::{Refusal, encoded},
    shell::{Shell, page},
    words::{Pill, When, counted, day_named, sentence},
};
use crate::Web;

/// How soon the page looks again while a list is read, in milliseconds.
const SOON: u32 = 1_000;

pub(crate) fn routes() -> Router<Web> {
    Router::new()
        .route("/console/{tenant}/{mode}/reconcile", get(show))
        .route("/console/{tenant}/{mode}/reconcile/read", get(read_form).post(read))
}

#[derive(Template)]
#[template(path = "console/reconcile.html")]
struct ReconcilePage {
    shell: Shell,
    path: String,
    /// The page with what was asked for.
    here: String,
    billing_path: String,
    lists: Vec<List>,
    /// Whether any of them can be read.
    is_read: bool,
    /// Where lists are read: none, if there is none that can be, or the member may not.
    read: Option<String>,
    /// How many orders were compared, and when the last of them was; none: more are.
    compared: String,
    compared_at: Option<When>,
    /// Whether so much was found that the rest was not looked at.
    is_cut: bool,
    /// Id, code, whether it is chosen.
    connections: Vec<(String, String, bool)>,
    since: String,
    until: String,
    gaps: Vec<Gap>,
    more: Option<String>,
    wrong: Option<String>,
}

/// A connection, and how far its provider's list is read.
struct List {
    code: String,
    provider: &'static str,
    pill: Pill,
    text: String,
    up_to: Option<When>,
    lacks_permission: bool,
}

/// Something that does not fit.
struct Gap {
    pill: Pill,
    problem: String,
    reference: String,
    email: String,
    connection: String,
    /// The license, or the order: address and words.
    subject: (String, &'static str),
    /// Where it is mended: address and word.
    mend: Option<(String, &'static str)>,
}

/// What is looked at.
struct Asked {
    connection: Option<ConnectionId>,
    since: Timestamp,
    until: Option<Timestamp>,
    after: Option<OrderId>,
}

impl Asked {
    /// What an address asks for; otherwise what is wrong with it.
    fn read(sent: &Sent, now: Timestamp) -> Result<Self, String> {
        let id = |name: &str| sent.some(name).map(str::to_owned);
        let unknown = |_| "Choose a connection of the list.".to_owned();
        Ok(Self {
            connection: id("connection").map(|id| id.parse().map_err(unknown)).transpose()?,
            since: day_named(sent.get("since"))?.unwrap_or_else(|| begin_of_day(after(now, -WINDOW))),
            until: day_named(sent.get("until"))?,
            after: id("after").map(|id| id.parse().map_err(|_| "There is no such page.".to_owned())).transpose()?,
        })
    }
}

/// Whoever asks later on the same day asks for the same.
fn begin_of_day(at: Timestamp) -> Timestamp {
    at.to_zoned(TimeZone::UTC).start_of_day().map_or(at, |day| day.timestamp())
}

/// The orders of a comparison that a page shows, and behind which the next one begins.
fn shown(comparison: &Comparison, after: Option<OrderId>) -> (Vec<OrderId>, Option<OrderId>) {
    let rows = usize::try_from(ROWS).unwrap_or(usize::MAX);
    let mut ids: Vec<_> = comparison.found.iter().copied().filter(|id| after.is_none_or(|after| *id < after)).collect();
    let is_more = ids.len() > rows;
    ids.truncate(rows);
    let next = ids.last().copied().filter(|_| is_more);
    (ids, next)
}

/// What was asked for, as the end of an address.
fn query(sent: &Sent) -> String {
    let pairs = ["connection", "since", "until"].into_iter().filter_map(|name| Some((name, sent.some(name)?)));
    pairs.map(|(name, value)| format!("&{name}={}", encoded(value))).collect()
}

/// `GET …/reconcile`.
async fn show(State(web): State<Web>, place: Place<Look>, Query(sent): Query<Sent>) -> Result<Response, Refusal> {
    let (now, path) = (web.engine.now(), place.at("reconcile"));
    let readings = web.engine.readings(place.whose()).await?;
    let (asked, wrong) = match Asked::read(&sent, now) {
        Ok(asked) => (asked, None),
        Err(wrong) => (Asked::read(&Sent::default(), now).map_err(Refusal::Failed)?, Some(wrong)),
    };
    let window =
        Window { since: asked.since, until: asked.until.unwrap_or(Timestamp::MAX), connection: asked.connection };
    let comparison = web.engine.compare(place.whose(), &window).await?;
    let (ids, next) = shown(&comparison, asked.after);
    let mut gaps = Vec::new();
    for row in web.engine.discrepancies_of(place.whose(), &ids).await?.into_iter().flat_map(|(_, rows)| rows) {
        gaps.push(gap(&web, &place, &readings, row, now).await?);
    }
    let is_read = readings.iter().any(|(_, reading)| reading.is_possible());
    let can_read = is_read && place.role.may(Ability::Configure);
    let query = query(&sent);
    let is_going =
        comparison.ended_at.is_none() || readings.iter().any(|(_, reading)| matches!(reading, Reading::Going { .. }));
    let connection = |(connection, _): &(std::sync::Arc<Connection>, Reading)| {
        (connection.id.to_string(), connection.code.clone(), Some(connection.id) == asked.connection)
    };
    page(&ReconcilePage {
        shell: Shell::new(&web, &place, "reconcile", "Reconcile").await?.looks_again(is_going.then_some(SOON)),
        is_read,
        read: can_read.then(|| format!("{path}/read?{}", query.trim_start_matches('&'))),
        connections: readings.iter().map(connection).collect(),
        since: asked.since.strftime("%Y-%m-%d").to_string(),
        until: sent.get("until").to_owned(),
        compared: counted(comparison.orders, "order", "orders"),
        is_cut: comparison.is_cut,
        compared_at: comparison.ended_at.map(|at| When::new(at, now)),
        more: next.map(|after| format!("{path}?after={after}{query}")),
        lists: readings.into_iter().map(|(connection, reading)| list(&connection, reading, now)).collect(),
        billing_path: place.at("settings/billing"),
        here: format!("{path}?{}", query.trim_start_matches('&')),
        gaps,
        wrong,
        path,
    })
}

fn list(connection: &Connection, reading: Reading, now: Timestamp) -> List {
    let events = |found: i64| match found {
        0 => "Every event had come by webhook.".to_owned(),
        found => format!("{} had come by no webhook.", counted(found, "event", "events")),
    };
    let (word, tone, icon) = match &reading {
        Reading::NoList | Reading::Simulated => ("no list", "quiet", "stop"),
        Reading::NotAllowed(_) => ("may not ask", "warn", "pause"),
        Reading::Unread => ("not read yet", "quiet", "clock"),
        Reading::Going { .. } => ("being read", "cold", "clock"),
        Reading::Read { .. } => ("read", "good", "check"),
        Reading::Failed { .. } => ("not read", "bad", "stop"),
    };
    let text = match &reading {
        Reading::NoList => {
            "There is no list of events that could be read: what is not delivered is not known.".to_owned()
        }
        Reading::Simulated => "It answers only while something is played.".to_owned(),
        Reading::NotAllowed(permission) => {
            format!("It needs an API key with the permission “{permission}”, and a level other than none.")
        }
        Reading::Unread => "It is read for the first time in a moment.".to_owned(),
        Reading::Going { found } => format!("{} up to now.", events(*found).trim_end_matches('.')),
        Reading::Read { found, .. } => events(*found),
        Reading::Failed { problem, again_at } => {
            let again = again_at.map(|at| format!(" It is asked again {}.", When::new(at, now))).unwrap_or_default();
            format!("{}{again}", sentence(problem))
        }
    };
    List {
        code: connection.code.clone(),
        provider: connection.provider.info().name,
        pill: Pill { word, tone, icon },
        text,
        up_to: if let Reading::Read { up_to, .. } = reading { Some(When::new(up_to, now)) } else { None },
        lacks_permission: matches!(reading, Reading::NotAllowed(_)),
    }
}

async fn gap(
    web: &Web,
    place: &Place<Look>,
    readings: &[(std::sync::Arc<Connection>, Reading)],
    found: Discrepancy,
    now: Timestamp,
) -> Result<Gap, Refusal> {
    let order = place.at(&format!("orders/{}", found.order));
    let mends = web.engine.store.attention_of_order(found.order).await?.into_iter();
    let mut mends = mends.filter(|row| row.closed_at.is_none()).filter_map(|row| item(place, row, now).mend);
    let (word, tone, icon) = match found.kind {
        DiscrepancyKind::PaidWithoutLicense => ("paid, no license", "bad", "stop"),
        DiscrepancyKind::RefundedButActive => ("refunded, active", "warn", "pause"),
        DiscrepancyKind::ActiveWithoutKey => ("active, no key", "warn", "pause"),
    };
    let code = readings.iter().find(|(connection, _)| connection.id == found.connection);
    Ok(Gap {
        pill: Pill { word, tone, icon },
        problem: sentence(&found.problem),
        reference: found.references.into_iter().next().unwrap_or_default(),
        email: found.email.unwrap_or_else(|| "nobody said who".to_owned()),
        connection: code.map(|(connection, _)| connection.code.clone()).unwrap_or_default(),
        mend: mends.find(|(path, _)| *path != order),
        subject: match found.license {
            Some(id) => (place.at(&format!("licenses/{id}")), "See the license"),
            None => (order, "See the order"),
        },
    })
}

fn question(place: &Place<Configure>, sent: &Sent, lists: &[(std::sync::Arc<Connection>, Reading)]) -> Question {
    let all = [(String::new(), "All that can be read".to_owned())];
    let possible = lists.iter().filter(|(_, reading)| reading.is_possible());
    let codes = possible.map(|(connection, _)| (connection.id.to_string(), connection.code.clone()));
    let back = format!("reconcile?{}", query(sent).trim_start_matches('&'));
    Question::new("Read the providers' lists", "Read them", place.at(&back))
        .says("Each provider is asked for what happened there. What no webhook has brought is worked on as if it had come now: keys are issued, and revoked.")
        .says("Mails about sales that are older than three days are held for your word.")
        .asks(Field::choice("connection", "Of which connection", all.into_iter().chain(codes), sent.get("connection")))
        .asks(
            Field::text("since", "What happened from that day on", sent.get("since"))
                .of("date")
                .hint("UTC, as far back as the provider keeps it. Empty: since it was read last."),
        )
        .asks(Field::reason())
}

/// `GET …/reconcile/read`.
async fn read_form(
    State(web): State<Web>,
    place: Place<Configure>,
    Query(sent): Query<Sent>,
) -> Result<Response, Refusal> {
    let lists = web.engine.readings(place.whose()).await?;
    question(&place, &sent, &lists).page(&web, &place, "reconcile", None).await
}

/// `POST …/reconcile/read`: the lists are read in the background, and the page shows how far.
async fn read(State(web): State<Web>, place: Place<Configure>, Form(sent): Form<Sent>) -> Result<Response, Refusal> {
    let lists = web.engine.readings(place.whose()).await?;
    let again = |wrong: String| question(&place, &sent, &lists).page(&web, &place, "reconcile", Some(wrong));
    let asked = match Asked::read(&sent, web.engine.now()) {
        Ok(asked) => asked,
        Err(wrong) => return again(wrong).await,
    };
    let since = sent.some("since").map(|_| asked.since);
    let begun = web.engine.read_lists(place.whose(), asked.connection, since, &place.by(sent.get("note"))).await;
    match begun.map_err(|error| Refusal::Failed(error.to_string()))? {
        begun if begun.is_empty() => again("No list of that can be read; the page says why.".to_owned()).await,
        _ => Ok(see_other(&place.at(&format!("reconcile?said=reading{}", query(&sent))))),
    }
}
