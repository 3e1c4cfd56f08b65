//! What became of an event, for people to follow.

use std::collections::BTreeSet;

use domain::id::{InboundId, OrderId};
use jiff::Timestamp;
use providers::http::{Answer, Request};
use serde::de::DeserializeOwned;
use store::{
    lists::KeptFact,
    rows::{AttentionItem, AuditEntry, InboundEvent},
};

use crate::{Engine, Error};

/// What became of an event.
#[derive(Clone, Debug)]
pub struct Trace {
    /// What has to be looked up before it can be understood.
    pub asks: Vec<Request>,
    /// What was looked up. The bodies are the provider's, and may hold secrets: they are not for showing.
    pub answers: Vec<Answer>,
    /// What it said.
    pub facts: Vec<KeptFact>,
    /// The orders that know it now.
    pub orders: BTreeSet<OrderId>,
    /// What changed in these orders when it was done. Events of one order that come together are handled together.
    pub changes: Vec<AuditEntry>,
    /// What needs, or needed, a person because of it.
    pub attention: Vec<AttentionItem>,
}

impl Engine {
    /// What became of an event.
    ///
    /// # Errors
    /// Those of the database, or a stored fact does not read.
    pub async fn trace(&self, event: &InboundEvent) -> Result<Trace, Error> {
        let (id, store) = (InboundId(event.id), &self.store);
        let facts = store.facts_of(id).await?;
        let orders: BTreeSet<OrderId> = facts.iter().filter_map(|kept| kept.order).collect();
        let changes = match event.done_at.and_then(|at| Timestamp::from_microsecond(at).ok()) {
            Some(at) => store.changes_at(orders.clone(), at).await?,
            None => Vec::new(),
        };
        let attention = store.attention_of_event(id).await?;
        let (asks, answers) = (read(event.requests.as_deref()), read(event.answers.as_deref()));
        Ok(Trace { asks, answers, facts, orders, changes, attention })
    }
}

fn read<T: DeserializeOwned>(text: Option<&str>) -> Vec<T> {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}
