//! Calls of the API that were answered: written many at a time, listed for people, and forgotten after a while.

use domain::id::{ApiKeyId, RequestId, TenantId};
use jiff::Timestamp;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use crate::{
    Store, Write,
    bulk::{self, Existing, any_of},
    entities::api_requests::{self, Column},
    error::StoreError,
    lists::{ASKED_ABOUT_MAX, Examined, Page, Whose, first_id, read_examined},
    rows::ApiRequest,
};

/// Which calls.
#[derive(Clone, Debug, Default)]
pub struct RequestFilter {
    /// Answered with a status from here to there, both included.
    pub statuses: Option<(u16, u16)>,
    /// With this in their route, such as `/v1/licenses`.
    pub route: Option<String>,
    /// Made with this key.
    pub api_key: Option<ApiKeyId>,
    /// The one with this id.
    pub id: Option<RequestId>,
}

impl RequestFilter {
    /// What each call is asked about.
    fn condition(&self) -> Condition {
        let statuses = |(from, to)| Column::Status.between(i32::from(from), i32::from(to));
        Condition::all()
            .add_option(self.statuses.map(statuses))
            .add_option(self.route.as_deref().map(|route| Column::Route.contains(route)))
            .add_option(self.api_key.map(|key| Column::ApiKeyId.eq(key.0)))
    }
}

/// Calls of a vendor in one mode, and those of which nobody knows the mode.
fn of(whose: Whose) -> Condition {
    let mode = Condition::any().add(Column::Livemode.eq(whose.livemode)).add(Column::Livemode.is_null());
    Condition::all().add(Column::TenantId.eq(whose.tenant.0)).add(mode)
}

impl Store {
    /// A page of calls. It looks at so many that it takes no longer the more there are, and says where it stopped.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn examine_requests(
        &self,
        whose: Whose,
        filter: &RequestFilter,
        page: Page,
    ) -> Result<Examined<ApiRequest>, StoreError> {
        let all = api_requests::Entity::find().filter(of(whose).add_option(filter.id.map(|id| Column::Id.eq(id.0))));
        read_examined(&self.reader, all, filter.condition(), Column::Id, page, ASKED_ABOUT_MAX).await
    }

    /// A call.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn request(&self, whose: Whose, id: RequestId) -> Result<Option<ApiRequest>, StoreError> {
        Ok(api_requests::Entity::find_by_id(id.0).filter(of(whose)).one(&self.reader).await?)
    }
}

impl Write {
    /// Writes calls that were answered.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn add_requests(&self, rows: Vec<ApiRequest>) -> Result<(), StoreError> {
        bulk::insert::<api_requests::Entity>(&self.transaction, rows, Existing::Keep).await?;
        Ok(())
    }

    /// Forgets up to `limit` calls of a tenant that came before a moment. Returns how many.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn forget_requests(&self, tenant: TenantId, before: Timestamp, limit: u64) -> Result<u64, StoreError> {
        self.forget_requests_below(tenant, first_id(before), limit).await
    }

    /// Forgets up to `limit` of the oldest calls of a tenant, as long as there are more than `rows`. Returns how many.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn forget_requests_beyond(&self, tenant: TenantId, rows: u64, limit: u64) -> Result<u64, StoreError> {
        let kept = api_requests::Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::TenantId.eq(tenant.0))
            .order_by_desc(Column::Id)
            .offset(rows.saturating_sub(1))
            .limit(1);
        match kept.into_tuple::<Uuid>().one(&self.transaction).await? {
            Some(oldest_kept) => self.forget_requests_below(tenant, oldest_kept, limit).await,
            None => Ok(0),
        }
    }

    async fn forget_requests_below(&self, tenant: TenantId, id: Uuid, limit: u64) -> Result<u64, StoreError> {
        let query = api_requests::Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::TenantId.eq(tenant.0))
            .filter(Column::Id.lt(id))
            .order_by_asc(Column::Id)
            .limit(limit);
        let ids: Vec<Uuid> = query.into_tuple().all(&self.transaction).await?;
        for condition in any_of(&self.transaction, Column::Id, ids.clone()) {
            api_requests::Entity::delete_many().filter(condition).exec(&self.transaction).await?;
        }
        Ok(ids.len() as u64)
    }
}
