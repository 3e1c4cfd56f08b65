//! What happened before the demo began: a few months of a small shop.

use jiff::{SignedDuration, Timestamp};

use super::{
    account::{Account, Buyer, Event},
    action::{Action, Paying},
    offers::Offer,
    stage::Stage,
};

/// A price from before the shop's plans were written down: nobody has mapped it.
const OLD_PRICE: &str = "price_1QhaloStudio2019";

/// A purchase, and what became of it, each so many days ago.
struct Story {
    email: &'static str,
    /// The plan, or the one that its buyer believed to buy.
    plan: &'static str,
    /// At a price that nobody has mapped.
    unmapped: bool,
    quantity: u32,
    bought: i64,
    then: &'static [(i64, Then)],
}

/// What became of a purchase.
#[derive(Clone, Copy)]
enum Then {
    Renewed,
    Overdue,
    Cancelled,
    Refunded,
}

const STORIES: &[Story] = &[
    story("margaret.hamilton@example.com", "studio-solo", 1, 402, &[]),
    story("grace.hopper@example.com", "studio-pro", 1, 91, &[]),
    story("barbara.liskov@example.com", "studio-pro", 3, 64, &[]),
    story("alan.kay@example.com", "studio-solo", 1, 48, &[]),
    story("radia.perlman@example.com", "relay-team", 1, 41, &[(10, Then::Renewed)]),
    story("hedy.lamarr@example.com", "relay-starter", 1, 33, &[(2, Then::Overdue)]),
    story("katherine.johnson@example.com", "relay-starter", 1, 19, &[]),
    story("edsger.dijkstra@example.com", "relay-starter", 1, 16, &[(4, Then::Cancelled)]),
    story("linus.pauling@example.com", "studio-pro", 1, 9, &[(6, Then::Refunded)]),
    Story { unmapped: true, ..story("frances.allen@example.com", "studio-pro", 1, 2, &[]) },
];

const fn story(
    email: &'static str,
    plan: &'static str,
    quantity: u32,
    bought: i64,
    then: &'static [(i64, Then)],
) -> Story {
    Story { email, plan, unmapped: false, quantity, bought, then }
}

/// Lets it all happen at the provider. Returns the events, the oldest first.
pub(crate) async fn write(stage: &mut Stage, offers: &[Offer], now: Timestamp) -> anyhow::Result<Vec<Event>> {
    let ago = |days: i64| domain::time::after(now, -SignedDuration::from_hours(24 * days));
    let mut events = Vec::new();
    for story in STORIES {
        let Some(offer) = offers.iter().find(|offer| offer.plan == story.plan) else { continue };
        let monthly = story.plan.starts_with("relay");
        let price = if story.unmapped {
            stage.put_price(OLD_PRICE, offer, monthly, ago(story.bought));
            OLD_PRICE.to_owned()
        } else {
            stage.price(offer, monthly, ago(story.bought)).await?
        };
        let (buyer, quantity) = (Buyer::of(story.email), story.quantity);
        let bought = match monthly {
            true => Action::Subscribe { buyer, lines: vec![(price, quantity)], plan: None, trial_days: 0 },
            false => Action::Checkout { buyer, lines: vec![(price, quantity)], plan: None, paying: Paying::AtOnce },
        };
        events.extend(stage.step(&bought, ago(story.bought))?);
        for (days, then) in story.then {
            let action = stage.with_account(|account| then.action(account));
            if let Some(action) = action {
                events.extend(stage.step(&action, ago(*days))?);
            }
        }
    }
    Ok(events)
}

impl Then {
    /// As something that happens to the latest sale.
    fn action(self, account: &Account) -> Option<Action> {
        let sale = account.sales.last()?;
        let subscription = sale.subscription.clone();
        Some(match self {
            Self::Renewed => Action::Renew { subscription: subscription? },
            Self::Overdue => Action::FailPayment { subscription: subscription? },
            Self::Cancelled => Action::Cancel { subscription: subscription?, at_once: false },
            Self::Refunded => Action::Refund { payment: account.last_payment(sale)?.intent.clone(), amount: None },
        })
    }
}
