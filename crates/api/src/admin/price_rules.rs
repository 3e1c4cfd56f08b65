//! Price rules: what a provider's price gives. They are of the mode of their connection, and shown to both.

use std::collections::{BTreeSet, HashMap};

use axum::{Json, extract::State, http::StatusCode};
use domain::{
    decision::{Matcher, QuantityRule, Rule, RuleGrant},
    id::{ConnectionId, PriceRuleId},
    plan::AddOn,
    text::{PriceReference, ProductReference},
};
use engine::configuration::{Existing, GrantInput, PriceRuleInput};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::rows;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    catalogue::status,
    connections::{connection_named, may_change},
    instant,
};
use crate::{
    Api,
    caller::{Allowed, scope},
    page::{List, Listable, Listing, PageParams},
    problem::Problem,
    read::{Body, Id},
};

words! {
    /// How a quantity becomes licenses.
    QuantityWord as QuantityRule of QuantityRule {
        /// Each one bought is a key of its own.
        Keys,
        /// One key whose limits are multiplied.
        Seats,
    }
}

/// A plan that a price gives.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Grant)]
struct GrantDocument {
    /// The code of the plan. Later sales get the version that is current then.
    #[schema(example = "studio-pro")]
    plan: String,
    #[serde(default = "keys")]
    quantity: QuantityWord,
}

const fn keys() -> QuantityWord {
    QuantityWord::Keys
}

/// What is bought on top of a plan.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = AddOn)]
pub(super) struct AddOnDocument {
    /// So many activations more, for each one bought.
    pub(super) activations: u32,
    /// Features that come with it.
    pub(super) features: BTreeSet<String>,
}

/// What a provider's price gives.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PriceRule)]
pub(crate) struct PriceRuleDocument {
    #[schema(example = "rule_01kag0000000000000000000000")]
    id: String,
    /// That of its connection.
    livemode: bool,
    connection: String,
    /// The provider's price or variant that it is about.
    price: Option<String>,
    /// The provider's product that it is about.
    product: Option<String>,
    /// Whether it is about whatever no other rule speaks of.
    default: bool,
    /// What is given. Empty: nothing of ours.
    grants: Vec<GrantDocument>,
    /// What it adds to the licenses that are sold with it.
    adds: AddOnDocument,
    /// Sales from then on; none: since ever.
    from: Option<Timestamp>,
    /// Sales before then; none: for ever.
    until: Option<Timestamp>,
    created_at: Timestamp,
}

impl Listable for PriceRuleDocument {
    fn id(&self) -> &str {
        &self.id
    }
}

/// What rules refer to by id.
struct Named {
    plans: HashMap<Uuid, String>,
    live: HashMap<Uuid, bool>,
}

impl Named {
    async fn read(api: &Api, tenant: domain::id::TenantId) -> Result<Self, Problem> {
        let connections = api.engine.store.connections().await?;
        Ok(Self {
            plans: api.engine.store.plans(tenant).await?.into_iter().map(|row| (row.id, row.code)).collect(),
            live: connections.into_iter().map(|row| (row.id, row.mode == "live")).collect(),
        })
    }

    fn document(&self, row: &rows::PriceRule) -> PriceRuleDocument {
        let matcher = store::catalogue::matcher(&row.matcher_kind, &row.matcher_value);
        let Rule { grants, adds, from, until } = store::catalogue::rule(row).unwrap_or_default();
        let (price, product) = match &matcher {
            Matcher::Price(price) => (Some(price.to_string()), None),
            Matcher::Product(product) => (None, Some(product.to_string())),
            Matcher::Default => (None, None),
        };
        PriceRuleDocument {
            id: PriceRuleId(row.id).to_string(),
            livemode: self.live.get(&row.connection_id).copied().unwrap_or_default(),
            connection: ConnectionId(row.connection_id).to_string(),
            price,
            product,
            default: matcher == Matcher::Default,
            grants: grants.into_iter().map(|grant| self.grant(&grant)).collect(),
            adds: AddOnDocument { activations: adds.activations, features: adds.features },
            from,
            until,
            created_at: instant(row.created_at),
        }
    }

    fn grant(&self, grant: &RuleGrant) -> GrantDocument {
        let plan = self.plans.get(&grant.plan.0).cloned();
        GrantDocument { plan: plan.unwrap_or_else(|| grant.plan.to_string()), quantity: grant.quantity.into() }
    }
}

/// Which rules.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PriceRuleParams {
    /// Of this connection.
    #[param(value_type = Option<String>)]
    connection: Option<ConnectionId>,
}

/// Lists price rules.
#[utoipa::path(get, path = "/v1/price-rules", tag = "catalogue", operation_id = "list_price_rules",
    params(PageParams, PriceRuleParams), security(("api_key" = ["catalogue:read"])),
    responses((status = 200, body = List<PriceRuleDocument>)))]
pub(crate) async fn list(
    State(api): State<Api>,
    caller: Allowed<scope::CatalogueRead>,
    listing: Listing<PriceRuleId, PriceRuleParams>,
) -> Result<Json<List<PriceRuleDocument>>, Problem> {
    let tenant = caller.identity.tenant;
    let mut rows = api.engine.store.price_rules(tenant).await?;
    if let Some(connection) = listing.filter.connection {
        rows.retain(|row| row.connection_id == connection.0);
    }
    let named = Named::read(&api, tenant).await?;
    let listed = listing.page.of(rows, |row| row.id).map(|row| named.document(&row));
    Ok(Json(List::new(listed, listing.page)))
}

/// A price rule as it is to be: about exactly one of `price`, `product` and `default`, giving `plan`, `grants` or `adds`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PriceRuleBody {
    /// The connection, by its id or code.
    connection: String,
    /// A provider's price or variant.
    #[serde(default)]
    #[schema(example = "price_1")]
    price: Option<String>,
    /// A provider's product.
    #[serde(default)]
    product: Option<String>,
    /// Whatever no other rule speaks of.
    #[serde(default)]
    default: bool,
    /// The code of the one plan that is given.
    #[serde(default)]
    #[schema(example = "studio-pro")]
    plan: Option<String>,
    /// How the quantity counts for `plan`; `keys` unless said otherwise.
    #[serde(default)]
    quantity: Option<QuantityWord>,
    /// Several plans, or none: something that is not ours.
    #[serde(default)]
    grants: Option<Vec<GrantDocument>>,
    /// What it adds to the licenses that are sold with it, beside or instead of a plan.
    #[serde(default)]
    adds: Option<AddOnDocument>,
    /// Sales from then on; leave it out for since ever.
    #[serde(default)]
    from: Option<Timestamp>,
    /// Sales before then; leave it out for for ever.
    #[serde(default)]
    until: Option<Timestamp>,
}

impl PriceRuleBody {
    fn matcher(&self) -> Result<Matcher, Problem> {
        match (self.price.as_deref(), self.product.as_deref(), self.default) {
            (Some(price), None, false) => Ok(Matcher::Price(PriceReference::new(price))),
            (None, Some(product), false) => Ok(Matcher::Product(ProductReference::new(product))),
            (None, None, true) => Ok(Matcher::Default),
            _ => Err(Problem::invalid("Say what it is about: exactly one of `price`, `product` and `default: true`.")),
        }
    }

    fn adds(&self) -> AddOn {
        let AddOnDocument { activations, features } = self.adds.clone().unwrap_or_default();
        AddOn { activations, features }
    }

    fn grants(self) -> Result<Vec<GrantInput>, Problem> {
        let adds = self.adds();
        let input = |grant: GrantDocument| GrantInput { plan: grant.plan, quantity: grant.quantity.into() };
        match (self.plan, self.quantity, self.grants) {
            (Some(plan), quantity, None) => {
                Ok(vec![input(GrantDocument { plan, quantity: quantity.unwrap_or(QuantityWord::Keys) })])
            }
            (None, None, Some(grants)) => Ok(grants.into_iter().map(input).collect()),
            (None, None, None) if !adds.is_nothing() => Ok(Vec::new()),
            _ => {
                Err(Problem::invalid("Say what it gives: `plan`, with or without `quantity`, or `grants`, or `adds`."))
            }
        }
    }
}

/// Makes a price rule, or changes the one about the same. Orders that waited for it are worked on at once; what was
/// decided before stays decided.
#[utoipa::path(post, path = "/v1/price-rules", tag = "catalogue", operation_id = "save_price_rule",
    request_body = PriceRuleBody, security(("api_key" = ["catalogue:write"])),
    responses((status = 201, body = PriceRuleDocument), (status = 200, body = PriceRuleDocument)))]
pub(crate) async fn save(
    State(api): State<Api>,
    caller: Allowed<scope::CatalogueWrite>,
    Body(body): Body<PriceRuleBody>,
) -> Result<(StatusCode, Json<PriceRuleDocument>), Problem> {
    let tenant = caller.identity.tenant;
    let connection = connection_named(&api, tenant, &body.connection).await?;
    may_change(&caller, &connection)?;
    let matcher = body.matcher()?;
    let (from, until, adds) = (body.from, body.until, body.adds());
    let valid_from = from.map_or(0, Timestamp::as_microsecond);
    let grants = body.grants()?;
    let input = PriceRuleInput { connection: connection.code, matcher: matcher.clone(), grants, adds, from, until };
    let change = api.engine.save_price_rule(tenant, input, Existing::Either, &caller.identity.actor()).await?;
    let (kind, value) = store::catalogue::matcher_columns(&matcher);
    let rows = api.engine.store.price_rules(tenant).await?;
    let row = rows.iter().find(|row| {
        (row.connection_id, row.matcher_kind.as_str(), row.matcher_value.as_str(), row.valid_from)
            == (connection.id, kind, value, valid_from)
    });
    let row = row.ok_or_else(|| Problem::not_found(&change.name))?;
    Ok((status(&change), Json(Named::read(&api, tenant).await?.document(row))))
}

/// Takes a price rule away. What it decided stays decided.
#[utoipa::path(delete, path = "/v1/price-rules/{id}", tag = "catalogue", operation_id = "delete_price_rule",
    params(("id" = String, Path)), security(("api_key" = ["catalogue:write"])), responses((status = 204)))]
pub(crate) async fn delete(
    State(api): State<Api>,
    caller: Allowed<scope::CatalogueWrite>,
    Id(id): Id<PriceRuleId>,
) -> Result<StatusCode, Problem> {
    let tenant = caller.identity.tenant;
    let rule = api.engine.store.price_rules(tenant).await?.into_iter().find(|row| row.id == id.0);
    let rule = rule.ok_or_else(|| Problem::not_found(id))?;
    let connections = api.engine.store.connections().await?;
    if let Some(connection) = connections.iter().find(|row| row.id == rule.connection_id) {
        may_change(&caller, connection)?;
    }
    api.engine.delete_price_rule(tenant, id, &caller.identity.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}
