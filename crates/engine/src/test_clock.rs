//! A tenant's clock of test mode runs ahead of the real one, so that a vendor sees a whole year before going live.
//!
//! Only judging knows of it: what a license of test mode is, and what an app is told of it. What happened, happened at the
//! real time, and what is due is kept in real time.

use std::{
    collections::HashMap,
    sync::{Arc, RwLock},
};

use domain::{id::TenantId, time::after};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use store::Store;

use crate::{Engine, Error, rulings::By};

/// Another node may have moved a clock: what is kept is read again after this.
const FRESH: SignedDuration = SignedDuration::from_millis(500);
/// The furthest that a clock may run ahead: a century.
pub const AHEAD_MAX: SignedDuration = SignedDuration::from_hours(100 * 366 * 24);

/// How far the clocks run ahead, by tenant. Those that do not are left out.
type Ahead = HashMap<TenantId, SignedDuration>;

/// The clocks as they were read last.
#[derive(Default)]
pub(crate) struct TestClocks {
    kept: RwLock<Option<(Timestamp, Arc<Ahead>)>>,
}

impl TestClocks {
    async fn ahead(&self, store: &Store, now: Timestamp) -> Result<Arc<Ahead>, Error> {
        if let Ok(kept) = self.kept.read()
            && let Some((read_at, ahead)) = &*kept
            && now.duration_since(*read_at).abs() < FRESH
        {
            return Ok(Arc::clone(ahead));
        }
        let ahead: Ahead = store.test_clocks().await?.into_iter().collect();
        let ahead = Arc::new(ahead);
        if let Ok(mut kept) = self.kept.write() {
            *kept = Some((now, Arc::clone(&ahead)));
        }
        Ok(ahead)
    }

    fn forget(&self) {
        if let Ok(mut kept) = self.kept.write() {
            *kept = None;
        }
    }
}

impl Engine {
    /// How far ahead a license is judged: zero, except in the test mode of a tenant whose clock was moved.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn ahead(&self, tenant: TenantId, livemode: bool) -> Result<SignedDuration, Error> {
        if livemode {
            return Ok(SignedDuration::ZERO);
        }
        let ahead = self.test_clocks.ahead(&self.store, self.now()).await?;
        Ok(ahead.get(&tenant).copied().unwrap_or_default())
    }

    /// Moves a tenant's clock of test mode on, and has everything of test mode looked at. Returns how far it runs ahead
    /// from now on; by this it never runs back.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn advance_test_clock(
        &self,
        tenant: TenantId,
        by: SignedDuration,
        who: &By,
    ) -> Result<SignedDuration, Error> {
        self.move_test_clock(tenant, Move::On(by.max(SignedDuration::ZERO)), who).await
    }

    /// Time in a tenant's test mode is real time again, and everything of test mode is looked at by it. A license's state
    /// follows from what happened and from the time alone, so what expired by the clock works again. What was told
    /// meanwhile stays told: mails, events, the audit log.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn reset_test_clock(&self, tenant: TenantId, who: &By) -> Result<(), Error> {
        self.move_test_clock(tenant, Move::Back, who).await?;
        Ok(())
    }

    async fn move_test_clock(&self, tenant: TenantId, how: Move, who: &By) -> Result<SignedDuration, Error> {
        let ahead = store::repeat(|| self.move_once(tenant, how, who), Error::is_conflict).await?;
        self.test_clocks.forget();
        self.work.notify_one();
        Ok(ahead)
    }

    async fn move_once(&self, tenant: TenantId, how: Move, who: &By) -> Result<SignedDuration, Error> {
        let now = self.now();
        let write = self.store.begin().await?;
        // Batches hold it while they settle by the clock as it was, and those that come after see it as it will be.
        write.lock_catalogue(tenant).await?;
        let before = write.test_clock(tenant).await?;
        let (ahead, action) = match how {
            Move::On(by) => (before.saturating_add(by).min(AHEAD_MAX), "test_clock.advanced"),
            Move::Back => (SignedDuration::ZERO, "test_clock.reset"),
        };
        write.set_test_clock(tenant, ahead).await?;
        // What has come to pass waits for nothing any more, and comes to pass once more if the time runs back.
        write.wake_test_orders(tenant, ahead < before, now).await?;
        let detail = json!({ "ahead_seconds": ahead.as_secs(), "now": after(now, ahead), "note": who.note });
        let entry = self.told(tenant, action, tenant.to_string(), None, &detail, who);
        crate::audit::add(&write, vec![entry]).await?;
        write.commit().await?;
        Ok(ahead)
    }
}

/// How a clock is moved.
#[derive(Clone, Copy)]
enum Move {
    /// So much further ahead.
    On(SignedDuration),
    /// To real time.
    Back,
}
