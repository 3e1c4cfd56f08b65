//! What is sold: products, each with its plans.

use std::collections::BTreeMap;

use askama::Template;
use axum::{
    Form,
    extract::{Path, State},
    response::Response,
};
use delivery::Brand;
use domain::{member::Ability, plan::PlanTerms};
use engine::configuration::{Existing, ProductInput};
use store::rows;

use super::{
    action::{Field, Question, Sent},
    browser::see_other,
    mistakes::of_configuration,
    place::{
        Place,
        to::{Configure, Look},
    },
    plans::term,
    refusal::Refusal,
    shell::{Shell, page},
    words::sentence,
};
use crate::Web;

#[derive(Template)]
#[template(path = "console/products.html")]
struct ProductsPage {
    shell: Shell,
    path: String,
    products: Vec<ProductCard>,
    may_configure: bool,
}

struct ProductCard {
    path: String,
    code: String,
    name: String,
    key_prefix: String,
    colour: Option<String>,
    plans: Vec<PlanRow>,
}

struct PlanRow {
    path: String,
    code: String,
    name: String,
    version: i32,
    devices: String,
    lasts: String,
    price: String,
    licenses: u64,
}

/// `GET …/products`.
pub(crate) async fn list(State(web): State<Web>, place: Place<Look>) -> Result<Response, Refusal> {
    let (store, tenant) = (&web.engine.store, place.whose().tenant);
    let counts = store.count_licenses(tenant).await?;
    let plans = store.newest_plans(tenant).await?;
    let card = |row: rows::Product| {
        let plans = plans.iter().filter(|plan| plan.product_id == row.id);
        let plans = plans.map(|plan| {
            let licenses = counts.iter().filter(|(id, ..)| *id == plan.id).map(|(.., count)| count).sum();
            plan_row(&place, plan, licenses)
        });
        ProductCard {
            path: place.at(&format!("products/{}", row.code)),
            colour: brand(&row).get("colour").cloned(),
            code: row.code,
            name: row.name,
            key_prefix: row.key_prefix,
            plans: plans.collect(),
        }
    };
    let known = super::filters::product(&web, &place, place.asked("product")).await?;
    let is_asked = |row: &rows::Product| known.as_ref().is_none_or(|known| known.id == row.id);
    page(&ProductsPage {
        shell: Shell::new(&web, &place, "products", "Products and plans").await?,
        path: place.at("products"),
        products: store.products(tenant).await?.into_iter().filter(is_asked).map(card).collect(),
        may_configure: place.role.may(Ability::Configure),
    })
}

fn plan_row(place: &Place<Look>, plan: &rows::Plan, licenses: u64) -> PlanRow {
    let terms: PlanTerms = serde_json::from_str(&plan.terms).unwrap_or_default();
    PlanRow {
        path: place.at(&format!("plans/{}", plan.code)),
        code: plan.code.clone(),
        name: plan.name.clone(),
        version: plan.version,
        devices: terms.limits.activations.map_or_else(|| "any number".to_owned(), |count| count.to_string()),
        lasts: term(&terms),
        price: super::plans::price(&terms),
        licenses,
    }
}

fn brand(row: &rows::Product) -> BTreeMap<String, String> {
    serde_json::from_str(&row.brand).unwrap_or_default()
}

/// The fields of a brand: name, label, type, hint.
const BRAND: [(&str, &str, &str, &str); 11] = [
    ("sender_name", "Mails come from", "text", "Empty: the product's name."),
    (
        "sender_address",
        "Their address",
        "email",
        "Empty: the installation's own. The relay must be allowed to send for it.",
    ),
    ("reply_to", "Answers go to", "email", "Empty: to the sender."),
    ("support_url", "Where questions are answered", "text", "https://… or mailto:…"),
    ("download_url", "Where it is downloaded", "url", ""),
    ("docs_url", "Where it is explained", "url", ""),
    ("portal_url", "Where buyers see their licenses", "url", ""),
    ("logo_url", "Logo", "url", "A picture for pages and mails."),
    ("colour", "Colour", "text", "Such as #2f5bd7."),
    ("language", "Language of its mails", "text", "en or de; empty: English."),
    ("footer", "Last lines of every mail", "text", "A company's name and address."),
];

/// What the form has in it to begin with.
fn filled(row: &rows::Product) -> Sent {
    let sent = Sent::default().with("code", &*row.code).with("name", &*row.name).with("key_prefix", &*row.key_prefix);
    brand(row).into_iter().fold(sent, |sent, (name, value)| sent.with(&name, value))
}

/// `GET …/products/new`.
pub(crate) async fn new_form(State(web): State<Web>, place: Place<Configure>) -> Result<Response, Refusal> {
    shown(&web, &place, None, &Sent::default(), None).await
}

/// `GET …/products/{code}/edit`.
pub(crate) async fn edit_form(
    State(web): State<Web>,
    place: Place<Configure>,
    Path((_, _, code)): Path<(String, String, String)>,
) -> Result<Response, Refusal> {
    let row = product(&web, &place, &code).await?;
    shown(&web, &place, Some(&row), &filled(&row), None).await
}

/// A product of this vendor.
pub(crate) async fn product<A>(web: &Web, place: &Place<A>, code: &str) -> Result<rows::Product, Refusal> {
    let rows = web.engine.store.products(place.whose().tenant).await?;
    rows.into_iter().find(|row| row.code == code).ok_or(Refusal::NotFound)
}

async fn shown(
    web: &Web,
    place: &Place<Configure>,
    before: Option<&rows::Product>,
    sent: &Sent,
    wrong: Option<String>,
) -> Result<Response, Refusal> {
    let title = before.map_or_else(|| "New product".to_owned(), |row| row.name.clone());
    let mut question = Question::new(title, "Save", place.at("products"));
    question = match before {
        Some(_) => question.says("Keys that are out keep their beginning; new ones have the new one."),
        None => question
            .says("A product is what your app names when it checks a key. Its plans say what a license allows.")
            .asks(
                Field::text("code", "Code", sent.get("code"))
                    .needed()
                    .hint("Your name for it, for good: letters, digits, - . _"),
            ),
    };
    question = question
        .asks(Field::text("name", "Name", sent.get("name")).needed().hint("What buyers read."))
        .asks(
            Field::text("key_prefix", "Keys begin with", sent.get("key_prefix"))
                .hint("2 to 8 letters or digits. Empty: KEY."),
        )
        .asks(Field::Part("What its mails and pages look like"));
    for (name, label, kind, hint) in BRAND {
        question = question.asks(Field::text(name, label, sent.get(name)).of(kind).hint(hint));
    }
    question.page(web, place, "products", wrong).await
}

/// `POST …/products/new`.
pub(crate) async fn create(
    State(web): State<Web>,
    place: Place<Configure>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    save(&web, &place, None, &sent).await
}

/// `POST …/products/{code}/edit`.
pub(crate) async fn edit(
    State(web): State<Web>,
    place: Place<Configure>,
    Path((_, _, code)): Path<(String, String, String)>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    let row = product(&web, &place, &code).await?;
    save(&web, &place, Some(&row), &sent).await
}

async fn save(
    web: &Web,
    place: &Place<Configure>,
    before: Option<&rows::Product>,
    sent: &Sent,
) -> Result<Response, Refusal> {
    // What another release knows of a brand, and this form does not show, stays.
    let mut brand = before.map(brand).unwrap_or_default();
    for (name, ..) in BRAND {
        brand.remove(name);
        brand.extend(sent.some(name).map(|value| (name.to_owned(), value.to_owned())));
    }
    if let Err(error) = Brand::check_texts(&brand) {
        return shown(web, place, before, sent, Some(sentence(&error))).await;
    }
    let prefix = crypto::key::Prefix::default();
    let input = ProductInput {
        code: before.map_or_else(|| sent.get("code").to_owned(), |row| row.code.clone()),
        name: sent.get("name").to_owned(),
        key_prefix: sent.some("key_prefix").unwrap_or(prefix.as_str()).to_owned(),
        brand,
    };
    let existing = if before.is_some() { Existing::There } else { Existing::New };
    match web.engine.save_product(place.whose().tenant, input, existing, &place.by("").actor).await {
        Ok(_) => Ok(see_other(&place.at("products?said=saved"))),
        Err(error) => shown(web, place, before, sent, Some(of_configuration(error)?)).await,
    }
}
