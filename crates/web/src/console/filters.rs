//! What a list of licenses is asked for: read from its address, shown, and kept on the way to other pages.

use domain::{
    id::{ConnectionId, CustomerId, PlanId, ProductId},
    license::LicenseState,
    plan::PlanTerms,
    tag,
};
use jiff::{SignedDuration, Timestamp};
use store::{
    lists::{LicenseFilter, ListedLicense, Room, Seen},
    rows,
};
use uuid::Uuid;

use super::{
    list::{Asked, Chip},
    place::Place,
    refusal::Refusal,
};
use crate::Web;

/// The names that a list of licenses knows in its address.
pub(crate) const NAMES: [&str; 12] = [
    "product", "state", "reason", "plan", "source", "within", "seen", "devices", "domain", "metadata", "tag",
    "customer",
];

/// Days ahead and back that may be asked for.
const DAYS_MAX: i64 = 3_650;

/// Why licenses are in their state, as `domain::reason::Reason::code` and in words.
const REASONS: [(&str, &str); 15] = [
    ("paid", "paid"),
    ("renewal_awaited", "renewal awaited"),
    ("not_renewed", "not renewed"),
    ("term_over", "term over"),
    ("subscription_ended", "subscription ended"),
    ("subscription_paused", "subscription paused"),
    ("payment_past_due", "payment overdue"),
    ("refunded_in_full", "refunded in full"),
    ("refunded_in_part", "refunded in part"),
    ("dispute_open", "dispute open"),
    ("dispute_lost", "dispute lost"),
    ("frozen_by_hand", "frozen by hand"),
    ("revoked_by_hand", "revoked by hand"),
    ("removed", "removed from its order"),
    ("superseded", "another stands for it"),
];

/// Something to choose.
pub(crate) struct Select {
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    /// What stands there while nothing is chosen.
    pub(crate) any: &'static str,
    /// Value, words, and whether it is chosen.
    pub(crate) options: Vec<(String, String, bool)>,
}

impl Select {
    fn new<W: Into<String>>(
        (name, label, any): (&'static str, &'static str, &'static str),
        options: impl IntoIterator<Item = (String, W)>,
        asked: &Asked,
    ) -> Self {
        let here = asked.get(name);
        let option = |(value, words): (String, W)| {
            let is_here = value == here;
            (value, words.into(), is_here)
        };
        Self { name, label, any, options: options.into_iter().map(option).collect() }
    }

    fn chosen(&self) -> Option<&str> {
        self.options.iter().find(|(.., is_here)| *is_here).map(|(_, words, _)| words.as_str())
    }
}

/// What a list of licenses is asked for.
pub(crate) struct Filters {
    pub(crate) filter: LicenseFilter,
    pub(crate) selects: Vec<Select>,
    /// What is asked for that counts, by name.
    pub(crate) kept: Vec<(&'static str, String)>,
    pub(crate) chips: Vec<Chip>,
}

impl Filters {
    /// What is asked for, for an address.
    pub(crate) fn pairs(&self) -> Vec<(&str, &str)> {
        self.kept.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }

    /// What was typed under a name.
    pub(crate) fn typed(&self, name: &str) -> &str {
        self.kept.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// Whether it leaves anything out.
    pub(crate) fn is_some(&self) -> bool {
        !self.kept.is_empty()
    }
}

/// The product that a page is about, as its address says; none: all.
pub(crate) async fn product<A>(web: &Web, place: &Place<A>, code: &str) -> Result<Option<rows::Product>, Refusal> {
    if code.is_empty() {
        return Ok(None);
    }
    let products = web.engine.store.products(place.whose().tenant).await?;
    Ok(products.into_iter().find(|product| product.code == code))
}

/// The connections of a provider in this mode.
pub(crate) async fn connections<A>(
    web: &Web,
    place: &Place<A>,
) -> Result<Vec<(ConnectionId, &'static str, &'static str)>, Refusal> {
    let all = web.engine.connections().await?;
    let here = all.iter().filter(|connection| connection.tenant == place.whose().tenant);
    let here = here.filter(|connection| connection.mode.is_live() == place.livemode);
    Ok(here
        .map(|connection| (connection.id, connection.provider.info().slug, connection.provider.info().name))
        .collect())
}

/// Reads what an address asks for. What is not known is left out, and so not kept either.
pub(crate) async fn read<A>(
    web: &Web,
    place: &Place<A>,
    path: &str,
    asked: &Asked,
    now: Timestamp,
) -> Result<Filters, Refusal> {
    let (store, tenant) = (&web.engine.store, place.whose().tenant);
    let plans = store.plans(tenant).await?;
    let connections = connections(web, place).await?;
    let product = product(web, place, asked.get("product")).await?;
    let selects = selects(&newest(&plans), &connections, asked);
    let domain = asked.get("domain").trim_start_matches('@').to_lowercase();
    let customer = asked.get("customer").parse::<CustomerId>().ok();
    let chosen = |name: &'static str| selects.iter().any(|select| select.name == name && select.chosen().is_some());
    let of = |name: &'static str| Some(asked.get(name)).filter(|_| chosen(name));
    let days = |name| of(name).and_then(|text| text.parse::<i64>().ok()).filter(|days| (0..=DAYS_MAX).contains(days));
    let later = |days: i64| domain::time::after(now, SignedDuration::from_hours(24 * days));
    let sold_at = |slug: &str| connections.iter().filter(|(_, other, _)| *other == slug).map(|(id, ..)| *id).collect();
    let filter = LicenseFilter {
        state: LicenseState::ALL.into_iter().find(|state| Some(state.as_str()) == of("state")),
        reason: of("reason").map(str::to_owned),
        plan: plans.iter().find(|plan| Some(plan.code.as_str()) == of("plan")).map(|plan| PlanId(plan.id)),
        product: product.as_ref().map(|product| ProductId(product.id)),
        customer,
        connections: of("source").map(sold_at).unwrap_or_default(),
        expires_after: days("within").map(|_| now),
        expires_before: days("within").map(later),
        seen: match of("seen") {
            Some("never") => Some(Seen::Never),
            _ => days("seen").map(|days| Seen::Before(later(-days))),
        },
        full: of("devices").map(|_| rooms(&plans)).unwrap_or_default(),
        email_domain: Some(domain.clone()).filter(|domain| !domain.is_empty()),
        metadata_key: Some(asked.get("metadata").to_owned()).filter(|key| !key.is_empty()),
        tag: tag::read(asked.get("tag")).ok(),
    };
    let product = product.map(|product| (product.code, product.name));
    let others = [("domain", domain), ("customer", customer.map(|id| id.to_string()).unwrap_or_default())];
    let counts = |name: &'static str| match name {
        "product" => product.as_ref().map(|(code, _)| code.clone()),
        "metadata" => filter.metadata_key.clone(),
        "tag" => filter.tag.clone(),
        name => of(name).map(str::to_owned).or_else(|| {
            others.iter().find(|(other, value)| *other == name && !value.is_empty()).map(|(_, value)| value.clone())
        }),
    };
    let kept: Vec<_> = NAMES.into_iter().filter_map(|name| Some((name, counts(name)?))).collect();
    let pairs: Vec<_> = kept.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let name_of_product = product.as_ref().map(|(_, name)| name.as_str());
    let chip = |(name, value): &(&'static str, String)| {
        Chip::new(words(name, value, &selects, name_of_product), name, path, &pairs)
    };
    let chips = kept.iter().map(chip).collect();
    Ok(Filters { filter, chips, kept, selects })
}

/// What a filter says, on its chip.
fn words(name: &str, value: &str, selects: &[Select], product: Option<&str>) -> String {
    let select = selects.iter().find(|select| select.name == name);
    match (name, select.and_then(|select| Some((select.label, select.chosen()?)))) {
        ("within" | "seen" | "devices", Some((_, words))) => super::words::capitalised(words),
        (_, Some((label, words))) => format!("{label}: {words}"),
        ("product", None) => format!("Product: {}", product.unwrap_or(value)),
        ("domain", None) => format!("E-mail at {value}"),
        ("metadata", None) => format!("Metadata: {value}"),
        ("tag", None) => format!("Tag: {value}"),
        _ => format!("Customer: {value}"),
    }
}

fn selects(
    plans: &[&rows::Plan],
    connections: &[(ConnectionId, &'static str, &'static str)],
    asked: &Asked,
) -> Vec<Select> {
    let mut sources: Vec<_> = connections.iter().map(|(_, slug, name)| ((*slug).to_owned(), *name)).collect();
    sources.sort_unstable();
    sources.dedup();
    let same = |word: &str| (word.to_owned(), word.to_owned());
    let plans = plans.iter().map(|plan| (plan.code.clone(), plan.name.clone()));
    let within = ["7", "30", "90"].map(|days| (days.to_owned(), format!("ends within {days} days")));
    let unseen = ["30", "90", "365"].map(|days| (days.to_owned(), format!("not seen for {days} days")));
    let never = [("never".to_owned(), "never used".to_owned())];
    vec![
        Select::new(("state", "State", "any state"), LicenseState::ALL.map(|state| same(state.as_str())), asked),
        Select::new(("plan", "Plan", "any plan"), plans, asked),
        Select::new(("within", "Ends", "any end"), within, asked),
        Select::new(("reason", "Reason", "any reason"), REASONS.map(|(code, words)| (code.to_owned(), words)), asked),
        Select::new(("source", "Sold by", "anywhere"), sources, asked),
        Select::new(("seen", "Last seen", "any time"), never.into_iter().chain(unseen), asked),
        Select::new(("devices", "Devices", "any number"), [("full".to_owned(), "device limit reached")], asked),
    ]
}

fn newest(plans: &[rows::Plan]) -> Vec<&rows::Plan> {
    let mut newest: Vec<&rows::Plan> = plans.iter().collect();
    newest.sort_by(|one, other| (&one.code, other.version).cmp(&(&other.code, one.version)));
    newest.dedup_by(|one, other| one.code == other.code);
    newest
}

/// How many devices each version of each plan allows. There is always one: a filter by none would leave nothing out.
fn rooms(plans: &[rows::Plan]) -> Vec<Room> {
    let limited = plans.iter().filter_map(|plan| {
        let terms: PlanTerms = serde_json::from_str(&plan.terms).ok()?;
        let activations = terms.limits.activations?;
        Some(Room { plan: PlanId(plan.id), version: plan.version.unsigned_abs(), activations })
    });
    limited.chain([Room { plan: PlanId(Uuid::nil()), version: 0, activations: 0 }]).collect()
}

/// Of licenses that a filter found, those that it means: where devices are limited for a license alone, the database cannot
/// tell whether it is full.
pub(crate) async fn meant<A>(
    web: &Web,
    place: &Place<A>,
    filter: &LicenseFilter,
    listed: Vec<ListedLicense>,
) -> Result<Vec<ListedLicense>, Refusal> {
    if filter.full.is_empty() {
        return Ok(listed);
    }
    let used = web.engine.store.used(listed.iter().map(|listed| listed.license.id).collect()).await?;
    let mut full = Vec::with_capacity(listed.len());
    for row in listed {
        let offer = web.engine.offer(place.whose().tenant, row.license.plan).await?;
        let count = used.get(&row.license.id).map_or(0, |(count, _)| *count);
        let limit = row.license.limits(&offer.plan.terms.limits).activations;
        if limit.is_some_and(|limit| count >= u64::from(limit)) {
            full.push(row);
        }
    }
    Ok(full)
}

#[cfg(test)]
mod tests {
    use domain::{
        money::{Currency, Money},
        reason::{Cause, Reason},
        text::Reference,
    };

    use super::*;

    fn causes() -> impl Iterator<Item = Cause> {
        let (what, at) = (Reference::new("a"), Timestamp::UNIX_EPOCH);
        let refunded = |full| Cause::Refunded {
            payment: what.clone(),
            amount: Money { minor: 1, currency: Currency::NONE },
            full,
        };
        let disputed = |lost| Cause::Disputed { dispute: what.clone(), lost };
        [
            Cause::Ended { subscription: what.clone(), at },
            Cause::Paused { subscription: what.clone(), paid_until: at },
            Cause::PastDue { subscription: what.clone(), paid_until: at },
            refunded(true),
            refunded(false),
            disputed(true),
            disputed(false),
        ]
        .into_iter()
    }

    #[test]
    fn every_reason_can_be_asked_for() {
        let others = [
            Reason::Paid,
            Reason::RenewalAwaited,
            Reason::NotRenewed,
            Reason::TermOver,
            Reason::RevokedByHand,
            Reason::FrozenByHand,
            Reason::Removed,
            Reason::Superseded,
        ];
        let all = others.into_iter().chain(causes().map(Reason::Cause));
        let mut codes: Vec<_> = all.map(|reason| reason.code()).collect();
        let mut asked = REASONS.map(|(code, _)| code).to_vec();
        codes.sort_unstable();
        asked.sort_unstable();
        assert_eq!(codes, asked);
    }
}
