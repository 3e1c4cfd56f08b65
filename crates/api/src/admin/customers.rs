//! Customers.

use axum::{Json, extract::State};
use domain::{id::CustomerId, text::EmailAddress};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::{
    lists::{CustomerFilter, LicenseFilter, OrderFilter},
    rows::Customer,
};
use utoipa::{IntoParams, ToSchema};

use super::{
    instant,
    licenses::{LicenseDocument, documents},
    orders::OrderDocument,
};
use crate::{
    Api,
    caller::{Allowed, scope},
    page::{List, Listable, Listing, PageParams},
    problem::Problem,
    read::Id,
};

/// A buyer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Customer)]
pub(crate) struct CustomerDocument {
    #[schema(example = "cus_01kag0000000000000000000000")]
    id: String,
    livemode: bool,
    email: String,
    name: Option<String>,
    created_at: Timestamp,
}

impl Listable for CustomerDocument {
    fn id(&self) -> &str {
        &self.id
    }
}

impl From<Customer> for CustomerDocument {
    fn from(row: Customer) -> Self {
        Self {
            id: CustomerId(row.id).to_string(),
            livemode: row.livemode,
            email: row.email,
            name: row.name,
            created_at: instant(row.created_at),
        }
    }
}

/// A buyer with what they bought: the latest hundred orders and licenses. Lists go on with `?customer=`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CustomerDetail {
    #[serde(flatten)]
    customer: CustomerDocument,
    orders: List<OrderDocument>,
    licenses: List<LicenseDocument>,
}

/// Which customers.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CustomerParams {
    /// With this address, in any spelling.
    email: Option<String>,
}

/// Lists customers.
#[utoipa::path(get, path = "/v1/customers", tag = "customers", operation_id = "list_customers",
    params(PageParams, CustomerParams), security(("api_key" = ["user:read"])),
    responses((status = 200, body = List<CustomerDocument>)))]
pub(crate) async fn list(
    State(api): State<Api>,
    caller: Allowed<scope::UserRead>,
    listing: Listing<CustomerId, CustomerParams>,
) -> Result<Json<List<CustomerDocument>>, Problem> {
    let email = listing.filter.email.as_deref().map(EmailAddress::parse).transpose();
    let email = email.map_err(|error| Problem::invalid(format!("`email`: {error}.")).of("email"))?;
    let filter = CustomerFilter { email_normalised: email.map(|email| email.normalised()), ..Default::default() };
    let listed = api.engine.store.list_customers(caller.whose(), &filter, listing.page).await?;
    Ok(Json(List::new(listed.map(CustomerDocument::from), listing.page)))
}

/// Shows a customer with orders and licenses.
#[utoipa::path(get, path = "/v1/customers/{id}", tag = "customers", operation_id = "get_customer",
    params(("id" = String, Path)), security(("api_key" = ["user:read"])),
    responses((status = 200, body = CustomerDetail)))]
pub(crate) async fn get(
    State(api): State<Api>,
    caller: Allowed<scope::UserRead>,
    Id(id): Id<CustomerId>,
) -> Result<Json<CustomerDetail>, Problem> {
    let (whose, store, page) = (caller.whose(), &api.engine.store, List::<LicenseDocument>::first_page());
    let customer = store.customer(whose, id).await?.ok_or_else(|| Problem::not_found(id))?;
    let orders = store.list_orders(whose, &OrderFilter { customer: Some(id), ..OrderFilter::default() }, page).await?;
    let filter = LicenseFilter { customer: Some(id), ..LicenseFilter::default() };
    let licenses = store.list_licenses(whose, &filter, page).await?;
    Ok(Json(CustomerDetail {
        customer: customer.into(),
        orders: List::new(orders.map(OrderDocument::from), page),
        licenses: List::new(documents(&api, whose, licenses).await?, page),
    }))
}
