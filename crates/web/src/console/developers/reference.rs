//! Everything that can be called, from the OpenAPI document that this server serves, with the vendor's own names in the
//! examples.

mod document;
pub(super) mod example;

use std::sync::{Arc, OnceLock};

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use domain::id::{ApiKeyId, CustomerId, PlanId, ProductId, WebhookEndpointId};
use serde::Deserialize;
use store::{
    lists::{CustomerFilter, LicenseFilter, OrderFilter, Page},
    rows::{Plan, Product},
};

pub(crate) use self::document::{Operation, Reference, Row, rows_of};
pub(super) use self::example::Own;
use super::{
    super::{
        place::{Place, to::Look},
        refusal::Refusal,
        shell::{Shell, page},
    },
    Tab, guide,
    keys::keys,
    tabs,
};
use crate::Web;

/// The chapter of the book about the API: its codes of refusals are told from there.
const CHAPTER: &str = include_str!("../../../../../docs/api.md");

impl Reference {
    /// That of this server: it is read once.
    pub(crate) fn of(web: &Web) -> Arc<Self> {
        static READ: OnceLock<Arc<Reference>> = OnceLock::new();
        Arc::clone(READ.get_or_init(|| Arc::new(Self::read(web.openapi))))
    }
}

/// What is looked for.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    q: String,
}

#[derive(Template)]
#[template(path = "console/reference.html")]
struct ReferencePage {
    shell: Shell,
    tabs: Vec<Tab>,
    path: String,
    raw: String,
    server: String,
    q: String,
    groups: Vec<Group>,
    /// Code, status, and when it is answered.
    problems: Vec<Vec<String>>,
}

struct Group {
    name: String,
    about: String,
    /// The part of the page that it is, as its address names it.
    part: String,
    /// Address, method, path, and what it does.
    operations: Vec<(String, &'static str, String, String)>,
}

/// `GET …/developers/reference`.
pub(crate) async fn list(
    State(web): State<Web>,
    place: Place<Look>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refusal> {
    let reference = Reference::of(&web);
    let words = asked.q.trim().to_lowercase();
    let link = |found: &Operation| {
        let path = place.at(&format!("developers/reference/{}", found.id));
        (path, found.method, found.path.clone(), found.summary.clone())
    };
    let group = |tag: &document::Tag| Group {
        part: tag.name.replace(' ', "-"),
        name: super::super::words::capitalised(&tag.name),
        about: tag.about.clone(),
        operations: tag.operations.iter().filter(|found| found.is_about(&words)).map(link).collect(),
    };
    let groups = reference.tags.iter().map(group).filter(|group| !group.operations.is_empty());
    page(&ReferencePage {
        shell: Shell::new(&web, &place, "developers/reference", "API reference").await?,
        tabs: tabs(&place, "developers/reference"),
        path: place.at("developers/reference"),
        raw: "/openapi.json".to_owned(),
        server: web.public_url.trim_end_matches('/').to_owned(),
        groups: groups.collect(),
        problems: guide::table(CHAPTER, "## Errors"),
        q: asked.q,
    })
}

#[derive(Template)]
#[template(path = "console/operation.html")]
struct OperationPage {
    shell: Shell,
    list: String,
    method: &'static str,
    path: String,
    summary: String,
    more: String,
    tag: String,
    part: String,
    needs: String,
    new_key: Option<String>,
    parameters: Vec<Row>,
    body: Option<document::Body>,
    answers: Vec<document::Answer>,
    call: String,
    has_alias: bool,
}

/// `GET …/developers/reference/{operation}`.
pub(crate) async fn show(
    State(web): State<Web>,
    place: Place<Look>,
    Path((_, _, id)): Path<(String, String, String)>,
) -> Result<Response, Refusal> {
    let reference = Reference::of(&web);
    let (tag, found) = reference.operation(&id).ok_or(Refusal::NotFound)?;
    let own = own(&web, &place).await?;
    let given = own_id(&web, &place, &found.path).await?;
    let may_configure = place.role.may(domain::member::Ability::Configure);
    page(&OperationPage {
        shell: Shell::new(&web, &place, "developers/reference", found.summary.clone()).await?,
        list: place.at("developers/reference"),
        method: found.method,
        path: found.path.clone(),
        summary: found.summary.clone(),
        more: found.more.clone(),
        tag: super::super::words::capitalised(&tag.name),
        part: tag.name.replace(' ', "-"),
        needs: found.needs(),
        new_key: (may_configure && found.key.is_some()).then(|| place.at("developers/new-key")),
        parameters: found.parameters.clone(),
        call: example::call(&reference, found, &own, given.as_deref()),
        body: found.body.clone(),
        answers: found.answers.clone(),
        has_alias: found.key.is_some() && found.path.starts_with("/v1/"),
    })
}

/// What the vendor calls things: the first of each.
pub(super) async fn own(web: &Web, place: &Place<Look>) -> Result<Own, Refusal> {
    let tenant = place.whose().tenant;
    let products = web.engine.store.products(tenant).await?;
    let plans = web.engine.store.newest_plans(tenant).await?;
    Ok(own_of(web, place, products.first(), plans.first()))
}

/// The same about a product and a plan.
pub(super) fn own_of(web: &Web, place: &Place<Look>, product: Option<&Product>, plan: Option<&Plan>) -> Own {
    Own {
        server: web.public_url.trim_end_matches('/').to_owned(),
        tenant: place.tenant.slug.clone(),
        product: product.map_or("studio", |row| &row.code).to_owned(),
        prefix: product.map_or("ACME", |row| &row.key_prefix).to_owned(),
        plan: plan.map_or("studio-pro", |row| &row.code).to_owned(),
        livemode: place.livemode,
    }
}

/// The id of something of the vendor's own that the path could name; none: there is nothing yet, or it names something else.
async fn own_id(web: &Web, place: &Place<Look>, path: &str) -> Result<Option<String>, Refusal> {
    let (store, whose) = (&web.engine.store, place.whose());
    let newest = Page { limit: 1, from: None };
    let about = path.split("/v1/").nth(1).and_then(|rest| rest.split_once("/{id}")).map(|(about, _)| about);
    Ok(match about {
        Some("licenses") => {
            let found = store.list_licenses(whose, &LicenseFilter::default(), newest).await?;
            found.rows.first().map(|row| row.license.id.to_string())
        }
        Some("orders") => {
            let found = store.list_orders(whose, &OrderFilter::default(), newest).await?;
            found.rows.first().map(|row| row.id.to_string())
        }
        Some("customers") => {
            let found = store.list_customers(whose, &CustomerFilter::default(), newest).await?;
            found.rows.first().map(|row| CustomerId(row.id).to_string())
        }
        Some("products") => store.products(whose.tenant).await?.first().map(|row| ProductId(row.id).to_string()),
        Some("plans") => store.newest_plans(whose.tenant).await?.first().map(|row| PlanId(row.id).to_string()),
        Some("api-keys") => keys(web, place).await?.first().map(|row| ApiKeyId(row.id).to_string()),
        Some("webhook-endpoints") => {
            let rows = store.webhook_endpoints(whose.tenant).await?;
            let found = rows.iter().find(|row| row.livemode == whose.livemode);
            found.map(|row| WebhookEndpointId(row.id).to_string())
        }
        _ => None,
    })
}
