//! `keywright demo`.

use std::{
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use clap::{Args, Command, FromArgMatches, builder::Resettable};
use domain::{id::TenantId, license::LicenseState, reason::day};
use engine::{
    Engine,
    configuration::ConfigurationFile,
    members::{CameFrom, NewMember},
    tenants::DEFAULT_TENANT,
};
use store::lists::{CustomerFilter, LicenseFilter, Page, Whose};
use url::Url;

use super::serve::{Running, Serve, stopped_by_signal};
use crate::simulator::{
    account::Buyer,
    action::{Action, Paying},
    app::{App, DEVICE, good_until},
    history,
    offers::{Offer, offers},
    play::{Played, play},
    send::Manner,
    setup::ACTOR,
    stage::{Setting, Stage},
    stripe::Stripe,
    tell::{self, Line, Printer, program},
};

use crate::output::say;

/// What the demo sells; `--print-sample` shows it.
const SAMPLE: &str = include_str!("../../samples/shop.toml");
/// What is bought while you look on.
const BOUGHT: &str = "studio-pro";
/// How the sample history is sent.
const IN_A_HURRY: Manner = Manner { copies: 1, shuffled: false, at_once: 16 };
/// How often it is looked whether it is done, and how long at most.
const LOOK: Duration = Duration::from_millis(3);
const PATIENCE: Duration = Duration::from_secs(20);
/// The variables through which a server could be led out of the demo.
const LEADING_OUT: [&str; 6] = [
    "KEYWRIGHT_DATABASE_URL_FILE",
    "KEYWRIGHT_SMTP_URL_FILE",
    "KEYWRIGHT_MAIL_URL_FILE",
    "STRIPE_SECRET_KEY_FILE",
    "STRIPE_WEBHOOK_SECRET_FILE",
    "STRIPE_CONNECT_WEBHOOK_SECRET_FILE",
];

/// Where the demo runs.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Where to listen. If it is taken, a free port is.
    #[arg(long, default_value = "127.0.0.1:8400")]
    listen: SocketAddr,

    /// Prints the sample configuration, a file for `keywright apply`, and does nothing else.
    #[arg(long)]
    print_sample: bool,
}

impl Demo {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let since = Instant::now();
        if self.print_sample {
            say!("{}", SAMPLE.trim_end());
            return Ok(());
        }
        if let Some(name) = LEADING_OUT.into_iter().find(|name| std::env::var_os(name).is_some()) {
            bail!("{name} is set, and a demo uses nothing of yours; unset it");
        }
        let folder = tempfile::Builder::new().prefix("keywright-demo-").tempdir()?;
        // The folder goes away whenever the signal comes, even before everything is ready.
        let mut signal = std::pin::pin!(stopped_by_signal());
        let shown = tokio::select! {
            shown = self.show(folder.path(), since) => Some(shown),
            signal = signal.as_mut() => { signal?; None }
        };
        let ended = match shown {
            Some(Ok(running)) => {
                signal.await?;
                running.stop().await;
                Ok(())
            }
            Some(Err(error)) => Err(error),
            None => Ok(()),
        };
        let path = folder.path().display().to_string();
        folder.close().with_context(|| format!("{path} cannot be deleted"))?;
        say!("\n{path} is deleted.");
        ended
    }

    /// Starts a server and shows what it does.
    async fn show(&self, folder: &Path, since: Instant) -> anyhow::Result<Running> {
        say!(
            "keywright {} · demo · data in {}, deleted on exit · nothing leaves this machine",
            env!("CARGO_PKG_VERSION"),
            folder.display()
        );
        let running = self.start(folder).await?;
        let server = Url::parse(&format!("http://{}", running.address))?;
        let file = ConfigurationFile::parse(SAMPLE).context("the sample configuration")?;
        let no_secret = |source: &str| Err(format!("{source}: the sample names no secrets"));
        running.engine.apply(&file, &no_secret, false, "demo").await.context("the sample configuration")?;
        let setting = Setting {
            dialect: &Stripe,
            engine: Arc::clone(&running.engine),
            folder,
            server: &server,
            level: None,
            trouble: None,
            connected: false,
            tenant: DEFAULT_TENANT,
            actor: ACTOR.to_owned(),
            audience: Arc::new(Printer::new(&server)?),
        };
        let mut stage = Stage::set(setting).await?;
        let offers = offers(&stage.engine, stage.tenant).await?;
        let events = history::write(&mut stage, &offers, running.engine.now()).await?;
        stage.made_known(&events[0]).await?;
        stage.sender.send(&events, IN_A_HURRY, |_| {}).await;
        settled(&running.engine).await?;
        let console = console_link(&running.engine, stage.tenant, &server).await?;
        print_addresses(&server, &console);
        say!("{}", sample(&running.engine, stage.tenant).await?);
        let played = purchase(&mut stage, &offers, &server).await?;
        // From here on `simulate` plays the provider.
        stage.close().await;
        print_hints(&server, folder, &played.keys, since);
        Ok(running)
    }

    /// A server as `serve` starts it in this folder.
    async fn start(&self, folder: &Path) -> anyhow::Result<Running> {
        match serve(folder, self.listen)?.start(true).await {
            Err(error) if is_taken(&error) => {
                let free = SocketAddr::new(self.listen.ip(), 0);
                let running = serve(folder, free)?.start(true).await?;
                say!("{} is taken by something else, so this is on {}.", self.listen, running.address);
                Ok(running)
            }
            other => other,
        }
    }
}

/// The options of a server in this folder and nowhere else: what the environment says is left out.
fn serve(folder: &Path, listen: SocketAddr) -> anyhow::Result<Serve> {
    let folder = folder.display();
    let arguments = [
        "serve".to_owned(),
        format!("--listen={listen}"),
        format!("--data-dir={folder}"),
        format!("--database-url=sqlite:{folder}/keywright.db"),
    ];
    let command = Serve::augment_args(Command::new("serve")).mut_args(|option| option.env(Resettable::Reset));
    Ok(Serve::from_arg_matches(&command.try_get_matches_from(arguments)?)?)
}

fn is_taken(error: &anyhow::Error) -> bool {
    let cause = error.downcast_ref::<std::io::Error>();
    cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::AddrInUse)
}

/// Waits until every event is done and every mail on its way.
async fn settled(engine: &Engine) -> anyhow::Result<()> {
    let since = Instant::now();
    loop {
        let status = engine.store.status(None).await?;
        if status.inbox_pending == 0 && status.mails_pending == 0 {
            return Ok(());
        }
        anyhow::ensure!(since.elapsed() < PATIENCE, "the sample orders are not done: {status:?}");
        tokio::time::sleep(LOOK).await;
    }
}

/// Somebody buys, step by step, and their app starts.
async fn purchase(stage: &mut Stage, offers: &[Offer], server: &Url) -> anyhow::Result<Played> {
    let offer = offers.iter().find(|offer| offer.plan == BOUGHT).context("the sample has another plan")?;
    let now = stage.engine.now();
    let price = stage.price(offer, false, now).await?;
    let action = Action::Checkout {
        buyer: Buyer::of("ada@example.com"),
        lines: vec![(price, 1)],
        plan: None,
        paying: Paying::AtOnce,
    };
    let events = stage.step(&action, now)?;
    stage.made_known(&events[0]).await?;
    let session = stage.last_sale().context("the purchase is not there")?.session;
    say!(
        "\nAda buys {}. A provider on loopback signs what Stripe would send, and posts it to this server:",
        offer.name
    );
    let played = play(stage, &session, &events, Manner::ORDERLY).await?;
    let key = played.keys.first().context("no key was issued")?;
    let app = App::new(server, key)?;
    let verdict = app.call("activate").await?;
    let lease = verdict["lease"].as_str().context("the activation has no lease")?;
    let until = good_until(lease).map(day).context("the lease does not say until when it is good")?;
    let text = format!("on {DEVICE}, with a signed lease that is good offline until {until}");
    tell::print(played.since.elapsed(), &Line::new("activated", text));
    let verdict = app.call("check").await?;
    let text = format!("{}: {}", verdict["code"].as_str().unwrap_or("?"), verdict["message"].as_str().unwrap_or("?"));
    tell::print(played.since.elapsed(), &Line::new("checked", text));
    Ok(played)
}

/// What the sample history came to.
async fn sample(engine: &Engine, tenant: TenantId) -> anyhow::Result<String> {
    let store = &engine.store;
    let whose = Whose { tenant, livemode: false };
    let page = Page { limit: 200, from: None };
    let licenses = store.list_licenses(whose, &LicenseFilter::default(), page).await?.rows;
    let customers = store.list_customers(whose, &CustomerFilter::default(), page).await?.rows.len();
    let products = store.products(tenant).await?.len();
    let plans = store.plans(tenant).await?.len();
    let state = |state: LicenseState| licenses.iter().filter(|listed| listed.license.standing.state == state).count();
    let (active, expired, revoked) =
        (state(LicenseState::Active), state(LicenseState::Expired), state(LicenseState::Revoked));
    let mut text = format!(
        "\n  Sample data     {products} products · {plans} plans · {customers} customers · {} licenses \
         ({active} active, {expired} expired, {revoked} revoked)",
        licenses.len()
    );
    for item in store.attention(tenant, 10).await? {
        text.push_str("\n  Needs attention ");
        text.push_str(&tell::wrapped(&item.detail, 18));
    }
    Ok(text)
}

/// A link that signs a browser in as the owner: in a demo nothing is anybody's.
async fn console_link(engine: &Engine, tenant: TenantId, server: &Url) -> anyhow::Result<String> {
    let link = engine.make_set_up_link(tenant).await?;
    // Nobody needs it: it is as good as any that is not told.
    let password = link.reveal().to_string().into();
    let owner = NewMember { email: "you@demo.example".to_owned(), name: "You".to_owned(), password };
    let from = CameFrom { address: "127.0.0.1".to_owned(), agent: "keywright demo".to_owned() };
    let (_, browser) = engine.take_invitation(&link, &owner, &from).await?;
    Ok(format!("{}/enter/{}", server.as_str().trim_end_matches('/'), *browser.reveal()))
}

fn print_addresses(server: &Url, console: &str) {
    let server = server.as_str().trim_end_matches('/');
    say!("\n  Console         {console}");
    say!("  Caught mail     {server}/dev/mail");
    say!("  Stripe webhook  {server}/v1/webhooks/stripe/{DEFAULT_TENANT}");
    say!("  Public keys     {server}/.well-known/jwks.json");
    say!("  Health          {server}/readyz");
}

fn print_hints(server: &Url, folder: &Path, keys: &[String], since: Instant) {
    let (program, folder) = (program(), folder.display());
    let server = server.as_str().trim_end_matches('/');
    let key = keys.first().map_or("", String::as_str);
    let call = |operation: &str, body: &str| {
        say!("  curl -s {server}/v1/{operation} -H 'content-type: application/json' \\\n    -d '{body}'");
    };
    say!("\nThe key is {key}. Try in another terminal:\n");
    call("check", &format!("{{\"key\":\"{key}\"}}"));
    call(
        "activate",
        &format!("{{\"key\":\"{key}\",\"device\":{{\"fingerprint\":\"my-laptop\",\"name\":\"My laptop\"}}}}"),
    );
    say!("\n  export KEYWRIGHT_DATA_DIR={folder} KEYWRIGHT_SERVER={server}");
    for command in [
        "simulate stripe refund --last".to_owned(),
        format!("check {key}"),
        "simulate stripe subscription --plan relay-team --email you@example.com".to_owned(),
        "simulate stripe checkout --price price_1QnobodyMappedMe".to_owned(),
        "simulate --help".to_owned(),
    ] {
        say!("  {program} {command}");
    }
    say!("\nReady {} ms after it was started. Ctrl-c ends it.", since.elapsed().as_millis());
}
