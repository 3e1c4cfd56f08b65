//! What follows from how a call ended: for the delivery, and for the address.

use domain::{
    counted::{Counted, hour_of},
    id::{TenantId, uuid_v7},
    time::after,
};
use jiff::{SignedDuration, Timestamp};
use store::{
    counts::CountKey,
    deliveries::{cause, status},
    lists::Whose,
    rows::{Delivery, DeliveryAttempt, WebhookEndpoint},
    webhook_endpoints,
};

use super::post::{Ending, Landed};

/// An address at which nothing arrived for so long is a matter for a person.
const WARNED_AFTER: SignedDuration = SignedDuration::from_hours(4 * 24);
/// So long after the person was told, a failure is the last: the address is not called any more.
const DISABLED_AFTER: SignedDuration = SignedDuration::from_hours(24);
/// The longest wait that a receiver may ask for.
const RETRY_AFTER_MAX: SignedDuration = SignedDuration::from_hours(24);
/// Gone (RFC 9110 section 15.5.11): Standard Webhooks has it mean that nothing is wanted any more.
const GONE: u16 = 410;
/// Statuses of an address that has too much to do (429) or is not reached behind its proxy (502, 504), of which Standard
/// Webhooks says that fewer calls are to follow.
const OVERBURDENED: [u16; 3] = [429, 502, 504];
/// The longest reason that is kept with a delivery, in characters. The whole answer is with its try.
const REASON_CHARS_MAX: usize = 200;

/// What became of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// It took something.
    Takes,
    /// It took nothing.
    Fails,
    /// It wants nothing any more.
    Gone,
    /// Nothing is known of it.
    Unknown,
}

impl Landed {
    pub(super) const fn health(&self) -> Health {
        match &self.ending {
            Ending::Answered(answer) if answer.status >= 200 && answer.status < 300 => Health::Takes,
            Ending::Answered(answer) if answer.status == GONE => Health::Gone,
            Ending::Answered(_) | Ending::Unanswered(_) => Health::Fails,
            Ending::Unwritten(_) => Health::Unknown,
        }
    }

    /// What it counts as by the hour.
    pub(super) fn counted(&self) -> (CountKey, i64) {
        let row = &self.endpoint.row;
        let whose = Whose { tenant: TenantId(row.tenant_id), livemode: row.livemode };
        let what = if self.health() == Health::Takes { Counted::Delivered } else { Counted::NotDelivered };
        (CountKey { whose, hour: hour_of(self.ended_at), what }, 1)
    }

    /// The delivery after it. `jitter` is random.
    pub(super) fn delivery(&self, jitter: u8) -> Delivery {
        let attempts = self.delivery.attempts.saturating_add(1);
        let (last_status, reason) = match &self.ending {
            Ending::Answered(answer) => (Some(i32::from(answer.status)), answered(answer.status, &answer.body)),
            Ending::Unanswered(problem) | Ending::Unwritten(problem) => (None, problem.clone()),
        };
        let row = Delivery {
            attempts,
            last_status,
            cause: cause::EVENT.to_owned(),
            error: Some(reason),
            ..self.delivery.clone()
        };
        if self.health() == Health::Takes {
            let done_at = Some(self.ended_at.as_microsecond());
            return Delivery {
                status: status::DELIVERED.to_owned(),
                next_attempt_at: None,
                error: None,
                done_at,
                ..row
            };
        }
        match self.endpoint.schedule.wait(attempts.unsigned_abs(), jitter) {
            Some(wait) => {
                let next = after(self.ended_at, wait.max(self.asked_for()));
                Delivery { next_attempt_at: Some(next.as_microsecond()), ..row }
            }
            None => {
                let done_at = Some(self.ended_at.as_microsecond());
                Delivery { status: status::DEAD.to_owned(), next_attempt_at: None, done_at, ..row }
            }
        }
    }

    fn asked_for(&self) -> SignedDuration {
        match &self.ending {
            Ending::Answered(answer) => answer.retry_after.unwrap_or_default().min(RETRY_AFTER_MAX),
            _ => SignedDuration::ZERO,
        }
    }

    /// How long the answer asks us to leave the address alone, with whatever else is to be told there. None: it does not.
    pub(super) fn asks_for_rest(&self) -> Option<SignedDuration> {
        match &self.ending {
            Ending::Answered(answer) if self.health() == Health::Fails => {
                let is_overburdened = OVERBURDENED.contains(&answer.status);
                answer.retry_after.or_else(|| is_overburdened.then_some(SignedDuration::ZERO))
            }
            _ => None,
        }
    }

    /// What is kept of the try itself.
    pub(super) fn attempt(&self, entropy: &mut dyn domain::Entropy) -> DeliveryAttempt {
        let duration = self.ended_at.duration_since(self.began_at);
        let row = DeliveryAttempt {
            id: uuid_v7(self.began_at, entropy),
            tenant_id: self.delivery.tenant_id,
            delivery_id: self.delivery.id,
            cause: self.delivery.cause.clone(),
            began_at: self.began_at.as_microsecond(),
            duration_micros: i64::try_from(duration.as_micros()).unwrap_or(i64::MAX),
            status: None,
            error: None,
            headers: None,
            answer: None,
            truncated: false,
        };
        match &self.ending {
            Ending::Answered(answer) => DeliveryAttempt {
                status: Some(answer.status.into()),
                headers: Some(answer.headers.clone()),
                answer: Some(answer.body.clone()),
                truncated: answer.truncated,
                ..row
            },
            Ending::Unanswered(problem) | Ending::Unwritten(problem) => {
                DeliveryAttempt { error: Some(problem.clone()), ..row }
            }
        }
    }
}

fn answered(status: u16, body: &str) -> String {
    let words: String = body.trim().chars().take(REASON_CHARS_MAX).collect();
    match (status, words.is_empty()) {
        (300..=399, _) => format!("it answered {status}; redirects are not followed, so name the address itself"),
        (_, true) => format!("it answered {status}"),
        (_, false) => format!("it answered {status}: {words}"),
    }
}

/// What people have to hear of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Nothing.
    None,
    /// It takes deliveries again.
    Mended,
    /// It is not going to be called any more tomorrow.
    Warning,
    /// It is not called any more.
    Disabled,
}

/// The address after some calls, if it is to be written, and what to tell. What arrived counts, whatever failed beside it.
pub(super) fn endpoint_after(row: &WebhookEndpoint, health: Health, now: Timestamp) -> (Option<WebhookEndpoint>, News) {
    let instant = |micros: Option<i64>| micros.and_then(|micros| Timestamp::from_microsecond(micros).ok());
    let since = instant(row.failing_since);
    let disabled = |reason: String| WebhookEndpoint {
        status: webhook_endpoints::status::DISABLED.to_owned(),
        reason: Some(reason),
        lease_token: None,
        lease_until: None,
        ..row.clone()
    };
    match (health, since) {
        (Health::Unknown, _) | (Health::Takes, None) => (None, News::None),
        (Health::Takes, Some(_)) => {
            let news = if row.warned_at.is_some() { News::Mended } else { News::None };
            (Some(WebhookEndpoint { failing_since: None, warned_at: None, ..row.clone() }), news)
        }
        (Health::Gone, _) => {
            (Some(disabled("it answered 410 Gone: it wants nothing any more".to_owned())), News::Disabled)
        }
        (Health::Fails, None) => {
            (Some(WebhookEndpoint { failing_since: Some(now.as_microsecond()), ..row.clone() }), News::None)
        }
        (Health::Fails, Some(since)) => {
            // Where something is to be told once a month, a failure may be old: nobody hears of an address for the first time
            // when it is too late.
            match instant(row.warned_at) {
                Some(warned) if now.duration_since(warned) >= DISABLED_AFTER => {
                    (Some(disabled(format!("nothing has arrived there since {since}"))), News::Disabled)
                }
                None if now.duration_since(since) >= WARNED_AFTER => {
                    (Some(WebhookEndpoint { warned_at: Some(now.as_microsecond()), ..row.clone() }), News::Warning)
                }
                _ => (None, News::None),
            }
        }
    }
}

#[cfg(test)]
mod tests;
