//! Mails in lists.

use domain::id::{CustomerId, LicenseId, MailId, OrderId};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect, QueryTrait, sea_query::SimpleExpr};

use super::{Listed, Page, Whose, read_page, sales::orders_of};
use crate::{
    Store,
    entities::{licenses, mails, orders},
    error::StoreError,
    rows::Mail,
};

/// Which mails.
#[derive(Clone, Debug, Default)]
pub struct MailFilter {
    /// About this license.
    pub license: Option<LicenseId>,
    /// About licenses of this order.
    pub order: Option<OrderId>,
    /// About licenses of this customer.
    pub customer: Option<CustomerId>,
    /// That came so far.
    pub status: Option<String>,
    /// Of this kind.
    pub kind: Option<String>,
}

impl Store {
    /// A page of mails.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn list_mails(&self, whose: Whose, filter: &MailFilter, page: Page) -> Result<Listed<Mail>, StoreError> {
        use mails::Column;
        let of_licenses = |condition: SimpleExpr| {
            let licenses = licenses::Entity::find().select_only().column(licenses::Column::Id);
            Column::LicenseId.in_subquery(licenses.filter(condition).into_query())
        };
        let wanted = Condition::all()
            .add_option(filter.license.map(|license| Column::LicenseId.eq(license.0)))
            .add_option(filter.order.map(|id| of_licenses(licenses::Column::OrderId.eq(id.0))))
            .add_option(filter.customer.map(|id| of_licenses(licenses::Column::CustomerId.eq(id.0))))
            .add_option(filter.status.as_deref().map(|status| Column::Status.eq(status)))
            .add_option(filter.kind.as_deref().map(|kind| Column::Kind.eq(kind)));
        let query = mails::Entity::find().filter(of(whose)).filter(wanted);
        read_page(&self.reader, query, Column::Id, page).await
    }

    /// A mail of a tenant and a mode.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn mail_of(&self, whose: Whose, id: MailId) -> Result<Option<Mail>, StoreError> {
        Ok(mails::Entity::find_by_id(id.0).filter(of(whose)).one(&self.reader).await?)
    }
}

/// A mail is of the mode of its order.
fn of(whose: Whose) -> Condition {
    let orders = orders::Entity::find().select_only().column(orders::Column::Id).filter(orders_of(whose));
    let of_mode: SimpleExpr = mails::Column::OrderId.in_subquery(orders.into_query());
    Condition::all().add(mails::Column::TenantId.eq(whose.tenant.0)).add(of_mode)
}
