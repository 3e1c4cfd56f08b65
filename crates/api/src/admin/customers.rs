//! Customers.

use axum::{Json, extract::State};
use domain::{id::CustomerId, text::EmailAddress};
use engine::{erasure::Erasure, merging::Merger};
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
    note,
    orders::OrderDocument,
};
use crate::{
    Api,
    caller::{Allowed, scope},
    page::{List, Listable, Listing, PageParams},
    problem::Problem,
    read::{Body, Id, MaybeBody},
};

/// A buyer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Customer)]
pub(crate) struct CustomerDocument {
    #[schema(example = "cus_01kag0000000000000000000000")]
    id: String,
    livemode: bool,
    /// `erased`, once their data was.
    email: String,
    name: Option<String>,
    created_at: Timestamp,
    /// When their data was erased; none: it is as they gave it.
    erased_at: Option<Timestamp>,
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
            erased_at: row.erased_at.map(instant),
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

/// Shows a customer with orders and licenses. The id of one who was merged leads to who they are.
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
    let id = CustomerId(customer.id);
    let orders = store.list_orders(whose, &OrderFilter { customer: Some(id), ..OrderFilter::default() }, page).await?;
    let filter = LicenseFilter { customer: Some(id), ..LicenseFilter::default() };
    let licenses = store.list_licenses(whose, &filter, page).await?;
    Ok(Json(CustomerDetail {
        customer: customer.into(),
        orders: List::new(orders.map(OrderDocument::from), page),
        licenses: List::new(documents(&api, whose, licenses).await?, page),
    }))
}

/// Whether it is done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = Erase)]
pub(crate) struct EraseBody {
    /// Only say what would go. Say `false` to have it done.
    #[schema(default = true)]
    dry_run: bool,
    /// Why, for the audit log, which keeps it for good: do not say here who it is.
    #[schema(max_length = 1000)]
    note: Option<String>,
}

impl Default for EraseBody {
    fn default() -> Self {
        Self { dry_run: true, note: None }
    }
}

/// What goes when a customer is erased, and what stays: how many of each.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Erasure)]
pub(crate) struct ErasureDocument {
    /// Whether nothing was done yet.
    dry_run: bool,
    /// Orders that let go of the address to which their mails go. Amounts, dates and the provider's ids stay.
    orders: u64,
    /// Customers at providers whose name and address are not kept any more, whoever tells them.
    identities: u64,
    /// Mails that let go of their address. Those that had not left do not leave any more.
    mails: u64,
    /// Devices that lose their names.
    devices: u64,
    /// Inbound events whose body goes. What they said of money stays as facts.
    inbound_events: u64,
    /// Events that let go of who bought, and the answers to their deliveries.
    events: u64,
    /// Entries of the audit log that lose notes and names. Its chain holds.
    notes: u64,
    /// Calls in the request log that lose the network address from which they came.
    requests: u64,
    /// Licenses that stay, and go on working.
    licenses: u64,
}

impl ErasureDocument {
    const fn new(erasure: Erasure, dry_run: bool) -> Self {
        let Erasure { orders, identities, mails, devices, inbound, events, notes, requests, licenses } = erasure;
        Self { dry_run, orders, identities, mails, devices, inbound_events: inbound, events, notes, requests, licenses }
    }
}

/// Erases what is known of a customer, for good: GDPR, article 17. What they paid for goes on working.
///
/// Names, addresses and whatever else tells who they are go; amounts, dates, the provider's ids and the licenses stay. What their
/// provider tells of these orders later still counts, and brings nothing back. Without a body it only says what would go.
#[utoipa::path(post, path = "/v1/customers/{id}/erase", tag = "customers", operation_id = "erase_customer",
    params(("id" = String, Path)), request_body = Option<EraseBody>, security(("api_key" = ["user:write"])),
    responses((status = 200, body = ErasureDocument)))]
pub(crate) async fn erase(
    State(api): State<Api>,
    caller: Allowed<scope::UserWrite>,
    Id(id): Id<CustomerId>,
    MaybeBody(body): MaybeBody<EraseBody>,
) -> Result<Json<ErasureDocument>, Problem> {
    let by = caller.by(note(body.note)?);
    let erasure = api.engine.erase_customer(caller.whose(), id, body.dry_run, &by).await?;
    Ok(Json(ErasureDocument::new(erasure.ok_or_else(|| Problem::not_found(id))?, body.dry_run)))
}

/// Which customer is the same person.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Merge)]
pub(crate) struct MergeBody {
    /// The id of the other customer.
    #[schema(value_type = String, example = "cus_01kag0000000000000000000000")]
    with: CustomerId,
    /// Only say what would come of it. Say `false` to have it done.
    #[serde(default = "yes")]
    #[schema(default = true)]
    dry_run: bool,
    /// Why, for the audit log.
    #[serde(default)]
    #[schema(max_length = 1000)]
    note: Option<String>,
}

const fn yes() -> bool {
    true
}

/// What two customers come to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Merger)]
pub(crate) struct MergerDocument {
    /// Whether nothing was done yet.
    dry_run: bool,
    /// Who stays: whoever was known first.
    survivor: String,
    /// Who leads there from then on.
    merged: String,
    /// Orders that follow.
    orders: u64,
    /// Licenses that follow. They work as before.
    licenses: u64,
    /// Customers at providers that follow.
    identities: u64,
}

/// Makes one of two customers who are one person, for good.
///
/// Whoever was known first stays, the other id leads there, and orders and licenses follow; nothing of them changes. Whoever buys
/// under either address from then on is this customer. An address proves nothing: merge only if you know that they are one person.
#[utoipa::path(post, path = "/v1/customers/{id}/merge", tag = "customers", operation_id = "merge_customers",
    params(("id" = String, Path)), request_body = MergeBody, security(("api_key" = ["user:write"])),
    responses((status = 200, body = MergerDocument)))]
pub(crate) async fn merge(
    State(api): State<Api>,
    caller: Allowed<scope::UserWrite>,
    Id(id): Id<CustomerId>,
    Body(body): Body<MergeBody>,
) -> Result<Json<MergerDocument>, Problem> {
    let by = caller.by(note(body.note)?);
    let merger = api.engine.merge_customers(caller.whose(), (id, body.with), body.dry_run, &by).await?;
    let Merger { survivor, other, orders, licenses, identities } = merger.ok_or_else(|| Problem::not_found(id))?;
    Ok(Json(MergerDocument {
        dry_run: body.dry_run,
        survivor: CustomerId(survivor.id).to_string(),
        merged: CustomerId(other.id).to_string(),
        orders,
        licenses,
        identities,
    }))
}
