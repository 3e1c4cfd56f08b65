//! How an attempt at a mail ended, and what follows for its row.

use domain::{retry::backoff, time::after};
use jiff::{SignedDuration, Timestamp};
use store::{outbox::status, rows::Mail};
use uuid::Uuid;

use crate::{mail::BrokenTemplate, transport::Outcome};

/// For how long a mail is tried.
const PATIENCE: SignedDuration = SignedDuration::from_hours(72);
/// How often the relay may be away before a person is told. It takes half a minute to get there.
const AWAY_MAX: i32 = 5;
/// The longest wait that a service may ask for.
const RETRY_AFTER_MAX: SignedDuration = SignedDuration::from_hours(6);
/// How long a mail waits that a relay may have taken: each try may be one more copy for the buyer, so there are few.
const UNANSWERED_WAIT: SignedDuration = SignedDuration::from_hours(1);
/// The longest such wait: it doubles from one to the next.
const UNANSWERED_WAIT_MAX: SignedDuration = SignedDuration::from_hours(24);
/// After so many tries that were answered, the waits between them add up to an hour, and a person is told.
pub(super) const DELAYED_ANSWERED: i32 = 13;
/// The same for tries that were not answered.
pub(super) const DELAYED_UNANSWERED: i32 = 2;

/// What stands beside a mail that was not sent.
const SUPERSEDED: &str = "what it tells was not so any more when it was to be sent";

/// How an attempt ended.
pub(super) enum Ending {
    /// It was handed to the relay, or tried to.
    Tried(Outcome),
    /// It could not even be written.
    Unwritten(String),
    /// It can never be sent.
    Impossible(String),
    /// What it tells is not so any more.
    Superseded,
}

/// A mail that is not in flight any more.
pub(super) struct Landed {
    /// As it was taken.
    pub(super) mail: Mail,
    /// By whom.
    pub(super) token: Uuid,
    pub(super) ending: Ending,
    /// What its vendor wrote for it and does not work.
    pub(super) broken: Option<BrokenTemplate>,
}

/// What people have to hear.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It is sent.
    Sent,
    /// It waits for its next try, as mails do.
    Waiting,
    /// The same, for an hour now.
    Delayed,
    /// It waits since the relay takes nothing, for a while now.
    RelayAway,
    /// It waits since it cannot be written.
    Unwritten,
    /// It is not sent, since what it tells is not so any more.
    Superseded,
    /// It is given up.
    Failed,
}

impl Landed {
    /// The row after it, and what to tell.
    pub(super) fn row(&self, now: Timestamp) -> (Mail, News) {
        let tries = Tries::of(&self.mail).and(&self.ending);
        let row = |status: &str, next: Option<Timestamp>, response: &str| Mail {
            status: status.to_owned(),
            attempts: tries.answered.saturating_add(tries.unanswered),
            unanswered: tries.unanswered,
            next_attempt_at: next.map(Timestamp::as_microsecond),
            response: Some(response.to_owned()),
            ..self.mail.clone()
        };
        let failed = |response: &str| (row(status::FAILED, None, response), News::Failed);
        let wait_at_least = |asked_for: SignedDuration, response: &str, news| match tries.next_wait(&self.ending) {
            Some(wait) => {
                let next = after(now, wait.max(asked_for.min(RETRY_AFTER_MAX)));
                (row(status::PENDING, Some(next), response), news)
            }
            None => failed(response),
        };
        let wait = |response: &str, news| wait_at_least(SignedDuration::ZERO, response, news);
        let waiting = if tries.are_many() { News::Delayed } else { News::Waiting };
        match &self.ending {
            Ending::Tried(Outcome::Accepted { response }) => {
                let sent = row(status::SENT, None, response);
                (Mail { sent_at: Some(now.as_microsecond()), ..sent }, News::Sent)
            }
            Ending::Tried(Outcome::Later { response, retry_after }) => {
                wait_at_least(retry_after.unwrap_or_default(), response, waiting)
            }
            Ending::Tried(Outcome::Unanswered { response }) => wait(response, waiting),
            Ending::Tried(Outcome::Away { response }) if tries.answered < AWAY_MAX => wait(response, News::Waiting),
            Ending::Tried(Outcome::Away { response }) => wait(response, News::RelayAway),
            Ending::Unwritten(problem) => wait(problem, News::Unwritten),
            Ending::Tried(Outcome::Refused { response }) => failed(response),
            Ending::Impossible(problem) => failed(problem),
            Ending::Superseded => (row(status::SUPERSEDED, None, SUPERSEDED), News::Superseded),
        }
    }
}

/// How often a mail was tried. The waits between tries are summed rather than the time since it was written, so that one that was
/// held for a week has its tries as well.
#[derive(Clone, Copy)]
struct Tries {
    /// Tries of which it is known what became of them.
    answered: i32,
    /// Tries after which a relay may have it.
    unanswered: i32,
}

impl Tries {
    const fn of(mail: &Mail) -> Self {
        Self { answered: mail.attempts.saturating_sub(mail.unanswered), unanswered: mail.unanswered }
    }

    /// With one more.
    const fn and(self, ending: &Ending) -> Self {
        match ending {
            Ending::Tried(Outcome::Unanswered { .. }) => Self { unanswered: self.unanswered.saturating_add(1), ..self },
            _ => Self { answered: self.answered.saturating_add(1), ..self },
        }
    }

    /// Whether somebody should hear that it has not worked out so often.
    const fn are_many(self) -> bool {
        self.answered >= DELAYED_ANSWERED || self.unanswered >= DELAYED_UNANSWERED
    }

    /// How long to wait after the latest of them; none: it is not tried again.
    fn next_wait(self, latest: &Ending) -> Option<SignedDuration> {
        let (answered, unanswered) = (self.answered.unsigned_abs(), self.unanswered.unsigned_abs());
        let wait = match latest {
            Ending::Tried(Outcome::Unanswered { .. }) => unanswered_wait(unanswered),
            _ => backoff(answered),
        };
        let answered: SignedDuration = (1..=answered).map(backoff).sum();
        let unanswered: SignedDuration = (1..=unanswered).map(unanswered_wait).sum();
        (answered + unanswered - wait < PATIENCE).then_some(wait)
    }
}

/// How long to wait after so many tries (from 1) that were not answered.
fn unanswered_wait(unanswered: u32) -> SignedDuration {
    let doubled = UNANSWERED_WAIT * (1 << unanswered.saturating_sub(1).min(5));
    doubled.min(UNANSWERED_WAIT_MAX)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::worker) fn mail(attempts: i32) -> Mail {
        let id = Uuid::nil();
        Mail {
            id,
            tenant_id: id,
            kind: "license-delivery".to_owned(),
            occasion: String::new(),
            license_id: id,
            order_id: id,
            recipient: "ada@example.com".to_owned(),
            recipient_name: None,
            status: status::PENDING.to_owned(),
            attempts,
            unanswered: 0,
            next_attempt_at: Some(0),
            lease_token: None,
            lease_until: None,
            response: None,
            created_at: 0,
            sent_at: None,
        }
    }

    fn landed(attempts: i32, ending: Ending) -> Landed {
        Landed { mail: mail(attempts), token: Uuid::nil(), ending, broken: None }
    }

    fn after(attempts: i32, outcome: impl Fn(String) -> Outcome) -> (String, Option<i64>, News) {
        let landed = landed(attempts, Ending::Tried(outcome("x".to_owned())));
        let (row, news) = landed.row(Timestamp::UNIX_EPOCH);
        assert_eq!((row.attempts, row.response.as_deref()), (attempts + 1, Some("x")));
        (row.status, row.next_attempt_at.map(|micros| micros / 1_000_000), news)
    }

    #[test]
    fn waits_grow_for_three_days_and_then_it_is_over() {
        let later = |response| Outcome::Later { response, retry_after: None };
        assert_eq!(after(0, later), ("pending".to_owned(), Some(1), News::Waiting));
        assert_eq!(after(1, later), ("pending".to_owned(), Some(2), News::Waiting));
        assert_eq!(after(40, later), ("pending".to_owned(), Some(3_600), News::Delayed));
        // 4095 seconds for the first twelve waits, then an hour each.
        assert_eq!(after(82, later), ("pending".to_owned(), Some(3_600), News::Delayed));
        assert_eq!(after(83, later), ("failed".to_owned(), None, News::Failed));
    }

    #[test]
    fn what_may_have_been_taken_has_few_tries_far_apart() {
        let (mut row, mut waits) = (mail(0), Vec::new());
        let mut told = Vec::new();
        while row.status == "pending" {
            let ending = Ending::Tried(Outcome::Unanswered { response: "x".to_owned() });
            let (next, news) =
                Landed { mail: row, token: Uuid::nil(), ending, broken: None }.row(Timestamp::UNIX_EPOCH);
            waits.extend(next.next_attempt_at.map(|micros| micros / 3_600_000_000));
            told.push(news);
            row = next;
        }
        assert_eq!((waits, row.attempts, row.unanswered), (vec![1, 2, 4, 8, 16, 24, 24], 8, 8));
        assert_eq!((&told[0], &told[1], told.last()), (&News::Waiting, &News::Delayed, Some(&News::Failed)));
        // One after many that were answered: it is not given up for that.
        let tried = Mail { attempts: 41, unanswered: 1, ..mail(0) };
        let ending = Ending::Tried(Outcome::Unanswered { response: "x".to_owned() });
        let (row, _) = Landed { mail: tried, token: Uuid::nil(), ending, broken: None }.row(Timestamp::UNIX_EPOCH);
        assert_eq!((row.attempts, row.unanswered, row.next_attempt_at), (42, 2, Some(7_200_000_000)));
    }

    #[test]
    fn a_person_hears_of_what_has_waited_for_an_hour() {
        let waited = |tries: i32| (1..tries.unsigned_abs()).map(backoff).sum::<SignedDuration>();
        assert!(waited(DELAYED_ANSWERED - 1) < SignedDuration::from_hours(1));
        assert!(waited(DELAYED_ANSWERED) >= SignedDuration::from_hours(1));
        let later = |response| Outcome::Later { response, retry_after: None };
        assert_eq!(after(DELAYED_ANSWERED - 2, later).2, News::Waiting);
        assert_eq!(after(DELAYED_ANSWERED - 1, later).2, News::Delayed);
    }

    #[test]
    fn a_service_may_ask_for_a_longer_wait() {
        fn asked(hours: i64) -> impl Fn(String) -> Outcome {
            move |response| Outcome::Later { response, retry_after: Some(SignedDuration::from_hours(hours)) }
        }
        assert_eq!(after(0, asked(2)), ("pending".to_owned(), Some(7_200), News::Waiting));
        assert_eq!(after(0, asked(24)), ("pending".to_owned(), Some(21_600), News::Waiting), "but not for any");
        assert_eq!(
            after(40, asked(0)),
            ("pending".to_owned(), Some(3_600), News::Delayed),
            "and not for a shorter one"
        );
    }

    #[test]
    fn what_the_relay_says_decides() {
        let sent = landed(7, Ending::Tried(Outcome::Accepted { response: "250 ok".to_owned() })).row(Timestamp::MAX);
        assert_eq!((sent.0.status.as_str(), sent.0.sent_at), ("sent", Some(Timestamp::MAX.as_microsecond())));
        assert_eq!(after(0, |response| Outcome::Refused { response }), ("failed".to_owned(), None, News::Failed));
        let superseded = landed(0, Ending::Superseded).row(Timestamp::UNIX_EPOCH);
        assert_eq!((superseded.0.status.as_str(), superseded.0.sent_at), ("superseded", None));
        assert_eq!((superseded.0.next_attempt_at, superseded.1), (None, News::Superseded));
        let away = |response| Outcome::Away { response };
        assert_eq!(after(3, away), ("pending".to_owned(), Some(8), News::Waiting));
        assert_eq!(after(4, away), ("pending".to_owned(), Some(16), News::RelayAway));
    }
}
