//! How mails leave: which relay or service, and which key vouches for them.

use std::{path::PathBuf, sync::Arc};

use anyhow::{Context, bail};
use clap::Args;
use delivery::{Dkim, MailService, ServiceSettings, Smtp, SmtpSettings, Transport, transport::LIMITS};
use secrecy::SecretString;

use crate::{clock::SystemClock, options::value_or_file};

/// Options of everything that sends mails.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Mail")]
pub(crate) struct MailOptions {
    /// The mail relay: smtp://USER:PASSWORD@HOST:587 or smtps://…. Without it and --mail-url, mails are caught and held.
    /// Also from the file that KEYWRIGHT_SMTP_URL_FILE names.
    #[arg(long, env = "KEYWRIGHT_SMTP_URL", hide_env_values = true)]
    smtp_url: Option<String>,

    /// A service that sends mails, in place of a relay: postmark://TOKEN@, resend://KEY@ or
    /// ses://ACCESS_KEY:SECRET_KEY@REGION. Also from the file that KEYWRIGHT_MAIL_URL_FILE names.
    #[arg(long, env = "KEYWRIGHT_MAIL_URL", hide_env_values = true)]
    mail_url: Option<String>,

    /// The sender of mails whose product names none.
    #[arg(long, env = "KEYWRIGHT_MAIL_FROM")]
    mail_from: Option<String>,

    #[command(flatten)]
    dkim: DkimOptions,
}

/// The key that vouches for mails.
#[derive(Debug, Clone, Args)]
pub(crate) struct DkimOptions {
    /// The private key that signs mails (DKIM), RSA or Ed25519 in PEM. [default: mails are not signed here]
    #[arg(long, env = "KEYWRIGHT_DKIM_KEY_FILE", requires_all = ["dkim_selector", "dkim_domain"])]
    dkim_key_file: Option<PathBuf>,

    /// The name of that key in the DNS: the first part of NAME._domainkey.DOMAIN.
    #[arg(long, env = "KEYWRIGHT_DKIM_SELECTOR", value_name = "NAME", requires = "dkim_key_file")]
    dkim_selector: Option<String>,

    /// The domain that the key is of. Mails from other domains are not signed.
    #[arg(long, env = "KEYWRIGHT_DKIM_DOMAIN", value_name = "DOMAIN", requires = "dkim_key_file")]
    dkim_domain: Option<String>,
}

impl MailOptions {
    /// Where mails go. None: nowhere, they are caught.
    pub(crate) fn transport(&self) -> anyhow::Result<Option<Transport>> {
        let relay = value_or_file(self.smtp_url.as_deref(), "KEYWRIGHT_SMTP_URL")?;
        let service = value_or_file(self.mail_url.as_deref(), "KEYWRIGHT_MAIL_URL")?;
        // A key that does not read is told, also while there is nothing yet that it would sign.
        let dkim = self.dkim.read()?;
        let transport = match (relay, service) {
            (Some(_), Some(_)) => {
                bail!("both --smtp-url and --mail-url are given; mails leave one way, so leave one away")
            }
            (Some(relay), None) => self.relay(relay).context("the mail relay")?,
            (None, Some(service)) => self.service(service).context("the mail service")?,
            (None, None) => return Ok(None),
        };
        let Some(dkim) = dkim else { return Ok(Some(transport)) };
        let name = transport.name();
        let signing = transport.signing(dkim);
        Ok(Some(signing.with_context(|| format!("{name} signs mails itself; leave --dkim-key-file away"))?))
    }

    fn relay(&self, address: String) -> anyhow::Result<Transport> {
        let settings = SmtpSettings::parse(&SecretString::from(address), self.mail_from.as_deref())?;
        Ok(Smtp::new(settings)?.into())
    }

    fn service(&self, address: String) -> anyhow::Result<Transport> {
        let settings = ServiceSettings::parse(&SecretString::from(address), self.mail_from.as_deref())?;
        let client = net::Client::new(net::Reach::Public, LIMITS)?;
        Ok(MailService::new(settings, client, Arc::new(SystemClock)).into())
    }
}

impl DkimOptions {
    /// The key and its name. None: there is none.
    pub(crate) fn read(&self) -> anyhow::Result<Option<Dkim>> {
        let Self { dkim_key_file: Some(path), dkim_selector: Some(selector), dkim_domain: Some(domain) } = self else {
            return Ok(None);
        };
        let problem = || format!("the DKIM key in {}", path.display());
        let pem = std::fs::read(path).with_context(problem)?;
        Ok(Some(Dkim::new(domain, selector, &pem).with_context(problem)?))
    }
}
