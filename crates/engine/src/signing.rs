//! The keys that sign leases: one per tenant, made when it is first needed, sealed at rest.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use crypto::{
    lease::{PublicKey, SigningKey},
    seal::{Place, sealed_by},
};
use domain::id::{TenantId, uuid_v7};
use store::rows;

use crate::{Engine, Error};

/// The signing keys that were opened.
#[derive(Default)]
pub(crate) struct Signers {
    opened: RwLock<HashMap<TenantId, Arc<SigningKey>>>,
}

impl Engine {
    /// The key that signs a tenant's leases now.
    ///
    /// # Errors
    /// Those of the database, or the key does not open.
    pub async fn signer(&self, tenant: TenantId) -> Result<Arc<SigningKey>, Error> {
        if let Some(key) = self.signers.opened.read().unwrap_or_else(PoisonError::into_inner).get(&tenant) {
            return Ok(Arc::clone(key));
        }
        let row = match self.active_signing_key(tenant).await? {
            Some(row) => row,
            None => self.make_signing_key(tenant).await?,
        };
        let secret = self.ring().open(Place::signing_key(tenant, row.id), &row.sealed)?;
        let secret: &[u8; 32] = secret.as_slice().try_into().map_err(|_| Error::SigningKey(row.kid.clone()))?;
        let key = Arc::new(SigningKey::from_secret(secret));
        self.signers.opened.write().unwrap_or_else(PoisonError::into_inner).insert(tenant, Arc::clone(&key));
        Ok(key)
    }

    /// The public halves of a tenant's keys, old ones included: a lease outlives a change of keys.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn public_keys(&self, tenant: TenantId) -> Result<Vec<PublicKey>, Error> {
        self.signer(tenant).await?;
        let rows = self.store.signing_keys(tenant).await?;
        let public = |row: rows::SigningKey| {
            let bytes: [u8; 32] = row.public.as_slice().try_into().map_err(|_| Error::SigningKey(row.kid.clone()))?;
            PublicKey::from_bytes(&bytes).map_err(|_| Error::SigningKey(row.kid))
        };
        rows.into_iter().map(public).collect()
    }

    /// The public halves of every tenant's keys: leases of all of them name this server as their issuer.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn all_public_keys(&self) -> Result<Vec<PublicKey>, Error> {
        let mut keys = Vec::new();
        for tenant in self.store.tenants().await? {
            keys.extend(self.public_keys(TenantId(tenant.id)).await?);
        }
        Ok(keys)
    }

    async fn active_signing_key(&self, tenant: TenantId) -> Result<Option<rows::SigningKey>, Error> {
        Ok(self.store.signing_keys(tenant).await?.into_iter().find(|row| row.retired_at.is_none()))
    }

    /// Two nodes may both make one; both are valid, and the older one signs.
    async fn make_signing_key(&self, tenant: TenantId) -> Result<rows::SigningKey, Error> {
        let now = self.now();
        let mut entropy = self.entropy();
        let key = SigningKey::generate(&mut *entropy);
        let id = uuid_v7(now, &mut *entropy);
        let sealed = self.ring().seal(Place::signing_key(tenant, id), &*key.to_secret(), &mut *entropy);
        let row = rows::SigningKey {
            kid: key.public().kid().to_owned(),
            tenant_id: tenant.0,
            id,
            public: key.public().to_bytes().to_vec(),
            sealed_by: sealed_by(&sealed.0).map(|id| id.to_string()).unwrap_or_default(),
            sealed: sealed.0,
            created_at: now.as_microsecond(),
            retired_at: None,
        };
        let write = self.store.begin().await?;
        write.save_signing_key(row).await?;
        write.commit().await?;
        let made = self.active_signing_key(tenant).await?;
        made.ok_or_else(|| Error::SigningKey("none".to_owned()))
    }
}
