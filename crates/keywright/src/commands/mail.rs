//! `keywright mail`: what is held, how a mail looks, and the record that vouches for it.

use std::{path::PathBuf, process::Command};

use anyhow::Context;
use clap::{Args, Subcommand};
use delivery::{
    Transport,
    mail::{Language, SOMEBODY, Sample},
};
use domain::{
    ambient::{Clock, EntropySource},
    id::{MailId, TenantId},
    mail::MailKind,
};
use engine::{Engine, rulings::By, tenants::DEFAULT_TENANT};

use crate::{
    clock::SystemClock,
    entropy::SystemEntropy,
    mail_options::{DkimOptions, MailOptions},
    options::DataOptions,
    output::say,
    server,
};

/// What to do with mails.
#[derive(Debug, Subcommand)]
pub(crate) enum MailCommand {
    /// Has all mails sent that were caught while no sender was configured. The running server sends them.
    Release(Release),
    /// Prints the DNS record by which receivers verify signed mails (DKIM).
    DkimRecord(DkimRecord),
    /// Shows a mail with an example, as it would be sent now. Nothing is sent.
    Preview(Preview),
    /// Sends a mail with an example, to see how it arrives.
    SendTest(SendTest),
}

/// A release.
#[derive(Debug, Args)]
pub(crate) struct Release {
    /// The tenant's slug.
    #[arg(long, default_value = DEFAULT_TENANT)]
    tenant: String,

    #[command(flatten)]
    data: DataOptions,
}

/// The record of a key.
#[derive(Debug, Args)]
pub(crate) struct DkimRecord {
    #[command(flatten)]
    dkim: DkimOptions,
}

/// Which mail.
#[derive(Debug, Args)]
pub(crate) struct WhichMail {
    /// The mail, such as license-delivery.
    kind: MailKind,

    /// Its language: en or de. [default: that of the product's brand]
    #[arg(long, value_parser = language)]
    language: Option<Language>,

    /// The code of the product whose brand it has. [default: the first one]
    #[arg(long)]
    product: Option<String>,

    /// The tenant's slug.
    #[arg(long, default_value = DEFAULT_TENANT)]
    tenant: String,

    #[command(flatten)]
    data: DataOptions,
}

/// A look at a mail.
#[derive(Debug, Args)]
pub(crate) struct Preview {
    #[command(flatten)]
    which: WhichMail,

    /// Writes its HTML to this file.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// Opens its HTML in the browser of this machine.
    #[arg(long)]
    open: bool,

    #[command(flatten)]
    mail: MailOptions,
}

/// A mail to try.
#[derive(Debug, Args)]
pub(crate) struct SendTest {
    #[command(flatten)]
    which: WhichMail,

    /// Where it goes.
    #[arg(long, value_name = "ADDRESS")]
    to: String,

    #[command(flatten)]
    mail: MailOptions,
}

fn language(text: &str) -> Result<Language, String> {
    Language::parse(text).ok_or_else(|| format!("mails are not written in `{text}`; there are en and de"))
}

impl MailCommand {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Release(release) => release.run().await,
            Self::DkimRecord(record) => record.run(),
            Self::Preview(preview) => preview.run().await,
            Self::SendTest(test) => test.run().await,
        }
    }
}

impl Release {
    async fn run(self) -> anyhow::Result<()> {
        let engine = server::open(&self.data).await?.engine;
        let tenant = tenant(&engine, &self.tenant).await?;
        let by = By { actor: "cli".to_owned(), note: None };
        let released = engine.release_mails(tenant, &by).await?;
        say!("{released} mails are released; a server with --smtp-url or --mail-url sends them now.");
        Ok(())
    }
}

impl DkimRecord {
    fn run(self) -> anyhow::Result<()> {
        let dkim = self.dkim.read()?.context(
            "no key is given: --dkim-key-file dkim.pem --dkim-selector key1 --dkim-domain acme.example; `openssl genrsa \
             -out dkim.pem 2048` makes one",
        )?;
        say!("name   {}", dkim.name());
        say!("type   TXT");
        say!("value  {}", dkim.record());
        Ok(())
    }
}

impl WhichMail {
    /// An example of it, as the product's buyers would get it.
    async fn sample<'a>(&self, to: (&'a str, Option<&'a str>)) -> anyhow::Result<Sample<'a>> {
        let engine = server::open(&self.data).await?.engine;
        let tenant = tenant(&engine, &self.tenant).await?;
        let sample = Sample::new(self.kind, self.language, to, SystemClock.now());
        let found = sample.of(&engine.store, tenant, self.product.as_deref()).await?;
        found.with_context(|| format!("there is no product `{}`", self.product.as_deref().unwrap_or_default()))
    }
}

impl Preview {
    async fn run(self) -> anyhow::Result<()> {
        let way = self.mail.transport()?;
        let rendered = self.which.sample(SOMEBODY).await?.render(way.as_ref().map(Transport::sender))?;
        let nobody = "nobody: neither the product's brand nor --mail-from and a relay name a sender";
        say!("From: {}", rendered.from.as_deref().unwrap_or(nobody));
        if let Some(reply_to) = &rendered.reply_to {
            say!("Reply-To: {reply_to}");
        }
        say!("To: {}\nSubject: {}\n\n{}", rendered.to, rendered.subject, rendered.text);
        let file = match (self.html, self.open) {
            (None, false) => return Ok(()),
            (Some(file), _) => file,
            (None, true) => std::env::temp_dir().join(format!("keywright-{}.html", self.which.kind.as_str())),
        };
        std::fs::write(&file, rendered.html).with_context(|| format!("cannot write {}", file.display()))?;
        say!("Its HTML is in {}.", file.display());
        if self.open {
            let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
            let opened = Command::new(opener).arg(&file).status();
            opened.with_context(|| format!("cannot start {opener}; open the file yourself"))?;
        }
        Ok(())
    }
}

impl SendTest {
    async fn run(self) -> anyhow::Result<()> {
        let way = self.mail.transport()?;
        let way =
            way.context("no mail relay is configured; say --smtp-url smtp://USER:PASSWORD@HOST, or --mail-url")?;
        let id = MailId::new(SystemClock.now(), &mut *SystemEntropy.entropy());
        let outcome = self.which.sample((&self.to, None)).await?.send(id, &way).await?;
        way.close().await;
        say!("{}", outcome.sentence(&way.name(), &self.to).map_err(anyhow::Error::msg)?);
        Ok(())
    }
}

async fn tenant(engine: &Engine, slug: &str) -> anyhow::Result<TenantId> {
    engine.tenant(slug).await?.ok_or_else(|| anyhow::anyhow!("there is no tenant `{slug}`"))
}
