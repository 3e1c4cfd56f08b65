//! Attention items: what keeps a paid order from being complete, in words a person can act on.

mod connection;
mod outgoing;
mod sale;

pub(crate) use self::{
    connection::{
        account_at, buyers_refused, disconnected, events_lost, held, lookup_failing, malformed, no_events,
        not_caught_up, signatures_failing, unknown_account, wrong_mode,
    },
    outgoing::{Waited, that_waited},
    sale::{is_for_a_person, mails_held_as_old, of_order, unsettled},
};

/// A price that no rule speaks of.
pub const UNMAPPED_PRICE: &str = "unmapped_price";
/// A purchase that does not say what was bought.
pub(crate) const LINES_UNKNOWN: &str = "lines_unknown";
/// A sale that somebody has to approve.
pub const APPROVAL: &str = "approval";
/// The same, for more than a day.
pub const APPROVAL_OVERDUE: &str = "approval_overdue";
/// Nobody to send the key to.
pub(crate) const NO_ADDRESS: &str = "no_address";
/// A license waits for the key that its provider gives out.
pub(crate) const KEY_AWAITED: &str = "key_awaited";
/// The key that its provider gave out can open nothing.
pub(crate) const KEY_REFUSED: &str = "key_refused";
/// More may have been bought than an event shows.
const MORE_BOUGHT: &str = "more_bought";
/// A refund or dispute of who knows what.
const PAYMENT_UNLINKED: &str = "payment_unlinked";
/// What an API key that may ask more can tell.
pub(crate) const FOR_A_KEY_TO_TELL: [&str; 4] = [NO_ADDRESS, LINES_UNKNOWN, PAYMENT_UNLINKED, MORE_BOUGHT];
/// A sale gave its place to one that nobody told of.
const SUCCESSOR_AWAITED: &str = "successor_awaited";
/// The account may not sell at present.
pub(crate) const ACCOUNT_STOPPED: &str = "account_stopped";
/// The account has no room for more licenses.
pub(crate) const ACCOUNT_FULL: &str = "account_full";
/// A signed event that is not understood.
const MALFORMED: &str = "event_malformed";
/// An event of the other mode.
pub(crate) const WRONG_MODE: &str = "event_wrong_mode";
/// The provider does not answer a look-up.
pub(crate) const LOOKUP_FAILING: &str = "lookup_failing";

/// An event of an account that nobody has connected.
pub(crate) const UNKNOWN_ACCOUNT: &str = "unknown_account";
/// An account that its vendor has disconnected.
pub(crate) const DISCONNECTED: &str = "account_disconnected";
/// Buyers come and the provider does not say what they bought.
pub(crate) const BUYERS_REFUSED: &str = "buyers_refused";

/// Calls that nobody believes, one after the other.
pub(crate) const SIGNATURES_FAILING: &str = "signatures_failing";

/// A provider's list of events cannot be read.
pub(crate) const NOT_CAUGHT_UP: &str = "not_caught_up";
