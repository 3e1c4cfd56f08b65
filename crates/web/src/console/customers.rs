//! Buyers: who they are, what they have, what they were written, and where they use it.

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use domain::{
    id::{ActivationId, CustomerId},
    member::Ability,
    text::EmailAddress,
};
use jiff::Timestamp;
use serde::Deserialize;
use store::{
    lists::{CustomerFilter, LicenseFilter, ListedLicense, MailFilter, OrderFilter, Page},
    rows::{Activation, Customer},
};

use super::{
    licenses,
    list::{Pager, Paging},
    mails, orders,
    place::{Place, to::Look},
    refusal::Refusal,
    shell::{Shell, page},
    words::When,
};
use crate::Web;

/// Licenses, orders and mails on the page of a customer at most; their lists have all.
const SHOWN: u64 = 20;

/// What is asked for.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    email: String,
    #[serde(flatten)]
    paging: Paging,
}

#[derive(Template)]
#[template(path = "console/customers.html")]
struct CustomersPage {
    shell: Shell,
    path: String,
    customers: Vec<Row>,
    pager: Pager,
    email: String,
    wrong: Option<&'static str>,
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
    let email = asked.email.trim();
    let parsed = EmailAddress::parse(email);
    let wrong = (!email.is_empty() && parsed.is_err()).then_some("This is not an e-mail address, so all are shown.");
    let filter = CustomerFilter { email_normalised: parsed.ok().map(|email| email.normalised()) };
    let at = asked.paging.page::<CustomerId>()?;
    let listed = web.engine.store.list_customers(place.whose(), &filter, at).await?;
    let path = place.at("customers");
    let pager = Pager::new(&listed, at, &path, &[("email", email)], |row| CustomerId(row.id).to_string());
    let row = |row: Customer| Row {
        path: place.at(&format!("customers/{}", CustomerId(row.id))),
        email: row.email,
        name: row.name.unwrap_or_default(),
        since: When::stored(row.created_at, now),
    };
    page(&CustomersPage {
        shell: Shell::new(&web, &place, "customers", "Customers").await?,
        customers: listed.rows.into_iter().map(row).collect(),
        pager,
        path,
        wrong,
        email: email.to_owned(),
    })
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
    let orders = store.list_orders(whose, &OrderFilter { customer: Some(id) }, first).await?;
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
