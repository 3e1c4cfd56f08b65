//! A tiny database: names, orders, licenses. It takes facts in batches, as the workers do.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use domain::{
    decision::{Catalogue, Matcher, QuantityRule, Rule, RuleGrant},
    fulfil::{Admission, Change, Offered, Settling, Waiting, reconcile, resolve, want},
    id::{ConnectionId, Entropy, LicenseId, OrderId, PlanId, ProductId},
    join::Join,
    license::{Holding, License, LicenseState, Unit},
    order::Order,
    plan::{Plan, PlanTerms, PlanVersion},
    policy::{Issuing, MailBy, OnTrial, Policy},
    ruling::{Ruling, rule},
    text::{PlanCode, Reference},
};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::telling::START;

const CONNECTION: ConnectionId = ConnectionId(Uuid::from_u128(1));

/// A seeded generator (SplitMix64): the randomness of ids and of orders of arrival.
#[derive(Clone, Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.roll() % bound as u64).expect("less than a usize")
    }

    pub(crate) fn one_in(&mut self, chance: usize) -> bool {
        self.below(chance) == 0
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for place in (1..items.len()).rev() {
            items.swap(place, self.below(place + 1));
        }
    }
}

impl Entropy for Dice {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.roll().to_le_bytes()[..chunk.len()]);
        }
    }
}

/// What the vendor sells: plans in all their versions, and what each price gives.
#[derive(Clone, Debug, Default)]
struct Shop {
    plans: Vec<Plan>,
    rules: BTreeMap<Matcher, Vec<Rule>>,
}

impl Shop {
    /// The plan of that code; each is a product of its own.
    fn id(code: &str) -> Uuid {
        Uuid::from_u128(code.bytes().fold(7, |hash, byte| hash * 256 + u128::from(byte)))
    }

    fn edit(&mut self, product: &str, code: &str, terms: PlanTerms) -> PlanVersion {
        let plan = PlanId(Self::id(code));
        let earlier = self.plans.iter().filter(|known| known.version.plan == plan).count();
        let number = u32::try_from(earlier + 1).expect("few versions");
        let version = PlanVersion { plan, version: number, product: ProductId(Self::id(product)) };
        self.plans.push(Plan { version, code: PlanCode::from(code), name: code.into(), terms });
        version
    }

    fn catalogue(&self) -> Catalogue {
        let each = |(matcher, rules): (&Matcher, &Vec<Rule>)| {
            let matcher = matcher.clone();
            rules.clone().into_iter().map(move |rule| (CONNECTION, matcher.clone(), rule))
        };
        let rules = self.rules.iter().flat_map(each);
        Catalogue::new(self.plans.iter().cloned(), rules)
    }
}

/// An order as the database keeps it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub(crate) order: Order,
    pub(crate) licenses: Vec<License>,
    pub(crate) waiting: BTreeSet<Waiting>,
    pub(crate) look_again_at: Option<Timestamp>,
}

/// Everything that is kept, and what happened.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) orders: BTreeMap<OrderId, Row>,
    pub(crate) log: Vec<(LicenseId, Change)>,
    names: HashMap<Reference, OrderId>,
    announced: HashSet<LicenseId>,
    shop: Shop,
    catalogue: Arc<Catalogue>,
    dice: Dice,
    /// The provider gives the keys out, and has told of none.
    pub(crate) awaits_keys: bool,
    /// How far the clock is ahead by which licenses are judged.
    pub(crate) ahead: SignedDuration,
}

impl World {
    /// A vendor who sells plan `A` at price `A` and so on, on default terms.
    pub(crate) fn selling(prices: &[&str]) -> Self {
        Self::selling_on(&PlanTerms::default(), prices)
    }

    pub(crate) fn selling_on(terms: &PlanTerms, prices: &[&str]) -> Self {
        let mut world = Self {
            orders: BTreeMap::new(),
            log: Vec::new(),
            names: HashMap::new(),
            announced: HashSet::new(),
            shop: Shop::default(),
            catalogue: Arc::default(),
            dice: Dice(1),
            awaits_keys: false,
            ahead: SignedDuration::ZERO,
        };
        for price in prices {
            world.add_plan(price, terms.clone());
            world.add_rule(Matcher::Price((*price).into()), &[price], QuantityRule::Keys);
        }
        world
    }

    /// A vendor who sells these, after facts that arrived together on day 0.
    pub(crate) fn after(prices: &[&str], facts: &[Order]) -> Self {
        let mut world = Self::selling(prices);
        world.put(facts, START);
        world
    }

    /// Adds a plan, or a version of one.
    pub(crate) fn add_plan(&mut self, code: &str, terms: PlanTerms) -> PlanVersion {
        self.add_plan_of(code, code, terms)
    }

    /// Adds a plan of a product that other plans have, too.
    pub(crate) fn add_plan_of(&mut self, product: &str, code: &str, terms: PlanTerms) -> PlanVersion {
        let version = self.shop.edit(product, code, terms);
        self.catalogue = Arc::new(self.shop.catalogue());
        version
    }

    /// A rule in all its parts, beside those that speak of the same.
    pub(crate) fn add_whole_rule(&mut self, matcher: Matcher, rule: Rule) {
        self.shop.rules.entry(matcher).or_default().push(rule);
        self.catalogue = Arc::new(self.shop.catalogue());
    }

    /// What a price gives as a rule says it.
    pub(crate) fn gives(code: &str, quantity: QuantityRule) -> RuleGrant {
        RuleGrant { plan: PlanId(Shop::id(code)), quantity }
    }

    pub(crate) fn add_rule(&mut self, matcher: Matcher, plans: &[&str], quantity: QuantityRule) {
        let grants = plans.iter().map(|code| Self::gives(code, quantity)).collect();
        self.shop.rules.insert(matcher, vec![Rule { grants, ..Rule::default() }]);
        self.catalogue = Arc::new(self.shop.catalogue());
    }

    /// From now on a price gives the plan of its name, and everything that waited for that goes on.
    pub(crate) fn map(&mut self, price: &str, now: Timestamp) {
        self.add_plan(price, PlanTerms::default());
        self.add_rule(Matcher::Price(price.into()), &[price], QuantityRule::Keys);
        self.settle_all(now);
    }

    /// A worker takes a batch: each fact joins its order, orders that meet become one, and each order that was
    /// touched is settled once.
    pub(crate) fn put(&mut self, facts: &[Order], now: Timestamp) {
        self.pass_time(now);
        let mut touched = BTreeSet::new();
        for fact in facts {
            let known: BTreeSet<OrderId> =
                fact.references.iter().filter_map(|name| self.names.get(name)).copied().collect();
            let mut known = known.into_iter();
            let id = known.next().unwrap_or_else(|| OrderId::new(now, &mut self.dice));
            for other in known {
                self.merge(id, other);
                touched.remove(&other);
            }
            self.names.extend(fact.references.iter().map(|name| (name.clone(), id)));
            self.orders.entry(id).or_default().order.join(fact.clone());
            touched.insert(id);
        }
        for id in touched {
            self.settle(id, now);
        }
    }

    /// The order with the smaller id takes in the other one; licenses move to slots that nobody has.
    fn merge(&mut self, id: OrderId, other: OrderId) {
        let gone = self.orders.remove(&other).expect("an order that has names");
        self.names.extend(gone.order.references.iter().map(|name| (name.clone(), id)));
        let row = self.orders.get_mut(&id).expect("an order that has names");
        let free = row.licenses.iter().map(|license| license.slot + 1).max().unwrap_or(0);
        row.order.join(gone.order);
        row.licenses.extend(gone.licenses.into_iter().map(|license| License { slot: free + license.slot, ..license }));
    }

    pub(crate) fn settle_all(&mut self, now: Timestamp) {
        for id in self.orders.keys().copied().collect::<Vec<_>>() {
            self.settle(id, now);
        }
    }

    /// Timers: settles the orders that have a license whose time has come.
    pub(crate) fn pass_time(&mut self, now: Timestamp) {
        let due = |row: &Row| {
            let checks = row.licenses.iter().filter_map(|license| license.standing.next_check);
            checks.chain(row.look_again_at).any(|at| at <= now)
        };
        for id in self.orders.iter().filter(|(_, row)| due(row)).map(|(id, _)| *id).collect::<Vec<_>>() {
            self.settle(id, now);
        }
    }

    fn settle(&mut self, id: OrderId, now: Timestamp) {
        let row = self.orders.get_mut(&id).expect("an order");
        resolve(&mut row.order, CONNECTION, &self.catalogue, now);
        let has_address = row.order.contact.is_some();
        let settling = &mut Settling {
            order: id,
            catalogue: &self.catalogue,
            has_address,
            offered: self.awaits_keys.then(Offered::default),
            admission: Admission::Open,
            now,
            judged_at: now + self.ahead,
            entropy: &mut self.dice,
        };
        let settled = reconcile(&row.order, &mut row.licenses, settling);
        row.waiting = settled.waiting;
        row.look_again_at = settled.look_again_at;
        for (license, _) in settled.changes.iter().filter(|(_, change)| *change == Change::Announced) {
            let license = row.licenses.iter().find(|known| known.id == *license).expect("an issued license");
            let by_vendor =
                self.catalogue.plan(license.plan).is_some_and(|plan| plan.terms.policy.mail == MailBy::Vendor);
            assert!(has_address || by_vendor, "announced to nobody: {license:?}");
            assert_eq!(license.standing.state, LicenseState::Active, "announced before it works: {license:?}");
            assert!(self.announced.insert(license.id), "announced twice: {license:?}");
        }
        self.log.extend(settled.changes);
        let slots: BTreeSet<u32> = row.licenses.iter().map(|license| license.slot).collect();
        assert_eq!(slots.len(), row.licenses.len(), "two licenses in one slot: {:?}", row.licenses);
        let at_once = |policy: &Policy| policy.trial == OnTrial::License && policy.issuing == Issuing::Automatic;
        let known = |unit: &Unit| {
            let plan = unit.plan.and_then(|plan| self.catalogue.plan(plan));
            plan.is_some_and(|plan| at_once(&plan.terms.policy))
        };
        let decided = want(&row.order).units.into_iter().filter(known).count();
        let live = row.licenses.iter().filter(|license| license.holding == Holding::Unit).count();
        assert!(live >= decided, "{decided} were sold and {live} exist: {:?}", row.licenses);
    }

    /// A person rules about one license.
    pub(crate) fn rule(&mut self, license: LicenseId, ruling: Ruling, now: Timestamp) {
        for (id, Row { order, licenses, .. }) in &mut self.orders {
            if let Some(license) = licenses.iter_mut().find(|known| known.id == license) {
                rule(order, license, ruling, now);
                let id = *id;
                return self.settle(id, now);
            }
        }
        panic!("{license} was never issued");
    }

    /// A person rules about the sale of that name.
    pub(crate) fn rule_sale(&mut self, name: &str, ruling: impl Fn(&mut Order, &Catalogue), now: Timestamp) {
        let catalogue = Arc::clone(&self.catalogue);
        let id = self.names[name];
        ruling(&mut self.order_mut(name).order, &catalogue);
        self.settle(id, now);
    }

    /// A person lifts everything that speaks against any license now.
    pub(crate) fn unfreeze_all(&mut self, now: Timestamp) {
        for id in self.licenses().map(|license| license.id).collect::<Vec<_>>() {
            self.rule(id, Ruling::Unfreeze, now);
        }
    }

    /// The order that has this name.
    pub(crate) fn order(&self, name: &str) -> &Row {
        &self.orders[&self.names[name]]
    }

    pub(crate) fn order_mut(&mut self, name: &str) -> &mut Row {
        self.orders.get_mut(&self.names[name]).expect("an order")
    }

    pub(crate) fn licenses(&self) -> impl Iterator<Item = &License> {
        self.orders.values().flat_map(|row| &row.licenses)
    }

    /// Licenses that hold a unit, in the order they were issued.
    pub(crate) fn live(&self) -> impl Iterator<Item = &License> {
        self.licenses().filter(|license| license.holding == Holding::Unit)
    }

    /// The one license that holds a unit.
    pub(crate) fn only(&self) -> &License {
        let mut live = self.live();
        let only = live.next().expect("a license that holds a unit");
        assert_eq!(live.next(), None, "one license was expected");
        only
    }

    pub(crate) fn words_of_only(&self) -> String {
        self.words(self.only())
    }

    pub(crate) fn active(&self) -> Vec<LicenseId> {
        let active = self.live().filter(|license| license.standing.state == LicenseState::Active);
        active.map(|license| license.id).collect()
    }

    /// How often something happened to a license, or to any.
    pub(crate) fn count(&self, change: &Change) -> usize {
        self.log.iter().filter(|(_, happened)| happened == change).count()
    }

    /// What must not depend on the order of arrival, in words: everything but ids, slots and licenses without a unit.
    pub(crate) fn outcome(&self) -> Vec<String> {
        let licenses = self.live().map(|license| self.words(license));
        let waiting = self.orders.values().flat_map(|row| &row.waiting).filter_map(waiting_words);
        let orders = (self.orders.len() > 1).then(|| format!("{} orders", self.orders.len()));
        let mut outcome: Vec<String> = licenses.chain(waiting).chain(orders).collect();
        outcome.sort();
        outcome
    }

    /// `A ×1 active paid until 30, expired on 30, look again 30`, days counted from [`START`].
    pub(crate) fn words(&self, license: &License) -> String {
        let License { plan, unit, standing, .. } = license;
        let code = &self.catalogue.plan(*plan).expect("a plan that exists").code;
        let version = if plan.version == 1 { String::new() } else { format!(" v{}", plan.version) };
        let mut words =
            format!("{code}{version} ×{} {} {}", unit.seats, standing.state.as_str(), standing.reason.code());
        if let Some(until) = standing.until {
            words += &format!(" until {}", day_of(until));
        }
        if standing.at_risk {
            words += ", at risk";
        }
        if let Some(scheduled) = standing.scheduled {
            words += &format!(", {} on {}", scheduled.state.as_str(), day_of(scheduled.at));
        }
        if let Some(at) = standing.next_check {
            words += &format!(", look again {}", day_of(at));
        }
        words
    }
}

fn day_of(at: Timestamp) -> i64 {
    let since = at.duration_since(START);
    assert_eq!(SignedDuration::from_hours(since.as_hours() / 24 * 24), since, "{at} is not a whole day");
    since.as_hours() / 24
}

/// What is in the way. Whether two sales had both issued before they met depends on the order of arrival.
fn waiting_words(waiting: &Waiting) -> Option<String> {
    Some(match waiting {
        Waiting::Unmapped { price, .. } => format!("waits: price {price} unmapped"),
        Waiting::LinesUnknown { purchase } => format!("waits: lines of {purchase} unknown"),
        Waiting::MoreBought { purchase } => format!("waits: more of {purchase}"),
        Waiting::PaymentUnlinked => "waits: payment unlinked".into(),
        Waiting::PeriodUnknown { purchase } => format!("waits: period of {purchase} unknown"),
        Waiting::NoAddress => "waits: no address".into(),
        Waiting::TooMany { units } => format!("waits: {units} are too many"),
        Waiting::NothingToAddTo { purchase } => format!("waits: {purchase} adds to nothing"),
        Waiting::Approval { overdue: false } => "waits: approval".into(),
        Waiting::Approval { overdue: true } => "waits: approval overdue".into(),
        Waiting::Tied { subscription } => format!("waits: snapshots of {subscription} tied"),
        Waiting::PartlyRefunded { payment, amount } => format!("waits: {amount} of {payment} went back"),
        Waiting::SeveralCustomers { customers } => format!("waits: {} customers", customers.len()),
        Waiting::KeyAwaited { line } => format!("waits: key of {line}"),
        Waiting::KeyRefused { key, .. } => format!("waits: another key than {key}"),
        Waiting::SuccessorAwaited { source } => format!("waits: what took the place of {source}"),
        Waiting::AccountStopped => "waits: account stopped".into(),
        Waiting::AccountFull => "waits: account full".into(),
        Waiting::Merged { .. } => return None,
    })
}
