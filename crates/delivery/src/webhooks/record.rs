//! Writing down what became of calls.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    Entropy,
    id::{TenantId, WebhookEndpointId},
};
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
        store::repeat(|| self.record_once(&lanes.landed, lanes.token), Error::is_conflict).await?;
        fail::fail_point!("delivery-after-commit");
        lanes.recorded();
        Ok(())
    }

    async fn record_once(&self, landed: &[Landed], token: Uuid) -> Result<(), Error> {
        let now = self.parts.clock.now();
        let mut entropy = self.parts.entropy.entropy();
        let write = self.parts.store.begin().await?;
        let endpoints = self.endpoints_after(&write, landed, token, &mut *entropy).await?;
        let holders = holders(&write, landed, &endpoints).await?;
        let mut rows: Vec<Delivery> = Vec::with_capacity(landed.len());
        let mut attempts = Vec::with_capacity(landed.len());
        let mut counted = Vec::with_capacity(landed.len());
        let mut dead: BTreeMap<Uuid, &Landed> = BTreeMap::new();
        for landed in landed {
            // An address that was removed meanwhile has taken its deliveries with it.
            let Some(holder) = holders.get(&landed.delivery.endpoint_id) else { continue };
            attempts.push(landed.attempt(&mut *entropy));
            if is_of_others(*holder, token) {
                let delivery = domain::id::DeliveryId(landed.delivery.id);
                tracing::warn!(%delivery, "a call outlasted its lease: the node that took over says how it stands");
                continue;
            }
            let mut jitter = [0];
            entropy.fill(&mut jitter);
            let row = landed.delivery(jitter[0]);
            if row.status == status::DEAD {
                dead.insert(row.endpoint_id, landed);
            }
            counted.push(landed.counted());
            rows.push(held_if(row, &endpoints));
        }
        tell(&rows);
        write.save_deliveries(rows).await?;
        write.add_attempts(attempts).await?;
        let items = dead.values().map(|landed| attention::deliveries_dead(&landed.endpoint.row, now, &mut *entropy));
        write.open_items(items.collect()).await?;
        write.count(counted).await?;
        Ok(write.commit().await?)
    }

    /// Writes what is known of the addresses now, and returns those at which something failed, as they are.
    async fn endpoints_after(
        &self,
        write: &Write,
        landed: &[Landed],
        token: Uuid,
        entropy: &mut dyn Entropy,
    ) -> Result<BTreeMap<Uuid, WebhookEndpoint>, Error> {
        let now = self.parts.clock.now();
        let concerned = concerned(landed);
        let mut rows = BTreeMap::new();
        let (mut saved, mut opened) = (Vec::new(), Vec::<AttentionItem>::new());
        for row in write.lock_endpoints(concerned.keys().copied().collect()).await? {
            if is_of_others(row.lease_token, token) {
                rows.insert(row.id, row);
                continue;
            }
            let found = &concerned[&row.id];
            let (after, news) = endpoint_after(&row, found.health, now);
            let after = rested(after, &row, found.rests_until);
            let row = after.clone().unwrap_or(row);
            match news {
                News::None => {}
                News::Mended => {
                    let subject = WebhookEndpointId(row.id).to_string();
                    write.close_items_about(TenantId(row.tenant_id), ENDPOINT_FAILING, vec![subject], now).await?;
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

/// What was found out about an address.
struct Found {
    health: Health,
    rests_until: Option<Timestamp>,
}

/// Addresses of which there is news. One that takes what it gets, as it did before, need not be looked at.
fn concerned(landed: &[Landed]) -> BTreeMap<Uuid, Found> {
    let mut concerned: BTreeMap<Uuid, Found> = BTreeMap::new();
    for landed in landed {
        let (health, id) = (landed.health(), landed.delivery.endpoint_id);
        let was_failing = landed.was_failing || landed.endpoint.row.failing_since.is_some();
        if health != Health::Takes || was_failing || concerned.contains_key(&id) {
            let found = concerned.entry(id).or_insert(Found { health, rests_until: None });
            found.health = worse(found.health, health);
            found.rests_until = found.rests_until.max(landed.rests_until);
        }
    }
    concerned
}

/// An address that is left alone for longer than it is leased stays leased, so that no other node calls it, nor this one
/// after a restart.
fn rested(
    after: Option<WebhookEndpoint>,
    row: &WebhookEndpoint,
    rests_until: Option<Timestamp>,
) -> Option<WebhookEndpoint> {
    let latest = after.as_ref().unwrap_or(row);
    let until = rests_until.map(Timestamp::as_microsecond);
    if until <= latest.lease_until || latest.lease_token.is_none() {
        return after;
    }
    Some(WebhookEndpoint { lease_until: until, ..latest.clone() })
}

/// Who has the right to call the addresses, of those that are there.
async fn holders(
    write: &Write,
    landed: &[Landed],
    looked_at: &BTreeMap<Uuid, WebhookEndpoint>,
) -> Result<BTreeMap<Uuid, Option<Uuid>>, Error> {
    let ids: BTreeSet<Uuid> = landed.iter().map(|landed| landed.delivery.endpoint_id).collect();
    let others = ids.into_iter().filter(|id| !looked_at.contains_key(id)).collect();
    let mut holders = write.endpoint_holders(others).await?;
    holders.extend(looked_at.values().map(|row| (row.id, row.lease_token)));
    Ok(holders)
}

/// Whether another node has taken an address over.
fn is_of_others(holder: Option<Uuid>, token: Uuid) -> bool {
    holder.is_some_and(|holder| holder != token)
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
