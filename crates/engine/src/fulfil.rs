//! The batch: claim, translate, join, settle, write. One bad event never fails it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, btree_map::Entry},
    sync::Arc,
};

use domain::{
    Entropy,
    fact::{CustomerFact, Fact},
    fulfil::{Settled, Settling, Waiting, reconcile, resolve},
    id::{ConnectionId, InboundId, TenantId},
    join::Join,
    license::Holding,
};
use jiff::Timestamp;
use providers::{Incoming, Step, http::Answer};
use store::{
    StoredOrder, Write, inbox,
    rows::{AttentionItem, InboundEvent},
};

use crate::{
    Engine, Error,
    attention,
    buyers::{self, CustomerNews, Identities},
    catalogue::Shelf,
    connections::{Connection, find},
    group::Told,
    outcome::{Outcome, OutcomeRows},
    sales::{self, Sales},
};

/// Events, or due orders, in one transaction at most.
pub const BATCH_MAX: u64 = 256;

/// What a batch came to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// Events and due orders that were claimed.
    pub claimed: usize,
    /// Events that now wait for look-ups.
    pub lookups: usize,
    /// Mails that were written.
    pub mails: usize,
}

/// What the events of a batch said.
#[derive(Default)]
struct Said {
    told: Vec<Told>,
    customers: CustomerNews,
    facts: Vec<(InboundId, u32, Fact)>,
    finished: Vec<InboundEvent>,
    set_aside: Vec<InboundEvent>,
    attention: Vec<AttentionItem>,
    lookups: usize,
}

impl Engine {
    /// Works on one batch of events and due orders.
    ///
    /// # Errors
    /// Those of the database. Nothing of the batch was written then, and all of it is found again.
    pub async fn fulfil(&self) -> Result<Done, Error> {
        let done = store::repeat(|| self.fulfil_once(), Error::is_conflict).await?;
        if done.lookups > 0 {
            self.lookups.notify_one();
        }
        if done.mails > 0 {
            self.mails.notify_one();
        }
        Ok(done)
    }

    async fn fulfil_once(&self) -> Result<Done, Error> {
        let connections = self.connections().await?;
        let now = self.now();
        let write = self.store.begin().await?;
        let events = write.claim_events(BATCH_MAX).await?;
        let due = write.due_orders(now, BATCH_MAX).await?;
        let claimed = events.len() + due.len();
        if claimed == 0 {
            return Ok(Done::default());
        }
        let mut said = self.listen(events, &connections, now);
        let told = std::mem::take(&mut said.told);
        let mut sales = sales::gather(&write, told, due, &connections, &mut *self.entropy(), now).await?;
        let news = std::mem::take(&mut said.customers);
        let identities = buyers::learn(&write, news, &sales.orders, now).await?;
        let rows = self.settle_all(&write, &mut sales.orders, &identities, &connections, now).await?;
        let done = Done { claimed, lookups: said.lookups, mails: rows.mails.len() };
        write_all(&write, said, sales, rows, now).await?;
        fail::fail_point!("fulfil-before-commit");
        write.commit().await?;
        fail::fail_point!("fulfil-after-commit");
        Ok(done)
    }

    /// Translates the events of a batch. What cannot be translated is set aside and the rest goes on.
    fn listen(&self, events: Vec<InboundEvent>, connections: &[Arc<Connection>], now: Timestamp) -> Said {
        let mut said = Said::default();
        let mut entropy = self.entropy();
        for mut event in events {
            let Some(connection) = find(connections, ConnectionId(event.connection_id)) else {
                event.status = inbox::status::HELD.to_owned();
                event.error = Some("its connection is gone".to_owned());
                said.set_aside.push(event);
                continue;
            };
            match translate(connection, &event) {
                Ok(Step::Facts(facts)) => {
                    said.hear(&event, connection, facts);
                    said.finished.push(event);
                }
                Ok(Step::Need(requests)) => {
                    event.status = inbox::status::WAITING.to_owned();
                    event.requests = serde_json::to_string(&requests).ok();
                    event.next_attempt_at = Some(now.as_microsecond());
                    said.lookups += 1;
                    said.set_aside.push(event);
                }
                Err(problem) => {
                    event.status = inbox::status::HELD.to_owned();
                    event.error = Some(problem);
                    said.attention.push(attention::malformed(connection, &event, now, &mut *entropy));
                    said.set_aside.push(event);
                }
            }
        }
        said
    }

    /// Settles every order of the batch, and gathers the rows that follow.
    async fn settle_all(
        &self,
        write: &Write,
        orders: &mut [StoredOrder],
        identities: &Identities,
        connections: &[Arc<Connection>],
        now: Timestamp,
    ) -> Result<OutcomeRows, Error> {
        let mut rows = OutcomeRows::default();
        let mut entropy = self.entropy();
        let ring = self.ring();
        let shelves = self.shelves(write, orders).await?;
        let open = write.open_attention(orders.iter().map(|order| order.id.0).collect()).await?;
        let buyers = buyers::find(write, orders, identities, &mut *entropy, now).await?;
        for order in orders {
            let Some(connection) = find(connections, order.connection) else { continue };
            let Some(shelf) = shelves.get(&order.tenant) else { continue };
            let address = identities.address(order);
            let is_new = order.licenses.is_empty();
            order.customer = order.customer.or_else(|| buyers.get(&order.id).copied());
            let settled = settle(order, shelf, address.is_some(), &mut *entropy, now);
            let open = open.iter().filter(|item| item.order_id == Some(order.id.0));
            note_attention(order, &settled.waiting, connection, open, &mut rows, &mut *entropy, now);
            let address = address.as_ref();
            let outcome = Outcome { order, shelf, connection, address, ring: &ring, is_new, now };
            outcome.rows(settled.changes, &mut rows, &mut *entropy);
        }
        Ok(rows)
    }

    /// The catalogues of all tenants of a batch.
    async fn shelves(&self, write: &Write, orders: &[StoredOrder]) -> Result<HashMap<TenantId, Arc<Shelf>>, Error> {
        let mut shelves = HashMap::new();
        for tenant in orders.iter().map(|order| order.tenant).collect::<BTreeSet<_>>() {
            shelves.insert(tenant, self.catalogues.of(write, tenant).await?);
        }
        Ok(shelves)
    }
}

async fn write_all(write: &Write, said: Said, sales: Sales, rows: OutcomeRows, now: Timestamp) -> Result<(), Error> {
    let Sales { orders, redirected, names, of_fact } = sales;
    for (order, survivor) in redirected {
        write.redirect_order(order.id, survivor).await?;
        write.save_orders(&[order], now).await?;
    }
    write.save_orders(&orders, now).await?;
    write.add_references(names).await?;
    let facts = said.facts.into_iter().map(|(event, position, fact)| {
        let order = of_fact.get(&(event, position)).copied();
        (event, position, order, fact)
    });
    write.save_facts(facts.collect()).await?;
    rows.write(write, now).await?;
    write.open_items(said.attention).await?;
    write.update_events(said.set_aside).await?;
    // Only an event that was held or looked up can have an item of its own.
    for event in said.finished.iter().filter(|event| event.attempts > 0 || event.error.is_some()) {
        write.close_items_of_event(event.id, now).await?;
    }
    let finished = said.finished.iter().map(|event| InboundId(event.id)).collect();
    write.finish_events(finished, now).await?;
    Ok(())
}

impl Said {
    fn hear(&mut self, event: &InboundEvent, connection: &Connection, facts: Vec<Fact>) {
        for (position, fact) in (0..).zip(facts) {
            let by = (InboundId(event.id), position);
            self.facts.push((by.0, by.1, fact.clone()));
            match fact {
                Fact::Order(order) if order.references.is_empty() => {}
                Fact::Order(order) => self.told.push(Told { connection: connection.id, by, order: *order }),
                Fact::Customer(customer) => self.hear_of_customer(connection, customer),
            }
        }
    }

    fn hear_of_customer(&mut self, connection: &Connection, customer: CustomerFact) {
        match self.customers.entry((connection.id, customer.reference.clone())) {
            Entry::Occupied(mut entry) => entry.get_mut().1.join(customer),
            Entry::Vacant(entry) => {
                entry.insert((connection.tenant, customer));
            }
        }
    }
}

fn translate(connection: &Connection, event: &InboundEvent) -> Result<Step, String> {
    let answers: Vec<Answer> = match &event.answers {
        Some(text) => serde_json::from_str(text).map_err(|error| format!("its kept answers do not read: {error}"))?,
        None => Vec::new(),
    };
    let incoming = Incoming {
        key: event.event_key.clone(),
        kind: event.kind.clone(),
        occurred_at: event.occurred_at.and_then(|at| Timestamp::from_microsecond(at).ok()),
        live: Some(event.livemode),
        account: None,
        body: event.body.clone(),
    };
    connection.provider.translate(&incoming, &connection.settings, &answers).map_err(|malformed| malformed.to_string())
}

/// Decides, reconciles, and sets the moment at which the order must be looked at again.
fn settle(
    order: &mut StoredOrder,
    shelf: &Shelf,
    has_address: bool,
    entropy: &mut dyn Entropy,
    now: Timestamp,
) -> Settled {
    resolve(&mut order.order, order.connection, &shelf.catalogue, now);
    let mut settling = Settling { order: order.id, catalogue: &shelf.catalogue, has_address, now, entropy };
    let settled = reconcile(&order.order, &mut order.licenses, &mut settling);
    let holding = order.licenses.iter().filter(|license| license.holding == Holding::Unit);
    order.due_at = holding.filter_map(|license| license.standing.next_check).min();
    settled
}

/// Opens an item for everything new in the way, and closes those whose cause is gone.
fn note_attention<'a>(
    order: &StoredOrder,
    waiting: &BTreeSet<Waiting>,
    connection: &Connection,
    open: impl Iterator<Item = &'a AttentionItem>,
    rows: &mut OutcomeRows,
    entropy: &mut dyn Entropy,
    now: Timestamp,
) {
    let mut wanted: BTreeMap<(String, String), AttentionItem> = waiting
        .iter()
        .map(|waiting| attention::of_order(order, waiting, connection, now, entropy))
        .map(|item| ((item.kind.clone(), item.subject.clone()), item))
        .collect();
    for item in open {
        if wanted.remove(&(item.kind.clone(), item.subject.clone())).is_none() {
            rows.closed.push(item.id);
        }
    }
    rows.opened.extend(wanted.into_values());
}
