//! What apps were denied, by license, answer and day. It is gathered in memory and written down with the counts
//! ([`crate::counts`]), so that no check waits for it.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Mutex, PoisonError},
};

use domain::{
    activation::VerdictCode,
    counted::Counted,
    denied::{Denials, Denied, day_of, together},
    id::{LicenseId, TenantId},
    time::after,
};
use jiff::{SignedDuration, Timestamp};
use store::{Write, denials::DenialKey, lists::Whose};

use crate::{Engine, Error, counts::KEPT_DAYS, runtime::Subject};

/// Licenses, answers and days that are told apart between two times of writing. A denial that does not fit is counted as one of
/// others ([`Counted::DeniedElsewhere`]).
const WAITING_MAX: usize = 2_048;

/// What was denied and not written down yet.
pub(crate) type Waiting = Mutex<Gathered>;

/// Denials by license, answer and day.
pub(crate) type Gathered = HashMap<DenialKey, Denials>;

/// Adds denials. Returns how many found no place.
fn add(gathered: &mut Gathered, key: DenialKey, denials: Denials) -> i64 {
    let is_full = gathered.len() >= WAITING_MAX;
    match gathered.entry(key) {
        Entry::Occupied(mut entry) => entry.get_mut().join(denials),
        Entry::Vacant(_) if is_full => return denials.times,
        Entry::Vacant(entry) => {
            entry.insert(denials);
        }
    }
    0
}

impl Engine {
    /// Notes that an app was denied something.
    pub(crate) fn note_denial(&self, subject: Subject, code: VerdictCode, device: Option<&str>, at: Timestamp) {
        let Whose { tenant, .. } = subject.whose;
        let key = DenialKey { tenant, license: subject.license, day: day_of(at), code };
        let mut waiting = self.denials.lock().unwrap_or_else(PoisonError::into_inner);
        let left_out = add(&mut waiting, key, Denials::one(device, at));
        drop(waiting);
        if left_out > 0 {
            self.tally(subject.whose, Counted::DeniedElsewhere, at);
        }
    }

    /// Takes what was gathered, to write it down.
    pub(crate) fn take_denials(&self) -> Gathered {
        std::mem::take(&mut *self.denials.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Gives back what could not be written down. What finds no place any more is lost, and said so in the log.
    pub(crate) fn give_denials_back(&self, gathered: Gathered) {
        let mut waiting = self.denials.lock().unwrap_or_else(PoisonError::into_inner);
        let left_out: i64 = gathered.into_iter().map(|(key, denials)| add(&mut waiting, key, denials)).sum();
        drop(waiting);
        if left_out > 0 {
            tracing::warn!(
                denials = left_out,
                "the database does not answer, and so many denials are not told of licenses"
            );
        }
    }

    /// What a license was denied, one of each answer, the last one first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn denials(&self, license: LicenseId) -> Result<Vec<Denied>, Error> {
        Ok(together(self.store.denials(license).await?))
    }
}

/// Forgets denials of long ago, so many in a transaction. Returns about how many.
pub(crate) async fn forget(write: &Write, tenant: TenantId, now: Timestamp, limit: u64) -> Result<u64, Error> {
    let before = after(now, -SignedDuration::from_hours(24 * KEPT_DAYS));
    Ok(write.forget_denials(tenant, day_of(before), limit).await?)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_flood_of_licenses_is_counted_and_fills_no_memory() {
        let (mut gathered, at) = (Gathered::new(), Timestamp::UNIX_EPOCH);
        let key = |number: usize| DenialKey {
            tenant: TenantId(Uuid::nil()),
            license: LicenseId(Uuid::from_u128(number as u128)),
            day: 0,
            code: VerdictCode::Expired,
        };
        let mut deny = |number: usize| add(&mut gathered, key(number), Denials::one(Some("pc"), at));
        let left_out: i64 = (0..WAITING_MAX + 3).map(&mut deny).sum();
        assert_eq!((left_out, deny(0), deny(WAITING_MAX)), (3, 0, 1));
        assert_eq!((gathered.len(), gathered[&key(0)].times), (WAITING_MAX, 2));
    }
}
