//! What is sold: products, each with its plans.

use askama::Template;
use axum::{
    Form,
    extract::{Path, State},
    response::Response,
};
use domain::{member::Ability, plan::PlanTerms};
use engine::configuration::{Existing, ProductInput};
use store::rows;

use super::{
    action::{Field, Question, Sent},
    brand,
    browser::see_other,
    mistakes::of_configuration,
    place::{
        Place,
        to::{Configure, Look},
    },
    plans::term,
    refusal::Refusal,
    shell::{Shell, page},
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
    /// From whom its mails come, and where that is said.
    from: String,
    brand_path: String,
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
            from: brand::in_whose_name(&web, &row),
            brand_path: place.at(&format!("settings/brand/{}", row.code)),
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

/// What the form has in it to begin with.
fn filled(row: &rows::Product) -> Sent {
    Sent::default().with("code", &*row.code).with("name", &*row.name).with("key_prefix", &*row.key_prefix)
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
    question = question.asks(Field::text("name", "Name", sent.get("name")).needed().hint("What buyers read.")).asks(
        Field::text("key_prefix", "Keys begin with", sent.get("key_prefix"))
            .hint("2 to 8 letters or digits. Empty: KEY."),
    );
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
    let prefix = crypto::key::Prefix::default();
    let input = ProductInput {
        code: before.map_or_else(|| sent.get("code").to_owned(), |row| row.code.clone()),
        name: sent.get("name").to_owned(),
        key_prefix: sent.some("key_prefix").unwrap_or(prefix.as_str()).to_owned(),
        brand: before.map(brand::texts).unwrap_or_default(),
    };
    let existing = if before.is_some() { Existing::There } else { Existing::New };
    match web.engine.save_product(place.whose().tenant, input, existing, &place.by("").actor).await {
        Ok(_) => Ok(see_other(&place.at("products?said=saved"))),
        Err(error) => shown(web, place, before, sent, Some(of_configuration(error)?)).await,
    }
}
