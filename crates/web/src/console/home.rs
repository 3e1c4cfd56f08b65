//! The first page: what needs a person, how sales become licenses and mails, and what is still to be set up.

use askama::Template;
use axum::{extract::State, response::Response};
use domain::id::ProductId;
use engine::first_steps::FirstStep;
use store::lists::{LicenseFilter, Page};

use super::{
    attention::{Item, item},
    filters,
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
    steps: Vec<Step>,
    figures: Vec<(&'static str, u64, String)>,
    latest: Vec<Row>,
    licenses_path: String,
}

struct Step {
    name: &'static str,
    hint: &'static str,
    path: String,
    is_done: bool,
}

/// `GET /console/{tenant}/{mode}`.
pub(crate) async fn show(State(web): State<Web>, place: Place<Look>) -> Result<Response, Refusal> {
    let (now, whose, store) = (web.engine.now(), place.whose(), &web.engine.store);
    let first = Page { limit: SHOWN, from: None };
    let items = store.list_attention(whose, first).await?;
    let status = store.status(Some(whose)).await?;
    let product = filters::product(&web, &place, place.asked("product")).await?.map(|row| ProductId(row.id));
    let latest = LicenseFilter { product, ..LicenseFilter::default() };
    let latest = store.examine_licenses(whose, &latest, first).await?.listed;
    let steps = web.engine.first_steps(whose).await?;
    let is_set_up = steps.iter().all(|(_, is_done)| *is_done);
    let steps = if is_set_up {
        Vec::new()
    } else {
        steps.into_iter().map(|(step, is_done)| drawn(&place, step, is_done)).collect()
    };
    page(&HomePage {
        shell: Shell::new(&web, &place, "", "Home").await?,
        items: items.rows.into_iter().map(|row| item(&place, row, now)).collect(),
        items_path: place.at("attention"),
        steps,
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
