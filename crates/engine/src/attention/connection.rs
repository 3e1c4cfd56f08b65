//! What is wrong with a connection, or with an event that came by it.

use domain::{
    Entropy,
    id::{AttentionId, ConnectionId, TenantId},
    reason::day,
    silence::NO_EVENTS,
};
use jiff::Timestamp;
use providers::Reject;
use store::rows::{AttentionItem, InboundEvent};

use super::{
    BUYERS_REFUSED, DISCONNECTED, LOOKUP_FAILING, MALFORMED, NOT_CAUGHT_UP, SIGNATURES_FAILING, UNKNOWN_ACCOUNT,
    WRONG_MODE,
};
use crate::{connections::Connection, rejections::Row};

/// The item for an event that is not understood.
pub(crate) fn malformed(
    connection: &Connection,
    event: &InboundEvent,
    now: Timestamp,
    entropy: &mut dyn Entropy,
) -> AttentionItem {
    let problem = event.error.as_deref().unwrap_or_default();
    let sentence = format!("a signed event of {} is kept and held: {problem}", connection.code);
    of_event(MALFORMED, event, sentence, AttentionId::new(now, entropy), now)
}

/// The item for an event that nobody can work on, whatever it says.
pub(crate) fn held(event: &InboundEvent, now: Timestamp, entropy: &mut dyn Entropy) -> AttentionItem {
    let problem = event.error.as_deref().unwrap_or_default();
    let sentence = format!("the event {} is kept and held: {problem}", event.event_key);
    of_event(MALFORMED, event, sentence, AttentionId::new(now, entropy), now)
}

/// The item for an event of the wrong mode.
pub(crate) fn wrong_mode(
    connection: &Connection,
    event: &InboundEvent,
    now: Timestamp,
    entropy: &mut dyn Entropy,
) -> AttentionItem {
    let mode = connection.mode.as_str();
    let sentence = format!(
        "{} is a {mode} connection and got an event of the other mode; check which webhook secret belongs to which mode",
        connection.code
    );
    of_event(WRONG_MODE, event, sentence, AttentionId::new(now, entropy), now)
}

/// What an item about events of an account that is not known at a connection is about.
pub(crate) fn account_at(account: &str, connection: ConnectionId) -> String {
    format!("{account}/{connection}")
}

/// The item for events of an account that no tenant has connected, or of one that has no business at this connection. There
/// is one for each account.
pub(crate) fn unknown_account(
    connection: &Connection,
    account: &str,
    event: &InboundEvent,
    now: Timestamp,
    entropy: &mut dyn Entropy,
) -> AttentionItem {
    let (code, come) = (&connection.code, format!("events of the account {account} come to"));
    let sentence = match connection.settings.platform {
        true => format!(
            "{come} the platform `{code}`, and no tenant has it connected: they are kept, and worked on once it is; connect it \
             with `keywright connect`, or take it off the platform at the provider"
        ),
        false => format!(
            "{come} `{code}`, which is about another account: they are kept, and nothing is issued for them; have its webhook \
             endpoint listen to your own account only, or have the operator make it a platform and connect that account"
        ),
    };
    let item = of_event(UNKNOWN_ACCOUNT, event, sentence, AttentionId::new(now, entropy), now);
    AttentionItem { subject: account_at(account, connection.id), lookup: Some(account.to_owned()), ..item }
}

/// The item for an account whose vendor has disconnected it. It closes when the account is connected again.
pub(crate) fn disconnected(connection: &Connection, now: Timestamp, entropy: &mut dyn Entropy) -> AttentionItem {
    let account = connection.settings.account.as_deref().unwrap_or_default();
    let detail = format!(
        "the account {account} was disconnected at the provider: nothing is sold by `{}` and nothing is looked up; connect it \
         again, or leave it",
        connection.code
    );
    AttentionItem { kind: DISCONNECTED.to_owned(), detail, ..not_caught_up(connection, "", now, entropy) }
}

/// The item for a look-up that keeps failing.
pub(crate) fn lookup_failing(
    connection: &Connection,
    event: &InboundEvent,
    now: Timestamp,
    entropy: &mut dyn Entropy,
) -> AttentionItem {
    let problem = event.error.as_deref().unwrap_or_default();
    let sentence = format!("{} does not answer a look-up: {problem}", connection.code);
    of_event(LOOKUP_FAILING, event, sentence, AttentionId::new(now, entropy), now)
}

/// The item for a connection whose missed events cannot be found. It closes when its list is read again, or
/// when the connection may not ask for it any more.
pub(crate) fn not_caught_up(
    connection: &Connection,
    problem: &str,
    now: Timestamp,
    entropy: &mut dyn Entropy,
) -> AttentionItem {
    let detail = format!(
        "events of {} that no webhook brings are not found: {problem}; it is tried again by itself",
        connection.code
    );
    let (id, about) = (AttentionId::new(now, entropy), (NOT_CAUGHT_UP, connection.id.to_string()));
    AttentionItem {
        livemode: Some(connection.mode.is_live()),
        connection_id: Some(connection.id.0),
        ..AttentionItem::new(id, connection.tenant, about, detail, now)
    }
}

/// The item for a connection whose buyers cannot be shown their keys. It closes with the next one who can.
pub(crate) fn buyers_refused(connection: &Connection, now: Timestamp, entropy: &mut dyn Entropy) -> AttentionItem {
    AttentionItem {
        kind: BUYERS_REFUSED.to_owned(),
        detail: format!(
            "a buyer came from {} and could not be shown a key: the provider does not take the client id, its secret, or \
             the redirect address of {}; compare them with what the provider shows",
            connection.provider.info().name,
            connection.code
        ),
        ..not_caught_up(connection, "", now, entropy)
    }
}

/// The item for a connection whose calls are refused, one after the other (D32). It closes with the next one that is
/// believed. The others share its address, so that the calls may be meant for them.
pub(crate) fn signatures_failing(
    connection: &Connection,
    row: Row,
    reject: &Reject,
    others: &[&str],
    now: Timestamp,
    entropy: &mut dyn Entropy,
) -> AttentionItem {
    let (code, provider) = (&connection.code, connection.provider.info().name);
    let or_for = if others.is_empty() { String::new() } else { format!(" (or for {})", others.join(", ")) };
    let remedy = match reject {
        Reject::NoSecret => format!("give {code} the signing secret that {provider} shows for its webhook endpoint"),
        Reject::NoSignature | Reject::WrongSignature => format!(
            "compare the signing secret that {provider} shows for its webhook endpoint with that of {code}, and add it to \
             `webhook_secrets`"
        ),
        Reject::Stale { .. } => {
            "set this machine's clock, and look for what holds calls up on their way here".to_owned()
        }
    };
    AttentionItem {
        kind: SIGNATURES_FAILING.to_owned(),
        detail: format!(
            "webhook calls for {code}{or_for} are refused, {} in a row since {}, so nothing that is paid there becomes a \
             license; the last one because {reject}; {remedy}, then have {provider} send again what was refused; if {provider} \
             has sent nothing, it was a stranger, and nothing is lost",
            row.count,
            row.since.strftime("%Y-%m-%d %H:%M UTC"),
        ),
        ..not_caught_up(connection, "", now, entropy)
    }
}

/// The item for a connection from which nothing has come for unusually long. It closes with the next event.
pub(crate) fn no_events(
    connection: &Connection,
    since: Timestamp,
    now: Timestamp,
    entropy: &mut dyn Entropy,
) -> AttentionItem {
    let (code, provider) = (&connection.code, connection.provider.info().name);
    AttentionItem {
        kind: NO_EVENTS.to_owned(),
        detail: format!(
            "{provider} has not called for `{code}` since {}, which is unusually long: see there whether its webhook endpoint \
             is still listed and enabled, and what it was answered; if nothing was sold, dismiss this",
            since.strftime("%Y-%m-%d %H:%M UTC"),
        ),
        ..not_caught_up(connection, "", now, entropy)
    }
}

/// The item for events that the provider does not keep any more. Nothing brings them back, so a person dismisses it.
pub(crate) fn events_lost(
    connection: &Connection,
    from: Timestamp,
    until: Timestamp,
    now: Timestamp,
    entropy: &mut dyn Entropy,
) -> AttentionItem {
    let item = not_caught_up(connection, "", now, entropy);
    AttentionItem {
        kind: "events_lost".to_owned(),
        subject: format!("{}/{}", connection.id, from.as_second()),
        detail: format!(
            "events of {} from {} to {} that no webhook brought are not in the provider's list any more; look at the \
             sales of that time there, and issue by hand what is missing",
            connection.code,
            day(from),
            day(until)
        ),
        ..item
    }
}

fn of_event(kind: &str, event: &InboundEvent, sentence: String, id: AttentionId, now: Timestamp) -> AttentionItem {
    AttentionItem {
        livemode: Some(event.livemode),
        connection_id: Some(event.connection_id),
        inbound_id: Some(event.id),
        ..AttentionItem::new(id, TenantId(event.tenant_id), (kind, event_subject(event)), sentence, now)
    }
}

/// The event's own key: it stays the same when the provider sends it again.
fn event_subject(event: &InboundEvent) -> String {
    format!("{}/{}", ConnectionId(event.connection_id), event.event_key)
}
