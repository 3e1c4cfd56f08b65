//! What a scenario does at the provider: who buys what, and what happens to it then.

use anyhow::Context;
use jiff::Timestamp;
use providers::Level;

use super::{
    super::{
        account::{Buyer, Event, Outcome, Sale},
        action::{Action, Lines},
        offers::{Offer, beside, find, offers},
        scenario::Scenario,
        stage::Stage,
        tell::program,
    },
    Script,
};

/// How long a trial lasts.
const TRIAL_DAYS: i64 = 14;

impl Script {
    /// Whether it is about something that is paid by the month.
    fn is_monthly(&self, stage: &Stage) -> bool {
        self.scenario.is_of_subscription() && !stage.dialect.sells_for_good()
    }

    /// Somebody buys what was asked for.
    pub(super) async fn purchase(&self, stage: &mut Stage) -> anyhow::Result<(Sale, Vec<Event>)> {
        let now = stage.now();
        self.purchase_at(stage, now).await
    }

    /// The same, at another time.
    pub(super) async fn purchase_at(&self, stage: &mut Stage, now: Timestamp) -> anyhow::Result<(Sale, Vec<Event>)> {
        if self.connected {
            return stage.sold_by_checkout(&self.email).await;
        }
        let offers = offers(&stage.engine, stage.tenant).await?;
        let asked_for = if self.last { None } else { self.plan.as_deref() };
        let offer = find(&offers, asked_for)?;
        let lines = self.lines(stage, &offers, &offer, now).await?;
        let buyer = Buyer::of(&self.email);
        // Where nobody tells what was bought, the checkout's metadata name the plan, which can only be one.
        let is_told = stage.dialect.tells_lines() || stage.connection.settings.level != Level::None;
        let is_mapped = self.price.is_none() && self.scenario != Scenario::Unmapped;
        let names_plan = !is_told && is_mapped && self.also.is_empty();
        let plan = names_plan.then_some(offer.plan);
        let action = match self.scenario {
            Scenario::Expired => Action::Leave { buyer, lines },
            scenario if self.is_monthly(stage) => {
                let trial_days = if scenario.is_of_trial() { TRIAL_DAYS } else { 0 };
                Action::Subscribe { buyer, lines, plan, trial_days }
            }
            scenario => Action::Checkout { buyer, lines, plan, paying: scenario.paying() },
        };
        let events = stage.step(&action, now)?;
        let sale = stage.last_sale().context("the purchase is not there")?;
        Ok((sale, events))
    }

    /// The prices that are bought, and how many of each.
    async fn lines(&self, stage: &mut Stage, offers: &[Offer], offer: &Offer, now: Timestamp) -> anyhow::Result<Lines> {
        let monthly = self.is_monthly(stage);
        let price = match &self.price {
            Some(price) => {
                stage.put_price(price, offer, monthly, now);
                price.clone()
            }
            None if self.scenario == Scenario::Unmapped => stage.unmapped_price(offer, now).await?,
            None => stage.price(offer, monthly, now).await?,
        };
        // With `upgrade` the quantity is the one that comes after.
        let quantity = self.quantity.filter(|_| self.scenario != Scenario::Upgrade).unwrap_or(1);
        let mut lines = vec![(price, quantity)];
        for plan in &self.also {
            lines.push((stage.price(&find(offers, Some(plan))?, monthly, now).await?, 1));
        }
        Ok(lines)
    }

    /// The latest sale of the kind that the scenario is about.
    pub(super) fn last_sale(&self, stage: &Stage) -> anyhow::Result<Sale> {
        let about = self.is_monthly(stage);
        let sale = stage.with_account(|account| {
            let is_meant = |sale: &Sale| self.session.as_ref().is_none_or(|session| sale.session == *session);
            let fits = |sale: &&Sale| is_meant(sale) && (!about || sale.subscription.is_some());
            account.sales.iter().rev().find(fits).cloned()
        });
        let what = if about { "subscription" } else { "checkout" };
        let slug = stage.dialect.slug();
        sale.with_context(|| format!("there is no {what} yet; play one: {} simulate {slug} {what}", program()))
    }

    /// Whether some of a sale's last payment went back.
    pub(super) fn is_refunded(&self, stage: &Stage, sale: &Sale) -> bool {
        stage.with_account(|account| {
            account.last_payment(sale).is_some_and(|payment| account.latest_refund(&payment.intent).is_some())
        })
    }

    /// What happens to a sale in a scenario.
    pub(super) async fn action(&self, stage: &mut Stage, sale: &Sale, scenario: Scenario) -> anyhow::Result<Action> {
        if self.is_monthly(stage) {
            let subscription = subscription(sale)?.to_owned();
            return Ok(match scenario {
                Scenario::TrialEnd => Action::EndTrial { subscription },
                Scenario::PastDue => Action::FailPayment { subscription },
                Scenario::Cancel => Action::Cancel { subscription, at_once: self.now },
                Scenario::Uncancel => Action::Uncancel { subscription },
                Scenario::Upgrade | Scenario::Downgrade => self.change(stage, subscription).await?,
                Scenario::Pause => Action::Pause { subscription, pauses: true },
                Scenario::Resume => Action::Pause { subscription, pauses: false },
                Scenario::PauseCollection => Action::PauseCollection { subscription },
                Scenario::OutOfBand => Action::PayOutOfBand { subscription },
                Scenario::ManualInvoice => Action::BillByHand { subscription },
                Scenario::CustomerChanged => Action::ChangeCustomer { subscription, address: self.email.clone() },
                Scenario::CustomerDeleted => Action::DeleteCustomer { subscription },
                _ => Action::Renew { subscription },
            });
        }
        if scenario == Scenario::Addon {
            return self.add(stage, sale).await;
        }
        if scenario.is_of_subscription() {
            return self.replace(stage, sale).await;
        }
        if matches!(scenario, Scenario::AsyncPaid | Scenario::AsyncFailed) {
            let arrives = scenario == Scenario::AsyncPaid;
            return Ok(Action::Arrive { session: sale.session.clone(), arrives });
        }
        let payment = stage.with_account(|account| account.last_payment(sale).cloned());
        let payment = payment.context("the last purchase has no payment; play one that has: checkout")?;
        let (half, payment) = (payment.amount / 2, payment.intent);
        Ok(match scenario {
            Scenario::Inquiry => Action::Dispute { payment, outcome: Outcome::Inquiry },
            Scenario::Dispute => Action::Dispute { payment, outcome: Outcome::Open },
            Scenario::DisputeWon => Action::Dispute { payment, outcome: Outcome::Won },
            Scenario::DisputeLost => Action::Dispute { payment, outcome: Outcome::Lost },
            Scenario::RefundFailed => Action::FailRefund { payment },
            Scenario::PartialRefund => Action::Refund { payment, amount: Some(half) },
            _ => Action::Refund { payment, amount: None },
        })
    }

    /// A subscription becomes one for another plan or number.
    async fn change(&self, stage: &mut Stage, subscription: String) -> anyhow::Result<Action> {
        let item = stage.with_account(|account| account.subscriptions.get(&subscription)?.items.first().cloned());
        let item = item.context("the subscription has no items")?;
        let quantity = self.quantity.unwrap_or(item.quantity);
        let price = match (self.target(), self.quantity) {
            (None, Some(_)) => item.price,
            _ => self.other_price(stage, &item.price, true).await?,
        };
        Ok(Action::Change { subscription, price, quantity })
    }

    /// What was bought once becomes another plan, where there are no subscriptions.
    async fn replace(&self, stage: &mut Stage, sale: &Sale) -> anyhow::Result<Action> {
        let price = stage.with_account(|account| account.current(&sale.session)?.lines.first().cloned());
        let price = price.context("the checkout has no lines")?.price;
        let price = self.other_price(stage, &price, false).await?;
        Ok(Action::Replace { session: sale.session.clone(), price })
    }

    /// Another plan is bought in addition to what was bought once.
    async fn add(&self, stage: &mut Stage, sale: &Sale) -> anyhow::Result<Action> {
        let price = stage.with_account(|account| account.current(&sale.session)?.lines.first().cloned());
        let price = price.context("the checkout has no lines")?.price;
        let offer = self.other_offer(stage, &price, false).await?;
        let price = stage.addon(&offer).await?;
        Ok(Action::Add { session: sale.session.clone(), price })
    }

    /// The plan that was asked for.
    fn target(&self) -> Option<&str> {
        self.to.as_deref().or(self.plan.as_deref().filter(|_| self.last))
    }

    /// The price of the plan that was asked for, or of the one beside that of this price.
    async fn other_price(&self, stage: &mut Stage, price: &str, monthly: bool) -> anyhow::Result<String> {
        let offer = self.other_offer(stage, price, monthly).await?;
        let now = stage.now();
        stage.price(&offer, monthly, now).await
    }

    async fn other_offer(&self, stage: &Stage, price: &str, monthly: bool) -> anyhow::Result<Offer> {
        let offers = offers(&stage.engine, stage.tenant).await?;
        let of_offer = |offer: &Offer| stage.dialect.price_id(&offer.plan, offer.place, monthly) == price;
        let now = offers.iter().position(of_offer);
        match self.target() {
            Some(target) => find(&offers, Some(target)),
            None => beside(&offers, now, self.scenario != Scenario::Downgrade)
                .context("there is no other plan to change to; name a number with --quantity"),
        }
    }
}

/// The subscription that a sale began.
pub(super) fn subscription(sale: &Sale) -> anyhow::Result<&str> {
    sale.subscription.as_deref().context("the last purchase is no subscription")
}
