//! What apps call: check, activate, deactivate. Waiting calls are answered by one query, or share one transaction.

mod seen;
mod slots;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, PoisonError},
};

use crypto::{key::normalise, lease::LeaseClaims, lease::LeaseState};
use domain::{
    activation::{self, Software, Verdict, VerdictCode},
    counted::Counted,
    id::{ActivationId, LicenseId},
    plan::Limits,
};
use jiff::Timestamp;
use store::{FoundLicense, Store, lists::Whose};

pub(crate) use self::seen::Seen;
use self::slots::{Granted, Wish};
pub(crate) use self::slots::{SlotCall, Slotted, gather_slots, used};
use crate::{Engine, Error, Gather, Turns, catalogue::Offer};

/// Look-ups that share one query at most; several queries run beside each other.
const CHECKS: Turns = Turns { batch_max: 64, concurrent: 4, waiting_max: 4_096 };

/// What an app sends.
#[derive(Clone, Debug, Default)]
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
    /// What it says of itself.
    pub software: Software,
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

/// A check as it is gathered: the hashes of the key under every master key, the device, and what its app says of itself.
pub(crate) struct CheckCall {
    hashes: Vec<[u8; 32]>,
    device: Option<String>,
    software: Software,
}

/// The slot that a device has, and what its app says that is not known of it.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    id: ActivationId,
    news: Software,
}

/// What the database knows about a check.
pub(crate) type Looked = Result<Option<(Arc<FoundLicense>, Option<Held>)>, Unanswered>;

/// Which license an app asks about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject {
    pub(crate) whose: Whose,
    pub(crate) license: LicenseId,
}

/// The database did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the license could not be read: {0}")]
pub struct Unanswered(String);

impl Unanswered {
    pub(crate) fn new(error: &Error) -> Self {
        Self(error.to_string())
    }
}

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

async fn look(store: &Store, calls: &[CheckCall]) -> Result<Vec<Option<(Arc<FoundLicense>, Option<Held>)>>, Error> {
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
        .map(|activation| ((activation.license_id, activation.fingerprint.as_str()), activation))
        .collect();
    Ok(calls
        .iter()
        .map(|call| {
            let found = call.hashes.iter().find_map(|hash| found.get(hash.as_slice()))?;
            let slot = call.device.as_deref().and_then(|device| slots.get(&(found.id.0, device)));
            let held = slot.map(|row| Held {
                id: ActivationId(row.id),
                news: call.software.news(row.app_version.as_deref(), row.os.as_deref()),
            });
            Some((Arc::clone(found), held))
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
        let (mut answer, subject) = self.examined(call).await?;
        if let Some(license) = answer.license.as_ref().filter(|_| answer.verdict.code.is_valid()) {
            let at = self.judged_at(&license.found, self.now()).await?;
            if let Some(refusal) = self.count_check(license, at).await? {
                answer.verdict = refusal;
            }
        }
        let (code, now) = (answer.verdict.code, self.now());
        if let Some(whose) = subject.map(|subject| subject.whose).or_else(|| self.guessed(call)) {
            self.tally(whose, Counted::Checked(code), now);
        }
        self.note_if_denied(subject, call, code, now);
        Ok(answer)
    }

    /// Whose a key is taken for that opens nothing: it is theirs whose app says that it is it. Which money it was meant for
    /// nobody knows; most apps are in the hands of buyers.
    fn guessed(&self, call: &AppCall) -> Option<Whose> {
        Some(Whose { tenant: self.seller(call.product.as_deref()?)?, livemode: true })
    }

    fn note_if_denied(&self, subject: Option<Subject>, call: &AppCall, code: VerdictCode, now: Timestamp) {
        if let Some(subject) = subject.filter(|_| !code.is_valid()) {
            self.note_denial(subject, code, call.device.as_deref(), now);
        }
    }

    /// The same without being counted.
    pub(crate) async fn examine(&self, call: &AppCall) -> Result<AppAnswer, Error> {
        Ok(self.examined(call).await?.0)
    }

    /// The answer, and which license the key opens.
    async fn examined(&self, call: &AppCall) -> Result<(AppAnswer, Option<Subject>), Error> {
        let Some(hashes) = self.hashes(&call.key) else { return Ok((AppAnswer::not_found(), None)) };
        let check = CheckCall { hashes, device: call.device.clone(), software: call.software.clone() };
        let looked = self.checks.ask(check).await??;
        let open = looked.filter(|(found, _)| found.is_open(self.now()));
        let Some((found, held)) = open else { return Ok((AppAnswer::not_found(), None)) };
        let subject = Some(Subject { whose: whose(&found), license: found.id });
        let Some(license) = self.of_product(found, call.product.as_deref()).await? else {
            return Ok((AppAnswer::of(Verdict::product_mismatch()), subject));
        };
        let slot = held.as_ref().map(|held| held.id);
        if let Some(held) = held {
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).note(held);
        }
        let device = call.device.as_ref().map(|_| slot.is_some());
        let judged_at = self.judged_at(&license.found, self.now()).await?;
        let verdict = activation::check(&license.found.standing, device, judged_at);
        Ok((AppAnswer { verdict, license: Some(license), lease: None, activation: slot }, subject))
    }

    /// Gives a device a slot and a lease. The same device gets the same slot and a fresh lease.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn activate(&self, call: &AppCall, fingerprint: &str, issuer: &str) -> Result<AppAnswer, Error> {
        loop {
            let (before, subject) = self.examined(&AppCall { device: None, ..call.clone() }).await?;
            let now = self.now();
            self.note_if_denied(subject, call, before.verdict.code, now);
            let Some(license) = before.license.clone() else { return Ok(before) };
            if !before.verdict.code.is_valid() {
                return Ok(before);
            }
            let id = ActivationId::new(now, &mut *self.entropy());
            let wish = Wish::Activate {
                kind: call.kind,
                name: call.device_name.clone(),
                software: call.software.clone(),
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
                    self.note_if_denied(subject, call, verdict.code, now);
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
