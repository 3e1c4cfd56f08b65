//! Checkout sessions: what was bought, by whom, and whether it is paid.

use std::collections::BTreeMap;

use domain::{
    fact::Fact,
    order::{Line, Lines, Missing, Order, Purchase, PurchaseState},
    text::{CustomerReference, EmailAddress, PlanCode, Reference},
};
use jiff::Timestamp;
use serde::Deserialize;

use super::{
    event::{Event, lacks},
    lookup::{Found, LookUps, Stop},
    price::Price,
    read::{self, List},
    sale::{self, plan_named_in},
};
use crate::{Level, http::percent_encoded};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Session {
    #[serde(deserialize_with = "read::id")]
    id: Option<Reference>,
    #[serde(deserialize_with = "read::time")]
    created: Option<Timestamp>,
    #[serde(deserialize_with = "read::text")]
    mode: Option<String>,
    #[serde(deserialize_with = "read::text")]
    payment_status: Option<String>,
    #[serde(deserialize_with = "read::id")]
    payment_intent: Option<Reference>,
    #[serde(deserialize_with = "read::id")]
    subscription: Option<Reference>,
    #[serde(deserialize_with = "read::id")]
    invoice: Option<Reference>,
    #[serde(deserialize_with = "read::id")]
    customer: Option<CustomerReference>,
    #[serde(deserialize_with = "read::number")]
    amount_total: Option<i64>,
    #[serde(deserialize_with = "read::text")]
    currency: Option<String>,
    #[serde(deserialize_with = "read::object")]
    customer_details: Option<CustomerDetails>,
    #[serde(deserialize_with = "read::email")]
    customer_email: Option<EmailAddress>,
    #[serde(deserialize_with = "read::metadata")]
    metadata: BTreeMap<String, String>,
    #[serde(deserialize_with = "read::object")]
    line_items: Option<List<LineItem>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CustomerDetails {
    #[serde(deserialize_with = "read::email")]
    email: Option<EmailAddress>,
    #[serde(deserialize_with = "read::text")]
    name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LineItem {
    #[serde(deserialize_with = "read::id")]
    id: Option<Reference>,
    #[serde(deserialize_with = "read::object")]
    price: Option<Price>,
    #[serde(deserialize_with = "read::number")]
    quantity: Option<i64>,
    #[serde(deserialize_with = "read::text")]
    description: Option<String>,
}

/// `checkout.session.*`: a purchase, keyed by the session.
pub(super) fn session(event: &Event<'_>, look_ups: LookUps<'_>) -> Result<Vec<Fact>, Stop> {
    let mut session: Session = event.object()?;
    let id = session.id.clone().ok_or_else(|| lacks("data.object.id"))?;
    // Only a way to pay was saved; nothing was sold.
    if session.mode.as_deref() == Some("setup") {
        return Ok(Vec::new());
    }
    let state = state(event.kind, session.payment_status.as_deref());
    let (lines, missing) = match state {
        // Nothing will be issued, so nothing needs to be known of it.
        PurchaseState::Failed => (session.unknown(), None),
        PurchaseState::Pending | PurchaseState::Paid => session.lines(&id, look_ups)?,
    };
    let details = session.customer_details.unwrap_or_default();
    let purchase = Purchase {
        lines,
        state,
        total: read::money(session.amount_total, session.currency.as_deref()),
        // The moment it was completed: the page may have been open for a day before.
        at: event.created,
        subscriptions: session.subscription.iter().cloned().collect(),
        silent: false,
        ends: None,
    };
    // `customer_email` is what the vendor filled in beforehand, which the buyer may have changed.
    let email = details.email.or(session.customer_email);
    let payment = [Some(id.clone()), session.payment_intent, session.invoice];
    Ok(sale::fact(Order {
        purchases: [(id, purchase)].into(),
        contact: sale::contact(email, details.name, session.created.unwrap_or(event.created)),
        customers: sale::customers(session.customer),
        missing: missing.into_iter().collect(),
        ..sale::named(payment, [session.subscription])
    }))
}

/// A status that is not known yet is no money yet.
fn state(kind: &str, payment_status: Option<&str>) -> PurchaseState {
    match (kind, payment_status) {
        ("checkout.session.async_payment_succeeded", _) => PurchaseState::Paid,
        ("checkout.session.async_payment_failed", _) => PurchaseState::Failed,
        (_, Some("paid" | "no_payment_required")) => PurchaseState::Paid,
        _ => PurchaseState::Pending,
    }
}

impl Session {
    fn is_subscription(&self) -> bool {
        match self.mode.as_deref() {
            Some(mode) => mode == "subscription",
            None => self.subscription.is_some(),
        }
    }

    fn named(&self) -> Option<PlanCode> {
        plan_named_in(&self.metadata)
    }

    fn unknown(&self) -> Lines {
        Lines::Unknown { recurring: self.is_subscription(), named: self.named() }
    }

    /// What was bought. An event never says, unless the vendor's own relay expanded it.
    fn lines(&mut self, id: &Reference, look_ups: LookUps<'_>) -> Result<(Lines, Option<Missing>), Stop> {
        let told = self.line_items.take();
        let complete = told.as_ref().is_some_and(|list| !list.has_more && !list.data.is_empty());
        let mut items = told.map_or_else(Vec::new, |list| list.data);
        if complete {
            return Ok((self.known(id, items), None));
        }
        if look_ups.level == Level::None {
            // A plan named by the sale will do, and the items of a subscription will come with it.
            let enough = self.named().is_some() || self.is_subscription();
            return Ok((self.unknown(), (!enough).then_some(Missing::Lines)));
        }
        let path = format!("/v1/checkout/sessions/{}/line_items", percent_encoded(id.as_str()));
        let after = items.last().and_then(|item| item.id.clone());
        if after.is_none() {
            items.clear();
        }
        let Found::It(more, _) = look_ups.list(&path, after.as_ref().map(Reference::as_str))? else {
            // Another mode's key finds nothing, too.
            return Ok((self.unknown(), Some(Missing::Lines)));
        };
        items.extend(more);
        // A sale of nothing would vanish without a trace; a sale of who knows what is seen.
        let lines = if items.is_empty() { self.unknown() } else { self.known(id, items) };
        Ok((lines, None))
    }

    /// The plan that the session names is the plan of its one line. Of several lines it could be any, so it names none:
    /// their prices decide.
    fn known(&self, id: &Reference, items: Vec<LineItem>) -> Lines {
        let single = items.len() == 1;
        let lines = items.into_iter().enumerate().map(|(place, item)| {
            let line = item.id.unwrap_or_else(|| Reference::new(format!("{id}:{place}")));
            let price = item.price.unwrap_or_default();
            let recurring = price.is_recurring();
            let mut line: Line = price.line(line, item.quantity, recurring);
            if let (true, Some(plan)) = (single, self.named()) {
                line.named = Some(plan);
            }
            line.description = item.description.map(Box::from).or(line.description);
            line
        });
        Lines::Known(lines.collect())
    }
}
