//! One box that takes anything.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use engine::search::Hit;
use serde::Deserialize;

use super::{
    browser::see_other,
    place::{Place, to::Look},
    refusal::Refusal,
    shell::{Shell, page},
};
use crate::Web;

/// What was typed.
#[derive(Debug, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    q: String,
}

#[derive(Template)]
#[template(path = "console/search.html")]
struct SearchPage {
    shell: Shell,
    asked: String,
    hits: Vec<(&'static str, String, String)>,
}

/// `GET …/search`: the page of what was found; a list of several.
pub(crate) async fn show(
    State(web): State<Web>,
    place: Place<Look>,
    Query(query): Query<Asked>,
) -> Result<Response, Refusal> {
    let asked = query.q.trim().to_owned();
    let hits = web.engine.search(place.whose(), &asked).await?;
    let row = |hit: &Hit| {
        let (what, path) = match hit {
            Hit::License(id) => ("License", format!("licenses/{id}")),
            Hit::Customer(id) => ("Customer", format!("customers/{id}")),
            Hit::Order(id) => ("Order", format!("orders/{id}")),
            Hit::Inbound(id) => ("Inbound event", format!("inbound/{id}")),
            Hit::Request(id) => ("API request", format!("developers/requests/{id}")),
            Hit::Delivery(id) => ("Delivery", format!("deliveries/{id}")),
        };
        let id = path.rsplit('/').next().unwrap_or_default().to_owned();
        (what, place.at(&path), id)
    };
    let hits: Vec<_> = hits.iter().map(row).collect();
    if let [(_, path, _)] = hits.as_slice() {
        return Ok(see_other(path));
    }
    let mut shell = Shell::new(&web, &place, "search", "Search").await?;
    shell.query.clone_from(&asked);
    page(&SearchPage { shell, asked, hits })
}
