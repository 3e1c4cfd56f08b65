//! What AppSumo's events come to: tables of facts, signatures, its buyers, and snapshots of every fixture.

mod buyers;
mod events;
mod signatures;
mod snapshots;

use domain::{fact::Fact, order::Order};
use jiff::Timestamp;
use providers::{
    Delivery, Incoming, Malformed, Provider, Settings, Step,
    appsumo::{AppSumo, sign},
};
use secrecy::SecretString;

/// When these tests happen, in milliseconds.
pub(crate) const NOW: i64 = 1_790_000_000_000;

pub(crate) fn at(millisecond: i64) -> Timestamp {
    Timestamp::from_millisecond(millisecond).expect("a time")
}

/// Takes in a body that is signed as AppSumo signs.
pub(crate) fn taken_in(body: &[u8]) -> Result<Incoming, Malformed> {
    let secrets = [SecretString::from("key")];
    let headers = sign(&secrets[0], body, at(NOW));
    let header = |asked: &str| headers.iter().find(|(name, _)| *name == asked).map(|(_, value)| value.as_str());
    let delivery = Delivery { header: &header, body };
    let verified = AppSumo.verify(&delivery, &secrets, &Settings::default(), at(NOW)).expect("it is signed");
    AppSumo.incoming(&verified).map(|mut events| events.remove(0))
}

pub(crate) fn facts(incoming: &Incoming) -> Result<Vec<Fact>, Malformed> {
    match AppSumo.translate(incoming, &Settings::default(), &[])? {
        Step::Facts(facts) => Ok(facts),
        asking => panic!("AppSumo is never asked: {asking:?}"),
    }
}

/// The one fact of an event about a sale.
pub(crate) fn order(incoming: &Incoming) -> Order {
    match &facts(incoming).expect("it makes sense")[..] {
        [Fact::Order(order)] => (**order).clone(),
        other => panic!("not one fact about a sale: {other:?}"),
    }
}
