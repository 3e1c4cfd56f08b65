//! What a file says of each license, customer, order, price rule and entry of the audit log.

use std::collections::{BTreeSet, HashMap};

use domain::{
    activation::Software,
    id::{AuditId, CustomerId, LicenseId, OrderId},
};
use engine::configuration::{PRICE_COLUMNS, PriceTable};
use jiff::Timestamp;
use serde_json::{Value, json};
use store::{
    StoredOrder,
    lists::{Cursor, Listed, ListedLicense, Page},
    rows::{AuditEntry, Customer},
};

use super::{
    super::{
        customers::Meant,
        filters,
        place::{Place, to::Decide},
        prices,
        refusal::Refusal,
        sale,
    },
    Wanted,
};
use crate::Web;

/// Rows that are read at once.
const READ: u64 = 500;

/// Some rows, and behind which one the next are; none: these were the last.
pub(super) struct Piece {
    pub(super) columns: &'static [&'static str],
    pub(super) rows: Vec<Vec<Value>>,
    pub(super) behind: Option<Cursor>,
}

/// Reads the next rows.
pub(super) async fn read(
    web: &Web,
    place: &Place<Decide>,
    wanted: &Wanted,
    behind: Option<Cursor>,
) -> Result<Piece, Refusal> {
    let (store, whose, page) = (&web.engine.store, place.whose(), Page { limit: READ, from: behind });
    match wanted {
        Wanted::Licenses(filter) => {
            let listed = store.list_licenses(whose, filter, page).await?;
            let behind = last(&listed, |row| row.license.id.0);
            let listed = filters::meant(web, place, filter, listed.rows).await?;
            Ok(Piece { columns: LICENSE, rows: licenses(web, place, &listed).await?, behind })
        }
        Wanted::Customers(Meant::Named(rows)) => {
            Ok(Piece { columns: CUSTOMER, rows: rows.iter().map(customer).collect(), behind: None })
        }
        Wanted::Customers(Meant::Filtered(filter)) => {
            let listed = store.list_customers(whose, filter, page).await?;
            Ok(Piece {
                columns: CUSTOMER,
                behind: last(&listed, |row| row.id),
                rows: listed.rows.iter().map(customer).collect(),
            })
        }
        Wanted::Orders(filter) => {
            let listed = store.list_orders(whose, filter, page).await?;
            Ok(Piece {
                columns: ORDER,
                behind: last(&listed, |row| row.id.0),
                rows: orders(web, place, &listed.rows).await?,
            })
        }
        Wanted::Prices => {
            let rules = prices::inputs(web, place).await?;
            let row = |rule| PriceTable::row(rule).map(|cell| json!(cell)).to_vec();
            Ok(Piece { columns: &PRICE_COLUMNS, rows: rules.iter().map(row).collect(), behind: None })
        }
        Wanted::Audit(filter) => {
            let listed = store.list_audit(whose, filter, page).await?;
            Ok(Piece {
                columns: ENTRY,
                behind: last(&listed, |row| row.id),
                rows: listed.rows.iter().map(entry).collect(),
            })
        }
    }
}

fn last<T>(listed: &Listed<T>, id: impl Fn(&T) -> uuid::Uuid) -> Option<Cursor> {
    listed.rows.last().filter(|_| listed.has_more).map(|row| Cursor::After(id(row)))
}

const LICENSE: &[&str] = &[
    "id",
    "key",
    "state",
    "reason",
    "at_risk",
    "product",
    "plan",
    "plan_version",
    "seats",
    "devices",
    "devices_max",
    "ends_at",
    "last_seen_at",
    "app_versions",
    "systems",
    "source",
    "customer_id",
    "email",
    "name",
    "order_id",
    "issued_at",
    "tags",
    "metadata",
];

async fn licenses(web: &Web, place: &Place<Decide>, listed: &[ListedLicense]) -> Result<Vec<Vec<Value>>, Refusal> {
    let ids = || listed.iter().map(|row| row.license.id).collect();
    let (used, software) = (web.engine.store.used(ids()).await?, web.engine.store.software(ids()).await?);
    let customers = customers(web, place, listed.iter().filter_map(|row| row.customer)).await?;
    let connections = filters::connections(web, place).await?;
    let mut rows = Vec::with_capacity(listed.len());
    for row in listed {
        let license = &row.license;
        let offer = web.engine.offer(place.whose().tenant, license.plan).await?;
        let buyer = row.customer.and_then(|id| customers.get(&id));
        let used = used.get(&license.id);
        let source = connections.iter().find(|(id, ..)| *id == row.connection).map(|(_, slug, _)| *slug);
        rows.push(vec![
            json!(license.id),
            json!(row.key_hint),
            json!(license.standing.state.as_str()),
            json!(license.standing.reason.code()),
            json!(license.standing.at_risk),
            json!(offer.product),
            json!(offer.plan.code),
            json!(license.plan.version),
            json!(license.unit.seats),
            json!(used.map_or(0, |(count, _)| *count)),
            json!(license.limits(&offer.plan.terms.limits).activations),
            moment(license.standing.until),
            moment(used.map(|(_, seen)| *seen)),
            each_once(software.get(&license.id), |told| told.app_version.as_deref()),
            each_once(software.get(&license.id), |told| told.os.as_deref()),
            json!(source),
            json!(row.customer),
            json!(buyer.map(|buyer| &buyer.email)),
            json!(buyer.and_then(|buyer| buyer.name.as_ref())),
            json!(row.order),
            moment(Some(license.issued_at)),
            json!(row.tags.iter().cloned().collect::<Vec<_>>().join(";")),
            if row.metadata.is_empty() { Value::Null } else { json!(row.metadata) },
        ]);
    }
    Ok(rows)
}

/// What the apps of a license say, each once; nothing: none says anything.
fn each_once(software: Option<&Vec<Software>>, what: impl Fn(&Software) -> Option<&str>) -> Value {
    let told: BTreeSet<&str> = software.into_iter().flatten().filter_map(what).collect();
    if told.is_empty() { Value::Null } else { json!(told.into_iter().collect::<Vec<_>>().join(", ")) }
}

const CUSTOMER: &[&str] = &["id", "email", "name", "created_at"];

fn customer(row: &Customer) -> Vec<Value> {
    let created = Timestamp::from_microsecond(row.created_at).ok();
    vec![json!(CustomerId(row.id)), json!(row.email), json!(row.name), moment(created)]
}

const ORDER: &[&str] =
    &["id", "bought", "money", "total", "source", "customer_id", "email", "name", "sold_at", "references"];

async fn orders(web: &Web, place: &Place<Decide>, orders: &[StoredOrder]) -> Result<Vec<Vec<Value>>, Refusal> {
    let customers = customers(web, place, orders.iter().filter_map(|order| order.customer)).await?;
    let connections = filters::connections(web, place).await?;
    let row = |order: &StoredOrder| {
        let buyer = order.customer.and_then(|id| customers.get(&id));
        let source = connections.iter().find(|(id, ..)| *id == order.connection).map(|(_, slug, _)| *slug);
        let names: Vec<&str> = order.order.references.iter().map(|reference| reference.as_str()).collect();
        vec![
            json!(order.id),
            json!(sale::title(&order.order)),
            json!(sale::standing(&order.order).word),
            json!(sale::total(&order.order)),
            json!(source),
            json!(order.customer),
            json!(buyer.map(|buyer| &buyer.email)),
            json!(buyer.and_then(|buyer| buyer.name.as_ref())),
            moment(Some(order.created_at)),
            json!(names.join(" ")),
        ]
    };
    Ok(orders.iter().map(row).collect())
}

const ENTRY: &[&str] =
    &["sequence", "id", "occurred_at", "actor", "action", "subject", "order", "license", "detail", "link"];

/// An entry as it was written, so that its place in the chain can be computed from it.
fn entry(row: &AuditEntry) -> Vec<Value> {
    let at = Timestamp::from_microsecond(row.occurred_at).unwrap_or(Timestamp::MIN);
    vec![
        json!(row.sequence),
        json!(AuditId(row.id)),
        json!(at.to_string()),
        json!(row.actor),
        json!(row.action),
        json!(row.subject),
        json!(row.order_id.map(OrderId)),
        json!(row.license_id.map(LicenseId)),
        serde_json::from_str(&row.detail).unwrap_or_else(|_| json!(row.detail)),
        json!(row.chain.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
    ]
}

async fn customers(
    web: &Web,
    place: &Place<Decide>,
    ids: impl Iterator<Item = CustomerId>,
) -> Result<HashMap<CustomerId, Customer>, Refusal> {
    let rows = web.engine.store.customers(place.whose(), ids.collect()).await?;
    Ok(rows.into_iter().map(|row| (CustomerId(row.id), row)).collect())
}

/// A moment as files have it: RFC 3339, to the second.
fn moment(at: Option<Timestamp>) -> Value {
    json!(at.map(|at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()))
}
