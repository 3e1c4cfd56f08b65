//! Writing down what became of calls.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Entropy, id::WebhookEndpointId};
use jiff::Timestamp;
use store::{
    Write,
    deliveries::status,
    rows::{AttentionItem, Delivery, WebhookEndpoint},
    webhook_endpoints,
};
use uuid::Uuid;

use super::{
    WebhookWorker,
    attention::{self, ENDPOINT_FAILING},
    ending::{Health, News, endpoint_after},
    lanes::Lanes,
    post::Landed,
};
use crate::Error;

impl WebhookWorker {
    /// Writes down how calls ended that came back, all of them or none.
    pub(super) async fn record(&self, lanes: &mut Lanes) -> Result<(), Error> {
        if lanes.landed.is_empty() {
            return Ok(());
        }
        fail::fail_point!("delivery-before-commit");
        store::repeat(|| self.record_once(&lanes.landed), Error::is_conflict).await?;
        fail::fail_point!("delivery-after-commit");
        lanes.recorded();
        Ok(())
    }

    async fn record_once(&self, landed: &[Landed]) -> Result<(), Error> {
        let now = self.parts.clock.now();
        let mut entropy = self.parts.entropy.entropy();
        let write = self.parts.store.begin().await?;
        let endpoints = self.endpoints_after(&write, landed, now, &mut *entropy).await?;
        let landed = still_wanted(&write, landed, &endpoints).await?;
        let mut rows: Vec<Delivery> = Vec::with_capacity(landed.len());
        let mut dead: BTreeMap<Uuid, &Landed> = BTreeMap::new();
        for landed in &landed {
            let mut jitter = [0];
            entropy.fill(&mut jitter);
            let row = landed.delivery(jitter[0]);
            if row.status == status::DEAD {
                dead.insert(row.endpoint_id, landed);
            }
            rows.push(held_if(row, &endpoints));
        }
        tell(&rows);
        write.save_deliveries(rows).await?;
        write.add_attempts(landed.iter().map(|landed| landed.attempt(&mut *entropy)).collect()).await?;
        let items = dead.values().map(|landed| attention::deliveries_dead(&landed.endpoint.row, now, &mut *entropy));
        write.open_items(items.collect()).await?;
        Ok(write.commit().await?)
    }

    /// Writes what is known of the addresses now, and returns those at which something failed, as they are.
    async fn endpoints_after(
        &self,
        write: &Write,
        landed: &[Landed],
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<BTreeMap<Uuid, WebhookEndpoint>, Error> {
        let mut concerned: BTreeMap<Uuid, Health> = BTreeMap::new();
        for landed in landed {
            let health = landed.health();
            // One that takes what it gets, as it did before, need not be looked at.
            let is_news = health != Health::Takes || landed.endpoint.row.failing_since.is_some();
            if is_news || concerned.contains_key(&landed.delivery.endpoint_id) {
                concerned
                    .entry(landed.delivery.endpoint_id)
                    .and_modify(|known| *known = worse(*known, health))
                    .or_insert(health);
            }
        }
        let mut rows = BTreeMap::new();
        let (mut saved, mut opened) = (Vec::new(), Vec::<AttentionItem>::new());
        for row in write.lock_endpoints(concerned.keys().copied().collect()).await? {
            let (after, news) = endpoint_after(&row, concerned[&row.id], now);
            let row = after.clone().unwrap_or(row);
            match news {
                News::None => {}
                News::Mended => {
                    let subject = WebhookEndpointId(row.id).to_string();
                    write
                        .close_items_about(domain::id::TenantId(row.tenant_id), ENDPOINT_FAILING, vec![subject], now)
                        .await?;
                }
                News::Warning => opened.push(attention::endpoint_failing(&row, now, entropy)),
                News::Disabled => {
                    write.hold_deliveries(WebhookEndpointId(row.id)).await?;
                    opened.push(attention::endpoint_disabled(&row, now, entropy));
                }
            }
            saved.extend(after);
            rows.insert(row.id, row);
        }
        write.save_endpoints(saved).await?;
        write.open_items(opened).await?;
        Ok(rows)
    }
}

/// Those calls whose endpoint is still there: one that was removed meanwhile has taken its deliveries with it.
async fn still_wanted<'a>(
    write: &Write,
    landed: &'a [Landed],
    looked_at: &BTreeMap<Uuid, WebhookEndpoint>,
) -> Result<Vec<&'a Landed>, Error> {
    let endpoint = |landed: &Landed| landed.delivery.endpoint_id;
    let others: BTreeSet<Uuid> = landed.iter().map(endpoint).filter(|id| !looked_at.contains_key(id)).collect();
    let there = write.existing_endpoints(others.into_iter().collect()).await?;
    let is_there = |landed: &&Landed| looked_at.contains_key(&endpoint(landed)) || there.contains(&endpoint(landed));
    Ok(landed.iter().filter(is_there).collect())
}

/// What arrived beside what failed shows that the address is there; that it is gone outweighs both.
const fn worse(one: Health, other: Health) -> Health {
    match (one, other) {
        (Health::Gone, _) | (_, Health::Gone) => Health::Gone,
        (Health::Takes, _) | (_, Health::Takes) => Health::Takes,
        (Health::Fails, _) | (_, Health::Fails) => Health::Fails,
        _ => Health::Unknown,
    }
}

/// What is to be tried again at an address that is not called any more is held.
fn held_if(row: Delivery, endpoints: &BTreeMap<Uuid, WebhookEndpoint>) -> Delivery {
    let is_called =
        endpoints.get(&row.endpoint_id).is_none_or(|endpoint| endpoint.status == webhook_endpoints::status::ENABLED);
    if is_called || row.status != status::PENDING {
        return row;
    }
    Delivery { status: status::HELD.to_owned(), next_attempt_at: None, ..row }
}

/// Logs, without an address or a key: ids lead to both.
fn tell(rows: &[Delivery]) {
    for row in rows {
        let delivery = domain::id::DeliveryId(row.id);
        match row.status.as_str() {
            status::DELIVERED => tracing::debug!(%delivery, "delivered"),
            status::DEAD => tracing::error!(%delivery, attempts = row.attempts, "a delivery is given up"),
            _ => {
                let (attempts, answered) = (row.attempts, row.last_status);
                tracing::info!(%delivery, attempts, answered, "not delivered; it is tried again");
            }
        }
    }
}
