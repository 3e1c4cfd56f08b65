//! The batch: claim, translate, join, settle, write. One bad event never fails it.

use std::{
    collections::{BTreeSet, btree_map::Entry},
    sync::Arc,
};

use domain::{
    fact::{CustomerFact, Fact},
    id::{ConnectionId, InboundId, OrderId},
    join::Join,
    time::after,
};
use jiff::{SignedDuration, Timestamp};
use providers::{
    Incoming, Step,
    http::{Answer, Request},
};
use store::{
    StoredOrder, Write, inbox,
    rows::{AttentionItem, InboundEvent},
};

use crate::{
    Engine, Error, attention,
    buyers::{self, CustomerNews},
    connections::{Connection, find},
    group::Told,
    outcome::OutcomeRows,
    sales::{self, Sales},
};

/// The actor of what happens because its time has come.
const TIME: &str = "time";

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
        let done = match self.fulfil_up_to(BATCH_MAX).await {
            Err(error) if error.is_refusal() => {
                tracing::warn!(%error, "a batch was refused; its events are worked on one by one");
                self.fulfil_one_by_one().await?
            }
            other => other?,
        };
        if done.lookups > 0 {
            self.lookups.notify_one();
        }
        if done.mails > 0 {
            self.mails.notify_one();
        }
        Ok(done)
    }

    async fn fulfil_up_to(&self, limit: u64) -> Result<Done, Error> {
        store::repeat(|| self.fulfil_once(limit), Error::is_conflict).await
    }

    /// Finds the event that the database refuses, sets it aside, and lets the rest go on.
    async fn fulfil_one_by_one(&self) -> Result<Done, Error> {
        let mut all = Done::default();
        for _ in 0..BATCH_MAX {
            let done = match self.fulfil_up_to(1).await {
                Err(error) if error.is_refusal() => self.hold_oldest(&error).await?,
                other => other?,
            };
            if done.claimed == 0 {
                break;
            }
            all = Done {
                claimed: all.claimed + done.claimed,
                lookups: all.lookups + done.lookups,
                mails: all.mails + done.mails,
            };
        }
        Ok(all)
    }

    /// The oldest event, or else the order that has been due the longest, cannot be written: a person must look.
    async fn hold_oldest(&self, error: &Error) -> Result<Done, Error> {
        let (connections, now) = (self.connections().await?, self.now());
        let write = self.store.begin().await?;
        if let Some(mut event) = write.claim_events(1).await?.pop() {
            event.status = inbox::status::HELD.to_owned();
            event.error = Some(error.to_string());
            if let Some(connection) = find(&connections, ConnectionId(event.connection_id)) {
                let item = attention::malformed(connection, &event, now, &mut *self.entropy());
                write.open_items(vec![item]).await?;
            }
            write.update_events(vec![event]).await?;
        } else {
            let due = write.due_orders(now, 1).await?;
            tracing::error!(?due, %error, "an order cannot be settled; it is tried again in an hour");
            write.wake_orders(&due, after(now, SignedDuration::from_hours(1))).await?;
        }
        write.commit().await?;
        Ok(Done { claimed: 1, ..Done::default() })
    }

    async fn fulfil_once(&self, limit: u64) -> Result<Done, Error> {
        let connections = self.connections().await?;
        let now = self.now();
        let write = self.store.begin().await?;
        let events = write.claim_events(limit).await?;
        // One event at a time leaves the clock alone, so that it is known what failed.
        let due = if limit == 1 && !events.is_empty() { BTreeSet::new() } else { write.due_orders(now, limit).await? };
        let claimed = events.len() + due.len();
        if claimed == 0 {
            return Ok(Done::default());
        }
        fail::fail_point!("fulfil-after-claim");
        let mut said = self.listen(events, &connections, now);
        let told = std::mem::take(&mut said.told);
        let mut sales = sales::gather(&write, told, due, &connections, &mut *self.entropy(), now).await?;
        let news = std::mem::take(&mut said.customers);
        let identities = buyers::learn(&write, news, &sales.orders, now).await?;
        let told: BTreeSet<OrderId> = sales.of_fact.values().copied().collect();
        let actor = |order: &StoredOrder, connection: &Connection| match told.contains(&order.id) {
            true => format!("{}:{}", connection.provider.info().slug, connection.code),
            false => TIME.to_owned(),
        };
        let rows = self.settle_all(&write, &mut sales.orders, &actor, &identities, &connections, now).await?;
        let done = Done { claimed, lookups: said.lookups, mails: rows.mails.len() };
        let received: Vec<i64> = said.finished.iter().map(|event| event.received_at).collect();
        let actions: Vec<&'static str> = rows.actions.clone();
        write_all(&write, said, sales, rows, now).await?;
        fail::fail_point!("fulfil-before-commit");
        write.commit().await?;
        fail::fail_point!("fulfil-after-commit");
        self.batches.send_modify(|count| *count += 1);
        self.metrics.batch(received.into_iter(), self.now());
        actions.into_iter().for_each(|action| self.metrics.change(action));
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
                    wait_for(&mut event, &requests, now);
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
}

async fn write_all(write: &Write, said: Said, sales: Sales, rows: OutcomeRows, now: Timestamp) -> Result<(), Error> {
    let Sales { orders, redirected, names, of_fact } = sales;
    for (order, survivor) in redirected {
        write.redirect_order(order.id, survivor).await?;
        write.save_orders(&[order], now).await?;
    }
    write.save_orders(&orders, now).await?;
    write.add_references(names).await?;
    fail::fail_point!("fulfil-half-written");
    let facts = said.facts.into_iter().map(|(event, position, fact)| {
        let order = of_fact.get(&(event, position)).copied();
        (event, position, order, fact)
    });
    write.save_facts(facts.collect()).await?;
    write.open_items(said.attention).await?;
    write.update_events(said.set_aside).await?;
    // Only an event that was held or looked up can have an item of its own.
    for event in said.finished.iter().filter(|event| event.attempts > 0 || event.error.is_some()) {
        write.close_items_of_event(event.id, now).await?;
    }
    let finished = said.finished.iter().map(|event| InboundId(event.id)).collect();
    write.finish_events(finished, now).await?;
    rows.write(write, now).await
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

/// The event waits until these are answered.
pub(crate) fn wait_for(event: &mut InboundEvent, requests: &[Request], now: Timestamp) {
    event.status = inbox::status::WAITING.to_owned();
    event.requests = serde_json::to_string(requests).ok();
    event.next_attempt_at = Some(now.as_microsecond());
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
