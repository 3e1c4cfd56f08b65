//! How a service is configured: one address says it all.

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{postmark, resend, ses};
use crate::{mail::Sender, smtp::decoded};

/// The configuration cannot be used. Messages never hold the address: it has a secret in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServiceSettingsError {
    /// The address does not read.
    #[error(
        "the address of the mail service is not of the form postmark://TOKEN@, resend://KEY@ or \
         ses://ACCESS_KEY:SECRET_KEY@REGION"
    )]
    Address,
    /// The sender is no mailbox.
    #[error("the sender of mails is not of the form keys@acme.example or Acme <keys@acme.example>")]
    Sender,
    /// Nobody to send from.
    #[error("mails need a sender, such as keys@acme.example: give --mail-from")]
    NoSender,
}

/// At which service, and as who.
#[derive(Clone, Debug)]
pub(super) enum Account {
    Postmark { token: SecretString },
    Resend { key: SecretString },
    Ses { access_key: String, secret_key: SecretString, region: String },
}

/// How to reach a service, and who mails come from.
#[derive(Clone, Debug)]
pub struct ServiceSettings {
    pub(super) account: Account,
    pub(super) sender: Sender,
    /// Where its API is.
    pub base: Url,
}

impl ServiceSettings {
    /// Reads an address: `postmark://TOKEN@`, `resend://KEY@`, `ses://ACCESS_KEY:SECRET_KEY@REGION`. A secret may be written as
    /// it is, slashes included, or percent-encoded.
    ///
    /// # Errors
    /// What cannot be used.
    pub fn parse(address: &SecretString, sender: Option<&str>) -> Result<Self, ServiceSettingsError> {
        let account = account(address.expose_secret().trim()).ok_or(ServiceSettingsError::Address)?;
        let sender = Sender::parse(sender.ok_or(ServiceSettingsError::NoSender)?);
        let base = match &account {
            Account::Postmark { .. } => postmark::BASE.to_owned(),
            Account::Resend { .. } => resend::BASE.to_owned(),
            Account::Ses { region, .. } => ses::base(region),
        };
        Ok(Self {
            account,
            sender: sender.ok_or(ServiceSettingsError::Sender)?,
            base: Url::parse(&base).map_err(|_| ServiceSettingsError::Address)?,
        })
    }
}

/// Read by hand: these addresses have no host, or a secret with slashes in it, which proper ones cannot have.
fn account(address: &str) -> Option<Account> {
    let (scheme, rest) = address.split_once("://")?;
    let (whole, place) = rest.rsplit_once('@')?;
    let secret = |text: &str| {
        let text =
            decoded(text).filter(|text| !text.is_empty() && text.chars().all(|symbol| symbol.is_ascii_graphic()));
        text.map(SecretString::from)
    };
    match (scheme, place) {
        ("postmark", "") => Some(Account::Postmark { token: secret(whole)? }),
        ("resend", "") => Some(Account::Resend { key: secret(whole)? }),
        ("ses", region) if is_region(region) => {
            let (access_key, secret_key) = whole.split_once(':')?;
            let is_word = !access_key.is_empty() && access_key.chars().all(|symbol| symbol.is_ascii_alphanumeric());
            is_word.then_some(())?;
            Some(Account::Ses {
                access_key: access_key.to_owned(),
                secret_key: secret(secret_key)?,
                region: region.to_owned(),
            })
        }
        _ => None,
    }
}

/// A part of a host's name.
fn is_region(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|symbol| symbol.is_ascii_lowercase() || symbol.is_ascii_digit() || symbol == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(address: &str, sender: Option<&str>) -> Result<ServiceSettings, ServiceSettingsError> {
        ServiceSettings::parse(&SecretString::from(address.to_owned()), sender)
    }

    #[test]
    fn an_address_says_where_and_as_who() {
        for (address, base, secret) in [
            ("postmark://b7bc-4a@", "https://api.postmarkapp.com/", "b7bc-4a"),
            ("resend://re_12%33@", "https://api.resend.com/", "re_123"),
            ("ses://AKIA1:wJal/r+x@eu-central-1", "https://email.eu-central-1.amazonaws.com/", "wJal/r+x"),
            ("ses://AKIA1:a:b%2Fc@us-east-1", "https://email.us-east-1.amazonaws.com/", "a:b/c"),
        ] {
            let settings = parse(address, Some("keys@acme.test")).unwrap();
            let (Account::Postmark { token: found }
            | Account::Resend { key: found }
            | Account::Ses { secret_key: found, .. }) = &settings.account;
            assert_eq!((settings.base.as_str(), found.expose_secret()), (base, secret), "{address}");
            assert!(!format!("{settings:?}").contains(secret), "{address}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for address in [
            "postmark://",
            "postmark://@",
            "postmark://token",
            "postmark://token@api.postmarkapp.com",
            "resend://a%zzb@",
            "resend://a b@",
            "ses://AKIA1:secret@",
            "ses://AKIA1:secret@evil.test/",
            "ses://AKIA1@eu-central-1",
            "ses://:secret@eu-central-1",
            "smtp://u:p@mx.acme.test",
            "token",
        ] {
            assert_eq!(parse(address, Some("keys@acme.test")).unwrap_err(), ServiceSettingsError::Address, "{address}");
        }
        assert_eq!(parse("postmark://x@", None).unwrap_err(), ServiceSettingsError::NoSender);
        assert_eq!(parse("postmark://x@", Some("Acme")).unwrap_err(), ServiceSettingsError::Sender);
    }
}
