//! A vendor's own addresses to which events go.

use askama::Template;
use axum::{extract::State, response::Response};
use domain::{
    event::WantedKinds,
    id::{RecoveryId, WebhookEndpointId},
    member::Ability,
    time::after,
};
use jiff::{SignedDuration, Timestamp};
use store::{
    deliveries::recovery,
    rows::{Recovery, WebhookEndpoint},
    webhook_endpoints::status,
};

use super::{
    place::{Place, to::Look},
    refusal::Refusal,
    shell::{Shell, page},
    words::{Pill, When},
};
use crate::Web;

/// Deliveries of the last day whose tries are counted, the newest.
const COUNTED: u64 = 500;

/// How an address answered lately.
#[derive(Debug, PartialEq, Eq)]
struct Figures {
    tries: usize,
    /// Of a hundred tries.
    arrived: usize,
    /// In milliseconds: half of the tries took less, and nineteen of twenty.
    median: i64,
    slow: i64,
}

impl Figures {
    /// Those of tries: the status that was answered, and how many microseconds it took. None: there were none.
    fn of(tries: &[(Option<i32>, i64)]) -> Option<Self> {
        let last = tries.len().checked_sub(1)?;
        let arrived = tries.iter().filter(|(status, _)| status.is_some_and(|status| (200..300).contains(&status)));
        let mut times: Vec<i64> = tries.iter().map(|(_, micros)| micros / 1_000).collect();
        times.sort_unstable();
        Some(Self {
            tries: tries.len(),
            arrived: arrived.count() * 100 / tries.len(),
            median: times[last / 2],
            slow: times[last * 19 / 20],
        })
    }
}

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
    figures: Option<Figures>,
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
        let tries = store.attempts_since(id, after(now, -SignedDuration::from_hours(24)), COUNTED).await?;
        let next_retry = store.next_retry(id).await?.map(|at| When::stored(at, now));
        let card = card(&web, &place, row, recoveries, now);
        cards.push(Card { figures: Figures::of(&tries), next_retry, ..card });
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
        figures: None,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_tell_how_an_address_answers() {
        assert_eq!(Figures::of(&[]), None);
        let tries: Vec<_> =
            (1..=20).map(|number| (Some(if number > 18 { 500 } else { 204 }), number * 1_000)).collect();
        assert_eq!(Figures::of(&tries), Some(Figures { tries: 20, arrived: 90, median: 10, slow: 19 }));
        assert_eq!(
            Figures::of(&[(None, 5_000_000)]),
            Some(Figures { tries: 1, arrived: 0, median: 5_000, slow: 5_000 })
        );
    }
}
