//! What happened around a buyer, from each of the tables in which it stands: pages of a timeline, along indexes of whose it is.

use std::collections::{BTreeMap, BTreeSet};

use domain::id::{CustomerId, LicenseId, OrderId};
use sea_orm::{
    ColumnTrait, Condition, DatabaseConnection, EntityTrait, QueryFilter, QuerySelect, QueryTrait, Select,
    sea_query::{ExprTrait, SimpleExpr},
};
use uuid::Uuid;

use super::{InboundSummary, Listed, Page, events::summary, from_cursor, read_page};
use crate::{
    Store,
    bulk::any_of,
    entities::{activations, audit_entries, deliveries, events, facts, inbound_events, licenses, mails, orders},
    error::StoreError,
    rows::{Activation, AuditEntry, Delivery, Mail},
};

/// Whose timeline it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Concerned {
    /// The buyer.
    pub customer: CustomerId,
    /// Their orders, and those that became part of one of them.
    pub orders: Vec<OrderId>,
    /// Their licenses.
    pub licenses: Vec<LicenseId>,
}

impl Concerned {
    fn orders(&self) -> Vec<Uuid> {
        self.orders.iter().map(|id| id.0).collect()
    }

    fn licenses(&self) -> Vec<Uuid> {
        self.licenses.iter().map(|id| id.0).collect()
    }
}

impl Store {
    /// What a buyer has, as far as something can have happened to it. That they are the vendor's was looked at before.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn concerned(&self, customer: CustomerId) -> Result<Concerned, StoreError> {
        let own = orders::Entity::find().select_only().column(orders::Column::Id);
        let own: Vec<Uuid> =
            own.filter(orders::Column::CustomerId.eq(customer.0)).into_tuple().all(&self.reader).await?;
        let held = licenses::Entity::find().select_only().column(licenses::Column::Id);
        let held: Vec<Uuid> =
            held.filter(licenses::Column::CustomerId.eq(customer.0)).into_tuple().all(&self.reader).await?;
        let own: BTreeSet<OrderId> = own.into_iter().map(OrderId).collect();
        Ok(Concerned {
            customer,
            orders: self.with_absorbed(own).await?.into_iter().collect(),
            licenses: held.into_iter().map(LicenseId).collect(),
        })
    }

    /// What providers told of their orders.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn told_about(&self, about: &Concerned, page: Page) -> Result<Listed<InboundSummary>, StoreError> {
        let mut ids: Vec<Uuid> = Vec::new();
        for condition in any_of(&self.reader, facts::Column::OrderId, about.orders().into_iter().map(Some).collect()) {
            ids.extend(telling(condition, page).limit(page.limit + 1).into_tuple::<Uuid>().all(&self.reader).await?);
        }
        ids.sort_unstable();
        ids.dedup();
        let Listed { rows, has_more } = page.of(ids, |id| *id);
        let mut found = Vec::with_capacity(rows.len());
        for condition in any_of(&self.reader, inbound_events::Column::Id, rows) {
            found.extend(summary().filter(condition).into_model::<InboundSummary>().all(&self.reader).await?);
        }
        found.sort_by_key(|row| std::cmp::Reverse(row.id));
        Ok(Listed { rows: found, has_more })
    }

    /// What the audit log says of their orders and licenses: all of it, what members and API keys did, or the rest.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn changed_about(
        &self,
        about: &Concerned,
        by_staff: Option<bool>,
        page: Page,
    ) -> Result<Listed<AuditEntry>, StoreError> {
        use audit_entries::Column;
        let some = |ids: Vec<Uuid>| ids.into_iter().map(Some).collect();
        let conditions = any_of(&self.reader, Column::OrderId, some(about.orders())).into_iter();
        let conditions = conditions.chain(any_of(&self.reader, Column::LicenseId, some(about.licenses())));
        let hands = Condition::all().add_option(by_staff.map(|by_staff| {
            let staff = by_hand();
            if by_staff { staff } else { staff.not() }
        }));
        let mut found = BTreeMap::new();
        for condition in conditions {
            let query = audit_entries::Entity::find().filter(condition).filter(hands.clone());
            let listed: Listed<AuditEntry> = read_page(&self.reader, query, Column::Id, more(page)).await?;
            // An entry about a license is mostly one about its order, too.
            found.extend(listed.rows.into_iter().map(|row| (row.id, row)));
        }
        Ok(page.of(found.into_values().collect(), |row| row.id))
    }

    /// The mails about their licenses.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn written_about(&self, about: &Concerned, page: Page) -> Result<Listed<Mail>, StoreError> {
        let conditions = any_of(&self.reader, mails::Column::LicenseId, about.licenses());
        pieces(&self.reader, mails::Entity::find(), conditions, mails::Column::Id, page, |row: &Mail| row.id).await
    }

    /// Where their licenses were activated and still are.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn used_about(&self, about: &Concerned, page: Page) -> Result<Listed<Activation>, StoreError> {
        let conditions = any_of(&self.reader, activations::Column::LicenseId, about.licenses());
        let id = activations::Column::Id;
        pieces(&self.reader, activations::Entity::find(), conditions, id, page, |row: &Activation| row.id).await
    }

    /// What the vendor's own systems were told of them, their orders and their licenses.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn delivered_about(&self, about: &Concerned, page: Page) -> Result<Listed<Delivery>, StoreError> {
        let licenses = about.licenses().into_iter().map(Some).collect();
        let told = any_of(&self.reader, events::Column::LicenseId, licenses).into_iter();
        let told = told.chain([about_customer(about.customer)]);
        let conditions = told.map(delivering).collect();
        let id = deliveries::Column::Id;
        pieces(&self.reader, deliveries::Entity::find(), conditions, id, page, |row: &Delivery| row.id).await
    }
}

/// Events that told of something, the latest first.
pub(crate) fn telling(condition: SimpleExpr, page: Page) -> Select<facts::Entity> {
    let query = facts::Entity::find().select_only().column(facts::Column::InboundId).distinct().filter(condition);
    from_cursor(query, facts::Column::InboundId, page.from)
}

/// Events about a buyer and their orders, not about one of their licenses: they have an index of their own.
pub(crate) fn about_customer(customer: CustomerId) -> SimpleExpr {
    events::Column::CustomerId.eq(customer.0).and(events::Column::LicenseId.is_null())
}

/// Deliveries of events.
pub(crate) fn delivering(told: SimpleExpr) -> SimpleExpr {
    let told = events::Entity::find().select_only().column(events::Column::Id).filter(told);
    deliveries::Column::EventId.in_subquery(told.into_query())
}

/// What members, their API keys and the command line did.
fn by_hand() -> Condition {
    use audit_entries::Column::Actor;
    Condition::any().add(Actor.starts_with("member:")).add(Actor.starts_with("key:")).add(Actor.eq("cli"))
}

/// One row more, which tells whether there are more.
const fn more(page: Page) -> Page {
    Page { limit: page.limit + 1, from: page.from }
}

/// A page of the rows that meet any of these conditions, which no row meets twice.
async fn pieces<E: EntityTrait>(
    reader: &DatabaseConnection,
    all: Select<E>,
    conditions: Vec<SimpleExpr>,
    id: E::Column,
    page: Page,
    id_of: impl Fn(&E::Model) -> Uuid,
) -> Result<Listed<E::Model>, StoreError>
where
    E::Model: Send + Sync,
{
    let mut rows = Vec::new();
    for condition in conditions {
        rows.extend(read_page::<E, E::Model>(reader, all.clone().filter(condition), id, more(page)).await?.rows);
    }
    Ok(page.of(rows, id_of))
}
