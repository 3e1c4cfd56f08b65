//! The batch: claim, translate, join, settle, write. One bad event never fails it.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    sync::Arc,
};

use domain::{
    Entropy,
    counted::Counted,
    fact::{CustomerFact, Fact},
    id::{ConnectionId, InboundId, OrderId},
    join::Join,
    license::License,
    text::Reference,
    time::after,
};
use jiff::{SignedDuration, Timestamp};
use providers::{
    Incoming, Step,
    http::{Answer, Request},
};
use store::{
    StoredOrder, Write, inbox,
    lists::Whose,
    rows::{AttentionItem, AuditEntry, InboundEvent, Mail},
};

use crate::{
    Engine, Error,
    adopt::{self, Keys},
    attention,
    buyers::{self, CustomerNews, Identities},
    connections::{Connection, find},
    group::Told,
    outcome::{Happened, OutcomeRows},
    outgoing,
    sales::{self, Sales},
    settle::Around,
};

/// The actor of what happens because its time has come.
const TIME: &str = "time";

/// Events, or due orders, in one transaction at most.
pub const BATCH_MAX: u64 = 256;

/// What happened longer ago than this, and was found by catching up, mails nobody without a person's word.
const OLD: SignedDuration = SignedDuration::from_hours(3 * 24);

/// What comes along with events and is in none of them.
#[derive(Default)]
pub(crate) struct Along {
    /// Keys of licenses that are brought from elsewhere.
    pub(crate) keys: Keys,
    /// Who is behind it; none: the connection that told it.
    pub(crate) actor: Option<String>,
}

/// What a batch works on.
#[derive(Clone, Copy)]
enum Claim {
    /// The oldest events, and the orders that have been due the longest; as many of each at most.
    Oldest(u64),
    /// One event.
    Event(InboundId),
    /// One order.
    Order(OrderId),
}

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

/// What an event would come to.
#[derive(Debug, Default)]
pub struct Rehearsal {
    /// What its provider would be asked first. What it says beyond that is not known before the answers are there.
    pub asks: Vec<String>,
    /// Why it would be held.
    pub problem: Option<String>,
    /// What the audit log would say, in its order.
    pub changes: Vec<AuditEntry>,
    /// The mails that would go out.
    pub mails: Vec<Mail>,
    /// What would need a person.
    pub attention: Vec<AttentionItem>,
    /// It goes to whoever has connected its account since, and what comes of it is theirs to know.
    pub goes_elsewhere: bool,
}

/// What a batch comes to, before any of it is written.
pub(crate) struct WorkedOut {
    said: Said,
    sales: Sales,
    rows: OutcomeRows,
}

/// What the events of a batch said.
#[derive(Default)]
struct Said {
    told: Vec<Told>,
    customers: CustomerNews,
    facts: Vec<(ConnectionId, InboundId, u32, Fact)>,
    /// Events that told of somebody whose data was erased: once they are done, nothing of them is kept but the facts.
    erased: BTreeSet<InboundId>,
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
        let done = match self.fulfil_claim(Claim::Oldest(BATCH_MAX)).await {
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

    async fn fulfil_claim(&self, claim: Claim) -> Result<Done, Error> {
        // Two nodes may give one provider's key to two licenses: the second finds it taken when it looks again.
        store::repeat(|| self.fulfil_once(claim), Error::is_lost_race).await
    }

    /// Finds what the database refuses, sets it aside, and lets the rest go on.
    async fn fulfil_one_by_one(&self) -> Result<Done, Error> {
        let write = self.store.begin().await?;
        let events = write.claim_events(BATCH_MAX).await?.into_iter().map(|event| Claim::Event(InboundId(event.id)));
        let orders = write.due_orders(self.now(), BATCH_MAX).await?.into_iter().map(Claim::Order);
        // Nothing was claimed for good: what another node takes meanwhile is not found any more.
        write.let_go().await?;
        let mut all = Done::default();
        for claim in events.chain(orders) {
            let done = match self.fulfil_claim(claim).await {
                Err(error) if error.is_refusal() => self.set_aside(claim, &error).await?,
                other => other?,
            };
            all = Done {
                claimed: all.claimed + done.claimed,
                lookups: all.lookups + done.lookups,
                mails: all.mails + done.mails,
            };
        }
        Ok(all)
    }

    /// This event, or what follows from this order, cannot be written: a person must look.
    async fn set_aside(&self, claim: Claim, error: &Error) -> Result<Done, Error> {
        let now = self.now();
        let mut entropy = self.entropy();
        let write = self.store.begin().await?;
        match claim {
            Claim::Oldest(_) => {}
            Claim::Event(id) => {
                if let Some(mut event) = write.claim_event(id).await? {
                    hold(&mut event, error.to_string());
                    write.open_items(vec![attention::held(&event, now, &mut *entropy)]).await?;
                    write.update_events(vec![event]).await?;
                }
            }
            Claim::Order(id) => {
                tracing::error!(order = %id, %error, "an order cannot be settled; it is tried again in an hour");
                if let Some((whose, connection)) = write.place_of_order(id).await? {
                    let item = attention::unsettled(whose, connection, id, &error.to_string(), now, &mut *entropy);
                    write.open_items(vec![item]).await?;
                }
                write.wake_orders(&[id].into(), after(now, SignedDuration::from_hours(1))).await?;
            }
        }
        write.commit().await?;
        Ok(Done { claimed: 1, ..Done::default() })
    }

    async fn fulfil_once(&self, claim: Claim) -> Result<Done, Error> {
        let mut connections = self.connections().await?;
        let now = self.now();
        let write = self.store.begin().await?;
        let (events, due) = match claim {
            Claim::Oldest(limit) => (write.claim_events(limit).await?, write.due_orders(now, limit).await?),
            Claim::Event(id) => (write.claim_event(id).await?.into_iter().collect(), BTreeSet::new()),
            Claim::Order(id) => (Vec::new(), [id].into()),
        };
        if events.iter().any(|event| find(&connections, ConnectionId(event.connection_id)).is_none()) {
            // Another node took the event in, and knows a connection that is newer than what is known here.
            connections = self.connections_within(SignedDuration::ZERO).await?;
        }
        let claimed = events.len() + due.len();
        if claimed == 0 {
            return Ok(Done::default());
        }
        fail::fail_point!("fulfil-after-claim");
        let along = Along::default();
        let WorkedOut { said, sales, rows } = self.work_out(&write, events, due, &connections, &along, now).await?;
        let redirected = redirect_mails(&write, &sales, now).await?;
        let done = Done { claimed, lookups: said.lookups, mails: rows.mails.len() + redirected };
        let received: Vec<i64> = said.finished.iter().map(|event| event.received_at).collect();
        let whose: Vec<Whose> = said.finished.iter().map(Whose::of_event).collect();
        let happened = write_all(&write, said, sales, rows, now, &mut *self.entropy()).await?;
        fail::fail_point!("fulfil-before-commit");
        write.commit().await?;
        fail::fail_point!("fulfil-after-commit");
        self.batches.send_modify(|count| *count += 1);
        self.metrics.batch(received.into_iter(), self.now());
        whose.into_iter().for_each(|whose| self.tally(whose, Counted::EventUnderstood, now));
        self.tell(happened);
        Ok(done)
    }

    /// What events and due orders come to. Nothing of it is kept yet.
    async fn work_out(
        &self,
        write: &Write,
        events: Vec<InboundEvent>,
        due: BTreeSet<OrderId>,
        connections: &[Arc<Connection>],
        along: &Along,
        now: Timestamp,
    ) -> Result<WorkedOut, Error> {
        let mut said = self.listen(events, connections, now);
        let told = std::mem::take(&mut said.told);
        let mut sales = sales::gather(write, told, due, connections, &mut *self.entropy(), now).await?;
        let news = std::mem::take(&mut said.customers);
        let identities = buyers::learn(write, news, &mut sales.orders, now).await?;
        said.forget(&sales, &identities, now);
        let told: BTreeSet<OrderId> = sales.of_fact.values().copied().collect();
        let actor = |order: &StoredOrder, connection: &Connection| match (&along.actor, told.contains(&order.id)) {
            (Some(actor), true) => actor.clone(),
            (None, true) => format!("{}:{}", connection.provider.info().slug, connection.code),
            (_, false) => TIME.to_owned(),
        };
        let (aftermath, actor_of, brought) = (&sales.aftermath, &actor, &along.keys);
        let around = Around { actor_of, identities: &identities, connections, aftermath, brought, now };
        let mut rows = self.settle_all(write, &mut sales.orders, around).await?;
        // What an order waited for, the order waits for that it is a part of now.
        let merged: Vec<_> = sales.redirected.iter().map(|(order, _)| order.id.0).collect();
        if !merged.is_empty() {
            rows.closed.extend(write.open_attention(merged).await?.into_iter().map(|item| item.id));
        }
        if said.finished.iter().chain(&said.set_aside).any(|event| event.caught_up) {
            let old = said.of_long_ago(&sales, outgoing::backup_of(write).await?);
            rows.hold_mails(&old, now, &mut *self.entropy());
        }
        Ok(WorkedOut { said, sales, rows })
    }

    /// What one event comes to with what comes along, in the transaction of whoever asks.
    pub(crate) async fn work_out_along(
        &self,
        write: &Write,
        event: InboundEvent,
        connections: &[Arc<Connection>],
        along: &Along,
        now: Timestamp,
    ) -> Result<WorkedOut, Error> {
        self.work_out(write, vec![event], BTreeSet::new(), connections, along, now).await
    }

    /// What an event would come to if it were worked on now, in a transaction that nobody commits.
    pub(crate) async fn rehearse(
        &self,
        write: &Write,
        event: InboundEvent,
        connections: &[Arc<Connection>],
    ) -> Result<Rehearsal, Error> {
        let WorkedOut { said, rows, .. } =
            self.work_out(write, vec![event], BTreeSet::new(), connections, &Along::default(), self.now()).await?;
        let set_aside = said.set_aside.into_iter().next();
        let requests = set_aside.as_ref().and_then(|event| event.requests.as_deref());
        let asks: Vec<Request> = requests.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let held = set_aside.filter(|event| event.status == inbox::status::HELD);
        Ok(Rehearsal {
            asks: asks.into_iter().map(|request| request.path).collect(),
            problem: held.and_then(|event| event.error),
            changes: rows.audit,
            mails: rows.mails,
            attention: rows.opened,
            goes_elsewhere: false,
        })
    }

    /// Translates the events of a batch. What cannot be translated is set aside and the rest goes on.
    fn listen(&self, events: Vec<InboundEvent>, connections: &[Arc<Connection>], now: Timestamp) -> Said {
        let mut said = Said::default();
        let mut entropy = self.entropy();
        for mut event in events {
            let Some(connection) = find(connections, ConnectionId(event.connection_id)) else {
                hold(&mut event, "its connection is gone; make one with the same name, then play it again".to_owned());
                said.attention.push(attention::held(&event, now, &mut *entropy));
                said.set_aside.push(event);
                continue;
            };
            match translate(connection, &event) {
                Ok(Step::Facts(facts)) => {
                    said.hear(&event, connection, facts);
                    said.finished.push(event);
                }
                Ok(Step::Need(requests)) => said.wait(event, &requests, now),
                Ok(Step::Partly { facts, wanted }) => {
                    said.hear(&event, connection, facts);
                    said.wait(event, &wanted, now);
                }
                Err(problem) => {
                    hold(&mut event, problem);
                    said.attention.push(attention::malformed(connection, &event, now, &mut *entropy));
                    said.set_aside.push(event);
                }
            }
        }
        said
    }
}

impl WorkedOut {
    /// The license of a line that was sold, with its order; none: it was not issued.
    pub(crate) fn license_of(&mut self, line: &Reference) -> Option<(OrderId, &mut License)> {
        let mut orders = self.sales.orders.iter_mut();
        orders.find_map(|order| {
            let license = order.licenses.iter_mut().find(|license| license.unit.line == *line)?;
            Some((order.id, license))
        })
    }

    /// What is still in the way, in the words of attention items.
    pub(crate) fn in_the_way(&self) -> Option<&str> {
        self.rows.opened.iter().chain(&self.said.attention).map(|item| item.detail.as_str()).next()
    }

    /// Writes all of it. What happened is told after the commit.
    pub(crate) async fn write(
        self,
        write: &Write,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Happened, Error> {
        write_all(write, self.said, self.sales, self.rows, now, entropy).await
    }
}

/// Mails that nobody has yet go to the address that their buyer gave last. Returns how many are to be sent.
async fn redirect_mails(write: &Write, sales: &Sales, now: Timestamp) -> Result<usize, Error> {
    let mut redirected = 0;
    for order in sales.orders.iter().filter(|order| sales.readdressed.contains(&order.id)) {
        if let Some(contact) = order.order.mailed_to() {
            let licenses = order.licenses.iter().map(|license| license.id).collect();
            redirected += write.redirect_mails(licenses, contact, now).await?;
        }
    }
    Ok(redirected)
}

async fn write_all(
    write: &Write,
    said: Said,
    sales: Sales,
    rows: OutcomeRows,
    now: Timestamp,
    entropy: &mut dyn Entropy,
) -> Result<Happened, Error> {
    let Sales { orders, redirected, names, of_fact, .. } = sales;
    for (order, survivor) in redirected {
        write.redirect_order(order.id, survivor).await?;
        write.save_orders(&[order], now).await?;
    }
    write.save_orders(&orders, now).await?;
    write.add_references(names).await?;
    fail::fail_point!("fulfil-half-written");
    let facts = said.facts.into_iter().map(|(_, event, position, fact)| {
        let order = of_fact.get(&(event, position)).copied();
        (event, position, order, fact)
    });
    write.save_facts(facts.collect()).await?;
    write.open_items(said.attention).await?;
    write.update_events(said.set_aside).await?;
    // Only an event that was held or looked up can have an item of its own.
    let worried = said.finished.iter().filter(|event| event.attempts > 0 || event.error.is_some());
    write.close_items_of_events(worried.map(|event| event.id).collect(), now).await?;
    let finished = said.finished.iter().map(|event| InboundId(event.id)).collect();
    write.finish_events(finished, now).await?;
    write.erase_events(said.erased.into_iter().collect(), &adopt::telling(&orders)).await?;
    rows.write(write, now, entropy).await
}

impl Said {
    /// The orders of old events that catching up found. Where nothing leaves since a backup was restored, of when it is: what
    /// was sold later has another key now, and its buyer has to hear of it however late that is.
    fn of_long_ago(&self, sales: &Sales, backup_of: Option<Timestamp>) -> BTreeSet<OrderId> {
        let backup_of = backup_of.map_or(i64::MAX, Timestamp::as_microsecond);
        let is_old = |event: &&InboundEvent| {
            let heard_at = event.received_at.min(backup_of);
            let age = event.occurred_at.map_or(0, |at| heard_at.saturating_sub(at));
            event.caught_up && SignedDuration::from_micros(age) > OLD
        };
        let heard = self.finished.iter().chain(&self.set_aside);
        let old: BTreeSet<InboundId> = heard.filter(is_old).map(|event| InboundId(event.id)).collect();
        let of_old = sales.of_fact.iter().filter(|((event, _), _)| old.contains(event));
        of_old.map(|(_, order)| *order).collect()
    }

    /// Lets go of names and addresses of those whose data was erased. An event that tells of an order that they made since keeps its
    /// body, as that of any order: it goes when the buyer of that order is erased.
    fn forget(&mut self, sales: &Sales, identities: &Identities, now: Timestamp) {
        // A fact has the moment of its order: a later one would take away what a person has said since.
        let erased_at = |order: &StoredOrder| Some((order.id, order.order.erased?.0));
        let erased: BTreeMap<OrderId, Timestamp> = sales.orders.iter().filter_map(erased_at).collect();
        let is_live = |order: &&OrderId| !erased.contains_key(order);
        let of_live = sales.of_fact.iter().filter(|(_, order)| is_live(order)).map(|((event, _), _)| *event);
        let live: BTreeSet<InboundId> = of_live.collect();
        for (connection, event, position, fact) in &mut self.facts {
            let at = match fact {
                Fact::Order(_) => sales.of_fact.get(&(*event, *position)).and_then(|order| erased.get(order)).copied(),
                Fact::Customer(customer) => identities.is_erased(*connection, &customer.reference).then_some(now),
            };
            if let Some(at) = at {
                fact.erase(at);
                if matches!(fact, Fact::Order(_)) || !live.contains(event) {
                    self.erased.insert(*event);
                }
            }
        }
    }

    /// The event stays open until these are answered, whatever it has said already.
    fn wait(&mut self, mut event: InboundEvent, requests: &[Request], now: Timestamp) {
        wait_for(&mut event, requests, now);
        self.lookups += 1;
        self.set_aside.push(event);
    }

    fn hear(&mut self, event: &InboundEvent, connection: &Connection, facts: Vec<Fact>) {
        for (position, fact) in (0..).zip(facts) {
            let by = (InboundId(event.id), position);
            self.facts.push((connection.id, by.0, by.1, fact.clone()));
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
                let whose = Whose { tenant: connection.tenant, livemode: connection.mode.is_live() };
                entry.insert((whose, customer));
            }
        }
    }
}

/// The event needs a person.
fn hold(event: &mut InboundEvent, problem: String) {
    event.status = inbox::status::HELD.to_owned();
    event.error = Some(problem);
}

/// The event waits until these are answered. They are asked now, unless a later time is set for it.
pub(crate) fn wait_for(event: &mut InboundEvent, requests: &[Request], now: Timestamp) {
    event.status = inbox::status::WAITING.to_owned();
    event.requests = serde_json::to_string(requests).ok();
    event.next_attempt_at = event.next_attempt_at.max(Some(now.as_microsecond()));
}

/// What an event says, with the answers that are kept with it.
pub(crate) fn translate(connection: &Connection, event: &InboundEvent) -> Result<Step, String> {
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
