//! What events tell of, in a few words, for people who compare what a provider should deliver with what it does.

/// What events of this kind tell of; none: nothing that licenses depend on.
#[must_use]
pub fn tells(kind: &str) -> Option<&'static str> {
    // More than one provider has some of these names, and means the same by them.
    Some(match kind {
        "checkout.session.completed" | "transaction.completed" | "order_created" | "order.paid" | "purchase" => {
            "purchases"
        }
        "checkout.session.async_payment_succeeded" | "checkout.session.async_payment_failed" => {
            "purchases that are paid later"
        }
        "customer.created" | "customer.updated" | "customer.deleted" | "customer.imported" => {
            "names and addresses of buyers"
        }
        "customer.subscription.created"
        | "subscription.created"
        | "subscription.activated"
        | "subscription.imported"
        | "subscription_created" => "new subscriptions",
        "activate" => "buyers who come for what they bought",
        "subscription.trialing" => "trials",
        "customer.subscription.updated" | "subscription.updated" | "subscription_updated" | "order.changed" => {
            "changes and planned ends of subscriptions"
        }
        "customer.subscription.deleted"
        | "subscription.canceled"
        | "subscription_cancelled"
        | "subscription_expired"
        | "order.ended" => "ends of subscriptions",
        "customer.subscription.paused"
        | "customer.subscription.resumed"
        | "subscription.paused"
        | "subscription.resumed"
        | "subscription_paused"
        | "subscription_unpaused"
        | "subscription_resumed" => "pauses of subscriptions",
        "invoice.paid" | "invoice_payment.paid" | "subscription_payment_success" | "subscription_payment_recovered" => {
            "renewals"
        }
        "invoice.payment_failed" | "invoice.updated" | "subscription.past_due" => "renewals that fail",
        "charge.refunded"
        | "charge.refund.updated"
        | "refund.created"
        | "refund.updated"
        | "refund.failed"
        | "order_refunded"
        | "subscription_payment_refunded"
        | "order.refunded"
        | "deactivate" => "refunds",
        "adjustment.created" | "adjustment.updated" => "refunds and chargebacks",
        "charge.dispute.created"
        | "charge.dispute.updated"
        | "charge.dispute.closed"
        | "charge.dispute.funds_withdrawn"
        | "charge.dispute.funds_reinstated"
        | "order.disputed" => "disputes",
        "license_key_created" | "license_key_updated" => "keys that the provider gives out",
        "upgrade" | "downgrade" => "changes of the tier",
        "migrate" => "licenses that move to another account",
        "account.application.deauthorized" => "accounts that are disconnected",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use crate::PROVIDERS;

    use super::*;

    #[test]
    fn every_event_that_is_asked_for_tells_of_something() {
        for provider in PROVIDERS {
            let disconnection = provider.accounts().map(crate::accounts::Accounts::disconnection);
            for kind in provider.info().events.iter().copied().chain(disconnection) {
                assert!(tells(kind).is_some(), "say in tells.rs what {kind} of {} tells of", provider.info().name);
            }
        }
        assert_eq!(tells("invoice.finalized"), None);
    }
}
