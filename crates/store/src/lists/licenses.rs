//! Licenses in lists.

use std::collections::{BTreeSet, HashMap};

use domain::{
    id::{ConnectionId, CustomerId, LicenseId, OrderId, PlanId, ProductId},
    license::{License, LicenseState},
};
use jiff::Timestamp;
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryFilter, Select,
    sea_query::{CaseStatement, Expr, ExprTrait, Query, SelectStatement, SimpleExpr},
};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    ASKED_ABOUT_MAX, Examined, LOOKED_AT_MAX, Listed, Page, Whose, containing, ending_with, read_examined, read_page,
};
use crate::{
    Store,
    bulk::any_of,
    convert::{self, micros},
    entities::{activations, customers, license_keys, license_metadata, licenses},
    error::StoreError,
    metadata, tags,
};

/// Which licenses.
#[derive(Clone, Debug, Default)]
pub struct LicenseFilter {
    /// In this state.
    pub state: Option<LicenseState>,
    /// On this plan, in any version.
    pub plan: Option<PlanId>,
    /// Of this product.
    pub product: Option<ProductId>,
    /// Of this customer.
    pub customer: Option<CustomerId>,
    /// With an end before this.
    pub expires_before: Option<Timestamp>,
    /// With an end from then on.
    pub expires_after: Option<Timestamp>,
    /// In its state for this reason: a word of `domain::reason::Reason::code`.
    pub reason: Option<String>,
    /// Sold at one of these connections; empty: at any.
    pub connections: Vec<ConnectionId>,
    /// Used lately, or not.
    pub seen: Option<Seen>,
    /// As many devices use it as these plans allow; empty: however many do. A license with limits of its own is found as
    /// soon as one device uses it: whether it is full is for whoever asks.
    pub full: Vec<Room>,
    /// Of customers with an address at this domain, in lower case.
    pub email_domain: Option<String>,
    /// With something under this name in its metadata.
    pub metadata_key: Option<String>,
    /// With this tag.
    pub tag: Option<String>,
}

/// When a license was last used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Never.
    Never,
    /// Before this, and not since.
    Before(Timestamp),
}

/// How many devices may use a license.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// On this plan.
    pub plan: PlanId,
    /// In this version.
    pub version: u32,
    /// So many, for each seat.
    pub activations: u32,
}

/// A license with what stands beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedLicense {
    /// The license.
    pub license: License,
    /// Of which order.
    pub order: OrderId,
    /// Where it was sold.
    pub connection: ConnectionId,
    /// Whose.
    pub customer: Option<CustomerId>,
    /// Live or test money.
    pub livemode: bool,
    /// What may be shown of its key; none: another license took its keys over.
    pub key_hint: Option<String>,
    /// What the vendor's own code wrote beside it.
    pub metadata: Map<String, Value>,
    /// The vendor's own words for it.
    pub tags: BTreeSet<String>,
}

impl LicenseFilter {
    pub(crate) fn condition(&self) -> Condition {
        use licenses::Column;
        Condition::all()
            .add_option(self.state.map(|state| Column::State.eq(state.as_str())))
            .add_option(self.plan.map(|plan| Column::PlanId.eq(plan.0)))
            .add_option(self.product.map(|product| Column::ProductId.eq(product.0)))
            .add_option(self.expires_before.map(|end| Column::Until.lt(micros(end))))
            .add_option(self.expires_after.map(|end| Column::Until.gte(micros(end))))
            .add_option(self.reason.as_deref().map(|reason| Column::Reason.eq(reason)))
            .add_option(one_of(&self.connections))
            .add_option(self.seen.map(seen))
            .add_option(full(&self.full))
            .add_option(self.email_domain.as_deref().map(of_domain))
            .add_option(self.metadata_key.as_deref().map(with_metadata))
    }

    /// How many licenses may be looked at for a page.
    const fn looks_at(&self) -> u64 {
        let asks_about =
            self.seen.is_some() || !self.full.is_empty() || self.email_domain.is_some() || self.metadata_key.is_some();
        if asks_about { ASKED_ABOUT_MAX } else { LOOKED_AT_MAX }
    }
}

fn one_of(connections: &[ConnectionId]) -> Option<SimpleExpr> {
    (!connections.is_empty()).then(|| licenses::Column::ConnectionId.is_in(connections.iter().map(|id| id.0)))
}

/// What is asked of the activations of each license.
fn activations_of(select: impl FnOnce(&mut SelectStatement) -> &mut SelectStatement) -> SelectStatement {
    let mut query = Query::select();
    let license = (activations::Entity, activations::Column::LicenseId);
    query.from(activations::Entity).and_where(Expr::col(license).equals((licenses::Entity, licenses::Column::Id)));
    select(&mut query).to_owned()
}

fn seen(seen: Seen) -> Condition {
    let any = || activations_of(|query| query.expr(Expr::val(1)));
    let since = |at: Timestamp| {
        activations_of(|query| query.expr(Expr::val(1)).and_where(activations::Column::LastSeenAt.gte(micros(at))))
    };
    match seen {
        Seen::Never => Condition::all().add(Expr::exists(any()).not()),
        Seen::Before(at) => Condition::all().add(Expr::exists(any())).add(Expr::exists(since(at)).not()),
    }
}

fn full(rooms: &[Room]) -> Option<Condition> {
    use licenses::Column;
    let mut most = CaseStatement::new();
    for room in rooms {
        let of_plan = Column::PlanId.eq(room.plan.0).and(Column::PlanVersion.eq(room.version.cast_signed()));
        most = most.case(of_plan, Expr::val(i64::from(room.activations)));
    }
    let used = || {
        let count = activations_of(|query| query.expr(activations::Column::Id.count()));
        Expr::expr(SimpleExpr::SubQuery(None, Box::new(count.into())))
    };
    let most = Expr::expr(most).mul(Expr::col((licenses::Entity, Column::Seats)));
    let by_plan = Condition::all().add(Column::Adjustment.is_null()).add(used().gte(most));
    let adjusted = Condition::all().add(Column::Adjustment.is_not_null()).add(used().gte(1));
    (!rooms.is_empty()).then(|| Condition::any().add(by_plan).add(adjusted))
}

fn of_domain(domain: &str) -> SimpleExpr {
    let id = (customers::Entity, customers::Column::Id);
    let query = Query::select()
        .expr(Expr::val(1))
        .from(customers::Entity)
        .and_where(Expr::col(id).equals((licenses::Entity, licenses::Column::CustomerId)))
        .and_where(customers::Column::EmailNormalised.like(ending_with(&format!("@{domain}"))))
        .to_owned();
    Expr::exists(query)
}

fn with_metadata(key: &str) -> SimpleExpr {
    let license = (license_metadata::Entity, license_metadata::Column::LicenseId);
    // As it stands in the document, which is written without blanks.
    let member = format!("{}:", serde_json::Value::from(key));
    let query = Query::select()
        .expr(Expr::val(1))
        .from(license_metadata::Entity)
        .and_where(Expr::col(license).equals((licenses::Entity, licenses::Column::Id)))
        .and_where(license_metadata::Column::Body.like(containing(&member)))
        .to_owned();
    Expr::exists(query)
}

impl Store {
    /// A page of licenses.
    ///
    /// # Errors
    /// Those of the database, or a stored document does not read.
    pub async fn list_licenses(
        &self,
        whose: Whose,
        filter: &LicenseFilter,
        page: Page,
    ) -> Result<Listed<ListedLicense>, StoreError> {
        if !self.is_theirs(whose, filter.customer).await? {
            return Ok(Listed::none());
        }
        let Listed { rows, has_more } = match &filter.tag {
            Some(tag) => tags::examine(&self.reader, whose, (tag, filter), page, u64::MAX).await?.listed,
            None => {
                let query = all(whose, filter).filter(filter.condition());
                read_page(&self.reader, query, licenses::Column::Id, page).await?
            }
        };
        Ok(Listed { rows: self.completed(rows).await?, has_more })
    }

    /// A page of licenses that takes no longer the more there are: it looks at so many, and says where it stopped.
    ///
    /// # Errors
    /// Those of the database, or a stored document does not read.
    pub async fn examine_licenses(
        &self,
        whose: Whose,
        filter: &LicenseFilter,
        page: Page,
    ) -> Result<Examined<ListedLicense>, StoreError> {
        if !self.is_theirs(whose, filter.customer).await? {
            return Ok(Examined { listed: Listed::none(), further: None });
        }
        let (all, id) = (all(whose, filter), licenses::Column::Id);
        let most = filter.looks_at();
        let examined = match &filter.tag {
            Some(tag) => tags::examine(&self.reader, whose, (tag, filter), page, most).await?,
            None => read_examined(&self.reader, all, filter.condition(), id, page, most).await?,
        };
        let Examined { listed: Listed { rows, has_more }, further } = examined;
        Ok(Examined { listed: Listed { rows: self.completed(rows).await?, has_more }, further })
    }

    /// Some licenses by their ids, in no particular order. What is another tenant's or of the other mode is left out.
    ///
    /// # Errors
    /// Those of the database, or a stored document does not read.
    pub async fn listed_licenses(&self, whose: Whose, ids: Vec<LicenseId>) -> Result<Vec<ListedLicense>, StoreError> {
        let mut rows = Vec::with_capacity(ids.len());
        for condition in any_of(&self.reader, licenses::Column::Id, ids.into_iter().map(|id| id.0).collect()) {
            rows.extend(licenses::Entity::find().filter(of(whose)).filter(condition).all(&self.reader).await?);
        }
        self.completed(rows).await
    }

    /// A license.
    ///
    /// # Errors
    /// Those of the database, or a stored document does not read.
    pub async fn listed_license(&self, whose: Whose, id: LicenseId) -> Result<Option<ListedLicense>, StoreError> {
        Ok(self.listed_licenses(whose, vec![id]).await?.pop())
    }

    /// The licenses of an order, by their slots.
    pub(super) async fn licenses_of_order(&self, order: OrderId) -> Result<Vec<ListedLicense>, StoreError> {
        let query = licenses::Entity::find().filter(licenses::Column::OrderId.eq(order.0));
        let mut licenses = self.completed(query.all(&self.reader).await?).await?;
        licenses.sort_by_key(|listed| listed.license.slot);
        Ok(licenses)
    }

    /// Rows with what other tables know of them.
    async fn completed(&self, rows: Vec<licenses::Model>) -> Result<Vec<ListedLicense>, StoreError> {
        let mut keys = Vec::with_capacity(rows.len());
        for condition in any_of(&self.reader, license_keys::Column::LicenseId, rows.iter().map(|row| row.id).collect())
        {
            keys.extend(license_keys::Entity::find().filter(condition).all(&self.reader).await?);
        }
        // Of each license the first one is inserted last, and stays.
        keys.sort_by_key(|key| std::cmp::Reverse(key.place()));
        let mut hints: HashMap<Uuid, String> = keys.into_iter().map(|key| (key.license_id, key.hint)).collect();
        let mut tags = tags::of_licenses(&self.reader, rows.iter().map(|row| row.id).collect()).await?;
        let mut metadata = metadata::of_licenses(&self.reader, rows.iter().map(|row| row.id).collect()).await?;
        rows.into_iter()
            .map(|row| {
                Ok(ListedLicense {
                    license: convert::license(&row)?,
                    order: OrderId(row.order_id),
                    connection: ConnectionId(row.connection_id),
                    customer: row.customer_id.map(CustomerId),
                    livemode: row.livemode,
                    key_hint: hints.remove(&row.id),
                    metadata: metadata.remove(&row.id).unwrap_or_default(),
                    tags: tags.remove(&row.id).unwrap_or_default(),
                })
            })
            .collect()
    }
}

/// Where a list begins: with the licenses of a customer, who has few, otherwise with all. Whose a customer is was looked
/// at before: were it asked once more, a database might go through all licenses of the tenant.
pub(crate) fn all(whose: Whose, filter: &LicenseFilter) -> Select<licenses::Entity> {
    licenses::Entity::find().filter(match filter.customer {
        Some(customer) => Condition::all().add(licenses::Column::CustomerId.eq(customer.0)),
        None => of(whose),
    })
}

fn of(whose: Whose) -> Condition {
    Condition::all()
        .add(licenses::Column::TenantId.eq(whose.tenant.0))
        .add(licenses::Column::Livemode.eq(whose.livemode))
}
