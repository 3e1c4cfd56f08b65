//! What is counted by the hour, so that a page can show how much happens without reading all of it. Statistics: nothing else
//! rests on them.

use std::{borrow::Cow, str::FromStr};

use crate::activation::VerdictCode;
use jiff::{SignedDuration, Timestamp};

/// Something that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Counted {
    /// A provider's event came, and was not known yet.
    EventReceived,
    /// An event was understood, and what it says is known.
    EventUnderstood,
    /// A license was issued.
    Issued,
    /// A license was extended by a payment.
    Renewed,
    /// A license expired, or was revoked or retired.
    Ended,
    /// The mail with a new key was accepted by a relay.
    KeySent,
    /// The mail with a new key was caught, since there is no sender.
    KeyCaught,
    /// Another mail was accepted by a relay, or caught.
    OtherMail,
    /// A mail was given up.
    MailFailed,
    /// So long it took from a provider's event to the relay's acceptance of the key's mail.
    Relayed(Took),
    /// An app asked and got this answer.
    Checked(VerdictCode),
    /// An app was denied something, and so many licenses were denied something at once that nobody knows any more for which
    /// one this was.
    DeniedElsewhere,
    /// A device or domain got a slot.
    Activated,
    /// A device or domain got none, since all were taken.
    ActivationRefused,
    /// A vendor's own address took an event.
    Delivered,
    /// It did not; mostly it is tried again.
    NotDelivered,
}

impl Counted {
    const PLAIN: [(Self, &'static str); 14] = [
        (Self::EventReceived, "event.received"),
        (Self::EventUnderstood, "event.understood"),
        (Self::Issued, "license.issued"),
        (Self::Renewed, "license.renewed"),
        (Self::Ended, "license.ended"),
        (Self::KeySent, "mail.key_sent"),
        (Self::KeyCaught, "mail.key_caught"),
        (Self::OtherMail, "mail.other"),
        (Self::MailFailed, "mail.failed"),
        (Self::DeniedElsewhere, "denied.elsewhere"),
        (Self::Activated, "activation.granted"),
        (Self::ActivationRefused, "activation.refused"),
        (Self::Delivered, "delivery.taken"),
        (Self::NotDelivered, "delivery.failed"),
    ];
    const CHECKED: &'static str = "check.";
    const RELAYED: &'static str = "relayed.";

    /// The word for it, as stored.
    #[must_use]
    pub fn word(self) -> Cow<'static, str> {
        match self {
            Self::Checked(code) => format!("{}{}", Self::CHECKED, code.as_str()).into(),
            Self::Relayed(took) => format!("{}{}", Self::RELAYED, took.0).into(),
            plain => Self::PLAIN.iter().find(|(known, _)| *known == plain).map_or("", |(_, word)| word).into(),
        }
    }

    /// Whether it is an app's question: so frequent that no page is drawn anew because of one.
    #[must_use]
    pub const fn is_check(self) -> bool {
        matches!(self, Self::Checked(_) | Self::DeniedElsewhere)
    }

    /// What a change of a license counts as, by its word in the audit log.
    #[must_use]
    pub fn of_action(action: &str) -> Option<Self> {
        match action {
            "license.issued" => Some(Self::Issued),
            "license.renewed" => Some(Self::Renewed),
            "license.expired" | "license.revoked" | "license.retired" => Some(Self::Ended),
            _ => None,
        }
    }
}

/// The word is none of these: a newer release has written it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownWord;

impl FromStr for Counted {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        if let Some(code) = word.strip_prefix(Self::CHECKED) {
            return VerdictCode::named(code).map(Self::Checked).ok_or(UnknownWord);
        }
        if let Some(number) = word.strip_prefix(Self::RELAYED) {
            return number.parse().map(|number| Self::Relayed(Took(number))).map_err(|_| UnknownWord);
        }
        Self::PLAIN.iter().find(|(_, known)| *known == word).map(|(counted, _)| *counted).ok_or(UnknownWord)
    }
}

/// How long something took, to a fifth: four steps to each doubling, from a millisecond on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Took(pub u8);

impl Took {
    const STEPS: f64 = 4.0;

    /// The step in which a duration is. Less than a millisecond counts as one.
    #[must_use]
    pub fn of(duration: SignedDuration) -> Self {
        let millis = duration.as_secs_f64().max(0.001) * 1_000.0;
        // Two hundred and fifty-five steps reach longer than anything is kept.
        Self((millis.log2() * Self::STEPS).floor().clamp(0.0, 255.0) as u8)
    }

    /// The middle of the step, in seconds.
    #[must_use]
    pub fn seconds(self) -> f64 {
        ((f64::from(self.0) + 0.5) / Self::STEPS).exp2() / 1_000.0
    }

    /// What `share` of all took at most (0.5: the median), in seconds; none: there were none.
    #[must_use]
    pub fn percentile(counts: &[(Self, i64)], share: f64) -> Option<f64> {
        let mut counts = counts.to_vec();
        counts.sort_unstable();
        let total: i64 = counts.iter().map(|(_, times)| times).sum();
        let mut left = (total as f64 * share).ceil().max(1.0) as i64;
        let found = counts.into_iter().find(|(_, times)| {
            left -= times;
            left <= 0
        });
        found.map(|(took, _)| took.seconds())
    }
}

/// The hour of a moment: hours since 1970-01-01T00:00:00Z.
#[must_use]
pub fn hour_of(at: Timestamp) -> i64 {
    at.as_second().div_euclid(3_600)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_as_what_it_was_written_for() {
        let plain = Counted::PLAIN.iter().map(|(counted, _)| *counted);
        let checks = VerdictCode::ALL.into_iter().map(Counted::Checked);
        for counted in plain.chain(checks).chain([Counted::Relayed(Took(0)), Counted::Relayed(Took(255))]) {
            assert_eq!(counted.word().parse(), Ok(counted), "{}", counted.word());
        }
        for word in ["", "check.maybe", "relayed.256", "relayed.", "license.sold"] {
            assert_eq!(word.parse::<Counted>(), Err(UnknownWord), "{word}");
        }
    }

    #[test]
    fn durations_are_told_to_a_fifth() {
        for millis in [1, 2, 37, 640, 12_000, 3_600_000] {
            let seconds = Took::of(SignedDuration::from_millis(millis)).seconds();
            let off = seconds / (millis as f64 / 1_000.0);
            assert!((0.83..=1.2).contains(&off), "{millis} ms is told as {seconds} s");
        }
        assert_eq!(Took::of(SignedDuration::from_millis(-5)), Took(0));
    }

    #[test]
    fn percentiles_are_those_of_the_counts() {
        let counts = [(Took(8), 5), (Took(0), 90), (Took(40), 5)];
        let of = |share| Took::percentile(&counts, share);
        assert_eq!(of(0.5), Some(Took(0).seconds()));
        assert_eq!(of(0.95), Some(Took(8).seconds()));
        assert_eq!(of(0.96), Some(Took(40).seconds()));
        assert_eq!(Took::percentile(&[], 0.5), None);
    }

    #[test]
    fn hours_go_on_before_1970() {
        for (at, hour) in [("1970-01-01T00:59:59Z", 0), ("1970-01-01T01:00:00Z", 1), ("1969-12-31T23:59:59Z", -1)] {
            assert_eq!(hour_of(at.parse().unwrap()), hour, "{at}");
        }
    }
}
