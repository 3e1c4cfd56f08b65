//! What a price gives: evidence, rules, and decisions that stay decided.

use std::{cmp::Reverse, collections::BTreeMap};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    id::{ConnectionId, PlanId},
    join::Join,
    order::Line,
    plan::{AddOn, Plan, PlanVersion},
    text::{PlanCode, PriceReference, ProductReference},
};

/// What a decision rests on. Later kinds outrank earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// Nothing spoke of it and the connection has a default.
    Default,
    /// The sale names a plan and does not say for which price.
    Sale,
    /// A rule for the provider's product.
    Product,
    /// A rule for the provider's price.
    Price,
    /// The sale's own metadata names the plan of this price.
    Metadata,
}

impl Evidence {
    /// Whether it comes with a fact, and so may arrive after a rule has decided.
    #[must_use]
    pub const fn is_told(self) -> bool {
        matches!(self, Self::Sale | Self::Metadata)
    }
}

/// How a quantity becomes licenses (B22).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuantityRule {
    /// Each one bought is a key of its own.
    #[default]
    Keys,
    /// One key whose limits are multiplied.
    Seats,
}

/// One plan that a price gives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Grant {
    /// The plan as it was when this was decided.
    pub plan: PlanVersion,
    /// How the quantity counts.
    #[serde(default)]
    pub quantity: QuantityRule,
}

/// What was decided for a price within one order. It stays, unless someone asks for another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Decision {
    /// When a person asked for it; the latest such decision counts.
    #[serde(default, with = "crate::time::micros_optional", skip_serializing_if = "Option::is_none")]
    pub asked_at: Option<Timestamp>,
    /// What it rests on.
    pub evidence: Evidence,
    /// When it was made; of two on the same evidence the earlier counts.
    #[serde(with = "crate::time::micros")]
    pub decided_at: Timestamp,
    /// What the price gives. Empty: nothing of ours (shipping, a donation), or only an add-on.
    pub grants: Vec<Grant>,
    /// What the price adds to the licenses that are sold with it.
    #[serde(default, skip_serializing_if = "AddOn::is_nothing")]
    pub adds: AddOn,
}

impl Decision {
    /// Asked-for decisions come first and the latest of them wins; then the better evidence; then the earliest.
    fn precedence(&self) -> impl Ord + '_ {
        (self.asked_at, self.evidence, Reverse(self.decided_at), &self.grants, &self.adds)
    }
}

impl Join for Decision {
    fn join(&mut self, other: Self) {
        if other.precedence() > self.precedence() {
            *self = other;
        }
    }
}

/// What a price rule looks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Matcher {
    /// A provider's price or variant.
    Price(PriceReference),
    /// A provider's product.
    Product(ProductReference),
    /// Whatever no other rule speaks of.
    Default,
}

/// A plan that a rule gives: always its current version at the time of the decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleGrant {
    /// Which plan.
    pub plan: PlanId,
    /// How the quantity counts.
    #[serde(default)]
    pub quantity: QuantityRule,
}

/// What a price gives, and to sales of which time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// The plans; none: nothing of ours.
    pub grants: Vec<RuleGrant>,
    /// What it adds to the licenses that are sold with it.
    pub adds: AddOn,
    /// Sales from then on; none: since ever.
    pub from: Option<Timestamp>,
    /// Sales before then; none: for ever.
    pub until: Option<Timestamp>,
}

impl Rule {
    fn speaks_of(&self, sold_at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= sold_at) && self.until.is_none_or(|until| sold_at < until)
    }
}

/// What a price gives: a decision before it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruled {
    /// What it rests on.
    pub evidence: Evidence,
    /// The plans as they are now.
    pub grants: Vec<Grant>,
    /// What it adds.
    pub adds: AddOn,
}

impl Ruled {
    /// Kept from now on; `asked_at` is when a person asked for it.
    #[must_use]
    pub fn decided(self, decided_at: Timestamp, asked_at: Option<Timestamp>) -> Decision {
        Decision { asked_at, evidence: self.evidence, decided_at, grants: self.grants, adds: self.adds }
    }
}

/// All rules and plans of a tenant, as of one moment.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    plans: BTreeMap<(PlanId, u32), Plan>,
    current: BTreeMap<PlanId, PlanVersion>,
    codes: BTreeMap<PlanCode, PlanId>,
    rules: BTreeMap<(ConnectionId, Matcher), Vec<Rule>>,
}

impl Catalogue {
    /// Gathers all versions of all plans, and the rules per connection.
    #[must_use]
    pub fn new(
        plans: impl IntoIterator<Item = Plan>,
        rules: impl IntoIterator<Item = (ConnectionId, Matcher, Rule)>,
    ) -> Self {
        let mut catalogue = Self::default();
        for plan in plans {
            let version = plan.version;
            let current = catalogue.current.entry(version.plan).or_insert(version);
            *current = (*current).max(version);
            catalogue.codes.insert(plan.code.clone(), version.plan);
            catalogue.plans.insert((version.plan, version.version), plan);
        }
        for (connection, matcher, rule) in rules {
            catalogue.rules.entry((connection, matcher)).or_default().push(rule);
        }
        for rules in catalogue.rules.values_mut() {
            rules.sort_by_key(|rule| rule.from);
        }
        catalogue
    }

    /// The plan as it was in that version.
    #[must_use]
    pub fn plan(&self, version: PlanVersion) -> Option<&Plan> {
        self.plans.get(&(version.plan, version.version))
    }

    /// All versions of all plans.
    pub fn plans(&self) -> impl Iterator<Item = &Plan> {
        self.plans.values()
    }

    /// All plans as they are now.
    pub fn newest_plans(&self) -> impl Iterator<Item = &Plan> {
        self.current.values().filter_map(|version| self.plan(*version))
    }

    /// The plan of that code as it is now.
    #[must_use]
    pub fn plan_by_code(&self, code: &PlanCode) -> Option<&Plan> {
        self.plan(*self.current.get(self.codes.get(code)?)?)
    }

    /// What a line that was sold then gives, on the best evidence there is. `sale` is the plan that the sale names
    /// without saying for which price.
    #[must_use]
    pub fn decide(
        &self,
        connection: ConnectionId,
        line: &Line,
        sale: Option<&PlanCode>,
        sold_at: Timestamp,
    ) -> Option<Ruled> {
        self.named(Evidence::Metadata, line.named.as_ref())
            .or_else(|| self.ruled(connection, line, sold_at, &[Evidence::Price, Evidence::Product]))
            .or_else(|| self.named(Evidence::Sale, sale))
            .or_else(|| self.ruled(connection, line, sold_at, &[Evidence::Default]))
    }

    fn named(&self, evidence: Evidence, code: Option<&PlanCode>) -> Option<Ruled> {
        let plan = self.plan_by_code(code?)?.version;
        Some(Ruled { evidence, grants: vec![Grant { plan, quantity: QuantityRule::Keys }], adds: AddOn::default() })
    }

    /// Of several rules for one thing, the one that began last speaks.
    fn ruled(&self, connection: ConnectionId, line: &Line, sold_at: Timestamp, kinds: &[Evidence]) -> Option<Ruled> {
        kinds.iter().find_map(|evidence| {
            let matcher = match evidence {
                Evidence::Price => Matcher::Price(line.price.clone()),
                Evidence::Product => Matcher::Product(line.product.clone()?),
                _ => Matcher::Default,
            };
            let rules = self.rules.get(&(connection, matcher))?;
            let rule = rules.iter().rfind(|rule| rule.speaks_of(sold_at))?;
            Some(Ruled { evidence: *evidence, grants: self.current_grants(&rule.grants), adds: rule.adds.clone() })
        })
    }

    fn current_grants(&self, rule: &[RuleGrant]) -> Vec<Grant> {
        rule.iter()
            .filter_map(|grant| {
                let plan = *self.current.get(&grant.plan)?;
                Some(Grant { plan, quantity: grant.quantity })
            })
            .collect()
    }
}
