//! What can be bought: the plans, as offers with a price.

use anyhow::{Context, bail};
use domain::{id::TenantId, plan::PlanTerms};
use engine::{Engine, tenants::DEFAULT_TENANT};

use super::tell::program;

/// What a plan without a limit is priced as.
const UNLIMITED: u32 = 50;

/// A plan as something to be sold.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    /// The plan's code.
    pub(crate) plan: String,
    /// Its name.
    pub(crate) name: String,
    /// Its place among all plans, from 0; later plans come after it.
    pub(crate) place: usize,
    /// Whose plan it is.
    pub(crate) product: uuid::Uuid,
    /// How much it allows, which its price follows.
    activations: i64,
}

impl Offer {
    /// What one of it costs: the more it allows, the more.
    pub(crate) const fn amount(&self, monthly: bool) -> i64 {
        if monthly { 400 + 500 * self.activations } else { 2_900 + 1_000 * self.activations }
    }
}

/// What can be bought: every plan as it is now, the oldest first.
pub(crate) async fn offers(engine: &Engine, tenant: TenantId) -> anyhow::Result<Vec<Offer>> {
    let mut plans = engine.store.plans(tenant).await?;
    // Of plans that were made together nobody knows which was first; their codes keep them in one order.
    plans.sort_by(|one, other| {
        (one.created_at, &one.code, one.version).cmp(&(other.created_at, &other.code, other.version))
    });
    let mut offers: Vec<Offer> = Vec::new();
    for plan in plans {
        let terms: PlanTerms = serde_json::from_str(&plan.terms)?;
        let offer = Offer {
            activations: terms.limits.activations.unwrap_or(UNLIMITED).into(),
            plan: plan.code,
            name: plan.name,
            place: offers.len(),
            product: plan.product_id,
        };
        match offers.iter_mut().find(|known| known.plan == offer.plan) {
            Some(known) => *known = Offer { place: known.place, ..offer },
            None => offers.push(offer),
        }
    }
    Ok(offers)
}

/// The tenant for whom the command line plays.
pub(crate) async fn tenant(engine: &Engine) -> anyhow::Result<TenantId> {
    engine.tenant(DEFAULT_TENANT).await?.context("there is no tenant `default`")
}

/// The offer of that plan, or the first one.
pub(crate) fn find(offers: &[Offer], plan: Option<&str>) -> anyhow::Result<Offer> {
    let Some(first) = offers.first() else {
        let program = program();
        bail!(
            "there is no plan to buy yet; add one, for example from the sample:\n  \
             {program} demo --print-sample > keywright.toml\n  {program} apply keywright.toml"
        )
    };
    let Some(plan) = plan else { return Ok(first.clone()) };
    let codes: Vec<&str> = offers.iter().map(|offer| offer.plan.as_str()).collect();
    let found = offers.iter().find(|offer| offer.plan == plan);
    found.cloned().with_context(|| format!("there is no plan `{plan}`; there are {}", codes.join(", ")))
}

/// The plan that is larger than this one, or smaller: of the same product if it has one. Where there is none, any other.
pub(crate) fn beside(offers: &[Offer], now: Option<usize>, is_larger: bool) -> Option<Offer> {
    let Some(now) = now.and_then(|place| offers.get(place)) else { return offers.first().cloned() };
    let is_further = |other: &Offer| {
        let (smaller, larger) = if is_larger { (now, other) } else { (other, now) };
        smaller.activations < larger.activations
    };
    let others = offers.iter().filter(|other| other.place != now.place);
    // The same product counts more than the direction, and a small step is better than a large one.
    let fitness = |other: &&Offer| {
        let step = other.activations.abs_diff(now.activations);
        (other.product != now.product, !is_further(other), step, other.place)
    };
    others.min_by_key(fitness).cloned()
}
