//! Orders: everything known about a sale.

use axum::{Json, extract::State};
use domain::id::{CustomerId, OrderId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::{StoredOrder, lists::OrderFilter};
use utoipa::{IntoParams, ToSchema};

use super::{attention::AttentionDocument, licenses::LicenseDocument, sale::SaleDocument};
use crate::{
    Api,
    caller::{Allowed, scope},
    page::{List, Listable, Listing, PageParams},
    problem::Problem,
    read::Id,
};

/// Everything known about a sale.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Order)]
pub(crate) struct OrderDocument {
    #[schema(example = "ord_01kag0000000000000000000000")]
    id: String,
    livemode: bool,
    connection: String,
    /// Who bought; none as long as nobody knows an address.
    customer: Option<String>,
    created_at: Timestamp,
    /// What the provider told.
    sale: SaleDocument,
}

impl Listable for OrderDocument {
    fn id(&self) -> &str {
        &self.id
    }
}

impl From<StoredOrder> for OrderDocument {
    fn from(order: StoredOrder) -> Self {
        Self {
            id: order.id.to_string(),
            livemode: order.livemode,
            connection: order.connection.to_string(),
            customer: order.customer.map(|id| id.to_string()),
            created_at: order.created_at,
            sale: SaleDocument::from(&order.order),
        }
    }
}

/// A sale with what came of it, and what is in the way.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OrderDetail {
    #[serde(flatten)]
    order: OrderDocument,
    licenses: Vec<LicenseDocument>,
    /// What is open, dismissed or not.
    attention: Vec<AttentionDocument>,
}

/// Which orders.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct OrderParams {
    /// Of this customer.
    #[param(value_type = Option<String>)]
    customer: Option<CustomerId>,
}

/// Lists orders. Those that turned out to be part of another one are left out.
#[utoipa::path(get, path = "/v1/orders", tag = "orders", operation_id = "list_orders",
    params(PageParams, OrderParams), security(("api_key" = ["license:read"])),
    responses((status = 200, body = List<OrderDocument>)))]
pub(crate) async fn list(
    State(api): State<Api>,
    caller: Allowed<scope::LicenseRead>,
    listing: Listing<OrderId, OrderParams>,
) -> Result<Json<List<OrderDocument>>, Problem> {
    let filter = OrderFilter { customer: listing.filter.customer, ..OrderFilter::default() };
    let listed = api.engine.store.list_orders(caller.whose(), &filter, listing.page).await?;
    Ok(Json(List::new(listed.map(OrderDocument::from), listing.page)))
}

/// Shows an order with its licenses and what is in the way. One that turned out to be part of another is answered with
/// that one, under its id.
#[utoipa::path(get, path = "/v1/orders/{id}", tag = "orders", operation_id = "get_order",
    params(("id" = String, Path)), security(("api_key" = ["license:read"])),
    responses((status = 200, body = OrderDetail)))]
pub(crate) async fn get(
    State(api): State<Api>,
    caller: Allowed<scope::LicenseRead>,
    Id(id): Id<OrderId>,
) -> Result<Json<OrderDetail>, Problem> {
    let whose = caller.whose();
    let found = api.engine.store.order(whose, id).await?;
    let (order, listed) = found.ok_or_else(|| Problem::not_found(id))?;
    let attention = api.engine.store.attention_of_order(order.id).await?;
    let mut licenses = Vec::with_capacity(listed.len());
    for license in listed {
        licenses.push(LicenseDocument::new(&api, whose, license).await?);
    }
    Ok(Json(OrderDetail {
        order: order.into(),
        licenses,
        attention: attention.into_iter().map(AttentionDocument::new).collect(),
    }))
}
