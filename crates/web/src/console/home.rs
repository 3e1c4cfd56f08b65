//! The first page: what needs a person, what is still to be set up, how sales become licenses and mails, and how much happens.

mod activity;
mod charts;
mod funnel;

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use delivery::attention::MAIL_FAILED;
use engine::{figures::Window, first_steps::FirstStep};
use serde::Deserialize;
use store::lists::Page;

use self::{activity::News, funnel::Funnel};
use super::{
    attention::{Item, queue},
    chart::Chart,
    place::{Place, to::Look},
    refusal::Refusal,
    shell::{Shell, page},
};
use crate::Web;

/// Rows of the queue on the first page at most.
const SHOWN: usize = 6;
/// Items that are read for it: several may be one row.
const EXAMINED: u64 = 200;

#[derive(Template)]
#[template(path = "console/home.html")]
struct HomePage {
    shell: Shell,
    items: Vec<Item>,
    /// How many rows of the queue are not shown here.
    more_items: usize,
    items_path: String,
    steps: Vec<Step>,
    /// Address, name, whether it is chosen.
    windows: Vec<(String, &'static str, bool)>,
    funnel: Funnel,
    charts: Vec<Chart>,
    ends: Chart,
    news: Vec<News>,
    audit_path: String,
}

struct Step {
    name: &'static str,
    hint: &'static str,
    path: String,
    is_done: bool,
}

/// What is asked for.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    /// A word of [`Window`].
    #[serde(default)]
    window: String,
}

/// `GET /console/{tenant}/{mode}`.
pub(crate) async fn show(
    State(web): State<Web>,
    place: Place<Look>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refusal> {
    let shell = Shell::live(&web, &place, "", "Home").await?;
    let (now, whose, engine) = (web.engine.now(), place.whose(), &web.engine);
    let window = Window::ALL.into_iter().find(|window| window.as_str() == asked.window).unwrap_or_default();
    let open = engine.store.list_attention(whose, Page { limit: EXAMINED, from: None }).await?.rows;
    let failed: Vec<_> = open.iter().filter(|row| row.kind == MAIL_FAILED).cloned().collect();
    let mut items = queue(&place, open, now);
    let more_items = items.len().saturating_sub(SHOWN);
    items.truncate(SHOWN);
    let figures = engine.figures(whose, window).await?;
    let ends = engine.ends(whose).await?;
    let home = place.at("");
    page(&HomePage {
        shell,
        items,
        more_items,
        items_path: place.at("attention"),
        steps: steps(&web, &place).await?,
        windows: Window::ALL.map(|one| (format!("{home}?window={}", one.as_str()), name(one), one == window)).into(),
        funnel: funnel::funnel(&place, &figures, engine.backlog(whose).await?),
        charts: charts::of(&figures),
        ends: charts::ends(&place, &ends),
        news: activity::news(&web, &place, failed, now).await?,
        audit_path: place.at("audit"),
    })
}

const fn name(window: Window) -> &'static str {
    match window {
        Window::Day => "24 hours",
        Window::Week => "7 days",
        Window::Month => "30 days",
    }
}

/// What is still to be done; nothing, once all is.
async fn steps(web: &Web, place: &Place<Look>) -> Result<Vec<Step>, Refusal> {
    let steps = web.engine.first_steps(place.whose()).await?;
    if steps.iter().all(|(_, is_done)| *is_done) {
        return Ok(Vec::new());
    }
    Ok(steps.into_iter().map(|(step, is_done)| drawn(place, step, is_done)).collect())
}

fn drawn(place: &Place<Look>, step: FirstStep, is_done: bool) -> Step {
    let (name, hint, path) = match step {
        FirstStep::Product => ("Name a product", "What you sell, and what its keys begin with.", "products"),
        FirstStep::Plan => ("Make a plan", "How many devices, for how long, what else.", "products"),
        FirstStep::Connection => (
            "Connect a provider",
            "Stripe, Paddle, Lemon Squeezy or AppSumo: copy an address, paste a secret.",
            "settings/billing",
        ),
        FirstStep::SignedEvent => {
            ("The first signed event", "Waiting for it: send a test event, or simulate a purchase.", "inbound")
        }
        FirstStep::PriceRule => ("Map a price", "Which plan each price gives.", "prices"),
        FirstStep::License => ("The first license", "Buy in test mode, or simulate a purchase.", "licenses"),
        FirstStep::Activation => ("The first activation", "Build the check into your app.", "developers"),
    };
    Step { name, hint, path: place.at(path), is_done }
}
