//! A vendor's own addresses to which events go.

use askama::Template;
use axum::{extract::State, response::Response};
use domain::{
    event::WantedKinds,
    id::{RecoveryId, WebhookEndpointId},
    member::Ability,
    time::after,
};
use jiff::Timestamp;
use store::{
    deliveries::recovery,
    rows::{Recovery, WebhookEndpoint},
    webhook_endpoints::status,
};

use super::{
    endpoint_figures::{EXAMINED, Lately, WEEK},
    place::{Place, to::Look},
    refusal::Refusal,
    shell::{Shell, page},
    words::{Pill, When},
};
use crate::Web;

/// Recoveries of an address that are shown.
const RECOVERIES: usize = 3;

#[derive(Template)]
#[template(path = "console/endpoints.html")]
struct EndpointsPage {
    shell: Shell,
    path: String,
    deliveries: String,
    catalogue: String,
    cards: Vec<Card>,
    may_configure: bool,
}

struct Card {
    path: String,
    deliveries: String,
    code: String,
    url: String,
    pill: Pill,
    is_enabled: bool,
    reason: Option<String>,
    failing_since: Option<When>,
    events: String,
    how: String,
    headers: Vec<String>,
    /// How it answered lately; none: it was not looked at yet.
    lately: Option<Lately>,
    next_retry: Option<When>,
    recoveries: Vec<RecoveryRow>,
}

struct RecoveryRow {
    since: When,
    until: When,
    queued: i64,
    state: &'static str,
    /// Where it is stopped; none: it is over.
    cancel: Option<String>,
}

/// `GET …/settings/webhooks`.
pub(crate) async fn list(State(web): State<Web>, place: Place<Look>) -> Result<Response, Refusal> {
    let now = web.engine.now();
    let mut rows = web.engine.store.webhook_endpoints(place.whose().tenant).await?;
    rows.retain(|row| row.livemode == place.livemode);
    let mut cards = Vec::with_capacity(rows.len());
    for row in rows {
        let (store, id) = (&web.engine.store, WebhookEndpointId(row.id));
        let recoveries = store.recoveries(id).await?;
        let tries = store.attempts_since(id, after(now, -WEEK), EXAMINED).await?;
        let next_retry = store.next_retry(id).await?.map(|at| When::stored(at, now));
        let card = card(&web, &place, row, recoveries, now);
        cards.push(Card { lately: Some(Lately::of(&tries, now)), next_retry, ..card });
    }
    page(&EndpointsPage {
        shell: Shell::new(&web, &place, "settings/webhooks", "Webhooks").await?,
        path: place.at("settings/webhooks"),
        deliveries: place.at("deliveries"),
        catalogue: place.at("settings/webhooks/events"),
        cards,
        may_configure: place.role.may(Ability::Configure),
    })
}

fn card(web: &Web, place: &Place<Look>, row: WebhookEndpoint, recoveries: Vec<Recovery>, now: Timestamp) -> Card {
    let id = WebhookEndpointId(row.id);
    let path = place.at(&format!("settings/webhooks/{id}"));
    let events: Vec<String> = WantedKinds::stored(&row.kinds).into_words().collect();
    let recoveries = recoveries.into_iter().take(RECOVERIES).map(|recovery| recovered(&path, &recovery, now));
    // One whose secrets do not open is shown as any other: it can be removed.
    let (headers, unopened) = match web.engine.webhook_header_names(&row) {
        Ok(names) => (names, None),
        Err(problem) => (Vec::new(), Some(format!("It cannot be called: {problem}."))),
    };
    Card {
        deliveries: place.at(&format!("deliveries?endpoint={id}")),
        headers,
        lately: None,
        next_retry: None,
        pill: pill(&row.status),
        is_enabled: row.status == status::ENABLED,
        how: how(&row),
        events: if events.is_empty() { "all".to_owned() } else { events.join(", ") },
        failing_since: row.failing_since.map(|at| When::stored(at, now)),
        recoveries: recoveries.collect(),
        reason: row.reason.or(unopened),
        code: row.code,
        url: row.url,
        path,
    }
}

fn pill(word: &str) -> Pill {
    match word {
        status::ENABLED => Pill { word: "enabled", tone: "good", icon: "check" },
        status::PAUSED => Pill { word: "paused", tone: "warn", icon: "pause" },
        status::DISABLED => Pill { word: "disabled", tone: "bad", icon: "stop" },
        _ => Pill { word: "other", tone: "quiet", icon: "clock" },
    }
}

fn how(row: &WebhookEndpoint) -> String {
    let schedule = if row.schedule == "short" { "four tries in half an hour" } else { "ten tries in three days" };
    let style = if row.style == "standard" { "Standard Webhooks" } else { row.style.as_str() };
    let ordered = if row.ordered { "; the events of a license one after the other" } else { "" };
    format!("{style}; {schedule}{ordered}")
}

fn recovered(path: &str, row: &Recovery, now: Timestamp) -> RecoveryRow {
    let is_running = row.status == recovery::RUNNING;
    RecoveryRow {
        since: When::stored(row.since, now),
        until: When::stored(row.until, now),
        queued: row.queued,
        state: match row.status.as_str() {
            recovery::RUNNING => "running",
            recovery::DONE => "done",
            _ => "cancelled",
        },
        cancel: is_running.then(|| format!("{path}/cancel?recovery={}", RecoveryId(row.id))),
    }
}
