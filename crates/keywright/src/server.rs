//! The wiring: what `serve` and every other command that touches data put together.

use std::sync::Arc;

use anyhow::Context;
use crypto::ring::SharedRing;
use engine::{Engine, Parts};
use jiff::SignedDuration;
use store::Store;

use crate::{clock::SystemClock, dialler::Dialler, entropy::SystemEntropy, options::DataOptions, ring_file};

/// How long a node may take for what it has taken, unless the operator says otherwise.
pub(crate) const LEASE: SignedDuration = SignedDuration::from_secs(120);

/// An opened installation.
pub(crate) struct Installation {
    pub(crate) engine: Arc<Engine>,
    pub(crate) ring: SharedRing,
}

/// What calls addresses that vendors type in: public ones, and those of networks that the operator lists.
pub(crate) fn webhook_client(options: &DataOptions) -> anyhow::Result<net::Client> {
    let allowed = options.allow_network.clone();
    let reach = match (options.offline, allowed.is_empty()) {
        (true, _) => net::Reach::Loopback,
        (false, true) => net::Reach::Public,
        (false, false) => net::Reach::Networks { allowed, plain_http: true },
    };
    Ok(net::Client::new(reach, delivery::webhooks::LIMITS)?)
}

/// Opens the data, making what is not there yet. Refuses when the master keys do not fit.
pub(crate) async fn open(options: &DataOptions) -> anyhow::Result<Installation> {
    open_with(options, LEASE).await
}

/// The same, with another lease.
pub(crate) async fn open_with(options: &DataOptions, lease: SignedDuration) -> anyhow::Result<Installation> {
    options.make_folder()?;
    let address = options.database()?;
    let store = Store::open(&address).await.context("the database cannot be opened")?;
    let ring = SharedRing::new(ring_file::read_or_create(&options.master_key_file())?);
    let engine = Engine::new(Parts {
        store,
        ring: ring.clone(),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        dialler: Arc::new(Dialler::new(options.offline)?),
        lease,
    });
    engine.check_ring().await?;
    engine.ensure_tenant(engine::tenants::DEFAULT_TENANT, "Keywright").await?;
    Ok(Installation { engine, ring })
}
