//! The mail that carries a license key (A19).

use domain::{
    license::{License, LicenseState},
    plan::Limits,
    reason::day,
    time::days,
};
use jiff::SignedDuration;
use serde::Serialize;
use store::outbox::Contents;

use super::{
    Addresses, Words, clean,
    templates::{Template, template},
};
use crate::brand::{self, Brand};

/// The template of this mail.
pub(super) static TEMPLATE: Template = template!("license-delivery");

/// A subscription whose paid period is not known yet is good for three days (`domain::fulfil`). That end is about to
/// move, so no mail names one that is as close.
const TOO_CLOSE: SignedDuration = days(3);

/// The longest reference of an order that a person would read out.
const REFERENCE_MAX: usize = 40;

/// What the templates know. Sentences are made here, so that text and HTML say the same.
#[derive(Serialize)]
pub(super) struct LicenseDelivery {
    /// The key.
    key: String,
    /// What the buyer is called.
    name: Option<String>,
    /// The product.
    product: String,
    /// Product and plan.
    title: String,
    /// On how many devices it works.
    allowance: Option<String>,
    /// For how long.
    term: String,
    /// Why it does not work now, if it does not.
    notice: Option<String>,
    /// No money was involved.
    is_test: bool,
    /// Where to get the product.
    download_url: Option<String>,
    /// How to start.
    docs_url: Option<String>,
    /// Where devices are seen and freed.
    portal_url: Option<String>,
    /// Where to ask.
    support_url: Option<String>,
    /// Whether somebody reads answers.
    can_reply: bool,
    /// What to name when asking.
    order: String,
    /// When it was bought.
    date: String,
    /// The vendor's last words.
    footer: Option<String>,
    /// The button.
    colour: String,
    /// The words on it.
    text_on_colour: &'static str,
}

impl LicenseDelivery {
    pub(super) fn new(key: &str, contents: &Contents, brand: &Brand, words: &Words, addresses: &Addresses) -> Self {
        let Contents { license, plan, livemode, .. } = contents;
        let colour = brand.colour();
        Self {
            key: key.to_owned(),
            name: words.name.clone(),
            title: title(&words.product, clean::line(&plan.name).as_deref()),
            product: words.product.clone(),
            allowance: allowance(&license.limits(&plan.terms.limits)),
            term: term(license),
            notice: notice(license),
            is_test: !livemode,
            download_url: brand::link(brand.download_url.as_deref()),
            docs_url: brand::link(brand.docs_url.as_deref()),
            portal_url: brand::link(brand.portal_url.as_deref()),
            support_url: brand::support(brand.support_url.as_deref()),
            can_reply: addresses.somebody_answers(),
            order: order(contents),
            date: day(license.issued_at),
            footer: brand.footer.as_deref().and_then(clean::lines),
            colour: colour.css(),
            text_on_colour: colour.text_on_it(),
        }
    }
}

/// The plan's own name where it says the product already.
fn title(product: &str, plan: Option<&str>) -> String {
    match plan {
        None => product.to_owned(),
        Some(plan) if plan.to_lowercase().contains(&product.to_lowercase()) => plan.to_owned(),
        Some(plan) => format!("{product} {plan}"),
    }
}

fn allowance(limits: &Limits) -> Option<String> {
    match limits.activations {
        None => Some("It works on any number of your devices.".to_owned()),
        Some(0) => None,
        Some(1) => Some("It works on one of your devices.".to_owned()),
        Some(count) => Some(format!("It works on {count} of your devices.")),
    }
}

fn term(license: &License) -> String {
    let standing = &license.standing;
    // An end that time will bring, and that no renewal is expected to move.
    let ends = standing.scheduled.is_some() && !standing.at_risk;
    match standing.until {
        Some(until) if !license.unit.recurring || ends => format!("It is valid until {}.", day(until)),
        Some(until) if until.duration_since(license.issued_at) > TOO_CLOSE => {
            format!("It is valid until {} and renews by itself.", day(until))
        }
        _ if license.unit.recurring => "It renews by itself with your subscription.".to_owned(),
        _ => "It has no end date.".to_owned(),
    }
}

/// A mail may leave after its license has changed: it was held, or money went back meanwhile.
fn notice(license: &License) -> Option<String> {
    let standing = &license.standing;
    (standing.state != LicenseState::Active).then(|| {
        format!("Please note: this license is {} now, because {}.", standing.state.as_str(), standing.reason.sentence())
    })
}

/// The name of the order that is easiest to read out: its shortest one, otherwise our own.
fn order(contents: &Contents) -> String {
    let names = contents.references.iter().filter_map(|reference| clean::line(reference.as_str()));
    let shortest = names.min_by_key(|name| (name.len(), name.clone())).filter(|name| name.len() <= REFERENCE_MAX);
    shortest.unwrap_or_else(|| contents.order.to_string())
}

#[cfg(test)]
mod tests;
