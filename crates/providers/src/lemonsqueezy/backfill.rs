//! Lemon Squeezy keeps no list of its events. What it keeps are lists of objects, the newest first, and each object is as an
//! event that tells of its last change would have told it.
//!
//! Orders and invoices are read as far back as money usually goes back, and once a day as far as it may; of subscriptions the
//! whole list is read, for they change for as long as they live, and nothing is delivered when only a quantity changes
//! (lemonsqueezy.js#105).

use domain::time::{after, days};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    event::{self, Object},
    order::FRAUDULENT,
};
use crate::{
    Incoming, LicenseKeys, Malformed,
    backfill::{Backfill, Page, Piece},
    http::{Request, percent_encoded},
    read,
};

/// How long after a sale its refund is looked for at each reading: most come early.
const REFUNDED_SOON: SignedDuration = days(30);

/// How long after a sale its refund is looked for once a day. A store may refund at any time; a buyer's bank takes money back
/// within 120 days as a rule, and Lemon Squeezy tells that as a refund, too.
const REFUNDED_WITHIN: SignedDuration = days(125);

/// The first reading that ends on another day (UTC) than it begins looks so far, and so each at most this long after the one
/// before, what was left to delivery included.
const FAR_EVERY: SignedDuration = SignedDuration::from_hours(25);

/// Lemon Squeezy tries for three minutes to deliver. What changed only just is left to that, for only a delivered event has
/// the checkout's own data; the next reading begins before this.
const DELIVERED_WITHIN: SignedDuration = SignedDuration::from_mins(4);

/// An object whose last change is this close to its making was not changed since.
const MADE_WITHIN: SignedDuration = SignedDuration::from_secs(5);

/// The lists of this module, in the order in which they are read.
const LISTS: [&str; 4] = ["orders", "subscription-invoices", "subscriptions", "license-keys"];

/// The provider's lists as one.
pub(super) struct Lists;

/// A page of one of the lists, as [`Page::next`] names it: `orders:2`.
#[derive(Clone, Copy)]
struct Place {
    list: usize,
    number: u32,
}

impl Place {
    /// A name that cannot be read begins anew.
    fn read(after: Option<&str>) -> Self {
        let named = after.and_then(|after| after.split_once(':'));
        let place = named.and_then(|(list, number)| {
            let list = LISTS.iter().position(|name| *name == list)?;
            Some(Self { list, number: number.parse().ok()? })
        });
        place.unwrap_or(Self { list: 0, number: 1 })
    }

    fn name(self) -> String {
        format!("{}:{}", LISTS[self.list], self.number)
    }

    /// The next page of this list, or the first one of the next list. Keys are read only where they open licenses.
    fn next(self, has_more: bool, license_keys: LicenseKeys) -> Option<Self> {
        let lists = match license_keys {
            LicenseKeys::Ours => LISTS.len() - 1,
            LicenseKeys::Theirs => LISTS.len(),
        };
        match has_more {
            true => Some(Self { number: self.number.saturating_add(1), ..self }),
            false => Some(Self { list: self.list + 1, number: 1 }).filter(|place| place.list < lists),
        }
    }
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
    #[serde(default, deserialize_with = "read::object")]
    meta: Option<Meta>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Meta {
    #[serde(deserialize_with = "read::object")]
    page: Option<Pages>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Pages {
    #[serde(rename = "currentPage", deserialize_with = "read::number")]
    current: Option<i64>,
    #[serde(rename = "lastPage", deserialize_with = "read::number")]
    last: Option<i64>,
}

impl Backfill for Lists {
    fn permission(&self) -> &'static str {
        "a key of this store's account"
    }

    fn days_kept(&self) -> u8 {
        u8::MAX
    }

    fn limit_max(&self) -> u8 {
        100
    }

    fn request(&self, piece: &Piece<'_>) -> Request {
        let place = Place::read(piece.after);
        let (list, number, limit) = (LISTS[place.list], place.number, piece.limit);
        let mut path = format!("/v1/{list}?page%5Bsize%5D={limit}&page%5Bnumber%5D={number}");
        if let Some(store) = piece.store {
            path.push_str("&filter%5Bstore_id%5D=");
            path.push_str(&percent_encoded(store));
        }
        Request::get(path)
    }

    fn page(&self, piece: &Piece<'_>, body: &str) -> Result<Page, Malformed> {
        let unreadable = |error| Malformed { what: format!("the list does not read: {error}") };
        let document: Document<'_> = serde_json::from_str(body).map_err(unreadable)?;
        let place = Place::read(piece.after);
        let read = |text: &&RawValue| serde_json::from_str::<Object>(text.get()).map_err(unreadable);
        let elements = document.data.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let looks_back = if is_far(piece) { REFUNDED_WITHIN } else { REFUNDED_SOON };
        let goes_on = elements.last().is_some_and(|oldest| {
            let created_at = oldest.created_at().unwrap_or(Timestamp::MAX);
            LISTS[place.list] == "subscriptions" || created_at >= after(piece.since, -looks_back)
        });
        let pages = document.meta.and_then(|meta| meta.page).unwrap_or_default();
        let has_more = goes_on && pages.current.zip(pages.last).is_some_and(|(current, last)| current < last);
        let mut events = Vec::new();
        for (text, element) in document.data.iter().zip(&elements) {
            let Some(kind) = told_by(LISTS[place.list], element) else { continue };
            let is_new = element.changed_at().is_some_and(|changed_at| {
                changed_at >= changed_since(piece, kind, element)
                    && changed_at <= after(piece.asked_at, -DELIVERED_WITHIN)
            });
            let is_its_own = piece.store.is_none_or(|store| element.is_of(store));
            if is_new && is_its_own {
                events.push(as_delivered(kind, text)?);
            }
        }
        events.reverse();
        Ok(Page { events, next: place.next(has_more, piece.license_keys).map(Place::name) })
    }
}

/// Whether the reading is the one of its day that looks far back.
fn is_far(piece: &Piece<'_>) -> bool {
    let day = |at: Timestamp| at.as_second().div_euclid(days(1).as_secs());
    day(piece.since) != day(piece.asked_at)
}

/// Since when a change of an object is looked for. What is read once a day only is looked for since the day before; what was
/// taken in already is known by its name.
fn changed_since(piece: &Piece<'_>, kind: &str, object: &Object) -> Timestamp {
    let was_sold_long_ago =
        object.created_at().is_some_and(|created_at| created_at < after(piece.since, -REFUNDED_SOON));
    if was_sold_long_ago && kind.ends_with("_refunded") { after(piece.since, -FAR_EVERY) } else { piece.since }
}

/// The event that tells of an object as it is. None: an invoice that is not paid says nothing.
fn told_by(list: &str, object: &Object) -> Option<&'static str> {
    let is_as_made = match (object.created_at(), object.changed_at()) {
        (Some(created_at), Some(changed_at)) => changed_at <= after(created_at, MADE_WITHIN),
        _ => true,
    };
    match (list, object.status()) {
        ("orders", Some("refunded" | "partial_refund" | FRAUDULENT)) => Some("order_refunded"),
        ("orders", _) => Some("order_created"),
        ("subscription-invoices", Some("refunded" | "partial_refund")) => Some("subscription_payment_refunded"),
        ("subscription-invoices", Some("paid")) => Some("subscription_payment_success"),
        ("subscription-invoices", _) => None,
        ("license-keys", _) if is_as_made => Some("license_key_created"),
        ("license-keys", _) => Some("license_key_updated"),
        _ if is_as_made => Some("subscription_created"),
        _ => Some("subscription_updated"),
    }
}

fn as_delivered(kind: &str, object: &RawValue) -> Result<Incoming, Malformed> {
    event::incoming(format!(r#"{{"meta":{{"event_name":"{kind}"}},"data":{object}}}"#).as_bytes())
}
