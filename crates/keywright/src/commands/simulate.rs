//! `keywright simulate PROVIDER SCENARIO`.

mod scenario;
mod script;

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use jiff::SignedDuration;
use providers::Level;
use url::Url;

use self::scenario::Scenario;
use crate::{
    options::DataOptions,
    output::{counted, say},
    server,
    simulator::{
        account::{Event, Sale},
        api::Trouble,
        appsumo::AppSumo,
        dialect::{Dialect, module, refusal},
        generic::Generic,
        lemonsqueezy::LemonSqueezy,
        offers::{find, offers},
        paddle::Paddle,
        play::{Played, play, play_lost},
        send::{self, Manner},
        setup,
        stage::{Setting, Stage},
        stripe::Stripe,
        tell::program,
    },
};

/// What is played.
#[derive(Debug, Subcommand)]
pub(crate) enum Simulate {
    /// Something happens at Stripe.
    Stripe(Box<Play>),
    /// Something happens at Paddle.
    Paddle(Box<Play>),
    /// Something happens at Lemon Squeezy.
    #[command(name = "lemonsqueezy")]
    LemonSqueezy(Box<Play>),
    /// Something happens at AppSumo.
    #[command(name = "appsumo")]
    AppSumo(Box<Play>),
    /// Something happens at any other shop, in our own words.
    Generic(Box<Play>),
    /// Time passes in test mode: licenses end, and what is due happens.
    Clock(super::test_clock::TestClock),
}

impl Simulate {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Stripe(play) => play.run(&Stripe).await,
            Self::Paddle(play) => play.run(&Paddle).await,
            Self::LemonSqueezy(play) => play.run(&LemonSqueezy).await,
            Self::AppSumo(play) => play.run(&AppSumo).await,
            Self::Generic(play) => play.run(&Generic).await,
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

    /// A plan that is bought with it, as another line. May be given several times.
    #[arg(long, value_name = "PLAN")]
    also: Vec<String>,

    /// For `upgrade` and `downgrade`: the plan that comes after; for `addon`: the one that comes in addition. [default: the next one of the same product, or the one before]
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

    /// Sells by an account that a vendor has connected to this server as a platform: a checkout is opened by
    /// `POST /api/{tenant}/checkout`, and its events come to the platform's endpoint.
    #[arg(long, conflicts_with_all = ["plan", "price", "also", "to", "quantity"])]
    connected: bool,

    /// Has the provider's API misbehave while the server looks things up.
    #[arg(long, value_enum)]
    trouble: Option<Trouble>,

    /// The running server.
    #[arg(long, env = "KEYWRIGHT_SERVER", default_value = "http://127.0.0.1:8400")]
    server: Url,

    #[command(flatten)]
    data: DataOptions,
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
/// What is played at a connected account.
const CONNECTED: &[&str] = &[
    "checkout",
    "refund",
    "partial-refund",
    "refund-failed",
    "inquiry",
    "dispute",
    "dispute-won",
    "dispute-lost",
    "duplicate",
];
/// In any order, each event twice.
const SHUFFLED: Manner = Manner { copies: 2, shuffled: true, at_once: 4 };

impl Play {
    async fn run(self, dialect: &'static dyn Dialect) -> anyhow::Result<()> {
        let folder = self.data.data_dir.display();
        if !self.data.data_dir.exists() {
            bail!(
                "there is no data folder {folder}; start a server on it first: {} serve --data-dir {folder}",
                program()
            );
        }
        self.ensure_possible(dialect)?;
        self.ensure_server_answers().await?;
        let engine = server::open(&self.data).await?.engine;
        // Nothing is set up for a purchase that cannot be made.
        if !self.last && !self.connected {
            let offers = offers(&engine).await?;
            for plan in [self.plan.as_ref()].into_iter().chain(self.also.iter().map(Some)) {
                find(&offers, plan.map(String::as_str))?;
            }
        }
        let setting = Setting {
            dialect,
            engine,
            folder: &self.data.data_dir,
            server: &self.server,
            level: self.level.map(Level::from),
            trouble: self.trouble,
            connected: self.connected,
        };
        let mut stage = Stage::set(setting).await?;
        let played = self.play(&mut stage).await;
        stage.close().await;
        let played = played?;
        if played.told == 0 {
            match self.scenario.nothing_followed() {
                Some(why) => say!("{why}"),
                None => {
                    let (licenses, mails) = (counted(played.licenses, "license"), counted(played.mails, "mail"));
                    match self.scenario.is_told_again() {
                        true => {
                            say!("Nothing changed: still {licenses} and {mails}. The server knew all of this already.");
                        }
                        false => say!("No license changes: still {licenses} and {mails}."),
                    }
                }
            }
        }
        self.hint(dialect, &played);
        Ok(())
    }

    /// Nothing is bought for what cannot happen at the provider.
    fn ensure_possible(&self, dialect: &dyn Dialect) -> anyhow::Result<()> {
        let word = self.scenario.word();
        if self.connected {
            anyhow::ensure!(
                module(dialect).accounts().is_some(),
                "{} has no connected accounts; they are played at Stripe",
                module(dialect).info().name
            );
            let words = CONNECTED.join(", ");
            anyhow::ensure!(CONNECTED.contains(&word.as_str()), "with --connected, one of these is played: {words}");
        }
        let changes_number = self.scenario == Scenario::Upgrade && self.quantity.is_some() && self.to.is_none();
        let wishes = [
            Some(word.clone()),
            (!self.also.is_empty()).then(|| "--also".to_owned()),
            changes_number.then(|| format!("{word} --quantity")),
            self.quantity.map(|_| "--quantity".to_owned()),
        ];
        match wishes.iter().flatten().find_map(|wish| refusal(dialect, wish)) {
            Some(why) => bail!("{why}"),
            None => Ok(()),
        }
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
            Scenario::Checkout
            | Scenario::Free
            | Scenario::Expired
            | Scenario::AsyncCheckout
            | Scenario::Subscription
            | Scenario::Trial => self.buy(stage, Manner::ORDERLY).await,
            Scenario::Duplicate if self.last => {
                let sale = self.last_sale(stage)?;
                self.send(stage, &sale, sale.events.clone(), THRICE).await
            }
            Scenario::Duplicate => self.buy(stage, THRICE).await,
            Scenario::OutOfOrder => self.out_of_order(stage).await,
            Scenario::LostWebhooks => self.lost_webhooks(stage).await,
            Scenario::Redeem => self.redeem(stage).await,
            Scenario::RedeemEarly => self.redeem_early(stage).await,
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
        // Only what went back can come again.
        if self.scenario == Scenario::RefundFailed && !self.is_refunded(stage, &sale) {
            self.act(stage, &sale, Scenario::Refund).await?;
            say!("");
        }
        self.act(stage, &sale, self.scenario).await
    }

    async fn act(&self, stage: &mut Stage, sale: &Sale, scenario: Scenario) -> anyhow::Result<Played> {
        let action = self.action(stage, sale, scenario).await?;
        let events = stage.step(&action, stage.now())?;
        self.send(stage, sale, events, Manner::ORDERLY).await
    }

    /// A subscription and its renewal, or a sale and its change. With `--last`, what follows the last one.
    async fn out_of_order(&self, stage: &mut Stage) -> anyhow::Result<Played> {
        let (sale, mut events) =
            if self.last { (self.last_sale(stage)?, Vec::new()) } else { self.purchase(stage).await? };
        let next = if stage.dialect.sells_for_good() { Scenario::Upgrade } else { Scenario::Renew };
        let action = self.action(stage, &sale, next).await?;
        events.extend(stage.step(&action, stage.now())?);
        self.send(stage, &sale, events, SHUFFLED).await
    }

    /// A subscription of yesterday, of which the server heard nothing.
    async fn lost_webhooks(&self, stage: &mut Stage) -> anyhow::Result<Played> {
        let bought = domain::time::after(stage.now(), -A_DAY);
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

    /// The buyer of the last purchase, or of one that is made for it, comes from the provider.
    async fn redeem(&self, stage: &mut Stage) -> anyhow::Result<Played> {
        let (sale, played) = match self.last {
            true => (self.last_sale(stage)?, Played::nothing()),
            false => {
                let (sale, events) = self.purchase(stage).await?;
                let played = self.send(stage, &sale, events, Manner::ORDERLY).await?;
                say!("");
                (sale, played)
            }
        };
        self.come(stage, &sale).await?;
        // That somebody came is told, whether anything else is.
        Ok(Played { told: played.told + 1, ..played })
    }

    /// The buyer is faster than the webhook, as where it is lost at first.
    async fn redeem_early(&self, stage: &mut Stage) -> anyhow::Result<Played> {
        let (sale, events) = self.purchase(stage).await?;
        self.come(stage, &sale).await?;
        say!("");
        self.send(stage, &sale, events, Manner::ORDERLY).await
    }

    async fn come(&self, stage: &mut Stage, sale: &Sale) -> anyhow::Result<()> {
        let (sent_to, page) = stage.come(&sale.session).await?;
        say!("→ GET {sent_to}  the buyer comes with a code");
        say!("The page of the buyer, which opens for an hour:  {page}");
        Ok(())
    }

    async fn send(&self, stage: &mut Stage, sale: &Sale, events: Vec<Event>, manner: Manner) -> anyhow::Result<Played> {
        let Some(first) = events.first() else { bail!("there is nothing to send") };
        if let Some(waited) = stage.made_known(first).await? {
            let (code, waited) = (&stage.connection.code, waited.as_millis());
            say!("The running server has taken notice of the connection `{code}`, after {waited} ms.");
        }
        play(stage, &sale.session, &events, manner).await
    }

    /// What one could do next.
    fn hint(&self, dialect: &dyn Dialect, played: &Played) {
        let program = program();
        let folder = self.data.as_option();
        let server = match self.server.as_str().trim_end_matches('/') {
            "http://127.0.0.1:8400" => String::new(),
            _ if std::env::var_os("KEYWRIGHT_SERVER").is_some() => String::new(),
            server => format!(" --server {server}"),
        };
        if let (Some(price), true) = (&self.price, played.licenses == 0) {
            let (code, plan) = (setup::code(dialect, false), "CODE");
            say!("Next: map the price with a file for `{program} apply`, and the held keys are issued:");
            say!("  [[price_rule]]\n  connection = \"{code}\"\n  price = \"{price}\"\n  plan = \"{plan}\"");
            return;
        }
        if let Some(order) = played.to_approve {
            say!("Its plan says that somebody approves a sale before it has licenses. Next:");
            for word in ["approve", "reject"] {
                say!("  {program} {word} {order}{folder}    or POST /v1/orders/{order}/{word}");
            }
            return;
        }
        let connected = if self.connected { " --connected" } else { "" };
        say!("Next:");
        if let Some(key) = played.keys.first() {
            say!("  {program} check {key}{folder}");
        }
        for next in self.scenario.next() {
            let word = next.split(' ').next().unwrap_or_default();
            match word {
                // Time passes without a server.
                "clock" => say!("  {program} simulate {next}{folder}"),
                _ if refusal(dialect, word).is_some() => {}
                _ if self.connected && !CONNECTED.contains(&word) => {}
                _ => say!("  {program} simulate {} {next}{connected}{folder}{server}", dialect.slug()),
            }
        }
    }
}
