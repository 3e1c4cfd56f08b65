//! Mails in lists.

use domain::id::{CustomerId, LicenseId, MailId, OrderId};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect, QueryTrait, Select,
    sea_query::{Expr, ExprTrait, Query, SimpleExpr},
};

use super::{ASKED_ABOUT_MAX, Examined, Listed, Page, Whose, read_examined, read_page, sales::orders_of};
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
        let query = all(whose, filter).filter(filter.condition(whose));
        read_page(&self.reader, query, mails::Column::Id, page).await
    }

    /// A page of mails that takes no longer the more there are: it looks at so many, and says where it stopped.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn examine_mails(
        &self,
        whose: Whose,
        filter: &MailFilter,
        page: Page,
    ) -> Result<Examined<Mail>, StoreError> {
        let (all, condition) = (all(whose, filter), filter.condition(whose));
        read_examined(&self.reader, all, condition, mails::Column::Id, page, ASKED_ABOUT_MAX).await
    }

    /// A mail of a tenant and a mode.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn mail_of(&self, whose: Whose, id: MailId) -> Result<Option<Mail>, StoreError> {
        Ok(mails::Entity::find_by_id(id.0).filter(of_mode(whose)).one(&self.reader).await?)
    }
}

impl MailFilter {
    /// What each mail is asked about, first of all whether it is of the vendor and the mode.
    fn condition(&self, whose: Whose) -> Condition {
        Condition::all()
            .add(of_mode(whose))
            .add_option(self.status.as_deref().map(|status| mails::Column::Status.eq(status)))
            .add_option(self.kind.as_deref().map(|kind| mails::Column::Kind.eq(kind)))
    }
}

/// The mails that a filter leads to. Those about a license have an index, and are so few that no other one may be taken.
pub(crate) fn all(whose: Whose, filter: &MailFilter) -> Select<mails::Entity> {
    use mails::Column;
    let of_licenses = |condition: SimpleExpr| {
        let licenses = licenses::Entity::find().select_only().column(licenses::Column::Id);
        Column::LicenseId.in_subquery(licenses.filter(condition).into_query())
    };
    let about = [
        filter.license.map(|license| Column::LicenseId.eq(license.0)),
        filter.order.map(|id| of_licenses(licenses::Column::OrderId.eq(id.0))),
        filter.customer.map(|id| of_licenses(licenses::Column::CustomerId.eq(id.0))),
    ];
    let about: Vec<SimpleExpr> = about.into_iter().flatten().collect();
    let theirs = about.is_empty().then(|| Column::TenantId.eq(whose.tenant.0));
    let about = about.into_iter().fold(Condition::all(), Condition::add);
    mails::Entity::find().filter(about.add_option(theirs))
}

/// A mail is of the tenant and the mode of its order.
fn of_mode(whose: Whose) -> SimpleExpr {
    let order = (orders::Entity, orders::Column::Id);
    let order = Query::select()
        .expr(Expr::val(1))
        .from(orders::Entity)
        .and_where(Expr::col(order).equals((mails::Entity, mails::Column::OrderId)))
        .cond_where(orders_of(whose))
        .to_owned();
    Expr::exists(order)
}
