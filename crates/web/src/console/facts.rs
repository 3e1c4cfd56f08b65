//! What is so about a license, and where each of it comes from.

use domain::{
    license::{Holding, License},
    plan::{Adjustment, Limits},
    text::{CustomerReference, Reference},
};
use engine::{
    catalogue::Offer,
    connections::{Mode, find},
    timeline::{Happened, Moment},
};
use store::{lists::ListedLicense, rows::AuditEntry};

use super::{
    entries::People,
    filters,
    place::{Place, to::Look},
    refusal::Refusal,
    words::{When, any_number, words_or_none},
};
use crate::Web;

/// Something that is so.
pub(crate) struct Fact {
    pub(crate) name: &'static str,
    pub(crate) value: String,
    pub(crate) link: Option<String>,
    /// Whether the link leads to the provider.
    pub(crate) leads_out: bool,
    /// Where it comes from, or why it is not as the plan says.
    pub(crate) origin: Option<String>,
}

impl Fact {
    fn new(name: &'static str, value: impl Into<String>) -> Self {
        Self { name, value: value.into(), link: None, leads_out: false, origin: None }
    }

    fn at(self, link: String) -> Self {
        Self { link: Some(link), ..self }
    }

    fn from(self, origin: Option<String>) -> Self {
        Self { origin, ..self }
    }
}

/// What is so about a license.
pub(crate) async fn of(
    web: &Web,
    place: &Place<Look>,
    (listed, offer): (&ListedLicense, &Offer),
    moments: &[Moment],
    people: &People,
) -> Result<Vec<Fact>, Refusal> {
    let (now, license) = (web.engine.now(), &listed.license);
    let by = |word: &str| ruled_by(moments, word, people);
    let plan = format!("{} (version {})", offer.plan.name, license.plan.version);
    let changed =
        license.rulings.plan.is_some().then(|| format!("given{} instead of what was bought", by("change_plan")));
    let mut facts = vec![Fact::new("Product", offer.product.clone()), Fact::new("Plan", plan).from(changed)];
    facts.extend(limits(license, &offer.plan.terms.limits, &by("limits")));
    if license.unit.seats > 1 {
        facts.push(Fact::new("Seats", license.unit.seats.to_string()));
    }
    let until = license.standing.until.map(|until| When::new(until, now));
    let ends = until.map_or_else(|| "never".to_owned(), |until| format!("{} ({until})", until.full()));
    let extended = license.rulings.extended.is_some().then(|| format!("extended{}", by("extend")));
    facts.push(Fact::new("Ends", ends).from(extended));
    if let Some(customer) = listed.customer {
        facts.push(Fact::new("Customer", customer.to_string()).at(place.at(&format!("customers/{customer}"))));
    }
    facts.push(Fact::new("Order", listed.order.to_string()).at(place.at(&format!("orders/{}", listed.order))));
    if let Holding::SupersededBy(other) = license.holding {
        facts.push(Fact::new("Stands for it", other.to_string()).at(place.at(&format!("licenses/{other}"))));
    }
    facts.push(Fact::new("Issued", When::new(license.issued_at, now).full()));
    facts.extend(sold(web, place, listed).await?);
    Ok(facts)
}

/// What it allows, with where each number comes from: the plan, seats and add-ons, or a person.
fn limits(license: &License, plan: &Limits, by: &str) -> Vec<Fact> {
    let (now, seats, added) = (license.limits(plan), license.unit.seats, &license.unit.added);
    let instead = license.rulings.limits.as_ref().and_then(|register| register.value.as_ref());
    let from_plan = |limit: Option<u32>| match (limit, seats) {
        (Some(limit), 2..) => format!("{limit} from the plan, for each of {seats} seats"),
        _ => "from the plan".to_owned(),
    };
    // What the plan and the seats would allow.
    let bought = Adjustment::default().limits(plan, seats);
    let origin = |set: Option<Option<u32>>, of_plan: Option<u32>, bought: Option<u32>, of_addons: u32| {
        let begin = match set {
            Some(set) if set == bought => format!("set{by}, the same as in the plan"),
            Some(_) => format!("set{by} instead of {}", any_number(bought)),
            None => from_plan(of_plan),
        };
        if of_addons > 0 { format!("{begin}, and {of_addons} from add-ons") } else { begin }
    };
    let set = |limit: fn(&Limits) -> Option<u32>| instead.map(limit);
    let devices = origin(set(|own| own.activations), plan.activations, bought.activations, added.activations);
    let checks = origin(set(|own| own.checks_per_month), plan.checks_per_month, bought.checks_per_month, 0);
    let own = instead.map_or(&plan.features, |limits| &limits.features);
    let of_features = match instead {
        Some(set) if set.features == plan.features => format!("set{by}, the same as in the plan"),
        Some(_) => format!("set{by} instead of {}", words_or_none(&plan.features)),
        None => "from the plan".to_owned(),
    };
    let mut facts = vec![
        Fact::new("Devices", any_number(now.activations)).from(Some(devices)),
        Fact::new("Checks a month", any_number(now.checks_per_month)).from(Some(checks)),
        Fact::new("Features", words_or_none(own)).from(Some(of_features)),
    ];
    if !added.features.is_empty() {
        facts.push(Fact::new("Features", words_or_none(&added.features)).from(Some("from add-ons".to_owned())));
    }
    facts
}

/// Where somebody decided this about a license, the last time.
pub(crate) fn ruling<'m>(moments: &'m [Moment], word: &str) -> Option<&'m AuditEntry> {
    let action = format!("ruling.{word}");
    moments.iter().find_map(|moment| match &moment.what {
        Happened::Changed(entry) if entry.action == action => Some(entry),
        _ => None,
    })
}

/// Who decided last about something of a license, as the end of `set…`: ` by ada@example.com`.
fn ruled_by(moments: &[Moment], word: &str, people: &People) -> String {
    let entry = ruling(moments, word);
    entry.map_or_else(|| " by hand".to_owned(), |entry| format!(" by {}", people.name(&entry.actor)))
}

/// Where it was sold, with links to the provider where it is certain what stands there.
async fn sold(web: &Web, place: &Place<Look>, listed: &ListedLicense) -> Result<Vec<Fact>, Refusal> {
    let connections = filters::connections(web, place).await?;
    let Some((_, slug, name)) = connections.into_iter().find(|(id, ..)| *id == listed.connection) else {
        return Ok(Vec::new());
    };
    let mut facts = vec![Fact::new("Sold by", name)];
    let Some((order, _)) = web.engine.store.order(place.whose(), listed.order).await? else { return Ok(facts) };
    if listed.license.unit.subscribed {
        facts.push(Fact::new("Subscription", listed.license.unit.source.to_string()));
    }
    let references = order.order.references.iter().map(Reference::as_str);
    let customers = order.order.customers.iter().map(CustomerReference::as_str);
    let all = web.engine.connections().await?;
    // What a provider of our own makes up is not to be found at the real one.
    let is_real = find(&all, listed.connection).is_some_and(|connection| connection.mode != Mode::Simulated);
    for id in references.chain(customers).filter(|_| is_real) {
        if let Some((what, link)) = dashboard(slug, place.livemode, id) {
            facts.retain(|fact| fact.value != id);
            facts.push(Fact { leads_out: true, ..Fact::new(what, id).at(link) });
        }
    }
    Ok(facts)
}

/// Where a provider shows what one of its ids names; none: it is not known for certain.
fn dashboard(slug: &str, livemode: bool, id: &str) -> Option<(&'static str, String)> {
    if slug != "stripe" {
        return None;
    }
    let (what, section) = match id.split_once('_')?.0 {
        "pi" => ("Payment", "payments"),
        "sub" => ("Subscription", "subscriptions"),
        "in" => ("Invoice", "invoices"),
        "cus" => ("At Stripe", "customers"),
        _ => return None,
    };
    let mode = if livemode { "" } else { "test/" };
    Some((what, format!("https://dashboard.stripe.com/{mode}{section}/{id}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_where_the_provider_shows_it() {
        for (slug, livemode, id, link) in [
            ("stripe", true, "pi_1", Some("https://dashboard.stripe.com/payments/pi_1")),
            ("stripe", false, "sub_1", Some("https://dashboard.stripe.com/test/subscriptions/sub_1")),
            ("stripe", false, "cus_1", Some("https://dashboard.stripe.com/test/customers/cus_1")),
            ("stripe", true, "in_1", Some("https://dashboard.stripe.com/invoices/in_1")),
            ("stripe", true, "cs_test_1", None),
            ("paddle", true, "sub_1", None),
        ] {
            assert_eq!(dashboard(slug, livemode, id).map(|(_, link)| link).as_deref(), link, "{slug} {id}");
        }
    }
}
