//! What apps call: check, activate, deactivate. Waiting calls are answered by one query, or share one transaction.

mod slots;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use crypto::{key::normalise, lease::LeaseClaims, lease::LeaseState};
use domain::{
    activation::{self, Verdict, VerdictCode},
    counted::Counted,
    id::ActivationId,
    plan::Limits,
};
use jiff::Timestamp;
use store::{FoundLicense, Store, lists::Whose};

use self::slots::{Granted, Wish};
pub(crate) use self::slots::{SlotCall, Slotted, gather_slots, used};
use crate::{Engine, Error, Gather, Turns, catalogue::Offer};

/// Look-ups that share one query at most; several queries run beside each other.
const CHECKS: Turns = Turns { batch_max: 64, concurrent: 4, waiting_max: 4_096 };

/// What an app sends.
#[derive(Clone, Debug)]
pub struct AppCall {
    /// The license key, as it was typed.
    pub key: String,
    /// The code of the product that the app is, so that a key of another product opens nothing.
    pub product: Option<String>,
    /// What identifies the device or domain.
    pub device: Option<String>,
    /// A name that its owner recognises.
    pub device_name: Option<String>,
    /// What uses the license.
    pub kind: ActivationKind,
}

/// What uses a license (E01). All of them count against the same limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ActivationKind {
    /// A device or an instance.
    #[default]
    Device,
    /// An internet domain.
    Domain,
}

impl ActivationKind {
    /// The word for it, as stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Domain => "domain",
        }
    }
}

/// What an app is told.
#[derive(Clone, Debug)]
pub struct AppAnswer {
    /// The verdict.
    pub verdict: Verdict,
    /// The license, where there is one.
    pub license: Option<AppLicense>,
    /// A signed lease, where a device has a slot now.
    pub lease: Option<String>,
    /// The slot.
    pub activation: Option<ActivationId>,
}

/// The license as an app may know it.
#[derive(Clone, Debug)]
pub struct AppLicense {
    /// The license with whose it is.
    pub found: Arc<FoundLicense>,
    /// What it stands on.
    pub offer: Arc<Offer>,
}

/// A check as it is gathered: the hashes of the key under every master key, and the device.
pub(crate) struct CheckCall {
    hashes: Vec<[u8; 32]>,
    device: Option<String>,
}

/// What the database knows about a check.
pub(crate) type Looked = Result<Option<(Arc<FoundLicense>, Option<ActivationId>)>, Unanswered>;

/// The database did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the license could not be read: {0}")]
pub struct Unanswered(String);

impl Unanswered {
    pub(crate) fn new(error: &Error) -> Self {
        Self(error.to_string())
    }
}

/// Devices that were seen by checks, until it is written down.
pub(crate) type Seen = Mutex<HashSet<uuid::Uuid>>;

pub(crate) fn gather_checks(store: Store) -> Gather<CheckCall, Looked> {
    Gather::start(CHECKS, move |calls: Vec<CheckCall>| {
        let store = store.clone();
        async move {
            match look(&store, &calls).await {
                Ok(found) => found.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(Unanswered(error.to_string())); calls.len()],
            }
        }
    })
}

async fn look(
    store: &Store,
    calls: &[CheckCall],
) -> Result<Vec<Option<(Arc<FoundLicense>, Option<ActivationId>)>>, Error> {
    let found = store.licenses_by_hash(hashes(calls.iter().flat_map(|call| &call.hashes))).await?;
    let devices: BTreeSet<String> = calls.iter().filter_map(|call| call.device.clone()).collect();
    let activations = if devices.is_empty() {
        Vec::new()
    } else {
        let licenses: BTreeSet<_> = found.values().map(|found| found.id.0).collect();
        store.activations_by_fingerprint(licenses.into_iter().collect(), devices.into_iter().collect()).await?
    };
    let slots: HashMap<_, _> = activations
        .iter()
        .map(|activation| ((activation.license_id, activation.fingerprint.as_str()), ActivationId(activation.id)))
        .collect();
    Ok(calls
        .iter()
        .map(|call| {
            let found = call.hashes.iter().find_map(|hash| found.get(hash.as_slice()))?;
            let slot = call.device.as_deref().and_then(|device| slots.get(&(found.id.0, device)));
            Some((Arc::clone(found), slot.copied()))
        })
        .collect())
}

const fn whose(found: &FoundLicense) -> Whose {
    Whose { tenant: found.tenant, livemode: found.livemode }
}

/// What is asked for, each once.
fn hashes<'a>(wanted: impl Iterator<Item = &'a [u8; 32]>) -> Vec<Vec<u8>> {
    let once: HashSet<&[u8; 32]> = wanted.collect();
    once.into_iter().map(|hash| hash.to_vec()).collect()
}

impl Engine {
    /// Whether a license is valid now, and whether the device that asks has a slot.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn check(&self, call: &AppCall) -> Result<AppAnswer, Error> {
        let (mut answer, whose) = self.examined(call).await?;
        if let Some(license) = answer.license.as_ref().filter(|_| answer.verdict.code.is_valid()) {
            let at = self.judged_at(&license.found, self.now()).await?;
            if let Some(refusal) = self.count_check(license, at).await? {
                answer.verdict = refusal;
            }
        }
        // A key that opens nothing is nobody's.
        if let Some(whose) = whose {
            self.tally(whose, Counted::Checked(answer.verdict.code), self.now());
        }
        Ok(answer)
    }

    /// The same without being counted.
    pub(crate) async fn examine(&self, call: &AppCall) -> Result<AppAnswer, Error> {
        Ok(self.examined(call).await?.0)
    }

    /// The answer, and whose license the key opens.
    async fn examined(&self, call: &AppCall) -> Result<(AppAnswer, Option<Whose>), Error> {
        let Some(hashes) = self.hashes(&call.key) else { return Ok((AppAnswer::not_found(), None)) };
        let looked = self.checks.ask(CheckCall { hashes, device: call.device.clone() }).await??;
        let open = looked.filter(|(found, _)| found.is_open(self.now()));
        let Some((found, slot)) = open else { return Ok((AppAnswer::not_found(), None)) };
        let whose = Some(whose(&found));
        let Some(license) = self.of_product(found, call.product.as_deref()).await? else {
            return Ok((AppAnswer::of(Verdict::product_mismatch()), whose));
        };
        if let Some(slot) = slot {
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(slot.0);
        }
        let device = call.device.as_ref().map(|_| slot.is_some());
        let judged_at = self.judged_at(&license.found, self.now()).await?;
        let verdict = activation::check(&license.found.standing, device, judged_at);
        Ok((AppAnswer { verdict, license: Some(license), lease: None, activation: slot }, whose))
    }

    /// Writes down which devices were seen. Lazy: nothing depends on it.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn write_seen(&self) -> Result<(), Error> {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner));
        if seen.is_empty() {
            return Ok(());
        }
        let write = self.store.begin().await?;
        write.touch_activations(seen.into_iter().collect(), self.now()).await?;
        Ok(write.commit().await?)
    }

    /// Gives a device a slot and a lease. The same device gets the same slot and a fresh lease.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn activate(&self, call: &AppCall, fingerprint: &str, issuer: &str) -> Result<AppAnswer, Error> {
        loop {
            let before = self.examine(&AppCall { device: None, ..call.clone() }).await?;
            let Some(license) = before.license.clone() else { return Ok(before) };
            if !before.verdict.code.is_valid() {
                return Ok(before);
            }
            let now = self.now();
            let id = ActivationId::new(now, &mut *self.entropy());
            let wish = Wish::Activate {
                kind: call.kind,
                name: call.device_name.clone(),
                id,
                offer: Arc::clone(&license.offer),
            };
            let judged_at = self.judged_at(&license.found, now).await?;
            return match self.slot(call, fingerprint, wish, now, judged_at).await? {
                Some((_, Granted::OtherPlan)) => continue,
                Some((found, Granted::Slot(slot))) => {
                    // The same device gets the slot that it has.
                    if slot == id {
                        self.tally(whose(&found), Counted::Activated, now);
                    }
                    let license = AppLicense { found, offer: license.offer };
                    self.leased(license, slot, fingerprint, issuer, now, judged_at).await
                }
                Some((found, Granted::Denied(verdict))) => {
                    if verdict.code == VerdictCode::ActivationLimit {
                        self.tally(whose(&found), Counted::ActivationRefused, now);
                    }
                    Ok(AppAnswer { verdict, license: Some(license), lease: None, activation: None })
                }
                Some((_, Granted::Nothing)) | None => Ok(AppAnswer::not_found()),
            };
        }
    }

    /// Frees a device's slot. Freeing one that is free already is no fault.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn deactivate(&self, call: &AppCall, fingerprint: &str) -> Result<AppAnswer, Error> {
        let before = self.examine(&AppCall { device: None, ..call.clone() }).await?;
        let Some(license) = &before.license else { return Ok(before) };
        let now = self.now();
        let freed =
            self.slot(call, fingerprint, Wish::Deactivate { offer: Arc::clone(&license.offer) }, now, now).await?;
        let activation = freed.and_then(|(_, granted)| if let Granted::Slot(id) = granted { Some(id) } else { None });
        Ok(AppAnswer { activation, ..before })
    }

    /// The license that a key, as it was typed, opens, or opened until another took its place: whoever has an old key can be
    /// helped.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn license_with_key(&self, key: &str) -> Result<Option<Arc<FoundLicense>>, Error> {
        let hashes = self.hashes(key).unwrap_or_default().iter().map(|hash| hash.to_vec()).collect();
        Ok(self.store.licenses_by_hash(hashes).await?.into_values().next())
    }

    fn hashes(&self, key: &str) -> Option<Vec<[u8; 32]>> {
        Some(self.ring().license_hashes(&normalise(key)?))
    }

    async fn slot(
        &self,
        call: &AppCall,
        fingerprint: &str,
        wish: Wish,
        now: Timestamp,
        judged_at: Timestamp,
    ) -> Result<Option<(Arc<FoundLicense>, Granted)>, Error> {
        let Some(hashes) = self.hashes(&call.key) else { return Ok(None) };
        Ok(self.slots.ask(SlotCall { hashes, fingerprint: fingerprint.to_owned(), wish, now, judged_at }).await??)
    }

    /// The moment at which a license is judged: its tenant's clock of test mode may be ahead.
    async fn judged_at(&self, license: &FoundLicense, now: Timestamp) -> Result<Timestamp, Error> {
        Ok(domain::time::after(now, self.ahead(license.tenant, license.livemode).await?))
    }

    /// The license with its plan, if it is one of the product that the app says it is.
    async fn of_product(&self, found: Arc<FoundLicense>, product: Option<&str>) -> Result<Option<AppLicense>, Error> {
        let offer = self.offer(found.tenant, found.plan).await?;
        let fits = product.is_none_or(|wanted| wanted == offer.product);
        Ok(fits.then_some(AppLicense { found, offer }))
    }

    async fn leased(
        &self,
        license: AppLicense,
        slot: ActivationId,
        fingerprint: &str,
        issuer: &str,
        now: Timestamp,
        judged_at: Timestamp,
    ) -> Result<AppAnswer, Error> {
        let verdict = activation::verdict(&license.found.standing, judged_at);
        let signer = self.signer(license.found.tenant).await?;
        let claims = LeaseClaims {
            iss: issuer.to_owned(),
            jti: slot,
            device: fingerprint.to_owned(),
            at_risk: matches!(verdict.code, VerdictCode::PastDue | VerdictCode::RenewalAwaited),
            ..license.claims(now, judged_at)
        };
        let lease = crypto::lease::sign(&signer, &claims);
        Ok(AppAnswer { verdict, license: Some(license), lease: Some(lease), activation: Some(slot) })
    }
}

impl AppLicense {
    /// What it allows.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.found.adjustment.limits(&self.offer.plan.terms.limits, self.found.seats)
    }

    /// What a lease says about the license, whoever it is for. An app checks it by its own clock, so where the license is
    /// judged by one that is ahead, its times are told as that many hours from now.
    fn claims(&self, now: Timestamp, judged_at: Timestamp) -> LeaseClaims {
        let (license, plan) = (&self.found, &self.offer.plan);
        let ahead = judged_at.duration_since(now);
        let times = activation::lease_times(&license.standing, &plan.terms, judged_at).earlier(ahead);
        let limits = self.limits();
        LeaseClaims {
            iss: String::new(),
            sub: license.id,
            aud: self.offer.product.clone(),
            jti: ActivationId(uuid::Uuid::nil()),
            iat: now.as_second(),
            nbf: now.as_second(),
            exp: times.expires_at.as_second(),
            tenant: license.tenant,
            device: String::new(),
            plan: plan.code.to_string(),
            features: limits.features.iter().cloned().collect(),
            limits: limits.activations.map(|count| ("activations".to_owned(), count.into())).into_iter().collect(),
            license_until: times.license_until.map(Timestamp::as_second),
            grace_until: times.grace_until.map(Timestamp::as_second),
            recheck_after: times.recheck_at.as_second(),
            state: LeaseState::Active,
            at_risk: false,
        }
    }
}

impl AppAnswer {
    fn of(verdict: Verdict) -> Self {
        Self { verdict, license: None, lease: None, activation: None }
    }

    fn not_found() -> Self {
        Self::of(Verdict::not_found())
    }
}
