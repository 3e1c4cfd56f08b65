//! Finding what is due, and the right to deliver it.

use std::collections::{BTreeSet, HashMap};

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
    webhook_endpoints::{Waiting, status},
};
use uuid::Uuid;

use super::{
    WebhookWorker,
    lanes::{Lane, Lanes, too_little_of},
    post::{Key, Post},
};
use crate::Error;

impl WebhookWorker {
    /// Queues what is due. Returns when something is due that is not now, if anything is.
    pub(super) async fn take(&self, lanes: &mut Lanes) -> Result<Option<Timestamp>, Error> {
        let now = self.parts.clock.now();
        let waiting = self.parts.store.waiting_endpoints().await?;
        lanes.keep_only(&waiting.iter().map(|waiting| waiting.id).collect());
        let mut next = None::<Timestamp>;
        let (mut due, mut busy) = (BTreeSet::new(), BTreeSet::new());
        for endpoint in waiting {
            match look(&endpoint, lanes, now) {
                Look::Now => drop(due.insert(endpoint.id)),
                Look::At(at) => next = Some(next.map_or(at, |next| next.min(at))),
                Look::Nothing => {}
            }
            if lanes.lanes.get(&endpoint.id).is_some_and(|lane| !lane.is_idle()) {
                busy.insert(endpoint.id);
            }
        }
        self.lease(lanes, &due, busy, now).await?;
        if !due.is_empty() {
            self.queue(lanes, due, now).await?;
        }
        Ok(next)
    }

    /// Takes the right to call addresses, or keeps it while anything is queued or under way there, and reads those that are
    /// called next as they are now: one that was paused is not called any more, and a new secret signs.
    async fn lease(
        &self,
        lanes: &mut Lanes,
        due: &BTreeSet<Uuid>,
        busy: BTreeSet<Uuid>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let until = after(now, self.parts.lease);
        let too_little = too_little_of(self.parts.lease, now);
        let (mut wanted, mut kept) = (Vec::new(), Vec::new());
        for id in due | &busy {
            match lanes.lanes.get(&id).filter(|lane| lane.leased_until > too_little) {
                None => wanted.push(id),
                Some(lane) if due.contains(&id) || lane.is_ready(now) => kept.push(id),
                Some(_) => {}
            }
        }
        let token = lanes.token;
        let mut rows = self.parts.store.endpoints(kept.clone()).await?;
        if !wanted.is_empty() {
            let once = async || -> Result<Vec<WebhookEndpoint>, Error> {
                let write = self.parts.store.begin().await?;
                let leased = write.lease_endpoints(wanted.clone(), token, now, until).await?;
                write.commit().await?;
                Ok(leased)
            };
            rows.extend(store::repeat(once, Error::is_conflict).await?);
        }
        rows.retain(|row| row.lease_token == Some(token) && row.status == status::ENABLED);
        let ours: BTreeSet<Uuid> = rows.iter().map(|row| row.id).collect();
        kept.into_iter().chain(wanted).filter(|id| !ours.contains(id)).for_each(|id| lanes.let_go(id));
        self.open(lanes, rows, now).await
    }

    /// Reads what is due at addresses that are ours.
    async fn queue(&self, lanes: &mut Lanes, due: BTreeSet<Uuid>, now: Timestamp) -> Result<(), Error> {
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
            lane.queue.push_back(Post { delivery, told });
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

    /// Gives back the right to call all addresses but those that rest: whoever comes next leaves them alone as well.
    pub(super) async fn give_back(&self, lanes: &mut Lanes) -> Result<(), Error> {
        let now = self.parts.clock.now();
        let awake = lanes.lanes.drain().filter(|(_, lane)| lane.rests_until(now).is_none());
        let ids: Vec<Uuid> = awake.map(|(id, _)| id).collect();
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
    if let Some((_, until)) = lanes.unopened.get(&endpoint.id).filter(|(_, until)| *until > now) {
        return Look::At((*until).max(next_at));
    }
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
