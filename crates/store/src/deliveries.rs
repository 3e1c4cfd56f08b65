//! Events on their way to vendors' own addresses: one row for each event and address, and one for each try.

use domain::id::{DeliveryId, EventId, RecoveryId, WebhookEndpointId};
use jiff::Timestamp;
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
    sea_query::{Alias, Expr, ExprTrait, Query, SimpleExpr},
};
use uuid::Uuid;

use crate::{
    Store, Write,
    bulk::{self, Existing, any_of},
    convert::micros,
    entities::{
        deliveries::{self, Column},
        delivery_attempts, events, recoveries,
    },
    error::StoreError,
    lists::{ASKED_ABOUT_MAX, Examined, Listed, Page, Whose, first_id, read_examined, read_page},
    rows::{Delivery, DeliveryAttempt, Event, Recovery},
};

/// The attention item of a vendor whose deliveries stayed held when everything else left again.
pub const HELD_AT_RELEASE: &str = "deliveries_held";

/// How far a delivery has come, as stored.
pub mod status {
    /// It is tried until it arrives or is given up.
    pub const PENDING: &str = "pending";
    /// It arrived.
    pub const DELIVERED: &str = "delivered";
    /// Its address is not called at present. A person releases it.
    pub const HELD: &str = "held";
    /// It is given up, for the reason that stands beside.
    pub const DEAD: &str = "dead";
}

/// All of them.
pub const STATUSES: [&str; 4] = [status::PENDING, status::DELIVERED, status::HELD, status::DEAD];

/// Why a delivery is tried, as stored.
pub mod cause {
    /// Something happened.
    pub const EVENT: &str = "event";
    /// A person wants it once more.
    pub const MANUAL: &str = "manual";
    /// A person wants all of a stretch of time once more.
    pub const RECOVERY: &str = "recovery";
    /// A person wants to see an example.
    pub const EXAMPLE: &str = "example";
}

/// How far a recovery has come, as stored.
pub mod recovery {
    /// It goes on.
    pub const RUNNING: &str = "running";
    /// All is queued.
    pub const DONE: &str = "done";
    /// A person has stopped it.
    pub const CANCELLED: &str = "cancelled";
}

/// Which deliveries.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    /// To this address.
    pub endpoint: Option<WebhookEndpointId>,
    /// Of this event.
    pub event: Option<EventId>,
    /// That have come so far: a word of [`status`].
    pub status: Option<String>,
    /// Of events of this kind.
    pub kind: Option<String>,
    /// Answered last with a status from here to there, both included.
    pub answers: Option<(u16, u16)>,
    /// Made from this moment on.
    pub since: Option<Timestamp>,
    /// Made before this moment.
    pub until: Option<Timestamp>,
}

impl DeliveryFilter {
    /// What each delivery is asked about, first of all whether it is of the mode.
    fn condition(&self, whose: Whose) -> Condition {
        let answers = |(from, to)| Column::LastStatus.between(i32::from(from), i32::from(to));
        Condition::all()
            .add(Column::EndpointId.in_subquery(endpoints(whose)))
            .add_option(self.status.as_deref().map(|status| Column::Status.eq(status)))
            .add_option(self.kind.as_deref().map(of_kind))
            .add_option(self.answers.map(answers))
    }
}

/// The deliveries that a filter leads to.
pub(crate) fn all(whose: Whose, filter: &DeliveryFilter) -> Select<deliveries::Entity> {
    deliveries::Entity::find().filter(Column::TenantId.eq(whose.tenant.0)).filter(
        Condition::all()
            .add_option(filter.endpoint.map(|id| Column::EndpointId.eq(id.0)))
            .add_option(filter.event.map(|id| Column::EventId.eq(id.0)))
            .add_option(filter.since.map(|at| Column::Id.gte(first_id(at))))
            .add_option(filter.until.map(|at| Column::Id.lt(first_id(at)))),
    )
}

/// What is still tried, in the words of the partial index.
pub(crate) fn pending() -> SimpleExpr {
    Expr::cust("status = 'pending'")
}

/// A try to deliver, as far as figures are made of it.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Try {
    /// When it began, in microseconds.
    pub began_at: i64,
    /// The status that was answered; none: nobody answered.
    pub status: Option<i32>,
    /// How long it took, in microseconds.
    pub duration_micros: i64,
}

impl Store {
    /// Deliveries to an address that are due, the ones that have waited longest first. Where an address wants the events of
    /// a license one after the other, of each license only the oldest that is still tried.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn due_deliveries(
        &self,
        endpoint: WebhookEndpointId,
        in_order: bool,
        now: Timestamp,
        limit: u64,
    ) -> Result<Vec<Delivery>, StoreError> {
        let mut query = deliveries::Entity::find()
            .filter(Column::EndpointId.eq(endpoint.0))
            .filter(Expr::cust("deliveries.status = 'pending'"))
            .filter(Column::NextAttemptAt.lte(micros(now)));
        if in_order {
            query = query.filter(Condition::any().add(Column::LicenseId.is_null()).add(Expr::exists(earlier()).not()));
        }
        Ok(query.order_by_asc(Column::NextAttemptAt).limit(limit).all(&self.reader).await?)
    }

    /// A page of deliveries.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn list_deliveries(
        &self,
        whose: Whose,
        filter: &DeliveryFilter,
        page: Page,
    ) -> Result<Listed<Delivery>, StoreError> {
        read_page(&self.reader, all(whose, filter).filter(filter.condition(whose)), Column::Id, page).await
    }

    /// A page of deliveries that takes no longer the more there are: it looks at so many, and says where it stopped.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn examine_deliveries(
        &self,
        whose: Whose,
        filter: &DeliveryFilter,
        page: Page,
    ) -> Result<Examined<Delivery>, StoreError> {
        let (all, condition) = (all(whose, filter), filter.condition(whose));
        read_examined(&self.reader, all, condition, Column::Id, page, ASKED_ABOUT_MAX).await
    }

    /// A delivery of a tenant.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn delivery(&self, whose: Whose, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        let query = deliveries::Entity::find_by_id(id.0)
            .filter(Column::TenantId.eq(whose.tenant.0))
            .filter(Column::EndpointId.in_subquery(endpoints(whose)));
        Ok(query.one(&self.reader).await?)
    }

    /// The tries of a delivery, the latest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn attempts(&self, delivery: DeliveryId) -> Result<Vec<DeliveryAttempt>, StoreError> {
        use delivery_attempts::Column::{DeliveryId as Delivery, Id};
        let query = delivery_attempts::Entity::find().filter(Delivery.eq(delivery.0));
        Ok(query.order_by_desc(Id).all(&self.reader).await?)
    }

    /// The tries of the newest deliveries to an address, as far as those were made since a moment.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn attempts_since(
        &self,
        endpoint: WebhookEndpointId,
        since: Timestamp,
        limit: u64,
    ) -> Result<Vec<Try>, StoreError> {
        use delivery_attempts::Column::{BeganAt, DeliveryId as Delivery, DurationMicros, Status};
        let query = deliveries::Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::EndpointId.eq(endpoint.0))
            .filter(Column::Id.gte(first_id(since)))
            .order_by_desc(Column::Id)
            .limit(limit);
        let ids: Vec<Uuid> = query.into_tuple().all(&self.reader).await?;
        let mut attempts = Vec::new();
        for condition in any_of(&self.reader, Delivery, ids) {
            let query = delivery_attempts::Entity::find().select_only().columns([BeganAt, DurationMicros, Status]);
            attempts.extend(query.filter(condition).into_model::<Try>().all(&self.reader).await?);
        }
        Ok(attempts)
    }

    /// When something that did not arrive at an address is tried again next.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn next_retry(&self, endpoint: WebhookEndpointId) -> Result<Option<i64>, StoreError> {
        let query = deliveries::Entity::find()
            .select_only()
            .column(Column::NextAttemptAt)
            .filter(Column::EndpointId.eq(endpoint.0))
            .filter(pending())
            .filter(Column::Attempts.gt(0))
            .order_by_asc(Column::NextAttemptAt)
            .limit(1);
        let found: Option<Option<i64>> = query.into_tuple().one(&self.reader).await?;
        Ok(found.flatten())
    }

    /// The recoveries of an address, the latest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn recoveries(&self, endpoint: WebhookEndpointId) -> Result<Vec<Recovery>, StoreError> {
        let query = recoveries::Entity::find().filter(recoveries::Column::EndpointId.eq(endpoint.0));
        Ok(query.order_by_desc(recoveries::Column::Id).all(&self.reader).await?)
    }

    /// Recoveries that go on.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn running_recoveries(&self) -> Result<Vec<Recovery>, StoreError> {
        let query = recoveries::Entity::find().filter(Expr::cust("status = 'running'"));
        Ok(query.order_by_asc(recoveries::Column::Id).all(&self.reader).await?)
    }
}

/// A delivery whose event is of this kind.
fn of_kind(kind: &str) -> SimpleExpr {
    let event = (events::Entity, events::Column::Id);
    let event = Query::select()
        .expr(Expr::val(1))
        .from(events::Entity)
        .and_where(Expr::col(event).equals((deliveries::Entity, Column::EventId)))
        .and_where(events::Column::Kind.eq(kind))
        .to_owned();
    Expr::exists(event)
}

/// The addresses of a tenant in one mode.
pub(crate) fn endpoints(whose: Whose) -> sea_orm::sea_query::SelectStatement {
    use crate::entities::webhook_endpoints::{self, Column};
    webhook_endpoints::Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::TenantId.eq(whose.tenant.0))
        .filter(Column::Livemode.eq(whose.livemode))
        .into_query()
}

/// An older delivery about the same license to the same address that is still tried.
fn earlier() -> sea_orm::sea_query::SelectStatement {
    let other = Alias::new("earlier");
    let same = |column: Column| Expr::col((other.clone(), column)).equals((deliveries::Entity, column));
    Query::select()
        .expr(Expr::val(1))
        .from_as(deliveries::Entity, other.clone())
        .and_where(Expr::cust("earlier.status = 'pending'"))
        .and_where(same(Column::EndpointId))
        .and_where(same(Column::LicenseId))
        .and_where(Expr::col((other.clone(), Column::Id)).lt(Expr::col((deliveries::Entity, Column::Id))))
        .to_owned()
}

impl Write {
    /// Adds deliveries. One for each event and address: another is not written.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn add_deliveries(&self, added: Vec<Delivery>) -> Result<(), StoreError> {
        bulk::insert::<deliveries::Entity>(&self.transaction, added, Existing::Keep).await?;
        Ok(())
    }

    /// Deliveries of an address, of these events, locked.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn lock_deliveries(
        &self,
        endpoint: WebhookEndpointId,
        events: Vec<Uuid>,
    ) -> Result<Vec<Delivery>, StoreError> {
        let mut found = Vec::new();
        for condition in any_of(&self.transaction, Column::EventId, events) {
            let query = deliveries::Entity::find().filter(condition).filter(Column::EndpointId.eq(endpoint.0));
            let query = if self.is_shared() { query.lock_exclusive() } else { query };
            found.extend(query.all(&self.transaction).await?);
        }
        Ok(found)
    }

    /// Writes how far deliveries have come.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn save_deliveries(&self, rows: Vec<Delivery>) -> Result<(), StoreError> {
        let existing = Existing::Update {
            by: &[Column::Id],
            columns: &[
                Column::Status,
                Column::Cause,
                Column::Attempts,
                Column::NextAttemptAt,
                Column::LastStatus,
                Column::Error,
                Column::DoneAt,
            ],
        };
        bulk::insert::<deliveries::Entity>(&self.transaction, rows, existing).await?;
        Ok(())
    }

    /// Adds tries.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn add_attempts(&self, added: Vec<DeliveryAttempt>) -> Result<(), StoreError> {
        bulk::insert::<delivery_attempts::Entity>(&self.transaction, added, Existing::Refuse).await?;
        Ok(())
    }

    /// Holds all that is still tried at an address.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn hold_deliveries(&self, endpoint: WebhookEndpointId) -> Result<u64, StoreError> {
        let update = deliveries::Entity::update_many()
            .col_expr(Column::Status, Expr::val(status::HELD))
            .col_expr(Column::NextAttemptAt, Expr::val(Option::<i64>::None))
            .filter(Column::EndpointId.eq(endpoint.0))
            .filter(pending());
        Ok(update.exec(&self.transaction).await?.rows_affected)
    }

    /// Has all that is held at an address tried now, with all its tries. Returns how many there are.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn release_deliveries(&self, endpoint: WebhookEndpointId, now: Timestamp) -> Result<u64, StoreError> {
        let update = deliveries::Entity::update_many()
            .col_expr(Column::Status, Expr::val(status::PENDING))
            .col_expr(Column::Attempts, Expr::val(0))
            .col_expr(Column::NextAttemptAt, Expr::val(Some(micros(now))))
            .filter(Column::EndpointId.eq(endpoint.0))
            .filter(Expr::cust("status = 'held'"));
        Ok(update.exec(&self.transaction).await?.rows_affected)
    }

    /// Whether any delivery to an address was given up.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn has_dead_deliveries(&self, endpoint: WebhookEndpointId) -> Result<bool, StoreError> {
        let query = deliveries::Entity::find()
            .filter(Column::EndpointId.eq(endpoint.0))
            .filter(Expr::cust("status = 'dead'"))
            .limit(1);
        Ok(query.one(&self.transaction).await?.is_some())
    }

    pub(crate) async fn remove_deliveries_of(&self, endpoint: WebhookEndpointId) -> Result<(), StoreError> {
        let of_endpoint = || {
            let query = deliveries::Entity::find().select_only().column(Column::Id);
            query.filter(Column::EndpointId.eq(endpoint.0)).into_query()
        };
        delivery_attempts::Entity::delete_many()
            .filter(delivery_attempts::Column::DeliveryId.in_subquery(of_endpoint()))
            .exec(&self.transaction)
            .await?;
        deliveries::Entity::delete_many().filter(Column::EndpointId.eq(endpoint.0)).exec(&self.transaction).await?;
        recoveries::Entity::delete_many()
            .filter(recoveries::Column::EndpointId.eq(endpoint.0))
            .exec(&self.transaction)
            .await?;
        Ok(())
    }

    /// Forgets what is over and older than that, and its tries; so many rows at most. Returns how many deliveries went.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn forget_deliveries(&self, tenant: Uuid, before: Timestamp, limit: u64) -> Result<u64, StoreError> {
        let query = deliveries::Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::TenantId.eq(tenant))
            .filter(Column::CreatedAt.lt(micros(before)))
            .filter(Column::Status.is_in([status::DELIVERED, status::DEAD]))
            .order_by_asc(Column::Id)
            .limit(limit);
        let ids: Vec<Uuid> = query.into_tuple().all(&self.transaction).await?;
        for condition in any_of(&self.transaction, delivery_attempts::Column::DeliveryId, ids.clone()) {
            delivery_attempts::Entity::delete_many().filter(condition).exec(&self.transaction).await?;
        }
        for condition in any_of(&self.transaction, Column::Id, ids.clone()) {
            deliveries::Entity::delete_many().filter(condition).exec(&self.transaction).await?;
        }
        Ok(ids.len() as u64)
    }

    /// The next events of a stretch of time, in the order in which they happened, behind one of them.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn events_between(
        &self,
        whose: Whose,
        (since, until): (Timestamp, Timestamp),
        behind: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<Event>, StoreError> {
        use events::Column;
        let query = events::Entity::find()
            .filter(Column::TenantId.eq(whose.tenant.0))
            .filter(Column::Livemode.eq(whose.livemode))
            .filter(Column::OccurredAt.gte(micros(since)))
            .filter(Column::OccurredAt.lt(micros(until)))
            .filter(Condition::all().add_option(behind.map(|id| Column::Id.gt(id))))
            .order_by_asc(Column::Id)
            .limit(limit);
        Ok(query.all(&self.transaction).await?)
    }

    /// The recoveries of an address, as this transaction sees them.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn recoveries(&self, endpoint: WebhookEndpointId) -> Result<Vec<Recovery>, StoreError> {
        let query = recoveries::Entity::find().filter(recoveries::Column::EndpointId.eq(endpoint.0));
        Ok(query.all(&self.transaction).await?)
    }

    /// A recovery, locked.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn lock_recovery(&self, id: RecoveryId) -> Result<Option<Recovery>, StoreError> {
        let query = recoveries::Entity::find_by_id(id.0);
        let query = if self.is_shared() { query.lock_exclusive() } else { query };
        Ok(query.one(&self.transaction).await?)
    }

    /// Writes a recovery, new or gone on.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn save_recovery(&self, row: Recovery) -> Result<(), StoreError> {
        bulk::insert::<recoveries::Entity>(&self.transaction, vec![row], Existing::Replace).await?;
        Ok(())
    }
}
