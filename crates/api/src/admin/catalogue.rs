//! Products and plans. They belong to both modes.

use std::collections::BTreeMap;

use axum::{Json, extract::State, http::StatusCode};
use delivery::Brand;
use domain::{
    id::{PlanId, ProductId, TenantId},
    plan::{PlanPrice, PlanTerms, PlanVersion},
    text::PlanCode,
};
use engine::{
    configuration::{Action, ConfigurationChange, Existing, PlanInput, ProductInput},
    connections::Mode,
    prices::PriceStanding,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::rows;
use utoipa::{IntoParams, ToSchema};

use super::{
    instant,
    terms::{LeaseDocument, LimitsDocument, PolicyDocument, PriceDocument, TermsDocument},
};
use crate::{
    Api,
    caller::{Allowed, scope},
    page::{List, Listable, Listing, PageParams},
    problem::{Code, Problem, sentence},
    read::{Body, Id, Params},
};

/// Made, or changed.
pub(super) fn status(change: &ConfigurationChange) -> StatusCode {
    if change.action == Action::Created { StatusCode::CREATED } else { StatusCode::OK }
}

/// Something that a vendor sells.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Product)]
pub(crate) struct ProductDocument {
    #[schema(example = "prod_01kag0000000000000000000000")]
    id: String,
    /// Always none: products belong to both modes.
    livemode: Option<bool>,
    /// The vendor's name for it.
    #[schema(example = "studio")]
    code: String,
    /// What buyers read.
    name: String,
    /// What its keys start with.
    #[schema(example = "ACME")]
    key_prefix: String,
    /// What its mails and pages look like.
    brand: BTreeMap<String, String>,
    created_at: Timestamp,
}

impl Listable for ProductDocument {
    fn id(&self) -> &str {
        &self.id
    }
}

impl From<rows::Product> for ProductDocument {
    fn from(row: rows::Product) -> Self {
        Self {
            id: ProductId(row.id).to_string(),
            livemode: None,
            code: row.code,
            name: row.name,
            key_prefix: row.key_prefix,
            brand: serde_json::from_str(&row.brand).unwrap_or_default(),
            created_at: instant(row.created_at),
        }
    }
}

/// A product as it is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProductBody {
    /// The vendor's name for it: letters, digits, `.`, `_`, `-`.
    #[schema(max_length = 64, example = "studio")]
    code: String,
    /// What buyers read.
    #[schema(max_length = 120)]
    name: String,
    /// What its keys start with: 2 to 8 letters or digits. Left out: as it is, or `KEY`.
    #[serde(default)]
    key_prefix: Option<String>,
    /// What its mails and pages look like. Left out: as it is.
    #[serde(default)]
    brand: Option<BTreeMap<String, String>>,
}

/// Lists products.
#[utoipa::path(get, path = "/v1/products", tag = "catalogue", operation_id = "list_products", params(PageParams),
    security(("api_key" = ["catalogue:read"])), responses((status = 200, body = List<ProductDocument>)))]
pub(crate) async fn list_products(
    State(api): State<Api>,
    caller: Allowed<scope::CatalogueRead>,
    listing: Listing<ProductId>,
) -> Result<Json<List<ProductDocument>>, Problem> {
    let rows = api.engine.store.products(caller.identity.tenant).await?;
    Ok(Json(List::new(listing.page.of(rows, |row| row.id).map(ProductDocument::from), listing.page)))
}

/// Makes a product, or changes the one of that code.
#[utoipa::path(post, path = "/v1/products", tag = "catalogue", operation_id = "save_product",
    request_body = ProductBody, security(("api_key" = ["catalogue:write"])),
    responses((status = 201, body = ProductDocument), (status = 200, body = ProductDocument)))]
pub(crate) async fn save_product(
    State(api): State<Api>,
    caller: Allowed<scope::CatalogueWrite>,
    Body(body): Body<ProductBody>,
) -> Result<(StatusCode, Json<ProductDocument>), Problem> {
    let (tenant, code) = (caller.identity.tenant, body.code.clone());
    if let Some(brand) = &body.brand {
        Brand::check_texts(brand).map_err(|error| Problem::invalid(sentence(&error)).of("brand"))?;
    }
    let before = api.engine.store.products(tenant).await?.into_iter().find(|row| row.code == code);
    let before = before.map(ProductDocument::from);
    let kept_prefix = before.as_ref().map(|before| before.key_prefix.clone());
    let input = ProductInput {
        code: body.code,
        name: body.name,
        key_prefix: body
            .key_prefix
            .or(kept_prefix)
            .unwrap_or_else(|| crypto::key::Prefix::default().as_str().to_owned()),
        brand: body.brand.or(before.map(|before| before.brand)).unwrap_or_default(),
    };
    let change = api.engine.save_product(tenant, input, Existing::Either, &caller.identity.actor()).await?;
    let row = api.engine.store.products(tenant).await?.into_iter().find(|row| row.code == code);
    let row = row.ok_or_else(|| Problem::not_found(code))?;
    Ok((status(&change), Json(row.into())))
}

/// Shows a product.
#[utoipa::path(get, path = "/v1/products/{id}", tag = "catalogue", operation_id = "get_product",
    params(("id" = String, Path)), security(("api_key" = ["catalogue:read"])),
    responses((status = 200, body = ProductDocument)))]
pub(crate) async fn get_product(
    State(api): State<Api>,
    caller: Allowed<scope::CatalogueRead>,
    Id(id): Id<ProductId>,
) -> Result<Json<ProductDocument>, Problem> {
    let rows = api.engine.store.products(caller.identity.tenant).await?;
    let row = rows.into_iter().find(|row| row.id == id.0).ok_or_else(|| Problem::not_found(id))?;
    Ok(Json(row.into()))
}

/// What a license of a product allows, in one version.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Plan)]
pub(crate) struct PlanDocument {
    #[schema(example = "plan_01kag0000000000000000000000")]
    id: String,
    /// Always none: plans belong to both modes.
    livemode: Option<bool>,
    /// The vendor's name for it.
    #[schema(example = "studio-pro")]
    code: String,
    /// From 1. Versions never change; licenses keep the one they were sold with.
    version: u32,
    /// The code of its product.
    #[schema(example = "studio")]
    product: String,
    /// What buyers read.
    name: String,
    #[serde(flatten)]
    terms: TermsDocument,
    /// Where its price is sold, and how far it is. Empty: it has no price, or no connection sells.
    prices: Vec<PriceThereDocument>,
    /// When this version was made.
    created_at: Timestamp,
}

impl Listable for PlanDocument {
    fn id(&self) -> &str {
        &self.id
    }
}

/// The price of a plan at one connection.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = PlanPriceStatus)]
pub(crate) struct PriceThereDocument {
    /// The code of the connection.
    #[schema(example = "stripe-live")]
    connection: String,
    /// Whether real money is paid there.
    livemode: bool,
    status: PriceStatus,
    /// What the provider calls it, once it is made.
    #[schema(example = "price_1QyXyZ")]
    reference: Option<String>,
    /// Why it is not made, and what to do about it.
    problem: Option<String>,
}

/// How far a price is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PriceStatus {
    /// It can be bought.
    Made,
    /// It is tried until it is made.
    Waiting,
    /// It is tried again when its connection changes.
    Refused,
}

impl PriceThereDocument {
    fn new(connection: &rows::Connection, standing: PriceStanding) -> Self {
        let (status, reference, problem) = match standing {
            PriceStanding::Made(reference) => (PriceStatus::Made, Some(reference.to_string()), None),
            PriceStanding::Waits { problem, .. } => (PriceStatus::Waiting, None, problem),
            PriceStanding::Refused(problem) => (PriceStatus::Refused, None, Some(problem)),
        };
        let livemode = Mode::read(&connection.mode).is_live();
        Self { connection: connection.code.clone(), livemode, status, reference, problem }
    }
}

/// A plan with its versions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlanDetail {
    #[serde(flatten)]
    plan: PlanDocument,
    /// All versions, the latest first, if they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    versions: Option<Vec<PlanDocument>>,
}

/// A plan as it is to be. What is left out takes its default, not what it was in the version before.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlanBody {
    /// The vendor's name for it: letters, digits, `.`, `_`, `-`.
    #[schema(max_length = 64, example = "studio-pro")]
    code: String,
    /// The code of its product, for good.
    #[schema(example = "studio")]
    product: String,
    /// What buyers read.
    #[schema(max_length = 120)]
    name: String,
    #[serde(default)]
    limits: LimitsDocument,
    /// Days a license lasts when the sale itself has no period; none: for good.
    #[serde(default)]
    duration_days: Option<u32>,
    #[serde(default)]
    policy: PolicyDocument,
    #[serde(default)]
    lease: LeaseDocument,
    /// What it costs: made at Stripe with it, at every connection that sells.
    #[serde(default)]
    price: Option<PriceDocument>,
}

/// All versions of a tenant's plans, with the codes of their products.
struct Plans {
    rows: Vec<rows::Plan>,
    products: BTreeMap<uuid::Uuid, String>,
    prices: BTreeMap<uuid::Uuid, Vec<PriceThereDocument>>,
}

impl Plans {
    async fn read(api: &Api, tenant: TenantId) -> Result<Self, Problem> {
        let products = api.engine.store.products(tenant).await?;
        let connections = api.connection_rows(tenant).await?;
        let mut prices: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for there in api.engine.prices_there(tenant).await? {
            if let Some(connection) = connections.iter().find(|row| row.id == there.connection.0) {
                prices.entry(there.plan.0).or_default().push(PriceThereDocument::new(connection, there.standing));
            }
        }
        Ok(Self {
            prices,
            rows: api.engine.store.plans(tenant).await?,
            products: products.into_iter().map(|row| (row.id, row.code)).collect(),
        })
    }

    /// Each in its latest version. Rows come in the order of their versions.
    fn current(&self) -> Vec<&rows::Plan> {
        self.rows.iter().map(|row| (row.id, row)).collect::<BTreeMap<_, _>>().into_values().collect()
    }

    fn document(&self, row: &rows::Plan) -> PlanDocument {
        let terms: PlanTerms = serde_json::from_str(&row.terms).unwrap_or_default();
        PlanDocument {
            id: PlanId(row.id).to_string(),
            livemode: None,
            code: row.code.clone(),
            version: row.version.unsigned_abs(),
            product: self.products.get(&row.product_id).cloned().unwrap_or_default(),
            name: row.name.clone(),
            // What is sold is the latest version, and a version without a price is not.
            prices: match terms.price {
                Some(_) => self.prices.get(&row.id).cloned().unwrap_or_default(),
                None => Vec::new(),
            },
            terms: terms.into(),
            created_at: instant(row.created_at),
        }
    }
}

/// Lists plans, each in its current version.
#[utoipa::path(get, path = "/v1/plans", tag = "catalogue", operation_id = "list_plans", params(PageParams),
    security(("api_key" = ["catalogue:read"])), responses((status = 200, body = List<PlanDocument>)))]
pub(crate) async fn list_plans(
    State(api): State<Api>,
    caller: Allowed<scope::CatalogueRead>,
    listing: Listing<PlanId>,
) -> Result<Json<List<PlanDocument>>, Problem> {
    let plans = Plans::read(&api, caller.identity.tenant).await?;
    let listed = listing.page.of(plans.current(), |row| row.id);
    Ok(Json(List::new(listed.map(|row| plans.document(row)), listing.page)))
}

/// Plans belong to both modes, so either key changes them, and what was sold keeps its version. Only a price is real money at
/// once: the next live buyer pays it.
async fn may_price<S>(api: &Api, caller: &Allowed<S>, code: &str, price: Option<PlanPrice>) -> Result<(), Problem> {
    if caller.identity.livemode {
        return Ok(());
    }
    let tenant = caller.identity.tenant;
    let rows = api.engine.store.plans(tenant).await?;
    let before = rows.iter().rfind(|row| row.code == code);
    let before: Option<PlanTerms> = before.and_then(|row| serde_json::from_str(&row.terms).ok());
    if before.and_then(|terms| terms.price) == price || !api.engine.sells_live(tenant).await? {
        return Ok(());
    }
    let detail = "A test key changes no price that live buyers pay, and a live connection sells here. Use a live key, or \
         leave `price` as it is.";
    Err(Problem::new(Code::Forbidden, detail).of("price"))
}

/// Makes a plan, or a new version of the one of that code. What was sold keeps its version. A test key changes no `price`
/// while a live connection sells.
#[utoipa::path(post, path = "/v1/plans", tag = "catalogue", operation_id = "save_plan", request_body = PlanBody,
    security(("api_key" = ["catalogue:write"])),
    responses((status = 201, body = PlanDocument), (status = 200, body = PlanDocument)))]
pub(crate) async fn save_plan(
    State(api): State<Api>,
    caller: Allowed<scope::CatalogueWrite>,
    Body(body): Body<PlanBody>,
) -> Result<(StatusCode, Json<PlanDocument>), Problem> {
    let (tenant, code) = (caller.identity.tenant, body.code.clone());
    let PlanBody { limits, duration_days, policy, lease, price, .. } = body;
    let terms: PlanTerms = TermsDocument { limits, duration_days, policy, lease, price }.into();
    may_price(&api, &caller, &code, terms.price).await?;
    let input = PlanInput { code: body.code, product: body.product, name: body.name, terms };
    let change = api.engine.save_plan(tenant, input, Existing::Either, &caller.identity.actor()).await?;
    let plans = Plans::read(&api, tenant).await?;
    let row = plans.current().into_iter().find(|row| row.code == code).ok_or_else(|| Problem::not_found(&code))?;
    Ok((status(&change), Json(plans.document(row))))
}

/// Whether the versions are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Versions {
    /// The latest.
    Current,
    /// All.
    All,
}

/// How much of a plan.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PlanParams {
    /// Which versions.
    #[param(inline)]
    versions: Option<Versions>,
}

/// Shows a plan in its current version, and all versions on request.
#[utoipa::path(get, path = "/v1/plans/{id}", tag = "catalogue", operation_id = "get_plan",
    params(("id" = String, Path), PlanParams), security(("api_key" = ["catalogue:read"])),
    responses((status = 200, body = PlanDetail)))]
pub(crate) async fn get_plan(
    State(api): State<Api>,
    caller: Allowed<scope::CatalogueRead>,
    Id(id): Id<PlanId>,
    Params(params): Params<PlanParams>,
) -> Result<Json<PlanDetail>, Problem> {
    let plans = Plans::read(&api, caller.identity.tenant).await?;
    let mut versions: Vec<PlanDocument> =
        plans.rows.iter().filter(|row| row.id == id.0).map(|row| plans.document(row)).collect();
    versions.reverse();
    let current = plans.rows.iter().rfind(|row| row.id == id.0).ok_or_else(|| Problem::not_found(id))?;
    let versions = (params.versions == Some(Versions::All)).then_some(versions);
    Ok(Json(PlanDetail { plan: plans.document(current), versions }))
}

/// The plan of that id or code.
pub(super) async fn plan_named(api: &Api, tenant: TenantId, name: &str) -> Result<PlanId, Problem> {
    let id: Option<PlanId> = name.parse().ok();
    let rows = api.engine.store.plans(tenant).await?;
    let found = rows.into_iter().find(|row| row.code == name || Some(PlanId(row.id)) == id);
    let unknown = || Problem::new(Code::NotFound, format!("There is no plan `{name}`.")).of("plan");
    found.map(|row| PlanId(row.id)).ok_or_else(unknown)
}

/// The product of that id or code.
pub(super) async fn product_named(api: &Api, tenant: TenantId, name: &str) -> Result<ProductId, Problem> {
    let id: Option<ProductId> = name.parse().ok();
    let rows = api.engine.store.products(tenant).await?;
    let found = rows.into_iter().find(|row| row.code == name || Some(ProductId(row.id)) == id);
    let unknown = || Problem::new(Code::NotFound, format!("There is no product `{name}`.")).of("product");
    found.map(|row| ProductId(row.id)).ok_or_else(unknown)
}

/// The plan of that code, as it is now.
pub(super) async fn current_plan(api: &Api, tenant: TenantId, code: &PlanCode) -> Result<PlanVersion, Problem> {
    let rows = api.engine.store.plans(tenant).await?;
    let found = rows.into_iter().rfind(|row| row.code == code.as_str());
    let version = found.map(|row| PlanVersion {
        plan: PlanId(row.id),
        version: row.version.unsigned_abs(),
        product: ProductId(row.product_id),
    });
    version.ok_or_else(|| Problem::new(Code::NotFound, format!("There is no plan with the code `{code}`.")).of("plan"))
}
