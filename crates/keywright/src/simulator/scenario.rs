//! The scenarios: what each is about, what there is to say of it, and what one could do next.

use clap::ValueEnum;

use super::action::Paying;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// Somebody buys once, as a guest.
    Checkout,
    /// Somebody buys at a price that no rule speaks of, and waits until it is mapped.
    Unmapped,
    /// Somebody buys with a discount that takes all of it off.
    Free,
    /// Somebody opens a checkout and leaves it until it expires.
    Expired,
    /// Somebody buys, and the money takes days to come.
    AsyncCheckout,
    /// The money comes.
    AsyncPaid,
    /// The money does not come.
    AsyncFailed,
    /// Somebody subscribes, month by month.
    Subscription,
    /// Somebody subscribes and tries it for two weeks first.
    Trial,
    /// The trial ends, and the first month is paid.
    TrialEnd,
    /// The next month of a subscription is paid, or the one that is overdue.
    Renew,
    /// A subscription changes to a larger plan, another plan or another number.
    Upgrade,
    /// It changes to a smaller one.
    Downgrade,
    /// The next month of a subscription is not paid.
    PastDue,
    /// A subscription is cancelled.
    Cancel,
    /// A cancellation with the end of what is paid is taken back: it renews again.
    Uncancel,
    /// A payment goes back in full.
    Refund,
    /// Half of a payment goes back.
    PartialRefund,
    /// A refund fails afterwards, and the money is the vendor's again.
    RefundFailed,
    /// The buyer's bank only asks about a payment.
    Inquiry,
    /// The buyer's bank questions a payment, and takes the money.
    Dispute,
    /// It came back to the vendor.
    DisputeWon,
    /// The bank kept it.
    DisputeLost,
    /// A subscription stops for a while.
    Pause,
    /// The collecting stops and the subscription does not, which Stripe calls `pause_collection`.
    PauseCollection,
    /// It goes on, or its money is collected again.
    Resume,
    /// A month is paid by other means, and the vendor marks its invoice as paid.
    OutOfBand,
    /// The vendor writes a subscriber an invoice by hand, and it is paid.
    ManualInvoice,
    /// A subscriber has another address and name at the provider. With `--last` and `--email`: that address.
    CustomerChanged,
    /// The vendor deletes a subscriber at the provider, which ends the subscription.
    CustomerDeleted,
    /// Something is bought in addition to a purchase. With `--to`: that plan.
    Addon,
    /// The buyer of a purchase comes with a code, after its webhook, and is led to the page that shows the key.
    Redeem,
    /// The buyer comes with a code before the webhook of the purchase does.
    RedeemEarly,
    /// Every event of a purchase comes three times, all at the same time.
    Duplicate,
    /// A subscription and its renewal, in any order and each event twice.
    OutOfOrder,
    /// Webhooks of a day are lost; the server finds the events in the provider's list. Then they come after all.
    LostWebhooks,
}

impl Scenario {
    /// Its word on the command line.
    pub(crate) fn word(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// What it is about, in the sentence that the command line shows as well.
    pub(crate) fn sentence(self) -> String {
        let help = self.to_possible_value().and_then(|value| value.get_help().map(ToString::to_string));
        help.unwrap_or_default()
    }

    /// All of them.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Self::value_variants().iter().copied()
    }

    /// The scenario of this word.
    pub(crate) fn of(word: &str) -> Option<Self> {
        Self::from_str(word, false).ok()
    }

    /// Under which heading it stands in a list of all.
    pub(crate) const fn heading(self) -> &'static str {
        match self {
            Self::Checkout
            | Self::Unmapped
            | Self::Free
            | Self::Expired
            | Self::AsyncCheckout
            | Self::AsyncPaid
            | Self::AsyncFailed
            | Self::Addon
            | Self::Redeem
            | Self::RedeemEarly => "Purchases",
            Self::Refund
            | Self::PartialRefund
            | Self::RefundFailed
            | Self::Inquiry
            | Self::Dispute
            | Self::DisputeWon
            | Self::DisputeLost => "Money that goes back",
            Self::Duplicate | Self::OutOfOrder | Self::LostWebhooks => "Unruly deliveries",
            _ => "Subscriptions",
        }
    }

    /// Whether it is about a subscription, where there are any.
    pub(crate) const fn is_of_subscription(self) -> bool {
        matches!(
            self,
            Self::Subscription
                | Self::Trial
                | Self::TrialEnd
                | Self::Renew
                | Self::Upgrade
                | Self::Downgrade
                | Self::PastDue
                | Self::Cancel
                | Self::Uncancel
                | Self::Pause
                | Self::PauseCollection
                | Self::Resume
                | Self::OutOfBand
                | Self::ManualInvoice
                | Self::CustomerChanged
                | Self::CustomerDeleted
                | Self::OutOfOrder
                | Self::LostWebhooks
        )
    }

    /// Whether its purchase begins with a trial.
    pub(crate) const fn is_of_trial(self) -> bool {
        matches!(self, Self::Trial | Self::TrialEnd)
    }

    /// When the money of its purchase comes.
    pub(crate) const fn paying(self) -> Paying {
        match self {
            Self::Free => Paying::Nothing,
            Self::AsyncCheckout | Self::AsyncPaid | Self::AsyncFailed => Paying::Later,
            _ => Paying::AtOnce,
        }
    }

    /// Whether what is sent last was sent or found before.
    pub(crate) const fn is_told_again(self) -> bool {
        matches!(self, Self::Duplicate | Self::LostWebhooks)
    }

    /// What is to be said where nothing followed, and nothing should.
    pub(crate) const fn nothing_followed(self) -> Option<&'static str> {
        match self {
            Self::Expired => Some("Nobody bought anything, so nothing is issued."),
            Self::AsyncCheckout => {
                Some("Nothing is issued yet: the checkout is completed, and its money is under way.")
            }
            Self::AsyncFailed => Some("Nothing is issued: the money did not come."),
            Self::PauseCollection => {
                Some("No license changes: nothing is collected for now, and the subscription goes on.")
            }
            Self::ManualInvoice => Some("No license changes: an invoice that was made by hand pays no month."),
            Self::CustomerChanged => {
                Some("No license changes: a key stays with its sale, whatever its buyer is called.")
            }
            Self::Inquiry => Some("Nothing changed: an inquiry moves no money, so it takes no license."),
            _ => None,
        }
    }

    /// What one could do next, as what follows `keywright simulate PROVIDER`.
    pub(crate) const fn next(self) -> &'static [&'static str] {
        match self {
            Self::Checkout | Self::Duplicate => {
                &["duplicate --last", "redeem --last", "refund --last", "inquiry --last"]
            }
            Self::Addon | Self::Redeem | Self::RedeemEarly => &["addon --last", "upgrade --last", "refund --last"],
            Self::Unmapped => &["refund --last", "checkout"],
            Self::Free => &["duplicate --last", "checkout"],
            Self::Expired => &["checkout"],
            Self::AsyncCheckout => &["async-paid --last", "async-failed --last"],
            Self::AsyncPaid => &["refund --last"],
            Self::AsyncFailed => &["async-checkout", "checkout"],
            Self::Subscription | Self::OutOfOrder | Self::LostWebhooks => {
                &["renew --last", "upgrade --last", "past-due --last", "cancel --last"]
            }
            Self::Trial => &["clock +14d", "trial-end --last", "past-due --last", "cancel --last"],
            Self::TrialEnd => &["renew --last", "cancel --last"],
            Self::Renew | Self::OutOfBand => &["refund --last", "cancel --last"],
            Self::ManualInvoice | Self::CustomerChanged => &["renew --last", "customer-deleted --last"],
            Self::CustomerDeleted => &["subscription"],
            Self::Upgrade => &["downgrade --last", "renew --last", "cancel --last"],
            Self::Downgrade => &["renew --last", "cancel --last"],
            Self::PastDue => &["renew --last", "cancel --last --now"],
            Self::Cancel => &["uncancel --last", "refund --last", "subscription"],
            Self::Uncancel => &["renew --last", "cancel --last"],
            Self::PartialRefund => &["refund --last"],
            Self::Refund => &["refund-failed --last", "checkout"],
            Self::RefundFailed => &["refund --last"],
            Self::DisputeWon | Self::DisputeLost => &["checkout"],
            Self::Inquiry => &["dispute --last"],
            Self::Dispute => &["dispute-won --last", "dispute-lost --last"],
            Self::Pause | Self::PauseCollection => &["resume --last"],
            Self::Resume => &["renew --last", "pause --last"],
        }
    }
}
