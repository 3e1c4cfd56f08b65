//! `keywright approve ORDER` and `keywright reject ORDER`.

use clap::Args;
use domain::{id::OrderId, license::License, order::Approval};
use engine::{
    rulings::{By, OrderRuling},
    tenants::DEFAULT_TENANT,
};

use crate::{options::DataOptions, output::say, server};

/// Which sale, and why.
#[derive(Debug, Args)]
pub(crate) struct Decide {
    /// The order's id, as `needs attention` and `simulate` name it.
    order: OrderId,

    /// Why, for the audit log.
    #[arg(long)]
    note: Option<String>,

    /// Whose sale it is.
    #[arg(long, default_value = DEFAULT_TENANT)]
    tenant: String,

    #[command(flatten)]
    data: DataOptions,
}

impl Decide {
    pub(crate) async fn run(self, approval: Approval) -> anyhow::Result<()> {
        let engine = server::open(&self.data).await?.engine;
        let tenant = engine.tenant(&self.tenant).await?;
        let tenant = tenant.ok_or_else(|| anyhow::anyhow!("there is no tenant `{}`", self.tenant))?;
        let by = By { actor: "cli".to_owned(), note: self.note };
        let order = engine.rule_order(tenant, self.order, &OrderRuling::Approval(approval), &by).await?;
        let order = order.ok_or_else(|| anyhow::anyhow!("`{}` has no order {}", self.tenant, self.order))?;
        match approval {
            Approval::Approved => say!("{} is approved. A running server mails what it has now:", order.id),
            Approval::Rejected => say!("{} is rejected. What it has already stays; revoke that:", order.id),
        }
        for License { id, standing, .. } in &order.licenses {
            say!("  {id}  {}: {}", standing.state.as_str(), standing.reason.sentence());
        }
        if order.licenses.is_empty() {
            say!("  no license");
        }
        Ok(())
    }
}
