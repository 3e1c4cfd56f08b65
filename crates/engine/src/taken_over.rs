//! A webhook call whose caller waits a moment for what came of it: which customer of ours its event is about (C11, X25).
//!
//! Nothing hangs on the wait. The event is committed before it begins, and whoever does not hear the outcome hears that it
//! was received.

use std::{sync::Arc, time::Duration};

use domain::{
    fact::Fact,
    id::{CustomerId, InboundId},
};
use providers::{Delivery, Incoming};
use store::{
    inbox::status,
    lists::{KeptFact, Whose},
    rows::Customer,
};

use crate::{
    Engine, Error,
    connections::{Connection, FRESH},
    receive::{Door, Received, believe},
};

/// How often a waiting caller looks, in case another node has done the work.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What came of an event in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenOver {
    /// The provider's word for what happened.
    pub kind: String,
    /// The customer that it is about.
    pub customer: CustomerId,
}

impl Engine {
    /// Takes a webhook call in, as [`Engine::receive`] does. If it has one event, and that is of one of these kinds, waits
    /// for it, `patience` at most. None: it said nothing of a customer, or is not done yet.
    pub async fn receive_and_wait(
        &self,
        provider: &str,
        tenant: &str,
        delivery: &Delivery<'_>,
        kinds: &[&str],
        patience: Duration,
    ) -> (Received, Option<TakenOver>) {
        let received = self.receive(provider, tenant, delivery).await;
        let is_kept = matches!(&received, Received::Answer(answer) if (200..300).contains(&answer.status));
        if !is_kept {
            return (received, None);
        }
        let waiting = self.outcome_of(provider, tenant, delivery, kinds);
        let outcome = match tokio::time::timeout(patience, waiting).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => {
                tracing::warn!(%error, "what came of an event is not known yet; it is kept and answered as received");
                None
            }
            Err(_) => None,
        };
        (received, outcome)
    }

    async fn outcome_of(
        &self,
        provider: &str,
        tenant: &str,
        delivery: &Delivery<'_>,
        kinds: &[&str],
    ) -> Result<Option<TakenOver>, Error> {
        let connections = self.connections_within(FRESH).await?;
        let Ok((connection, verified)) = believe(&connections, provider, Door::Tenant(tenant), delivery, self.now())
        else {
            return Ok(None);
        };
        let Some(Ok([event])) = connection.provider.incoming(&verified).ok().map(<[Incoming; 1]>::try_from) else {
            return Ok(None);
        };
        if !kinds.contains(&event.kind.as_str()) {
            return Ok(None);
        }
        let Some(done) = self.wait_until_done(connection, &event).await? else { return Ok(None) };
        let customer = self.customer_of_event(connection, done).await?;
        Ok(customer.map(|customer| TakenOver { kind: event.kind, customer }))
    }

    /// The event, as soon as it is done. None: a person must look at it first, or has set it aside.
    async fn wait_until_done(&self, connection: &Connection, event: &Incoming) -> Result<Option<InboundId>, Error> {
        let mut batches = self.batches.subscribe();
        loop {
            match self.store.progress_of_event(connection.id, &event.key).await? {
                Some((id, status)) if status == status::DONE => return Ok(Some(id)),
                Some((_, status)) if ![status::HELD, status::IGNORED].contains(&status.as_str()) => {}
                _ => return Ok(None),
            }
            // Whichever comes first; a closed channel only means that the process is stopping.
            let _ = tokio::time::timeout(LOOK_AGAIN, batches.changed()).await;
        }
    }

    /// Who bought, or who the provider's customer is.
    async fn customer_of_event(
        &self,
        connection: &Arc<Connection>,
        event: InboundId,
    ) -> Result<Option<CustomerId>, Error> {
        let whose = Whose { tenant: connection.tenant, livemode: connection.mode.is_live() };
        for KeptFact { order, fact } in self.store.facts_of(event).await? {
            let found = match (order, fact) {
                (Some(order), _) => self.store.order(whose, order).await?.and_then(|(order, _)| order.customer),
                (None, Fact::Customer(told)) => {
                    let snapshot = told.snapshot.value;
                    match snapshot.email.filter(|_| !snapshot.deleted) {
                        Some(email) => Some(self.find_or_make_customer(whose, &email, snapshot.name).await?),
                        None => None,
                    }
                }
                (None, Fact::Order(_)) => None,
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The customer with that address. One who is there stays as they are: whoever can name an address changes nothing of
    /// its owner's.
    async fn find_or_make_customer(
        &self,
        whose: Whose,
        email: &domain::text::EmailAddress,
        name: Option<Box<str>>,
    ) -> Result<CustomerId, Error> {
        let now = self.now();
        let customer = Customer {
            id: CustomerId::new(now, &mut *self.entropy()).0,
            tenant_id: whose.tenant.0,
            livemode: whose.livemode,
            email_normalised: email.normalised(),
            email: email.as_str().to_owned(),
            name: name.map(Into::into),
            created_at: now.as_microsecond(),
            erased_at: None,
            merged_into: None,
        };
        let once = || async {
            let write = self.store.begin().await?;
            let found = write.find_or_create_customers(vec![customer.clone()]).await?;
            write.commit().await?;
            Ok::<_, Error>(found.first().map_or(CustomerId(customer.id), Customer::stands_for))
        };
        store::repeat(once, Error::is_conflict).await
    }
}
