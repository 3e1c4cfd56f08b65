//! A person looks at what was delivered: plays an event again, or lays an attention item aside.

mod call;
mod ignore;
mod trace;

use std::{collections::BTreeSet, sync::Arc};

use domain::{
    id::{AttentionId, ConnectionId, InboundId, OrderId, TenantId},
    time::after,
};
use jiff::SignedDuration;
use providers::http::Answer;
use serde_json::json;
use store::{
    Write, inbox,
    lists::Whose,
    rows::{AttentionItem, InboundEvent},
};

use crate::{
    Engine, Error, attention,
    catchup::LOOKUPS_PER_SECOND,
    connected_accounts::{self as accounts, Whose as Owner},
    connections::{Connection, FRESH, find},
    receive,
    rulings::By,
};

pub use self::{
    call::Call,
    ignore::{IgnoreError, Loss},
    trace::Trace,
};
pub use crate::fulfil::Rehearsal;

/// Why an event is not played again.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// Played as it is, test money would give live licenses, or the other way round.
    #[error("the event is of another mode than its connection, so its facts must not count there")]
    WrongMode,
    /// It told of somebody whose data was erased.
    #[error(
        "the data of the customer that the event told of was erased, and its body with it; what it said otherwise still counts"
    )]
    Erased,
    /// There is nothing in it that could be said again.
    #[error("the event's body is not of its provider's form, so there is nothing to play again; dismiss its item")]
    NotUnderstood,
    /// Played as it is, what one account sold would give licenses in the name of another.
    #[error(
        "the event is of the account {0}, which no tenant has connected; connect it with `keywright connect`, which has the \
         event worked on in the name of that tenant, or dismiss its item"
    )]
    NotConnected(String),
    /// Nobody's account: it came in by a vendor's own endpoint, which is about another.
    #[error(
        "the event is of the account {0}, and its connection is about another, so nothing is issued for it; have the webhook \
         endpoint listen to your own account only, then dismiss its item"
    )]
    OtherAccount(String),
    /// Something else.
    #[error(transparent)]
    Engine(#[from] Error),
}

impl From<store::StoreError> for ReplayError {
    fn from(error: store::StoreError) -> Self {
        Self::Engine(error.into())
    }
}

impl ReplayError {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Engine(error) if error.is_conflict())
    }
}

impl Engine {
    /// Has an event worked on again, whatever has become of it. It says what it said before: the answers that were
    /// looked up are kept, unless `fresh` asks for new ones; only what the API key was refused is asked again. One of an account that was connected since goes to whoever has
    /// connected it. Returns the event as it is then; none: there is no such event.
    ///
    /// # Errors
    /// The event must not be played, or those of the database.
    pub async fn replay(
        &self,
        whose: Whose,
        id: InboundId,
        fresh: bool,
        by: &By,
    ) -> Result<Option<InboundEvent>, ReplayError> {
        let replayed = store::repeat(|| self.replay_once(whose, id, fresh, by), ReplayError::is_conflict).await?;
        self.work.notify_one();
        Ok(replayed)
    }

    async fn replay_once(
        &self,
        whose: Whose,
        id: InboundId,
        fresh: bool,
        by: &By,
    ) -> Result<Option<InboundEvent>, ReplayError> {
        // Whose an event is may have changed a moment ago, at another node.
        let connections = self.connections_within(SignedDuration::ZERO).await?;
        let Some((write, event, owner)) = self.playable(&connections, whose, id).await? else { return Ok(None) };
        let order = write.order_of_event(id).await?;
        let detail = json!({ "event": event.kind, "before": event.status, "fresh": fresh, "note": by.note });
        let account = event.account.clone().unwrap_or_default();
        let (place, event) = ((whose.tenant, ConnectionId(event.connection_id)), again(event, fresh));
        match owner {
            None => write.update_events(vec![event]).await?,
            Some(owner) => {
                self.hand_over(&write, place, &account, Some(&event), (owner.tenant, owner.id)).await?;
            }
        }
        crate::audit::add(&write, vec![self.told(whose.tenant, "event.replayed", id.to_string(), order, &detail, by)])
            .await?;
        let event = write.inbound_event(id).await?;
        write.commit().await?;
        Ok(event)
    }

    /// An event that may be played again, locked in a transaction, and who has connected its account since. None: there is
    /// no such event.
    async fn playable<'c>(
        &self,
        connections: &'c [Arc<Connection>],
        whose: Whose,
        id: InboundId,
    ) -> Result<Option<(Write, InboundEvent, Option<&'c Arc<Connection>>)>, ReplayError> {
        let items = self.store.attention_of_event(id).await?;
        let write = self.store.begin().await?;
        let Some(event) = write.lock_inbound_event(whose, id).await? else { return Ok(None) };
        if event.body == inbox::ERASED {
            return Err(ReplayError::Erased);
        }
        if receive::is_nonsense(&event) {
            return Err(ReplayError::NotUnderstood);
        }
        let came_wrong = items.iter().any(|item| item.kind == attention::WRONG_MODE);
        let connection = find(connections, ConnectionId(event.connection_id));
        let moved = connection.is_some_and(|connection| connection.mode.is_live() != event.livemode);
        // An event that came in the wrong mode fits only a connection whose mode was changed since, and no other does.
        if came_wrong != moved {
            return Err(ReplayError::WrongMode);
        }
        let owner = connection.map_or(Owner::Own, |by| accounts::owner(connections, by, event.account.as_deref()));
        match owner {
            Owner::Own => Ok(Some((write, event, None))),
            Owner::Of(owner) => Ok(Some((write, event, Some(owner)))),
            Owner::Nobody | Owner::OtherMode => {
                let is_platform = connection.is_some_and(|connection| connection.settings.platform);
                let why = if is_platform { ReplayError::NotConnected } else { ReplayError::OtherAccount };
                Err(why(event.account.unwrap_or_default()))
            }
        }
    }

    /// What an event would come to if it were played again now: all of it is worked out, and nothing is written. None:
    /// there is no such event.
    ///
    /// # Errors
    /// The event must not be played, or those of the database.
    pub async fn preview_replay(
        &self,
        whose: Whose,
        id: InboundId,
        fresh: bool,
    ) -> Result<Option<Rehearsal>, ReplayError> {
        store::repeat(|| self.preview_replay_once(whose, id, fresh), ReplayError::is_conflict).await
    }

    async fn preview_replay_once(
        &self,
        whose: Whose,
        id: InboundId,
        fresh: bool,
    ) -> Result<Option<Rehearsal>, ReplayError> {
        // Whose an event is may have changed a moment ago, at another node.
        let connections = self.connections_within(SignedDuration::ZERO).await?;
        let Some((write, event, owner)) = self.playable(&connections, whose, id).await? else { return Ok(None) };
        let rehearsal = match owner {
            None => self.rehearse(&write, again(event, fresh), &connections).await?,
            Some(_) => Rehearsal { goes_elsewhere: true, ..Rehearsal::default() },
        };
        write.let_go().await?;
        Ok(Some(rehearsal))
    }

    /// A connection's key may be allowed more than it was: what it was refused is asked again, for the sales that wait for it.
    pub(crate) async fn ask_what_was_refused(
        &self,
        write: &Write,
        asked_with_it: Vec<ConnectionId>,
        by: &By,
    ) -> Result<(), Error> {
        let mut orders = BTreeSet::new();
        for connection in asked_with_it {
            for kind in attention::FOR_A_KEY_TO_TELL {
                orders.extend(write.orders_waiting_for(connection, kind, None).await?);
            }
        }
        let events = write.looked_up_events_of(orders.into_iter().collect()).await?;
        // Not before every node knows the new key, and not all at once.
        let soonest = after(self.now(), FRESH);
        let (mut again, mut told) = (Vec::new(), Vec::new());
        for (place, event) in (0..).zip(events.into_iter().filter(was_refused)) {
            let detail = json!({ "event": event.kind, "before": event.status, "fresh": false, "note": by.note });
            let (tenant, id) = (TenantId(event.tenant_id), InboundId(event.id));
            let order = write.order_of_event(id).await?;
            told.push(self.told(tenant, "event.replayed", id.to_string(), order, &detail, by));
            let ask_at = after(soonest, SignedDuration::from_secs(place / LOOKUPS_PER_SECOND));
            again.push(InboundEvent { next_attempt_at: Some(ask_at.as_microsecond()), ..self::again(event, false) });
        }
        write.update_events(again).await?;
        crate::audit::add(write, told).await
    }

    /// A person has seen an item and does not want to see it again. None: there is no such item.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn dismiss(&self, whose: Whose, id: AttentionId, by: &By) -> Result<Option<AttentionItem>, Error> {
        store::repeat(|| self.dismiss_once(whose, id, by), Error::is_conflict).await
    }

    async fn dismiss_once(&self, whose: Whose, id: AttentionId, by: &By) -> Result<Option<AttentionItem>, Error> {
        let now = self.now();
        let write = self.store.begin().await?;
        let Some(mut item) = write.attention_item(whose, id).await? else { return Ok(None) };
        if item.dismissed_at.is_none() {
            item.dismissed_at = Some(now.as_microsecond());
            write.dismiss_item(id, now).await?;
            let order = item.order_id.map(OrderId);
            let detail = json!({ "kind": item.kind, "subject": item.subject, "note": by.note });
            crate::audit::add(
                &write,
                vec![self.told(whose.tenant, "attention.dismissed", id.to_string(), order, &detail, by)],
            )
            .await?;
            write.commit().await?;
        }
        Ok(Some(item))
    }
}

/// The event as if it had just come in. What was wrong with it stays until it is done, so that its item closes then; why it was
/// set aside does not.
fn again(event: InboundEvent, fresh: bool) -> InboundEvent {
    InboundEvent {
        status: inbox::status::RECEIVED.to_owned(),
        requests: None,
        answers: event.answers.filter(|_| !fresh).and_then(|answers| without_refusals(&answers)),
        attempts: 0,
        next_attempt_at: None,
        lease_token: None,
        lease_until: None,
        done_at: None,
        error: event.error.filter(|_| event.status != inbox::status::IGNORED),
        ..event
    }
}

/// The answers that say something of the sale. What a key was refused is asked again: it may be another key now.
fn without_refusals(answers: &str) -> Option<String> {
    let Some(mut known) = read(answers) else { return Some(answers.to_owned()) };
    known.retain(|answer| !answer.is_refusal());
    serde_json::to_string(&known).ok()
}

fn was_refused(event: &InboundEvent) -> bool {
    event.answers.as_deref().and_then(read).is_some_and(|answers| answers.iter().any(Answer::is_refusal))
}

fn read(answers: &str) -> Option<Vec<Answer>> {
    serde_json::from_str(answers).ok()
}
