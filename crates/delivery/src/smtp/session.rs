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
use tokio::time::timeout;

use super::{
    GOODBYE, said,
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

/// Announces a mail, until the relay asks for its content. The steps are ours rather than lettre's `send`, since only they tell
/// a relay that refuses this mail from one that refuses all of them.
///
/// # Errors
/// What became of the mail instead, and whether the connection can be used again.
pub(super) async fn announce(
    connection: &mut AsyncSmtpConnection,
    envelope: &Envelope,
    message: &str,
) -> Result<(), (Outcome, bool)> {
    let parameters = parameters(connection, envelope, message)
        .map_err(|problem| (Outcome::Refused { response: problem.to_owned() }, true))?;
    let sender = Mail::new(envelope.from().cloned(), parameters);
    if let Err(error) = connection.command(sender).await {
        // It does not take mails from us at all: the address is not ours to use, or we have to sign in.
        return Err((Outcome::Away { response: said(&error) }, reset(connection, &error).await));
    }
    match recipients(connection, envelope).await {
        Ok(()) => Ok(()),
        Err(error) => {
            let later = || Outcome::Later { response: said(&error), retry_after: None };
            let outcome = error.status().map_or_else(later, |code| judge(code, said(&error)));
            Err((outcome, reset(connection, &error).await))
        }
    }
}

async fn recipients(connection: &mut AsyncSmtpConnection, envelope: &Envelope) -> Result<(), Error> {
    for recipient in envelope.to() {
        connection.command(Rcpt::new(recipient.clone(), Vec::new())).await?;
    }
    connection.command(Data).await?;
    Ok(())
}

/// Hands over the content of a mail that was announced. Returns whether the connection can be used again.
pub(super) async fn hand_over(connection: &mut AsyncSmtpConnection, message: &str) -> (Outcome, bool) {
    match connection.command(Content(message)).await {
        Ok(response) => (Outcome::Accepted { response: answer(&response) }, true),
        Err(error) => {
            // Without an answer nobody knows how much of it has arrived, and all of it is on its way.
            let lost = || {
                let response = format!("the connection broke when the mail may have been taken: {}", said(&error));
                Outcome::Unanswered { response }
            };
            let outcome = error.status().map_or_else(lost, |code| judge(code, said(&error)));
            (outcome, reset(connection, &error).await)
        }
    }
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

/// What it means that the recipient or the content was not taken. Who is refused for good is this mail, or we: that is in the
/// enhanced status code (RFC 3463) as a rule, and in the words of relays that have none.
fn judge(code: Code, response: String) -> Outcome {
    if code.severity != Severity::PermanentNegativeCompletion {
        return Outcome::Later { response, retry_after: None };
    }
    let about_us = match enhanced(&response) {
        Some((subject, detail)) => is_about_us(subject, detail),
        None => response.to_ascii_lowercase().contains("relay"),
    };
    let wants_sign_in = ["530", "534", "535", "538"].contains(&code.to_string().as_str());
    if about_us || wants_sign_in { Outcome::Away { response } } else { Outcome::Refused { response } }
}

/// The enhanced status code of a refusal, without its class: subject and detail. It stands behind the code (RFC 2034), or
/// somewhere as `(#5.7.1)`, as qmail has it.
fn enhanced(response: &str) -> Option<(u16, u16)> {
    let mut words = response.split_whitespace().skip(1);
    let first = words.next()?;
    let word = words.find_map(|word| word.strip_prefix("(#")).unwrap_or(first);
    let (subject, detail) = word.strip_prefix("5.")?.trim_end_matches([')', '.', ':']).split_once('.')?;
    Some((subject.parse().ok()?, detail.parse().ok()?))
}

/// Whether a refusal is about our address, our right to send, or how much we send, rather than about the mail.
const fn is_about_us(subject: u16, detail: u16) -> bool {
    match (subject, detail) {
        // The sender's address.
        (1, 7 | 8) => true,
        // Too large a mail is about the mail. Exchange says 5.4.1 of recipients that it does not know, and 5.4.4 is about their
        // domain. Zero means nothing in particular.
        (3, 0 | 4) | (4, 0 | 1 | 4) | (5, 0) => false,
        // A relay that is not set up or is full; its routes and our quota; the protocol; policy and the right to relay.
        (3 | 4 | 5 | 7, _) => true,
        // The recipient and its mailbox; the content.
        _ => false,
    }
}

/// Leaves a transaction that was refused. After anything but a proper answer nobody knows what the next answer would
/// belong to, so the connection is not used again.
async fn reset(connection: &mut AsyncSmtpConnection, error: &Error) -> bool {
    error.status().is_some() && matches!(timeout(GOODBYE, connection.command(Rset)).await, Ok(Ok(_)))
}

fn answer(response: &Response) -> String {
    format!("{} {}", response.code(), response.message().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_ends_where_it_ends() {
        let sent = |text| Content(text).to_string();
        assert_eq!(sent("a\r\n.\r\n.b\r\n\r\nc"), "a\r\n..\r\n..b\r\n\r\nc\r\n.\r\n");
        assert_eq!(sent(".a\r\n"), "..a\r\n.\r\n");
    }

    #[test]
    fn answers_are_about_the_mail_or_about_us() {
        for (said, expected) in [
            ("550 no such user here", "refused"),
            ("550 5.1.1 <ada@example.com>: no such user here", "refused"),
            ("550 5.1.10 <ada@example.com>: null MX", "refused"),
            ("552 5.2.2 mailbox full", "refused"),
            ("552 5.3.4 too large", "refused"),
            ("550 5.4.1 <ada@example.com>: Recipient address rejected: Access denied", "refused"),
            ("550 5.5.0 Requested action not taken: mailbox unavailable", "refused"),
            ("554 5.6.0 what is this", "refused"),
            ("554 no thanks", "refused"),
            ("550 5.1.1 <ada@example.com>: User unknown in relay recipient table", "refused"),
            ("554 5.7.1 <ada@example.com>: Relay access denied", "away"),
            ("550 relay not permitted", "away"),
            ("553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", "away"),
            ("511 sorry, no mailbox here by that name (#5.1.1)", "refused"),
            ("550 5.1.8 <keys@acme.test>: Sender address rejected: Domain not found", "away"),
            ("550 5.3.2 the system takes no mails", "away"),
            ("550 5.4.5 Daily user sending limit exceeded", "away"),
            ("530 5.5.1 Authentication Required", "away"),
            ("530 sign in first", "away"),
            ("550 5.7.60 no permission to send as this sender", "away"),
            ("451 4.7.1 greylisted", "later"),
            ("421 4.3.2 gone", "later"),
        ] {
            let code = format!("{}\r\n", &said).parse::<Response>().unwrap().code();
            let outcome = match judge(code, said.to_owned()) {
                Outcome::Refused { .. } => "refused",
                Outcome::Away { .. } => "away",
                Outcome::Later { .. } => "later",
                Outcome::Accepted { .. } | Outcome::Unanswered { .. } => "taken, perhaps",
            };
            assert_eq!(outcome, expected, "{said}");
        }
    }
}
