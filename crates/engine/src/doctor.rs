//! Whether what is in the database is as it should be: the invariants, computed again over live data.
//!
//! Everything is read page by page, each page as of one moment, so that a server may go on writing meanwhile. Whatever
//! looks wrong is read a second time before it is told. Nothing is ever written.
//!
//! | number | what holds |
//! |---|---|
//! | 0 | every value reads and opens: what the others rest on |
//! | 1 | each paid order has the licenses that it asks for, each with its key, or an open attention item |
//! | 2 | each license is in the state that follows from its order: no active one on what was refunded |
//! | 3 | each event is on its way, once, to each address that wants it: delivered, pending, held, or dead with a reason |
//! | 5 | each license that was announced has one mail, and each mail a next step |
//! | 6 | activations never exceed the limit |
//! | 7 | each tenant's audit log is one chain without a gap, and ends where it was written last |
//! | 8 | nothing waits for nobody |
//! | 9 | names lead to their orders, and orders are what their facts say |
//!
//! The numbers are those of the design; 4 and 10 speak of what is not looked at here.

pub(crate) mod chain;
pub mod comparison;
mod deliveries;
pub mod discrepancies;
mod examine;
mod keys;
mod names;
mod webhooks;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::Arc,
    time::Duration,
};

use crypto::seal::Place;
use domain::{
    decision::Catalogue,
    id::{LicenseId, OrderId, TenantId},
    text::CustomerReference,
    time::after,
};
use jiff::{SignedDuration, Timestamp};
use store::{
    StoredOrder,
    snapshot::{Pending, SeenOrder, Snapshot},
};
use uuid::Uuid;

use self::examine::{Case, examine};
use crate::{
    Engine, Error,
    connections::{Connection, find, open_secrets},
};

/// Orders in one page.
const PAGE: u64 = 256;
/// What has waited for longer than this waits for nobody. A look-up or a mail has its own time, and counts from then.
const LATE: SignedDuration = SignedDuration::from_secs(60);
/// How long a worker is given before what looks late is read again.
const PAUSE: Duration = Duration::from_millis(500);

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Which invariant it breaks, by its number in [`crate::doctor`]. 0: a value does not read or open.
    pub invariant: u8,
    /// What it is about: an id, or a name.
    pub subject: String,
    /// What is wrong.
    pub problem: String,
}

impl Finding {
    fn new(invariant: u8, subject: impl fmt::Display, problem: impl Into<String>) -> Self {
        Self { invariant, subject: subject.to_string(), problem: problem.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { invariant, subject, problem } = self;
        match invariant {
            0 => write!(f, "{subject}: {problem}"),
            number => write!(f, "invariant {number}: {subject}: {problem}"),
        }
    }
}

/// What the pages share.
struct Doctor<'a> {
    engine: &'a Engine,
    connections: Option<Arc<Vec<Arc<Connection>>>>,
    /// By tenant, each with its revision. None: it does not read, and that is told.
    catalogues: HashMap<TenantId, (i64, Option<Arc<Catalogue>>)>,
    /// Orders whose facts need not say all that they know.
    replayed: BTreeSet<OrderId>,
    findings: BTreeSet<Finding>,
}

/// What to do about a finding of an invariant, by its number.
#[must_use]
pub const fn advice(invariant: u8) -> &'static str {
    match invariant {
        0 => "Put the missing line back into the master key file, or restore the value from a backup.",
        1 | 2 | 9 => {
            "Look at the order, and play its last event again from there. If it says the same afterwards, report it with the support text."
        }
        3 => "Deliver once more from the page of the webhook address; what was never written is found by that.",
        5 => "Send the mail again from the page of the license.",
        6 => "Free the devices that are too many on the page of the license.",
        7 => "Somebody changed the database beside this server. Compare it with a backup, and find out who.",
        _ => "Start the server again. If it says the same a minute later, report it with the support text.",
    }
}

/// How long everything is examined while somebody waits for it.
const EXAMINED_FOR: Duration = Duration::from_secs(20);

impl Engine {
    /// Checks the invariants as [`Engine::verify`] does, for twenty seconds. None: there was no time for all of it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn verify_in_time(&self) -> Result<Option<Vec<Finding>>, Error> {
        tokio::time::timeout(EXAMINED_FOR, self.verify()).await.ok().transpose()
    }

    /// Checks the invariants over everything that is stored. Reads only; the server may run.
    ///
    /// # Errors
    /// Those of the database. What does not read or open is a finding, not an error.
    pub async fn verify(&self) -> Result<Vec<Finding>, Error> {
        let mut doctor = Doctor {
            engine: self,
            // Where secrets do not open the seals tell; orders are examined all the same.
            connections: self.connections().await.ok(),
            catalogues: HashMap::new(),
            replayed: self.store.snapshot().await?.replayed_orders().await?,
            findings: BTreeSet::new(),
        };
        doctor.seals().await?;
        doctor.chains().await?;
        doctor.orders().await?;
        doctor.webhooks().await?;
        doctor.pending().await?;
        Ok(doctor.findings.into_iter().collect())
    }
}

impl Doctor<'_> {
    /// Secrets of connections, and keys that sign leases. There are few.
    async fn seals(&mut self) -> Result<(), Error> {
        let ring = self.engine.ring();
        let snapshot = self.engine.store.snapshot().await?;
        for row in snapshot.connections().await? {
            if let Err(error) = open_secrets(&row, &ring) {
                let subject = format!("connection `{}`", row.code);
                self.findings.insert(Finding::new(0, subject, format!("its secrets do not open: {error}")));
            }
        }
        for row in snapshot.signing_keys().await? {
            if let Err(error) = ring.open(Place::signing_key(TenantId(row.tenant_id), row.id), &row.sealed) {
                let subject = format!("signing key {}", row.kid);
                self.findings.insert(Finding::new(0, subject, format!("it does not open: {error}")));
            }
        }
        Ok(())
    }

    async fn orders(&mut self) -> Result<(), Error> {
        let mut after = OrderId(Uuid::nil());
        loop {
            let snapshot = self.engine.store.snapshot().await?;
            let ids = snapshot.orders_after(after, PAGE).await?;
            let Some(last) = ids.last() else { return Ok(()) };
            after = *last;
            let suspicious: Vec<OrderId> = self.page(&snapshot, &ids).await?.into_keys().collect();
            drop(snapshot);
            if !suspicious.is_empty() {
                let snapshot = self.engine.store.snapshot().await?;
                let again = self.page(&snapshot, &suspicious).await?;
                self.findings.extend(again.into_values().flatten());
            }
        }
    }

    /// Everything that is wrong with these orders.
    async fn page(&mut self, snapshot: &Snapshot, ids: &[OrderId]) -> Result<BTreeMap<OrderId, Vec<Finding>>, Error> {
        let seen = snapshot.orders(ids).await?;
        let mut found: BTreeMap<OrderId, Vec<Finding>> = BTreeMap::new();
        for SeenOrder { id, order, torn } in &seen {
            let unreadable = order.as_ref().err().map(|error| Finding::new(0, id, error.to_string()));
            let torn = torn.iter().map(|license| {
                Finding::new(0, license, "its columns, by which lists are filtered, differ from its document")
            });
            found.entry(*id).or_default().extend(unreadable.into_iter().chain(torn));
        }
        let orders: Vec<&StoredOrder> = seen.iter().filter_map(|seen| seen.order.as_ref().ok()).collect();
        self.read_catalogues(snapshot).await?;
        let gathered = Gathered::read(snapshot, &orders).await?;
        for order in orders {
            let ahead = self.engine.ahead(order.tenant, order.livemode).await?;
            found.entry(order.id).or_default().extend(self.examine(order, &gathered, ahead));
        }
        found.retain(|_, findings| !findings.is_empty());
        Ok(found)
    }

    fn examine(&self, order: &StoredOrder, gathered: &Gathered, ahead: SignedDuration) -> Vec<Finding> {
        let connection = self.connections.as_ref().and_then(|all| find(all, order.connection));
        let catalogue = self.catalogues.get(&order.tenant).and_then(|(_, catalogue)| catalogue.as_deref());
        examine(&Case {
            order,
            gathered,
            catalogue,
            connection: connection.map(Arc::as_ref),
            is_replayed: self.replayed.contains(&order.id),
            ring: &self.engine.ring(),
            now: self.engine.now(),
            judged_at: after(self.engine.now(), ahead),
        })
    }

    /// The catalogues as of this snapshot.
    async fn read_catalogues(&mut self, snapshot: &Snapshot) -> Result<(), Error> {
        for (tenant, revision) in snapshot.catalogue_revisions().await? {
            if self.catalogues.get(&tenant).is_some_and(|(known, _)| *known == revision) {
                continue;
            }
            let catalogue = match snapshot.catalogue(tenant).await {
                Ok(catalogue) => Some(Arc::new(catalogue)),
                Err(error @ store::StoreError::Unreadable { .. }) => {
                    self.findings.insert(Finding::new(0, tenant, error.to_string()));
                    None
                }
                Err(error) => return Err(error.into()),
            };
            self.catalogues.insert(tenant, (revision, catalogue));
        }
        Ok(())
    }

    /// What waits for nobody, and what stands on nothing.
    async fn pending(&mut self) -> Result<(), Error> {
        let first = self.late().await?;
        if first.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
        let second = self.late().await?;
        self.findings.extend(first.intersection(&second).map(deliveries::of_pending));
        Ok(())
    }

    async fn late(&self) -> Result<BTreeSet<Pending>, Error> {
        let since = self.engine.now().checked_sub(LATE).unwrap_or(Timestamp::MIN);
        Ok(self.engine.store.snapshot().await?.pending(since).await?.into_iter().collect())
    }
}

/// What stands around a page of orders, by order or by license.
#[derive(Default)]
struct Gathered {
    names: HashMap<OrderId, BTreeSet<(domain::id::ConnectionId, domain::text::Reference)>>,
    facts: HashMap<OrderId, Vec<Result<domain::fact::Fact, domain::fact::FactError>>>,
    open: HashMap<OrderId, Vec<store::rows::AttentionItem>>,
    keys: HashMap<LicenseId, Vec<store::rows::LicenseKey>>,
    mails: HashMap<LicenseId, Vec<store::rows::Mail>>,
    activations: HashMap<LicenseId, Vec<store::rows::Activation>>,
    plan_changed: HashMap<LicenseId, Timestamp>,
    /// Provider's customers that have an address.
    addresses: BTreeSet<(domain::id::ConnectionId, CustomerReference)>,
    /// The orders that redirects lead to, as far as they are there.
    targets: BTreeSet<OrderId>,
}

impl Gathered {
    async fn read(snapshot: &Snapshot, orders: &[&StoredOrder]) -> Result<Self, Error> {
        let ids: Vec<OrderId> = orders.iter().map(|order| order.id).collect();
        let licenses: Vec<LicenseId> =
            orders.iter().flat_map(|order| &order.licenses).map(|license| license.id).collect();
        let targets = orders.iter().filter_map(|order| order.merged_into).collect();
        let without_contact = orders.iter().filter(|order| order.order.mailed_to().is_none());
        let customers = without_contact
            .flat_map(|order| order.order.customers.iter().map(|customer| (order.connection, customer.clone())))
            .collect();
        let known = snapshot.identities(&customers).await?;
        let with_address = known.into_iter().filter(|identity| identity.fact.snapshot.value.email.is_some());
        let of_license = |id: Uuid| LicenseId(id);
        Ok(Self {
            names: snapshot.references(&ids).await?,
            facts: snapshot.facts(&ids).await?,
            open: grouped(snapshot.open_attention(&ids).await?, |item| OrderId(item.order_id.unwrap_or_default())),
            keys: grouped(snapshot.license_keys(&licenses).await?, |row| of_license(row.license_id)),
            mails: grouped(snapshot.mails(&licenses).await?, |row| of_license(row.license_id)),
            activations: grouped(snapshot.activations(&licenses).await?, |row| of_license(row.license_id)),
            plan_changed: snapshot.last_audited("license.plan_changed", &licenses).await?,
            addresses: with_address.map(|identity| (identity.connection, identity.fact.reference)).collect(),
            targets: snapshot.existing_orders(&targets).await?,
        })
    }

    /// Whether an order's mails have somewhere to go.
    fn has_address(&self, order: &StoredOrder) -> bool {
        let known = |customer: &CustomerReference| self.addresses.contains(&(order.connection, customer.clone()));
        order.order.mailed_to().is_some() || order.order.customers.iter().any(known)
    }
}

fn grouped<Key: std::hash::Hash + Eq, Row>(rows: Vec<Row>, key: impl Fn(&Row) -> Key) -> HashMap<Key, Vec<Row>> {
    let mut groups: HashMap<Key, Vec<Row>> = HashMap::new();
    for row in rows {
        groups.entry(key(&row)).or_default().push(row);
    }
    groups
}

/// The rows of one thing.
fn of<'a, Key: std::hash::Hash + Eq, Row>(groups: &'a HashMap<Key, Vec<Row>>, key: &Key) -> &'a [Row] {
    groups.get(key).map(Vec::as_slice).unwrap_or_default()
}
