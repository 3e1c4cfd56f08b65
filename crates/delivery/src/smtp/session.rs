//! One connection to a relay, and one mail over it.

use lettre::{
    address::Envelope,
    transport::smtp::{
        Error,
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{AsyncSmtpConnection, TlsParameters},
        commands::{Data, Mail, Rcpt, Rset},
        extension::{ClientId, Extension, MailBodyParameter, MailParameter},
        response::{Code, Response, Severity},
    },
};
use secrecy::ExposeSecret;

use super::{
    said,
    settings::{Security, SmtpSettings},
};
use crate::transport::Outcome;

/// Opens a connection that is ready for mails: encrypted where it has to be, and signed in.
pub(super) async fn open(settings: &SmtpSettings, tls: &TlsParameters) -> Result<AsyncSmtpConnection, Error> {
    let hello = settings.hello.clone().map_or_else(ClientId::default, ClientId::Domain);
    let place = (settings.host.as_str(), settings.port);
    let from_the_start = (settings.security == Security::Tls).then(|| tls.clone());
    let timeout = Some(settings.connect_timeout);
    let mut connection = AsyncSmtpConnection::connect_tokio1(place, timeout, &hello, from_the_start, None).await?;
    if settings.security == Security::StartTls {
        connection.starttls(tls.clone(), &hello).await?;
    }
    if let Some((user, password)) = &settings.login {
        let credentials = Credentials::new(user.clone(), password.expose_secret().to_owned());
        connection.auth(DEFAULT_MECHANISMS, &credentials).await?;
    }
    Ok(connection)
}

/// Hands over one mail. The steps are ours rather than lettre's `send`, since only they tell a relay that refuses this
/// mail from one that refuses all of them.
///
/// Returns whether the connection can be used again.
pub(super) async fn hand_over(
    connection: &mut AsyncSmtpConnection,
    envelope: &Envelope,
    message: &str,
) -> (Outcome, bool) {
    let parameters = match parameters(connection, envelope, message) {
        Ok(parameters) => parameters,
        Err(problem) => return (Outcome::Refused { response: problem.to_owned() }, true),
    };
    let sender = Mail::new(envelope.from().cloned(), parameters);
    if let Err(error) = connection.command(sender).await {
        // It does not take mails from us at all: the address is not ours to use, or we have to sign in.
        return (Outcome::Away { response: said(&error) }, reset(connection, &error).await);
    }
    match content(connection, envelope, message).await {
        Ok(response) => (Outcome::Accepted { response: answer(&response) }, true),
        Err(error) => (judge(error.status(), said(&error)), reset(connection, &error).await),
    }
}

async fn content(connection: &mut AsyncSmtpConnection, envelope: &Envelope, message: &str) -> Result<Response, Error> {
    for recipient in envelope.to() {
        connection.command(Rcpt::new(recipient.clone(), Vec::new())).await?;
    }
    connection.command(Data).await?;
    connection.command(Content(message)).await
}

/// A message with its end, as one piece. lettre writes the end by itself after the message, and there the system waits
/// for the relay to confirm the message's last bytes, which the relay delays by 40 ms since it waits for more.
struct Content<'a>(&'a str);

impl std::fmt::Display for Content<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for line in self.0.strip_suffix("\r\n").unwrap_or(self.0).split("\r\n") {
            // A line that is a single dot would end the message.
            let dot = if line.starts_with('.') { "." } else { "" };
            write!(f, "{dot}{line}\r\n")?;
        }
        f.write_str(".\r\n")
    }
}

/// What the mail asks of a relay, or why this one cannot carry it.
fn parameters(
    connection: &AsyncSmtpConnection,
    envelope: &Envelope,
    message: &str,
) -> Result<Vec<MailParameter>, &'static str> {
    let info = connection.server_info();
    let mut parameters = Vec::new();
    if !envelope.from().into_iter().chain(envelope.to()).all(|address| AsRef::<str>::as_ref(address).is_ascii()) {
        if !info.supports_feature(Extension::SmtpUtfEight) {
            return Err("the relay does not carry addresses with letters outside of ASCII before the @ (no SMTPUTF8)");
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    if !message.is_ascii() {
        if !info.supports_feature(Extension::EightBitMime) {
            return Err("the relay does not carry messages with bytes outside of ASCII (no 8BITMIME)");
        }
        parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    Ok(parameters)
}

/// What an answer to the recipient or to the content means. Codes that speak of signing in are about us.
fn judge(code: Option<Code>, response: String) -> Outcome {
    match code {
        Some(code) if ["530", "534", "535", "538"].contains(&code.to_string().as_str()) => Outcome::Away { response },
        Some(code) if code.severity == Severity::PermanentNegativeCompletion => Outcome::Refused { response },
        _ => Outcome::Later { response, retry_after: None },
    }
}

/// Leaves a transaction that was refused. After anything but a proper answer nobody knows what the next answer would
/// belong to, so the connection is not used again.
async fn reset(connection: &mut AsyncSmtpConnection, error: &Error) -> bool {
    error.status().is_some() && connection.command(Rset).await.is_ok()
}

fn answer(response: &Response) -> String {
    format!("{} {}", response.code(), response.message().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use lettre::transport::smtp::response::{Category, Detail};

    use super::*;

    #[test]
    fn a_message_ends_where_it_ends() {
        let sent = |text| Content(text).to_string();
        assert_eq!(sent("a\r\n.\r\n.b\r\n\r\nc"), "a\r\n..\r\n..b\r\n\r\nc\r\n.\r\n");
        assert_eq!(sent(".a\r\n"), "..a\r\n.\r\n");
    }

    #[test]
    fn answers_are_about_the_mail_or_about_us() {
        use Severity::{PermanentNegativeCompletion as Never, TransientNegativeCompletion as NotNow};
        let outcome = |severity, category, detail| judge(Some(Code::new(severity, category, detail)), "x".to_owned());
        let response = || "x".to_owned();
        let refused = Outcome::Refused { response: response() };
        let later = Outcome::Later { response: response(), retry_after: None };
        let away = Outcome::Away { response: response() };
        assert_eq!(outcome(Never, Category::MailSystem, Detail::Zero), refused, "550");
        assert_eq!(outcome(Never, Category::MailSystem, Detail::Four), refused, "554");
        assert_eq!(outcome(Never, Category::Unspecified3, Detail::Zero), away, "530");
        assert_eq!(outcome(NotNow, Category::MailSystem, Detail::One), later, "451");
        assert_eq!(outcome(NotNow, Category::Connections, Detail::One), later, "421");
        assert_eq!(judge(None, response()), later, "the connection broke");
    }
}
