//! The first page: what needs a person, how sales become licenses and mails, and what is still to be set up.

use askama::Template;
use axum::{extract::State, response::Response};
use store::lists::{LicenseFilter, Page};

use super::{
    attention::{Item, item},
    checklist::Checklist,
    licenses::{Row, rows},
    place::{Place, to::Look},
    refusal::Refusal,
    shell::{Shell, page},
};
use crate::Web;

/// Items and licenses on the first page at most.
const SHOWN: u64 = 6;

#[derive(Template)]
#[template(path = "console/home.html")]
struct HomePage {
    shell: Shell,
    items: Vec<Item>,
    items_path: String,
    checklist: Option<Checklist>,
    figures: Vec<(&'static str, u64, String)>,
    latest: Vec<Row>,
    licenses_path: String,
}

/// `GET /console/{tenant}/{mode}`.
pub(crate) async fn show(State(web): State<Web>, place: Place<Look>) -> Result<Response, Refusal> {
    let (now, whose, store) = (web.engine.now(), place.whose(), &web.engine.store);
    let first = Page { limit: SHOWN, from: None };
    let items = store.list_attention(whose, first).await?;
    let status = store.status(Some(whose)).await?;
    let latest = store.list_licenses(whose, &LicenseFilter::default(), first).await?;
    page(&HomePage {
        shell: Shell::new(&web, &place, "", "Home").await?,
        items: items.rows.into_iter().map(|row| item(&place, row, now)).collect(),
        items_path: place.at("attention"),
        checklist: Checklist::of(&web, &place).await?,
        figures: vec![
            ("Licenses", status.licenses_total, place.at("licenses")),
            ("Events waiting", status.inbox_pending, place.at("inbound")),
            ("Mails waiting", status.mails_pending, place.at("mails")),
            ("Deliveries waiting", status.deliveries_pending, place.at("deliveries")),
        ],
        latest: rows(&web, &place, &latest.rows, now).await?,
        licenses_path: place.at("licenses"),
    })
}
