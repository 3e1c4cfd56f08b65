//! Checks per month: a promise of the plan or of the account, so they are counted in the database, before the answer (A18,
//! A35).

use std::collections::BTreeMap;

use domain::activation::Verdict;
use jiff::{Timestamp, tz::TimeZone};
use store::Store;
use uuid::Uuid;

use crate::{
    Engine, Error, Gather, Turns,
    runtime::{AppLicense, Unanswered},
};

/// Checks that are counted in one transaction at most.
const COUNTED: Turns = Turns { batch_max: 256, concurrent: 1, waiting_max: 4_096 };

/// A check to be counted.
#[derive(Clone, Copy)]
pub(crate) struct Use {
    /// A license, or a tenant.
    subject: Uuid,
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

/// Counts a batch in one transaction. Each check of a subject has a number of its own.
async fn count(store: &Store, uses: &[Use]) -> Result<Vec<i64>, Error> {
    let mut months: BTreeMap<i32, BTreeMap<Uuid, i64>> = BTreeMap::new();
    for one in uses {
        *months.entry(one.month).or_default().entry(one.subject).or_default() += 1;
    }
    let write = store.begin().await?;
    let mut before: BTreeMap<(i32, Uuid), i64> = BTreeMap::new();
    for (month, checks) in &months {
        for (subject, total) in write.count_checks(*month, checks).await? {
            before.insert((*month, subject), total - checks.get(&subject).copied().unwrap_or_default());
        }
    }
    write.commit().await?;
    Ok(uses
        .iter()
        .map(|one| {
            let number = before.entry((one.month, one.subject)).or_default();
            *number += 1;
            *number
        })
        .collect())
}

impl Engine {
    /// Counts a check of a license where its plan or its vendor's account limits them. Some: there are no more this month.
    pub(crate) async fn count_check(&self, license: &AppLicense, at: Timestamp) -> Result<Option<Verdict>, Error> {
        let found = &license.found;
        if let Some(max) = license.limits().checks_per_month
            && self.count(found.id.0, at).await? > max.into()
        {
            return Ok(Some(Verdict::checks_exceeded(max)));
        }
        // Trying things out takes nothing away.
        let of_account =
            self.account(found.tenant).filter(|_| found.livemode).and_then(|account| account.checks_per_month);
        match of_account {
            Some(max) if self.count(found.tenant.0, at).await? > max.into() => {
                Ok(Some(Verdict::account_checks_exceeded()))
            }
            _ => Ok(None),
        }
    }

    /// Which one of this month's checks it is.
    async fn count(&self, subject: Uuid, at: Timestamp) -> Result<i64, Error> {
        let date = at.to_zoned(TimeZone::UTC).date();
        let month = i32::from(date.year()) * 12 + i32::from(date.month()) - 1;
        Ok(self.uses.ask(Use { subject, month }).await??)
    }
}
