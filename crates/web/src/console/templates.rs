//! What mails say: the built-in ones, and what the vendor wrote instead.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use delivery::{Brand, mail::Language};
use domain::mail::MailKind;
use engine::mail_templates::MailOf;
use jiff::Timestamp;
use serde::Deserialize;
use store::rows::{MailTemplate, Product};

use super::{
    entries::People,
    letters::{name, occasion, tabs},
    place::{Place, to::Look},
    refusal::{Refusal, encoded},
    shell::{Shell, page},
    tabs::Tab,
    words::When,
};
use crate::Web;

/// Of which product, and in which language.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Whose {
    /// A product's code; empty: all that have none of their own.
    #[serde(default)]
    pub(crate) product: String,
    /// The language's code; empty: English.
    #[serde(default)]
    pub(crate) language: String,
}

/// The templates of one mail: its kind, its language, its product, and their versions.
pub(crate) struct Which {
    pub(crate) of: MailOf,
    pub(crate) language: Language,
    /// None: all products that have none of their own.
    pub(crate) product: Option<Product>,
    /// All versions, the latest first.
    pub(crate) versions: Vec<MailTemplate>,
    /// The version for all products that stands in where this product has none.
    pub(crate) stand_in: Option<i32>,
}

impl Which {
    /// That of an address.
    pub(crate) async fn read<A>(web: &Web, place: &Place<A>, kind: &str, whose: &Whose) -> Result<Self, Refusal> {
        let kind: MailKind = kind.parse().map_err(|_| Refusal::NotFound)?;
        let language = match whose.language.as_str() {
            "" => Language::default(),
            code => Language::parse(code).ok_or(Refusal::NotFound)?,
        };
        let product = match whose.product.as_str() {
            "" => None,
            code => Some(super::products::product(web, place, code).await?),
        };
        let of = MailOf { kind, language: language.code(), product: product.as_ref().map(|row| row.id) };
        let rows = web.engine.store.mail_templates(place.whose().tenant).await?;
        let common = MailOf { product: None, ..of.clone() };
        let stand_in = rows.iter().find(|row| row.active && common.has(row)).map(|row| row.version);
        let mut versions: Vec<MailTemplate> = rows.into_iter().filter(|row| of.has(row)).collect();
        versions.sort_by_key(|row| std::cmp::Reverse(row.version));
        Ok(Self { stand_in: stand_in.filter(|_| of.product.is_some()), of, language, product, versions })
    }

    /// The version that counts.
    pub(crate) fn active(&self) -> Option<&MailTemplate> {
        self.versions.iter().find(|row| row.active)
    }

    /// A version.
    pub(crate) fn version(&self, number: &str) -> Result<&MailTemplate, Refusal> {
        let found = self.versions.iter().find(|row| row.version.to_string() == number);
        found.ok_or(Refusal::NotFound)
    }

    /// The page of this mail; `rest` is what stands behind its path.
    pub(crate) fn at<A>(&self, place: &Place<A>, rest: &str) -> String {
        place.at(&format!("mails/templates/{}{rest}?{}", self.of.kind.as_str(), self.query()))
    }

    /// Product and language as an address has them.
    pub(crate) fn query(&self) -> String {
        let product = self.product.as_ref().map(|row| format!("product={}&", encoded(&row.code)));
        format!("{}language={}", product.unwrap_or_default(), self.language.code())
    }

    /// Whose mails they are, in words.
    pub(crate) fn of_whom(&self) -> String {
        let product = self.product.as_ref().map_or("all products", |row| row.name.as_str());
        format!("for {product}, in {}", language_name(self.language))
    }
}

/// A language as this console calls it.
pub(crate) fn language_name(language: Language) -> &'static str {
    match language.code() {
        "de" => "German",
        _ => "English",
    }
}

#[derive(Template)]
#[template(path = "console/mail_templates.html")]
struct TemplatesPage {
    shell: Shell,
    tabs: Vec<Tab>,
    /// Address, name, how many mails have a version of their own, whether it is chosen.
    products: Vec<(String, String, usize, bool)>,
    /// Name, and whether the mails of the chosen product are written in it.
    languages: Vec<(&'static str, bool)>,
    rows: Vec<MailRow>,
    /// Where the brand of the chosen product stands.
    brand: Option<String>,
}

struct MailRow {
    name: String,
    occasion: &'static str,
    /// For each language.
    cells: Vec<Cell>,
}

struct Cell {
    path: String,
    language: &'static str,
    /// `version 3`, `built in`.
    used: String,
    is_own: bool,
    /// Who saved it, and when.
    saved: Option<(String, When)>,
}

/// `GET …/mails/templates`.
pub(crate) async fn list(
    State(web): State<Web>,
    place: Place<Look>,
    Query(whose): Query<Whose>,
) -> Result<Response, Refusal> {
    let (store, tenant, now) = (&web.engine.store, place.whose().tenant, web.engine.now());
    let (products, active) = (store.products(tenant).await?, store.active_mail_templates(tenant).await?);
    let people = People::of(&web, &place).await?;
    let chosen = match whose.product.as_str() {
        "" => None,
        code => Some(products.iter().find(|row| row.code == code).ok_or(Refusal::NotFound)?),
    };
    let path = place.at("mails/templates");
    let count = |id| active.iter().filter(|row| row.product_id == id).count();
    let mut choices = vec![(path.clone(), "All products".to_owned(), count(uuid::Uuid::nil()), chosen.is_none())];
    choices.extend(products.iter().map(|row| {
        let address = format!("{path}?product={}", encoded(&row.code));
        (address, row.name.clone(), count(row.id), chosen.is_some_and(|chosen| chosen.id == row.id))
    }));
    let spoken = chosen.map(|row| Brand::read(&row.brand).language());
    let row = |kind: &MailKind| MailRow {
        name: name(kind.as_str()),
        occasion: occasion(*kind),
        cells: Language::ALL.map(|language| cell(&place, (*kind, language, chosen), &active, &people, now)).into(),
    };
    page(&TemplatesPage {
        shell: Shell::new(&web, &place, "mails/templates", "Templates · E-mail").await?,
        tabs: tabs(&place, "mails/templates"),
        products: choices,
        languages: Language::ALL
            .map(|language| (language_name(language), spoken.is_none_or(|spoken| spoken == language)))
            .to_vec(),
        rows: MailKind::ALL.iter().map(row).collect(),
        brand: chosen.map(|row| place.at(&format!("settings/brand/{}", row.code))),
    })
}

fn cell(
    place: &Place<Look>,
    (kind, language, product): (MailKind, Language, Option<&Product>),
    active: &[MailTemplate],
    people: &People,
    now: Timestamp,
) -> Cell {
    let own = MailOf { kind, language: language.code(), product: product.map(|row| row.id) };
    let common = MailOf { product: None, ..own.clone() };
    let found = active.iter().find(|row| own.has(row));
    let stand_in = active.iter().find(|row| common.has(row)).filter(|_| found.is_none());
    let query = product.map(|row| format!("product={}&", encoded(&row.code))).unwrap_or_default();
    let kind = kind.as_str();
    Cell {
        path: place.at(&format!("mails/templates/{kind}?{query}language={}", language.code())),
        language: language_name(language),
        used: match (found, stand_in) {
            (Some(row), _) => format!("version {}", row.version),
            (None, Some(_)) => "as for all products".to_owned(),
            (None, None) => "built in".to_owned(),
        },
        is_own: found.is_some(),
        saved: found.map(|row| (people.name(&row.actor), When::stored(row.created_at, now))),
    }
}
