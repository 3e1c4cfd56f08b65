//! Settling: an order is decided and reconciled, and the rows that follow are gathered.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry},
    sync::Arc,
};

use domain::{
    Entropy,
    fulfil::{Admission, Offered, Settled, Settling, Waiting, decided_by_rules, reconcile, resolve},
    id::{OrderId, TenantId},
    license::Holding,
    time::after,
};
use jiff::{SignedDuration, Timestamp};
use store::{
    StoredOrder, Write,
    rows::{AttentionItem, RuleSale},
};

use crate::{
    Engine, Error,
    accounts::AccountStatus,
    adopt::{self, Keys, ToAdopt},
    attention,
    buyers::{self, Identities},
    catalogue::Shelf,
    connections::{Connection, find},
    events::Aftermath,
    outcome::{Outcome, OutcomeRows},
};

/// When an order is looked at again whose connection is not known.
const UNKNOWN_CONNECTION: SignedDuration = SignedDuration::from_mins(5);
/// When an order is looked at again whose customer has no address.
const ADDRESS_AGAIN: SignedDuration = SignedDuration::from_mins(5);
/// When an order is looked at again for which the account has no room.
const ROOM_AGAIN: SignedDuration = SignedDuration::from_hours(1);

/// Who is behind what happens to an order, as the audit log names them.
pub(crate) type ActorOf<'a> = &'a (dyn Fn(&StoredOrder, &Connection) -> String + Sync);

/// What settling rests on, beside the orders.
pub(crate) struct Around<'a> {
    pub(crate) actor_of: ActorOf<'a>,
    pub(crate) identities: &'a Identities,
    pub(crate) connections: &'a [Arc<Connection>],
    /// What had become of the money of orders before, where something was told of them.
    pub(crate) aftermath: &'a HashMap<OrderId, Aftermath>,
    /// Keys that licenses were brought along with.
    pub(crate) brought: &'a Keys,
    pub(crate) now: Timestamp,
}

impl Engine {
    /// Settles orders, and gathers the rows that follow. The orders themselves are written by the caller.
    pub(crate) async fn settle_all(
        &self,
        write: &Write,
        orders: &mut [StoredOrder],
        around: Around<'_>,
    ) -> Result<OutcomeRows, Error> {
        let Around { actor_of, identities, connections, aftermath, brought, now } = around;
        let mut rows = OutcomeRows::default();
        let mut entropy = self.entropy();
        let ring = self.ring();
        let shelves = self.shelves(write, orders).await?;
        let open = write.open_attention(orders.iter().map(|order| order.id.0).collect()).await?;
        let mut admission = admission(write, &shelves, orders).await?;
        let buyers = buyers::find(write, orders, identities, &mut *entropy, now).await?;
        rows.news.extend(buyers.news());
        rows.news.extend(identities.news());
        let ahead = test_clocks(write, orders).await?;
        let to_adopt = adopt::find_all(write, &ring, orders, connections, brought).await?;
        for order in orders {
            let ahead = ahead.get(&order.tenant).copied().filter(|_| !order.livemode).unwrap_or_default();
            let known = (find(connections, order.connection), shelves.get(&order.tenant));
            let (Some(connection), Some(shelf)) = known else {
                // What is known here may be old: another node made its connection just now.
                order.due_at = Some(after(now, UNKNOWN_CONNECTION));
                continue;
            };
            let address = identities.address(order);
            // Nobody is to be written to any more, and what was paid for is given all the same.
            let can_be_told = address.is_some() || order.order.erased.is_some();
            let is_new = order.licenses.is_empty();
            order.customer = order.customer.or_else(|| buyers.of(order.id));
            let admission = admission.entry((order.tenant, order.livemode)).or_default();
            let none = ToAdopt::default();
            let to_adopt = to_adopt.get(&order.id).unwrap_or(&none);
            let offered = adopt::offered(connection, &order.order, to_adopt);
            let times = (now, after(now, ahead));
            let settled = settle(order, shelf, can_be_told, offered, admission, &mut *entropy, times);
            let sale = |(matcher, sold_at)| RuleSale::new(order.connection, &matcher, sold_at, order.id);
            rows.decided.extend(decided_by_rules(&order.order, now).into_iter().map(sale));
            // The clock of test mode decides; when that comes to pass is a real moment.
            order.due_at = order.due_at.map(|due| after(due, -ahead));
            let open = open.iter().filter(|item| item.order_id == Some(order.id.0));
            note_attention(order, &settled.waiting, connection, open, &mut rows, &mut *entropy, now);
            let (actor, address) = (actor_of(order, connection), address.as_ref());
            let outcome = Outcome { order, shelf, connection, actor, address, ring: &ring, to_adopt, is_new, now };
            outcome.rows(settled.changes, &mut rows, &mut *entropy);
            if let Some(before) = aftermath.get(&outcome.order.id) {
                let after = Aftermath::of(&outcome.order.order);
                rows.news.extend(after.since(before).map(|kind| outcome.sale().of_order(kind)));
            }
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

/// How far the clocks of test mode are ahead, as this transaction sees them, for the tenants that have such orders here.
async fn test_clocks(write: &Write, orders: &[StoredOrder]) -> Result<HashMap<TenantId, SignedDuration>, Error> {
    let mut ahead = HashMap::new();
    for order in orders.iter().filter(|order| !order.livemode) {
        if let Entry::Vacant(entry) = ahead.entry(order.tenant) {
            entry.insert(write.test_clock(order.tenant).await?);
        }
    }
    Ok(ahead)
}

/// Whether the tenants of a batch may have new licenses, live and in test mode. Only for accounts with a limit is anything
/// counted, and such a tenant's batches go one after the other from here on, so that no two fill the same place.
async fn admission(
    write: &Write,
    shelves: &HashMap<TenantId, Arc<Shelf>>,
    orders: &[StoredOrder],
) -> Result<HashMap<(TenantId, bool), Admission>, Error> {
    let mut admission = HashMap::new();
    for (tenant, livemode) in orders.iter().map(|order| (order.tenant, order.livemode)).collect::<BTreeSet<_>>() {
        let Some(shelf) = shelves.get(&tenant) else { continue };
        let may = match (shelf.standing.status, shelf.standing.account.licenses_max) {
            (AccountStatus::Suspended | AccountStatus::Closed, _) => Admission::Stopped,
            // Trying things out takes no room.
            (AccountStatus::Active, Some(most)) if livemode => {
                write.lock_audit_chains(&[tenant].into()).await?;
                Admission::Room(u64::from(most).saturating_sub(write.licenses_that_count(tenant).await?))
            }
            (AccountStatus::Active, _) => Admission::Open,
        };
        admission.insert((tenant, livemode), may);
    }
    Ok(admission)
}

/// Decides, reconciles, and sets the moment at which the order must be looked at again.
fn settle(
    order: &mut StoredOrder,
    shelf: &Shelf,
    has_address: bool,
    offered: Option<Offered>,
    admission: &mut Admission,
    entropy: &mut dyn Entropy,
    (now, judged_at): (Timestamp, Timestamp),
) -> Settled {
    resolve(&mut order.order, order.connection, &shelf.catalogue, now);
    let (catalogue, may) = (&shelf.catalogue, *admission);
    let order_id = order.id;
    let mut settling =
        Settling { order: order_id, catalogue, has_address, offered, admission: may, now, judged_at, entropy };
    let settled = reconcile(&order.order, &mut order.licenses, &mut settling);
    *admission = settling.admission;
    let holding = order.licenses.iter().filter(|license| license.holding == Holding::Unit);
    order.due_at = holding.filter_map(|license| license.standing.next_check).chain(settled.look_again_at).min();
    if settled.waiting.contains(&Waiting::NoAddress) && !order.order.customers.is_empty() {
        // Whoever learns of the customer's address wakes the order, unless both happen at the same moment.
        let again = after(judged_at, ADDRESS_AGAIN);
        order.due_at = Some(order.due_at.map_or(again, |due| due.min(again)));
    }
    if settled.waiting.contains(&Waiting::AccountFull) {
        // Licenses of other orders end by themselves, and nobody tells this one.
        let again = after(judged_at, ROOM_AGAIN);
        order.due_at = Some(order.due_at.map_or(again, |due| due.min(again)));
    }
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
        .filter(|waiting| attention::is_for_a_person(waiting, connection))
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
