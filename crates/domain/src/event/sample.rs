//! What each kind of event looks like, made up: for the book, and for who wants to see an example arrive.

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    ActivationTold, CustomerTold, DisputeTold, EventData, EventKind, LicenseTold, OrderTold, Previous, RefundTold,
    ScheduledTold,
};
use crate::{
    id::{ActivationId, CustomerId, LicenseId, OrderId, PlanId, ProductId},
    money::{Currency, Money},
    reason::{Cause, Reason},
    text::Reference,
};

/// The key of the license in examples. It opens nothing.
pub const SAMPLE_KEY: &str = "EXAMPLE-0000-0000-0000-0000";
/// The beginning of its term, in seconds since 1970: 2026-11-01.
const BEGIN: i64 = 1_793_491_200;
const DAY: i64 = 86_400;

/// What an event of this kind could tell.
#[must_use]
pub fn sample(kind: EventKind) -> EventData {
    let sale = EventData { order: Some(order()), customer: Some(customer()), ..EventData::default() };
    let about = |license: LicenseTold| EventData { license: Some(license), ..sale.clone() };
    let before = |data: EventData, previous: Previous| EventData { previous: Some(previous), ..data };
    let state = |state: &str| Previous { state: Some(state.into()), ..Previous::default() };
    match kind {
        EventKind::LicenseCreated => EventData { key: Some(SAMPLE_KEY.into()), ..about(license()) },
        EventKind::LicenseActivated | EventKind::LicenseDeactivated => {
            EventData { license: Some(license()), activation: Some(activation()), ..EventData::default() }
        }
        EventKind::LicenseRenewed => {
            let previous = Previous { until: Some(Some(day(30))), ..Previous::default() };
            before(about(LicenseTold { until: Some(day(60)), ..license() }), previous)
        }
        EventKind::LicenseChanged => {
            before(about(LicenseTold { seats: 3, ..license() }), Previous { seats: Some(1), ..Previous::default() })
        }
        EventKind::LicenseFrozen => before(about(in_state("frozen", &paused())), state("active")),
        EventKind::LicenseUnfrozen => before(about(license()), state("frozen")),
        EventKind::LicenseExpiring => {
            let scheduled = Some(ScheduledTold { state: "expired".into(), at: day(30) });
            about(LicenseTold { scheduled, ..license() })
        }
        EventKind::LicenseExpired => before(about(in_state("expired", &Reason::NotRenewed)), state("active")),
        EventKind::LicenseRevoked => before(about(in_state("revoked", &went_back())), state("active")),
        EventKind::LicenseRefunded => EventData { order: Some(refunded()), ..about(in_state("revoked", &went_back())) },
        EventKind::OrderCreated => sale,
        EventKind::OrderRefunded => EventData { order: Some(refunded()), ..sale },
        EventKind::OrderDisputed => {
            let disputes = vec![DisputeTold { id: "dp_1".into(), state: "open".into() }];
            EventData { order: Some(OrderTold { disputes, ..order() }), ..sale }
        }
        EventKind::CustomerCreated | EventKind::CustomerUpdated => {
            EventData { customer: Some(customer()), ..EventData::default() }
        }
    }
}

fn day(number: i64) -> Timestamp {
    Timestamp::from_second(BEGIN + number * DAY).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// An id that nothing has.
const fn id(number: u128) -> Uuid {
    Uuid::from_u128(0x0193_0000_0000_7000_8000_0000_0000_0000 + number)
}

fn license() -> LicenseTold {
    LicenseTold {
        id: LicenseId(id(1)),
        state: "active".into(),
        reason: Reason::Paid.code().into(),
        because: Reason::Paid.sentence().into(),
        at_risk: false,
        product: "tool".into(),
        product_id: ProductId(id(2)),
        plan: "pro".into(),
        plan_id: PlanId(id(3)),
        seats: 1,
        activations_max: Some(2),
        features: vec!["export".into()],
        until: Some(day(30)),
        scheduled: None,
    }
}

fn in_state(state: &str, reason: &Reason) -> LicenseTold {
    LicenseTold { state: state.into(), reason: reason.code().into(), because: reason.sentence().into(), ..license() }
}

fn paused() -> Reason {
    Reason::Cause(Cause::Paused { subscription: Reference::new("sub_1"), paid_until: day(30) })
}

fn price() -> Money {
    Money::new(4_900, Currency::parse("EUR"))
}

fn went_back() -> Reason {
    Reason::Cause(Cause::Refunded { payment: Reference::new("in_1"), amount: price(), full: true })
}

fn order() -> OrderTold {
    OrderTold {
        id: OrderId(id(4)),
        connection: "stripe".into(),
        references: vec!["cs_1".into(), "in_1".into(), "sub_1".into()],
        refunded: Vec::new(),
        disputes: Vec::new(),
    }
}

fn refunded() -> OrderTold {
    let Money { minor: amount, currency } = price();
    let refunded = vec![RefundTold { payment: "in_1".into(), amount, currency: currency.code().into() }];
    OrderTold { refunded, ..order() }
}

fn customer() -> CustomerTold {
    CustomerTold {
        id: Some(CustomerId(id(5))),
        reference: Some("cus_1".into()),
        email: Some("ada@example.com".into()),
        name: Some("Ada".into()),
    }
}

fn activation() -> ActivationTold {
    ActivationTold {
        id: ActivationId(id(6)),
        kind: "device".into(),
        fingerprint: "mac-1f3a".into(),
        name: Some("Ada's laptop".into()),
    }
}
