//! Which facts of a batch, and which stored orders, are about one sale.

use std::collections::{BTreeSet, HashMap};

use domain::{
    id::{ConnectionId, InboundId, OrderId},
    join::Join,
    order::Order,
    text::Reference,
};

/// Facts that share references, with the stored orders that have one of these references.
#[derive(Debug, Default)]
pub(crate) struct Group {
    /// The stored orders, which turn out to be one if there are several.
    pub(crate) orders: BTreeSet<OrderId>,
    /// What the facts say together.
    pub(crate) news: Order,
    /// The facts, by event and position.
    pub(crate) facts: Vec<(InboundId, u32)>,
}

/// A name of a sale: unique within its connection.
pub(crate) type Name = (ConnectionId, Reference);

/// What an event said about a sale.
pub(crate) struct Told {
    /// Where it was told.
    pub(crate) connection: ConnectionId,
    /// By which event, and which of its facts it is.
    pub(crate) by: (InboundId, u32),
    /// The small order.
    pub(crate) order: Order,
}

/// Puts together what belongs together. `known` says which references name stored orders.
pub(crate) fn group(told: Vec<Told>, known: &HashMap<Name, OrderId>) -> Vec<(ConnectionId, Group)> {
    let mut groups: Vec<Option<(ConnectionId, Group)>> = Vec::new();
    let mut by_name: HashMap<Name, usize> = HashMap::new();
    let mut by_order: HashMap<OrderId, usize> = HashMap::new();
    for Told { connection, by, order } in told {
        let names: Vec<Name> = order.references.iter().map(|reference| (connection, reference.clone())).collect();
        let orders: BTreeSet<OrderId> = names.iter().filter_map(|name| known.get(name).copied()).collect();
        let met: BTreeSet<usize> = names
            .iter()
            .filter_map(|name| by_name.get(name))
            .chain(orders.iter().filter_map(|order| by_order.get(order)))
            .copied()
            .collect();
        let mut group = Group { orders, news: order, facts: vec![by] };
        for place in &met {
            if let Some((_, other)) = groups[*place].take() {
                group.orders.extend(other.orders);
                group.news.join(other.news);
                group.facts.extend(other.facts);
            }
        }
        let place = met.first().copied().unwrap_or(groups.len());
        if place == groups.len() {
            groups.push(None);
        }
        // Names and orders of swallowed groups must lead here too.
        for reference in &group.news.references {
            by_name.insert((connection, reference.clone()), place);
        }
        by_order.extend(group.orders.iter().map(|order| (*order, place)));
        groups[place] = Some((connection, group));
    }
    groups.into_iter().flatten().collect()
}
