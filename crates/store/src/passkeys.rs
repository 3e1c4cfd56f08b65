//! Passkeys of members, and the challenges that they have signed.

use std::collections::BTreeSet;

use domain::id::{MemberId, PasskeyId};
use jiff::Timestamp;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use crate::{
    Store, Write,
    bulk::{self, Existing},
    convert::micros,
    entities::{passkeys, spent_challenges},
    error::StoreError,
    rows::Passkey,
};

impl Store {
    /// The passkey that a browser knows by this id.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn passkey(&self, credential_id: &[u8]) -> Result<Option<Passkey>, StoreError> {
        let query = passkeys::Entity::find().filter(passkeys::Column::CredentialId.eq(credential_id));
        Ok(query.one(&self.reader).await?)
    }

    /// The passkeys of a member, the first ones first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn passkeys_of(&self, member: MemberId) -> Result<Vec<Passkey>, StoreError> {
        let query = passkeys::Entity::find().filter(passkeys::Column::MemberId.eq(member.0));
        Ok(query.order_by_asc(passkeys::Column::Id).all(&self.reader).await?)
    }

    /// Which of these members have a passkey.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn with_passkey(&self, members: Vec<Uuid>) -> Result<BTreeSet<Uuid>, StoreError> {
        let query = passkeys::Entity::find().filter(passkeys::Column::MemberId.is_in(members));
        let owners = query.select_only().column(passkeys::Column::MemberId).distinct().into_tuple();
        Ok(owners.all(&self.reader).await?.into_iter().collect())
    }
}

impl Write {
    /// A passkey, for a change: other writers wait.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn lock_passkey(&self, id: PasskeyId) -> Result<Option<Passkey>, StoreError> {
        let mut query = passkeys::Entity::find_by_id(id.0);
        if self.is_shared() {
            query = query.lock_exclusive();
        }
        Ok(query.one(&self.transaction).await?)
    }

    /// Whether any of these members has a passkey.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn has_passkey(&self, members: Vec<Uuid>) -> Result<bool, StoreError> {
        let query = passkeys::Entity::find().filter(passkeys::Column::MemberId.is_in(members));
        Ok(query.one(&self.transaction).await?.is_some())
    }

    /// How many passkeys a member has.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn count_passkeys(&self, member: MemberId) -> Result<usize, StoreError> {
        let query = passkeys::Entity::find().filter(passkeys::Column::MemberId.eq(member.0));
        Ok(query.all(&self.transaction).await?.len())
    }

    /// Writes a passkey.
    ///
    /// # Errors
    /// Those of the database; [`StoreError::Duplicate`] if another one has the id that its browser has for it.
    pub async fn save_passkey(&self, passkey: Passkey) -> Result<(), StoreError> {
        bulk::insert::<passkeys::Entity>(&self.transaction, vec![passkey], Existing::Replace).await?;
        Ok(())
    }

    /// Takes a passkey away.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn remove_passkey(&self, id: PasskeyId) -> Result<(), StoreError> {
        passkeys::Entity::delete_by_id(id.0).exec(&self.transaction).await?;
        Ok(())
    }

    /// Spends a challenge, named by its hash; whether it was not spent before. Forgets those that are good no more anyway.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn spend_challenge(
        &self,
        hash: [u8; 32],
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let over = spent_challenges::Entity::delete_many().filter(spent_challenges::Column::ExpiresAt.lt(micros(now)));
        over.exec(&self.transaction).await?;
        let row = spent_challenges::Model { hash: hash.to_vec(), expires_at: micros(expires_at) };
        let written = bulk::insert::<spent_challenges::Entity>(&self.transaction, vec![row], Existing::Keep).await?;
        Ok(written == 1)
    }
}
