//! What vendors wrote for their mails, all versions.

use std::collections::BTreeSet;

use domain::id::TenantId;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};
use uuid::Uuid;

use crate::{
    Store, Write,
    bulk::{self, Existing, any_of},
    entities::mail_templates::{self, Column},
    error::StoreError,
    rows::MailTemplate,
};

/// The attention item of a template that does not work. Another one for its mail closes it.
pub const MAIL_TEMPLATE_BROKEN: &str = "mail_template_broken";

impl Store {
    /// A tenant's templates, all versions, in no order.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn mail_templates(&self, tenant: TenantId) -> Result<Vec<MailTemplate>, StoreError> {
        of_tenant(&self.reader, tenant).await
    }

    /// A tenant's templates that count.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn active_mail_templates(&self, tenant: TenantId) -> Result<Vec<MailTemplate>, StoreError> {
        active(&self.reader, [tenant.0].into()).await
    }
}

impl Write {
    /// A tenant's templates, all versions, as this transaction sees them.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn mail_templates(&self, tenant: TenantId) -> Result<Vec<MailTemplate>, StoreError> {
        of_tenant(&self.transaction, tenant).await
    }

    /// Writes versions, new or changed. Those that stop to count have to come before the one that counts.
    ///
    /// # Errors
    /// Those of the database; [`StoreError::Conflict`]: somebody has written that version meanwhile, or made another one count.
    pub async fn save_mail_templates(&self, rows: Vec<MailTemplate>) -> Result<(), StoreError> {
        match bulk::insert::<mail_templates::Entity>(&self.transaction, rows, Existing::Replace).await {
            Err(StoreError::Duplicate(_)) => Err(StoreError::changed_meanwhile("the template of a mail")),
            other => other.map(drop),
        }
    }
}

async fn of_tenant<C: ConnectionTrait>(connection: &C, tenant: TenantId) -> Result<Vec<MailTemplate>, StoreError> {
    let query = mail_templates::Entity::find().filter(Column::TenantId.eq(tenant.0));
    Ok(query.order_by_asc(Column::Id).all(connection).await?)
}

/// The templates of these tenants that count.
pub(crate) async fn active<C: ConnectionTrait>(
    connection: &C,
    tenants: BTreeSet<Uuid>,
) -> Result<Vec<MailTemplate>, StoreError> {
    let mut found = Vec::new();
    for condition in any_of(connection, Column::TenantId, tenants.into_iter().collect()) {
        let query = mail_templates::Entity::find().filter(condition).filter(Column::Active.eq(true));
        found.extend(query.all(connection).await?);
    }
    Ok(found)
}
