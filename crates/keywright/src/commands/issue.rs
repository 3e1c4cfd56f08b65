//! `keywright issue`.

use clap::Args;
use domain::text::{EmailAddress, PlanCode};
use engine::{issue::IssueRequest, tenants::DEFAULT_TENANT};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{options::DataOptions, output::say, server};

/// Issues a license by hand.
#[derive(Debug, Args)]
pub(crate) struct Issue {
    /// The plan's code.
    plan: String,

    /// Who gets it.
    #[arg(long)]
    email: Option<String>,

    /// Their name.
    #[arg(long)]
    name: Option<String>,

    /// How many keys.
    #[arg(long, default_value_t = 1)]
    quantity: u32,

    /// Also sends the mail; the running server does.
    #[arg(long, requires = "email")]
    send_email: bool,

    /// A license for trying things out.
    #[arg(long)]
    test: bool,

    /// Your own reference of this sale. Asking twice with one gives the same keys.
    #[arg(long)]
    reference: Option<String>,

    #[command(flatten)]
    data: DataOptions,
}

impl Issue {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let engine = server::open(&self.data).await?.engine;
        let tenant = engine.ensure_tenant(DEFAULT_TENANT, "Keywright").await?;
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        engine.start(&tasks, &stop);
        let issued = engine
            .issue(IssueRequest {
                tenant,
                livemode: !self.test,
                email: self.email.as_deref().map(EmailAddress::parse).transpose()?,
                name: self.name,
                plan: PlanCode::new(self.plan),
                quantity: self.quantity,
                send_email: self.send_email,
                reference: self.reference,
            })
            .await?;
        for license in &issued.licenses {
            say!("{}", license.key.reveal());
            eprintln!("{} {}", license.license.id, license.license.standing.state.as_str());
        }
        stop.cancel();
        tasks.close();
        tasks.wait().await;
        Ok(())
    }
}
