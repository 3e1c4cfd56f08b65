//! The first page: what needs a person, what is still to be set up, how sales become licenses and mails, and how much happens.

mod activity;
mod charts;
mod funnel;
mod versions;

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use delivery::attention::MAIL_FAILED;
use engine::figures::Window;
use serde::Deserialize;
use store::lists::Page;

use self::{activity::News, funnel::Funnel};
use super::{
    attention::{Item, queue},
    chart::Chart,
    checklist::Checklist,
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
    checklist: Option<Checklist>,
    /// Address, name, whether it is chosen.
    windows: Vec<(String, &'static str, bool)>,
    funnel: Funnel,
    charts: Vec<Chart>,
    ends: Chart,
    versions: Chart,
    news: Vec<News>,
    audit_path: String,
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
    let products = engine.store.products(whose.tenant).await?;
    let home = place.at("");
    page(&HomePage {
        shell,
        items,
        more_items,
        items_path: place.at("attention"),
        checklist: Checklist::of(&web, &place).await?,
        windows: Window::ALL.map(|one| (format!("{home}?window={}", one.as_str()), name(one), one == window)).into(),
        funnel: funnel::funnel(&place, &figures, engine.backlog(whose).await?),
        charts: charts::of(&figures),
        ends: charts::ends(&place, &ends),
        versions: versions::chart(&products, &*engine.versions(whose, window).await?),
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
