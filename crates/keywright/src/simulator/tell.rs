//! What is said of what happened: one line each, with the milliseconds since the post.

use std::time::Duration;

use domain::{
    decision::Evidence,
    id::{DeliveryId, LicenseId, MailId},
    license::{License, LicenseState, Scheduled},
    reason::{Reason, day},
};

use engine::connections::Connection;
use store::{
    deliveries::status as webhook,
    inbox,
    lists::InboundSummary,
    outbox,
    rows::{Delivery, Mail},
};
use url::Url;

use super::send::Posted;

use crate::output::say;

/// Where a line ends at the latest, in characters.
const WIDTH: usize = 110;
/// Where the text of a milestone begins.
const INDENT: usize = 24;

/// Something that happened: a word, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) word: &'static str,
    pub(crate) text: String,
    /// What it is about, where that has a page.
    pub(crate) about: Option<About>,
}

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    License(LicenseId),
    Mail(MailId),
    /// A mail that no relay took, since there is none.
    CaughtMail(MailId),
    Delivery(DeliveryId),
}

impl Line {
    pub(crate) fn new(word: &'static str, text: impl Into<String>) -> Self {
        Self { word, text: text.into(), about: None }
    }

    /// A line about something.
    pub(crate) fn about(self, about: About) -> Self {
        Self { about: Some(about), ..self }
    }
}

/// Who is told what happens.
pub(crate) trait Audience: Send + Sync {
    /// Something happened, so long after the first event was posted. A line without a word goes on with what the line before
    /// it said.
    fn line(&self, at: Duration, line: &Line);

    /// Something between the lines; nothing: a blank.
    fn remark(&self, text: &str);

    /// From now on it is about the sale that began with this checkout, which the server knows by that name.
    fn sale(&self, session: &str, connection: &Connection, name: &str) {
        let _ = (session, connection, name);
    }

    /// Whether keys are shown to it.
    fn sees_keys(&self) -> bool;
}

/// Whoever reads what the command prints.
pub(crate) struct Printer {
    /// Where the server shows caught mails.
    mail_page: String,
}

impl Printer {
    /// For the server there.
    pub(crate) fn new(server: &Url) -> anyhow::Result<Self> {
        Ok(Self { mail_page: server.join("/dev/mail")?.into() })
    }
}

impl Audience for Printer {
    fn line(&self, at: Duration, line: &Line) {
        match line.about {
            Some(About::CaughtMail(id)) => {
                let text = format!("{}: {}/{id}", line.text, self.mail_page);
                print(at, &Line::new(line.word, text));
            }
            _ => print(at, line),
        }
    }

    fn remark(&self, text: &str) {
        say!("{text}");
    }

    fn sees_keys(&self) -> bool {
        true
    }
}

/// Prints a line.
pub(crate) fn print(at: Duration, line: &Line) {
    let text = wrapped(&line.text, INDENT);
    match line.word {
        "" => say!("{:INDENT$}{text}", ""),
        word => say!("{:>7} ms  {word:<10}  {text}", at.as_millis()),
    }
}

/// A text that begins at this column, with as many lines as it takes.
pub(crate) fn wrapped(text: &str, indent: usize) -> String {
    let mut wrapped = String::with_capacity(text.len());
    let mut column = indent;
    for word in text.split(' ') {
        let length = word.chars().count();
        if column > indent {
            if column + 1 + length > WIDTH {
                wrapped.push('\n');
                wrapped.extend(std::iter::repeat_n(' ', indent));
                column = indent;
            } else {
                wrapped.push(' ');
                column += 1;
            }
        }
        wrapped.push_str(word);
        column += length;
    }
    wrapped
}

/// This program as it was called, so that what is suggested can be copied.
pub(crate) fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "keywright".to_owned())
}

/// An event that was posted.
pub(crate) fn posted(posted: &Posted) -> Line {
    let times = if posted.tries > 1 { format!(", at try {}", posted.tries) } else { String::new() };
    match &posted.answer {
        Ok(status) => {
            let word = if posted.is_taken() { "received" } else { "refused" };
            Line::new(word, format!("{status}  {}  {}{times}", posted.kind, posted.id))
        }
        Err(problem) => Line::new("not sent", format!("{}: {problem}", posted.kind)),
    }
}

/// Why a price gave a plan.
pub(crate) const fn evidence(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::Metadata | Evidence::Sale => " (the metadata names it)",
        Evidence::Price => " (by a rule for the price)",
        Evidence::Product => " (by a rule for the product)",
        Evidence::Default => " (by the connection's default)",
    }
}

/// A look-up that did not succeed, or an event that a person must look at.
pub(crate) fn look_up(before: Option<&str>, event: &InboundSummary) -> Option<Line> {
    let problem = event.error.as_deref().filter(|problem| before != Some(problem))?;
    let word = if event.status == inbox::status::HELD { "held" } else { "looks up" };
    Some(Line::new(word, format!("{}: {problem}", event.kind)))
}

/// How far a mail has come.
pub(crate) fn mail(mail: &Mail) -> Option<Line> {
    let id = MailId(mail.id);
    let text = match mail.status.as_str() {
        outbox::status::HELD => {
            let text = format!("caught for {} and held, since no mail relay is configured", mail.recipient);
            return Some(Line::new("mailed", text).about(About::CaughtMail(id)));
        }
        outbox::status::SENT => format!("accepted by the relay for {}", mail.recipient),
        outbox::status::SUPERSEDED => format!("not sent to {}: it is not so any more", mail.recipient),
        outbox::status::FAILED => {
            format!("refused for {}: {}", mail.recipient, mail.response.as_deref().unwrap_or("no reason given"))
        }
        _ => return None,
    };
    Some(Line::new("mailed", text).about(About::Mail(id)))
}

/// What became of telling a vendor's own system.
pub(crate) fn delivery(delivery: &Delivery, kind: &str, endpoint: &str) -> Option<Line> {
    let (word, text) = match delivery.status.as_str() {
        webhook::DELIVERED => ("delivered", format!("{kind} to {endpoint}")),
        webhook::HELD => ("held", format!("{kind} for {endpoint}, which is not called")),
        webhook::PENDING if delivery.attempts > 0 => ("tries again", format!("{kind} to {endpoint}")),
        webhook::PENDING => return None,
        _ => ("given up", format!("{kind} to {endpoint}")),
    };
    Some(Line::new(word, text).about(About::Delivery(DeliveryId(delivery.id))))
}

/// What is different about a license, with the codes of its plans.
pub(crate) fn changes((before, plan_before): (&License, &str), (after, plan): (&License, &str)) -> Vec<Line> {
    let id = after.id;
    let (old, new) = (&before.standing, &after.standing);
    let mut lines = Vec::new();
    if plan_before != plan {
        lines.push(Line::new("changed", format!("{id}  plan {plan_before} → {plan}, the key stays")));
    }
    if before.unit.seats != after.unit.seats {
        lines.push(Line::new("changed", format!("{id}  {} → {} seats", before.unit.seats, after.unit.seats)));
    }
    if old.state != new.state {
        let (from, to) = (old.state.as_str(), new.state.as_str());
        lines.push(Line::new(to, format!("{id}  {from} → {to}: {}", new.reason.sentence())));
    } else if old.reason != new.reason {
        lines.push(Line::new(
            if new.at_risk { "at risk" } else { to_word(new.state) },
            format!("{id}  {}", new.reason.sentence()),
        ));
    }
    if old.until != new.until
        && let Some(until) = new.until
    {
        let was = old.until.map(|was| format!(", was {}", day(was))).unwrap_or_default();
        lines.push(match new.state {
            LicenseState::Active => Line::new("valid", format!("{id}  until {}{was}", day(until))),
            // What is paid does not bring back what a person or a loss took.
            state => Line::new("noted", format!("{id}  paid until {}{was}; it is {}", day(until), state.as_str())),
        });
    }
    if old.scheduled != new.scheduled {
        lines.extend(scheduled(after, new.scheduled));
    }
    let reason = |cause: &domain::reason::Cause| Reason::Cause(cause.clone());
    let added = new.open.iter().filter(|cause| !old.open.contains(cause) && reason(cause) != new.reason);
    lines.extend(added.map(|cause| Line::new("noted", format!("{id}  {}; its state stays", reason(cause).sentence()))));
    lines.into_iter().map(|line| line.about(About::License(id))).collect()
}

const fn to_word(state: LicenseState) -> &'static str {
    state.as_str()
}

/// Only what works goes on.
fn scheduled(license: &License, scheduled: Option<Scheduled>) -> Option<Line> {
    let text = match scheduled {
        Some(Scheduled { state, at }) => {
            format!("{}  becomes {} on {}, unless something happens", license.id, state.as_str(), day(at))
        }
        None if license.standing.state == LicenseState::Active => format!("{}  goes on", license.id),
        None => return None,
    };
    Some(Line::new("scheduled", text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_go_on_under_their_beginning() {
        let long = "word ".repeat(40);
        let lines: Vec<String> = wrapped(long.trim(), 24).lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].len() + 24 <= WIDTH && lines[1].len() <= WIDTH);
        assert!(lines[1].starts_with(&format!("{:24}word", "")));
        // What cannot be broken is not: an address stays one that can be clicked.
        let address = format!("http://127.0.0.1/{}", "x".repeat(200));
        assert_eq!(wrapped(&address, 24), address);
    }
}
