//! `keywright deliveries` and `keywright redeliver DELIVERY`.

use anyhow::Context;
use clap::{Args, ValueEnum};
use domain::id::{DeliveryId, EventId, TenantId, WebhookEndpointId};
use engine::{Engine, rulings::By, tenants::DEFAULT_TENANT};
use store::{
    deliveries::{DeliveryFilter, status},
    lists::{Page, Whose},
    rows::{Delivery, WebhookEndpoint},
};

use crate::{options::DataOptions, output::say, server};

/// How far a delivery has come.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Status {
    /// It is tried until it arrives or is given up.
    Pending,
    /// It arrived.
    Delivered,
    /// Its address is not called at present.
    Held,
    /// It was given up.
    Dead,
}

impl Status {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => status::PENDING,
            Self::Delivered => status::DELIVERED,
            Self::Held => status::HELD,
            Self::Dead => status::DEAD,
        }
    }
}

/// Whose endpoints.
#[derive(Debug, Args)]
pub(crate) struct Whom {
    /// Those of the test mode.
    #[arg(long)]
    test: bool,

    /// The tenant's slug.
    #[arg(long, default_value = DEFAULT_TENANT)]
    tenant: String,
}

impl Whom {
    pub(crate) async fn whose(&self, engine: &Engine) -> anyhow::Result<Whose> {
        let tenant = engine.tenant(&self.tenant).await?;
        let tenant = tenant.with_context(|| format!("there is no tenant `{}`", self.tenant))?;
        Ok(Whose { tenant, livemode: !self.test })
    }
}

/// The address of that code.
pub(crate) async fn endpoint(engine: &Engine, whose: Whose, code: &str) -> anyhow::Result<WebhookEndpoint> {
    let rows = endpoints(engine, whose.tenant).await?;
    let found = rows.into_iter().find(|row| row.code == code && row.livemode == whose.livemode);
    let mode = if whose.livemode { "live; --test looks at test mode" } else { "test" };
    found.with_context(|| format!("there is no webhook endpoint `{code}` of mode {mode}"))
}

async fn endpoints(engine: &Engine, tenant: TenantId) -> anyhow::Result<Vec<WebhookEndpoint>> {
    Ok(engine.store.webhook_endpoints(tenant).await?)
}

/// Lists what is on its way to webhook endpoints, and what became of it, the newest first.
#[derive(Debug, Args)]
pub(crate) struct Deliveries {
    /// To the endpoint of this code.
    #[arg(long)]
    endpoint: Option<String>,

    /// That have come so far.
    #[arg(long, value_enum)]
    status: Option<Status>,

    /// How many at most.
    #[arg(long, default_value_t = 20)]
    limit: u64,

    #[command(flatten)]
    whom: Whom,

    #[command(flatten)]
    data: DataOptions,
}

impl Deliveries {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let engine = server::open(&self.data).await?.engine;
        let whose = self.whom.whose(&engine).await?;
        let endpoint = match &self.endpoint {
            Some(code) => Some(WebhookEndpointId(endpoint(&engine, whose, code).await?.id)),
            None => None,
        };
        let status = self.status.map(|status| status.as_str().to_owned());
        let filter = DeliveryFilter { endpoint, status, ..DeliveryFilter::default() };
        let page = Page { limit: self.limit, from: None };
        let listed = engine.store.list_deliveries(whose, &filter, page).await?;
        let codes = endpoints(&engine, whose.tenant).await?;
        for row in &listed.rows {
            let kind = engine.store.event(whose, EventId(row.event_id)).await?.map(|event| event.kind);
            let code =
                codes.iter().find(|endpoint| endpoint.id == row.endpoint_id).map(|endpoint| endpoint.code.as_str());
            say!("{}", line(row, code.unwrap_or("-"), kind.as_deref().unwrap_or("-")));
            if let Some(error) = &row.error {
                say!("  {error}");
            }
        }
        if listed.has_more {
            say!("there are more; --limit shows them");
        }
        if listed.rows.is_empty() {
            let mode = if whose.livemode { "live mode; --test looks at test mode" } else { "test mode" };
            eprintln!("there are none of {mode}");
        }
        Ok(())
    }
}

fn line(row: &Delivery, code: &str, kind: &str) -> String {
    let answered = row.last_status.map_or_else(|| "-".to_owned(), |status| status.to_string());
    format!("{}  {:<9}  {answered:<3}  {code}  {kind}", DeliveryId(row.id), row.status)
}

/// Delivers an event to a webhook endpoint once more, with the same id and body. The running server delivers it.
#[derive(Debug, Args)]
pub(crate) struct Redeliver {
    /// The delivery, as `keywright deliveries` lists it.
    delivery: DeliveryId,

    /// Why, for the audit log.
    #[arg(long)]
    note: Option<String>,

    #[command(flatten)]
    whom: Whom,

    #[command(flatten)]
    data: DataOptions,
}

impl Redeliver {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let engine = server::open(&self.data).await?.engine;
        let whose = self.whom.whose(&engine).await?;
        let by = By { actor: "cli".to_owned(), note: self.note };
        engine.redeliver(whose, self.delivery, &by).await?;
        say!("{} is on its way once more; the running server delivers it", self.delivery);
        Ok(())
    }
}
