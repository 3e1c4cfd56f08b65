//! What is counted by the hour ([`domain::counted`]), what is ahead, and whether anything has changed: all that a page asks
//! which is looked at all the time, by looks into indexes whose cost does not grow with what there is.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
};

use domain::{
    counted::Counted,
    id::{OrderId, ProductId, TenantId},
};
use jiff::Timestamp;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, EntityTrait, JoinType, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Expr, OnConflict},
};
use uuid::Uuid;

use crate::{
    Store, Write,
    bulk::{any_of, pieces},
    convert::{instant, micros},
    deliveries::pending,
    entities::{
        activations, attention_items, audit_chains, audit_entries, deliveries, facts, hourly_counts, inbound_events,
        licenses, mails, orders,
    },
    error::StoreError,
    inbox,
    lists::{Whose, events},
    outbox,
    rows::AuditEntry,
    status,
};

/// Whose, in which hour (since 1970), and what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CountKey {
    /// Whose.
    pub whose: Whose,
    /// As [`domain::counted::hour_of`] says.
    pub hour: i64,
    /// What is counted.
    pub what: Counted,
}

/// Where a mail comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Live or test money.
    pub livemode: bool,
    /// When the events of its order came, in no particular order.
    pub received: Vec<Timestamp>,
}

/// Marks that move when something changes which a page shows. Equal marks: nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
    /// Open attention items that nobody has laid aside.
    pub attention: u64,
    latest_item: Option<Uuid>,
    latest_event: Option<Uuid>,
    audited: i64,
    counted: i64,
}

impl fmt::Display for Marks {
    /// All of them in a row, for a page to remember.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { attention, latest_item, latest_event, audited, counted } = self;
        let id = |id: &Option<Uuid>| id.unwrap_or_default().simple();
        write!(formatter, "{attention}.{}.{}.{audited}.{counted}", id(latest_item), id(latest_event))
    }
}

impl Write {
    /// Adds to counts. Those who count the same meanwhile wait, in one order, so that none waits for the other in turn.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn count(&self, counts: impl IntoIterator<Item = (CountKey, i64)>) -> Result<(), StoreError> {
        use hourly_counts::Column;
        let mut sums: BTreeMap<(Whose, i64, String), i64> = BTreeMap::new();
        for (CountKey { whose, hour, what }, times) in counts {
            *sums.entry((whose, hour, what.word().into_owned())).or_default() += times;
        }
        let row = |((whose, hour, what), times): ((Whose, i64, String), i64)| hourly_counts::ActiveModel {
            tenant_id: Set(whose.tenant.0),
            livemode: Set(whose.livemode),
            hour: Set(hour),
            what: Set(what),
            times: Set(times),
        };
        let again = OnConflict::columns([Column::TenantId, Column::Livemode, Column::Hour, Column::What])
            .value(Column::Times, Expr::cust("hourly_counts.times + excluded.times"))
            .to_owned();
        for piece in pieces(sums.into_iter().map(row).collect()) {
            let insert = hourly_counts::Entity::insert_many(piece).on_conflict(again.clone());
            insert.exec_without_returning(&self.transaction).await?;
        }
        Ok(())
    }

    /// Forgets what was counted before an hour. Returns how many rows.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn forget_counts(&self, tenant: TenantId, before: i64) -> Result<u64, StoreError> {
        use hourly_counts::Column;
        let old = hourly_counts::Entity::delete_many()
            .filter(Column::TenantId.eq(tenant.0))
            .filter(Column::Livemode.is_in([true, false]))
            .filter(Column::Hour.lt(before));
        Ok(old.exec(&self.transaction).await?.rows_affected)
    }

    /// Which of these inbound events are there.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn known_events(&self, ids: Vec<Uuid>) -> Result<Vec<Uuid>, StoreError> {
        let mut known = Vec::with_capacity(ids.len());
        for condition in any_of(&self.transaction, inbound_events::Column::Id, ids) {
            let query = inbound_events::Entity::find().select_only().column(inbound_events::Column::Id);
            let found: Vec<Uuid> = query.filter(condition).into_tuple().all(&self.transaction).await?;
            known.extend(found);
        }
        Ok(known)
    }
}

impl Store {
    /// What was counted from an hour on, in steps of so many hours: the number of the step, what, and how often. Words that a
    /// newer release has written are left out.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn counts(
        &self,
        whose: Whose,
        from_hour: i64,
        step_hours: i64,
    ) -> Result<Vec<(i64, Counted, i64)>, StoreError> {
        let rows: Vec<(i64, String, i64)> =
            counted(whose, from_hour, step_hours).into_tuple().all(&self.reader).await?;
        let row = |(step, what, times): (i64, String, i64)| Some((step, what.parse().ok()?, times));
        Ok(rows.into_iter().filter_map(row).collect())
    }

    /// How many active licenses end on each of the next days: the number of the day from `from` on, and how many. Days on which
    /// none ends are left out.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn ends_by_day(
        &self,
        whose: Whose,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<(i64, i64)>, StoreError> {
        Ok(ending(whose, from, until).into_tuple().all(&self.reader).await?)
    }

    /// On how many devices that were seen since a moment each version of a product's app runs: the product, the version (none:
    /// it was not told), and how many. Reads as many rows as there are licenses and devices.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn versions_in_use(
        &self,
        whose: Whose,
        since: Timestamp,
    ) -> Result<Vec<(ProductId, Option<String>, i64)>, StoreError> {
        let rows: Vec<(Uuid, Option<String>, i64)> = in_use(whose, since).into_tuple().all(&self.reader).await?;
        Ok(rows.into_iter().map(|(product, version, devices)| (ProductId(product), version, devices)).collect())
    }

    /// What waits: events, mails, and deliveries. Looks into the indexes of what is not over.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn backlog(&self, whose: Whose) -> Result<(u64, u64, u64), StoreError> {
        let events = |state| inbound_events::Entity::find().filter(state).filter(events::inbound_of(whose));
        let mails = mails::Entity::find().filter(outbox::is(outbox::status::PENDING)).filter(status::mails_of(whose));
        let deliveries = deliveries::Entity::find().filter(pending()).filter(status::deliveries_of(whose));
        // As of one moment: an event that goes from one state to the next would not be counted in either.
        let snapshot = self.snapshot().await?;
        let now = snapshot.transaction();
        let waiting = events(inbox::workable()).count(now).await? + events(inbox::waiting()).count(now).await?;
        Ok((waiting, mails.count(now).await?, deliveries.count(now).await?))
    }

    /// The latest entries of the audit log of one mode, among so many of the vendor's latest. Entries that are not about an
    /// order belong to both modes.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn latest_audit(&self, whose: Whose, examined: u64) -> Result<Vec<AuditEntry>, StoreError> {
        let query = audit_entries::Entity::find().filter(audit_entries::Column::TenantId.eq(whose.tenant.0));
        let mut entries =
            query.order_by_desc(audit_entries::Column::Sequence).limit(examined).all(&self.reader).await?;
        let about: BTreeSet<Uuid> = entries.iter().filter_map(|entry| entry.order_id).collect();
        let mut of_mode = BTreeSet::new();
        for condition in any_of(&self.reader, orders::Column::Id, about.into_iter().collect()) {
            let query = orders::Entity::find().select_only().column(orders::Column::Id).filter(condition);
            let query = query.filter(orders::Column::Livemode.eq(whose.livemode));
            let ids: Vec<Uuid> = query.into_tuple().all(&self.reader).await?;
            of_mode.extend(ids);
        }
        entries.retain(|entry| entry.order_id.is_none_or(|order| of_mode.contains(&order)));
        Ok(entries)
    }

    /// Where the mails about these orders come from.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn origins(&self, of: Vec<OrderId>) -> Result<HashMap<OrderId, Origin>, StoreError> {
        let mut origins = HashMap::new();
        let ids: Vec<Uuid> = of.into_iter().map(|id| id.0).collect();
        for condition in any_of(&self.reader, orders::Column::Id, ids.clone()) {
            let query = orders::Entity::find().select_only().columns([orders::Column::Id, orders::Column::Livemode]);
            let found: Vec<(Uuid, bool)> = query.filter(condition).into_tuple().all(&self.reader).await?;
            let new = |(id, livemode)| (OrderId(id), Origin { livemode, received: Vec::new() });
            origins.extend(found.into_iter().map(new));
        }
        let mut told: Vec<(Uuid, Uuid)> = Vec::new();
        for condition in any_of(&self.reader, facts::Column::OrderId, ids.into_iter().map(Some).collect()) {
            let query = facts::Entity::find().select_only().columns([facts::Column::InboundId, facts::Column::OrderId]);
            let found: Vec<(Uuid, Uuid)> = query.filter(condition).distinct().into_tuple().all(&self.reader).await?;
            told.extend(found);
        }
        let mut received: HashMap<Uuid, i64> = HashMap::new();
        for condition in any_of(&self.reader, inbound_events::Column::Id, told.iter().map(|(id, _)| *id).collect()) {
            let columns = [inbound_events::Column::Id, inbound_events::Column::ReceivedAt];
            let query = inbound_events::Entity::find().select_only().columns(columns).filter(condition);
            let found: Vec<(Uuid, i64)> = query.into_tuple().all(&self.reader).await?;
            received.extend(found);
        }
        for (event, order) in told {
            if let (Some(origin), Some(at)) = (origins.get_mut(&OrderId(order)), received.get(&event)) {
                origin.received.push(instant(*at));
            }
        }
        Ok(origins)
    }

    /// Marks of what changes, as of `hour`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn marks(&self, whose: Whose, hour: i64) -> Result<Marks, StoreError> {
        let item = attention_items::Entity::find()
            .select_only()
            .column(attention_items::Column::Id)
            .filter(events::attention_of(whose))
            .filter(attention_items::Column::ClosedAt.is_null())
            .order_by_desc(attention_items::Column::Id);
        let event = inbound_events::Entity::find()
            .select_only()
            .column(inbound_events::Column::Id)
            .filter(events::inbound_of(whose))
            .order_by_desc(inbound_events::Column::Id);
        let chain = audit_chains::Entity::find_by_id(whose.tenant.0).one(&self.reader).await?;
        let counted: Vec<(i64, String, i64)> = counted(whose, hour, 1).into_tuple().all(&self.reader).await?;
        let is_shown = |what: &str| what.parse().is_ok_and(|what: Counted| !what.is_check());
        Ok(Marks {
            attention: self.count_attention(whose).await?,
            latest_item: item.limit(1).into_tuple().one(&self.reader).await?,
            latest_event: event.limit(1).into_tuple().one(&self.reader).await?,
            audited: chain.map_or(0, |chain| chain.sequence),
            counted: counted.iter().filter(|(_, what, _)| is_shown(what)).map(|(.., times)| times).sum(),
        })
    }
}

/// Sums over steps of hours. The numbers are ours, so that they may stand in the text.
pub(crate) fn counted(whose: Whose, from_hour: i64, step_hours: i64) -> Select<hourly_counts::Entity> {
    use hourly_counts::Column;
    let step = Expr::cust(format!("(hour - {from_hour}) / {step_hours}"));
    hourly_counts::Entity::find()
        .select_only()
        .expr_as(step.clone(), "step")
        .column(Column::What)
        .expr_as(Expr::cust("CAST(SUM(times) AS BIGINT)"), "sum")
        .filter(Column::TenantId.eq(whose.tenant.0))
        .filter(Column::Livemode.eq(whose.livemode))
        .filter(Column::Hour.gte(from_hour))
        .group_by(step)
        .group_by(Column::What)
}

/// Active licenses by the day on which they end, in the words of the partial index.
pub(crate) fn ending(whose: Whose, from: Timestamp, until: Timestamp) -> Select<licenses::Entity> {
    use licenses::Column;
    let day = Expr::cust(format!("(until - {}) / 86400000000", micros(from)));
    licenses::Entity::find()
        .select_only()
        .expr_as(day.clone(), "day")
        .expr_as(Expr::cust("COUNT(*)"), "licenses")
        .filter(Condition::all().add(Column::TenantId.eq(whose.tenant.0)).add(Column::Livemode.eq(whose.livemode)))
        .filter(Expr::cust("state = 'active' AND until IS NOT NULL"))
        .filter(Column::Until.gte(micros(from)))
        .filter(Column::Until.lt(micros(until)))
        .group_by(day)
}

/// Devices by product and version, from the licenses of one mode on: their index has the product, and that of the devices begins
/// with the license, so that no index has to follow what was seen when.
pub(crate) fn in_use(whose: Whose, since: Timestamp) -> Select<licenses::Entity> {
    use activations::Column;
    let uses = licenses::Entity::belongs_to(activations::Entity).from(licenses::Column::Id).to(Column::LicenseId);
    licenses::Entity::find()
        .select_only()
        .column(licenses::Column::ProductId)
        .column(Column::AppVersion)
        .expr_as(Expr::cust("COUNT(*)"), "devices")
        .join(JoinType::InnerJoin, uses.into())
        .filter(licenses::Column::TenantId.eq(whose.tenant.0))
        .filter(licenses::Column::Livemode.eq(whose.livemode))
        .filter(Column::Kind.eq("device"))
        .filter(Column::LastSeenAt.gte(micros(since)))
        .group_by(licenses::Column::ProductId)
        .group_by(Column::AppVersion)
}
