//! A person sets an event aside that nobody can work on: they say why, and hear first what is given up by it.

use std::{collections::BTreeSet, fmt};

use domain::{
    fact::Fact,
    id::{ConnectionId, InboundId, TenantId},
    join::Join,
    order::{Order, Untold},
};
use jiff::SignedDuration;
use providers::Step;
use serde_json::json;
use store::{Write, inbox::status, lists::Whose, rows::InboundEvent};

use crate::{
    Engine, Error, attention,
    connected_accounts::{self as accounts, Whose as Owner},
    connections::find,
    fulfil::translate,
    receive,
    rulings::By,
};

/// What nobody gets if an event is set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Nothing: what it says of purchases, paid time, subscriptions and keys is known without it.
    Nothing,
    /// Nobody can tell: it does not read, or it says something of these that is known from nowhere else, though no payment.
    Unknown,
    /// This was paid, and is known from nowhere else.
    Paid(Vec<Untold>),
}

impl Loss {
    /// Whether a buyer may go without what they paid for.
    #[must_use]
    pub const fn may_be_a_sale(&self) -> bool {
        !matches!(self, Self::Nothing)
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => formatter.write_str(
                "no buyer misses anything: what it says of purchases, paid time, subscriptions and keys is known without it",
            ),
            Self::Unknown => formatter.write_str(
                "nobody can tell what is lost by it: its buyer may go without a license, a key or time that is theirs",
            ),
            Self::Paid(paid) => {
                let paid: Vec<String> = paid.iter().map(ToString::to_string).collect();
                formatter.write_str(&paid.join("; "))
            }
        }
    }
}

/// Why an event is not set aside.
#[derive(Debug, thiserror::Error)]
pub enum IgnoreError {
    /// It is on its way by itself, or over.
    #[error("the event is {0}: only one that is held, or whose look-ups fail, is set aside")]
    NotStuck(String),
    /// Nobody could follow later why a sale has no license.
    #[error("an event is set aside with a reason, which stands with it and in the audit log; say one")]
    NoReason,
    /// A paid order is never lost silently.
    #[error("to set the event aside gives up what a buyer paid for, unless that is meant: {0}")]
    GivesUp(Loss),
    /// Something else.
    #[error(transparent)]
    Engine(#[from] Error),
}

impl From<store::StoreError> for IgnoreError {
    fn from(error: store::StoreError) -> Self {
        Self::Engine(error.into())
    }
}

impl IgnoreError {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Engine(error) if error.is_conflict())
    }
}

/// Whether nothing happens to an event before a person has looked at it, or its provider has changed its mind.
fn is_stuck(event: &InboundEvent) -> bool {
    match event.status.as_str() {
        status::HELD => true,
        status::WAITING => event.error.is_some(),
        _ => false,
    }
}

impl Engine {
    /// What would be given up if an event were set aside. None: it is not one that is.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn loss_of_ignoring(&self, event: &InboundEvent) -> Result<Option<Loss>, Error> {
        if is_stuck(event) { Ok(Some(self.loss(event).await?)) } else { Ok(None) }
    }

    async fn loss(&self, event: &InboundEvent) -> Result<Loss, Error> {
        if receive::is_nonsense(event) {
            return Ok(Loss::Unknown);
        }
        let connections = self.connections().await?;
        let step = find(&connections, ConnectionId(event.connection_id)).map(|by| translate(by, event));
        let (facts, is_all) = match step {
            Some(Ok(Step::Facts(facts))) => (facts, true),
            Some(Ok(Step::Partly { facts, .. })) => (facts, false),
            Some(Ok(Step::Need(_)) | Err(_)) | None => return Ok(Loss::Unknown),
        };
        let (mut paid, mut says_more) = (Vec::new(), !is_all);
        for fact in facts {
            if let Fact::Order(order) = fact {
                let known = self.known_of(event, &order).await?;
                paid.extend(order.untold(known.as_ref()));
                says_more |= order.says_more_than(known.as_ref());
            }
        }
        Ok(match (paid.is_empty(), says_more) {
            (false, _) => Loss::Paid(paid),
            (true, false) => Loss::Nothing,
            (true, true) => Loss::Unknown,
        })
    }

    /// What is known of a sale without this event: of all orders that it names, since it may be what makes them one.
    async fn known_of(&self, event: &InboundEvent, sale: &Order) -> Result<Option<Order>, Error> {
        let (whose, connection) = (Whose::of_event(event), ConnectionId(event.connection_id));
        let (mut known, mut met) = (None, BTreeSet::new());
        for name in &sale.references {
            let Some((id, _)) = self.store.order_licenses(connection, name).await? else { continue };
            if met.insert(id) {
                known.join(self.store.order(whose, id).await?.map(|(stored, _)| stored.order));
            }
        }
        Ok(known)
    }

    /// Sets an event aside: nobody works on it, and what told of it closes, until somebody plays it again. One that may be a
    /// sale whose buyer then gets nothing is set aside only if `gives_up`. Returns the event as it is then; none: there is no
    /// such event.
    ///
    /// # Errors
    /// It is not held and no look-up of it fails, there is no reason, what it gives up is not meant to be given up, or those of
    /// the database.
    pub async fn ignore(
        &self,
        whose: Whose,
        id: InboundId,
        gives_up: bool,
        by: &By,
    ) -> Result<Option<InboundEvent>, IgnoreError> {
        store::repeat(|| self.ignore_once(whose, id, gives_up, by), IgnoreError::is_conflict).await
    }

    async fn ignore_once(
        &self,
        whose: Whose,
        id: InboundId,
        gives_up: bool,
        by: &By,
    ) -> Result<Option<InboundEvent>, IgnoreError> {
        let reason = by.note.clone().ok_or(IgnoreError::NoReason)?;
        let write = self.store.begin().await?;
        let Some(event) = write.lock_inbound_event(whose, id).await? else { return Ok(None) };
        if !is_stuck(&event) {
            return Err(IgnoreError::NotStuck(event.status));
        }
        let loss = self.loss(&event).await?;
        if loss.may_be_a_sale() && !gives_up {
            return Err(IgnoreError::GivesUp(loss));
        }
        let detail = json!({
            "event": event.kind, "problem": event.error, "gives_up": loss.may_be_a_sale().then(|| loss.to_string()),
            "note": by.note,
        });
        let event = InboundEvent {
            status: status::IGNORED.to_owned(),
            error: Some(reason),
            next_attempt_at: None,
            lease_token: None,
            lease_until: None,
            done_at: Some(self.now().as_microsecond()),
            ..event
        };
        write.update_events(vec![event.clone()]).await?;
        self.close_what_told_of(&write, &event).await?;
        let order = write.order_of_event(id).await?;
        let entry = self.told(whose.tenant, "event.ignored", id.to_string(), order, &detail, by);
        crate::audit::add(&write, vec![entry]).await?;
        write.commit().await?;
        Ok(Some(event))
    }

    /// Closes the items of an event that is set aside. One that is about all events of an account goes with the last of them.
    async fn close_what_told_of(&self, write: &Write, event: &InboundEvent) -> Result<(), Error> {
        let (now, id) = (self.now(), ConnectionId(event.connection_id));
        let connections = self.connections_within(SignedDuration::ZERO).await?;
        let is_own = |account: &str| {
            let by = find(&connections, id);
            by.is_none_or(|by| matches!(accounts::owner(&connections, by, Some(account)), Owner::Own))
        };
        let Some(account) = event.account.as_deref().filter(|account| !is_own(account)) else {
            return Ok(write.close_items_of_events(vec![event.id], now).await?);
        };
        let held = write.held_events_of(account).await?;
        if held.iter().all(|other| other.connection_id != event.connection_id) {
            let subject = attention::account_at(account, id);
            let tenant = TenantId(event.tenant_id);
            write.close_items_about(tenant, attention::UNKNOWN_ACCOUNT, vec![subject], now).await?;
        }
        Ok(())
    }
}
