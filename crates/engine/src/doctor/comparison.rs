//! Money and licenses of a window compared for a page: that takes longer than a page may, so that it goes on behind it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use domain::id::OrderId;
use jiff::{SignedDuration, Timestamp};
use store::lists::Whose;
use tracing::warn;

use super::discrepancies::Window;
use crate::{Engine, Error, scans::Scan};

/// Orders that are looked at together: so many are looked at before a page is shown, and take it some ten milliseconds.
const TOGETHER: u64 = 64;
/// A vendor with more orders than these sees nothing of a comparison before it goes on.
const FEW: u64 = 10_000;
/// How long a comparison counts after its end.
const KEPT: SignedDuration = SignedDuration::from_mins(5);
/// So many comparisons are remembered; then all are forgotten.
const KEPT_MAX: usize = 64;
/// A comparison ends with so many orders in which something does not fit: they are enough to begin with.
const FOUND_MAX: usize = 1_000;

/// What was asked about, and what is known of it.
pub(crate) type Comparisons = Mutex<HashMap<(Whose, Window), Comparison>>;

/// How far a comparison has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Orders in which something did not fit, the newest first; a thousand at most.
    pub found: Vec<OrderId>,
    /// How many orders were looked at.
    pub orders: usize,
    /// When the last of them was. None: it goes on.
    pub ended_at: Option<Timestamp>,
    /// Whether so much was found that the rest was not looked at.
    pub is_cut: bool,
    /// The order behind which it goes on.
    behind: Option<OrderId>,
}

impl Comparison {
    /// Whether it may still be shown.
    fn counts(&self, now: Timestamp) -> bool {
        self.ended_at.is_none_or(|ended_at| now.duration_since(ended_at) < KEPT)
    }
}

impl Engine {
    /// What a comparison of the orders of a window has found up to now. The first orders are looked at for whoever asks; if
    /// there are more, it goes on by itself, one at a time for each vendor, and what it found counts for five minutes.
    ///
    /// # Errors
    /// Those of the database, or the catalogue does not read.
    pub async fn compare(self: &Arc<Self>, whose: Whose, window: &Window) -> Result<Comparison, Error> {
        let asked = (whose, *window);
        let known = self.comparisons().get(&asked).cloned();
        if let Some(known) = known.filter(|comparison| comparison.counts(self.now())) {
            return Ok(known);
        }
        // Among many orders those of a window are not found at once, be they as few as they may.
        let comparison = match self.store.has_more_orders(whose, FEW).await? {
            true => Comparison::default(),
            false => self.compared_further(whose, window, Comparison::default()).await?,
        };
        if comparison.ended_at.is_none()
            && let Some(scan) = self.begin_scan(whose.tenant)
        {
            self.remember(asked, comparison.clone());
            let (engine, begun) = (Arc::clone(self), comparison.clone());
            tokio::spawn(async move { engine.compare_on(asked, begun, scan).await });
        }
        Ok(comparison)
    }

    fn comparisons(&self) -> MutexGuard<'_, HashMap<(Whose, Window), Comparison>> {
        self.comparisons.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, asked: (Whose, Window), comparison: Comparison) {
        let mut comparisons = self.comparisons();
        if comparisons.len() >= KEPT_MAX && !comparisons.contains_key(&asked) {
            comparisons.clear();
        }
        comparisons.insert(asked, comparison);
    }

    /// Comparisons on until the end, and says after each page how far it is.
    async fn compare_on(&self, asked: (Whose, Window), mut comparison: Comparison, _scan: Scan) {
        while comparison.ended_at.is_none() {
            comparison = match self.compared_further(asked.0, &asked.1, comparison).await {
                Ok(comparison) => comparison,
                Err(error) => {
                    warn!(%error, "orders are not looked through to their end; whoever asks again begins anew");
                    self.comparisons().remove(&asked);
                    return;
                }
            };
            self.remember(asked, comparison.clone());
        }
    }

    async fn compared_further(
        &self,
        whose: Whose,
        window: &Window,
        mut comparison: Comparison,
    ) -> Result<Comparison, Error> {
        let ids = self.orders_in(whose, window, comparison.behind, TOGETHER).await?;
        let examined = self.discrepancies_of(whose, &ids).await?.into_iter();
        comparison.found.extend(examined.filter(|(_, rows)| !rows.is_empty()).map(|(id, _)| id));
        comparison.orders += ids.len();
        comparison.behind = ids.last().copied();
        let is_last = ids.len() < TOGETHER as usize;
        comparison.is_cut = !is_last && comparison.found.len() >= FOUND_MAX;
        if is_last || comparison.is_cut {
            comparison.ended_at = Some(self.now());
        }
        Ok(comparison)
    }
}
