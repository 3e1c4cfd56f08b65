//! Buyers, in a list.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use domain::{
    id::{CustomerId, ProductId},
    member::Ability,
    text::EmailAddress,
};
use store::{
    lists::{CustomerFilter, Examined},
    rows::Customer,
};

use super::{
    filters,
    list::{Asked, Pager, address},
    place::{Place, to::Look},
    refusal::Refusal,
    shell::{Shell, page},
    words::When,
};
use crate::Web;

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
