//! Kinds of events that say nothing about licenses, and why. They are kept and shown, and nobody works on them.

/// Why a kind is ignored: the first beginning that fits.
pub(super) const REASONS: &[(&str, &str)] = &[
    ("checkout.session.expired", "nobody bought anything"),
    ("customer.subscription.", "the subscription itself says the same"),
    ("invoice.payment_succeeded", "invoice.paid says the same, and of invoices paid outside Stripe too"),
    ("invoice.", "an invoice matters when it is paid, and when paying it failed"),
    ("invoiceitem.", "what an invoice is for is on it once it is paid"),
    ("payment_intent.", "the checkout, the invoice and the charge say what became of it"),
    ("charge.", "no money came or went back"),
    ("credit_note.", "it changes what is owed; money that goes back is told as a refund"),
    ("subscription_schedule.", "a plan for later; the subscription tells when it comes about"),
    ("price.", "the vendor's catalogue; each sale tells its prices"),
    ("plan.", "the vendor's catalogue; each sale tells its prices"),
    ("product.", "the vendor's catalogue; each sale tells its prices"),
    ("radar.", "a suspicion; a dispute or a refund is told when it comes"),
    ("account.", "about the vendor's own account"),
    ("", "not about a sale, as far as is known"),
];
