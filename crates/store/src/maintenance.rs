//! Rotation of master keys: what another key has sealed, a page at a time, and its seal replaced.
//!
//! Pages go by id, so that each row is looked at once however many there are. On PostgreSQL a page is locked; of two
//! nodes that seal anew, the second finds nothing left in it.

use std::collections::BTreeMap;

use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, Select,
};
use uuid::Uuid;

use crate::{
    Store, Write,
    bulk::{self, Existing},
    entities::{
        alert_channels, connections, idempotency_keys, identity_providers, license_keys, members, signing_keys,
        webhook_endpoints,
    },
    error::StoreError,
    rows::{
        AlertChannel, Connection, IdempotencyKey, IdentityProvider, LicenseKey, Member, SigningKey, WebhookEndpoint,
    },
};

impl Write {
    /// License keys that another master key has sealed.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn foreign_license_keys(
        &self,
        master: &str,
        after: Uuid,
        limit: u64,
    ) -> Result<Vec<LicenseKey>, StoreError> {
        let query = license_keys::Entity::find().filter(license_keys::Column::SealedBy.ne(master));
        self.page(query, license_keys::Column::Id, after, limit).await
    }

    /// Signing keys that another master key has sealed.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn foreign_signing_keys(
        &self,
        master: &str,
        after: Uuid,
        limit: u64,
    ) -> Result<Vec<SigningKey>, StoreError> {
        let query = signing_keys::Entity::find().filter(signing_keys::Column::SealedBy.ne(master));
        self.page(query, signing_keys::Column::Id, after, limit).await
    }

    /// Answers to calls with an idempotency key that another master key has sealed.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn foreign_answers(
        &self,
        master: &str,
        after: Uuid,
        limit: u64,
    ) -> Result<Vec<IdempotencyKey>, StoreError> {
        let query = idempotency_keys::Entity::find()
            .filter(idempotency_keys::Column::Sealed.is_not_null())
            .filter(idempotency_keys::Column::SealedBy.ne(master));
        self.page(query, idempotency_keys::Column::Id, after, limit).await
    }

    /// Addresses of vendors' own whose secrets another master key has sealed.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn foreign_endpoints(
        &self,
        master: &str,
        after: Uuid,
        limit: u64,
    ) -> Result<Vec<WebhookEndpoint>, StoreError> {
        let query = webhook_endpoints::Entity::find().filter(webhook_endpoints::Column::SealedBy.ne(master));
        self.page(query, webhook_endpoints::Column::Id, after, limit).await
    }

    /// Alert channels that another master key has sealed.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn foreign_alert_channels(
        &self,
        master: &str,
        after: Uuid,
        limit: u64,
    ) -> Result<Vec<AlertChannel>, StoreError> {
        let query = alert_channels::Entity::find().filter(alert_channels::Column::SealedBy.ne(master));
        self.page(query, alert_channels::Column::Id, after, limit).await
    }

    /// Identity providers whose secret another master key has sealed.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn foreign_identity_providers(
        &self,
        master: &str,
        after: Uuid,
        limit: u64,
    ) -> Result<Vec<IdentityProvider>, StoreError> {
        let query = identity_providers::Entity::find().filter(identity_providers::Column::SealedBy.ne(master));
        self.page(query, identity_providers::Column::Id, after, limit).await
    }

    /// Writes the new seals of identity providers' secrets.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn reseal_identity_providers(&self, rows: Vec<IdentityProvider>) -> Result<(), StoreError> {
        use identity_providers::Column::{Id, Sealed, SealedBy};
        self.rewrite::<identity_providers::Entity>(rows, &[Id], &[Sealed, SealedBy]).await
    }

    /// Connections that have secrets. Which master key sealed them stands in the seal alone.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn sealed_connections(&self, after: Uuid, limit: u64) -> Result<Vec<Connection>, StoreError> {
        let query = connections::Entity::find().filter(connections::Column::Secrets.is_not_null());
        self.page(query, connections::Column::Id, after, limit).await
    }

    /// Members who have an authenticator. Which master key sealed its secret stands in the seal alone.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn members_with_authenticator(&self, after: Uuid, limit: u64) -> Result<Vec<Member>, StoreError> {
        let query = members::Entity::find().filter(members::Column::Authenticator.is_not_null());
        self.page(query, members::Column::Id, after, limit).await
    }

    /// Writes the new seals of members' authenticators.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn reseal_members(&self, rows: Vec<Member>) -> Result<(), StoreError> {
        use members::Column::{Authenticator, Id};
        self.rewrite::<members::Entity>(rows, &[Id], &[Authenticator]).await
    }

    /// Writes the new seals and hashes of license keys, and nothing else of them.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn reseal_license_keys(&self, rows: Vec<LicenseKey>) -> Result<(), StoreError> {
        use license_keys::Column::{Hash, Id, Sealed, SealedBy};
        self.rewrite::<license_keys::Entity>(rows, &[Id], &[Hash, Sealed, SealedBy]).await
    }

    /// Writes the new seals of signing keys.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn reseal_signing_keys(&self, rows: Vec<SigningKey>) -> Result<(), StoreError> {
        use signing_keys::Column::{Kid, Sealed, SealedBy};
        self.rewrite::<signing_keys::Entity>(rows, &[Kid], &[Sealed, SealedBy]).await
    }

    /// Writes the new seals of answers.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn reseal_answers(&self, rows: Vec<IdempotencyKey>) -> Result<(), StoreError> {
        use idempotency_keys::Column::{Id, Sealed, SealedBy};
        self.rewrite::<idempotency_keys::Entity>(rows, &[Id], &[Sealed, SealedBy]).await
    }

    /// Writes the new seals of addresses' secrets.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn reseal_endpoints(&self, rows: Vec<WebhookEndpoint>) -> Result<(), StoreError> {
        use webhook_endpoints::Column::{Id, Sealed, SealedBy};
        self.rewrite::<webhook_endpoints::Entity>(rows, &[Id], &[Sealed, SealedBy]).await
    }

    /// Writes the new seals of alert channels.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn reseal_alert_channels(&self, rows: Vec<AlertChannel>) -> Result<(), StoreError> {
        use alert_channels::Column::{Id, Sealed, SealedBy};
        self.rewrite::<alert_channels::Entity>(rows, &[Id], &[Sealed, SealedBy]).await
    }

    /// Writes the new seals of connections' secrets.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn reseal_connections(&self, rows: Vec<Connection>) -> Result<(), StoreError> {
        use connections::Column::{Id, Secrets};
        self.rewrite::<connections::Entity>(rows, &[Id], &[Secrets]).await
    }

    /// Writes some columns of rows that are there.
    async fn rewrite<E>(
        &self,
        rows: Vec<E::Model>,
        by: &'static [E::Column],
        columns: &'static [E::Column],
    ) -> Result<(), StoreError>
    where
        E: EntityTrait,
        E::ActiveModel: ActiveModelTrait<Entity = E> + From<E::Model> + Send,
    {
        bulk::insert::<E>(&self.transaction, rows, Existing::Update { by, columns }).await?;
        Ok(())
    }

    async fn page<E: EntityTrait>(
        &self,
        query: Select<E>,
        id: E::Column,
        after: Uuid,
        limit: u64,
    ) -> Result<Vec<E::Model>, StoreError> {
        let mut query = query.filter(id.gt(after)).order_by_asc(id).limit(limit);
        if self.is_shared() {
            query = query.lock_exclusive();
        }
        Ok(query.all(&self.transaction).await?)
    }
}

#[derive(FromQueryResult)]
struct Sealed {
    sealed_by: Option<String>,
    count: i64,
}

impl Store {
    /// How many values each master key has sealed, by its id. Connections are not counted: theirs stands in the seal.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn seals(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        let mut seals = BTreeMap::new();
        for counted in [
            self.seals_of::<license_keys::Entity>(license_keys::Column::SealedBy, license_keys::Column::Id).await?,
            self.seals_of::<signing_keys::Entity>(signing_keys::Column::SealedBy, signing_keys::Column::Id).await?,
            self.seals_of::<webhook_endpoints::Entity>(
                webhook_endpoints::Column::SealedBy,
                webhook_endpoints::Column::Id,
            )
            .await?,
            self.seals_of::<alert_channels::Entity>(alert_channels::Column::SealedBy, alert_channels::Column::Id)
                .await?,
            self.seals_of::<identity_providers::Entity>(
                identity_providers::Column::SealedBy,
                identity_providers::Column::Id,
            )
            .await?,
            self.seals_of::<idempotency_keys::Entity>(idempotency_keys::Column::SealedBy, idempotency_keys::Column::Id)
                .await?,
        ] {
            for Sealed { sealed_by, count } in counted {
                *seals.entry(sealed_by.unwrap_or_default()).or_default() += count.unsigned_abs();
            }
        }
        seals.remove("");
        Ok(seals)
    }

    async fn seals_of<E: EntityTrait>(&self, sealed_by: E::Column, id: E::Column) -> Result<Vec<Sealed>, StoreError> {
        let query = E::find().select_only().column_as(sealed_by, "sealed_by").column_as(id.count(), "count");
        Ok(query.group_by(sealed_by).into_model::<Sealed>().all(&self.reader).await?)
    }
}
