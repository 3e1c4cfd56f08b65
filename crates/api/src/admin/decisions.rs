//! What people decide about sales: whether one may have its licenses, and whether edited rules count for what was sold.

use std::collections::HashMap;

use axum::{Json, extract::State};
use domain::{
    decision::Matcher,
    fulfil::Concern,
    id::OrderId,
    order::Approval,
    text::{PlanCode, PriceReference, ProductReference},
};
use engine::{
    redecide::{Gives, Redecide, Redecided},
    rulings::OrderRuling,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    NoteBody, catalogue::current_plan, connections::connection_named, note, orders::OrderDocument,
    price_rules::AddOnDocument,
};
use crate::{
    Api,
    caller::{Allowed, scope},
    problem::Problem,
    read::{Body, Id, MaybeBody},
};

type Ruler = Allowed<scope::LicenseWrite>;

/// Lets a sale have its licenses. It may have been rejected before.
#[utoipa::path(post, path = "/v1/orders/{id}/approve", tag = "orders", operation_id = "approve_order",
    params(("id" = String, Path)), request_body = Option<NoteBody>, security(("api_key" = ["license:write"])),
    responses((status = 200, body = OrderDocument)))]
pub(crate) async fn approve(
    State(api): State<Api>,
    caller: Ruler,
    Id(id): Id<OrderId>,
    MaybeBody(body): MaybeBody<NoteBody>,
) -> Result<Json<OrderDocument>, Problem> {
    rule(&api, &caller, id, Approval::Approved, body.note).await
}

/// Gives a sale no licenses. What it has already stays: revoke that.
#[utoipa::path(post, path = "/v1/orders/{id}/reject", tag = "orders", operation_id = "reject_order",
    params(("id" = String, Path)), request_body = Option<NoteBody>, security(("api_key" = ["license:write"])),
    responses((status = 200, body = OrderDocument)))]
pub(crate) async fn reject(
    State(api): State<Api>,
    caller: Ruler,
    Id(id): Id<OrderId>,
    MaybeBody(body): MaybeBody<NoteBody>,
) -> Result<Json<OrderDocument>, Problem> {
    rule(&api, &caller, id, Approval::Rejected, body.note).await
}

async fn rule(
    api: &Api,
    caller: &Ruler,
    id: OrderId,
    approval: Approval,
    text: Option<String>,
) -> Result<Json<OrderDocument>, Problem> {
    let (whose, by) = (caller.whose(), caller.by(note(text)?));
    // Of the other mode, it is not this caller's.
    api.engine.store.order(whose, id).await?.ok_or_else(|| Problem::not_found(id))?;
    let ruled = api.engine.rule_order(whose.tenant, id, &OrderRuling::Approval(approval), &by).await?;
    Ok(Json(ruled.ok_or_else(|| Problem::not_found(id))?.into()))
}

/// What is to be decided once more by the rules and plans of now: exactly one of `price`, `product`, `default` and `plan`,
/// or all of it with `everything`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedecideBody {
    /// Only sales of this connection, by its id or code.
    #[serde(default)]
    connection: Option<String>,
    /// What was sold at this price.
    #[serde(default)]
    price: Option<String>,
    /// What was sold of this product of the provider's.
    #[serde(default)]
    product: Option<String>,
    /// What was decided by the rule for all else.
    #[serde(default)]
    default: bool,
    /// What gives the plan of this code: licenses get its current version.
    #[serde(default)]
    plan: Option<String>,
    /// Whatever was sold.
    #[serde(default)]
    everything: bool,
    /// Only say what would change. Say `false` to have it done.
    #[serde(default = "yes")]
    preview: bool,
    /// Go on behind this order: `next_cursor` of the answer before.
    #[serde(default)]
    after: Option<String>,
    /// Why, for the audit log.
    #[serde(default)]
    #[schema(max_length = 1000)]
    note: Option<String>,
}

const fn yes() -> bool {
    true
}

/// A plan that a license gives.
#[derive(Debug, Serialize, ToSchema)]
struct GivenDocument {
    /// Its code.
    plan: String,
    version: u32,
    /// By how much its limits are multiplied.
    seats: u32,
    /// What add-ons add.
    adds: AddOnDocument,
}

/// A license that gives something else.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Redecided)]
struct RedecidedDocument {
    livemode: bool,
    order: String,
    /// None: it is new.
    license: Option<String>,
    /// What it gave.
    from: Option<GivenDocument>,
    /// What it gives; none: nothing any more.
    to: Option<GivenDocument>,
}

/// What changed in a part of the sales, or would.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RedecideAnswer {
    livemode: bool,
    /// Whether nothing was done.
    preview: bool,
    data: Vec<RedecidedDocument>,
    /// Where to go on: the sales before these. None: that was all.
    next_cursor: Option<String>,
}

/// Lets edited rules and plans count for what was sold before. Looks at 500 sales per call, the newest first. Keys stay.
#[utoipa::path(post, path = "/v1/redecide", tag = "orders", operation_id = "redecide",
    request_body = RedecideBody, security(("api_key" = ["license:write"])),
    responses((status = 200, body = RedecideAnswer)))]
pub(crate) async fn redecide(
    State(api): State<Api>,
    caller: Ruler,
    Body(body): Body<RedecideBody>,
) -> Result<Json<RedecideAnswer>, Problem> {
    let (whose, by) = (caller.whose(), caller.by(note(body.note.clone())?));
    let connection = match &body.connection {
        Some(name) => Some(domain::id::ConnectionId(connection_named(&api, whose.tenant, name).await?.id)),
        None => None,
    };
    let behind = match &body.after {
        Some(text) => Some(text.parse().map_err(|error| Problem::invalid(format!("`after`: {error}.")).of("after"))?),
        None => None,
    };
    let asked = Redecide { connection, concern: concern(&api, &caller, &body).await?, is_preview: body.preview };
    let (changed, next) = api.engine.redecide(whose, &asked, behind, &by).await?;
    let plans = api.engine.store.plans(whose.tenant).await?;
    let codes: HashMap<_, _> = plans.into_iter().map(|row| (row.id, row.code)).collect();
    let given = |Gives { plan, seats, added }: Gives| GivenDocument {
        plan: codes.get(&plan.plan.0).cloned().unwrap_or_default(),
        version: plan.version,
        seats,
        adds: AddOnDocument { activations: added.activations, features: added.features },
    };
    let document = |Redecided { order, license, from, to }| RedecidedDocument {
        livemode: whose.livemode,
        order: order.to_string(),
        license: license.map(|id| id.to_string()),
        from: from.map(given),
        to: to.map(given),
    };
    Ok(Json(RedecideAnswer {
        livemode: whose.livemode,
        preview: body.preview,
        data: changed.into_iter().map(document).collect(),
        next_cursor: next.map(|order| order.to_string()),
    }))
}

async fn concern(api: &Api, caller: &Ruler, body: &RedecideBody) -> Result<Concern, Problem> {
    let RedecideBody { price, product, default, plan, everything, .. } = body;
    match (price.as_deref(), product.as_deref(), *default, plan.as_deref(), *everything) {
        (Some(price), None, false, None, false) => Ok(Concern::Matcher(Matcher::Price(PriceReference::new(price)))),
        (None, Some(product), false, None, false) => {
            Ok(Concern::Matcher(Matcher::Product(ProductReference::new(product))))
        }
        (None, None, true, None, false) => Ok(Concern::Matcher(Matcher::Default)),
        (None, None, false, Some(code), false) => {
            Ok(Concern::Plan(current_plan(api, caller.identity.tenant, &PlanCode::new(code)).await?.plan))
        }
        (None, None, false, None, true) => Ok(Concern::Everything),
        _ => Err(Problem::invalid(
            "Say what is to be decided once more: exactly one of `price`, `product`, `default: true`, `plan` and \
             `everything: true`.",
        )),
    }
}
