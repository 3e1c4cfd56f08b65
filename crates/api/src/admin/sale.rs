//! What is known about a sale, whether from one event or from all of them: a fact is a small order.

use domain::{
    money::{Currency, Money},
    order::{Line, Order},
    text::Reference,
};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::word;

/// What a provider told about a sale. References are the provider's own ids.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Sale)]
pub(crate) struct SaleDocument {
    /// All names of this sale.
    #[schema(example = json!(["cs_test_a1", "pi_3"]))]
    references: Vec<String>,
    purchases: Vec<PurchaseDocument>,
    subscriptions: Vec<SubscriptionDocument>,
    /// What invoices paid for.
    periods: Vec<PeriodDocument>,
    refunds: Vec<RefundDocument>,
    disputes: Vec<DisputeDocument>,
    /// What each price gives, as it was decided.
    decisions: Vec<DecisionDocument>,
}

/// An amount.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Money)]
struct MoneyDocument {
    /// In the smallest unit of its currency.
    #[schema(example = 4900)]
    amount: i64,
    /// ISO 4217; none where no currency is involved.
    #[schema(example = "EUR")]
    currency: Option<String>,
}

/// A checkout, a transaction, a manual issue.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Purchase)]
struct PurchaseDocument {
    reference: String,
    /// `pending`, `failed` or `paid`.
    #[schema(example = "paid")]
    state: String,
    total: MoneyDocument,
    at: Timestamp,
    /// None: nobody told what was bought.
    lines: Option<Vec<LineDocument>>,
}

/// One line of what was bought.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Line)]
struct LineDocument {
    reference: String,
    price: String,
    product: Option<String>,
    quantity: u32,
    recurring: bool,
    /// The plan that the sale's own metadata names.
    plan: Option<String>,
    description: Option<String>,
}

/// A subscription as the provider sees it. Licenses follow what was paid, not this.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Subscription)]
struct SubscriptionDocument {
    reference: String,
    /// `incomplete`, `trialing`, `active`, `past_due`, `paused` or `ended`.
    status: Option<String>,
    granted_until: Option<Timestamp>,
    cancel_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    items: Vec<LineDocument>,
}

/// A period that an invoice paid.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Period)]
struct PeriodDocument {
    reference: String,
    subscription: String,
    until: Timestamp,
    total: MoneyDocument,
}

/// Money that went back.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Refund)]
struct RefundDocument {
    reference: String,
    payment: String,
    /// `pending`, `succeeded` or `failed`.
    state: String,
    amount: MoneyDocument,
    /// It is all that had gone back of the payment, not one refund.
    is_total: bool,
}

/// A payment that the buyer's bank questions.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Dispute)]
struct DisputeDocument {
    reference: String,
    payment: String,
    /// `inquiry`, `open`, `lost` or `won`.
    state: String,
}

/// What a price gives.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Decision)]
struct DecisionDocument {
    price: String,
    /// What it rests on: `metadata`, `price`, `product` or `default`.
    evidence: String,
    decided_at: Timestamp,
    grants: Vec<GrantedDocument>,
}

/// A plan that was decided on.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Granted)]
struct GrantedDocument {
    plan: String,
    version: u32,
    /// `keys` or `seats`.
    quantity: String,
}

impl From<&Order> for SaleDocument {
    fn from(order: &Order) -> Self {
        Self {
            references: order.references.iter().map(ToString::to_string).collect(),
            purchases: purchases(order),
            subscriptions: subscriptions(order),
            periods: periods(order),
            refunds: refunds(order),
            disputes: disputes(order),
            decisions: decisions(order),
        }
    }
}

impl From<Money> for MoneyDocument {
    fn from(money: Money) -> Self {
        let currency = Some(money.currency).filter(|currency| *currency != Currency::NONE);
        Self { amount: money.minor, currency: currency.map(|currency| currency.code().to_owned()) }
    }
}

impl From<&Line> for LineDocument {
    fn from(line: &Line) -> Self {
        Self {
            reference: line.line.to_string(),
            price: line.price.to_string(),
            product: line.product.as_ref().map(ToString::to_string),
            quantity: line.quantity,
            recurring: line.recurring,
            plan: line.named.as_ref().map(ToString::to_string),
            description: line.description.as_deref().map(str::to_owned),
        }
    }
}

fn purchases(order: &Order) -> Vec<PurchaseDocument> {
    let document = |(reference, purchase): (&Reference, &domain::order::Purchase)| PurchaseDocument {
        reference: reference.to_string(),
        state: word(&purchase.state),
        total: purchase.total.into(),
        at: purchase.at,
        lines: purchase.lines.told().map(|lines| lines.iter().map(LineDocument::from).collect()),
    };
    order.purchases.iter().map(document).collect()
}

/// Subscriptions with their items; of some only one of the two is known.
fn subscriptions(order: &Order) -> Vec<SubscriptionDocument> {
    let known: std::collections::BTreeSet<&Reference> = order.subscriptions.keys().chain(order.items.keys()).collect();
    let document = |reference: &Reference| {
        let snapshot = order.subscriptions.get(reference).map(|register| &register.value);
        let items = order.items.get(reference).map(|register| register.value.as_slice()).unwrap_or_default();
        SubscriptionDocument {
            reference: reference.to_string(),
            status: snapshot.map(|snapshot| word(&snapshot.status)),
            granted_until: snapshot.and_then(|snapshot| snapshot.granted_until),
            cancel_at: snapshot.and_then(|snapshot| snapshot.cancel_at),
            ended_at: snapshot.and_then(|snapshot| snapshot.ended_at),
            items: items.iter().map(LineDocument::from).collect(),
        }
    };
    known.into_iter().map(document).collect()
}

fn periods(order: &Order) -> Vec<PeriodDocument> {
    let document = |(reference, period): (&Reference, &domain::order::Period)| PeriodDocument {
        reference: reference.to_string(),
        subscription: period.subscription.to_string(),
        until: period.until,
        total: period.total.into(),
    };
    order.with_payments_of_periods().periods.iter().map(document).collect()
}

fn refunds(order: &Order) -> Vec<RefundDocument> {
    let refunds = order.refunds.iter().map(|(reference, register)| (reference, &register.value));
    refunds
        .map(|(reference, refund)| RefundDocument {
            reference: reference.to_string(),
            payment: refund.payment.to_string(),
            state: word(&refund.state),
            amount: refund.amount.into(),
            is_total: refund.cumulative,
        })
        .collect()
}

fn disputes(order: &Order) -> Vec<DisputeDocument> {
    let document = |(reference, dispute): (&Reference, &domain::order::Dispute)| DisputeDocument {
        reference: reference.to_string(),
        payment: dispute.payment.to_string(),
        state: word(&dispute.state),
    };
    order.disputes.iter().map(document).collect()
}

fn decisions(order: &Order) -> Vec<DecisionDocument> {
    let granted = |grant: &domain::decision::Grant| GrantedDocument {
        plan: grant.plan.plan.to_string(),
        version: grant.plan.version,
        quantity: word(&grant.quantity),
    };
    let decided = order.decided.iter();
    decided
        .map(|(price, decision)| DecisionDocument {
            price: price.to_string(),
            evidence: word(&decision.evidence),
            decided_at: decision.decided_at,
            grants: decision.grants.iter().map(granted).collect(),
        })
        .collect()
}
