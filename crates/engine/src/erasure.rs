//! Erasing a buyer (GDPR, article 17): what is known of the person goes, what was paid for and what the law wants kept stays.
//!
//! The licenses go on working. Orders and providers' customers are marked, so that what a provider tells later still counts and
//! brings nothing back (`domain::order`, `buyers`, `fulfil`).

use std::collections::BTreeSet;

use domain::{
    event::EventData,
    fact::{CustomerFact, CustomerSnapshot},
    id::{ConnectionId, CustomerId, InboundId, OrderId},
    join::{Register, Stamp},
    text::CustomerReference,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use store::{
    StoredIdentity, Write,
    erasure::ERASED_ACTION,
    lists::{Concerned, Whose},
    outbox::ERASED,
    rows::{AuditEntry, Customer, Event},
};

use crate::{Engine, Error, adopt, audit, rulings::By};

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
        let merged = write.merged_into(id).await?;
        let Orders { known: orders, customers, keys } = erase_orders(&write, &about, now).await?;
        let people: Vec<&Customer> = merged.iter().chain([&customer]).collect();
        let identities = erase_identities(&write, whose, &people, customers, now).await?;
        let Identities { known: erased, keys: identities } = identities;
        let (events, inbound) = erase_told(&write, &about, &identities, &keys, now).await?;
        let entries = people.iter().map(|person| CustomerId(person.id).to_string());
        let entries = entries.chain(events.iter().map(ToString::to_string)).collect();
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
            notes: erase_notes(&write, &about, entries).await?,
            requests: write.erase_callers(whose.tenant, names.collect()).await?,
            licenses: about.licenses.len() as u64,
        };
        if dry_run {
            write.let_go().await?;
            return Ok(Some(erasure));
        }
        for other in merged {
            write.save_customer(nobody(other, now)).await?;
        }
        write.save_customer(nobody(customer, now)).await?;
        let entry = self.told(whose.tenant, ERASED_ACTION, id.to_string(), None, &told(&erasure, by), by);
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
type Names = BTreeSet<(ConnectionId, CustomerReference)>;

/// What became of orders.
struct Orders {
    /// How many knew an address.
    known: u64,
    /// Which customers of providers bought there.
    customers: Names,
    /// The events that are still needed, since they tell keys that no license has yet.
    keys: BTreeSet<String>,
}

/// Marks orders.
async fn erase_orders(write: &Write, about: &Concerned, now: Timestamp) -> Result<Orders, Error> {
    let ids: BTreeSet<OrderId> = about.orders.iter().copied().collect();
    let mut orders = write.load_orders(&ids).await?;
    let known = orders.iter().filter(|order| order.order.mailed_to().is_some()).count() as u64;
    orders.retain(|order| order.merged_into.is_none());
    for order in &mut orders {
        order.order.erase(now);
        if order.licenses.iter().any(|license| !license.announced) {
            // It waited for an address, and waits for none any more.
            order.due_at = Some(now);
        }
    }
    write.save_orders(&orders, now).await?;
    let mut customers = Names::new();
    for order in &orders {
        customers.extend(order.order.customers.iter().map(|customer| (order.connection, customer.clone())));
    }
    Ok(Orders { known, customers, keys: adopt::telling(&orders) })
}

/// What became of providers' customers.
struct Identities {
    /// Of how many something was known.
    known: u64,
    /// Which of them are the one who is erased.
    keys: Names,
}

/// Erases what providers know of a buyer, and marks those of whom nothing was told yet: it may be told later.
async fn erase_identities(
    write: &Write,
    whose: Whose,
    people: &[&Customer],
    named: Names,
    now: Timestamp,
) -> Result<Identities, Error> {
    let mut stored = if named.is_empty() { Vec::new() } else { write.identities(&named).await? };
    let key = |identity: &StoredIdentity| (identity.connection, identity.fact.reference.clone());
    let there: Names = stored.iter().map(key).collect();
    let unknown: Vec<StoredIdentity> = named.difference(&there).cloned().map(|key| nobody_at(whose, key)).collect();
    for person in people {
        let theirs = write.identities_of(CustomerId(person.id)).await?;
        stored.extend(theirs.into_iter().filter(|identity| !there.contains(&key(identity))));
    }
    let mut theirs = Vec::with_capacity(stored.len());
    for identity in stored {
        if is_theirs(write, whose, people, &identity).await? {
            theirs.push(identity);
        }
    }
    let is_known = |snapshot: &CustomerSnapshot| snapshot.email.is_some() || snapshot.name.is_some();
    let known = theirs.iter().filter(|identity| is_known(&identity.fact.snapshot.value)).count() as u64;
    for identity in &mut theirs {
        identity.fact.erase();
        identity.erased = true;
    }
    let keys = theirs.iter().chain(&unknown).map(key).collect();
    write.save_identities(theirs, now).await?;
    write.add_identities(unknown, now).await?;
    Ok(Identities { known, keys })
}

/// Whether a provider's customer who bought an order is the one who is erased. Several may have a part in an order; whoever is not
/// known here is somebody else if their address is somebody else's.
async fn is_theirs(
    write: &Write,
    whose: Whose,
    people: &[&Customer],
    identity: &StoredIdentity,
) -> Result<bool, Error> {
    if let Some(id) = identity.customer {
        return Ok(people.iter().any(|person| person.id == id.0));
    }
    let Some(email) = &identity.fact.snapshot.value.email else { return Ok(true) };
    let key = (whose.tenant.0, whose.livemode, email.normalised());
    let found = write.customers(&[key].into()).await?;
    Ok(found.iter().all(|other| people.iter().any(|person| person.id == other.id)))
}

/// A provider's customer of whom nothing is known, and nothing is to be kept.
fn nobody_at(whose: Whose, (connection, reference): (ConnectionId, CustomerReference)) -> StoredIdentity {
    let snapshot = Register::new(Stamp::at(Timestamp::UNIX_EPOCH), CustomerSnapshot::default());
    let fact = CustomerFact { reference, snapshot };
    StoredIdentity { tenant: whose.tenant, connection, customer: None, fact, erased: true }
}

/// Takes who they are out of what providers told. Returns the events that did, and of how many of them the body went.
async fn erase_told(
    write: &Write,
    about: &Concerned,
    identities: &Names,
    keys: &BTreeSet<String>,
    now: Timestamp,
) -> Result<(BTreeSet<InboundId>, u64), Error> {
    let mut facts = write.facts_about(&about.orders, identities).await?;
    facts.iter_mut().for_each(|(.., fact)| fact.erase(now));
    let events: BTreeSet<InboundId> = facts.iter().map(|(event, ..)| *event).collect();
    write.save_facts(facts).await?;
    let count = write.erase_events(events.iter().copied().collect(), keys).await?;
    Ok((events, count))
}

/// Takes who bought out of what the vendor's own systems were told, or are to be. Returns of how many events.
async fn erase_events(write: &Write, whose: Whose, about: &Concerned, known: &BTreeSet<&str>) -> Result<u64, Error> {
    let mut rewritten = Vec::new();
    for row in write.events_about(whose, about).await? {
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
async fn erase_notes(write: &Write, about: &Concerned, named: Vec<String>) -> Result<u64, Error> {
    let entries = write.audit_about(about, named).await?.into_iter();
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
const PERSONAL: [&str; 5] = ["note", "name", "fingerprint", "email", "was_email"];

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
            (r#"{"was_email":"a…@example.com","email":"e…@example.com","note":null}"#, Some(r#"{"note":null}"#)),
            (r#"[{"note":"x"}]"#, Some("[{}]")),
            (r#"{"from":"active","state":"frozen","note":null}"#, None),
            (r#"{"references":["cs_1"]}"#, None),
            ("", None),
        ] {
            assert_eq!(impersonal(detail).as_deref(), left, "{detail}");
        }
    }
}
