//! Buyers: who they are, what they have, what they were written, and where they use it.

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use domain::{
    id::{ActivationId, CustomerId, ProductId},
    member::Ability,
    text::EmailAddress,
};
use jiff::Timestamp;
use store::{
    lists::{CustomerFilter, Examined, LicenseFilter, ListedLicense, MailFilter, OrderFilter, Page},
    rows::{Activation, Customer},
};

use super::{
    filters, licenses,
    list::{Asked, Pager, address},
    mails, orders,
    place::{Place, to::Look},
    refusal::Refusal,
    shell::{Shell, page},
    words::When,
};
use crate::Web;

/// Licenses, orders and mails on the page of a customer at most; their lists have all.
const SHOWN: u64 = 20;

/// The names that the list knows in its address.
pub(crate) const NAMES: [&str; 2] = ["q", "product"];

#[derive(Template)]
#[template(path = "console/customers.html")]
struct CustomersPage {
    shell: Shell,
    path: String,
    customers: Vec<Row>,
    pager: Pager,
    q: String,
    product: String,
    is_filtered: bool,
    export_path: Option<String>,
}

struct Row {
    path: String,
    email: String,
    name: String,
    since: When,
}

/// `GET …/customers`.
pub(crate) async fn list(
    State(web): State<Web>,
    place: Place<Look>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refusal> {
    let now = web.engine.now();
    let at = asked.page::<CustomerId>()?;
    let (path, kept) = (place.at("customers"), asked.kept(&NAMES));
    let examined = match meant(&web, &place, &asked).await? {
        Meant::Named(rows) => Examined { listed: at.of(rows, |row| row.id), further: None },
        Meant::Filtered(filter) => web.engine.store.examine_customers(place.whose(), &filter, at).await?,
    };
    let pager = Pager::examined(&examined, at, &path, &kept, |row| row.id, |id| CustomerId(id).to_string());
    let row = |row: Customer| Row {
        path: place.at(&format!("customers/{}", CustomerId(row.id))),
        email: row.email,
        name: row.name.unwrap_or_default(),
        since: When::stored(row.created_at, now),
    };
    page(&CustomersPage {
        shell: Shell::new(&web, &place, "customers", "Customers").await?,
        is_filtered: !kept.is_empty(),
        export_path: place.role.may(Ability::Decide).then(|| address(&place.at("customers/export"), &kept)),
        q: asked.get("q").to_owned(),
        product: asked.get("product").to_owned(),
        customers: examined.listed.rows.into_iter().map(row).collect(),
        pager,
        path,
    })
}

/// Whom a list of customers is about.
pub(crate) enum Meant {
    /// Those whom a provider calls by what was asked for.
    Named(Vec<Customer>),
    /// All of whom this is so.
    Filtered(CustomerFilter),
}

/// Whom a list is asked for. What a provider calls somebody comes first: it is no part of a name.
pub(crate) async fn meant<A>(web: &Web, place: &Place<A>, asked: &Asked) -> Result<Meant, Refusal> {
    let named = match asked.get("q") {
        "" => Vec::new(),
        q => web.engine.store.customers_named(place.whose(), q).await?,
    };
    if !named.is_empty() {
        return Ok(Meant::Named(named));
    }
    let product = filters::product(web, place, asked.get("product")).await?;
    Ok(Meant::Filtered(filter(asked.get("q"), product.map(|row| ProductId(row.id)))))
}

/// Whom a person means: an address, a domain, or a part of a name.
fn filter(q: &str, product: Option<ProductId>) -> CustomerFilter {
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    let any = CustomerFilter { product, ..CustomerFilter::default() };
    match (EmailAddress::parse(q), q.strip_prefix('@')) {
        (Ok(email), _) => CustomerFilter { email_normalised: Some(email.normalised()), ..any },
        (_, Some(domain)) => CustomerFilter { email_domain: some(domain.to_lowercase()), ..any },
        _ => CustomerFilter { name: some(q.to_lowercase()), ..any },
    }
}

#[derive(Template)]
#[template(path = "console/customer.html")]
struct CustomerPage {
    shell: Shell,
    id: String,
    email: String,
    name: String,
    since: When,
    licenses: Vec<licenses::Row>,
    orders: Vec<orders::Row>,
    mails: Vec<mails::Row>,
    devices: Vec<Device>,
    licenses_path: String,
    orders_path: String,
    mails_path: String,
    may_help: bool,
}

/// A device that uses one of their licenses.
struct Device {
    name: String,
    fingerprint: String,
    /// Address and key of the license.
    license: (String, String),
    id: ActivationId,
    seen: When,
}

/// `GET …/customers/{id}`.
pub(crate) async fn show(
    State(web): State<Web>,
    place: Place<Look>,
    Path((_, _, id)): Path<(String, String, String)>,
) -> Result<Response, Refusal> {
    let (now, store, whose) = (web.engine.now(), &web.engine.store, place.whose());
    let id: CustomerId = id.parse().map_err(|_| Refusal::NotFound)?;
    let customer = store.customer(whose, id).await?.ok_or(Refusal::NotFound)?;
    let first = Page { limit: SHOWN, from: None };
    let of = LicenseFilter { customer: Some(id), ..LicenseFilter::default() };
    let listed = store.list_licenses(whose, &of, first).await?;
    let orders = store.list_orders(whose, &OrderFilter { customer: Some(id), ..OrderFilter::default() }, first).await?;
    let of = MailFilter { customer: Some(id), ..MailFilter::default() };
    let mails = store.list_mails(whose, &of, first).await?;
    let list = |name: &str| place.at(&format!("{name}?customer={id}"));
    page(&CustomerPage {
        shell: Shell::new(&web, &place, "customers", format!("{} · Customer", customer.email)).await?,
        id: id.to_string(),
        email: customer.email,
        name: customer.name.unwrap_or_default(),
        since: When::stored(customer.created_at, now),
        licenses: licenses::rows(&web, &place, &listed.rows, now).await?,
        orders: orders::rows(&web, &place, &orders.rows, now).await?,
        mails: mails::rows(&place, mails.rows, now),
        devices: devices(&web, &place, &listed.rows, now).await?,
        licenses_path: list("licenses"),
        orders_path: list("orders"),
        mails_path: list("mails"),
        may_help: place.role.may(Ability::Help),
    })
}

/// All devices that use these licenses, the one that was seen last first.
async fn devices(
    web: &Web,
    place: &Place<Look>,
    licenses: &[ListedLicense],
    now: Timestamp,
) -> Result<Vec<Device>, Refusal> {
    let mut used: Vec<(&ListedLicense, Activation)> = Vec::new();
    for listed in licenses {
        let rows = web.engine.store.activations(listed.license.id).await?;
        used.extend(rows.into_iter().map(|row| (listed, row)));
    }
    used.sort_by_key(|(_, row)| std::cmp::Reverse(row.last_seen_at));
    let device = |(listed, row): (&ListedLicense, Activation)| {
        let path = place.at(&format!("licenses/{}", listed.license.id));
        Device {
            id: ActivationId(row.id),
            license: (path, listed.key_hint.clone().unwrap_or_else(|| "taken over".to_owned())),
            name: row.name.unwrap_or_else(|| row.kind.clone()),
            fingerprint: row.fingerprint,
            seen: When::stored(row.last_seen_at, now),
        }
    };
    Ok(used.into_iter().map(device).collect())
}
