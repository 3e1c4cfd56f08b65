//! Alerts: which attention items are carried to people, by which ways, and when several become one.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::time::after;

/// A way by which alerts reach people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelKind {
    /// A mail.
    Mail,
    /// A call with a document of ours, signed.
    Webhook,
    /// A call as Slack takes it, and whatever understands the same.
    Slack,
}

impl ChannelKind {
    /// The word for it, as stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Webhook => "webhook",
            Self::Slack => "slack",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Mail, Self::Webhook, Self::Slack].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// A channel did not take the alerts that it was to carry.
pub const ALERTS_FAILING: &str = "alerts_failing";
/// The kind of an alert that only tries a channel out.
pub const TEST: &str = "test";

/// Every kind of attention item, and what to call it in a line that is read in passing.
pub const ITEM_KINDS: &[(&str, &str)] = &[
    ("account_disconnected", "a provider's account was disconnected"),
    ("account_full", "the account has no room for more licenses"),
    ("account_stopped", "the account may not sell at present"),
    (ALERTS_FAILING, "alerts do not arrive"),
    ("approval", "a sale waits for approval"),
    ("approval_overdue", "a sale has waited for approval for more than a day"),
    (crate::backup::BACKUP_OVERDUE, "no backup was made in time"),
    ("buyers_refused", "buyers cannot be shown their keys"),
    ("deliveries_dead", "events for a webhook endpoint were given up"),
    ("deliveries_held", "events for webhook endpoints are held after a restore"),
    ("event_malformed", "an event is not understood"),
    ("event_wrong_mode", "an event is of the other mode"),
    ("events_lost", "events are lost"),
    ("key_awaited", "a license waits for its provider's key"),
    ("key_refused", "a provider's key cannot be used"),
    ("lines_unknown", "a sale does not say what was bought"),
    ("lookup_failing", "a provider does not answer"),
    ("mail_failed", "a mail was not delivered"),
    ("mail_template_broken", "a template of a mail does not work"),
    ("mails_delayed", "mails have waited for an hour"),
    ("mails_held_as_old", "mails about old purchases are held"),
    ("merged_sales", "two sales turned out to be one"),
    ("more_bought", "more was bought than one item"),
    ("no_address", "nobody to send a key to"),
    (crate::silence::NO_EVENTS, "no event for unusually long"),
    ("no_sender", "mails cannot be sent"),
    ("not_caught_up", "missed events cannot be found"),
    ("nothing_to_add_to", "an add-on has nothing to add to"),
    ("order_unsettled", "an order cannot be settled"),
    (crate::backup::OUTGOING_HELD, "nothing leaves after a restore"),
    ("partly_refunded", "a payment for several licenses was refunded in part"),
    ("payment_unlinked", "a payment belongs to no sale"),
    ("period_unknown", "a subscription's paid period is not known"),
    ("price_failed", "a price was not made at the provider"),
    ("sender_failing", "the mail relay takes no mails"),
    ("several_customers", "a sale has several customers"),
    ("signatures_failing", "webhook calls are refused"),
    ("successor_awaited", "a license key gave its place to one that nobody told of"),
    ("tied_snapshots", "two events disagree about a subscription"),
    ("too_many_units", "very many licenses were bought at once"),
    ("unknown_account", "events of an account that is not connected"),
    ("unmapped_price", "a price is not mapped to a plan"),
    ("webhook_endpoint_disabled", "a webhook endpoint is not called any more"),
    ("webhook_endpoint_failing", "nothing arrives at a webhook endpoint"),
    ("write_back_failed", "a key was not written to the provider's record"),
];

/// Kinds that are daily work where they occur. A channel carries them only if it names them.
const ROUTINE: &[&str] = &["approval"];

/// What to call items of a kind. One that this release does not know is called by its word.
#[must_use]
pub fn title(kind: &str) -> String {
    let known = ITEM_KINDS.iter().find(|(known, _)| *known == kind);
    known.map_or_else(|| kind.replace('_', " "), |(_, title)| (*title).to_owned())
}

/// Whether there is such a kind of item.
#[must_use]
pub fn is_item_kind(kind: &str) -> bool {
    ITEM_KINDS.iter().any(|(known, _)| *known == kind)
}

/// Whether a channel carries items of a kind. `chosen` empty: all that matter, those of later releases included.
#[must_use]
pub fn carries(chosen: &[String], kind: &str) -> bool {
    if chosen.is_empty() { !ROUTINE.contains(&kind) } else { chosen.iter().any(|chosen| chosen == kind) }
}

/// So many alerts of one kind go out by themselves within [`CROWD`]; more are told together.
pub const SINGLE_MAX: usize = 5;
/// The time within which alerts of one kind are a crowd.
pub const CROWD: SignedDuration = SignedDuration::from_secs(60);
/// An item alerts when it has been open for so long: what is mended by itself within seconds needs nobody.
pub const SETTLED_AFTER: SignedDuration = SignedDuration::from_secs(60);
/// The same item alerts once in this time at most, however often it closes and opens again.
pub const AGAIN_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// How alerts of one kind that are due at a channel go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    /// Each by itself.
    Single,
    /// All in one.
    Together,
    /// Not before then: those that went out lately were many already.
    Wait(Timestamp),
}

/// Decides it: `due` alerts of one kind, and when others of that kind went out by that channel within [`CROWD`].
#[must_use]
pub fn sending(due: usize, sent: &[Timestamp]) -> Sending {
    match sent.iter().max() {
        _ if due + sent.len() <= SINGLE_MAX => Sending::Single,
        None => Sending::Together,
        Some(last) => Sending::Wait(after(*last, CROWD)),
    }
}

/// When an item that opens now alerts, if it is still open then, having alerted last at `sent`.
#[must_use]
pub fn alerts_at(now: Timestamp, sent: Option<Timestamp>) -> Timestamp {
    let settled = after(now, SETTLED_AFTER);
    sent.map_or(settled, |sent| settled.max(after(sent, AGAIN_AFTER)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn every_kind_is_named_once_and_in_order() {
        assert!(ITEM_KINDS.is_sorted_by(|one, two| one.0 < two.0));
        assert_eq!(title("unmapped_price"), "a price is not mapped to a plan");
        assert_eq!(title("of_tomorrow"), "of tomorrow");
    }

    #[test]
    fn a_channel_carries_what_it_names_or_what_matters() {
        let named = ["mail_failed".to_owned(), "approval".to_owned()];
        for (chosen, kind, carried) in [
            (&[][..], "mail_failed", true),
            (&[], "of_tomorrow", true),
            (&[], "approval", false),
            (&[], "approval_overdue", true),
            (&named, "approval", true),
            (&named, "mail_failed", true),
            (&named, "unmapped_price", false),
        ] {
            assert_eq!(carries(chosen, kind), carried, "{kind} with {chosen:?}");
        }
        assert_eq!(ChannelKind::parse("slack"), Some(ChannelKind::Slack));
        assert_eq!(ChannelKind::parse("pager"), None);
    }

    #[test]
    fn a_crowd_is_told_together_and_once_a_minute() {
        let minute = [at(0), at(1), at(2)];
        for (due, sent, expected) in [
            (1, &[][..], Sending::Single),
            (5, &[], Sending::Single),
            (6, &[], Sending::Together),
            (2, &minute, Sending::Single),
            (3, &minute, Sending::Wait(at(62))),
        ] {
            assert_eq!(sending(due, sent), expected, "{due} due after {}", sent.len());
        }
    }

    #[test]
    fn an_item_alerts_after_a_minute_and_once_an_hour() {
        assert_eq!(alerts_at(at(100), None), at(160));
        assert_eq!(alerts_at(at(100), Some(at(40))), at(3_640));
        assert_eq!(alerts_at(at(9_000), Some(at(40))), at(9_060));
    }
}
