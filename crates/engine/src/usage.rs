//! Checks per month: a promise of the plan, so they are counted in the database, before the answer (A18).

use std::collections::BTreeMap;

use domain::id::LicenseId;
use jiff::{Timestamp, tz::TimeZone};
use store::Store;

use crate::{Engine, Error, Gather, Turns, runtime::Unanswered};

/// Checks that are counted in one transaction at most.
const COUNTED: Turns = Turns { batch_max: 256, concurrent: 1, waiting_max: 4_096 };

/// A check to be counted.
#[derive(Clone, Copy)]
pub(crate) struct Use {
    license: LicenseId,
    month: i32,
}

/// Which one of its month it is, from 1.
pub(crate) type Counted = Result<i64, Unanswered>;

pub(crate) fn gather(store: Store) -> Gather<Use, Counted> {
    Gather::start(COUNTED, move |uses: Vec<Use>| {
        let store = store.clone();
        async move {
            match store::repeat(|| count(&store, &uses), Error::is_conflict).await {
                Ok(counted) => counted.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(Unanswered::new(&error)); uses.len()],
            }
        }
    })
}

/// Counts a batch in one transaction. Each check of a license has a number of its own.
async fn count(store: &Store, uses: &[Use]) -> Result<Vec<i64>, Error> {
    let mut months: BTreeMap<i32, BTreeMap<LicenseId, i64>> = BTreeMap::new();
    for one in uses {
        *months.entry(one.month).or_default().entry(one.license).or_default() += 1;
    }
    let write = store.begin().await?;
    let mut before: BTreeMap<(i32, LicenseId), i64> = BTreeMap::new();
    for (month, checks) in &months {
        for (license, total) in write.count_checks(*month, checks).await? {
            before.insert((*month, license), total - checks.get(&license).copied().unwrap_or_default());
        }
    }
    write.commit().await?;
    Ok(uses
        .iter()
        .map(|one| {
            let number = before.entry((one.month, one.license)).or_default();
            *number += 1;
            *number
        })
        .collect())
}

impl Engine {
    /// Counts a check; returns which one of this month it is.
    pub(crate) async fn count_check(&self, license: LicenseId, at: Timestamp) -> Result<i64, Error> {
        let date = at.to_zoned(TimeZone::UTC).date();
        let month = i32::from(date.year()) * 12 + i32::from(date.month()) - 1;
        Ok(self.uses.ask(Use { license, month }).await??)
    }
}
