//! A little shop at any provider, and what the server's own module makes of what it tells.

use domain::{fact::Fact, join::Join, order::Order};
use jiff::Timestamp;
use providers::{Level, Settings, Step, http::Answer};

use super::{Dialect, Question, incoming, module};
use crate::simulator::{
    account::{Account, Buyer, Event, Price},
    action::{Action, Paying},
};

pub(crate) const NOW: Timestamp = Timestamp::constant(1_790_000_000, 0);

/// The prices of the shop: what is bought once, and two that are paid by the month.
pub(crate) struct Prices {
    pub(crate) once: String,
    pub(crate) small: String,
    pub(crate) large: String,
}

impl Prices {
    pub(crate) fn of(dialect: &dyn Dialect) -> Self {
        Self {
            once: dialect.price_id("once", 0, false),
            small: dialect.price_id("small", 1, true),
            large: dialect.price_id("large", 2, true),
        }
    }
}

/// An account that has the prices.
pub(crate) fn shop(dialect: &dyn Dialect) -> Account {
    let mut account = Account::new(dialect, [1; 32]);
    let prices = Prices::of(dialect);
    for (id, unit_amount, monthly) in
        [(prices.once, 4_900, false), (prices.small, 900, true), (prices.large, 1_900, true)]
    {
        let price = Price { name: id.clone(), id, product: "prod_app".into(), unit_amount, monthly };
        account.put_price(price, NOW);
    }
    account
}

pub(crate) fn buyer() -> Buyer {
    Buyer { email: "ada@example.com".into(), name: "Ada".into() }
}

/// So many are bought once.
pub(crate) fn checkout(dialect: &dyn Dialect, quantity: u32, paying: Paying) -> Action {
    Action::Checkout { buyer: buyer(), lines: vec![(Prices::of(dialect).once, quantity)], plan: None, paying }
}

/// Somebody subscribes.
pub(crate) fn subscribed_action(dialect: &dyn Dialect, trial_days: i64) -> Action {
    Action::Subscribe { buyer: buyer(), lines: vec![(Prices::of(dialect).small, 1)], plan: None, trial_days }
}

/// A subscription, and the events of its beginning.
pub(crate) fn subscribed(account: &mut Account, trial_days: i64) -> (String, Vec<Event>) {
    let action = subscribed_action(account.dialect(), trial_days);
    let events = account.step(&action, NOW).unwrap();
    (account.sales.last().unwrap().subscription.clone().unwrap(), events)
}

/// The payment of the shop's only sale.
pub(crate) fn payment(account: &Account) -> String {
    account.last_payment(&account.sales[0]).unwrap().intent.clone()
}

pub(crate) fn kinds(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.kind.as_str()).collect()
}

/// What the server's module makes of an event, with look-ups answered by the account.
fn facts(account: &Account, event: &Event, level: Level) -> Vec<Fact> {
    let dialect = account.dialect();
    let (incoming, settings) = (incoming(dialect, &event.body, NOW), Settings { level, ..Settings::default() });
    let mut answers = Vec::new();
    loop {
        match module(dialect).translate(&incoming, &settings, &answers).unwrap() {
            Step::Facts(facts) => return facts,
            Step::Need(requests) | Step::Partly { wanted: requests, .. } => {
                answers.extend(requests.into_iter().map(|request| {
                    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
                    let query = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
                    let reply = dialect.answer(account, Level::Full, &Question { path, query });
                    assert_eq!(reply.status, 200, "{}", request.path);
                    Answer { body: reply.body.to_string(), status: 200, asked_at: NOW, request }
                }));
            }
        }
    }
}

/// The one order that these events come to.
pub(crate) fn order(account: &Account, events: &[Event], level: Level) -> Order {
    let mut order = Order::default();
    for fact in events.iter().flat_map(|event| facts(account, event, level)) {
        if let Fact::Order(part) = fact {
            order.join(*part);
        }
    }
    // What a provider does not tell of its payments' periods, the domain finds out.
    order.with_payments_of_periods().into_owned()
}

/// The addresses that became known.
pub(crate) fn addresses(account: &Account, events: &[Event], level: Level) -> Vec<String> {
    let address = |fact| match fact {
        Fact::Order(order) => order.contact.map(|contact| contact.value.email.as_str().to_owned()),
        Fact::Customer(customer) => customer.snapshot.value.email.map(|email| email.as_str().to_owned()),
    };
    events.iter().flat_map(|event| facts(account, event, level)).filter_map(address).collect()
}
