//! The stage: account, API and sender of the simulated provider, put together around a running server.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use crypto::token::ApiKeyKind;
use domain::{
    ambient::Clock,
    id::{ApiKeyId, TenantId},
};
use engine::{Engine, connections::Connection};
use jiff::{SignedDuration, Timestamp};
use providers::Level;
use tokio::net::TcpListener;
use url::Url;

use super::{
    account::{Account, Event, Price, Sale},
    action::Action,
    api::{self, Api, RunningApi, SharedAccount, Trouble},
    books::Books,
    dialect::Dialect,
    offers::Offer,
    send::Sender,
    setup, stripe,
    tell::Audience,
};
use crate::{clock::SystemClock, entropy::ThreadEntropy};

/// A running server reads changed connections again after five seconds at the latest; and a little more.
const KNOWN_MAX: Duration = Duration::from_secs(6);
/// A price is made by a worker of the server, which tries again if its API was not there before.
const CHECKOUT_MAX: Duration = Duration::from_secs(20);
/// How often a buyer tries whether it has: strangers are not to try often.
const COME_AGAIN: Duration = Duration::from_millis(500);
/// How often it is tried whether it has.
const TRY_AGAIN: Duration = Duration::from_millis(100);

/// The places of prices that no plan stands behind.
const UNMAPPED_FROM: usize = 900;

/// How the stage is to be set.
pub(crate) struct Setting<'a> {
    /// The provider that is played.
    pub(crate) dialect: &'static dyn Dialect,
    pub(crate) engine: Arc<Engine>,
    /// Where the account is kept.
    pub(crate) folder: &'a Path,
    /// The running server.
    pub(crate) server: &'a Url,
    /// What may be looked up; none: as before.
    pub(crate) level: Option<Level>,
    pub(crate) trouble: Option<Trouble>,
    /// A vendor sells, by an account that is connected to this server.
    pub(crate) connected: bool,
    /// The slug of the tenant that it is played for.
    pub(crate) tenant: &'a str,
    /// Who has it played, as the audit log names them.
    pub(crate) actor: String,
    pub(crate) audience: Arc<dyn Audience>,
}

/// Everything that a scenario needs.
pub(crate) struct Stage {
    pub(crate) dialect: &'static dyn Dialect,
    pub(crate) engine: Arc<Engine>,
    pub(crate) tenant: TenantId,
    /// The tenant's slug.
    slug: String,
    pub(crate) actor: String,
    pub(crate) audience: Arc<dyn Audience>,
    pub(crate) connection: Arc<Connection>,
    pub(crate) sender: Sender,
    /// A server in another process may not have read the connection as it is now.
    is_changed: bool,
    /// How far the clock of test mode is ahead.
    ahead: SignedDuration,
    /// Events about prices, which the provider sends like all others.
    untold: Vec<Event>,
    account: SharedAccount,
    books: Books,
    api: RunningApi,
}

impl Stage {
    /// Sets it: opens the account, listens, and makes sure of the connection.
    pub(crate) async fn set(setting: Setting<'_>) -> anyhow::Result<Self> {
        let Setting { dialect, engine, folder, server, level, trouble, connected, tenant: slug, actor, audience } =
            setting;
        let tenant = engine.tenant(slug).await?.with_context(|| format!("there is no tenant `{slug}`"))?;
        let (books, account) = Books::open(folder, slug, dialect, connected)?;
        let known = setup::connection(&engine, tenant, &setup::code(dialect, connected)).await?;
        let listener = listen(known.as_deref().and_then(setup::port)).await?;
        let port = listener.local_addr()?.port();
        let (connection, is_changed) =
            setup::connect(&engine, (tenant, slug), (dialect, connected), level, (port, &actor)).await?;
        let (Some(secret), Some(key)) = (connection.webhook_secrets.first(), &connection.api_key) else {
            bail!("the connection `{}` has no secrets", connection.code)
        };
        let route = match connected {
            true => format!("/api/{}/webhook/connect", dialect.slug()),
            false => format!("/v1/webhooks/{}/{slug}", dialect.slug()),
        };
        let route = server.join(&route)?;
        let ahead = engine.ahead(tenant, connection.mode.is_live()).await?;
        let account_id = account.connected().map(str::to_owned);
        let account = Arc::new(Mutex::new(account));
        let api = Api::new(Arc::clone(&account), key.clone(), connection.settings.level, trouble);
        let api = api.known_by(connection.oauth_client.clone());
        let sender = Sender::new(dialect, route, secret.clone())?;
        let vendors = match account_id {
            Some(account) => Some(setup::vendor(&engine, dialect, &account).await?),
            None => None,
        };
        let (tenant, connection) = vendors.unwrap_or((tenant, connection));
        Ok(Self {
            sender,
            dialect,
            engine,
            tenant,
            slug: slug.to_owned(),
            actor,
            audience,
            is_changed,
            ahead,
            untold: Vec::new(),
            account,
            books,
            api: api.start(listener),
            connection,
        })
    }

    /// When what is played happens: by the clock of test mode, as a provider's own test clock has it. Who looks at next
    /// year wants to see what is bought then, and not licenses that have ended before they began.
    pub(crate) fn now(&self) -> Timestamp {
        domain::time::after(SystemClock.now(), self.ahead)
    }

    /// Something happens at the provider. What follows is kept before anybody is told.
    pub(crate) fn step(&self, action: &Action, now: Timestamp) -> anyhow::Result<Vec<Event>> {
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        let events = account.step(action, now)?;
        self.books.save(&account)?;
        Ok(events)
    }

    /// Reads the account.
    pub(crate) fn with_account<T>(&self, read: impl FnOnce(&Account) -> T) -> T {
        read(&self.account.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The name by which the server knows the sale that began with this checkout.
    pub(crate) fn name_of(&self, session: &str) -> anyhow::Result<String> {
        let name = self.with_account(|account| account.sessions.get(session).map(|found| self.dialect.sale(found)));
        name.with_context(|| format!("there is no checkout {session}"))
    }

    /// The latest sale.
    pub(crate) fn last_sale(&self) -> Option<Sale> {
        self.with_account(|account| account.sales.last().cloned())
    }

    /// Puts a price on a plan and maps it. Returns the price's id.
    pub(crate) async fn price(&mut self, offer: &Offer, monthly: bool, now: Timestamp) -> anyhow::Result<String> {
        let id = self.dialect.price_id(&offer.plan, offer.place, monthly);
        self.put_price(&id, offer, monthly, now);
        setup::map_price(&self.engine, &self.connection, (&id, &offer.plan), (&self.slug, &self.actor)).await?;
        Ok(id)
    }

    /// A price of which no rule speaks, on something that is called as a plan is. Returns its id.
    pub(crate) async fn unmapped_price(&mut self, offer: &Offer, now: Timestamp) -> anyhow::Result<String> {
        let rules = self.engine.store.price_rules(self.tenant).await?;
        let is_mapped = |id: &str| rules.iter().any(|rule| rule.matcher_value == id);
        // Where ids are numbers they follow the plan's place, and so far behind there is none.
        let ids = (1..).map(|n| self.dialect.price_id(&format!("unmapped-{n}"), UNMAPPED_FROM + n, false));
        let id = ids.into_iter().find(|id| !is_mapped(id)).context("there is no price left")?;
        self.put_price(&id, offer, false, now);
        Ok(id)
    }

    /// Puts a price on something that no plan may stand behind.
    pub(crate) fn put_price(&mut self, id: &str, offer: &Offer, monthly: bool, now: Timestamp) {
        let price = Price {
            id: id.to_owned(),
            product: self.dialect.product_id(&offer.plan, offer.place),
            name: offer.name.clone(),
            unit_amount: offer.amount(monthly),
            monthly,
        };
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        if account.prices.get(id) != Some(&price) || self.is_changed {
            self.untold.extend(account.put_price(price, now));
        }
    }

    /// Tells of new prices, and waits until a server in another process knows the connection as it is now. Returns how
    /// long it took, where there was something to wait for. `event` is told where there is no news of a price; it may
    /// well be told again.
    pub(crate) async fn made_known(&mut self, event: &Event) -> anyhow::Result<Option<Duration>> {
        let since = Instant::now();
        let mut untold = std::mem::take(&mut self.untold);
        let is_changed = std::mem::take(&mut self.is_changed);
        if untold.is_empty() && is_changed {
            untold.push(event.clone());
        }
        let mut has_waited = false;
        for event in &untold {
            while !matches!(self.sender.post(event).await, Ok(200..=299)) {
                if since.elapsed() > KNOWN_MAX {
                    let (route, code) = (self.sender.route(), &self.connection.code);
                    bail!("{route} does not know the connection `{code}`: is it a server on another data folder?");
                }
                has_waited = true;
                tokio::time::sleep(TRY_AGAIN).await;
            }
        }
        Ok(has_waited.then(|| since.elapsed()))
    }

    /// A buyer of the vendor whose account is connected pays a checkout that the vendor's own server has had opened.
    pub(crate) async fn sold_by_checkout(&mut self, email: &str) -> anyhow::Result<(Sale, Vec<Event>)> {
        let name = format!("simulate {}", domain::id::uuid_v7(SystemClock.now(), &mut ThreadEntropy));
        let (key, text) =
            self.engine.create_api_key(self.tenant, &name, ApiKeyKind::TestCheckout, &[], &self.actor).await?;
        let url = self.open_checkout(email, text.reveal().as_str()).await;
        self.engine.revoke_api_key(self.tenant, ApiKeyId(key.id), &self.actor).await?;
        let url = url?;
        self.is_changed = false;
        self.audience.remark(&format!("  the buyer is sent to {url} and pays"));
        let checkout = stripe::checkout_at(&url).context("that is no address of a simulated checkout")?;
        let events = self.step(&Action::Complete { checkout: checkout.to_owned() }, self.now())?;
        Ok((self.last_sale().context("the purchase is not there")?, events))
    }

    /// Has a checkout opened, as soon as its price is made. Returns where the buyer is sent.
    async fn open_checkout(&self, email: &str, key: &str) -> anyhow::Result<String> {
        let address = self.sender.route().join(&format!("/api/{}/checkout", setup::VENDOR))?;
        let body = serde_json::json!({
            "product_id": setup::VENDORS_PRODUCT, "key_type_id": setup::VENDORS_PLAN, "customer_email": email,
            "success_url": "https://vendor.example/thanks", "cancel_url": "https://vendor.example/pricing",
        });
        let plan = setup::VENDORS_PLAN;
        self.audience.remark(&format!("→ POST {address}  a checkout of the plan `{plan}` for {email}"));
        let since = Instant::now();
        loop {
            let (status, answer) = self.sender.call(&address, key, &body).await?;
            match (status, answer["url"].as_str()) {
                (200, Some(url)) => return Ok(url.to_owned()),
                // Its price is being made, or a server in another process does not know all of this yet.
                _ if since.elapsed() < CHECKOUT_MAX => tokio::time::sleep(TRY_AGAIN).await,
                _ => bail!("{address} answers {status}: {answer}"),
            }
        }
    }

    /// Puts a price on a plan that is bought in addition to another, and maps it. Returns the price's id.
    pub(crate) async fn addon(&mut self, offer: &Offer) -> anyhow::Result<String> {
        let id = self.dialect.addon_price_id(&offer.plan).context("nothing is bought in addition there")?;
        self.put_price(&id, offer, false, self.now());
        setup::map_price(&self.engine, &self.connection, (&id, &offer.plan), (&self.slug, &self.actor)).await?;
        Ok(id)
    }

    /// The buyer of a checkout follows the provider's link, which has a code in it. Returns where it leads and the address
    /// of the page that they are led to then.
    pub(crate) async fn come(&mut self, session: &str) -> anyhow::Result<(Url, String)> {
        let code = self.account.lock().unwrap_or_else(PoisonError::into_inner).code_for(session);
        let path = format!("/redeem/{}/{}/{}", self.dialect.slug(), self.slug, self.connection.code);
        let mut sent_to = self.sender.route().join(&path)?;
        sent_to.query_pairs_mut().append_pair("code", &code);
        let since = Instant::now();
        loop {
            let (status, page) = self.sender.follow(&sent_to).await?;
            match (status, page) {
                (300..=399, Some(page)) => {
                    self.is_changed = false;
                    return Ok((sent_to, page));
                }
                // A server in another process may not know yet that buyers come.
                (503, _) if since.elapsed() < KNOWN_MAX => tokio::time::sleep(COME_AGAIN).await,
                (status, _) => bail!("{sent_to} answers {status}: the buyer is led nowhere"),
            }
        }
    }

    /// Ends the play: the port is free and the account may be used by others.
    pub(crate) async fn close(self) {
        self.api.stop().await;
    }
}

/// Listens where the connection expects its API; if something else sits there, anywhere.
async fn listen(port: Option<u16>) -> anyhow::Result<TcpListener> {
    match api::listen(port.unwrap_or(0)).await {
        Err(_) if port.is_some() => api::listen(0).await,
        other => other,
    }
    .context("no port on loopback can be listened on")
}
