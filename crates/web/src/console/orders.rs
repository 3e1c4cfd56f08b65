//! The list of orders.

use std::collections::HashMap;

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use domain::id::{CustomerId, OrderId};
use jiff::Timestamp;
use serde::Deserialize;
use store::{StoredOrder, lists::OrderFilter};

use super::{
    list::{Pager, Paging},
    place::{Place, to::Look},
    refusal::Refusal,
    sale,
    shell::{Shell, page},
    words::{Pill, When},
};
use crate::Web;

/// What is asked for.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    customer: String,
    #[serde(flatten)]
    paging: Paging,
}

#[derive(Template)]
#[template(path = "console/orders.html")]
struct OrdersPage {
    shell: Shell,
    path: String,
    orders: Vec<Row>,
    pager: Pager,
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

/// `GET …/orders`.
pub(crate) async fn list(
    State(web): State<Web>,
    place: Place<Look>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refusal> {
    let now = web.engine.now();
    let customer = asked.customer.parse::<CustomerId>().ok();
    let at = asked.paging.page::<OrderId>()?;
    let listed = web.engine.store.list_orders(place.whose(), &OrderFilter { customer }, at).await?;
    let path = place.at("orders");
    let pager = Pager::new(&listed, at, &path, &[("customer", &asked.customer)], |row| row.id.to_string());
    page(&OrdersPage {
        shell: Shell::new(&web, &place, "orders", "Orders").await?,
        orders: rows(&web, &place, &listed.rows, now).await?,
        pager,
        path,
        of: customer.map(|id| (place.at(&format!("customers/{id}")), id.to_string())),
    })
}
