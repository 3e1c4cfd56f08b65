//! Which items become alerts, and where.

use std::collections::{BTreeSet, HashMap};

use domain::{
    Entropy,
    alert::{ALERTS_FAILING, SETTLED_AFTER, alerts_at, carries},
    id::{AlertChannelId, AlertId, TenantId},
    time::after,
};
use jiff::Timestamp;
use store::{
    alerts::status,
    rows::{Alert, AlertChannel, AttentionItem},
};
use uuid::Uuid;

use super::AlertWorker;
use crate::Error;

/// Items that are passed on in one transaction.
const PAGE: u64 = 256;

impl AlertWorker {
    /// Writes an alert for every open item of which no channel was told, and each channel that carries it.
    pub(super) async fn pass_on(&self) -> Result<(), Error> {
        while self.parts.store.has_untold_items().await? {
            if !store::repeat(|| self.pass_on_once(), Error::is_conflict).await? {
                break;
            }
        }
        Ok(())
    }

    /// False: another node is at it.
    async fn pass_on_once(&self) -> Result<bool, Error> {
        let now = self.parts.clock.now();
        let write = self.parts.store.begin().await?;
        let items = write.untold_items(PAGE).await?;
        let tenants: BTreeSet<TenantId> = items.iter().map(|item| TenantId(item.tenant_id)).collect();
        let channels = write.alert_channels_of(&tenants).await?;
        if !channels.is_empty() {
            let earlier = write.alerts_about(items.iter().map(|item| item.id).collect()).await?;
            let found = Found { items: &items, channels: &channels, earlier: &earlier };
            write.add_alerts(found.alerts(now, &mut *self.parts.entropy.entropy())).await?;
            // Those that wait about an item that went and came begin to wait anew.
            write.delay_alerts(found.waiting(), after(now, SETTLED_AFTER)).await?;
        }
        let told: Vec<Uuid> = items.iter().map(|item| item.id).collect();
        let any = !told.is_empty();
        write.items_are_told(told, now).await?;
        fail::fail_point!("alert-before-commit");
        write.commit().await?;
        Ok(any)
    }
}

/// What alerts are made from.
struct Found<'a> {
    items: &'a [AttentionItem],
    channels: &'a [AlertChannel],
    earlier: &'a [Alert],
}

impl Found<'_> {
    fn alerts(&self, now: Timestamp, entropy: &mut dyn Entropy) -> Vec<Alert> {
        let earlier: HashMap<(Option<Uuid>, Uuid), &Alert> =
            self.earlier.iter().map(|alert| ((alert.item_id, alert.channel_id), alert)).collect();
        let mut alerts = Vec::new();
        for item in self.items.iter().filter(|item| item.dismissed_at.is_none()) {
            for channel in self.channels.iter().filter(|channel| is_for(item, channel)) {
                let before = earlier.get(&(Some(item.id), channel.id));
                // One that waits still says what is to be said.
                if before.is_some_and(|before| before.status == status::PENDING) {
                    continue;
                }
                let sent_at = before.and_then(|before| before.sent_at);
                let next = alerts_at(now, sent_at.and_then(|at| Timestamp::from_microsecond(at).ok()));
                alerts.push(Alert {
                    id: AlertId::new(now, entropy).0,
                    tenant_id: item.tenant_id,
                    channel_id: channel.id,
                    item_id: Some(item.id),
                    kind: item.kind.clone(),
                    status: status::PENDING.to_owned(),
                    attempts: 0,
                    next_attempt_at: Some(next.as_microsecond()),
                    error: None,
                    created_at: now.as_microsecond(),
                    sent_at,
                });
            }
        }
        alerts
    }

    /// Alerts about these items that have not gone out.
    fn waiting(&self) -> Vec<Uuid> {
        let waiting = self.earlier.iter().filter(|alert| alert.status == status::PENDING);
        waiting.map(|alert| alert.id).collect()
    }
}

/// Whether a channel carries an item.
fn is_for(item: &AttentionItem, channel: &AlertChannel) -> bool {
    // What is about both modes is told where real sales are.
    let is_live = item.livemode.unwrap_or(true);
    // That a channel takes nothing cannot be told by itself.
    let is_about_itself = item.kind == ALERTS_FAILING && item.subject == AlertChannelId(channel.id).to_string();
    let chosen: Vec<String> = serde_json::from_str(&channel.items).unwrap_or_default();
    item.tenant_id == channel.tenant_id
        && is_live == channel.livemode
        && !is_about_itself
        && carries(&chosen, &item.kind)
}
