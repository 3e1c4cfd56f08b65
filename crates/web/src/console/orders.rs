//! The list of orders.

use std::collections::HashMap;

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use domain::{
    id::{CustomerId, OrderId, ProductId},
    member::Ability,
};
use jiff::Timestamp;
use store::{StoredOrder, lists::OrderFilter};

use super::{
    filters,
    list::{Asked, Pager, address},
    place::{Place, to::Look},
    refusal::Refusal,
    sale,
    shell::{Shell, page},
    words::{Pill, When},
};
use crate::Web;

/// The names that the list knows in its address.
pub(crate) const NAMES: [&str; 3] = ["customer", "source", "product"];

#[derive(Template)]
#[template(path = "console/orders.html")]
struct OrdersPage {
    shell: Shell,
    path: String,
    orders: Vec<Row>,
    pager: Pager,
    /// The providers to choose from: slug, name, and whether it is chosen.
    sources: Vec<(&'static str, &'static str, bool)>,
    product: String,
    is_filtered: bool,
    export_path: Option<String>,
    /// Whose orders: address and id of the buyer.
    of: Option<(String, String)>,
}

/// An order in a list.
pub(crate) struct Row {
    pub(crate) path: String,
    pub(crate) bought: String,
    pub(crate) pill: Pill,
    pub(crate) total: String,
    pub(crate) buyer: String,
    pub(crate) customer: Option<String>,
    pub(crate) sold: When,
}

/// Orders as rows of a list.
pub(crate) async fn rows<A>(
    web: &Web,
    place: &Place<A>,
    orders: &[StoredOrder],
    now: Timestamp,
) -> Result<Vec<Row>, Refusal> {
    let ids = orders.iter().filter_map(|order| order.customer).collect();
    let emails: HashMap<CustomerId, String> = web
        .engine
        .store
        .customers(place.whose(), ids)
        .await?
        .into_iter()
        .map(|row| (CustomerId(row.id), row.email))
        .collect();
    let row = |order: &StoredOrder| Row {
        path: place.at(&format!("orders/{}", order.id)),
        bought: sale::title(&order.order),
        pill: sale::standing(&order.order),
        total: sale::total(&order.order),
        buyer: order.customer.and_then(|id| emails.get(&id).cloned()).unwrap_or_else(|| buyer(order)),
        customer: order.customer.map(|id| place.at(&format!("customers/{id}"))),
        sold: When::new(order.created_at, now),
    };
    Ok(orders.iter().map(row).collect())
}

/// Who bought, as the sale itself tells.
fn buyer(order: &StoredOrder) -> String {
    let contact = order.order.mailed_to().map(|contact| contact.email.as_str().to_owned());
    contact.unwrap_or_else(|| "nobody known yet".to_owned())
}

/// Which orders are asked for.
pub(crate) async fn filter<A>(web: &Web, place: &Place<A>, asked: &Asked) -> Result<OrderFilter, Refusal> {
    let product = filters::product(web, place, asked.get("product")).await?;
    let connections = filters::connections(web, place).await?.into_iter();
    let sold_at = connections.filter(|(_, slug, _)| *slug == asked.get("source"));
    Ok(OrderFilter {
        customer: asked.get("customer").parse::<CustomerId>().ok(),
        product: product.map(|row| ProductId(row.id)),
        connections: sold_at.map(|(id, ..)| id).collect(),
    })
}

/// `GET …/orders`.
pub(crate) async fn list(
    State(web): State<Web>,
    place: Place<Look>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refusal> {
    let now = web.engine.now();
    let filter = filter(&web, &place, &asked).await?;
    let (at, customer) = (asked.page::<OrderId>()?, filter.customer);
    let examined = web.engine.store.examine_orders(place.whose(), &filter, at).await?;
    let (path, kept) = (place.at("orders"), asked.kept(&NAMES));
    let pager = Pager::examined(&examined, at, &path, &kept, |row| row.id.0, |id| OrderId(id).to_string());
    let mut sources: Vec<_> = filters::connections(&web, &place).await?;
    sources.sort_unstable_by_key(|(_, slug, _)| *slug);
    sources.dedup_by_key(|(_, slug, _)| *slug);
    let source = |(_, slug, name)| (slug, name, slug == asked.get("source"));
    page(&OrdersPage {
        shell: Shell::new(&web, &place, "orders", "Orders").await?,
        orders: rows(&web, &place, &examined.listed.rows, now).await?,
        sources: sources.into_iter().map(source).collect(),
        product: asked.get("product").to_owned(),
        is_filtered: !kept.is_empty(),
        export_path: place.role.may(Ability::Decide).then(|| address(&place.at("orders/export"), &kept)),
        pager,
        path,
        of: customer.map(|id| (place.at(&format!("customers/{id}")), id.to_string())),
    })
}
