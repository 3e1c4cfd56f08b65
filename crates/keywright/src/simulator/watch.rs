//! Watching: what the server makes of events, read from its database every few milliseconds and told as it happens.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::bail;
use domain::{
    id::{LicenseId, OrderId},
    license::License,
    plan::PlanVersion,
    reason::day,
    text::Reference,
};
use engine::{Engine, attention, connections::Connection};
use store::{
    deliveries, inbox,
    lists::{Cursor, InboundFilter, InboundSummary, Page, Whose},
    outbox,
    rows::{AttentionItem, AuditEntry, Delivery, Mail},
};
use uuid::Uuid;

use super::{
    journal,
    send::Posted,
    setup::ACTOR,
    tell::{self, About, Audience, Line},
};

/// How often the database is read.
const LOOK: Duration = Duration::from_millis(3);
/// How long is waited for everything to be done. Whatever is not done then goes on without us.
const PATIENCE: Duration = Duration::from_secs(20);
/// Mails that are read at most: far more than a play makes.
const MAILS_MAX: u64 = 200;
/// Events about a license of which is read whom they were told.
const DELIVERIES_MAX: u64 = 50;
/// Events that are read at once.
const EVENTS_PAGE: u64 = 50;

/// What an order waits for that a person has to approve.
const APPROVALS: [&str; 2] = [attention::APPROVAL, attention::APPROVAL_OVERDUE];

/// What stands in the database about one sale.
#[derive(Default)]
pub(crate) struct Sight {
    pub(crate) order: Option<OrderId>,
    pub(crate) licenses: BTreeMap<LicenseId, License>,
    pub(crate) mails: BTreeMap<Uuid, Mail>,
    pub(crate) attention: BTreeMap<Uuid, AttentionItem>,
    /// What the vendor's own systems are told of the licenses.
    pub(crate) deliveries: BTreeMap<Uuid, Delivery>,
    /// The events that are followed, by their key.
    pub(crate) events: BTreeMap<String, InboundSummary>,
}

/// Follows one sale.
pub(crate) struct Watcher<'a> {
    engine: &'a Engine,
    connection: &'a Connection,
    sale: Reference,
    audience: &'a dyn Audience,
    seen: Sight,
    plans: HashMap<(Uuid, u32), String>,
    /// The keys of licenses that were issued while we looked.
    pub(crate) keys: Vec<String>,
    /// Licenses whose keys were shown, and nobody has written it down yet.
    shown: Vec<LicenseId>,
}

/// How far sending has come.
pub(crate) struct Progress {
    /// When it began.
    pub(crate) since: Instant,
    /// The events that the server took.
    taken: Mutex<BTreeSet<String>>,
    /// What is still to be told of it.
    lines: Mutex<Vec<(Duration, Line)>>,
    /// No more are to come.
    is_over: AtomicBool,
}

impl Progress {
    /// Sending begins.
    pub(crate) fn new(since: Instant) -> Self {
        Self { since, taken: Mutex::default(), lines: Mutex::default(), is_over: AtomicBool::new(false) }
    }

    /// An event was posted.
    pub(crate) fn posted(&self, posted: Posted) {
        self.lines().push((posted.at.duration_since(self.since), tell::posted(&posted)));
        if posted.is_taken() {
            self.taken().insert(posted.id);
        }
    }

    /// An event that was not posted is there: the server found it itself.
    pub(crate) fn found(&self, id: &str, kind: &str) {
        self.lines().push((self.since.elapsed(), Line::new("found", format!("{kind}  {id}"))));
        self.taken().insert(id.to_owned());
    }

    /// Nothing more is to come.
    pub(crate) fn over(&self) {
        self.is_over.store(true, Ordering::Release);
    }

    /// Whether the server took nothing.
    pub(crate) fn is_in_vain(&self) -> bool {
        self.taken().is_empty()
    }

    /// What was posted up to then and is not told yet.
    fn until(&self, at: Duration) -> Vec<(Duration, Line)> {
        let mut lines = self.lines();
        let (told, later) = std::mem::take(&mut *lines).into_iter().partition(|(posted, _)| *posted <= at);
        *lines = later;
        told
    }

    fn taken(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lines(&self) -> MutexGuard<'_, Vec<(Duration, Line)>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> Watcher<'a> {
    /// Takes in how a sale stands, which the server knows by this name.
    pub(crate) async fn new(
        engine: &'a Engine,
        connection: &'a Connection,
        sale: &str,
        audience: &'a dyn Audience,
    ) -> anyhow::Result<Self> {
        let mut watcher = Self {
            engine,
            connection,
            sale: Reference::new(sale),
            audience,
            seen: Sight::default(),
            plans: HashMap::new(),
            keys: Vec::new(),
            shown: Vec::new(),
        };
        watcher.seen = watcher.look(&BTreeSet::new()).await?;
        Ok(watcher)
    }

    /// How the sale stands now. Events come first: what follows from them is at least as new.
    async fn look(&self, keys: &BTreeSet<String>) -> anyhow::Result<Sight> {
        let events = self.events(keys).await?;
        loop {
            let Some(sight) = self.look_at_sale().await? else { return Ok(Sight { events, ..Sight::default() }) };
            // When two orders become one, the sale moves to the other while we read: half of each is nothing to tell.
            let name = self.engine.store.order_licenses(self.connection.id, &self.sale).await?;
            if name.map(|(order, _)| order) == sight.order {
                return Ok(Sight { events, ..sight });
            }
        }
    }

    async fn look_at_sale(&self) -> anyhow::Result<Option<Sight>> {
        let store = &self.engine.store;
        let found = store.order_licenses(self.connection.id, &self.sale).await?;
        let Some((order, licenses)) = found else { return Ok(None) };
        let licenses: BTreeMap<LicenseId, License> =
            licenses.into_iter().map(|license| (license.id, license)).collect();
        let mails = store.mails(self.connection.tenant.0, MAILS_MAX).await?;
        let mails = mails.into_iter().filter(|mail| licenses.contains_key(&LicenseId(mail.license_id)));
        let attention = store.attention_of_order(order).await?;
        let mut deliveries = BTreeMap::new();
        for id in licenses.keys() {
            let about = store.deliveries_about(self.whose(), *id, DELIVERIES_MAX).await?;
            deliveries.extend(about.into_iter().map(|delivery| (delivery.id, delivery)));
        }
        Ok(Some(Sight {
            order: Some(order),
            mails: mails.map(|mail| (mail.id, mail)).collect(),
            attention: attention.into_iter().map(|item| (item.id, item)).collect(),
            licenses,
            deliveries,
            events: BTreeMap::new(),
        }))
    }

    /// The events of these keys, as far as they are there. They are among the newest, unless they are sent once more.
    async fn events(&self, keys: &BTreeSet<String>) -> anyhow::Result<BTreeMap<String, InboundSummary>> {
        let filter = InboundFilter { connection: Some(self.connection.id), ..InboundFilter::default() };
        let mut found: BTreeMap<String, InboundSummary> = BTreeMap::new();
        let mut from = None;
        while found.len() < keys.len() {
            let listed =
                self.engine.store.list_inbound(self.whose(), &filter, Page { limit: EVENTS_PAGE, from }).await?;
            from = listed.rows.last().map(|event| Cursor::After(event.id));
            let wanted = listed.rows.into_iter().filter(|event| keys.contains(&event.event_key));
            found.extend(wanted.map(|event| (event.event_key.clone(), event)));
            if !listed.has_more {
                break;
            }
        }
        Ok(found)
    }

    fn whose(&self) -> Whose {
        Whose { tenant: self.connection.tenant, livemode: self.connection.mode.is_live() }
    }

    /// Tells of everything that changes, until all events that the server took are done, their mails are on their way,
    /// and no more are to come. Returns how many lines there were to tell.
    pub(crate) async fn follow(&mut self, progress: &Progress) -> anyhow::Result<usize> {
        let mut told = 0;
        loop {
            let is_posted = progress.is_over.load(Ordering::Acquire);
            let keys = progress.taken().clone();
            let now = self.look(&keys).await?;
            told += self.tell(&now, progress).await?;
            // What was answered with a 2xx was committed before: only in another database it is not there.
            if let Some(missing) = keys.iter().find(|key| !now.events.contains_key(*key)) {
                bail!("the server took {missing} and it is not in this database: the server uses another data folder");
            }
            let is_over = is_posted && now.is_settled();
            let is_late = progress.since.elapsed() > PATIENCE;
            if is_late && !is_over {
                now.tell_unfinished(self.audience);
            }
            self.seen = now;
            if is_over || is_late {
                self.note_keys_shown().await?;
                return Ok(told);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Prints what was posted, and what is different from what was seen last.
    async fn tell(&mut self, now: &Sight, progress: &Progress) -> anyhow::Result<usize> {
        let at = progress.since.elapsed();
        progress.until(at).iter().for_each(|(at, line)| self.audience.line(*at, line));
        self.learn_plans(now).await?;
        let mut lines = Vec::new();
        for (key, event) in &now.events {
            let before = self.seen.events.get(key).and_then(|event| event.error.as_deref());
            lines.extend(tell::look_up(before, event));
        }
        for (id, license) in &now.licenses {
            match self.seen.licenses.get(id) {
                None => {
                    let issued = self.issued(now, license).await?;
                    // One line tells for all licenses of a price what they rest on.
                    let is_told = issued.first().is_some_and(|matched| lines.contains(matched));
                    lines.extend(issued.into_iter().skip(usize::from(is_told)));
                }
                Some(before) => {
                    let plans = (self.plan_code(before.plan), self.plan_code(license.plan));
                    lines.extend(tell::changes((before, plans.0), (license, plans.1)));
                }
            }
        }
        for (id, item) in &now.attention {
            if !self.seen.attention.contains_key(id) {
                lines.push(Line::new("waits", item.detail.clone()));
            }
        }
        for (_, item) in self.seen.attention.iter().filter(|(id, _)| !now.attention.contains_key(id)) {
            lines.push(Line::new("solved", item.detail.clone()));
        }
        for (id, mail) in &now.mails {
            let before = self.seen.mails.get(id).map(|mail| mail.status.as_str());
            if before != Some(&mail.status) {
                lines.extend(tell::mail(mail));
            }
        }
        lines.extend(self.delivered(now).await?);
        lines.iter().for_each(|line| self.audience.line(at, line));
        Ok(lines.len())
    }

    /// What became of telling the vendor's own systems since it was looked last.
    async fn delivered(&self, now: &Sight) -> anyhow::Result<Vec<Line>> {
        let how_far = |delivery: &Delivery| (delivery.status.clone(), delivery.attempts);
        let is_new =
            |delivery: &&Delivery| self.seen.deliveries.get(&delivery.id).map(how_far) != Some(how_far(delivery));
        let moved: Vec<&Delivery> = now.deliveries.values().filter(is_new).collect();
        if moved.is_empty() {
            return Ok(Vec::new());
        }
        let store = &self.engine.store;
        let endpoints = store.webhook_endpoints(self.connection.tenant).await?;
        let events = store.events(moved.iter().map(|row| row.event_id).collect()).await?;
        let url =
            |id: Uuid| endpoints.iter().find(|row| row.id == id).map_or("an endpoint that is gone", |row| &row.url);
        let kind = |id: Uuid| events.iter().find(|row| row.id == id).map_or("an event", |row| &row.kind);
        let line = |row: &Delivery| tell::delivery(row, kind(row.event_id), url(row.endpoint_id));
        Ok(moved.into_iter().filter_map(line).collect())
    }

    /// A new license: what it rests on, and its key.
    async fn issued(&mut self, now: &Sight, license: &License) -> anyhow::Result<Vec<Line>> {
        let evidence = match now.order {
            Some(order) => self.evidence(order, license).await?,
            None => "",
        };
        let key = if self.audience.sees_keys() { Some(self.key_of(license).await?) } else { None };
        let (plan, standing) = (self.plan_code(license.plan), &license.standing);
        let until = standing.until.map(|until| format!(" until {}", day(until))).unwrap_or_default();
        let (state, because) = (standing.state.as_str(), standing.reason.sentence());
        let mut lines = vec![
            // A price that nobody told is called after its checkout.
            Line::new(
                "matched",
                format!("{} → plan {plan}{evidence}", license.unit.price.as_str().trim_start_matches("unknown:")),
            ),
            Line::new("issued", format!("{}  {state}{until}: {because}", license.id)).about(About::License(license.id)),
        ];
        lines.extend(key.map(|key| Line::new("", key)));
        Ok(lines)
    }

    /// The key of a license, for whoever sees keys.
    async fn key_of(&mut self, license: &License) -> anyhow::Result<String> {
        self.shown.push(license.id);
        let key = self.engine.reveal(self.connection.tenant, license.id).await?;
        let key = key.map_or_else(|| "(its key cannot be read)".to_owned(), |key| key.reveal().to_owned());
        self.keys.push(key.clone());
        Ok(key)
    }

    /// What the decision for a license's price rests on.
    async fn evidence(&self, order: OrderId, license: &License) -> anyhow::Result<&'static str> {
        let Some((order, _)) = self.engine.store.order(self.whose(), order).await? else { return Ok("") };
        let decision = order.order.decided.get(&license.unit.price);
        Ok(decision.map_or("", |decision| tell::evidence(decision.evidence)))
    }

    /// Reads the codes of plans that were not seen before.
    async fn learn_plans(&mut self, now: &Sight) -> anyhow::Result<()> {
        let key = |license: &License| (license.plan.plan.0, license.plan.version);
        if now.licenses.values().any(|license| !self.plans.contains_key(&key(license))) {
            let plans = self.engine.store.plans(self.connection.tenant).await?;
            self.plans = plans.into_iter().map(|plan| ((plan.id, plan.version.unsigned_abs()), plan.code)).collect();
        }
        Ok(())
    }

    fn plan_code(&self, version: PlanVersion) -> &str {
        self.plans.get(&(version.plan.0, version.version)).map_or("?", String::as_str)
    }

    /// Writes down that keys were shown, as wherever a key is shown to a person.
    async fn note_keys_shown(&mut self) -> anyhow::Result<()> {
        let (engine, tenant) = (self.engine, self.connection.tenant);
        let entries = std::mem::take(&mut self.shown).into_iter().map(|license| AuditEntry {
            order_id: self.seen.order.map(|order| order.0),
            license_id: Some(license.0),
            ..journal::entry(engine, tenant, (ACTOR, "license.key_shown"), license.to_string())
        });
        journal::write_down(engine, entries.collect()).await
    }

    /// The order, if a person has to approve it before it has licenses.
    pub(crate) fn to_approve(&self) -> Option<OrderId> {
        let waits = self.seen.attention.values().any(|item| APPROVALS.contains(&item.kind.as_str()));
        self.seen.order.filter(|_| waits)
    }

    /// A price that waits to be mapped.
    pub(crate) fn unmapped(&self) -> Option<String> {
        let mut items = self.seen.attention.values();
        items.find(|item| item.kind == attention::UNMAPPED_PRICE).and_then(|item| item.lookup.clone())
    }

    /// How many licenses and mails the sale has come to.
    pub(crate) fn totals(&self) -> (usize, usize) {
        (self.seen.licenses.len(), self.seen.mails.len())
    }
}

impl Sight {
    /// Whether every event is done, waits for a person or was set aside by one, and every mail is on its way.
    fn is_settled(&self) -> bool {
        let over = [inbox::status::DONE, inbox::status::HELD, inbox::status::IGNORED];
        self.events.values().all(|event| over.contains(&event.status.as_str()))
            && self.mails.values().all(|mail| mail.status != outbox::status::PENDING)
            && self.deliveries.values().all(|row| row.status != deliveries::status::PENDING || row.attempts > 0)
    }

    fn tell_unfinished(&self, audience: &dyn Audience) {
        let seconds = PATIENCE.as_secs();
        for event in self.events.values().filter(|event| event.status != inbox::status::DONE) {
            let problem = event.error.as_deref().unwrap_or("no reason is known");
            audience.remark(&format!("  after {seconds} s {} is still {}: {problem}", event.kind, event.status));
        }
        for mail in self.mails.values().filter(|mail| mail.status == outbox::status::PENDING) {
            audience.remark(&format!("  after {seconds} s the mail to {} is still under way", mail.recipient));
        }
    }
}
