//! What happens is counted by the hour. Here it is gathered in memory and written down every second, all of it in one
//! transaction, so that no check and no event waits for it. These are statistics: a process that dies takes the last second of
//! them with it, and nothing else rests on them.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use domain::{
    counted::{Counted, hour_of},
    id::TenantId,
    time::after,
};
use jiff::{SignedDuration, Timestamp};
use store::{Write, counts::CountKey, lists::Whose};

use crate::{Engine, Error};

/// Days for which counts are kept: the longest stretch that a page shows, three times.
pub const KEPT_DAYS: i64 = 90;

/// What was counted and not written down yet.
pub(crate) type Counts = Mutex<HashMap<CountKey, i64>>;

impl Engine {
    /// Counts something that happened at a moment.
    pub(crate) fn tally(&self, whose: Whose, what: Counted, at: Timestamp) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(CountKey { whose, hour: hour_of(at), what }).or_default() += 1;
    }

    /// Writes down what was counted since the last time, and what was denied.
    ///
    /// # Errors
    /// Those of the database; then it is written down the next time.
    pub async fn write_counts(&self) -> Result<(), Error> {
        let counts = std::mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner));
        let denials = self.take_denials();
        if counts.is_empty() && denials.is_empty() {
            return Ok(());
        }
        let once = async || {
            let write = self.store.begin().await?;
            write.count(counts.iter().map(|(key, times)| (*key, *times))).await?;
            write.add_denials(&denials).await?;
            Ok(write.commit().await?)
        };
        let written = store::repeat(once, Error::is_lost_race).await;
        if written.is_err() {
            self.give_denials_back(denials);
            let mut again = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            counts.into_iter().for_each(|(key, times)| *again.entry(key).or_default() += times);
        }
        written
    }
}

/// Forgets what was counted long ago. Returns how many rows.
pub(crate) async fn forget(write: &Write, tenant: TenantId, now: Timestamp) -> Result<u64, Error> {
    let before = after(now, -SignedDuration::from_hours(24 * KEPT_DAYS));
    Ok(write.forget_counts(tenant, hour_of(before)).await?)
}
