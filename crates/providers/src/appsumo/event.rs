//! What AppSumo's events mean, and those that a buyer's coming makes.

use domain::{
    join::{Register, Stamp},
    money::{Currency, Money},
    order::{Contact, Line, Lines, Order, Purchase, PurchaseState, Refund},
    text::{EmailAddress, PriceReference, Reference},
};
use jiff::Timestamp;
use serde::Deserialize;

use crate::{
    Incoming, Malformed,
    read::{self, lacks},
    sale,
};

/// The kind of event that says that AppSumo confirmed a sale to its buyer.
pub(super) const BOUGHT: &str = "buyer.bought";
/// The kind of event that says where a buyer wants mails to go.
pub(super) const CONTACT: &str = "buyer.contact";

/// What went back, where amounts are not told: anything is all of nothing.
const ALL: Money = Money::new(1, Currency::NONE);

/// What kinds of events mean.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It is bought.
    Sale,
    /// It is bought and in use, whatever was taken back before.
    InUse,
    /// It is taken back, or gives its place to another.
    Deactivated,
    /// Mails go somewhere.
    Contact,
}

/// None: a kind that means nothing for licenses.
pub(super) fn meaning(kind: &str) -> Option<Meaning> {
    Some(match kind {
        "purchase" | "upgrade" | "downgrade" | "migrate" | BOUGHT => Meaning::Sale,
        "activate" => Meaning::InUse,
        "deactivate" => Meaning::Deactivated,
        CONTACT => Meaning::Contact,
        _ => return None,
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Event {
    #[serde(deserialize_with = "read::id")]
    license_key: Option<Reference>,
    #[serde(deserialize_with = "read::text")]
    event: Option<String>,
    /// Seconds in one of AppSumo's examples, milliseconds in the others. It stays the same when the event is sent again.
    #[serde(deserialize_with = "read::moment")]
    created_at: Option<Timestamp>,
    #[serde(deserialize_with = "read::flag")]
    test: bool,
    #[serde(deserialize_with = "read::name")]
    tier: Option<String>,
    #[serde(deserialize_with = "read::id")]
    prev_license_key: Option<Reference>,
    /// Of an add-on: what it adds to.
    #[serde(deserialize_with = "read::id")]
    parent_license_key: Option<Reference>,
    #[serde(deserialize_with = "read::text")]
    partner_plan_name: Option<String>,
    #[serde(deserialize_with = "read::number")]
    unit_quantity: Option<i64>,
    #[serde(deserialize_with = "read::object")]
    extra: Option<Extra>,
    #[serde(deserialize_with = "read::email")]
    email: Option<EmailAddress>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Extra {
    #[serde(deserialize_with = "read::text")]
    reason: Option<String>,
}

/// Reads the outside of a body.
pub(super) fn incoming(body: &[u8]) -> Result<Incoming, Malformed> {
    let (body, event): (&str, Event) = read::document(body)?;
    let kind = event.event.ok_or_else(|| lacks("event"))?;
    // A test of the address may have nothing but its kind in it, and is answered with that.
    let key = match (event.license_key, event.created_at) {
        (Some(key), Some(created_at)) => format!("{key}/{kind}/{}", created_at.as_millisecond()),
        (key, created_at) if event.test => {
            let moment = created_at.map_or(0, Timestamp::as_millisecond);
            format!("{}/{kind}/{moment}", key.as_ref().map_or("test", Reference::as_str))
        }
        (None, _) => return Err(lacks("license_key")),
        (_, None) => return Err(lacks("created_at")),
    };
    Ok(Incoming {
        key,
        kind,
        occurred_at: event.created_at,
        // AppSumo has no test mode: its test events are told apart when they are translated, so that they do not count as
        // events of the wrong mode.
        live: None,
        account: None,
        body: body.to_owned(),
    })
}

/// What an event says about its sale; none: nothing.
pub(super) fn order(meaning: Meaning, incoming: &Incoming) -> Result<Option<Order>, Malformed> {
    let event = read::document::<Event>(incoming.body.as_bytes())?.1;
    if event.test {
        return Ok(None);
    }
    let at = incoming.occurred_at.ok_or_else(|| lacks("created_at"))?;
    let key = event.license_key.clone().ok_or_else(|| lacks("license_key"))?;
    let named = Order {
        references: [key.clone()].into_iter().chain(event.parent_license_key.clone()).collect(),
        ..Order::default()
    };
    Ok(match meaning {
        Meaning::Sale => Some(event.sale(key, at, named)),
        // Only what is not taken back is activated: an older `deactivate` of it does not count any more.
        Meaning::InUse => {
            let refunds = [(key.clone(), Refund::total(Stamp::at(at), Money::ZERO, key.clone()))].into();
            let gave_way = [(key.clone(), Register::new(Stamp::at(at), false))].into();
            Some(event.sale(key, at, Order { refunds, gave_way, ..named }))
        }
        // An add-on moves to another license by itself, and its own events say which.
        Meaning::Deactivated if event.gives_way() && event.parent_license_key.is_some() => None,
        Meaning::Deactivated if event.gives_way() => {
            Some(Order { gave_way: [(key, Register::new(Stamp::at(at), true))].into(), ..named })
        }
        Meaning::Deactivated => {
            let refunds = [(key.clone(), Refund::total(Stamp::at(at), ALL, key))].into();
            Some(Order { refunds, ..named })
        }
        Meaning::Contact => {
            let email = event.email.ok_or_else(|| lacks("email"))?;
            Some(Order { contact: Some(Register::new(Stamp::at(at), Contact { email, name: None })), ..named })
        }
    })
}

impl Event {
    /// Adds the purchase, and what it takes the place of.
    fn sale(self, key: Reference, at: Timestamp, named: Order) -> Order {
        let purchase = Purchase {
            lines: self.lines(&key),
            state: PurchaseState::Paid,
            total: Money::ZERO,
            at,
            subscriptions: Default::default(),
            silent: false,
            ends: None,
        };
        // What takes its own place would be nowhere.
        let before = self.prev_license_key.filter(|before| *before != key);
        Order {
            references: named.references.into_iter().chain(before.clone()).collect(),
            replaced: before.into_iter().map(|before| (before, Register::new(Stamp::at(at), key.clone()))).collect(),
            purchases: [(key, purchase)].into(),
            ..named
        }
    }

    /// The one line of a license key: an add-on by its name, anything else by its tier. Neither need be told.
    fn lines(&self, key: &Reference) -> Lines {
        let price = match (&self.parent_license_key, &self.partner_plan_name, &self.tier) {
            (Some(_), Some(name), _) => format!("addon:{name}"),
            (None, _, Some(tier)) => format!("tier:{tier}"),
            _ => return Lines::Unknown { recurring: false, named: None },
        };
        Lines::Known(vec![Line {
            line: key.clone(),
            price: PriceReference::new(price),
            product: None,
            quantity: sale::quantity_of(self.unit_quantity),
            recurring: false,
            named: None,
            description: self.partner_plan_name.as_deref().map(Box::from),
        }])
    }

    /// Whether it is over only because another license key takes its place: the event that names both says which. What is
    /// refunded after an upgrade is refunded.
    fn gives_way(&self) -> bool {
        let reason = self.extra.as_ref().and_then(|extra| extra.reason.as_deref()).unwrap_or_default().to_lowercase();
        !reason.contains("refund") && ["upgrade", "downgrade"].iter().any(|word| reason.contains(word))
    }
}
