//! The keys that sign leases: each tenant's own, made when the first one is needed, sealed at rest.
//!
//! Of a tenant's keys the one signs that retires next; of several that never do, the oldest. A rotation makes a new one, which is published at once, and
//! says when those before it retire: until then whoever verifies leases can learn the new one. Retired keys stay published,
//! since their leases outlive them, until somebody withdraws them.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use crypto::{
    lease::{PublicKey, SigningKey},
    seal::{Place, sealed_by},
};
use domain::{
    id::{TenantId, uuid_v7},
    plan::{LeaseTerms, PlanTerms},
    time::after,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use store::rows;

use crate::{Engine, Error, rulings::By};

/// How long a node signs with a key before it looks whether another one has rotated it.
const FRESH: SignedDuration = SignedDuration::from_secs(30);
/// For how many hours a key signs on beside the published next one, unless somebody says otherwise.
pub const OVERLAP_HOURS: u16 = 24;
/// At most: 90 days, in which apps that know one key only can be brought up to date.
pub const OVERLAP_HOURS_MAX: u16 = 2_160;

/// The signing keys that were opened.
#[derive(Default)]
pub(crate) struct Signers {
    opened: RwLock<HashMap<TenantId, Opened>>,
}

struct Opened {
    key: Arc<SigningKey>,
    at: Timestamp,
}

/// What a key is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It signs; some: until then.
    Signs(Option<Timestamp>),
    /// It will sign from then on.
    Next(Timestamp),
    /// It signs no more since then, and leases that it signed are verified with it.
    Retired(Timestamp),
}

/// A key as far as anybody may know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedKey {
    /// Its public half.
    pub public: PublicKey,
    /// When it was made.
    pub made_at: Timestamp,
    /// What it is there for.
    pub phase: Phase,
    /// When the last lease ends that it has signed or will sign, as plans are now; none: nobody knows yet.
    pub leases_end_by: Option<Timestamp>,
}

/// Why keys were left as they are.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The old key would sign on for too long.
    #[error("both keys are published for 0 to {OVERLAP_HOURS_MAX} hours before the new one signs")]
    Overlap,
    /// There is no such key.
    #[error("there is no such signing key")]
    NoKey,
    /// It is in use.
    #[error("this key signs, is about to, or did until a moment ago; rotate first, and withdraw it once it is retired")]
    InUse,
    /// The database failed.
    #[error(transparent)]
    Engine(#[from] Error),
}

impl From<store::StoreError> for SigningError {
    fn from(error: store::StoreError) -> Self {
        Self::Engine(error.into())
    }
}

impl SigningError {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Engine(error) if error.is_conflict())
    }
}

fn is_retired(row: &rows::SigningKey, now: Timestamp) -> bool {
    row.retired_at.is_some_and(|at| at <= now.as_microsecond())
}

fn instant(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
}

/// By when they retire; what never does comes last, the oldest first.
fn succession(row: &rows::SigningKey) -> (i64, uuid::Uuid) {
    (row.retired_at.unwrap_or(i64::MAX), row.id)
}

/// The one that signs now.
fn signing(rows: &[rows::SigningKey], now: Timestamp) -> Option<&rows::SigningKey> {
    rows.iter().filter(|row| !is_retired(row, now)).min_by_key(|row| succession(row))
}

/// What each of a tenant's keys is there for, in their order.
fn phases(rows: &[rows::SigningKey], now: Timestamp) -> Vec<Phase> {
    let signing = signing(rows, now);
    let phase = |row: &rows::SigningKey| match (row.retired_at.map(instant), signing) {
        (Some(at), _) if is_retired(row, now) => Phase::Retired(at),
        (until, Some(signing)) if signing.id == row.id => Phase::Signs(until),
        // The one before it signs until it is retired; one that never is has no next one.
        (_, signing) => Phase::Next(signing.and_then(|row| row.retired_at).map_or(Timestamp::MAX, instant)),
    };
    rows.iter().map(phase).collect()
}

/// The keys after a rotation, without the new one: what signs goes on for a while, and what was to sign next never does.
fn superseded(rows: Vec<rows::SigningKey>, until: Timestamp, now: Timestamp) -> Vec<rows::SigningKey> {
    let phases = phases(&rows, now);
    let retired = |(mut row, phase): (rows::SigningKey, Phase)| {
        let at = match phase {
            Phase::Retired(_) => return None,
            Phase::Signs(before) => before.map_or(until, |before| before.min(until)),
            Phase::Next(_) => now,
        };
        row.retired_at = Some(at.as_microsecond());
        Some(row)
    };
    rows.into_iter().zip(phases).filter_map(retired).collect()
}

impl Engine {
    /// The key that signs a tenant's leases now.
    ///
    /// # Errors
    /// Those of the database, or the key does not open.
    pub async fn signer(&self, tenant: TenantId) -> Result<Arc<SigningKey>, Error> {
        let now = self.now();
        if let Some(opened) = self.signers.opened.read().unwrap_or_else(PoisonError::into_inner).get(&tenant)
            && now.duration_since(opened.at) < FRESH
        {
            return Ok(Arc::clone(&opened.key));
        }
        let row = match self.active_signing_key(tenant).await? {
            Some(row) => row,
            None => self.make_signing_key(tenant).await?,
        };
        let secret = self.ring().open(Place::signing_key(tenant, row.id), &row.sealed)?;
        let secret: &[u8; 32] = secret.as_slice().try_into().map_err(|_| Error::SigningKey(row.kid.clone()))?;
        let key = Arc::new(SigningKey::from_secret(secret));
        let opened = Opened { key: Arc::clone(&key), at: now };
        self.signers.opened.write().unwrap_or_else(PoisonError::into_inner).insert(tenant, opened);
        Ok(key)
    }

    /// The public halves of a tenant's keys, old ones included: a lease outlives a change of keys.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn public_keys(&self, tenant: TenantId) -> Result<Vec<PublicKey>, Error> {
        self.signer(tenant).await?;
        self.store.signing_keys(tenant).await?.iter().map(public).collect()
    }

    /// The same, those that sign for longest first, each with what it is there for.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn published_keys(&self, tenant: TenantId) -> Result<Vec<PublishedKey>, Error> {
        self.signer(tenant).await?;
        let mut rows = self.store.signing_keys(tenant).await?;
        rows.sort_by_key(succession);
        let longest = self.longest_lease(tenant).await?;
        let published = |(row, phase): (&rows::SigningKey, Phase)| {
            let ended_at = row.retired_at.map(instant);
            Ok(PublishedKey {
                public: public(row)?,
                made_at: instant(row.created_at),
                phase,
                leases_end_by: ended_at.map(|at| after(at, longest)),
            })
        };
        rows.iter().zip(phases(&rows, self.now())).rev().map(published).collect()
    }

    /// How long the longest lease is that any version of the tenant's plans gives.
    async fn longest_lease(&self, tenant: TenantId) -> Result<SignedDuration, Error> {
        let plans = self.store.plans(tenant).await?;
        let terms = plans.iter().filter_map(|row| serde_json::from_str::<PlanTerms>(&row.terms).ok());
        let days = terms.map(|terms| terms.lease.offline_days).max().unwrap_or(LeaseTerms::default().offline_days);
        Ok(SignedDuration::from_hours(24 * i64::from(days)))
    }

    /// Makes a new key, which is published at once and signs once `overlap_hours` are over. Returns its id.
    ///
    /// # Errors
    /// The time is too long, or those of the database.
    pub async fn rotate_signing_key(
        &self,
        tenant: TenantId,
        overlap_hours: u16,
        by: &By,
    ) -> Result<String, SigningError> {
        if overlap_hours > OVERLAP_HOURS_MAX {
            return Err(SigningError::Overlap);
        }
        self.signer(tenant).await?;
        let until = after(self.now(), SignedDuration::from_hours(overlap_hours.into()));
        let new = self.new_signing_key(tenant);
        let once = || async {
            let write = self.store.begin().await?;
            write.lock_catalogue(tenant).await?;
            let before = superseded(write.signing_keys(tenant).await?, until, self.now());
            for row in before.into_iter().chain([new.clone()]) {
                write.save_signing_key(row).await?;
            }
            let detail = json!({ "signs_from": until.to_string(), "note": by.note });
            let entry = self.told(tenant, "signing_key.rotated", new.kid.clone(), None, &detail, by);
            crate::audit::add(&write, vec![entry]).await?;
            Ok(write.commit().await?)
        };
        store::repeat(once, SigningError::is_conflict).await?;
        self.signers.opened.write().unwrap_or_else(PoisonError::into_inner).remove(&tenant);
        Ok(new.kid)
    }

    /// Publishes a retired key no more: nobody who asks for keys verifies its leases any longer.
    ///
    /// # Errors
    /// There is no such key, it signs or is about to, or those of the database.
    pub async fn withdraw_signing_key(&self, tenant: TenantId, kid: &str, by: &By) -> Result<(), SigningError> {
        let once = || async {
            let write = self.store.begin().await?;
            write.lock_catalogue(tenant).await?;
            let rows = write.signing_keys(tenant).await?;
            let row = rows.iter().find(|row| row.kid == kid).ok_or(SigningError::NoKey)?;
            // Another node may sign with it until it looks again.
            if !is_retired(row, after(self.now(), -FRESH)) {
                return Err(SigningError::InUse);
            }
            write.remove_signing_key(kid).await?;
            let detail = json!({ "note": by.note });
            let entry = self.told(tenant, "signing_key.withdrawn", kid.to_owned(), None, &detail, by);
            crate::audit::add(&write, vec![entry]).await?;
            Ok(write.commit().await?)
        };
        store::repeat(once, SigningError::is_conflict).await
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
        let rows = self.store.signing_keys(tenant).await?;
        Ok(signing(&rows, self.now()).cloned())
    }

    fn new_signing_key(&self, tenant: TenantId) -> rows::SigningKey {
        let now = self.now();
        let mut entropy = self.entropy();
        let key = SigningKey::generate(&mut *entropy);
        let id = uuid_v7(now, &mut *entropy);
        let sealed = self.ring().seal(Place::signing_key(tenant, id), &*key.to_secret(), &mut *entropy);
        rows::SigningKey {
            kid: key.public().kid().to_owned(),
            tenant_id: tenant.0,
            id,
            public: key.public().to_bytes().to_vec(),
            sealed_by: sealed_by(&sealed.0).map(|id| id.to_string()).unwrap_or_default(),
            sealed: sealed.0,
            created_at: now.as_microsecond(),
            retired_at: None,
        }
    }

    /// Two nodes may both make one; both are valid, and the older one signs.
    async fn make_signing_key(&self, tenant: TenantId) -> Result<rows::SigningKey, Error> {
        let write = self.store.begin().await?;
        write.save_signing_key(self.new_signing_key(tenant)).await?;
        write.commit().await?;
        let made = self.active_signing_key(tenant).await?;
        made.ok_or_else(|| Error::SigningKey("none".to_owned()))
    }
}

fn public(row: &rows::SigningKey) -> Result<PublicKey, Error> {
    let damaged = || Error::SigningKey(row.kid.clone());
    let bytes: [u8; 32] = row.public.as_slice().try_into().map_err(|_| damaged())?;
    PublicKey::from_bytes(&bytes).map_err(|_| damaged())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_second(1_793_491_200 + hours * 3_600).unwrap()
    }

    fn key(id: u128, retired: Option<i64>) -> rows::SigningKey {
        rows::SigningKey {
            kid: id.to_string(),
            tenant_id: uuid::Uuid::nil(),
            id: uuid::Uuid::from_u128(id),
            public: Vec::new(),
            sealed: Vec::new(),
            sealed_by: String::new(),
            created_at: 0,
            retired_at: retired.map(|hours| at(hours).as_microsecond()),
        }
    }

    #[test]
    fn the_key_signs_that_retires_next() {
        use Phase::{Next, Retired, Signs};
        for (retired, expected) in [
            (&[None][..], &[Signs(None)][..]),
            (&[Some(24), None], &[Signs(Some(at(24))), Next(at(24))]),
            (&[Some(0), None], &[Retired(at(0)), Signs(None)]),
            (&[None, Some(24)], &[Next(at(24)), Signs(Some(at(24)))]),
            (&[None, None], &[Signs(None), Next(Timestamp::MAX)]),
            (&[Some(-24), Some(1), None], &[Retired(at(-24)), Signs(Some(at(1))), Next(at(1))]),
        ] {
            let rows: Vec<_> = (1..).zip(retired).map(|(id, retired)| key(id, *retired)).collect();
            assert_eq!(phases(&rows, at(0)), expected, "{retired:?}");
        }
    }

    #[test]
    fn a_rotation_never_makes_the_old_key_sign_longer_and_drops_what_was_to_sign_next() {
        for (retired, overlap, expected) in [
            (&[None][..], 24, &[24][..]),
            (&[None], 0, &[0]),
            (&[Some(7), None], 24, &[7, 0]),
            (&[Some(48), None], 24, &[24, 0]),
            (&[Some(-1), None], 24, &[24]),
        ] {
            let rows: Vec<_> = (1..).zip(retired).map(|(id, retired)| key(id, *retired)).collect();
            let after = superseded(rows, at(overlap), at(0));
            let after: Vec<_> = after.iter().map(|row| row.retired_at.unwrap()).collect();
            assert_eq!(after, expected.iter().map(|hours| at(*hours).as_microsecond()).collect::<Vec<_>>());
        }
    }
}
