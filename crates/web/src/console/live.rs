//! The stream by which a page hears that something on it has changed. It says so and no more: what is so, the page asks for as
//! always, and so sees what its member may see then.

use std::{convert::Infallible, time::Duration};

use axum::{
    Router,
    extract::{Query, State},
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
    routing::get,
};
use engine::live::Listener;
use futures::stream;
use serde::Deserialize;
use serde_json::json;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use super::{
    place::{Place, to::Look},
    refusal::Refusal,
};
use crate::Web;

/// How long a stream lasts. Then the browser comes again, and it is looked again who it is and what they may.
const STREAM_MAX: Duration = Duration::from_secs(300);
/// How long a browser waits before it comes again, in milliseconds.
const AGAIN_MILLIS: u64 = 2_000;
/// How often something is sent where nothing changes, so that nobody on the way takes the stream for dead.
const ALIVE: Duration = Duration::from_secs(15);
/// The longest marks that are compared, in bytes.
const SEEN_MAX: usize = 200;

pub(crate) fn routes() -> Router<Web> {
    Router::new().route("/console/{tenant}/{mode}/live", get(show))
}

/// What the page shows.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    seen: String,
}

/// `GET …/live`.
pub(crate) async fn show(
    State(web): State<Web>,
    place: Place<Look>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    // A browser that comes again says what it heard last.
    let heard = headers.get("last-event-id").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut seen = heard.unwrap_or(asked.seen);
    seen.truncate(seen.floor_char_boundary(SEEN_MAX));
    let Ok(listener) = web.engine.follow(place.whose(), place.who.id(), seen) else {
        // A browser does not come again by itself after this; the page works without it.
        return Ok((StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "60")]).into_response());
    };
    let ends_at = Instant::now() + STREAM_MAX;
    let begun = Event::default().retry(Duration::from_millis(AGAIN_MILLIS)).comment("listening");
    let (teller, told) = mpsc::channel(1);
    // A stream that its browser does not read is never asked for more, so that it cannot end itself: this does.
    tokio::spawn(timeout_at(ends_at, tell(listener, teller)));
    let changes = stream::unfold(told, |mut told| async {
        let event = told.recv().await?;
        Some((Ok::<_, Infallible>(event), told))
    });
    let events = futures::StreamExt::chain(stream::iter([Ok(begun)]), changes);
    // Nginx, and what is made of it, hands on what it gets at once.
    let unbuffered = [(HeaderName::from_static("x-accel-buffering"), "no")];
    let stream = Sse::new(events).keep_alive(KeepAlive::new().interval(ALIVE));
    Ok((unbuffered, stream).into_response())
}

/// Tells a browser what has changed, until it goes or the server stops. The seat is free then.
async fn tell(mut listener: Listener, teller: mpsc::Sender<Event>) {
    loop {
        let marks = tokio::select! {
            marks = listener.changed() => marks,
            () = teller.closed() => None,
        };
        let Some(marks) = marks else { return };
        let told = json!({ "attention": marks.attention }).to_string();
        let event = Event::default().event("changed").id(marks.to_string()).data(told);
        if teller.send(event).await.is_err() {
            return;
        }
    }
}
