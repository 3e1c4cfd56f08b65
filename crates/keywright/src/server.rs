//! The wiring: what `serve` and every other command that touches data put together.

use std::sync::Arc;

use anyhow::{Context, ensure};
use crypto::ring::SharedRing;
use engine::{Engine, Parts, webhooks::CheckAddress};
use futures::future::BoxFuture;
use jiff::SignedDuration;
use store::Store;

use crate::{
    backup_options::InUse, clock::SystemClock, dialler::Dialler, entropy::SystemEntropy, identity_calls::IdentityCalls,
    options::DataOptions, ring_file,
};

/// How long a node may take for what it has taken, unless the operator says otherwise.
const LEASE: SignedDuration = SignedDuration::from_secs(120);

/// An opened installation.
pub(crate) struct Installation {
    pub(crate) engine: Arc<Engine>,
    pub(crate) ring: SharedRing,
}

/// What calls addresses that vendors type in: public ones, and those of networks that the operator lists.
pub(crate) fn webhook_client(options: &DataOptions) -> anyhow::Result<net::Client> {
    Ok(net::Client::new(vendors_reach(options), delivery::webhooks::LIMITS)?)
}

/// Which addresses are called that vendors type in. Offline it is this machine alone.
pub(crate) fn vendors_reach(options: &DataOptions) -> net::Reach {
    if options.offline { net::Reach::Loopback } else { webhook_reach(options) }
}

/// Which addresses vendors may type in: public ones, and those of networks that the operator lists.
fn webhook_reach(options: &DataOptions) -> net::Reach {
    match options.allow_network.clone() {
        allowed if allowed.is_empty() => net::Reach::Public,
        allowed => net::Reach::Networks { allowed, plain_http: true },
    }
}

/// Says where webhooks may go, as who delivers them does.
struct WebhookAddresses {
    client: net::Client,
    /// Offline nothing is resolved and this machine alone is called; another address may be kept for later.
    for_later: Option<net::Client>,
}

impl WebhookAddresses {
    fn new(options: &DataOptions) -> anyhow::Result<Self> {
        let later = || net::Client::new(webhook_reach(options), delivery::webhooks::LIMITS);
        Ok(Self { client: webhook_client(options)?, for_later: options.offline.then(later).transpose()? })
    }
}

impl CheckAddress for WebhookAddresses {
    fn check<'a>(&'a self, url: &'a url::Url) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            match &self.for_later {
                Some(later) => {
                    let is_here = self.client.check(url).is_ok();
                    if is_here { Ok(()) } else { later.check(url).map_err(|refusal| advised(&refusal, &refusal)) }
                }
                None => self.client.examine(url).await.map_err(|error| match &error {
                    net::SendError::Refused { refusal, .. } => advised(&error, refusal),
                    _ => error.to_string(),
                }),
            }
        })
    }

    fn check_header(&self, name: &str, value: &str) -> Result<(), String> {
        delivery::webhooks::check_endpoint_header(name, value).map(drop).map_err(|problem| problem.to_string())
    }
}

/// What is wrong with an address, and where it may be in the operator's own network, what they can do.
fn advised(problem: &dyn std::fmt::Display, refusal: &net::Refusal) -> String {
    let is_operators = match refusal {
        net::Refusal::PlainHttp => true,
        net::Refusal::Address { special, .. } => !special.is_never_allowed(),
        _ => false,
    };
    let advice =
        "; a network of your own is opened, for plain http as well, with --allow-network (KEYWRIGHT_ALLOWED_NETWORKS)";
    format!("{problem}{}", if is_operators { advice } else { "" })
}

/// Opens the data, making what is not there yet. Refuses when the master keys do not fit.
pub(crate) async fn open(options: &DataOptions) -> anyhow::Result<Installation> {
    open_with(options, LEASE).await
}

/// The same, with another lease.
pub(crate) async fn open_with(options: &DataOptions, lease: SignedDuration) -> anyhow::Result<Installation> {
    open_database(options, &options.database()?, lease).await
}

/// The same, with a database that is at another place.
pub(crate) async fn open_at(options: &DataOptions, address: &str) -> anyhow::Result<Installation> {
    open_database(options, address, LEASE).await
}

/// Opens a database that is there, of this release, and leaves its schema as it is.
pub(crate) async fn open_as_it_is(options: &DataOptions) -> anyhow::Result<Installation> {
    let address = options.database()?;
    // A file of locks is made beside a database, not where there is none.
    if let Some(file) = store::backups::file_of(&address)? {
        ensure!(file.exists(), "there is no database at {}", file.display());
    }
    InUse::by_this_process(&address)?;
    let store = Store::open_as_it_is(&address).await.context("the database cannot be opened")?;
    let installation = put_together(options, store, LEASE)?;
    installation.engine.check_ring().await?;
    Ok(installation)
}

async fn open_database(options: &DataOptions, address: &str, lease: SignedDuration) -> anyhow::Result<Installation> {
    options.make_folder()?;
    InUse::by_this_process(address)?;
    let store = Store::open(address).await.context("the database cannot be opened")?;
    let installation = put_together(options, store, lease)?;
    installation.engine.check_ring().await?;
    installation.engine.ensure_tenant(engine::tenants::DEFAULT_TENANT, "Keywright").await?;
    Ok(installation)
}

fn put_together(options: &DataOptions, store: Store, lease: SignedDuration) -> anyhow::Result<Installation> {
    let ring = SharedRing::new(ring_file::read_or_create(&options.master_key_file())?);
    let engine = Engine::new(Parts {
        store,
        ring: ring.clone(),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        dialler: Arc::new(Dialler::new(options.offline)?),
        addresses: Arc::new(WebhookAddresses::new(options)?),
        identity: Arc::new(IdentityCalls::new(options)?),
        lease,
    });
    Ok(Installation { engine, ring })
}
