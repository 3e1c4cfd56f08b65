//! What a sale waits for.

use std::collections::BTreeSet;

use domain::{
    Entropy,
    fulfil::{KeyTrouble, Waiting},
    id::{AttentionId, ConnectionId, OrderId, TenantId},
    order::Missing,
    text::{CustomerReference, PriceReference, ProductReference, Reference},
};
use jiff::Timestamp;
use store::{StoredOrder, lists::Whose, outbox, rows::AttentionItem};

use super::{
    ACCOUNT_FULL, ACCOUNT_STOPPED, APPROVAL, APPROVAL_OVERDUE, KEY_AWAITED, KEY_REFUSED, LINES_UNKNOWN, MORE_BOUGHT,
    NO_ADDRESS, PAYMENT_UNLINKED, SUCCESSOR_AWAITED, UNMAPPED_PRICE,
};
use crate::connections::Connection;

/// What a person reads when the account takes no more.
const STOPPED: &str = "the account is suspended or closed: what was sold is kept, and its licenses are issued once the account \
    is active again";
const FULL: &str = "the account has as many licenses as it may have: what was sold is kept, and its licenses are issued once \
    there is room, by a larger account or by licenses that ended";

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
    let subject = if about.part.is_empty() { order.id.to_string() } else { format!("{}/{}", order.id, about.part) };
    let (id, tenant) = (AttentionId::new(now, entropy), order.tenant);
    AttentionItem {
        livemode: Some(order.livemode),
        lookup: about.lookup,
        connection_id: Some(order.connection.0),
        order_id: Some(order.id.0),
        ..AttentionItem::new(id, tenant, (about.kind, subject), about.sentence, now)
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

/// The item for an order that cannot be settled. It closes when the order is settled after all.
pub(crate) fn unsettled(
    whose: Whose,
    connection: ConnectionId,
    order: OrderId,
    problem: &str,
    now: Timestamp,
    entropy: &mut dyn Entropy,
) -> AttentionItem {
    let detail = format!("the licenses of this order are not up to date: {problem}; it is tried again every hour");
    let (id, about) = (AttentionId::new(now, entropy), ("order_unsettled", order.to_string()));
    AttentionItem {
        livemode: Some(whose.livemode),
        connection_id: Some(connection.0),
        order_id: Some(order.0),
        ..AttentionItem::new(id, whose.tenant, about, detail, now)
    }
}

/// The item for mails about what happened long ago. It closes when they are released.
pub(crate) fn mails_held_as_old(tenant: TenantId, now: Timestamp, entropy: &mut dyn Entropy) -> AttentionItem {
    let detail = "catching up found purchases that are days old: their licenses are issued, and their mails are held, so \
        that no customer is surprised; look at them, then send them with `keywright mail release`";
    let (id, about) = (AttentionId::new(now, entropy), (outbox::HELD_AS_OLD, tenant.to_string()));
    AttentionItem::new(id, tenant, about, detail.to_owned(), now)
}
