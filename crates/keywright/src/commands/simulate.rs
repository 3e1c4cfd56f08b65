//! `keywright simulate PROVIDER SCENARIO`.

use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use engine::tenants::DEFAULT_TENANT;
use providers::Level;
use url::Url;

use crate::{
    options::DataOptions,
    output::say,
    server,
    simulator::{
        api::Trouble,
        appsumo::AppSumo,
        dialect::{Dialect, refusal},
        generic::Generic,
        lemonsqueezy::LemonSqueezy,
        offers::tenant,
        paddle::Paddle,
        play::Played,
        script::{CONNECTED, Script},
        send, setup,
        stage::{Setting, Stage},
        stripe::Stripe,
        tell::{Printer, program},
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

/// What is played, for whom, and where.
#[derive(Debug, Args)]
pub(crate) struct Play {
    #[command(flatten)]
    script: Script,

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

impl Play {
    async fn run(self, dialect: &'static dyn Dialect) -> anyhow::Result<()> {
        let folder = self.data.data_dir.display();
        if !self.data.data_dir.exists() {
            bail!(
                "there is no data folder {folder}; start a server on it first: {} serve --data-dir {folder}",
                program()
            );
        }
        self.script.ensure_possible(dialect)?;
        self.ensure_server_answers().await?;
        let engine = server::open(&self.data).await?.engine;
        let tenant = tenant(&engine).await?;
        self.script.ensure_plans(&engine, tenant).await?;
        let setting = Setting {
            dialect,
            engine,
            folder: &self.data.data_dir,
            server: &self.server,
            level: self.level.map(Level::from),
            trouble: self.trouble,
            connected: self.script.connected,
            tenant: DEFAULT_TENANT,
            actor: setup::ACTOR.to_owned(),
            audience: Arc::new(Printer::new(&self.server)?),
        };
        let mut stage = Stage::set(setting).await?;
        let played = self.script.play(&mut stage).await;
        stage.close().await;
        let played = played?;
        if played.told == 0 {
            say!("{}", self.script.nothing_told(&played));
        }
        self.hint(dialect, &played);
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

    /// What one could do next.
    fn hint(&self, dialect: &dyn Dialect, played: &Played) {
        let program = program();
        let folder = self.data.as_option();
        let server = match self.server.as_str().trim_end_matches('/') {
            "http://127.0.0.1:8400" => String::new(),
            _ if std::env::var_os("KEYWRIGHT_SERVER").is_some() => String::new(),
            server => format!(" --server {server}"),
        };
        if let Some(price) = &played.unmapped {
            let (code, plan) = (setup::code(dialect, false), "CODE");
            say!(
                "Next: map the price in the console under Prices, or with a file for `{program} apply`, and the held keys are issued:"
            );
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
        let connected = if self.script.connected { " --connected" } else { "" };
        say!("Next:");
        if let Some(key) = played.keys.first() {
            say!("  {program} check {key}{folder}");
        }
        for next in self.script.scenario.next() {
            let word = next.split(' ').next().unwrap_or_default();
            match word {
                // Time passes without a server.
                "clock" => say!("  {program} simulate {next}{folder}"),
                _ if refusal(dialect, word).is_some() => {}
                _ if self.script.connected && !CONNECTED.contains(&word) => {}
                _ => say!("  {program} simulate {} {next}{connected}{folder}{server}", dialect.slug()),
            }
        }
    }
}
