//! All of a stretch of time once more.
//!
//! A recovery is a row. A worker takes its next events, a page at a time, and queues what did not arrive, or all of it, so
//! many a second. It never queues far ahead: what is cancelled stops, and what happens now is not kept waiting for long.

use std::collections::HashMap;

use domain::{
    Entropy,
    event::WantedKinds,
    id::{RecoveryId, TenantId, WebhookEndpointId},
    time::after,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use store::{
    Write,
    deliveries::{cause, recovery, status},
    lists::Whose,
    rows::{Delivery, Event, Recovery, WebhookEndpoint},
};
use uuid::Uuid;

use super::{Change, Done, WebhookError, again::once_more, instant, is_enabled};
use crate::{Engine, Error, events, rulings::By};

/// Events a second, unless somebody says otherwise.
pub const PER_SECOND: u16 = 50;
/// At most.
pub const PER_SECOND_MAX: u16 = 1_000;
/// Events that are looked at in one transaction, at most.
const PAGE: u64 = 250;
/// How far ahead deliveries are queued.
const AHEAD: SignedDuration = SignedDuration::from_secs(5);

/// What is to be delivered once more.
#[derive(Clone, Copy, Debug)]
pub struct Recover {
    /// What happened from then on.
    pub since: Timestamp,
    /// And before then; none: until now.
    pub until: Option<Timestamp>,
    /// Also what has arrived already.
    pub everything: bool,
    /// How many events a second.
    pub per_second: u16,
}

/// Until which moment a recovery has looked at what happened.
#[must_use]
pub fn examined_until(row: &Recovery) -> Timestamp {
    // Ids hold the moment at which they were made.
    let (seconds, nanos) = match row.behind.and_then(|id| id.get_timestamp()) {
        _ if row.status == recovery::DONE => return instant(row.until),
        Some(moment) => moment.to_unix(),
        None => return instant(row.since),
    };
    let last = Timestamp::from_second(i64::try_from(seconds).unwrap_or(i64::MAX)).unwrap_or(Timestamp::MAX);
    after(last, SignedDuration::from_nanos(nanos.into()))
}

impl Engine {
    /// Begins to deliver what happened in a stretch of time once more. What was forgotten already, and so cannot be told
    /// from what never arrived, is left alone.
    ///
    /// # Errors
    /// There is no such address, it is not enabled, another recovery of it runs, the stretch or the speed cannot be, or
    /// those of the database.
    pub async fn recover(
        &self,
        whose: Whose,
        id: WebhookEndpointId,
        asked: Recover,
        by: &By,
    ) -> Result<Recovery, WebhookError> {
        let now = self.now();
        // What happened just now belongs to it.
        let past = after(now, SignedDuration::from_micros(1));
        let until = asked.until.unwrap_or(past).min(past);
        if asked.since >= until.min(now) {
            return Err(WebhookError::Stretch);
        }
        if !(1..=PER_SECOND_MAX).contains(&asked.per_second) {
            return Err(WebhookError::PerSecond);
        }
        let kept_days = self.kept_days(whose.tenant).await?;
        let remembered = after(now, -SignedDuration::from_hours(24 * i64::from(kept_days)));
        let since = asked.since.max(remembered);
        let events = self.store.count_events(whose, (since, until)).await?;
        let recovery = Recovery {
            id: RecoveryId::new(now, &mut *self.entropy()).0,
            tenant_id: whose.tenant.0,
            endpoint_id: id.0,
            since: since.as_microsecond(),
            until: until.as_microsecond(),
            everything: asked.everything,
            behind: None,
            per_second: asked.per_second.into(),
            next_at: now.as_microsecond(),
            events: i64::try_from(events).unwrap_or(i64::MAX),
            examined: 0,
            queued: 0,
            status: recovery::RUNNING.to_owned(),
            created_at: now.as_microsecond(),
            done_at: None,
        };
        self.change_endpoint(whose, id, &Change::Recover(&recovery), by).await?;
        self.recovering.notify_one();
        Ok(recovery)
    }

    /// Stops a recovery. What it has queued is delivered. One that is over stays as it is.
    ///
    /// # Errors
    /// There is no such recovery, or those of the database.
    pub async fn cancel_recovery(&self, whose: Whose, id: RecoveryId, by: &By) -> Result<Recovery, WebhookError> {
        store::repeat(|| self.cancel_recovery_once(whose, id, by), WebhookError::is_conflict).await
    }

    async fn cancel_recovery_once(&self, whose: Whose, id: RecoveryId, by: &By) -> Result<Recovery, WebhookError> {
        let write = self.store.begin().await?;
        let row = write.lock_recovery(id).await?.ok_or(WebhookError::NoRecovery(id))?;
        let endpoint = self.store.webhook_endpoint(whose, WebhookEndpointId(row.endpoint_id)).await?;
        let endpoint = endpoint.ok_or(WebhookError::NoRecovery(id))?;
        if row.status != recovery::RUNNING {
            return Ok(row);
        }
        let done_at = Some(self.now().as_microsecond());
        let row = Recovery { status: recovery::CANCELLED.to_owned(), done_at, ..row };
        write.save_recovery(row.clone()).await?;
        let detail = json!({ "code": endpoint.code, "recovery": id, "queued": row.queued, "note": by.note });
        let subject = WebhookEndpointId(endpoint.id).to_string();
        let entry = self.told(whose.tenant, "webhook_endpoint.recovery_cancelled", subject, None, &detail, by);
        crate::audit::add(&write, vec![entry]).await?;
        write.commit().await?;
        Ok(row)
    }

    /// Queues the next events of all recoveries that go on. True: there is more to do at once.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn recover_turn(&self) -> Result<bool, Error> {
        let mut is_more = false;
        let (now, rows) = (self.now(), self.store.running_recoveries().await?);
        for row in rows.into_iter().filter(|row| instant(row.next_at) <= after(now, AHEAD)) {
            let id = RecoveryId(row.id);
            is_more |= store::repeat(|| self.recover_page(id), Error::is_conflict).await?;
        }
        Ok(is_more)
    }

    async fn recover_page(&self, id: RecoveryId) -> Result<bool, Error> {
        let now = self.now();
        let write = self.store.begin().await?;
        let Some(row) = write.lock_recovery(id).await?.filter(|row| row.status == recovery::RUNNING) else {
            return Ok(false);
        };
        let begins = instant(row.next_at).max(now);
        // While its address is not called, it waits.
        let endpoint = write.lock_endpoints(vec![row.endpoint_id]).await?.pop();
        let Some(endpoint) = endpoint.filter(|endpoint| is_enabled(endpoint).is_ok()) else { return Ok(false) };
        if begins > after(now, AHEAD) {
            return Ok(false);
        }
        let whose = Whose { tenant: TenantId(row.tenant_id), livemode: endpoint.livemode };
        let stretch = (instant(row.since), instant(row.until));
        let limit = PAGE.min(u64::from(row.per_second.unsigned_abs()) * AHEAD.as_secs().unsigned_abs());
        let page = write.events_between(whose, stretch, row.behind, limit).await?;
        let wanted = wanted(&endpoint, &page);
        let ids = wanted.iter().map(|event| event.id).collect();
        let known = write.lock_deliveries(WebhookEndpointId(endpoint.id), ids).await?;
        let queued = queue(&row, &wanted, known, begins, &mut *self.entropy());
        let is_done = (page.len() as u64) < limit;
        let examined = row.examined + i64::try_from(page.len()).unwrap_or(i64::MAX);
        let after = Recovery {
            behind: page.last().map(|event| event.id).or(row.behind),
            next_at: queued.next_at,
            examined,
            // Counted to the millisecond, when it began.
            events: if is_done { examined } else { row.events.max(examined) },
            queued: row.queued + i64::try_from(queued.new.len() + queued.again.len()).unwrap_or(i64::MAX),
            status: if is_done { recovery::DONE } else { recovery::RUNNING }.to_owned(),
            done_at: is_done.then(|| now.as_microsecond()),
            ..row
        };
        write.add_deliveries(queued.new).await?;
        write.save_deliveries(queued.again).await?;
        write.save_recovery(after).await?;
        if is_done {
            self.close_if_none_dead(&write, &endpoint).await?;
        }
        fail::fail_point!("recovery-before-commit");
        write.commit().await?;
        fail::fail_point!("recovery-after-commit");
        self.deliveries.notify_one();
        Ok(!is_done)
    }
}

/// The address is locked: nobody else begins one meanwhile.
pub(super) async fn begin_recovery(
    write: &Write,
    row: WebhookEndpoint,
    recovery: &Recovery,
) -> Result<Done, WebhookError> {
    let others = write.recoveries(WebhookEndpointId(row.id)).await?;
    if let Some(running) = others.iter().find(|other| other.status == recovery::RUNNING) {
        return Err(WebhookError::Recovering(RecoveryId(running.id)));
    }
    write.save_recovery(recovery.clone()).await?;
    let detail = json!({
        "recovery": RecoveryId(recovery.id), "since": instant(recovery.since), "until": instant(recovery.until),
        "everything": recovery.everything, "per_second": recovery.per_second,
    });
    Ok(Done { row, action: "webhook_endpoint.recovery_started", detail, count: 0 })
}

/// Those of these events that an address is told of. Examples were for one address only.
fn wanted<'a>(endpoint: &WebhookEndpoint, page: &'a [Event]) -> Vec<&'a Event> {
    let wanted = WantedKinds::stored(&endpoint.kinds);
    page.iter().filter(|event| !event.example && wanted.has_word(&event.kind)).collect()
}

/// What is queued, and when the next one may be.
struct Queued {
    new: Vec<Delivery>,
    again: Vec<Delivery>,
    next_at: i64,
}

/// Spaces out what is to be delivered: what has no delivery, what was held or given up, and, if asked, what arrived. What is
/// still tried arrives anyway.
fn queue(
    recovery: &Recovery,
    wanted: &[&Event],
    known: Vec<Delivery>,
    begins: Timestamp,
    entropy: &mut dyn Entropy,
) -> Queued {
    let step_micros = 1_000_000 / i64::from(recovery.per_second.max(1));
    let mut known: HashMap<Uuid, Delivery> = known.into_iter().map(|row| (row.event_id, row)).collect();
    let mut queued = Queued { new: Vec::new(), again: Vec::new(), next_at: begins.as_microsecond() };
    for event in wanted {
        let at = queued.next_at;
        match known.remove(&event.id) {
            None => {
                let row = events::delivery(recovery.endpoint_id, event, cause::RECOVERY, instant(at), entropy);
                queued.new.push(row);
            }
            Some(row) if row.status == status::PENDING => continue,
            Some(row) if row.status == status::DELIVERED && !recovery.everything => continue,
            Some(row) => queued.again.push(once_more(row, cause::RECOVERY, at)),
        }
        queued.next_at += step_micros;
    }
    queued
}
