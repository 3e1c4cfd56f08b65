//! One message on its way.

use crypto::{
    ring::KeyRing,
    seal::Place,
    webhook::{self, AlertTarget},
};
use domain::{alert::ChannelKind, id::TenantId};
use http::{HeaderName, HeaderValue, Method, header};
use jiff::{SignedDuration, Timestamp};
use net::{Request, SendError};
use store::rows::AlertChannel;

use super::{AlertParts, message::Message};
use crate::{mail::alert, transport::Outcome, wait};

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// The most of an answer that is kept, in characters.
const ANSWER_CHARS_MAX: usize = 200;

/// How long an alert waits that a relay may have taken.
const UNANSWERED_WAIT: SignedDuration = SignedDuration::from_hours(1);

/// How a try ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It was taken.
    Sent,
    /// It may be taken later, for this reason, and not before so long.
    Later(String, SignedDuration),
    /// It is never taken.
    Never(String),
}

/// A channel, opened.
pub(super) struct Open {
    kind: ChannelKind,
    target: AlertTarget,
}

impl Open {
    pub(super) fn new(row: &AlertChannel, ring: &KeyRing) -> Result<Self, String> {
        let kind = ChannelKind::parse(&row.kind).ok_or_else(|| format!("this release knows no `{}`", row.kind))?;
        let opened = ring.open(Place::alert_channel(TenantId(row.tenant_id), row.id), &row.sealed);
        let opened = opened.map_err(|error| error.to_string())?;
        let target = serde_json::from_slice(&opened)
            .map_err(|_| "its address does not read; restore it from a backup".to_owned())?;
        Ok(Self { kind, target })
    }

    /// Sends a message.
    pub(super) async fn send(&self, message: &Message, tenant: TenantId, parts: &AlertParts) -> Ended {
        let ended = match self.kind {
            ChannelKind::Mail => self.mail(message, parts).await,
            ChannelKind::Webhook => {
                let body = message.document(tenant).to_string();
                let at = parts.clock.now();
                match self.signatures(message, at, &body) {
                    Ok(headers) => self.call(body, headers, parts).await,
                    Err(problem) => Ended::Never(problem),
                }
            }
            ChannelKind::Slack => self.call(message.slack().to_string(), Vec::new(), parts).await,
        };
        fail::fail_point!("alert-after-send");
        ended
    }

    fn signatures(
        &self,
        message: &Message,
        at: Timestamp,
        body: &str,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
        let secret = self.target.secret.clone().ok_or("it has no secret that signs its calls; give it one")?;
        let signature = webhook::standard(&[secret], &message.id, at.as_second(), body.as_bytes());
        let value = |text: &str| HeaderValue::from_str(text).map_err(|_| "its headers do not fit".to_owned());
        Ok(vec![
            (ID, value(&message.id)?),
            (TIMESTAMP, HeaderValue::from(at.as_second())),
            (SIGNATURE, value(&signature)?),
        ])
    }

    async fn call(&self, body: String, mut headers: Vec<(HeaderName, HeaderValue)>, parts: &AlertParts) -> Ended {
        let Ok(url) = self.target.to.parse() else { return Ended::Never("its address does not read".to_owned()) };
        headers.insert(0, (header::CONTENT_TYPE, HeaderValue::from_static("application/json")));
        match parts.client.send(Request { method: Method::POST, url, headers, body: body.into() }).await {
            Ok(response) => {
                let words = String::from_utf8_lossy(&response.body);
                let wait = wait::retry_after(&response.headers, parts.clock.now()).unwrap_or_default();
                answered(response.status, &words, wait)
            }
            // What may be called is the operator's to say, and what a name resolves to changes.
            Err(error @ SendError::Refused { .. }) => Ended::Never(error.to_string()),
            Err(error) => Ended::Later(error.to_string(), SignedDuration::ZERO),
        }
    }

    async fn mail(&self, message: &Message, parts: &AlertParts) -> Ended {
        let Some(transport) = &parts.sender else {
            let problem = "no mail sender is configured; start Keywright with --smtp-url or --mail-url";
            return Ended::Later(problem.to_owned(), SignedDuration::ZERO);
        };
        let (to, subject) = (&self.target.to, message.subject());
        let wire = match alert::write(&message.id, message.at, to, transport.sender(), &subject, message) {
            Ok(wire) => wire,
            Err(error) => return Ended::Never(error.to_string()),
        };
        match transport.send(&wire, &message.id).await {
            Outcome::Accepted { .. } => Ended::Sent,
            Outcome::Later { response, retry_after } => Ended::Later(response, retry_after.unwrap_or_default()),
            Outcome::Unanswered { response } => Ended::Later(response, UNANSWERED_WAIT),
            Outcome::Away { response } => Ended::Later(response, SignedDuration::ZERO),
            Outcome::Refused { response } => Ended::Never(response),
        }
    }
}

/// What an answer means: an address that does not exist, or refuses what it gets, will go on doing so.
fn answered(status: u16, words: &str, wait: SignedDuration) -> Ended {
    let words: String = words.replace('\0', " ").split_whitespace().collect::<Vec<_>>().join(" ");
    let words: String = words.chars().take(ANSWER_CHARS_MAX).collect();
    let said =
        if words.is_empty() { format!("it answered {status}") } else { format!("it answered {status}: {words}") };
    match status {
        200..=299 => Ended::Sent,
        408 | 429 => Ended::Later(said, wait),
        300..=399 => {
            Ended::Never(format!("it answered {status}; redirects are not followed, so name the address itself"))
        }
        400..=499 => Ended::Never(said),
        _ => Ended::Later(said, wait),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_decide_whether_it_is_tried_again() {
        let minute = SignedDuration::from_mins(1);
        let later = |text: &str| Ended::Later(text.to_owned(), minute);
        for (status, words, ended) in [
            (200, "ok", Ended::Sent),
            (204, "", Ended::Sent),
            (
                302,
                "",
                Ended::Never("it answered 302; redirects are not followed, so name the address itself".to_owned()),
            ),
            (404, "no_team", Ended::Never("it answered 404: no_team".to_owned())),
            (410, "", Ended::Never("it answered 410".to_owned())),
            (408, "", later("it answered 408")),
            (429, "slow\ndown", later("it answered 429: slow down")),
            (500, "", later("it answered 500")),
        ] {
            assert_eq!(answered(status, words, minute), ended, "{status}");
        }
    }
}
