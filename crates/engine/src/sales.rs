//! The orders that a batch touches: found by their references, made, joined, merged.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::{
    Entropy,
    id::{ConnectionId, InboundId, OrderId},
    join::Join,
    order::Order,
    text::Reference,
};
use jiff::Timestamp;
use store::{StoreError, StoredOrder, Write};

use crate::{
    Error,
    connections::{Connection, find},
    events::Aftermath,
    group::{Group, Name, Told, group},
};

/// The orders of a batch, loaded or new.
#[derive(Default)]
pub(crate) struct Sales {
    /// To be settled.
    pub(crate) orders: Vec<StoredOrder>,
    /// Orders that became part of another one, with that one.
    pub(crate) redirected: Vec<(StoredOrder, OrderId)>,
    /// References that no order had before.
    pub(crate) names: Vec<(ConnectionId, Reference, OrderId)>,
    /// Orders whose buyer has given another address than before.
    pub(crate) readdressed: BTreeSet<OrderId>,
    /// What had become of the money of each order before.
    pub(crate) aftermath: HashMap<OrderId, Aftermath>,
    /// The order of each fact.
    pub(crate) of_fact: HashMap<(InboundId, u32), OrderId>,
}

/// Finds or makes the order of every group of facts, joins what was said, and adds the orders that are due.
pub(crate) async fn gather(
    write: &Write,
    told: Vec<Told>,
    due: BTreeSet<OrderId>,
    connections: &[std::sync::Arc<Connection>],
    entropy: &mut dyn Entropy,
    now: Timestamp,
) -> Result<Sales, Error> {
    let names: BTreeSet<Name> = told
        .iter()
        .flat_map(|told| told.order.references.iter().map(|reference| (told.connection, reference.clone())))
        .collect();
    let known = write.orders_by_reference(&names).await?;
    let wanted: BTreeSet<OrderId> = known.values().copied().chain(due).collect();
    let loaded = write.load_orders(&wanted).await?;
    // A reference was read before its order was locked: whoever held the lock may have made it a part of another.
    let named: BTreeSet<OrderId> = known.values().copied().collect();
    if loaded.iter().any(|order| order.merged_into.is_some() && named.contains(&order.id)) {
        return Err(StoreError::changed_meanwhile("an order").into());
    }
    let mut stored: BTreeMap<OrderId, StoredOrder> = loaded.into_iter().map(|order| (order.id, order)).collect();
    let mut sales = Sales::default();
    for (connection, group) in group(told, &known) {
        let met: Vec<StoredOrder> = group.orders.iter().filter_map(|id| stored.remove(id)).collect();
        let Some(connection) = find(connections, connection) else { continue };
        let survivor = match met.is_empty() {
            true => vec![new_order(connection, OrderId::new(now, entropy), now)],
            false => met,
        };
        sales.add(connection, survivor, group, &known);
    }
    sales.orders.extend(stored.into_values().filter(|order| order.merged_into.is_none()));
    Ok(sales)
}

impl Sales {
    /// Joins what a group of facts said with its orders; the one with the smallest id survives.
    fn add(&mut self, connection: &Connection, met: Vec<StoredOrder>, group: Group, known: &HashMap<Name, OrderId>) {
        let mut met = met.into_iter();
        let Some(mut survivor) = met.next() else { return };
        self.aftermath.insert(survivor.id, Aftermath::of(&survivor.order));
        for loser in met {
            self.redirected.push((absorb(&mut survivor, loser), survivor.id));
        }
        for name in &group.news.references {
            if !known.contains_key(&(connection.id, name.clone())) {
                self.names.push((connection.id, name.clone(), survivor.id));
            }
        }
        let before = survivor.order.mailed_to().cloned();
        survivor.order.join(group.news);
        if connection.expects_buyers() && before.is_some() && survivor.order.mailed_to() != before.as_ref() {
            // What buyers type may be mistyped: whose sale it is follows from the last address.
            survivor.customer = None;
            self.readdressed.insert(survivor.id);
        }
        self.of_fact.extend(group.facts.into_iter().map(|fact| (fact, survivor.id)));
        self.orders.push(survivor);
    }
}

fn new_order(connection: &Connection, id: OrderId, now: Timestamp) -> StoredOrder {
    StoredOrder {
        id,
        tenant: connection.tenant,
        connection: connection.id,
        livemode: connection.mode.is_live(),
        customer: None,
        order: Order::default(),
        licenses: Vec::new(),
        due_at: None,
        merged_into: None,
        created_at: now,
    }
}

/// Two orders turned out to be one: the survivor takes everything over, the other becomes a redirect.
fn absorb(survivor: &mut StoredOrder, mut loser: StoredOrder) -> StoredOrder {
    let base = survivor.licenses.iter().map(|license| license.slot + 1).max().unwrap_or(0);
    survivor.order.join(std::mem::take(&mut loser.order));
    survivor.customer = survivor.customer.or(loser.customer);
    survivor.created_at = survivor.created_at.min(loser.created_at);
    survivor.licenses.extend(std::mem::take(&mut loser.licenses).into_iter().map(|mut license| {
        license.slot += base;
        license
    }));
    loser.due_at = None;
    loser.merged_into = Some(survivor.id);
    loser
}
