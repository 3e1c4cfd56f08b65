//! `keywright simulate stripe SCENARIO`.

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use domain::ambient::Clock;
use jiff::{SignedDuration, Timestamp};
use providers::Level;
use url::Url;

use crate::{
    clock::SystemClock,
    options::DataOptions,
    output::say,
    server,
    simulator::{
        account::{Buyer, Event, Sale},
        api::Trouble,
        offers::{Offer, find, next, offers},
        play::{Played, play, play_lost},
        provider::{Action, Outcome},
        send::{self, Manner},
        setup,
        stage::{Setting, Stage},
        tell::program,
    },
};

/// What is played.
#[derive(Debug, Subcommand)]
pub(crate) enum Simulate {
    /// Something happens at Stripe.
    Stripe(Box<Play>),
    /// Time passes in test mode: licenses end, and what is due happens.
    Clock(super::test_clock::TestClock),
}

impl Simulate {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Stripe(play) => play.run().await,
            Self::Clock(clock) => clock.run().await,
        }
    }
}

/// What is played, and for whom.
#[derive(Debug, Args)]
pub(crate) struct Play {
    /// What happens there.
    scenario: Scenario,

    /// The plan that is bought. [default: the first plan]
    #[arg(long, conflicts_with = "price")]
    plan: Option<String>,

    /// A price that is bought instead of a plan's, such as one that nobody has mapped.
    #[arg(long)]
    price: Option<String>,

    /// For `upgrade`: the plan that comes after. [default: the next plan of the same product]
    #[arg(long)]
    to: Option<String>,

    /// How many. With `upgrade`, how many from then on.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    quantity: Option<u32>,

    /// Who buys.
    #[arg(long, default_value = "ada@example.com")]
    email: String,

    /// Goes on with the last purchase of an earlier call, instead of making a new one first.
    #[arg(long)]
    last: bool,

    /// For `cancel`: at once, and not at the end of what is paid.
    #[arg(long)]
    now: bool,

    /// What the connection's key may look up at the provider. [default: as before; `read` at first]
    #[arg(long, value_enum)]
    level: Option<LevelName>,

    /// Has the provider's API misbehave while the server looks things up.
    #[arg(long, value_enum)]
    trouble: Option<Trouble>,

    /// The running server.
    #[arg(long, env = "KEYWRIGHT_SERVER", default_value = "http://127.0.0.1:8400")]
    server: Url,

    #[command(flatten)]
    data: DataOptions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// Somebody buys once.
    Checkout,
    /// Somebody subscribes, month by month.
    Subscription,
    /// The next month of a subscription is paid, or the one that is overdue.
    Renew,
    /// A subscription changes to another plan or number.
    Upgrade,
    /// The next month of a subscription is not paid.
    PastDue,
    /// A subscription is cancelled.
    Cancel,
    /// A payment goes back in full.
    Refund,
    /// Half of a payment goes back.
    PartialRefund,
    /// The buyer's bank questions a payment.
    Dispute,
    /// It came back to the vendor.
    DisputeWon,
    /// The bank kept it.
    DisputeLost,
    /// A subscription stops for a while.
    Pause,
    /// It goes on.
    Resume,
    /// Every event of a purchase comes three times, all at the same time.
    Duplicate,
    /// A subscription and its renewal, in any order and each event twice.
    OutOfOrder,
    /// Webhooks of a day are lost; the server finds the events in the provider's list. Then they come after all.
    LostWebhooks,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LevelName {
    /// Nothing: only the webhook's secret is known.
    None,
    /// Checkout sessions, invoices, charges, customers.
    Read,
    /// Subscriptions as well.
    Full,
}

impl From<LevelName> for Level {
    fn from(level: LevelName) -> Self {
        match level {
            LevelName::None => Self::None,
            LevelName::Read => Self::Read,
            LevelName::Full => Self::Full,
        }
    }
}

/// How long ago something happened of which the server heard nothing.
const A_DAY: SignedDuration = SignedDuration::from_hours(24);
/// Every event three times.
const THRICE: Manner = Manner { copies: 3, shuffled: true, at_once: 16 };
/// In any order, each event twice.
const SHUFFLED: Manner = Manner { copies: 2, shuffled: true, at_once: 4 };

impl Scenario {
    /// Whether it is about a subscription.
    const fn is_of_subscription(self) -> bool {
        matches!(
            self,
            Self::Subscription
                | Self::Renew
                | Self::Upgrade
                | Self::PastDue
                | Self::Cancel
                | Self::Pause
                | Self::Resume
                | Self::OutOfOrder
                | Self::LostWebhooks
        )
    }
}

impl Play {
    async fn run(self) -> anyhow::Result<()> {
        let folder = self.data.data_dir.display();
        if !self.data.data_dir.exists() {
            bail!(
                "there is no data folder {folder}; start a server on it first: {} serve --data-dir {folder}",
                program()
            );
        }
        self.ensure_server_answers().await?;
        let engine = server::open(&self.data).await?.engine;
        // Nothing is set up for a purchase that cannot be made.
        if !self.last {
            find(&offers(&engine).await?, self.plan.as_deref())?;
        }
        let setting = Setting {
            engine,
            folder: &self.data.data_dir,
            server: &self.server,
            level: self.level.map(Level::from),
            trouble: self.trouble,
        };
        let mut stage = Stage::set(setting).await?;
        let played = self.play(&mut stage).await;
        stage.close().await;
        let played = played?;
        if played.told == 0 {
            let (licenses, mails) = (counted(played.licenses, "license"), counted(played.mails, "mail"));
            say!("Nothing changed: still {licenses} and {mails}. The server knew all of this already.");
        }
        self.hint(&played);
        Ok(())
    }

    async fn ensure_server_answers(&self) -> anyhow::Result<()> {
        let request = net::Request {
            method: http::Method::GET,
            url: self.server.join("/readyz")?,
            headers: Vec::new(),
            body: bytes::Bytes::new(),
        };
        let (server, folder) = (&self.server, self.data.data_dir.display());
        let answer = send::loopback()?.send(request).await.with_context(|| {
            format!(
                "no server answers at {server}\n  start one in another terminal:  {} serve --data-dir {folder}\n  \
                 or say where it is:             --server http://127.0.0.1:PORT",
                program()
            )
        })?;
        anyhow::ensure!(answer.status == 200, "the server at {server} is not ready: it answers {}", answer.status);
        Ok(())
    }

    async fn play(&self, stage: &mut Stage) -> anyhow::Result<Played> {
        match self.scenario {
            Scenario::Checkout | Scenario::Subscription => self.buy(stage, Manner::ORDERLY).await,
            Scenario::Duplicate if self.last => {
                let sale = self.last_sale(stage)?;
                self.send(stage, &sale, sale.events.clone(), THRICE).await
            }
            Scenario::Duplicate => self.buy(stage, THRICE).await,
            Scenario::OutOfOrder => self.out_of_order(stage).await,
            Scenario::LostWebhooks => self.lost_webhooks(stage).await,
            _ => self.go_on(stage).await,
        }
    }

    /// A purchase of its own.
    async fn buy(&self, stage: &mut Stage, manner: Manner) -> anyhow::Result<Played> {
        let (sale, events) = self.purchase(stage).await?;
        self.send(stage, &sale, events, manner).await
    }

    /// Something happens to the last purchase, or to one that is made for it.
    async fn go_on(&self, stage: &mut Stage) -> anyhow::Result<Played> {
        let sale = if self.last {
            self.last_sale(stage)?
        } else {
            let (sale, events) = self.purchase(stage).await?;
            let _ = self.send(stage, &sale, events, Manner::ORDERLY).await?;
            say!("");
            sale
        };
        let action = self.action(stage, &sale).await?;
        let events = stage.step(&action, SystemClock.now())?;
        self.send(stage, &sale, events, Manner::ORDERLY).await
    }

    /// A subscription and its renewal. With `--last`, the renewal of the last one.
    async fn out_of_order(&self, stage: &mut Stage) -> anyhow::Result<Played> {
        let (sale, mut events) =
            if self.last { (self.last_sale(stage)?, Vec::new()) } else { self.purchase(stage).await? };
        let action = Action::Renew { subscription: subscription(&sale)?.to_owned() };
        events.extend(stage.step(&action, SystemClock.now())?);
        self.send(stage, &sale, events, SHUFFLED).await
    }

    /// A subscription of yesterday, of which the server heard nothing.
    async fn lost_webhooks(&self, stage: &mut Stage) -> anyhow::Result<Played> {
        let bought = domain::time::after(SystemClock.now(), -A_DAY);
        let (sale, events) = self.purchase_at(stage, bought).await?;
        let first = events.first().context("there is nothing to lose")?;
        stage.made_known(first).await?;
        let found = play_lost(stage, &sale.session, &events, bought).await?;
        say!("");
        let late = self.send(stage, &sale, events, Manner::ORDERLY).await?;
        anyhow::ensure!(
            (late.licenses, late.mails) == (found.licenses, found.mails),
            "the webhooks that came late made another license or mail; this is a defect, please report it"
        );
        Ok(Played { keys: found.keys, ..late })
    }

    async fn send(&self, stage: &mut Stage, sale: &Sale, events: Vec<Event>, manner: Manner) -> anyhow::Result<Played> {
        let Some(first) = events.first() else { bail!("there is nothing to send") };
        if let Some(waited) = stage.made_known(first).await? {
            let (code, waited) = (&stage.connection.code, waited.as_millis());
            say!("The running server has taken notice of the connection `{code}`, after {waited} ms.");
        }
        play(stage, &sale.session, &events, manner).await
    }

    /// Somebody buys what was asked for.
    async fn purchase(&self, stage: &mut Stage) -> anyhow::Result<(Sale, Vec<Event>)> {
        self.purchase_at(stage, SystemClock.now()).await
    }

    async fn purchase_at(&self, stage: &mut Stage, now: Timestamp) -> anyhow::Result<(Sale, Vec<Event>)> {
        let monthly = self.scenario.is_of_subscription();
        let offer = self.offer(stage).await?;
        let price = match &self.price {
            Some(price) => {
                stage.put_price(price, &offer, monthly, now);
                price.clone()
            }
            None => stage.price(&offer, monthly, now).await?,
        };
        let buyer = Buyer::of(&self.email);
        // Who may not ask what was bought has the checkout's metadata name the plan.
        let names_plan = stage.connection.settings.level == Level::None && self.price.is_none();
        let plan = names_plan.then_some(offer.plan);
        // With `upgrade` the quantity is the one that comes after.
        let quantity = self.quantity.filter(|_| self.scenario != Scenario::Upgrade).unwrap_or(1);
        let action = match monthly {
            true => Action::Subscribe { buyer, price, quantity, plan },
            false => Action::Checkout { buyer, lines: vec![(price, quantity)], plan },
        };
        let events = stage.step(&action, now)?;
        let sale = stage.last_sale().context("the purchase is not there")?;
        Ok((sale, events))
    }

    async fn offer(&self, stage: &Stage) -> anyhow::Result<Offer> {
        let offers = offers(&stage.engine).await?;
        let asked_for = if self.last { None } else { self.plan.as_deref() };
        find(&offers, asked_for)
    }

    fn last_sale(&self, stage: &Stage) -> anyhow::Result<Sale> {
        let about = self.scenario.is_of_subscription();
        let sale = stage.with_account(|account| {
            let fits = |sale: &&Sale| !about || sale.subscription.is_some();
            account.sales.iter().rev().find(fits).cloned()
        });
        let what = if about { "subscription" } else { "checkout" };
        sale.with_context(|| format!("there is no {what} yet; play one: {} simulate stripe {what}", program()))
    }

    /// What happens to a sale in this scenario.
    async fn action(&self, stage: &mut Stage, sale: &Sale) -> anyhow::Result<Action> {
        Ok(match self.scenario {
            Scenario::Renew => Action::Renew { subscription: subscription(sale)?.to_owned() },
            Scenario::PastDue => Action::FailPayment { subscription: subscription(sale)?.to_owned() },
            Scenario::Cancel => Action::Cancel { subscription: subscription(sale)?.to_owned(), at_once: self.now },
            Scenario::Upgrade => self.upgrade(stage, subscription(sale)?).await?,
            Scenario::Pause | Scenario::Resume => {
                let pauses = self.scenario == Scenario::Pause;
                Action::Pause { subscription: subscription(sale)?.to_owned(), pauses }
            }
            Scenario::Dispute | Scenario::DisputeWon | Scenario::DisputeLost => {
                let payment = stage.with_account(|account| account.last_payment(sale).cloned());
                let outcome = match self.scenario {
                    Scenario::DisputeWon => Outcome::Won,
                    Scenario::DisputeLost => Outcome::Lost,
                    _ => Outcome::Open,
                };
                Action::Dispute { payment: payment.context("the sale has no payment")?.intent, outcome }
            }
            _ => {
                let payment = stage.with_account(|account| account.last_payment(sale).cloned());
                let payment = payment.context("the sale has no payment")?;
                let half = (self.scenario == Scenario::PartialRefund).then_some(payment.amount / 2);
                Action::Refund { payment: payment.intent, amount: half }
            }
        })
    }

    async fn upgrade(&self, stage: &mut Stage, id: &str) -> anyhow::Result<Action> {
        let item = stage.with_account(|account| account.subscriptions.get(id)?.items.first().cloned());
        let item = item.context("the subscription has no items")?;
        let quantity = self.quantity.unwrap_or(item.quantity);
        let target = self.to.as_deref().or(self.plan.as_deref().filter(|_| self.last));
        let price = match (target, self.quantity) {
            (None, Some(_)) => item.price,
            (target, _) => {
                let offers = offers(&stage.engine).await?;
                let now = offers.iter().position(|offer| item.price == format!("price_sim_{}_monthly", offer.plan));
                let offer = match target {
                    Some(_) => find(&offers, target)?,
                    None => next(&offers, now)
                        .context("there is no other plan to change to; name a number with --quantity")?,
                };
                stage.price(&offer, true, SystemClock.now()).await?
            }
        };
        Ok(Action::Change { subscription: id.to_owned(), price, quantity })
    }

    /// What one could do next.
    fn hint(&self, played: &Played) {
        let program = program();
        let next: &[&str] = match self.scenario {
            Scenario::Checkout | Scenario::Duplicate => &["duplicate --last", "refund --last"],
            Scenario::Subscription | Scenario::OutOfOrder | Scenario::LostWebhooks => {
                &["renew --last", "upgrade --last", "past-due --last", "cancel --last"]
            }
            Scenario::Renew => &["refund --last", "cancel --last"],
            Scenario::Upgrade => &["renew --last", "cancel --last"],
            Scenario::PastDue => &["renew --last", "cancel --last --now"],
            Scenario::Cancel => &["refund --last", "subscription"],
            Scenario::PartialRefund => &["refund --last"],
            Scenario::Refund | Scenario::DisputeWon | Scenario::DisputeLost => &["checkout"],
            Scenario::Dispute => &["dispute-won --last", "dispute-lost --last"],
            Scenario::Pause => &["resume --last"],
            Scenario::Resume => &["renew --last", "pause --last"],
        };
        let folder = self.data_option();
        let server = match self.server.as_str().trim_end_matches('/') {
            "http://127.0.0.1:8400" => String::new(),
            _ if std::env::var_os("KEYWRIGHT_SERVER").is_some() => String::new(),
            server => format!(" --server {server}"),
        };
        if let (Some(price), true) = (&self.price, played.licenses == 0) {
            let (code, plan) = (setup::CONNECTION, "CODE");
            say!("Next: map the price with a file for `{program} apply`, and the held keys are issued:");
            say!("  [[price_rule]]\n  connection = \"{code}\"\n  price = \"{price}\"\n  plan = \"{plan}\"");
            return;
        }
        say!("Next:");
        if let Some(key) = played.keys.first() {
            say!("  {program} check {key}{folder}");
        }
        for scenario in next {
            say!("  {program} simulate stripe {scenario}{folder}{server}");
        }
    }

    /// The option that names this data folder, where it has to be named.
    fn data_option(&self) -> String {
        let folder = self.data.data_dir.display().to_string();
        let is_known = folder == "keywright-data" || std::env::var_os("KEYWRIGHT_DATA_DIR").is_some();
        if is_known { String::new() } else { format!(" --data-dir {folder}") }
    }
}

fn subscription(sale: &Sale) -> anyhow::Result<&str> {
    sale.subscription.as_deref().context("the last purchase is no subscription")
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
