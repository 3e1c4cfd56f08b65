//! How a relay is configured: one address says it all.

use std::{net::IpAddr, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use crate::mail::Sender;

/// The port of SMTP over TLS (RFC 8314).
const PORT_TLS: u16 = 465;
/// The port of submission (RFC 6409).
const PORT_SUBMISSION: u16 = 587;

/// The configuration cannot be used. Messages never hold the address: it has a password in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// The address does not read.
    #[error(
        "the address of the mail relay is not of the form smtp://USER:PASSWORD@HOST:PORT or smtps://...; characters such \
         as / # ? @ in a password are written as %2F %23 %3F %40"
    )]
    Address,
    /// The address asks for what there is not.
    #[error(
        "the address of the mail relay knows `?tls=required` and `?tls=none`, and nothing else behind its question mark"
    )]
    Option,
    /// A name and no password.
    #[error("the address of the mail relay names a user and no password")]
    Password,
    /// The sender is no mailbox.
    #[error("the sender of mails is not of the form keys@acme.example or Acme <keys@acme.example>")]
    Sender,
    /// Nobody to send from.
    #[error("mails need a sender, such as keys@acme.example; the relay's user name is not an e-mail address")]
    NoSender,
    /// A certificate does not read.
    #[error("a certificate that the mail relay is to be trusted by does not read: {0}")]
    Certificate(String),
}

/// Whether what goes to a relay is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Security {
    /// From the first byte.
    Tls,
    /// After the greeting; a relay that does not offer it gets neither password nor mail.
    StartTls,
    /// Not at all.
    Plain,
}

/// How to reach a relay, and who mails come from.
#[derive(Clone, Debug)]
pub struct SmtpSettings {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) security: Security,
    pub(super) login: Option<(String, SecretString)>,
    /// What to call ourselves; none: the machine's name.
    pub(super) hello: Option<String>,
    pub(super) sender: Sender,
    /// Certificates to trust beside Mozilla's, in PEM: a relay inside a company.
    pub trusted: Vec<Vec<u8>>,
    /// How long a connection may take, from the name's look-up until the relay knows us.
    pub connect_timeout: Duration,
    /// How long a mail may take until the relay asks for its content, its connection included.
    pub send_timeout: Duration,
    /// How long the content may take, and the relay's answer to it. Whoever is impatient here sends a mail again that the relay
    /// has taken already, so it is ten minutes (RFC 5321 section 4.5.3.2.6).
    pub answer_timeout: Duration,
}

impl SmtpSettings {
    /// Reads an address:
    ///
    /// | address | encryption | port |
    /// |---|---|---|
    /// | `smtps://host` | TLS from the start | 465 |
    /// | `smtp://host` | STARTTLS, or nothing is sent | 587 |
    /// | `smtp://localhost`, `smtp://127.0.0.1` | none: nothing leaves the machine | 587 |
    /// | `smtp://…?tls=required` | STARTTLS, also on this machine | 587 |
    /// | `smtp://…?tls=none` | none, also to elsewhere | 587 |
    ///
    /// `user:password@` before the host, where other than letters and digits are percent-encoded; a path is the name
    /// that is given in `EHLO`. Without a sender, the user is the sender if it is an address.
    ///
    /// # Errors
    /// What cannot be used.
    pub fn parse(address: &SecretString, sender: Option<&str>) -> Result<Self, SettingsError> {
        let url = Url::parse(address.expose_secret().trim()).map_err(|_| SettingsError::Address)?;
        let host = host(&url).ok_or(SettingsError::Address)?;
        let security = security(&url, &host)?;
        let user = decoded(url.username()).ok_or(SettingsError::Address)?;
        let password = url.password().map(|text| decoded(text).ok_or(SettingsError::Address)).transpose()?;
        let login = match (user.is_empty(), password) {
            (true, None) => None,
            (_, None) => return Err(SettingsError::Password),
            (_, Some(password)) => Some((user.clone(), SecretString::from(password))),
        };
        let sender = match sender {
            Some(text) => Sender::parse(text).ok_or(SettingsError::Sender)?,
            None => Sender::parse(&user).ok_or(SettingsError::NoSender)?,
        };
        let hello = url.path().trim_matches('/');
        Ok(Self {
            host,
            port: url.port().unwrap_or(if security == Security::Tls { PORT_TLS } else { PORT_SUBMISSION }),
            security,
            login,
            hello: (!hello.is_empty()).then(|| hello.to_owned()),
            sender,
            trusted: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            send_timeout: Duration::from_secs(30),
            answer_timeout: Duration::from_secs(600),
        })
    }
}

/// The host as the resolver and the certificate's check want it.
fn host(url: &Url) -> Option<String> {
    // Of schemes that browsers do not know, the host is left as it is written.
    match Host::parse(url.host_str()?).ok()? {
        Host::Ipv6(address) => Some(address.to_string()),
        other => Some(other.to_string()),
    }
}

fn security(url: &Url, host: &str) -> Result<Security, SettingsError> {
    let options: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let options: Vec<(&str, &str)> = options.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    match (url.scheme(), &options[..]) {
        ("smtps", [] | [("tls", "required")]) => Ok(Security::Tls),
        ("smtp", [("tls", "required")]) => Ok(Security::StartTls),
        ("smtp", [("tls", "none")]) => Ok(Security::Plain),
        // A relay on the same machine seldom has a certificate for `localhost`, and there is no wire to listen on.
        ("smtp", []) => Ok(if is_loopback(host) { Security::Plain } else { Security::StartTls }),
        ("smtp" | "smtps", _) => Err(SettingsError::Option),
        _ => Err(SettingsError::Address),
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Undoes percent-encoding. None: it is not proper, or not text.
pub(crate) fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = tail.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
        bytes.push(u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?);
        rest = &tail[2..];
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(address: &str) -> Result<SmtpSettings, SettingsError> {
        SmtpSettings::parse(&SecretString::from(address.to_owned()), Some("Acme <keys@acme.test>"))
    }

    #[test]
    fn an_address_says_where_and_how() {
        use Security::{Plain, StartTls, Tls};
        for (address, expected) in [
            ("smtps://mx.acme.test", ("mx.acme.test", 465, Tls)),
            ("smtps://127.0.0.1:2465", ("127.0.0.1", 2465, Tls)),
            ("smtp://mx.acme.test", ("mx.acme.test", 587, StartTls)),
            ("smtp://MX.acme.test:25/me.acme.test", ("mx.acme.test", 25, StartTls)),
            ("smtp://10.0.0.1", ("10.0.0.1", 587, StartTls)),
            ("smtp://mailpit:1025?tls=none", ("mailpit", 1025, Plain)),
            ("smtp://localhost:25", ("localhost", 25, Plain)),
            ("smtp://127.8.9.1:25", ("127.8.9.1", 25, Plain)),
            ("smtp://[::1]:25", ("::1", 25, Plain)),
            ("smtp://localhost:25?tls=required", ("localhost", 25, StartTls)),
            ("smtp://localhost.evil.test", ("localhost.evil.test", 587, StartTls)),
        ] {
            let settings = parse(address).unwrap();
            assert_eq!((settings.host.as_str(), settings.port, settings.security), expected, "{address}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (address, error) in [
            ("mx.acme.test:25", SettingsError::Address),
            ("http://mx.acme.test", SettingsError::Address),
            ("smtp://", SettingsError::Address),
            ("smtp://u:%zz@mx.acme.test", SettingsError::Address),
            ("smtp://u:a/b@mx.acme.test", SettingsError::Address),
            ("smtp://u@mx.acme.test", SettingsError::Password),
            ("smtp://mx.acme.test?tls=off", SettingsError::Option),
            ("smtps://mx.acme.test?tls=none", SettingsError::Option),
            ("smtp://mx.acme.test?tls=none&x=1", SettingsError::Option),
        ] {
            assert_eq!(parse(address).unwrap_err(), error, "{address}");
        }
    }

    #[test]
    fn the_password_is_decoded_and_never_printed() {
        let settings = parse("smtps://apikey:p%40ss%2Fw%C3%B6rd+%25@mx.acme.test").unwrap();
        let (user, password) = settings.login.clone().unwrap();
        assert_eq!((user.as_str(), password.expose_secret()), ("apikey", "p@ss/wörd+%"));
        assert!(!format!("{settings:?}").contains("ss/w"));
    }

    #[test]
    fn the_sender_is_given_or_the_user() {
        let sender = |address: &str, sender| {
            let address = SecretString::from(address.to_owned());
            SmtpSettings::parse(&address, sender).map(|settings| settings.sender.to_string())
        };
        let relay = "smtps://keys%40acme.test:x@mx.acme.test";
        assert_eq!(sender(relay, None).as_deref(), Ok("keys@acme.test"));
        assert_eq!(sender(relay, Some("Acme <k@acme.test>")).as_deref(), Ok("Acme <k@acme.test>"));
        assert_eq!(sender(relay, Some("Acme")), Err(SettingsError::Sender));
        assert_eq!(sender("smtps://apikey:x@mx.acme.test", None), Err(SettingsError::NoSender));
    }
}
