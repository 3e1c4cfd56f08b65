//! The identity providers of tenants, whom they have let in, and who is on the way.

use domain::id::{IdentityVisitId, MemberId, TenantId};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, Select};

use crate::{
    Store, Write,
    bulk::{self, Existing},
    entities::{identity_providers, identity_visits, member_identities, sessions},
    error::StoreError,
    rows::{IdentityProvider, IdentityVisit, MemberIdentity},
};

impl Store {
    /// The identity provider of a tenant.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn identity_provider(&self, tenant: TenantId) -> Result<Option<IdentityProvider>, StoreError> {
        Ok(of_tenant(tenant).one(&self.reader).await?)
    }
}

impl Write {
    /// The identity provider of a tenant, for a change or for an entry by it: meanwhile it stays as it is.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn lock_identity_provider(&self, tenant: TenantId) -> Result<Option<IdentityProvider>, StoreError> {
        let mut query = of_tenant(tenant);
        if self.is_shared() {
            query = query.lock_exclusive();
        }
        Ok(query.one(&self.transaction).await?)
    }

    /// Writes an identity provider.
    ///
    /// # Errors
    /// Those of the database; [`StoreError::Conflict`]: somebody was faster.
    pub async fn save_identity_provider(&self, row: IdentityProvider) -> Result<(), StoreError> {
        match bulk::insert::<identity_providers::Entity>(&self.transaction, vec![row], Existing::Replace).await {
            Err(StoreError::Duplicate(_)) => Err(StoreError::changed_meanwhile("the identity provider")),
            other => other.map(drop),
        }
    }

    /// Takes an identity provider away. Who its accounts are stays known, should it come back.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn remove_identity_provider(&self, tenant: TenantId) -> Result<(), StoreError> {
        let query = identity_providers::Entity::delete_many();
        query.filter(identity_providers::Column::TenantId.eq(tenant.0)).exec(&self.transaction).await?;
        Ok(())
    }

    /// Ends all visits to a tenant's identity provider: what it answers counts no more.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn end_visits(&self, tenant: TenantId) -> Result<(), StoreError> {
        let query = identity_visits::Entity::delete_many().filter(identity_visits::Column::TenantId.eq(tenant.0));
        query.exec(&self.transaction).await?;
        Ok(())
    }

    /// Ends the sessions of all whom a tenant's identity provider has let in.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn end_provider_sessions(&self, tenant: TenantId) -> Result<(), StoreError> {
        let query = sessions::Entity::delete_many().filter(sessions::Column::TenantId.eq(tenant.0));
        query.exec(&self.transaction).await?;
        Ok(())
    }

    /// Which member an account at an issuer is for a tenant.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn identified(
        &self,
        tenant: TenantId,
        issuer: &str,
        subject: &str,
    ) -> Result<Option<MemberId>, StoreError> {
        let key = (tenant.0, issuer.to_owned(), subject.to_owned());
        let row = member_identities::Entity::find_by_id(key).one(&self.transaction).await?;
        Ok(row.map(|row| MemberId(row.member_id)))
    }

    /// Whether a member has an account at an issuer for a tenant.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn has_identity(&self, tenant: TenantId, issuer: &str, member: MemberId) -> Result<bool, StoreError> {
        let query = member_identities::Entity::find()
            .filter(member_identities::Column::MemberId.eq(member.0))
            .filter(member_identities::Column::TenantId.eq(tenant.0))
            .filter(member_identities::Column::Issuer.eq(issuer));
        Ok(query.one(&self.transaction).await?.is_some())
    }

    /// Notes which member an account is.
    ///
    /// # Errors
    /// Those of the database; [`StoreError::Conflict`]: the same account, or the same member, has just come another way.
    pub async fn save_identity(&self, row: MemberIdentity) -> Result<(), StoreError> {
        match bulk::insert::<member_identities::Entity>(&self.transaction, vec![row], Existing::Refuse).await {
            Err(StoreError::Duplicate(_)) => Err(StoreError::changed_meanwhile("the account of a member")),
            other => other.map(drop),
        }
    }

    /// Forgets which accounts a member had for a tenant: the next one counts.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn forget_identities(&self, tenant: TenantId, member: MemberId) -> Result<(), StoreError> {
        let query = member_identities::Entity::delete_many()
            .filter(member_identities::Column::MemberId.eq(member.0))
            .filter(member_identities::Column::TenantId.eq(tenant.0));
        query.exec(&self.transaction).await?;
        Ok(())
    }

    /// Forgets whose an account is for a tenant: it becomes somebody else's.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn forget_account(&self, tenant: TenantId, issuer: &str, subject: &str) -> Result<(), StoreError> {
        let key = (tenant.0, issuer.to_owned(), subject.to_owned());
        member_identities::Entity::delete_by_id(key).exec(&self.transaction).await?;
        Ok(())
    }

    /// Notes that somebody is sent to an identity provider.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn save_visit(&self, row: IdentityVisit) -> Result<(), StoreError> {
        bulk::insert::<identity_visits::Entity>(&self.transaction, vec![row], Existing::Refuse).await?;
        Ok(())
    }

    /// A visit, for its end: who holds it is the only one to take it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn lock_visit(&self, id: IdentityVisitId) -> Result<Option<IdentityVisit>, StoreError> {
        let mut query = identity_visits::Entity::find_by_id(id.0);
        if self.is_shared() {
            query = query.lock_exclusive();
        }
        Ok(query.one(&self.transaction).await?)
    }

    /// Takes a visit away: it is over.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn remove_visit(&self, id: IdentityVisitId) -> Result<(), StoreError> {
        identity_visits::Entity::delete_by_id(id.0).exec(&self.transaction).await?;
        Ok(())
    }
}

fn of_tenant(tenant: TenantId) -> Select<identity_providers::Entity> {
    identity_providers::Entity::find().filter(identity_providers::Column::TenantId.eq(tenant.0))
}
