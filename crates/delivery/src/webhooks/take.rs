//! Finding what is due, and the right to deliver it.

use std::{
    collections::{BTreeSet, HashMap, hash_map::Entry},
    sync::Arc,
};

use crypto::{ring::KeyRing, seal::Place};
use domain::{
    event::EventKind,
    id::{TenantId, WebhookEndpointId},
    time::after,
};
use jiff::Timestamp;
use secrecy::SecretString;
use store::{
    rows::{Delivery, Event, LicenseKey, WebhookEndpoint},
    webhook_endpoints::Waiting,
};
use uuid::Uuid;

use super::{
    WebhookWorker,
    endpoint::Endpoint,
    lanes::{Lane, Lanes},
    post::{Key, Post},
};
use crate::Error;

impl WebhookWorker {
    /// Queues what is due. Returns when something is due that is not now, if anything is.
    pub(super) async fn take(&self, lanes: &mut Lanes) -> Result<Option<Timestamp>, Error> {
        let now = self.parts.clock.now();
        let waiting = self.parts.store.waiting_endpoints().await?;
        let there: BTreeSet<Uuid> = waiting.iter().map(|waiting| waiting.id).collect();
        lanes.lanes.retain(|id, lane| there.contains(id) || !lane.is_idle());
        let mut next = None::<Timestamp>;
        let mut due = Vec::new();
        for endpoint in waiting {
            match look(&endpoint, lanes, now) {
                Look::Now => due.push(endpoint.id),
                Look::At(at) => next = Some(next.map_or(at, |next| next.min(at))),
                Look::Nothing => {}
            }
        }
        if !due.is_empty() {
            self.lease(lanes, due.clone(), now).await?;
            self.queue(lanes, due, now).await?;
        }
        Ok(next)
    }

    /// Takes the right to call addresses, or keeps it, and reads them as they are now.
    async fn lease(&self, lanes: &mut Lanes, due: Vec<Uuid>, now: Timestamp) -> Result<(), Error> {
        let until = after(now, self.parts.lease);
        let fresh = after(now, self.parts.lease / 2);
        let is_fresh = |id: &Uuid| lanes.lanes.get(id).is_some_and(|lane| lane.leased_until > fresh);
        let (kept, wanted): (Vec<Uuid>, Vec<Uuid>) = due.into_iter().partition(is_fresh);
        let token = lanes.token;
        let mut rows = self.parts.store.endpoints(kept).await?;
        rows.retain(|row| row.lease_token == Some(token));
        if !wanted.is_empty() {
            let once = async || -> Result<Vec<WebhookEndpoint>, Error> {
                let write = self.parts.store.begin().await?;
                let leased = write.lease_endpoints(wanted.clone(), token, now, until).await?;
                write.commit().await?;
                Ok(leased)
            };
            rows.extend(store::repeat(once, Error::is_conflict).await?);
        }
        let ring = self.parts.ring.get();
        for row in rows {
            let leased_until = row.lease_until.and_then(|until| Timestamp::from_microsecond(until).ok()).unwrap_or(now);
            let id = row.id;
            match Endpoint::open(row, &ring) {
                Ok(endpoint) => match lanes.lanes.entry(id) {
                    Entry::Occupied(mut lane) => {
                        lane.get_mut().endpoint = Arc::new(endpoint);
                        lane.get_mut().leased_until = leased_until;
                    }
                    Entry::Vacant(lane) => {
                        lane.insert(Lane::new(Arc::new(endpoint), leased_until));
                    }
                },
                Err(problem) => {
                    let endpoint = WebhookEndpointId(id);
                    tracing::error!(%endpoint, problem, "a webhook endpoint cannot be opened; it is tried again");
                    lanes.lanes.remove(&id);
                }
            }
        }
        Ok(())
    }

    /// Reads what is due at addresses that are ours.
    async fn queue(&self, lanes: &mut Lanes, due: Vec<Uuid>, now: Timestamp) -> Result<(), Error> {
        let mut found: Vec<Delivery> = Vec::new();
        for id in due {
            let Some(lane) = lanes.lanes.get(&id).filter(|lane| lane.leased_until > now) else { continue };
            let in_order = lane.endpoint.row.ordered;
            let rows = self.parts.store.due_deliveries(WebhookEndpointId(id), in_order, now, lane.window()).await?;
            found.extend(rows.into_iter().filter(|row| !lane.under_way.contains(&row.id)));
        }
        let events: BTreeSet<Uuid> = found.iter().map(|row| row.event_id).collect();
        let events = self.parts.store.events(events.into_iter().collect()).await?;
        let told = self.told(events).await?;
        for delivery in found {
            let Some(lane) = lanes.lanes.get_mut(&delivery.endpoint_id) else { continue };
            let missing = || Err("its event is not there; restore it from a backup".to_owned());
            let told = told.get(&delivery.event_id).cloned().unwrap_or_else(missing);
            lane.under_way.insert(delivery.id);
            lane.queue.push_back(Post { delivery, endpoint: Arc::clone(&lane.endpoint), told });
        }
        Ok(())
    }

    /// What events tell, with the keys of their licenses: one is given away, and others may be in what a receiver answers.
    async fn told(&self, events: Vec<Event>) -> Result<HashMap<Uuid, Told>, Error> {
        let licenses = events.iter().filter_map(|event| event.license_id).collect();
        let keys = self.parts.store.first_keys(licenses).await?;
        let ring = self.parts.ring.get();
        let told = events.into_iter().map(|event| {
            let key = event.license_id.map(|license| open(&ring, TenantId(event.tenant_id), keys.get(&license)));
            let told = match key.transpose() {
                Err(problem) if event.kind == EventKind::LicenseCreated.as_str() => Err(problem),
                key => Ok((event.clone(), key.ok().flatten())),
            };
            (event.id, told)
        });
        Ok(told.collect())
    }

    /// Gives back the right to call all addresses.
    pub(super) async fn give_back(&self, lanes: &mut Lanes) -> Result<(), Error> {
        let ids: Vec<Uuid> = lanes.lanes.drain().map(|(id, _)| id).collect();
        let write = self.parts.store.begin().await?;
        write.release_endpoints(ids, lanes.token).await?;
        Ok(write.commit().await?)
    }
}

/// An event and the key of its license; or why it cannot be told.
type Told = Result<(Event, Option<Key>), String>;

fn open(ring: &KeyRing, tenant: TenantId, row: Option<&LicenseKey>) -> Result<Key, String> {
    let row = row.ok_or("its license has no key; restore it from a backup")?;
    let opened = ring.open(Place::license_key(tenant, row.id), &row.sealed).map_err(|error| error.to_string())?;
    Ok(Key { text: SecretString::from(String::from_utf8_lossy(&opened).into_owned()), hint: row.hint.clone() })
}

/// When to look at an address.
enum Look {
    Now,
    At(Timestamp),
    Nothing,
}

fn look(endpoint: &Waiting, lanes: &Lanes, now: Timestamp) -> Look {
    let instant = |micros| Timestamp::from_microsecond(micros).unwrap_or(now);
    let Some(next_at) = endpoint.next_at.map(instant) else { return Look::Nothing };
    let lane = lanes.lanes.get(&endpoint.id);
    if let Some(until) = lane.and_then(|lane| lane.rests_until(now)) {
        return Look::At(until.max(next_at));
    }
    if next_at > now {
        return Look::At(next_at);
    }
    let is_of_others = endpoint.lease_token != Some(lanes.token);
    if let Some(until) = endpoint.lease_until.map(instant).filter(|until| is_of_others && *until > now) {
        return Look::At(until);
    }
    // One whose calls are all under way is looked at when they are back.
    if lane.is_none_or(Lane::has_room) { Look::Now } else { Look::Nothing }
}
