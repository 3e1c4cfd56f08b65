//! A script: what is played and for whom, as the command line and the console ask for it, and how it goes.

mod actions;

use anyhow::{Context, bail};
use clap::Args;
use jiff::SignedDuration;

use super::{
    account::{Event, Sale},
    dialect::{Dialect, module, refusal},
    offers::{find, offers},
    play::{Played, play, play_lost},
    scenario::Scenario,
    send::Manner,
    stage::Stage,
};
use crate::output::counted;

/// What is played, and for whom.
#[derive(Debug, Args)]
pub(crate) struct Script {
    /// What happens there.
    pub(crate) scenario: Scenario,

    /// The plan that is bought. [default: the first plan]
    #[arg(long, conflicts_with = "price")]
    pub(crate) plan: Option<String>,

    /// A price that is bought instead of a plan's, such as one that nobody has mapped.
    #[arg(long)]
    pub(crate) price: Option<String>,

    /// A plan that is bought with it, as another line. May be given several times.
    #[arg(long, value_name = "PLAN")]
    pub(crate) also: Vec<String>,

    /// For `upgrade` and `downgrade`: the plan that comes after; for `addon`: the one that comes in addition. [default: the next one of the same product, or the one before]
    #[arg(long)]
    pub(crate) to: Option<String>,

    /// How many. With `upgrade`, how many from then on.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) quantity: Option<u32>,

    /// Who buys.
    #[arg(long, default_value = "ada@example.com")]
    pub(crate) email: String,

    /// Goes on with the last purchase of an earlier call, instead of making a new one first.
    #[arg(long)]
    pub(crate) last: bool,

    /// For `cancel`: at once, and not at the end of what is paid.
    #[arg(long)]
    pub(crate) now: bool,

    /// Sells by an account that a vendor has connected to this server as a platform: a checkout is opened by
    /// `POST /api/{tenant}/checkout`, and its events come to the platform's endpoint.
    #[arg(long, conflicts_with_all = ["plan", "price", "also", "to", "quantity"])]
    pub(crate) connected: bool,

    /// The checkout of the sale that it goes on with, instead of the last one.
    #[arg(skip)]
    pub(crate) session: Option<String>,
}

/// How long ago something happened of which the server heard nothing.
const A_DAY: SignedDuration = SignedDuration::from_hours(24);
/// Every event three times.
const THRICE: Manner = Manner { copies: 3, shuffled: true, at_once: 16 };
/// What is played at a connected account.
pub(crate) const CONNECTED: &[&str] = &[
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

impl Script {
    /// Nothing is bought for what cannot happen at the provider.
    ///
    /// # Errors
    /// Why it cannot.
    pub(crate) fn ensure_possible(&self, dialect: &dyn Dialect) -> anyhow::Result<()> {
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

    /// Whether it asks for a plan that is not there.
    ///
    /// # Errors
    /// It does, or there is none at all; or those of the database.
    pub(crate) async fn ensure_plans(
        &self,
        engine: &engine::Engine,
        tenant: domain::id::TenantId,
    ) -> anyhow::Result<()> {
        // Nothing is set up for a purchase that cannot be made.
        if !self.last && !self.connected {
            let offers = offers(engine, tenant).await?;
            for plan in [self.plan.as_ref()].into_iter().chain(self.also.iter().map(Some)) {
                find(&offers, plan.map(String::as_str))?;
            }
        }
        Ok(())
    }

    /// What is to be said where nothing was told.
    pub(crate) fn nothing_told(&self, played: &Played) -> String {
        if let Some(why) = self.scenario.nothing_followed() {
            return why.to_owned();
        }
        let (licenses, mails) = (counted(played.licenses, "license"), counted(played.mails, "mail"));
        match self.scenario.is_told_again() {
            true => format!("Nothing changed: still {licenses} and {mails}. The server knew all of this already."),
            false => format!("No license changes: still {licenses} and {mails}."),
        }
    }

    /// Plays it.
    ///
    /// # Errors
    /// It cannot happen, or the server did not take it.
    pub(crate) async fn play(&self, stage: &mut Stage) -> anyhow::Result<Played> {
        match self.scenario {
            Scenario::Checkout
            | Scenario::Unmapped
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
            stage.audience.remark("");
            sale
        };
        // Only what went back can come again.
        if self.scenario == Scenario::RefundFailed && !self.is_refunded(stage, &sale) {
            self.act(stage, &sale, Scenario::Refund).await?;
            stage.audience.remark("");
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
        stage.audience.remark("");
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
                stage.audience.remark("");
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
        stage.audience.remark("");
        self.send(stage, &sale, events, Manner::ORDERLY).await
    }

    async fn come(&self, stage: &mut Stage, sale: &Sale) -> anyhow::Result<()> {
        let (sent_to, page) = stage.come(&sale.session).await?;
        stage.audience.remark(&format!("→ GET {sent_to}  the buyer comes with a code"));
        stage.audience.remark(&format!("The page of the buyer, which opens for an hour:  {page}"));
        Ok(())
    }

    async fn send(&self, stage: &mut Stage, sale: &Sale, events: Vec<Event>, manner: Manner) -> anyhow::Result<Played> {
        let Some(first) = events.first() else { bail!("there is nothing to send") };
        if let Some(waited) = stage.made_known(first).await? {
            let (code, waited) = (&stage.connection.code, waited.as_millis());
            let text = format!("The running server has taken notice of the connection `{code}`, after {waited} ms.");
            stage.audience.remark(&text);
        }
        play(stage, &sale.session, &events, manner).await
    }
}
