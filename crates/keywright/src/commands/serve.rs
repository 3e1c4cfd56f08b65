//! `keywright serve`.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context;
use api::{Api, Limits};
use clap::{Args, ValueEnum};
use crypto::ring::SharedRing;
use delivery::{
    MailParts, MailWorker, Transport,
    alerts::{AlertParts, AlertWorker},
    webhooks::{WebhookParts, WebhookWorker},
};
use engine::{Engine, members::NewMember, tenants::DEFAULT_TENANT};
use jiff::SignedDuration;
use tokio::{net::TcpListener, signal::unix::SignalKind};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    backup_options::BackupOptions,
    clock::SystemClock,
    entropy::SystemEntropy,
    mail_options::MailOptions,
    options::{DataOptions, read_secret},
    output::say,
    server::{self, Installation},
    simulator::console::ConsoleSimulator,
    stripe_options::StripeOptions,
};

/// How long a stopping server waits for what is in flight: containers are killed after ten seconds.
const DRAIN_MAX: Duration = Duration::from_secs(8);

/// How long a webhook endpoint waits at most for the next node after the one that served it has died: a call takes a quarter
/// of a minute at most.
const ENDPOINT_LEASE_MAX: SignedDuration = SignedDuration::from_secs(30);

/// How often it is looked whether what is held may leave.
const LOOKED_AGAIN: Duration = Duration::from_secs(1);

/// Options of the server.
#[derive(Debug, Clone, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) data: DataOptions,

    /// Where to listen.
    #[arg(long, env = "KEYWRIGHT_LISTEN", default_value = "127.0.0.1:8400")]
    pub(crate) listen: SocketAddr,

    /// Where Prometheus finds its metrics. [default: nowhere]
    #[arg(long, env = "KEYWRIGHT_METRICS_LISTEN")]
    pub(crate) metrics_listen: Option<SocketAddr>,

    /// The address under which this server is reached from outside. [default: http://LISTEN]
    #[arg(long, env = "KEYWRIGHT_PUBLIC_URL")]
    pub(crate) public_url: Option<String>,

    /// The network of a proxy in front of this server, such as 10.0.0.0/8; several with commas between them. What comes from
    /// there is counted for the address that X-Forwarded-For names. [default: none, so that nobody can make addresses up]
    #[arg(long, env = "KEYWRIGHT_TRUSTED_PROXIES", value_name = "NETWORK", value_delimiter = ',')]
    pub(crate) trusted_proxy: Vec<net::Network>,

    /// How long look-ups and mails that a node has taken are its own, unless it says of mails that it is still sending them;
    /// then another node, or this one after a crash, takes them again.
    #[arg(long, env = "KEYWRIGHT_LEASE_SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub(crate) lease_seconds: u32,

    /// Whether anybody may make a free account, with 5 licenses.
    #[arg(long, env = "KEYWRIGHT_SIGN_UP", value_enum, default_value = "closed")]
    pub(crate) sign_up: SignUp,

    /// The first owner, where there is none yet, for installations that nobody sets up by hand.
    #[arg(long, env = "KEYWRIGHT_ADMIN_EMAIL", requires = "admin_password_file")]
    pub(crate) admin_email: Option<String>,

    /// The file with the first owner's password.
    #[arg(long, env = "KEYWRIGHT_ADMIN_PASSWORD_FILE", requires = "admin_email")]
    pub(crate) admin_password_file: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) backup: BackupOptions,

    #[command(flatten)]
    pub(crate) mail: MailOptions,

    #[command(flatten)]
    pub(crate) stripe: StripeOptions,
}

/// Who makes accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SignUp {
    /// The operator.
    Closed,
    /// Whoever wants one.
    Open,
}

/// A server that runs.
pub(crate) struct Running {
    pub(crate) engine: Arc<Engine>,
    pub(crate) address: SocketAddr,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Serve {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let running = self.start(false).await?;
        say!("keywright {} on http://{}", env!("CARGO_PKG_VERSION"), running.address);
        if let Some(link) = self.set_up_link(&running).await? {
            say!("  Finish set-up   {link}");
            say!("                  good once, for 30 minutes; later: keywright admin create you@example.com");
        }
        if running.engine.has_no_api_key().await? {
            say!("  first API key   keywright api-key create --name admin --scope admin");
        }
        say!("  Stripe webhook  http://{}/v1/webhooks/stripe/default", running.address);
        stopped_by_signal().await?;
        running.stop().await;
        Ok(())
    }

    /// The link by which the first owner comes, where there is none. An owner whom the environment names is made instead.
    async fn set_up_link(&self, running: &Running) -> anyhow::Result<Option<String>> {
        let engine = &running.engine;
        if !engine.has_no_member().await? {
            return Ok(None);
        }
        let tenant = engine.tenant(DEFAULT_TENANT).await?.context("a fresh installation has a tenant")?;
        if let (Some(email), Some(file)) = (&self.admin_email, &self.admin_password_file) {
            let password = read_secret(file)?.into();
            engine.create_owner(tenant, &NewMember { email: email.clone(), name: String::new(), password }).await?;
            return Ok(None);
        }
        let link = engine.make_set_up_link(tenant).await?;
        let url = self.public_url.clone().unwrap_or_else(|| format!("http://{}", running.address));
        Ok(Some(format!("{}/setup/{}", url.trim_end_matches('/'), *link.reveal())))
    }

    /// Says what the environment's key to Stripe lacks, once Stripe has answered: nothing waits for it.
    fn check_stripes_key(&self, engine: &Arc<Engine>, tasks: &TaskTracker, stop: &CancellationToken) {
        let (stripe, engine, stop) = (self.stripe.clone(), Arc::clone(engine), stop.clone());
        tasks.spawn(async move {
            let Some(told) = stop.run_until_cancelled(stripe.lacking(&engine)).await else { return };
            for sentence in
                told.unwrap_or_else(|problem| vec![format!("STRIPE_SECRET_KEY was not checked: {problem:#}")])
            {
                eprintln!("{sentence}");
            }
        });
    }

    /// Starts everything. `open_mail`: the caught mails may be read without an API key (`demo`).
    pub(crate) async fn start(&self, open_mail: bool) -> anyhow::Result<Running> {
        let lease = SignedDuration::from_secs(self.lease_seconds.into());
        let Installation { engine, ring } = server::open_with(&self.data, lease).await?;
        for sentence in self.stripe.configure(&engine).await? {
            eprintln!("{sentence}");
        }
        let listener =
            TcpListener::bind(self.listen).await.with_context(|| format!("{} cannot be listened on", self.listen))?;
        let address = listener.local_addr()?;
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        engine.start(&tasks, &stop);
        engine.keep_caught_up(&tasks, &stop);
        if let Some(plan) = self.backup.plan(&engine)? {
            engine.keep_backed_up(plan, &tasks, &stop);
        }
        self.check_stripes_key(&engine, &tasks, &stop);
        let sender = self.mail.transport()?;
        let mails = Arc::new(MailWorker::new(MailParts {
            store: engine.store.clone(),
            ring: ring.clone(),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            sender: sender.clone(),
            wake: Arc::clone(&engine.mails),
            lease,
        }));
        mails.offer_release().await?;
        let webhooks = Arc::new(WebhookWorker::new(WebhookParts {
            store: engine.store.clone(),
            ring: ring.clone(),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            client: server::webhook_client(&self.data)?,
            wake: Arc::clone(&engine.deliveries),
            lease: lease.min(ENDPOINT_LEASE_MAX),
        }));
        let public_url: Arc<str> = self.public_url.clone().unwrap_or_else(|| format!("http://{address}")).into();
        let alerts = self.alerts(&engine, &ring, sender.clone(), &public_url, lease)?;
        Leaving { mails, webhooks, alerts }.start(&engine, &tasks, &stop);
        let limits = Arc::new(Limits::default());
        let api = Api {
            engine: Arc::clone(&engine),
            limits: Arc::clone(&limits),
            public_url: Arc::clone(&public_url),
            sender: sender.as_ref().map(|transport| transport.sender().clone()),
            sign_up_open: self.sign_up == SignUp::Open,
            draining: Arc::new(stop.clone()),
        };
        self.show_metrics(&api, &tasks, &stop).await?;
        let routes = web::router(web::Web {
            engine: Arc::clone(&engine),
            ring,
            sender,
            open: open_mail,
            public_url,
            started_at: engine.now(),
            data_folder: std::path::absolute(&self.data.data_dir)?.display().to_string().into(),
            too_many: Arc::new(move |address| limits.buyers_try(address)),
            openapi: api::document(),
            simulator: self.simulator(&engine, address, (&tasks, &stop)),
            app_answer: Arc::new(api::app_answer),
        })
        .merge(api::router(api));
        let routes = behind(self.trusted_proxy.clone(), routes);
        tasks.spawn(listen(listener, routes, stop.clone()));
        Ok(Running { engine, address, tasks, stop })
    }

    /// Shows metrics on a listener of their own, if one is asked for.
    async fn show_metrics(&self, api: &Api, tasks: &TaskTracker, stop: &CancellationToken) -> anyhow::Result<()> {
        let Some(address) = self.metrics_listen else { return Ok(()) };
        let listener = TcpListener::bind(address).await.with_context(|| format!("{address} cannot be listened on"))?;
        tasks.spawn(listen(listener, api::metrics_router(api.clone()), stop.clone()));
        Ok(())
    }

    /// What plays purchases for the console: on this server, over loopback.
    fn simulator(
        &self,
        engine: &Arc<Engine>,
        listens: SocketAddr,
        (tasks, stop): (&TaskTracker, &CancellationToken),
    ) -> Arc<ConsoleSimulator> {
        let folder = self.data.data_dir.clone();
        Arc::new(ConsoleSimulator::new(Arc::clone(engine), folder, listens, (tasks.clone(), stop.clone())))
    }

    /// What carries attention items to people.
    fn alerts(
        &self,
        engine: &Engine,
        ring: &SharedRing,
        sender: Option<Transport>,
        public_url: &Arc<str>,
        lease: SignedDuration,
    ) -> anyhow::Result<Arc<AlertWorker>> {
        Ok(Arc::new(AlertWorker::new(AlertParts {
            store: engine.store.clone(),
            ring: ring.clone(),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            client: server::webhook_client(&self.data)?,
            sender,
            public_url: public_url.trim_end_matches('/').into(),
            wake: Arc::clone(&engine.alerts),
            lease,
        })))
    }
}

/// The workers by which anything leaves.
struct Leaving {
    mails: Arc<MailWorker>,
    webhooks: Arc<WebhookWorker>,
    alerts: Arc<AlertWorker>,
}

impl Leaving {
    /// Starts them as soon as anything may leave: at once, unless this was restored from a backup and nobody has looked yet.
    fn start(self, engine: &Arc<Engine>, tasks: &TaskTracker, stop: &CancellationToken) {
        let (engine, again, stop) = (Arc::clone(engine), tasks.clone(), stop.clone());
        tasks.spawn(async move {
            let mut is_told = false;
            loop {
                match engine.may_leave().await {
                    Ok(true) => break,
                    Ok(false) if is_told => {}
                    Ok(false) => {
                        eprintln!("Nothing leaves until it is released: keywright outgoing release");
                        is_told = true;
                    }
                    Err(error) => tracing::error!(%error, "cannot tell whether anything may leave"),
                }
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(LOOKED_AGAIN) => {}
                }
            }
            self.mails.start(&again, &stop);
            self.webhooks.start(&again, &stop);
            self.alerts.start(&again, &stop);
        });
    }
}

/// Without a proxy that is trusted nothing is looked for.
fn behind(proxies: Vec<net::Network>, routes: api::Router) -> api::Router {
    if proxies.is_empty() {
        return routes;
    }
    api::behind_proxies(routes, Arc::new(move |address| proxies.iter().any(|network| network.contains(address))))
}

/// Serves routes until the server stops.
async fn listen(listener: TcpListener, routes: api::Router, stop: CancellationToken) {
    if let Err(error) = api::serve(listener, routes, stop).await {
        tracing::error!(%error, "a listener failed");
    }
}

impl Running {
    /// No new calls; what is in flight is finished.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(DRAIN_MAX, self.tasks.wait()).await.is_err() {
            tracing::warn!("stopped before everything in flight was finished; it goes on with the next start");
        }
    }
}

/// Waits for SIGTERM or ctrl-c.
pub(crate) async fn stopped_by_signal() -> anyhow::Result<()> {
    let mut terminated = tokio::signal::unix::signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminated.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    Ok(())
}
