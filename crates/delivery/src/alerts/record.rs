//! Serving a channel: what is due goes out, and what became of it is written down.

use std::pin::pin;

use domain::{
    Entropy,
    alert::{ALERTS_FAILING, CROWD, TEST},
    id::{AlertChannelId, AlertId, AttentionId, TenantId},
    retry::backoff,
    time::after,
};
use jiff::{SignedDuration, Timestamp};
use store::{
    alerts::status,
    rows::{Alert, AlertChannel, AttentionItem, Tenant},
};
use uuid::Uuid;

use super::{
    AlertWorker,
    message::Message,
    plan::{Bundle, plan},
    send::{Ended, Open},
};
use crate::Error;

/// For how long an alert is tried.
const PATIENCE: SignedDuration = SignedDuration::from_hours(24);
/// The longest wait that a receiver may ask for.
const RETRY_AFTER_MAX: SignedDuration = SignedDuration::from_hours(1);
/// Alerts that are looked at together: an outage at its worst.
const DUE_MAX: u64 = 4_096;

impl AlertWorker {
    /// Sends what is due at a channel that is ours. Returns how many messages were tried.
    pub(super) async fn serve(&self, channel: AlertChannel, token: Uuid) -> Result<usize, Error> {
        let served = self.serve_leased(&channel, token).await;
        let write = self.parts.store.begin().await?;
        write.release_alert_channel(channel.id, token).await?;
        write.commit().await?;
        served
    }

    async fn serve_leased(&self, channel: &AlertChannel, token: Uuid) -> Result<usize, Error> {
        let store = &self.parts.store;
        let began = self.parts.clock.now();
        let id = AlertChannelId(channel.id);
        let due = store.due_alerts(id, began, DUE_MAX).await?;
        let items = store.attention_items(due.iter().filter_map(|alert| alert.item_id).collect()).await?;
        let sent = store.alerts_sent_since(id, began.checked_sub(CROWD).unwrap_or(Timestamp::MIN)).await?;
        let tenants = store.tenants().await?;
        let Some(tenant) = tenants.into_iter().find(|row| row.id == channel.tenant_id) else { return Ok(0) };
        let plan = plan(due, items, &sent);
        self.record(channel, token, plan.settled, None).await?;
        let mut tried = 0;
        let mut bundles = plan.bundles.into_iter();
        while let Some(bundle) = bundles.next() {
            // Another node must not find the lease ended while a message is on its way.
            if tried > 0 && self.parts.clock.now().duration_since(began) > self.parts.lease / 2 {
                break;
            }
            tried += 1;
            let ended = self.holding(channel, token, self.send(channel, &tenant, &bundle)).await;
            let now = self.parts.clock.now();
            let rows: Vec<Alert> = bundle.alerts.into_iter().map(|alert| row_after(alert, &ended, now)).collect();
            let again_at = rows.iter().filter_map(|row| row.next_attempt_at).min();
            self.record(channel, token, rows, Some(&ended)).await?;
            if let Some(again_at) = again_at {
                self.record(channel, token, rest(bundles, again_at), None).await?;
                break;
            }
        }
        Ok(tried)
    }

    /// Keeps the right to a channel while a message is on its way: a mail relay may take ten minutes for one.
    async fn holding<T>(&self, channel: &AlertChannel, token: Uuid, message: impl Future<Output = T>) -> T {
        let mut message = pin!(message);
        let pause = self.parts.lease.unsigned_abs() / 3;
        loop {
            tokio::select! {
                ended = &mut message => return ended,
                () = tokio::time::sleep(pause) => {}
            }
            if let Err(error) = store::repeat(|| self.renew(channel.id, token), Error::is_conflict).await {
                tracing::error!(%error, "alerts: the right to a channel was not renewed; another node may take it");
            }
        }
    }

    async fn renew(&self, channel: Uuid, token: Uuid) -> Result<(), Error> {
        let until = after(self.parts.clock.now(), self.parts.lease);
        let write = self.parts.store.begin().await?;
        write.renew_alert_channel(channel, token, until).await?;
        Ok(write.commit().await?)
    }

    async fn send(&self, channel: &AlertChannel, tenant: &Tenant, bundle: &Bundle) -> Ended {
        match Open::new(channel, &self.parts.ring.get()) {
            Ok(open) => {
                let message = Message::new(bundle, channel, tenant, &self.parts.public_url);
                open.send(&message, TenantId(tenant.id), &self.parts).await
            }
            Err(problem) => Ended::Later(problem, SignedDuration::ZERO),
        }
    }

    /// Writes what became of alerts, and of the channel, if it is still ours.
    async fn record(
        &self,
        channel: &AlertChannel,
        token: Uuid,
        rows: Vec<Alert>,
        ended: Option<&Ended>,
    ) -> Result<(), Error> {
        if rows.is_empty() {
            return Ok(());
        }
        store::repeat(|| self.record_once(channel, token, &rows, ended), Error::is_conflict).await?;
        fail::fail_point!("alert-after-commit");
        Ok(())
    }

    async fn record_once(
        &self,
        channel: &AlertChannel,
        token: Uuid,
        rows: &[Alert],
        ended: Option<&Ended>,
    ) -> Result<(), Error> {
        let now = self.parts.clock.now();
        let write = self.parts.store.begin().await?;
        let there = write.lock_alert_channel(channel.id).await?;
        if there.is_none_or(|there| there.lease_token != Some(token)) {
            tracing::warn!(channel = %AlertChannelId(channel.id), "another node has taken this channel since; its word counts");
            return Ok(());
        }
        tell(rows);
        write.save_alerts(rows.to_vec()).await?;
        let given_up = rows.iter().find(|row| row.status == status::FAILED && row.kind != TEST);
        if let Some(failed) = given_up {
            let item = failing(channel, failed, now, &mut *self.parts.entropy.entropy());
            write.open_items(vec![item]).await?;
        } else if ended == Some(&Ended::Sent) {
            let subject = AlertChannelId(channel.id).to_string();
            write.close_items_about(TenantId(channel.tenant_id), ALERTS_FAILING, vec![subject], now).await?;
        }
        Ok(write.commit().await?)
    }
}

/// What else is due at a channel that is tried again at a moment waits until then: it would not be taken either. Whoever tries
/// a channel out does not wait.
fn rest(bundles: impl Iterator<Item = Bundle>, again_at: i64) -> Vec<Alert> {
    let due = bundles.flat_map(|bundle| bundle.alerts).filter(|alert| alert.kind != TEST);
    due.map(|alert| Alert { next_attempt_at: Some(again_at), ..alert }).collect()
}

/// An alert after a try.
fn row_after(alert: Alert, ended: &Ended, now: Timestamp) -> Alert {
    let attempts = alert.attempts.saturating_add(1);
    let failed = |error: &str, alert: Alert| Alert {
        status: status::FAILED.to_owned(),
        attempts,
        next_attempt_at: None,
        error: Some(error.to_owned()),
        ..alert
    };
    match ended {
        Ended::Sent => Alert {
            status: status::SENT.to_owned(),
            attempts,
            next_attempt_at: None,
            error: None,
            sent_at: Some(now.as_microsecond()),
            ..alert
        },
        Ended::Never(error) => failed(error, alert),
        Ended::Later(error, wait) => {
            let tries = attempts.unsigned_abs();
            let waited: SignedDuration = (1..tries).map(backoff).sum();
            // Whoever tries a channel out is waiting for the answer.
            if waited >= PATIENCE || alert.kind == TEST {
                return failed(error, alert);
            }
            let next = after(now, backoff(tries).max((*wait).min(RETRY_AFTER_MAX)));
            Alert { attempts, next_attempt_at: Some(next.as_microsecond()), error: Some(error.clone()), ..alert }
        }
    }
}

/// The item for a channel that does not take what it is to carry. It closes with the next alert that it takes.
fn failing(channel: &AlertChannel, failed: &Alert, now: Timestamp, entropy: &mut dyn Entropy) -> AttentionItem {
    let (code, hint) = (&channel.code, &channel.hint);
    let reason = failed.error.as_deref().unwrap_or_default();
    let detail = format!(
        "alerts by the channel `{code}` ({hint}) do not arrive: {reason}; correct its address, then try it out with \
         `keywright alert test {code}`"
    );
    let about = (ALERTS_FAILING, AlertChannelId(channel.id).to_string());
    let item = AttentionItem::new(AttentionId::new(now, entropy), TenantId(channel.tenant_id), about, detail, now);
    AttentionItem { livemode: Some(channel.livemode), ..item }
}

/// Logs, without an address: ids lead to it.
fn tell(rows: &[Alert]) {
    for row in rows {
        let (alert, channel, kind) = (AlertId(row.id), AlertChannelId(row.channel_id), row.kind.as_str());
        match row.status.as_str() {
            status::SENT => tracing::info!(%alert, %channel, kind, "alert sent"),
            status::FAILED => tracing::error!(%alert, %channel, kind, error = row.error, "an alert is given up"),
            status::WITHDRAWN => tracing::debug!(%alert, %channel, kind, "an alert is not needed any more"),
            _ => tracing::info!(%alert, %channel, kind, error = row.error, "an alert waits"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(attempts: i32, ended: &Ended) -> (String, Option<i64>) {
        let alert = Alert {
            id: Uuid::nil(),
            tenant_id: Uuid::nil(),
            channel_id: Uuid::nil(),
            item_id: None,
            kind: "no_events".to_owned(),
            status: status::PENDING.to_owned(),
            attempts,
            next_attempt_at: Some(0),
            error: None,
            created_at: 0,
            sent_at: None,
        };
        let row = row_after(alert, ended, Timestamp::UNIX_EPOCH);
        assert_eq!(row.attempts, attempts + 1);
        (row.status, row.next_attempt_at.map(|micros| micros / 1_000_000))
    }

    #[test]
    fn an_alert_is_tried_for_a_day() {
        let later = Ended::Later("away".to_owned(), SignedDuration::ZERO);
        assert_eq!(tried(0, &later), ("pending".to_owned(), Some(1)));
        assert_eq!(tried(5, &later), ("pending".to_owned(), Some(32)));
        assert_eq!(tried(30, &later), ("pending".to_owned(), Some(3_600)));
        assert_eq!(tried(35, &later), ("failed".to_owned(), None));
        let asked = Ended::Later("slow down".to_owned(), SignedDuration::from_secs(90));
        assert_eq!(tried(0, &asked), ("pending".to_owned(), Some(90)));
        let forever = Ended::Later("go away".to_owned(), SignedDuration::from_hours(900));
        assert_eq!(tried(0, &forever), ("pending".to_owned(), Some(3_600)));
    }

    #[test]
    fn what_is_refused_is_given_up_at_once() {
        assert_eq!(tried(0, &Ended::Never("404".to_owned())), ("failed".to_owned(), None));
        assert_eq!(tried(3, &Ended::Sent), ("sent".to_owned(), None));
    }
}
