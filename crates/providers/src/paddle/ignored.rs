//! Kinds of events that say nothing about licenses, and why. They are kept and shown, and nobody works on them.

/// Why a kind is ignored: the first beginning that fits.
pub(super) const REASONS: &[(&str, &str)] = &[
    ("transaction.paid", "transaction.completed follows at once and says it with the subscription and its period"),
    ("transaction.past_due", "the subscription itself says that a payment is overdue"),
    ("transaction.payment_failed", "no money came; that a renewal is overdue the subscription says"),
    ("transaction.canceled", "nobody bought anything"),
    ("transaction.revised", "who is billed was corrected; what was bought and paid is the same"),
    ("transaction.", "a transaction matters when it is completed"),
    ("adjustment.", "money matters when it goes back"),
    ("customer.", "a customer matters for their name and address"),
    ("subscription.", "the subscription's other events say the same"),
    ("address.", "for tax and invoices; keys are sent to the customer's e-mail address"),
    ("business.", "for tax and invoices"),
    ("payment_method.", "how somebody pays; whether they do, a transaction says"),
    ("price.", "the vendor's catalogue; each sale tells its prices"),
    ("product.", "the vendor's catalogue; each sale tells its products"),
    ("discount.", "the vendor's catalogue; each sale tells what was paid"),
    ("discount_group.", "the vendor's catalogue; each sale tells what was paid"),
    ("payout.", "between Paddle and the vendor"),
    ("report.", "between Paddle and the vendor"),
    ("api_key.", "between Paddle and the vendor; a key that no longer works is found when it is used"),
    ("api_key_exposure.", "between Paddle and the vendor; a key that no longer works is found when it is used"),
    ("client_token.", "about checkout pages, not about sales"),
    ("", "not about a sale, as far as is known"),
];
