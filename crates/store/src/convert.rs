//! Between rows and the domain's types.

use domain::{
    id::{ConnectionId, CustomerId, LicenseId, OrderId, PlanId, ProductId, TenantId},
    license::{Holding, License},
    plan::{Adjustment, Plan, PlanVersion},
    text::PlanCode,
};
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    entities::{licenses, orders, plans},
    error::StoreError,
    orders::StoredOrder,
};

/// Integer microseconds, as stored.
pub(crate) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// Back from microseconds; what is out of range becomes the nearest instant.
pub(crate) fn instant(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(if micros < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

/// A document as stored. Our own types have a JSON form.
pub(crate) fn document<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| unreachable!("our types have a JSON form: {error}"))
}

/// Reads a stored document.
pub(crate) fn read<T: DeserializeOwned>(what: &'static str, id: impl ToString, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Unreadable {
        what,
        id: id.to_string(),
        reason: error.to_string(),
    })
}

pub(crate) fn plan(row: plans::Model) -> Result<Plan, StoreError> {
    let plan = PlanId(row.id);
    Ok(Plan {
        version: PlanVersion { plan, version: row.version.unsigned_abs(), product: ProductId(row.product_id) },
        code: PlanCode::new(row.code),
        name: row.name.into(),
        terms: read("plan", plan, &row.terms)?,
    })
}

pub(crate) fn order(row: orders::Model) -> Result<StoredOrder, StoreError> {
    let id = OrderId(row.id);
    Ok(StoredOrder {
        id,
        tenant: TenantId(row.tenant_id),
        connection: ConnectionId(row.connection_id),
        livemode: row.livemode,
        customer: row.customer_id.map(CustomerId),
        order: read("order", id, &row.body)?,
        licenses: Vec::new(),
        due_at: row.due_at.map(instant),
        merged_into: row.merged_into.map(OrderId),
        created_at: instant(row.created_at),
    })
}

pub(crate) fn order_row(order: &StoredOrder, now: Timestamp) -> orders::Model {
    orders::Model {
        id: order.id.0,
        tenant_id: order.tenant.0,
        connection_id: order.connection.0,
        livemode: order.livemode,
        customer_id: order.customer.map(|customer| customer.0),
        body: document(&order.order),
        due_at: order.due_at.map(micros),
        merged_into: order.merged_into.map(|id| id.0),
        created_at: micros(order.created_at),
        updated_at: micros(now),
    }
}

/// A license of its row.
pub(crate) fn license(row: &licenses::Model) -> Result<License, StoreError> {
    let id = LicenseId(row.id);
    Ok(License {
        id,
        origin: OrderId(row.origin_order_id),
        slot: row.slot.unsigned_abs(),
        issued_at: instant(row.issued_at),
        unit: read("license", id, &row.unit)?,
        plan: PlanVersion {
            plan: PlanId(row.plan_id),
            version: row.plan_version.unsigned_abs(),
            product: ProductId(row.product_id),
        },
        standing: read("license", id, &row.standing)?,
        rulings: read("license", id, &row.rulings)?,
        holding: match (row.holding.as_str(), row.superseded_by) {
            ("retired", _) => Holding::Retired,
            (_, Some(by)) => Holding::SupersededBy(LicenseId(by)),
            _ => Holding::Unit,
        },
        announced: row.announced,
        expiry_told: row.expiry_told.map(instant),
        keys: row.keys.unsigned_abs(),
    })
}

pub(crate) fn license_row(license: &License, order: &StoredOrder, now: Timestamp) -> licenses::Model {
    let (holding, superseded_by) = match license.holding {
        Holding::Unit => ("unit", None),
        Holding::Retired => ("retired", None),
        Holding::SupersededBy(by) => ("superseded", Some(by.0)),
    };
    licenses::Model {
        id: license.id.0,
        tenant_id: order.tenant.0,
        livemode: order.livemode,
        order_id: order.id.0,
        origin_order_id: license.origin.0,
        slot: license.slot.cast_signed(),
        customer_id: order.customer.map(|customer| customer.0),
        connection_id: order.connection.0,
        product_id: license.plan.product.0,
        plan_id: license.plan.plan.0,
        plan_version: license.plan.version.cast_signed(),
        seats: license.unit.seats.cast_signed(),
        adjustment: Some(license.adjustment())
            .filter(|adjustment| *adjustment != Adjustment::default())
            .as_ref()
            .map(document),
        state: license.standing.state.as_str().to_owned(),
        reason: license.standing.reason.code().to_owned(),
        until: license.standing.until.map(micros),
        unit: document(&license.unit),
        standing: document(&license.standing),
        rulings: document(&license.rulings),
        holding: holding.to_owned(),
        superseded_by,
        announced: license.announced,
        expiry_told: license.expiry_told.map(micros),
        keys: license.keys.cast_signed(),
        issued_at: micros(license.issued_at),
        updated_at: micros(now),
    }
}
