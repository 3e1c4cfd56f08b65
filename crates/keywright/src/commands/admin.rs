//! `keywright admin create`. Only the operator has this: whoever may read the data folder may make an owner.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use domain::member::Role;
use engine::{members::NewMember, rulings::By, tenants::DEFAULT_TENANT};

use crate::{
    options::{DataOptions, read_secret},
    output::say,
    server,
};

/// What to do with the people of a vendor.
#[derive(Debug, Subcommand)]
pub(crate) enum AdminCommand {
    /// Makes an owner: prints the link by which they choose their password, or takes the password from a file.
    Create(Create),
}

/// A new owner.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Their e-mail address.
    email: String,

    /// Of whom: the tenant's slug.
    #[arg(long, default_value = DEFAULT_TENANT)]
    tenant: String,

    /// The file with their password. Without it they get a link, good for seven days.
    #[arg(long)]
    password_file: Option<PathBuf>,

    /// Where the server is reached, for the link.
    #[arg(long, env = "KEYWRIGHT_PUBLIC_URL", default_value = "http://127.0.0.1:8400")]
    public_url: String,

    #[command(flatten)]
    data: DataOptions,
}

impl AdminCommand {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let Self::Create(create) = self;
        create.run().await
    }
}

impl Create {
    async fn run(self) -> anyhow::Result<()> {
        let engine = server::open(&self.data).await?.engine;
        let tenant = engine.tenant(&self.tenant).await?;
        let tenant = tenant
            .with_context(|| format!("there is no tenant `{}`; `keywright tenant list` names all", self.tenant))?;
        match self.password_file {
            Some(file) => {
                let password = read_secret(&file)?.into();
                engine
                    .create_owner(tenant, &NewMember { email: self.email.clone(), name: String::new(), password })
                    .await?;
                say!("{} owns {} now.", self.email, self.tenant);
            }
            None => {
                let by = By { actor: "cli".to_owned(), note: None };
                let link = engine.invite(tenant, &self.email, Role::Owner, &by).await?;
                say!("{}/join/{}", self.public_url.trim_end_matches('/'), *link.reveal());
            }
        }
        Ok(())
    }
}
