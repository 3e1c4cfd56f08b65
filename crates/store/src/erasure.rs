//! What is known of a person goes: each table lets go of names, addresses and words about them, and keeps the rest.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::{
    fact::Fact,
    id::{ConnectionId, CustomerId, InboundId, LicenseId, OrderId, TenantId},
    text::CustomerReference,
};
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::{Expr, ExprTrait},
};
use uuid::Uuid;

use crate::{
    StoredIdentity, Write,
    bulk::{self, Existing, any_of},
    customers,
    entities::{
        activations, api_requests, audit_entries, audit_erasures, customers as buyers, deliveries, delivery_attempts,
        denied_checks, events, facts, identities, inbound_events, mails,
    },
    error::StoreError,
    inbox,
    lists::{Concerned, Whose, moments::about_customer, sales::customers_of},
    outbox,
    rows::{AuditEntry, Customer, Event},
    snapshot::Snapshot,
};

/// What an audit entry calls it that a buyer was erased.
pub const ERASED_ACTION: &str = "customer.erased";

/// A fact with its place: of which event, as which of its facts, in which order.
pub type Placed = (InboundId, u32, Option<OrderId>, Fact);

impl Write {
    /// A customer, for a change: other writers wait.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn lock_customer(&self, whose: Whose, id: CustomerId) -> Result<Option<Customer>, StoreError> {
        let mut query = buyers::Entity::find_by_id(id.0).filter(customers_of(whose));
        if self.is_shared() {
            query = query.lock_exclusive();
        }
        Ok(query.one(&self.transaction).await?)
    }

    /// Writes what is known of a customer.
    ///
    /// # Errors
    /// Those of the database, or somebody else has the address.
    pub async fn save_customer(&self, row: Customer) -> Result<(), StoreError> {
        bulk::insert::<buyers::Entity>(&self.transaction, vec![row], Existing::Replace).await?;
        Ok(())
    }

    /// The customers of providers that are this customer here.
    ///
    /// # Errors
    /// Those of the database, or a stored document does not read.
    pub async fn identities_of(&self, customer: CustomerId) -> Result<Vec<StoredIdentity>, StoreError> {
        let mut query = identities::Entity::find().filter(identities::Column::CustomerId.eq(customer.0));
        query = query.order_by_asc(identities::Column::Reference).order_by_asc(identities::Column::ConnectionId);
        if self.is_shared() {
            query = query.lock_exclusive();
        }
        query.all(&self.transaction).await?.into_iter().map(customers::identity).collect()
    }

    /// What events said about these orders, and about these customers of providers.
    ///
    /// # Errors
    /// Those of the database, or a stored fact does not read.
    pub async fn facts_about(
        &self,
        orders: &[OrderId],
        identities: &BTreeSet<(ConnectionId, CustomerReference)>,
    ) -> Result<Vec<Placed>, StoreError> {
        let mut found = Vec::new();
        let orders = orders.iter().map(|id| Some(id.0)).collect();
        for condition in any_of(&self.transaction, facts::Column::OrderId, orders) {
            found.extend(facts::Entity::find().filter(condition).all(&self.transaction).await?);
        }
        let references: BTreeSet<_> = identities.iter().map(|(_, reference)| Some(reference.to_string())).collect();
        let mut told = Vec::new();
        for condition in any_of(&self.transaction, facts::Column::Customer, references.into_iter().collect()) {
            told.extend(facts::Entity::find().filter(condition).all(&self.transaction).await?);
        }
        // Two connections may have customers of one name.
        let at = self.connections_of(told.iter().map(|row| row.inbound_id).collect()).await?;
        found.extend(told.into_iter().filter(|row| {
            let reference = row.customer.as_deref().map(CustomerReference::new);
            at.get(&row.inbound_id).zip(reference).is_some_and(|(at, reference)| identities.contains(&(*at, reference)))
        }));
        let placed = |row: facts::Model| {
            let fact = Fact::decode(&row.kind, row.version.unsigned_abs(), &row.body);
            let fact = fact.map_err(|error| StoreError::Unreadable {
                what: "fact of event",
                id: InboundId(row.inbound_id).to_string(),
                reason: error.to_string(),
            })?;
            Ok((InboundId(row.inbound_id), row.position.unsigned_abs(), row.order_id.map(OrderId), fact))
        };
        found.into_iter().map(placed).collect()
    }

    /// Where events were delivered.
    async fn connections_of(&self, events: Vec<Uuid>) -> Result<HashMap<Uuid, ConnectionId>, StoreError> {
        let mut found = HashMap::new();
        for condition in any_of(&self.transaction, inbound_events::Column::Id, events) {
            let query = inbound_events::Entity::find()
                .select_only()
                .columns([inbound_events::Column::Id, inbound_events::Column::ConnectionId])
                .filter(condition);
            let rows: Vec<(Uuid, Uuid)> = query.into_tuple().all(&self.transaction).await?;
            found.extend(rows.into_iter().map(|(id, connection)| (id, ConnectionId(connection))));
        }
        Ok(found)
    }

    /// Keeps nothing of what these events said but their facts: neither bodies, nor what was looked up, nor the headers of their
    /// calls, nor what was in their way. Those that are not done yet are left alone, and so are those of `keys`: they tell keys that
    /// no license has yet, and nothing else has those. Returns how many had a body.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn erase_events(&self, ids: Vec<InboundId>, keys: &BTreeSet<String>) -> Result<u64, StoreError> {
        use inbound_events::Column;
        let mut erased = 0;
        for condition in any_of(&self.transaction, Column::Id, ids.into_iter().map(|id| id.0).collect()) {
            let update = inbound_events::Entity::update_many()
                .col_expr(Column::Body, Expr::val(inbox::ERASED))
                .col_expr(Column::Requests, Expr::val(Option::<String>::None))
                .col_expr(Column::Answers, Expr::val(Option::<String>::None))
                .col_expr(Column::Call, Expr::val(Option::<String>::None))
                .col_expr(Column::Error, Expr::val(Option::<String>::None))
                .filter(condition)
                .filter(Column::EventKey.is_not_in(keys))
                .filter(Column::Status.is_in([inbox::status::DONE, inbox::status::IGNORED]))
                .filter(Column::Body.ne(inbox::ERASED));
            erased += update.exec(&self.transaction).await?.rows_affected;
        }
        Ok(erased)
    }

    /// Takes the addresses out of the mails about these licenses. What has not left leaves no more; whoever is sending one now finds
    /// that it is not theirs any more. Returns how many had one.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn erase_mails(&self, licenses: &[LicenseId]) -> Result<u64, StoreError> {
        use mails::Column;
        let unsent = [outbox::status::PENDING, outbox::status::HELD, outbox::status::FAILED];
        let mut erased = 0;
        for condition in any_of(&self.transaction, Column::LicenseId, plain(licenses)) {
            mails::Entity::update_many()
                .col_expr(Column::Status, Expr::val(outbox::status::SUPERSEDED))
                .col_expr(Column::NextAttemptAt, Expr::val(Option::<i64>::None))
                .col_expr(Column::LeaseToken, Expr::val(Option::<Uuid>::None))
                .col_expr(Column::LeaseUntil, Expr::val(Option::<i64>::None))
                .filter(condition.clone())
                .filter(Column::Status.is_in(unsent))
                .exec(&self.transaction)
                .await?;
            let update = mails::Entity::update_many()
                .col_expr(Column::Recipient, Expr::val(outbox::ERASED))
                .col_expr(Column::RecipientName, Expr::val(Option::<String>::None))
                .col_expr(Column::Response, Expr::val(Option::<String>::None))
                .filter(condition)
                .filter(Column::Recipient.ne(outbox::ERASED));
            erased += update.exec(&self.transaction).await?.rows_affected;
        }
        Ok(erased)
    }

    /// Takes the names of devices that use these licenses, and forgets which others were denied them. Returns how many had a
    /// name.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn erase_device_names(&self, licenses: &[LicenseId]) -> Result<u64, StoreError> {
        use activations::Column;
        let mut erased = 0;
        for condition in any_of(&self.transaction, denied_checks::Column::LicenseId, plain(licenses)) {
            denied_checks::Entity::delete_many().filter(condition).exec(&self.transaction).await?;
        }
        for condition in any_of(&self.transaction, Column::LicenseId, plain(licenses)) {
            let update = activations::Entity::update_many()
                .col_expr(Column::Name, Expr::val(Option::<String>::None))
                .filter(condition)
                .filter(Column::Name.is_not_null());
            erased += update.exec(&self.transaction).await?.rows_affected;
        }
        Ok(erased)
    }

    /// What the vendor's own systems were told, or are to be, about these licenses, this buyer, and about these customers of
    /// providers before anybody knew who they are here.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn events_about(&self, whose: Whose, about: &Concerned) -> Result<Vec<Event>, StoreError> {
        let licenses = about.licenses.iter().map(|id| Some(id.0)).collect();
        let mut found = Vec::new();
        let unknown = events::Column::CustomerId.is_null().and(events::Column::LicenseId.is_null());
        let unknown =
            unknown.and(events::Column::TenantId.eq(whose.tenant.0)).and(events::Column::Livemode.eq(whose.livemode));
        let unknown = unknown.and(events::Column::Kind.starts_with("customer."));
        let conditions = any_of(&self.transaction, events::Column::LicenseId, licenses).into_iter();
        for condition in conditions.chain([about_customer(about.customer), unknown]) {
            found.extend(events::Entity::find().filter(condition).all(&self.transaction).await?);
        }
        Ok(found)
    }

    /// Writes what events tell, and lets go of what was answered when they were delivered.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn rewrite_events(&self, rows: Vec<Event>) -> Result<(), StoreError> {
        use delivery_attempts::Column;
        let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
        let body = Existing::Update { by: &[events::Column::Id], columns: &[events::Column::Body] };
        bulk::insert::<events::Entity>(&self.transaction, rows, body).await?;
        for condition in any_of(&self.transaction, deliveries::Column::EventId, ids) {
            let told = deliveries::Entity::find().select_only().column(deliveries::Column::Id).filter(condition);
            delivery_attempts::Entity::update_many()
                .col_expr(Column::Headers, Expr::val(Option::<String>::None))
                .col_expr(Column::Answer, Expr::val(Option::<String>::None))
                .filter(Column::DeliveryId.in_subquery(told.into_query()))
                .exec(&self.transaction)
                .await?;
        }
        Ok(())
    }

    /// Takes the network addresses from which the API was called about these. Returns how many calls had one.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn erase_callers(&self, tenant: TenantId, subjects: Vec<String>) -> Result<u64, StoreError> {
        use api_requests::Column;
        let mut erased = 0;
        for condition in any_of(&self.transaction, Column::Subject, subjects.into_iter().map(Some).collect()) {
            let update = api_requests::Entity::update_many()
                .col_expr(Column::Address, Expr::val(Option::<String>::None))
                .filter(condition)
                .filter(Column::TenantId.eq(tenant.0))
                .filter(Column::Subject.is_not_null())
                .filter(Column::Address.is_not_null());
            erased += update.exec(&self.transaction).await?.rows_affected;
        }
        Ok(erased)
    }

    /// What the audit log says of these orders and licenses, and of what else is named: the buyer, and what was told of them. That
    /// somebody was erased, and why, stays as it is.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn audit_about(&self, about: &Concerned, named: Vec<String>) -> Result<Vec<AuditEntry>, StoreError> {
        use audit_entries::Column;
        let orders = about.orders.iter().map(|id| Some(id.0)).collect();
        let licenses = about.licenses.iter().map(|id| Some(id.0)).collect();
        let conditions = any_of(&self.transaction, Column::OrderId, orders).into_iter();
        let mut found = BTreeMap::new();
        for condition in conditions.chain(any_of(&self.transaction, Column::LicenseId, licenses)) {
            let rows = audit_entries::Entity::find().filter(condition).all(&self.transaction).await?;
            found.extend(rows.into_iter().map(|row| (row.id, row)));
        }
        for condition in any_of(&self.transaction, Column::Subject, named) {
            let query = audit_entries::Entity::find().filter(condition);
            // As in the index, which has what is about neither.
            let query = query.filter(Column::OrderId.is_null()).filter(Column::LicenseId.is_null());
            let rows = query.filter(Column::Action.ne(ERASED_ACTION)).all(&self.transaction).await?;
            found.extend(rows.into_iter().map(|row| (row.id, row)));
        }
        Ok(found.into_values().collect())
    }

    /// Writes audit entries from which words were taken, each with the digest of what it said. Of one from which some were taken
    /// before, the first digest stays: its link stands on that.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn rewrite_audit(&self, entries: Vec<(AuditEntry, Vec<u8>)>) -> Result<(), StoreError> {
        let digests =
            entries.iter().map(|(entry, digest)| audit_erasures::Model { entry_id: entry.id, digest: digest.clone() });
        bulk::insert::<audit_erasures::Entity>(&self.transaction, digests.collect(), Existing::Keep).await?;
        let entries = entries.into_iter().map(|(entry, _)| entry).collect();
        let words = Existing::Update { by: &[audit_entries::Column::Id], columns: &[audit_entries::Column::Detail] };
        bulk::insert::<audit_entries::Entity>(&self.transaction, entries, words).await?;
        Ok(())
    }
}

impl Snapshot {
    /// The digests of what entries of the audit log said from which words were taken since.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn audit_erasures(&self, entries: Vec<Uuid>) -> Result<HashMap<Uuid, Vec<u8>>, StoreError> {
        let mut found = HashMap::new();
        for condition in any_of(self.transaction(), audit_erasures::Column::EntryId, entries) {
            let rows = audit_erasures::Entity::find().filter(condition).all(self.transaction()).await?;
            found.extend(rows.into_iter().map(|row| (row.entry_id, row.digest)));
        }
        Ok(found)
    }
}

fn plain(licenses: &[LicenseId]) -> Vec<Uuid> {
    licenses.iter().map(|id| id.0).collect()
}
