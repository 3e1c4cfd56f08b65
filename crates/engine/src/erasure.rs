//! Erasing a buyer (GDPR, article 17): what is known of the person goes, what was paid for and what the law wants kept stays.
//!
//! The licenses go on working. Orders and providers' customers are marked, so that what a provider tells later still counts and
//! brings nothing back (`domain::order`, `buyers`, `fulfil`).

use std::collections::BTreeSet;

use domain::{
    event::EventData,
    id::{ConnectionId, CustomerId, InboundId, OrderId},
    text::CustomerReference,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use store::{
    StoredIdentity, Write,
    lists::{Concerned, Whose},
    outbox::ERASED,
    rows::{AuditEntry, Customer, Event},
};

use crate::{Engine, Error, audit, rulings::By};

/// What goes when a buyer is erased, and what stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erasure {
    /// Orders that let go of the address to which their mails go.
    pub orders: u64,
    /// Customers of providers of whom no name and no address is kept.
    pub identities: u64,
    /// Mails that let go of their address; those that had not left do not leave any more.
    pub mails: u64,
    /// Devices that lose their names.
    pub devices: u64,
    /// Inbound events of which nothing but their facts is kept.
    pub inbound: u64,
    /// Events of the vendor's own systems that let go of who bought.
    pub events: u64,
    /// Entries of the audit log that lose notes and names.
    pub notes: u64,
    /// Calls of the API that lose the network address from which they came.
    pub requests: u64,
    /// Licenses that stay, and go on working.
    pub licenses: u64,
}

impl Engine {
    /// Erases what is known of a buyer, or says what would go. None: there is no such customer. Doing it once more erases what
    /// came since.
    ///
    /// # Errors
    /// Those of the database, or a stored document does not read.
    pub async fn erase_customer(
        &self,
        whose: Whose,
        id: CustomerId,
        dry_run: bool,
        by: &By,
    ) -> Result<Option<Erasure>, Error> {
        store::repeat(|| self.erase_customer_once(whose, id, dry_run, by), Error::is_conflict).await
    }

    async fn erase_customer_once(
        &self,
        whose: Whose,
        id: CustomerId,
        dry_run: bool,
        by: &By,
    ) -> Result<Option<Erasure>, Error> {
        let now = self.now();
        let write = self.store.begin().await?;
        let Some(customer) = write.lock_customer(whose, id).await? else { return Ok(None) };
        let about = self.store.concerned(id).await?;
        let (orders, identities) = erase_orders(&write, &about, now).await?;
        let (erased, inbound) = erase_told(&write, &about, &identities, now).await?;
        let known: BTreeSet<&str> = identities.iter().map(|(_, reference)| reference.as_str()).collect();
        let names = [id.to_string()].into_iter();
        let names = names.chain(about.orders.iter().map(ToString::to_string));
        let names = names.chain(about.licenses.iter().map(ToString::to_string));
        let erasure = Erasure {
            orders,
            identities: erased,
            mails: write.erase_mails(&about.licenses).await?,
            devices: write.erase_device_names(&about.licenses).await?,
            inbound,
            events: erase_events(&write, whose, &about, &known).await?,
            notes: erase_notes(&write, &about).await?,
            requests: write.erase_callers(whose.tenant, names.collect()).await?,
            licenses: about.licenses.len() as u64,
        };
        if dry_run {
            write.let_go().await?;
            return Ok(Some(erasure));
        }
        for other in write.merged_into(id).await? {
            write.save_customer(nobody(other, now)).await?;
        }
        write.save_customer(nobody(customer, now)).await?;
        let entry = self.told(whose.tenant, "customer.erased", id.to_string(), None, &told(&erasure, by), by);
        audit::add(&write, vec![entry]).await?;
        write.commit().await?;
        self.work.notify_one();
        Ok(Some(erasure))
    }
}

/// What the audit log says of it: how much, and nothing of what.
fn told(erasure: &Erasure, by: &By) -> Value {
    let Erasure { orders, identities, mails, devices, inbound, events, notes, requests, licenses: _ } = erasure;
    json!({
        "orders": orders, "identities": identities, "mails": mails, "devices": devices, "inbound_events": inbound,
        "events": events, "notes": notes, "requests": requests, "note": by.note,
    })
}

/// A customer of whom nothing is known. What makes them one is their id from then on, so that whoever buys under the same address
/// is somebody else.
fn nobody(customer: Customer, now: Timestamp) -> Customer {
    Customer {
        email: ERASED.to_owned(),
        email_normalised: CustomerId(customer.id).to_string(),
        name: None,
        erased_at: customer.erased_at.or(Some(now.as_microsecond())),
        ..customer
    }
}

/// Names of customers at their connections.
type Identities = BTreeSet<(ConnectionId, CustomerReference)>;

/// Marks orders. Returns how many knew an address, and which customers of providers bought there.
async fn erase_orders(write: &Write, about: &Concerned, now: Timestamp) -> Result<(u64, Identities), Error> {
    let ids: BTreeSet<OrderId> = about.orders.iter().copied().collect();
    let mut orders = write.load_orders(&ids).await?;
    let known = orders.iter().filter(|order| order.order.mailed_to().is_some()).count() as u64;
    let mut identities = Identities::new();
    orders.retain(|order| order.merged_into.is_none());
    for order in &mut orders {
        order.order.erase(now);
        if order.licenses.iter().any(|license| !license.announced) {
            // It waited for an address, and waits for none any more.
            order.due_at = Some(now);
        }
        identities.extend(order.order.customers.iter().map(|customer| (order.connection, customer.clone())));
    }
    write.save_orders(&orders, now).await?;
    identities.extend(write.identities_of(about.customer).await?.into_iter().map(key));
    Ok((known, identities))
}

fn key(identity: StoredIdentity) -> (ConnectionId, CustomerReference) {
    (identity.connection, identity.fact.reference)
}

/// Takes who they are out of what providers told. Returns of how many customers of providers, and how many events.
async fn erase_told(
    write: &Write,
    about: &Concerned,
    identities: &Identities,
    now: Timestamp,
) -> Result<(u64, u64), Error> {
    let mut stored = if identities.is_empty() { Vec::new() } else { write.identities(identities).await? };
    let is_known = |identity: &&StoredIdentity| {
        let value = &identity.fact.snapshot.value;
        value.email.is_some() || value.name.is_some()
    };
    let known = stored.iter().filter(is_known).count() as u64;
    for identity in &mut stored {
        identity.fact.erase();
        identity.erased = true;
    }
    write.save_identities(stored, now).await?;
    let mut facts = write.facts_about(&about.orders, identities).await?;
    facts.iter_mut().for_each(|(.., fact)| fact.erase(now));
    let events: BTreeSet<InboundId> = facts.iter().map(|(event, ..)| *event).collect();
    write.save_facts(facts).await?;
    Ok((known, write.erase_events(events.into_iter().collect()).await?))
}

/// Takes who bought out of what the vendor's own systems were told, or are to be. Returns of how many events.
async fn erase_events(write: &Write, whose: Whose, about: &Concerned, known: &BTreeSet<&str>) -> Result<u64, Error> {
    let mut rewritten = Vec::new();
    for row in write.events_about(whose.tenant, about).await? {
        let mut data: EventData = serde_json::from_str(&row.body).map_err(Error::Document)?;
        let reference = data.customer.as_ref().and_then(|customer| customer.reference.as_deref());
        if row.license_id.is_none() && row.customer_id.is_none() && !reference.is_some_and(|name| known.contains(name))
        {
            continue;
        }
        let before = data.clone();
        data.erase();
        if data != before {
            rewritten.push(Event { body: serde_json::to_string(&data).map_err(Error::Document)?, ..row });
        }
    }
    let count = rewritten.len() as u64;
    write.rewrite_events(rewritten).await?;
    Ok(count)
}

/// Takes notes, and what devices are called, out of the audit log. Returns out of how many entries.
async fn erase_notes(write: &Write, about: &Concerned) -> Result<u64, Error> {
    let entries = write.audit_about(about).await?.into_iter();
    let rewritten: Vec<(AuditEntry, Vec<u8>)> = entries
        .filter_map(|entry| {
            let (detail, digest) = (impersonal(&entry.detail)?, audit::digest(&entry.detail));
            Some((AuditEntry { detail, ..entry }, digest))
        })
        .collect();
    let count = rewritten.len() as u64;
    write.rewrite_audit(rewritten).await?;
    Ok(count)
}

/// Under which names an entry about a license or an order has words about a person: what somebody wrote, how a device is called,
/// and a part of an address.
const PERSONAL: [&str; 4] = ["note", "name", "fingerprint", "email"];

/// What an entry says without that; none: there is none of it.
fn impersonal(detail: &str) -> Option<String> {
    let mut value: Value = serde_json::from_str(detail).ok()?;
    strip(&mut value).then(|| value.to_string())
}

/// Whether there was anything.
fn strip(value: &mut Value) -> bool {
    let (mut any, inner): (bool, Vec<&mut Value>) = match value {
        Value::Object(members) => {
            let before = members.len();
            members.retain(|name, value| value.is_null() || !PERSONAL.contains(&name.as_str()));
            (members.len() < before, members.values_mut().collect())
        }
        Value::Array(elements) => (false, elements.iter_mut().collect()),
        _ => (false, Vec::new()),
    };
    for value in inner {
        any |= strip(value);
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_about_a_person_go_and_the_rest_stays() {
        for (detail, left) in [
            (r#"{"note":"Ada called","ruling":"freeze"}"#, Some(r#"{"ruling":"freeze"}"#)),
            (
                r#"{"ruling":{"email":"a…@example.com","again":true},"note":null}"#,
                Some(r#"{"note":null,"ruling":{"again":true}}"#),
            ),
            (r#"{"fingerprint":"mac-1","name":"Ada's laptop","note":null}"#, Some(r#"{"note":null}"#)),
            (r#"[{"note":"x"}]"#, Some("[{}]")),
            (r#"{"from":"active","state":"frozen","note":null}"#, None),
            (r#"{"references":["cs_1"]}"#, None),
            ("", None),
        ] {
            assert_eq!(impersonal(detail).as_deref(), left, "{detail}");
        }
    }
}
