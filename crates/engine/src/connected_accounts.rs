//! Connected accounts: an event that comes to a platform's endpoint belongs to the connection of the account that it names
//! (D11 to D14), wherever that connection's tenant is.

use std::{collections::BTreeMap, sync::Arc};

use domain::{
    Entropy,
    id::{ConnectionId, InboundId, TenantId},
};
use jiff::Timestamp;
use providers::{Incoming, Settings};
use store::{Write, inbox::status, rows};
use uuid::Uuid;

use crate::{
    Engine, Error, attention,
    connections::{Connection, account_of},
    receive::{Arrival, arrival as arrival_at, kept},
    rulings::By,
};

/// Who says that an account was disconnected, in the audit log.
const ACTOR: &str = "provider";

/// Whose an event is that was believed.
#[derive(Clone, Copy)]
pub(crate) enum Whose<'c> {
    /// That of the connection it came in by.
    Own,
    /// A connected account's.
    Of(&'c Arc<Connection>),
    /// Of the money that the platform is not about. A live endpoint for connected accounts gets their test events too.
    OtherMode,
    /// That of an account which nobody has connected, or which has no business at the connection it came in by.
    Nobody,
}

/// Finds out whose an event is.
pub(crate) fn whose<'c>(connections: &'c [Arc<Connection>], by: &Connection, event: &Incoming) -> Whose<'c> {
    match owner(connections, by, event.account.as_deref()) {
        Whose::Own => Whose::Own,
        _ if event.live.is_some_and(|live| live != by.mode.is_live()) => Whose::OtherMode,
        other => other,
    }
}

/// Finds out whose events of an account are. A vendor's own endpoint may be one that hears of accounts connected to a platform
/// of theirs: what others sell there is not the vendor's sale, and their key could not look it up.
pub(crate) fn owner<'c>(connections: &'c [Arc<Connection>], by: &Connection, account: Option<&str>) -> Whose<'c> {
    let Some(account) = account.filter(|account| by.settings.account.as_deref() != Some(account)) else {
        return Whose::Own;
    };
    if !by.settings.platform {
        return Whose::Nobody;
    }
    let is_it = |connection: &&Arc<Connection>| {
        connection.settings.account.as_deref() == Some(account)
            && connection.provider.info().slug == by.provider.info().slug
            && connection.mode == by.mode
    };
    connections.iter().find(is_it).map_or(Whose::Nobody, Whose::Of)
}

/// The event as it enters the inbox of whoever it belongs to. What belongs to nobody is kept where it came in: done if it says
/// nothing or is of the other mode, and held where a person sees it if it may be a sale.
pub(crate) fn arrival(
    whose: Whose<'_>,
    by: &Connection,
    event: Incoming,
    now: Timestamp,
    entropy: &mut dyn Entropy,
) -> Arrival {
    let says_nothing = by.provider.ignores(&event.kind).is_some();
    match whose {
        Whose::Own => arrival_at(by, event, now, entropy),
        Whose::Of(connection) => arrival_at(connection, event, now, entropy),
        Whose::Nobody if !says_nothing => {
            let account = event.account.clone().unwrap_or_default();
            let mut row = kept(by, &event, InboundId::new(now, entropy), now);
            status::HELD.clone_into(&mut row.status);
            row.error = Some(match by.settings.platform {
                true => format!("no tenant has connected the account {account}"),
                false => format!("the account {account} is another than that of `{}`", by.code),
            });
            let attention = Some(attention::unknown_account(by, &account, &row, now, entropy));
            Arrival { event: row, attention }
        }
        Whose::Nobody | Whose::OtherMode => {
            let row = kept(by, &event, InboundId::new(now, entropy), now);
            let livemode = event.live.unwrap_or(row.livemode);
            let done_at = Some(now.as_microsecond());
            let row = rows::InboundEvent { status: status::DONE.to_owned(), livemode, done_at, ..row };
            Arrival { event: row, attention: None }
        }
    }
}

impl Engine {
    /// Marks a connection whose account its vendor has disconnected. Nothing is asked with the platform's key any more, and
    /// checkouts are refused. An event that was heard before says nothing new: the account may be connected again.
    pub(crate) async fn note_disconnection(&self, whose: Whose<'_>, event: &Incoming) -> Result<(), Error> {
        let Whose::Of(connection) = whose else { return Ok(()) };
        if connection.provider.accounts().is_none_or(|accounts| accounts.disconnection() != event.kind)
            || !self.store.known_events(connection.id, vec![event.key.clone()]).await?.is_empty()
        {
            return Ok(());
        }
        store::repeat(|| self.disconnect_once(connection), Error::is_conflict).await?;
        self.configuration_changed();
        Ok(())
    }

    /// A tenant has an account connected: it gets what the platform holds for it, and what a person was told is over.
    pub(crate) async fn note_connected(&self, write: &Write, row: &rows::Connection) -> Result<(), Error> {
        let settings = settings(row)?;
        let Some(account) = settings.account.filter(|_| !settings.disconnected) else { return Ok(()) };
        let (tenant, id, now) = (TenantId(row.tenant_id), ConnectionId(row.id), self.now());
        write.close_items_about(tenant, attention::DISCONNECTED, vec![id.to_string()], now).await?;
        for platform in platforms_of(write, row).await? {
            self.hand_over(
                write,
                (TenantId(platform.tenant_id), ConnectionId(platform.id)),
                &account,
                None,
                (tenant, id),
            )
            .await?;
        }
        Ok(())
    }

    /// Gives the events of an account that are held at a platform to the connection that has the account, to be worked on
    /// there, and `also` that one, whatever became of it. One that the connection knows already is done.
    pub(crate) async fn hand_over(
        &self,
        write: &Write,
        (operator, platform): (TenantId, ConnectionId),
        account: &str,
        also: Option<&rows::InboundEvent>,
        (tenant, connection): (TenantId, ConnectionId),
    ) -> Result<(), Error> {
        let now = self.now();
        let held = write.held_events_of(account).await?.into_iter().filter(|event| event.connection_id == platform.0);
        let events: BTreeMap<Uuid, String> =
            also.cloned().into_iter().chain(held).map(|event| (event.id, event.event_key)).collect();
        let known = write.bodies_of_events(connection, events.values().cloned().collect()).await?;
        let (known, new): (Vec<_>, Vec<_>) = events.into_iter().partition(|(_, key)| known.contains_key(key));
        let ids = |events: Vec<(Uuid, String)>| events.into_iter().map(|(id, _)| InboundId(id)).collect::<Vec<_>>();
        write.finish_events(ids(known), now).await?;
        write.give_events(ids(new), tenant, connection).await?;
        let subject = attention::account_at(account, platform);
        Ok(write.close_items_about(operator, attention::UNKNOWN_ACCOUNT, vec![subject], now).await?)
    }

    async fn disconnect_once(&self, connection: &Connection) -> Result<(), Error> {
        let (tenant, now) = (connection.tenant, self.now());
        let write = self.store.begin().await?;
        write.lock_catalogue(tenant).await?;
        let rows = write.lock_connections(tenant).await?;
        let Some(row) = rows.into_iter().find(|row| row.id == connection.id.0) else { return Ok(()) };
        let settings = Settings { disconnected: true, ..settings(&row)? };
        let detail = serde_json::json!({ "name": row.code, "account": settings.account });
        let settings = serde_json::to_string(&settings).map_err(Error::Document)?;
        write.save_connection(rows::Connection { settings, ..row }).await?;
        write.open_items(vec![attention::disconnected(connection, now, &mut *self.entropy())]).await?;
        // Another connection may sell from now on.
        self.follow_prices(&write, tenant, now).await?;
        let by = By { actor: ACTOR.to_owned(), note: None };
        let entry = self.told(tenant, "connection.disconnected", connection.id.to_string(), None, &detail, &by);
        crate::audit::add(&write, vec![entry]).await?;
        Ok(write.commit().await?)
    }
}

/// A connection and, where it is a platform, those whose accounts are reached with its key.
pub(crate) async fn asked_with(write: &Write, row: &rows::Connection) -> Result<Vec<ConnectionId>, Error> {
    let is_platform = settings(row)?.platform;
    let others = write.connections().await?;
    let served = others.iter().filter(|other| is_platform && is_of_one_kind(row, other) && account_of(other).is_some());
    Ok(served.chain([row]).map(|row| ConnectionId(row.id)).collect())
}

/// The platforms that serve a connection.
async fn platforms_of(write: &Write, row: &rows::Connection) -> Result<Vec<rows::Connection>, Error> {
    let is_platform = |other: &rows::Connection| {
        is_of_one_kind(row, other) && settings(other).is_ok_and(|settings| settings.platform)
    };
    Ok(write.connections().await?.into_iter().filter(is_platform).collect())
}

/// Whether two connections are at the same provider and about the same money.
fn is_of_one_kind(one: &rows::Connection, other: &rows::Connection) -> bool {
    (&one.provider, &one.mode) == (&other.provider, &other.mode)
}

fn settings(row: &rows::Connection) -> Result<Settings, Error> {
    serde_json::from_str(&row.settings).map_err(Error::Document)
}
