//! What happens in an account, in no provider's words. It is told once it is so: the account has how everything stands then.

use super::account::{Customer, Outcome, Subscription};

/// Something that the provider has an event for, or several, or none.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    /// A price was made or changed.
    Priced { price: String, is_new: bool },
    /// A checkout of something that is bought once was completed. Its money is there, under way, or not needed.
    Bought { session: String },
    /// A checkout was left open until it expired.
    Left { session: String },
    /// The money of a checkout came, or it is known that it will not.
    Arrived { session: String },
    /// Something that was bought once took the place of another: the same sale at another price.
    Replaced { before: String, session: String },
    /// Something else was bought in addition to what was bought once.
    Added { to: String, session: String },
    /// A subscription began, perhaps with a trial.
    Subscribed { session: String },
    /// A period was paid, or the trial before it ended and it was paid.
    Renewed { before: Box<Subscription>, invoice: String },
    /// A period was not paid.
    PaymentFailed { before: Box<Subscription>, invoice: String },
    /// A subscription is for something else now. What became dearer was billed.
    Changed { before: Box<Subscription>, invoice: Option<String> },
    /// A subscription will end with what is paid.
    CancelScheduled { before: Box<Subscription> },
    /// It will not end with it after all.
    CancelUndone { before: Box<Subscription> },
    /// A subscription is over.
    Ended { before: Box<Subscription> },
    /// A subscription stopped for a while.
    Paused { before: Box<Subscription> },
    /// It goes on.
    Resumed { before: Box<Subscription> },
    /// Nothing is collected for it, or its money is collected again; it goes on as it did.
    CollectionPaused { before: Box<Subscription> },
    /// An invoice that was made by hand is paid.
    BilledByHand { invoice: String },
    /// A customer has another address and name.
    CustomerChanged { before: Box<Customer> },
    /// A customer is gone, and so are the subscriptions that ran.
    CustomerDeleted { customer: Box<Customer>, ended: Vec<Subscription> },
    /// Money went back.
    Refunded { refund: String },
    /// It came back to the vendor.
    RefundFailed { refund: String },
    /// A dispute of a payment came so far.
    Disputed { payment: String, before: Option<Outcome> },
}
