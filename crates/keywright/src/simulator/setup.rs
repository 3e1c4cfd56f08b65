//! Setting up: the connection of the simulated provider, and the rules for its prices, applied like any other file.

use std::sync::Arc;

use anyhow::{Context, anyhow};
use domain::{Entropy, id::TenantId};
use engine::{
    Engine,
    configuration::ConfigurationFile,
    connections::{Connection, Mode},
};
use providers::Level;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use url::Url;

use super::dialect::Dialect;
use crate::entropy::ThreadEntropy;

/// The code of a provider's connection, or of the platform there.
pub(crate) fn code(dialect: &dyn Dialect, platform: bool) -> String {
    format!("simulated-{}{}", dialect.slug(), if platform { "-platform" } else { "" })
}

/// Who sells by an account that is connected to the platform.
pub(crate) const VENDOR: &str = "simulated-vendor";
/// What they sell, and the only plan of it.
pub(crate) const VENDORS_PRODUCT: &str = "simulated-app";
pub(crate) const VENDORS_PLAN: &str = "lifetime";
/// The code of the vendor's connection.
const VENDORS_CONNECTION: &str = "simulated-account";

/// Who is behind what the command line sets up, as the audit log names them.
pub(crate) const ACTOR: &str = "simulate";

/// Stand-ins in the file for secrets that are handed over beside it.
const WEBHOOK_SECRET: &str = "env:SIMULATED_WEBHOOK_SECRET";
const API_KEY: &str = "env:SIMULATED_API_KEY";
const CLIENT_SECRET: &str = "env:SIMULATED_CLIENT_SECRET";

/// What a provider that sends buyers knows the vendor by.
const CLIENT_ID: &str = "simulated-vendor";

#[derive(Default, Serialize)]
struct File<'a> {
    tenant: TenantEntry<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    connection: Vec<ConnectionEntry<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    price_rule: Vec<RuleEntry<'a>>,
}

#[derive(Default, Serialize)]
struct TenantEntry<'a> {
    slug: &'a str,
}

#[derive(Serialize)]
struct ConnectionEntry<'a> {
    code: &'a str,
    provider: &'a str,
    mode: &'a str,
    level: Level,
    webhook_secrets: [&'a str; 1],
    api_key: &'a str,
    api_base: String,
    platform: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    oauth_client: Option<ClientEntry<'a>>,
}

#[derive(Serialize)]
struct ClientEntry<'a> {
    id: &'a str,
    secret: &'a str,
}

#[derive(Serialize)]
struct RuleEntry<'a> {
    connection: &'a str,
    price: &'a str,
    plan: &'a str,
    quantity: &'a str,
}

/// The simulated connection of a tenant, if it has been set up.
pub(crate) async fn connection(
    engine: &Engine,
    tenant: TenantId,
    code: &str,
) -> anyhow::Result<Option<Arc<Connection>>> {
    let connections = engine.connections().await?;
    let found = connections.iter().find(|connection| connection.tenant == tenant && connection.code == code);
    Ok(found.cloned())
}

/// The port on which the connection expects its API.
pub(crate) fn port(connection: &Connection) -> Option<u16> {
    Url::parse(&connection.api_base).ok()?.port()
}

/// Makes the connection, or gives it this level and this port. Says whether it is another one now.
///
/// Whenever it is, it has other secrets: a server that believes them has read all the rest of it, too.
pub(crate) async fn connect(
    engine: &Engine,
    (tenant, slug): (TenantId, &str),
    (dialect, platform): (&dyn Dialect, bool),
    level: Option<Level>,
    (port, actor): (u16, &str),
) -> anyhow::Result<(Arc<Connection>, bool)> {
    let code = code(dialect, platform);
    let before = connection(engine, tenant, &code).await?;
    let info = super::dialect::module(dialect).info();
    let has_api = info.has_api();
    let sends_buyers = super::dialect::module(dialect).redeem().is_some();
    anyhow::ensure!(
        has_api || level.is_none_or(|level| level == Level::None),
        "{} has nothing to look up; leave --level out",
        info.name
    );
    let first = if has_api { Level::Read } else { Level::None };
    let level = level.or(before.as_ref().map(|connection| connection.settings.level)).unwrap_or(first);
    let api_base = format!("http://127.0.0.1:{port}");
    if let Some(connection) = before {
        anyhow::ensure!(
            connection.mode == Mode::Simulated,
            "the connection `{code}` is not a simulated one; rename it"
        );
        let is_complete = connection.api_key.is_some()
            && !connection.webhook_secrets.is_empty()
            && connection.expects_buyers() == sends_buyers;
        if is_complete && connection.settings.level == level && connection.api_base == api_base {
            return Ok((connection, false));
        }
    }
    let (webhook, api_key) = dialect.secret_prefixes();
    let (webhook, api_key, client_secret) = (made(webhook), made(api_key), made(""));
    let entry = ConnectionEntry {
        code: &code,
        provider: dialect.slug(),
        mode: Mode::Simulated.as_str(),
        level,
        webhook_secrets: [WEBHOOK_SECRET],
        api_key: API_KEY,
        api_base,
        platform,
        oauth_client: sends_buyers.then_some(ClientEntry { id: CLIENT_ID, secret: CLIENT_SECRET }),
    };
    let secret = |source: &str| match source {
        WEBHOOK_SECRET => Ok(webhook.expose_secret().to_owned()),
        API_KEY => Ok(api_key.expose_secret().to_owned()),
        CLIENT_SECRET => Ok(client_secret.expose_secret().to_owned()),
        other => Err(format!("{other} is no secret of the simulator")),
    };
    let file = File { tenant: TenantEntry { slug }, connection: vec![entry], ..File::default() };
    apply(engine, &file, &secret, actor).await?;
    let made =
        connection(engine, tenant, &code).await?.ok_or_else(|| anyhow!("the connection `{code}` is not there"))?;
    Ok((made, true))
}

/// Makes the vendor who sells by an account of the platform, with what they sell. Returns their tenant and connection.
pub(crate) async fn vendor(
    engine: &Engine,
    dialect: &dyn Dialect,
    account: &str,
) -> anyhow::Result<(TenantId, Arc<Connection>)> {
    let tenant = engine.ensure_tenant(VENDOR, "A vendor of the platform").await?;
    let (provider, mode) = (dialect.slug(), Mode::Simulated.as_str());
    let text = format!(
        r#"
        tenant = {{ slug = "{VENDOR}" }}
        product = [{{ code = "{VENDORS_PRODUCT}", name = "Simulated app", key_prefix = "SIM" }}]
        plan = [{{
            code = "{VENDORS_PLAN}", product = "{VENDORS_PRODUCT}", name = "Lifetime", activations = 3,
            price = {{ amount = 4900, currency = "EUR" }}
        }}]
        connection = [{{
            code = "{VENDORS_CONNECTION}", provider = "{provider}", mode = "{mode}", level = "read", account = "{account}"
        }}]
        "#
    );
    let file = ConfigurationFile::parse(&text).context("the simulated vendor's configuration")?;
    let no_secret = |source: &str| Err(format!("{source} is no secret of the simulator"));
    engine.apply(&file, &no_secret, false, ACTOR).await.context("the simulated vendor's configuration")?;
    let made = connection(engine, tenant, VENDORS_CONNECTION).await?;
    Ok((tenant, made.ok_or_else(|| anyhow!("the connection `{VENDORS_CONNECTION}` is not there"))?))
}

/// Adds a rule for a price, unless there is one: what a person mapped otherwise stays.
pub(crate) async fn map_price(
    engine: &Engine,
    connection: &Connection,
    (price, plan): (&str, &str),
    (slug, actor): (&str, &str),
) -> anyhow::Result<()> {
    let rules = engine.store.price_rules(connection.tenant).await?;
    let speaks_of_it = |rule: &&store::rows::PriceRule| {
        rule.connection_id == connection.id.0 && rule.matcher_kind == "price" && rule.matcher_value == price
    };
    if rules.iter().any(|rule| speaks_of_it(&rule)) {
        return Ok(());
    }
    let rule = RuleEntry { connection: &connection.code, price, plan, quantity: "keys" };
    let no_secret = |source: &str| Err(format!("{source} is no secret of the simulator"));
    let file = File { tenant: TenantEntry { slug }, price_rule: vec![rule], ..File::default() };
    apply(engine, &file, &no_secret, actor).await
}

async fn apply(
    engine: &Engine,
    file: &File<'_>,
    secret: &(dyn Fn(&str) -> Result<String, String> + Sync),
    actor: &str,
) -> anyhow::Result<()> {
    let text = toml::to_string(file)?;
    let file = ConfigurationFile::parse(&text).context("the simulator's own configuration")?;
    engine.apply(&file, secret, false, actor).await.context("the simulator's own configuration")?;
    Ok(())
}

/// A new secret of 128 bits: Lemon Squeezy takes 40 characters at most.
fn made(prefix: &str) -> SecretString {
    let mut random = [0; 16];
    ThreadEntropy.fill(&mut random);
    let digits = random.map(|byte| format!("{byte:02x}")).concat();
    SecretString::from(format!("{prefix}{digits}"))
}
