//! Slots of licenses: activations and deactivations that come at the same time share one transaction.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use domain::{
    activation::{self, Slot, Software, Verdict, lease_times},
    ambient::EntropySource,
    event::{ActivationTold, EventData, EventKind},
    id::ActivationId,
};
use jiff::Timestamp;
use store::{FoundLicense, Store, rows};
use tokio::sync::Notify;

use super::{ActivationKind, Unanswered, hashes};
use crate::{
    Error, Gather, Turns,
    catalogue::Offer,
    events::{self, News},
};

/// Activations that share one transaction at most.
const SLOTS: Turns = Turns { batch_max: 256, concurrent: 1, waiting_max: 4_096 };

/// What a device wants of its slot.
pub(crate) enum Wish {
    Activate { kind: ActivationKind, name: Option<String>, software: Software, id: ActivationId, offer: Arc<Offer> },
    Deactivate { offer: Arc<Offer> },
}

pub(crate) struct SlotCall {
    pub(super) hashes: Vec<[u8; 32]>,
    pub(super) fingerprint: String,
    pub(super) wish: Wish,
    pub(super) now: Timestamp,
    /// The same, by the clock that the license is judged by.
    pub(super) judged_at: Timestamp,
}

/// What became of a wish.
#[derive(Clone, Debug)]
pub(crate) enum Granted {
    /// The device has this slot, or had it until now.
    Slot(ActivationId),
    /// There was no slot to free.
    Nothing,
    /// It gets none.
    Denied(Verdict),
    /// The license stands on another plan by now: the wish is to be made again, by that one.
    OtherPlan,
}

/// How a wish ended: the license as it was in the transaction, and what became of it.
pub(crate) type Slotted = Result<Option<(Arc<FoundLicense>, Granted)>, Unanswered>;

pub(crate) fn gather_slots(
    store: Store,
    entropy: Arc<dyn EntropySource>,
    deliveries: Arc<Notify>,
) -> Gather<SlotCall, Slotted> {
    Gather::start(SLOTS, move |calls: Vec<SlotCall>| {
        let (store, entropy, deliveries) = (store.clone(), Arc::clone(&entropy), Arc::clone(&deliveries));
        async move {
            let once = || settle_slots(&store, &calls, &*entropy, &deliveries);
            let settled = store::repeat(once, Error::is_conflict).await;
            match settled {
                Ok(slots) => slots.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(Unanswered(error.to_string())); calls.len()],
            }
        }
    })
}

/// All wishes of a batch in one transaction: whoever comes first gets the slot, and the limit is never passed.
async fn settle_slots(
    store: &Store,
    calls: &[SlotCall],
    entropy: &dyn EntropySource,
    deliveries: &Notify,
) -> Result<Vec<Option<(Arc<FoundLicense>, Granted)>>, Error> {
    let Some(now) = calls.first().map(|call| call.now) else { return Ok(Vec::new()) };
    let write = store.begin().await?;
    let found = write.lock_licenses_by_hash(hashes(calls.iter().flat_map(|call| &call.hashes))).await?;
    let licenses: BTreeSet<_> = found.values().map(|found| found.id.0).collect();
    let taken = write.activations_of(licenses.into_iter().collect()).await?;
    let mut slots = Slots { taken, saved: HashMap::new(), deleted: Vec::new(), news: Vec::new() };
    let mut settled = Vec::with_capacity(calls.len());
    for call in calls {
        let found =
            call.hashes.iter().find_map(|hash| found.get(hash.as_slice())).filter(|found| found.is_open(call.now));
        settled.push(found.map(|found| (Arc::clone(found), slots.grant(call, found))));
    }
    write.delete_activations(slots.deleted).await?;
    write.save_activations(slots.saved.into_values().collect()).await?;
    let mut entropy = entropy.entropy();
    let told: Vec<_> = slots.news.into_iter().map(|news| news.row(now, &mut *entropy)).collect::<Result<_, _>>()?;
    let is_told = events::add(&write, told, now, &mut *entropy).await?;
    fail::fail_point!("activate-before-commit");
    write.commit().await?;
    if is_told {
        deliveries.notify_one();
    }
    Ok(settled)
}

/// The slots of all licenses of a batch: who has one, and what becomes of them.
struct Slots {
    taken: Vec<rows::Activation>,
    saved: HashMap<uuid::Uuid, rows::Activation>,
    deleted: Vec<uuid::Uuid>,
    news: Vec<News>,
}

impl Slots {
    /// Grants one wish, and remembers it for those that come after it in the same batch.
    fn grant(&mut self, call: &SlotCall, found: &FoundLicense) -> Granted {
        match &call.wish {
            Wish::Activate { kind, name, software, id, offer } => {
                let seen_at = call.now.as_microsecond();
                let new = rows::Activation {
                    id: id.0,
                    tenant_id: found.tenant.0,
                    license_id: found.id.0,
                    kind: kind.as_str().to_owned(),
                    fingerprint: call.fingerprint.clone(),
                    name: name.clone(),
                    app_version: software.app_version.clone(),
                    os: software.os.clone(),
                    created_at: seen_at,
                    last_seen_at: seen_at,
                    lease_until: Some(lease_until(call, found, offer).as_microsecond()),
                };
                self.activate(call, found, offer, new)
            }
            Wish::Deactivate { offer } => self.deactivate(call, found, offer),
        }
    }

    fn activate(&mut self, call: &SlotCall, found: &FoundLicense, offer: &Offer, new: rows::Activation) -> Granted {
        if offer.plan.version != found.plan {
            return Granted::OtherPlan;
        }
        let of_license = self.taken.iter().filter(|row| row.license_id == found.id.0);
        let slots: Vec<_> = of_license.map(|row| (ActivationId(row.id), row.fingerprint.as_str())).collect();
        let slots_max = found.adjustment.limits(&offer.plan.terms.limits, found.seats).activations;
        match activation::activate(&found.standing, slots_max, &slots, &call.fingerprint, call.judged_at) {
            Slot::Denied(verdict) => Granted::Denied(verdict),
            Slot::Same(same) => {
                if let Some(row) = self.taken.iter_mut().find(|row| row.id == same.0) {
                    row.last_seen_at = new.last_seen_at;
                    row.lease_until = new.lease_until;
                    row.app_version = new.app_version.or(row.app_version.take());
                    row.os = new.os.or(row.os.take());
                    self.saved.insert(row.id, row.clone());
                }
                Granted::Slot(same)
            }
            Slot::New => {
                self.news.push(used(EventKind::LicenseActivated, found, offer, &new));
                self.saved.insert(new.id, new.clone());
                self.taken.push(new.clone());
                Granted::Slot(ActivationId(new.id))
            }
        }
    }

    fn deactivate(&mut self, call: &SlotCall, found: &FoundLicense, offer: &Offer) -> Granted {
        let is_it = |row: &rows::Activation| row.license_id == found.id.0 && row.fingerprint == call.fingerprint;
        let Some(place) = self.taken.iter().position(is_it) else { return Granted::Nothing };
        let row = self.taken.swap_remove(place);
        self.saved.remove(&row.id);
        self.deleted.push(row.id);
        self.news.push(used(EventKind::LicenseDeactivated, found, offer, &row));
        Granted::Slot(ActivationId(row.id))
    }
}

/// What is told of a license that is used on a device from now on, or no more.
pub(crate) fn used(kind: EventKind, found: &FoundLicense, offer: &Offer, row: &rows::Activation) -> News {
    let limits = found.adjustment.limits(&offer.plan.terms.limits, found.seats);
    let license = events::license_told(found.id, &found.standing, found.seats, &limits, &offer.plan, &offer.product);
    let activation = ActivationTold {
        id: ActivationId(row.id),
        kind: row.kind.as_str().into(),
        fingerprint: row.fingerprint.as_str().into(),
        name: row.name.as_deref().map(Box::from),
    };
    News {
        tenant: found.tenant,
        livemode: found.livemode,
        kind,
        license: Some(found.id),
        order: None,
        customer: None,
        data: EventData { license: Some(license), activation: Some(activation), ..EventData::default() },
    }
}

/// When the lease ends that is signed for this call after the commit, by the clock of the app.
fn lease_until(call: &SlotCall, found: &FoundLicense, offer: &Offer) -> Timestamp {
    let ahead = call.judged_at.duration_since(call.now);
    lease_times(&found.standing, &offer.plan.terms, call.judged_at).earlier(ahead).expires_at
}
