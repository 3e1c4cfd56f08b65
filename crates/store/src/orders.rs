//! Orders with their licenses: found by reference, loaded and locked together, written together.

use std::collections::{BTreeSet, HashMap};

use domain::{
    id::{ConnectionId, CustomerId, LicenseId, OrderId, TenantId},
    license::License,
    order::Order,
    text::Reference,
};
use jiff::Timestamp;
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Expr, LockBehavior, LockType},
};
use uuid::Uuid;

use crate::{
    Store, Write,
    bulk::{self, Existing, any_of},
    convert::{self, micros},
    entities::{facts, licenses, order_references, orders},
    error::StoreError,
    lists::Whose,
};

/// An order as kept, with all its licenses.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredOrder {
    /// Its id.
    pub id: OrderId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Where it was made.
    pub connection: ConnectionId,
    /// Live or test money.
    pub livemode: bool,
    /// The buyer, once there is an address.
    pub customer: Option<CustomerId>,
    /// What is known.
    pub order: Order,
    /// What came of it.
    pub licenses: Vec<License>,
    /// When it must be looked at again.
    pub due_at: Option<Timestamp>,
    /// The order it turned out to be a part of.
    pub merged_into: Option<OrderId>,
    /// When it was first heard of.
    pub created_at: Timestamp,
}

/// Orders whose time has come. Those whose time is far away cost nothing: the index that is read begins with these.
pub(crate) fn due(now: Timestamp) -> Select<orders::Entity> {
    orders::Entity::find()
        .select_only()
        .column(orders::Column::Id)
        .filter(orders::Column::DueAt.lte(micros(now)))
        .order_by_asc(orders::Column::DueAt)
}

impl Write {
    /// Which orders the references name. References that no order has are absent.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn orders_by_reference(
        &self,
        references: &BTreeSet<(ConnectionId, Reference)>,
    ) -> Result<HashMap<(ConnectionId, Reference), OrderId>, StoreError> {
        let texts: BTreeSet<&str> = references.iter().map(|(_, reference)| reference.as_str()).collect();
        let texts: Vec<String> = texts.into_iter().map(str::to_owned).collect();
        let mut found = HashMap::new();
        for condition in any_of(&self.transaction, order_references::Column::Reference, texts) {
            for row in order_references::Entity::find().filter(condition).all(&self.transaction).await? {
                let name = (ConnectionId(row.connection_id), Reference::new(row.reference));
                if references.contains(&name) {
                    found.insert(name, OrderId(row.order_id));
                }
            }
        }
        Ok(found)
    }

    /// Loads orders with their licenses and keeps other writers off them, in the order of their ids.
    ///
    /// # Errors
    /// Those of the database, or a stored document does not read.
    pub async fn load_orders(&self, ids: &BTreeSet<OrderId>) -> Result<Vec<StoredOrder>, StoreError> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let mut orders = Vec::with_capacity(ids.len());
        for condition in any_of(&self.transaction, orders::Column::Id, ids.clone()) {
            let mut query = orders::Entity::find().filter(condition).order_by_asc(orders::Column::Id);
            if self.is_shared() {
                query = query.lock_exclusive();
            }
            for row in query.all(&self.transaction).await? {
                orders.push(convert::order(row)?);
            }
        }
        let mut places: HashMap<OrderId, usize> = HashMap::with_capacity(orders.len());
        places.extend(orders.iter().enumerate().map(|(place, order)| (order.id, place)));
        for condition in any_of(&self.transaction, licenses::Column::OrderId, ids) {
            for row in licenses::Entity::find().filter(condition).all(&self.transaction).await? {
                if let Some(place) = places.get(&OrderId(row.order_id)) {
                    orders[*place].licenses.push(convert::license(&row)?);
                }
            }
        }
        Ok(orders)
    }

    /// The orders whose time has come, the longest due first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn due_orders(&self, now: Timestamp, limit: u64) -> Result<BTreeSet<OrderId>, StoreError> {
        let mut query = due(now).limit(limit);
        if self.is_shared() {
            query = query.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
        }
        let ids: Vec<Uuid> = query.into_tuple().all(&self.transaction).await?;
        Ok(ids.into_iter().map(OrderId).collect())
    }

    /// Has the orders looked at again, from `now` on.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn wake_orders(&self, ids: &BTreeSet<OrderId>, now: Timestamp) -> Result<(), StoreError> {
        for condition in any_of(&self.transaction, orders::Column::Id, ids.iter().map(|id| id.0).collect()) {
            orders::Entity::update_many()
                .col_expr(orders::Column::DueAt, Expr::val(micros(now)))
                .filter(condition)
                .filter(orders::Column::MergedInto.is_null())
                .exec(&self.transaction)
                .await?;
        }
        Ok(())
    }

    /// Writes orders and their licenses, new or changed, in the order of their ids, as everybody locks them.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn save_orders(&self, saved: &[StoredOrder], now: Timestamp) -> Result<(), StoreError> {
        let mut rows: Vec<_> = saved.iter().map(|order| convert::order_row(order, now)).collect();
        rows.sort_by_key(|row| row.id);
        bulk::insert::<orders::Entity>(&self.transaction, rows, Existing::Replace).await?;
        let mut rows: Vec<_> = saved
            .iter()
            .flat_map(|order| order.licenses.iter().map(|license| convert::license_row(license, order, now)))
            .collect();
        rows.sort_by_key(|row| row.id);
        bulk::insert::<licenses::Entity>(&self.transaction, rows, Existing::Replace).await?;
        Ok(())
    }

    /// Adds names of orders. A name that another order got meanwhile is a conflict: the batch is to be repeated.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn add_references(&self, names: Vec<(ConnectionId, Reference, OrderId)>) -> Result<(), StoreError> {
        let rows: Vec<_> = names
            .into_iter()
            .map(|(connection, reference, order)| order_references::Model {
                connection_id: connection.0,
                reference: reference.as_str().to_owned(),
                order_id: order.0,
            })
            .collect();
        let result = bulk::insert::<order_references::Entity>(&self.transaction, rows, Existing::Refuse).await;
        match result {
            Err(StoreError::Duplicate(text)) => Err(StoreError::Conflict(sea_orm::DbErr::Custom(text))),
            other => other.map(|_| ()),
        }
    }

    /// An order became part of another: its names and facts follow.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn redirect_order(&self, from: OrderId, to: OrderId) -> Result<(), StoreError> {
        order_references::Entity::update_many()
            .col_expr(order_references::Column::OrderId, Expr::val(to.0))
            .filter(order_references::Column::OrderId.eq(from.0))
            .exec(&self.transaction)
            .await?;
        facts::Entity::update_many()
            .col_expr(facts::Column::OrderId, Expr::val(Some(to.0)))
            .filter(facts::Column::OrderId.eq(from.0))
            .exec(&self.transaction)
            .await?;
        Ok(())
    }

    /// Whose an order is and where it was made, whatever else of it does not read.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn place_of_order(&self, order: OrderId) -> Result<Option<(Whose, ConnectionId)>, StoreError> {
        let place: Option<(Uuid, bool, Uuid)> = orders::Entity::find_by_id(order.0)
            .select_only()
            .columns([orders::Column::TenantId, orders::Column::Livemode, orders::Column::ConnectionId])
            .into_tuple()
            .one(&self.transaction)
            .await?;
        let whose = |tenant, livemode| Whose { tenant: TenantId(tenant), livemode };
        Ok(place.map(|(tenant, livemode, connection)| (whose(tenant, livemode), ConnectionId(connection))))
    }

    /// A tenant's order, or the one that it turned out to be part of.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn survivor_of_order(&self, tenant: TenantId, order: OrderId) -> Result<Option<OrderId>, StoreError> {
        let mut wanted = order;
        loop {
            let merged: Option<Option<Uuid>> = orders::Entity::find_by_id(wanted.0)
                .select_only()
                .column(orders::Column::MergedInto)
                .filter(orders::Column::TenantId.eq(tenant.0))
                .into_tuple()
                .one(&self.transaction)
                .await?;
            match merged {
                None => return Ok(None),
                Some(None) => return Ok(Some(wanted)),
                // The surviving order has the smaller id, so this comes to an end.
                Some(Some(into)) => wanted = OrderId(into),
            }
        }
    }

    /// The order of a tenant's license.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn order_of_license(&self, tenant: TenantId, license: LicenseId) -> Result<Option<OrderId>, StoreError> {
        let order: Option<Uuid> = licenses::Entity::find_by_id(license.0)
            .select_only()
            .column(licenses::Column::OrderId)
            .filter(licenses::Column::TenantId.eq(tenant.0))
            .into_tuple()
            .one(&self.transaction)
            .await?;
        Ok(order.map(OrderId))
    }
}

impl Store {
    /// The order that a reference names, with its licenses in the order of their slots.
    ///
    /// # Errors
    /// Those of the database, or a stored document does not read.
    pub async fn order_licenses(
        &self,
        connection: ConnectionId,
        reference: &Reference,
    ) -> Result<Option<(OrderId, Vec<License>)>, StoreError> {
        // As of one moment: between two, the order may become a part of another.
        let snapshot = self.snapshot().await?;
        let name = order_references::Entity::find()
            .filter(order_references::Column::Reference.eq(reference.as_str()))
            .filter(order_references::Column::ConnectionId.eq(connection.0));
        let Some(name) = name.one(snapshot.transaction()).await? else { return Ok(None) };
        let query = licenses::Entity::find().filter(licenses::Column::OrderId.eq(name.order_id));
        let rows = query.order_by_asc(licenses::Column::Slot).all(snapshot.transaction()).await?;
        let licenses = rows.iter().map(convert::license).collect::<Result<_, _>>()?;
        Ok(Some((OrderId(name.order_id), licenses)))
    }
}
