//! In whose name a product speaks: its brand, and what a mail in it looks like.

use std::collections::BTreeMap;

use askama::Template;
use axum::{
    Form, Router,
    extract::{Path, Query, State},
    response::Response,
    routing::get,
};
use delivery::{
    Brand, Rendered,
    mail::{Language, SOMEBODY, Sample, sender_of},
};
use domain::{mail::MailKind, member::Ability};
use engine::configuration::{Existing, ProductInput};
use serde::Deserialize;
use store::rows;

use super::{
    action::{Field, Sent},
    browser::see_other,
    letters::{View, preview},
    mistakes::of_configuration,
    place::{
        Place,
        to::{Configure, Look},
    },
    products::product,
    refusal::Refusal,
    shell::{Shell, page},
    templates::language_name,
    words::sentence,
};
use crate::Web;

/// The pages of brands.
pub(crate) fn routes() -> Router<Web> {
    Router::new()
        .route("/console/{tenant}/{mode}/settings/brand", get(list))
        .route("/console/{tenant}/{mode}/settings/brand/{code}", get(show).post(save))
        .route("/console/{tenant}/{mode}/settings/brand/{code}/preview", get(preview_saved).post(preview_draft))
}

/// The name of a field, its label, its type, and what there is to say of it.
type Asked = (&'static str, &'static str, &'static str, &'static str);

/// The fields of a brand, in parts. Those of the type `long` have several lines, and a `language` is chosen.
const PARTS: [(&str, &[Asked]); 3] = [
    (
        "Who mails come from",
        &[
            ("sender_name", "Name", "text", "Empty: that of the server's sender, or the product's."),
            (
                "sender_address",
                "Address",
                "email",
                "Empty: the server's sender. The relay must be allowed to send for its domain.",
            ),
            ("reply_to", "Answers go to", "email", "Empty: to the sender."),
            ("language", "Language", "language", ""),
        ],
    ),
    (
        "Where buyers are led",
        &[
            ("download_url", "Download", "url", "The button of the mail with the key."),
            ("docs_url", "How to start", "url", ""),
            ("portal_url", "Their licenses and devices", "url", "The button of all other mails."),
            ("support_url", "Questions", "text", "https://… or mailto:…"),
        ],
    ),
    (
        "What it looks like",
        &[
            ("logo_url", "Logo", "url", "A picture at the top; in mails only over https."),
            ("colour", "Colour", "text", "Of the button, such as #2f5bd7. The words on it are made black or white."),
            ("footer", "Last lines", "long", "Of every mail: a company's name and address."),
        ],
    ),
];

/// What a brand says, by the names of its fields.
pub(crate) fn texts(row: &rows::Product) -> BTreeMap<String, String> {
    serde_json::from_str(&row.brand).unwrap_or_default()
}

/// From whom a product's mails come, in words.
pub(crate) fn in_whose_name(web: &Web, row: &rows::Product) -> String {
    sender_of(row, web.mail_from()).unwrap_or_else(|| "nobody yet: no sender is set".to_owned())
}

#[derive(Template)]
#[template(path = "console/brands.html")]
struct BrandsPage {
    shell: Shell,
    products_path: String,
    rows: Vec<Row>,
}

struct Row {
    path: String,
    name: String,
    from: String,
    reply_to: String,
    language: &'static str,
    /// What it has: logo, colour and so on.
    has: String,
}

/// `GET …/settings/brand`.
pub(crate) async fn list(State(web): State<Web>, place: Place<Look>) -> Result<Response, Refusal> {
    let row = |row: rows::Product| {
        let (texts, brand) = (texts(&row), Brand::read(&row.brand));
        let all = PARTS.iter().flat_map(|(_, fields)| fields.iter()).skip(4);
        let has: Vec<String> =
            all.filter(|(name, ..)| texts.contains_key(*name)).map(|(_, label, ..)| label.to_lowercase()).collect();
        Row {
            path: place.at(&format!("settings/brand/{}", row.code)),
            from: in_whose_name(&web, &row),
            reply_to: brand.reply_to.clone().unwrap_or_else(|| "the sender".to_owned()),
            language: language_name(brand.language()),
            has: if has.is_empty() { "nothing yet".to_owned() } else { has.join(", ") },
            name: row.name,
        }
    };
    let products = web.engine.store.products(place.whose().tenant).await?;
    page(&BrandsPage {
        shell: Shell::new(&web, &place, "settings/brand", "Brand").await?,
        products_path: place.at("products"),
        rows: products.into_iter().map(row).collect(),
    })
}

#[derive(Template)]
#[template(path = "console/brand.html")]
struct BrandPage {
    shell: Shell,
    name: String,
    path: String,
    from: String,
    list: String,
    templates: String,
    parts: Vec<(&'static str, Vec<Field>)>,
    /// What it says, for those who may not change it.
    facts: Vec<(&'static str, String)>,
    may_configure: bool,
    view: View,
    wrong: Option<String>,
}

/// `GET …/settings/brand/{code}`.
pub(crate) async fn show(
    State(web): State<Web>,
    place: Place<Look>,
    Path((_, _, code)): Path<(String, String, String)>,
) -> Result<Response, Refusal> {
    let row = product(&web, &place, &code).await?;
    let saved = texts(&row).into_iter().fold(Sent::default(), |sent, (name, value)| sent.with(&name, value));
    shown(&web, &place, &row, &saved, None).await
}

async fn shown<A>(
    web: &Web,
    place: &Place<A>,
    row: &rows::Product,
    sent: &Sent,
    wrong: Option<(String, View)>,
) -> Result<Response, Refusal> {
    let field = |&(name, label, kind, hint): &Asked| match kind {
        "long" => Field::long(name, label, sent.get(name)).hint(hint),
        "language" => {
            let languages = Language::ALL.map(|language| (language.code(), language_name(language)));
            let here = Language::parse(sent.get(name)).unwrap_or_default();
            Field::choice(name, label, languages, here.code())
        }
        kind => Field::text(name, label, sent.get(name)).of(kind).hint(hint),
    };
    let all = PARTS.iter().flat_map(|(_, fields)| fields.iter());
    let (wrong, view) = wrong.map_or((None, View::default()), |(wrong, view)| (Some(wrong), view));
    page(&BrandPage {
        shell: Shell::new(web, place, "settings/brand", format!("{} · Brand", row.name)).await?,
        name: row.name.clone(),
        path: place.at(&format!("settings/brand/{}", row.code)),
        from: in_whose_name(web, row),
        list: place.at("settings/brand"),
        templates: place.at(&format!("mails/templates?product={}", super::refusal::encoded(&row.code))),
        parts: PARTS.iter().map(|(title, fields)| (*title, fields.iter().map(field).collect())).collect(),
        facts: all
            .map(|&(name, label, ..)| (label, sent.get(name).to_owned()))
            .filter(|(_, value)| !value.is_empty())
            .collect(),
        may_configure: place.role.may(Ability::Configure),
        view,
        wrong,
    })
}

/// What a form sent, in place of what the brand said. What another release knows of a brand, and this form does not show, stays.
fn sent_brand(row: &rows::Product, sent: &Sent) -> BTreeMap<String, String> {
    let mut brand = texts(row);
    for (name, ..) in PARTS.iter().flat_map(|(_, fields)| fields.iter()) {
        let before = brand.remove(*name);
        // Mails are in English where nothing is said, so that leaving it so changes nothing.
        if before.is_none() && *name == "language" && sent.get(name) == Language::default().code() {
            continue;
        }
        brand.extend(sent.some(name).map(|value| ((*name).to_owned(), value.replace("\r\n", "\n"))));
    }
    brand
}

/// `POST …/settings/brand/{code}`.
pub(crate) async fn save(
    State(web): State<Web>,
    place: Place<Configure>,
    Path((_, _, code)): Path<(String, String, String)>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    let row = product(&web, &place, &code).await?;
    let brand = sent_brand(&row, &sent);
    let view = View::of(sent.get("view"));
    if let Err(error) = Brand::check_texts(&brand) {
        return shown(&web, &place, &row, &sent, Some((sentence(&error), view))).await;
    }
    let input =
        ProductInput { code: row.code.clone(), name: row.name.clone(), key_prefix: row.key_prefix.clone(), brand };
    match web.engine.save_product(place.whose().tenant, input, Existing::There, &place.by("").actor).await {
        Ok(_) => Ok(see_other(&place.at(&format!("settings/brand/{code}?said=brand_saved")))),
        Err(error) => shown(&web, &place, &row, &sent, Some((of_configuration(error)?, view))).await,
    }
}

/// How a preview is looked at.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Seen {
    #[serde(default)]
    view: String,
}

/// `GET …/settings/brand/{code}/preview`: a mail in the brand that is saved, in a frame.
pub(crate) async fn preview_saved(
    State(web): State<Web>,
    place: Place<Look>,
    Path((_, _, code)): Path<(String, String, String)>,
    Query(seen): Query<Seen>,
) -> Result<Response, Refusal> {
    let row = product(&web, &place, &code).await?;
    let rendered = example(&web, &place, &code, row.brand).await?;
    preview(rendered, &[], View::of(&seen.view))
}

/// `POST …/settings/brand/{code}/preview`: the same in the brand that is being written.
pub(crate) async fn preview_draft(
    State(web): State<Web>,
    place: Place<Configure>,
    Path((_, _, code)): Path<(String, String, String)>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    let row = product(&web, &place, &code).await?;
    let brand = sent_brand(&row, &sent);
    let rendered = match Brand::check_texts(&brand) {
        Err(error) => Err(sentence(&error)),
        Ok(()) => example(&web, &place, &code, serde_json::json!(brand).to_string()).await?,
    };
    preview(rendered, &[], View::of(sent.get("view")))
}

async fn example<A>(
    web: &Web,
    place: &Place<A>,
    code: &str,
    brand: String,
) -> Result<Result<Rendered, String>, Refusal> {
    let sample = Sample::new(MailKind::LicenseDelivery, None, SOMEBODY, web.engine.now());
    let sample = sample.of(&web.engine.store, place.whose().tenant, Some(code)).await?;
    let mut sample = sample.ok_or(Refusal::NotFound)?;
    sample.product.brand = brand;
    Ok(sample.render(web.mail_from()).map_err(|error| sentence(&error)))
}
