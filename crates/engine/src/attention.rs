//! Attention items: what keeps a paid order from being complete, in words a person can act on.

use std::collections::BTreeSet;

use domain::{
    Entropy,
    fulfil::{KeyTrouble, Waiting},
    id::{AttentionId, ConnectionId, OrderId, TenantId},
    order::Missing,
    reason::day,
    silence::NO_EVENTS,
    text::{CustomerReference, PriceReference, ProductReference, Reference},
};
use jiff::Timestamp;
use providers::Reject;
use store::{
    StoredOrder, outbox,
    rows::{AttentionItem, InboundEvent},
};

use crate::{connections::Connection, rejections::Row};

/// A price that no rule speaks of.
pub const UNMAPPED_PRICE: &str = "unmapped_price";
/// A purchase that does not say what was bought.
pub(crate) const LINES_UNKNOWN: &str = "lines_unknown";
/// A sale that somebody has to approve.
pub const APPROVAL: &str = "approval";
/// The same, for more than a day.
pub const APPROVAL_OVERDUE: &str = "approval_overdue";
/// Nobody to send the key to.
pub(crate) const NO_ADDRESS: &str = "no_address";
/// A license waits for the key that its provider gives out.
pub(crate) const KEY_AWAITED: &str = "key_awaited";
/// The key that its provider gave out can open nothing.
pub(crate) const KEY_REFUSED: &str = "key_refused";
/// More may have been bought than an event shows.
const MORE_BOUGHT: &str = "more_bought";
/// A refund or dispute of who knows what.
const PAYMENT_UNLINKED: &str = "payment_unlinked";
/// What an API key that may ask more can tell.
pub(crate) const FOR_A_KEY_TO_TELL: [&str; 4] = [NO_ADDRESS, LINES_UNKNOWN, PAYMENT_UNLINKED, MORE_BOUGHT];
/// A sale gave its place to one that nobody told of.
const SUCCESSOR_AWAITED: &str = "successor_awaited";
/// The account may not sell at present.
pub(crate) const ACCOUNT_STOPPED: &str = "account_stopped";
/// The account has no room for more licenses.
pub(crate) const ACCOUNT_FULL: &str = "account_full";
/// What a person reads then.
const STOPPED: &str = "the account is suspended or closed: what was sold is kept, and its licenses are issued once the account \
    is active again";
const FULL: &str = "the account has as many licenses as it may have: what was sold is kept, and its licenses are issued once \
    there is room, by a larger account or by licenses that ended";
/// A signed event that is not understood.
const MALFORMED: &str = "event_malformed";
/// An event of the other mode.
pub(crate) const WRONG_MODE: &str = "event_wrong_mode";
/// The provider does not answer a look-up.
pub(crate) const LOOKUP_FAILING: &str = "lookup_failing";

/// An event of an account that nobody has connected.
pub(crate) const UNKNOWN_ACCOUNT: &str = "unknown_account";
/// An account that its vendor has disconnected.
pub(crate) const DISCONNECTED: &str = "account_disconnected";
/// Buyers come and the provider does not say what they bought.
pub(crate) const BUYERS_REFUSED: &str = "buyers_refused";

/// Calls that nobody believes, one after the other.
pub(crate) const SIGNATURES_FAILING: &str = "signatures_failing";

/// A provider's list of events cannot be read.
pub(crate) const NOT_CAUGHT_UP: &str = "not_caught_up";

/// What an item is about, apart from its words.
struct About {
    kind: &'static str,
    /// What within the order; empty: the order itself.
    part: String,
    /// What closes it when it changes.
    lookup: Option<String>,
    sentence: String,
}

/// Whether a person should know what an order waits for. A buyer whom the provider sends here comes for the key, and says
/// then where mails go.
pub(crate) fn is_for_a_person(waiting: &Waiting, connection: &Connection) -> bool {
    *waiting != Waiting::NoAddress || !connection.expects_buyers()
}

/// The item for something that an order waits for.
pub(crate) fn of_order(
    order: &StoredOrder,
    waiting: &Waiting,
    connection: &Connection,
    now: Timestamp,
    entropy: &mut dyn Entropy,
) -> AttentionItem {
    let about = about(order, waiting, connection);
    AttentionItem {
        id: AttentionId::new(now, entropy).0,
        tenant_id: order.tenant.0,
        kind: about.kind.to_owned(),
        subject: if about.part.is_empty() { order.id.to_string() } else { format!("{}/{}", order.id, about.part) },
        lookup: about.lookup,
        connection_id: Some(order.connection.0),
        order_id: Some(order.id.0),
        inbound_id: None,
        detail: about.sentence,
        opened_at: now.as_microsecond(),
        closed_at: None,
        dismissed_at: None,
        told_at: None,
    }
}

fn about(order: &StoredOrder, waiting: &Waiting, connection: &Connection) -> About {
    let info = connection.provider.info();
    let permission =
        |missing| info.permissions.iter().find(|(known, _)| *known == missing).map_or("", |(_, name)| name);
    let plain = |kind, part: String, sentence| About { kind, part, lookup: None, sentence };
    match waiting {
        Waiting::Unmapped { price, product, description } => About {
            kind: UNMAPPED_PRICE,
            part: price.to_string(),
            lookup: Some(price.to_string()),
            sentence: unmapped(price, product.as_ref(), description.as_deref()),
        },
        Waiting::LinesUnknown { purchase } => plain(
            LINES_UNKNOWN,
            purchase.to_string(),
            lines_unknown(purchase, &connection.code, permission(Missing::Lines)),
        ),
        Waiting::MoreBought { purchase } => {
            plain(MORE_BOUGHT, purchase.to_string(), more_bought(purchase, info.name, &connection.code))
        }
        Waiting::PaymentUnlinked => unlinked(&connection.code, permission(Missing::PaymentLink)),
        Waiting::PeriodUnknown { purchase } => {
            plain("period_unknown", purchase.to_string(), period_unknown(purchase, info.name, &connection.code))
        }
        Waiting::NoAddress => About {
            kind: NO_ADDRESS,
            part: String::new(),
            lookup: order.order.customers.first().map(ToString::to_string),
            sentence: no_address(&connection.code, permission(Missing::Customer)),
        },
        Waiting::TooMany { units } => plain(
            "too_many_units",
            String::new(),
            format!("{units} licenses were bought at once; {} are issued, the rest waits", domain::fulfil::UNITS_MAX),
        ),
        Waiting::NothingToAddTo { purchase } => plain(
            "nothing_to_add_to",
            purchase.to_string(),
            format!(
                "{purchase} sold an add-on and nothing that it adds to; sell it together with a plan, or issue by hand"
            ),
        ),
        Waiting::Approval { overdue } => approval(*overdue),
        Waiting::Tied { subscription } => plain(
            "tied_snapshots",
            subscription.to_string(),
            format!("two events of one second disagree about subscription {subscription}; look at it at the provider"),
        ),
        Waiting::Merged { license } => plain(
            "merged_sales",
            license.to_string(),
            format!(
                "two sales turned out to be one; {license} was issued twice and its key now opens the first license"
            ),
        ),
        Waiting::KeyAwaited { line } => {
            plain(KEY_AWAITED, line.to_string(), key_awaited(line, info.name, &connection.code))
        }
        Waiting::KeyRefused { key, trouble } => key_refused(order, key, *trouble, info.name),
        Waiting::SuccessorAwaited { source } => {
            plain(SUCCESSOR_AWAITED, source.to_string(), successor_awaited(source, info.name))
        }
        Waiting::AccountStopped => plain(ACCOUNT_STOPPED, String::new(), STOPPED.to_owned()),
        Waiting::AccountFull => plain(ACCOUNT_FULL, String::new(), FULL.to_owned()),
        Waiting::SeveralCustomers { customers } => several_customers(customers),
        Waiting::PartlyRefunded { payment, amount } => plain(
            "partly_refunded",
            format!("{payment}/{}", amount.minor),
            format!("{amount} of payment {payment} went back and it paid for several licenses; revoke the right one"),
        ),
    }
}

fn period_unknown(purchase: &Reference, provider: &str, connection: &str) -> String {
    format!(
        "{purchase} paid for a subscription, and until when is not known yet, so that what it paid lasts three days at most; have \
         {provider} deliver all events that the connection `{connection}` lists as its webhook events, or allow it to look up more"
    )
}

fn no_address(connection: &str, permission: &str) -> String {
    let sentence = "the licenses are issued and there is no e-mail address to send their keys to".to_owned();
    if permission.is_empty() {
        return sentence;
    }
    format!(
        "{sentence}; let connection `{connection}` have an API key with the permission `{permission}`, then play the event of \
         the sale again"
    )
}

fn key_awaited(line: &Reference, provider: &str, connection: &str) -> String {
    format!(
        "the license for {line} has no key: {provider} gives the keys of connection `{connection}` out, and has told of none for \
         it. Subscribe the webhook to the events about license keys and have them sent again; if there are fewer keys than \
         licenses, let the price rule say quantity = \"seats\"; if {provider} gives out none, set license_keys to ours"
    )
}

fn successor_awaited(source: &Reference, provider: &str) -> String {
    format!(
        "{provider} says that {source} gave its place to another sale, and has not told which: its license works on, and that of \
         the other may work beside it. Look at {provider} what took its place, and have the event that says so sent again; if the \
         other has its license already, or there is none, revoke this one"
    )
}

fn key_refused(order: &StoredOrder, key: &Reference, trouble: KeyTrouble, provider: &str) -> About {
    let told_by = order.order.keys.get(key).map(|key| &*key.told_by).unwrap_or_default();
    let why = match trouble {
        KeyTrouble::Taken => "opens another license already, and a key opens one license on this server",
        KeyTrouble::NoKey => "is no license key: a key has at least 8 letters and digits, and at most 256 characters",
    };
    let sentence = format!(
        "a license has no key: {key} of {provider}, told by the event {told_by}, {why}. Make another key at {provider}, or \
         issue a license by hand and revoke this one"
    );
    About { kind: KEY_REFUSED, part: key.to_string(), lookup: None, sentence }
}

/// `permission` is what lets a connection ask; blank: a later event may tell, and there is nothing to ask.
fn lines_unknown(purchase: &Reference, connection: &str, permission: &str) -> String {
    let remedy = match permission {
        "" => format!("a later event may say it, or make a rule of {connection} with default = true"),
        _ => {
            format!(
                "{connection} needs the permission `{permission}` to see it, or name the plan in the checkout's metadata"
            )
        }
    };
    format!("{purchase} is paid and does not say what was bought; {remedy}")
}

fn more_bought(purchase: &Reference, provider: &str, connection: &str) -> String {
    format!(
        "{purchase} cost more than the item that its event shows, so more may have been bought than has a license; let connection \
         `{connection}` have an API key, which tells all items, and play the event of the sale again; or look at it at {provider}, \
         issue by hand what is missing, and dismiss this"
    )
}

/// A sale whose plan asks for somebody's word (B29).
fn approval(is_overdue: bool) -> About {
    let (kind, since) = match is_overdue {
        true => (APPROVAL_OVERDUE, "it was paid more than a day ago and still"),
        false => (APPROVAL, "it is paid and"),
    };
    let sentence = format!("{since} waits for somebody to approve or reject it");
    About { kind, part: String::new(), lookup: None, sentence }
}

/// `permission` is what lets a connection ask; blank: only who told it knows which payment is meant.
fn unlinked(connection: &str, permission: &str) -> About {
    let remedy = match permission {
        "" => format!(
            "find out which payment it was. If you post the events of {connection} yourself, post this one again under a new id \
             with the name that its payment was posted with, and `refunded` 0 for a name that was wrong; otherwise revoke the \
             license by hand if all of its money went back, and dismiss this"
        ),
        _ => format!("{connection} needs the permission `{permission}`"),
    };
    let sentence = format!("a refunded or disputed payment cannot be traced to what it paid for; {remedy}");
    About { kind: PAYMENT_UNLINKED, part: String::new(), lookup: None, sentence }
}

fn several_customers(customers: &BTreeSet<CustomerReference>) -> About {
    let customers: Vec<String> = customers.iter().map(ToString::to_string).collect();
    let customers = customers.join(" and ");
    let sentence = format!(
        "{customers} are customers of one order: two sales that share a reference were taken for one; look at them at the \
         provider, and issue by hand what is missing"
    );
    About { kind: "several_customers", part: customers, lookup: None, sentence }
}

fn unmapped(price: &PriceReference, product: Option<&ProductReference>, description: Option<&str>) -> String {
    let called = description.map(|text| format!(" ({text})")).unwrap_or_default();
    let of = product.map(|product| format!(" of product {product}")).unwrap_or_default();
    format!("price {price}{called}{of} is not mapped to a plan; map it and the held keys are issued")
}

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

/// The item for an order that cannot be settled. It closes when the order is settled after all.
pub(crate) fn unsettled(
    tenant: TenantId,
    connection: ConnectionId,
    order: OrderId,
    problem: &str,
    now: Timestamp,
    entropy: &mut dyn Entropy,
) -> AttentionItem {
    AttentionItem {
        id: AttentionId::new(now, entropy).0,
        tenant_id: tenant.0,
        kind: "order_unsettled".to_owned(),
        subject: order.to_string(),
        lookup: None,
        connection_id: Some(connection.0),
        order_id: Some(order.0),
        inbound_id: None,
        detail: format!("the licenses of this order are not up to date: {problem}; it is tried again every hour"),
        opened_at: now.as_microsecond(),
        closed_at: None,
        dismissed_at: None,
        told_at: None,
    }
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
    AttentionItem {
        id: AttentionId::new(now, entropy).0,
        tenant_id: connection.tenant.0,
        kind: NOT_CAUGHT_UP.to_owned(),
        subject: connection.id.to_string(),
        lookup: None,
        connection_id: Some(connection.id.0),
        order_id: None,
        inbound_id: None,
        detail: format!(
            "events of {} that no webhook brings are not found: {problem}; it is tried again by itself",
            connection.code
        ),
        opened_at: now.as_microsecond(),
        closed_at: None,
        dismissed_at: None,
        told_at: None,
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

/// The item for mails about what happened long ago. It closes when they are released.
pub(crate) fn mails_held_as_old(tenant: TenantId, now: Timestamp, entropy: &mut dyn Entropy) -> AttentionItem {
    AttentionItem {
        id: AttentionId::new(now, entropy).0,
        tenant_id: tenant.0,
        kind: outbox::HELD_AS_OLD.to_owned(),
        subject: tenant.to_string(),
        lookup: None,
        connection_id: None,
        order_id: None,
        inbound_id: None,
        detail:
            "catching up found purchases that are days old: their licenses are issued, and their mails are held, so \
                 that no customer is surprised; look at them, then send them with `keywright mail release`"
                .to_owned(),
        opened_at: now.as_microsecond(),
        closed_at: None,
        dismissed_at: None,
        told_at: None,
    }
}

fn of_event(kind: &str, event: &InboundEvent, sentence: String, id: AttentionId, now: Timestamp) -> AttentionItem {
    AttentionItem {
        id: id.0,
        tenant_id: event.tenant_id,
        kind: kind.to_owned(),
        subject: event_subject(event),
        lookup: None,
        connection_id: Some(event.connection_id),
        order_id: None,
        inbound_id: Some(event.id),
        detail: sentence,
        opened_at: now.as_microsecond(),
        closed_at: None,
        dismissed_at: None,
        told_at: None,
    }
}

/// The event's own key: it stays the same when the provider sends it again.
fn event_subject(event: &InboundEvent) -> String {
    format!("{}/{}", ConnectionId(event.connection_id), event.event_key)
}
