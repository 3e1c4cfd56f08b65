//! An example of every mail, for previews, tests and the lint of templates.

use domain::{
    id::{LicenseId, OrderId, TenantId},
    license::{Holding, License, LicenseState, Rulings, Scheduled, Standing, Unit},
    mail::MailKind,
    money::{Currency, Money},
    plan::{AddOn, Plan},
    reason::{Cause, Reason},
    text::{PriceReference, Reference},
    time::{after, days},
};
use jiff::Timestamp;
use store::{
    outbox::Contents,
    rows::{LicenseKey, Product},
};
use uuid::Uuid;

/// A key that opens nothing; behind the prefix of the product.
const KEY_TAIL: &str = "-7F3K-9XYM-4N2A-Q7C9";
/// A year, for which a license is renewed.
const TERM_DAYS: u32 = 365;
/// Days of grace that are left.
const GRACE_DAYS: u32 = 14;

/// The key of the example.
pub(super) fn key(product: &Product) -> String {
    format!("{}{KEY_TAIL}", product.key_prefix)
}

/// What a mail of this kind would be written from, had somebody bought this plan and had it come to that.
pub(super) fn contents(kind: MailKind, product: &Product, plan: &Plan, now: Timestamp) -> Contents {
    let tenant = TenantId(product.tenant_id);
    Contents {
        tenant,
        livemode: true,
        order: OrderId(Uuid::nil()),
        references: vec![Reference::new("1042")],
        keys: vec![LicenseKey {
            id: Uuid::nil(),
            tenant_id: product.tenant_id,
            license_id: Uuid::nil(),
            hash: Vec::new(),
            sealed: Vec::new(),
            sealed_by: String::new(),
            hint: format!("{}-…-Q7C9", product.key_prefix),
            ending: String::new(),
            created_at: now.as_microsecond(),
            closes_at: None,
        }],
        product: product.clone(),
        templates: Vec::new(),
        plan: plan.clone(),
        license: license(kind, plan, now),
    }
}

fn license(kind: MailKind, plan: &Plan, now: Timestamp) -> License {
    License {
        id: LicenseId(Uuid::nil()),
        origin: OrderId(Uuid::nil()),
        slot: 0,
        issued_at: now,
        unit: Unit {
            source: Reference::new("1042"),
            subscribed: false,
            line: Reference::new("1042"),
            price: PriceReference::new("sample"),
            product: None,
            recurring: kind != MailKind::LicenseDelivery || plan.terms.price.is_some_and(|price| price.every.is_some()),
            plan: Some(plan.version),
            seats: 1,
            added: AddOn::default(),
        },
        plan: plan.version,
        standing: standing(kind, plan, now),
        rulings: Rulings::default(),
        holding: Holding::Unit,
        announced: true,
        expiry_told: None,
        keys: 1,
    }
}

fn standing(kind: MailKind, plan: &Plan, now: Timestamp) -> Standing {
    let subscription = || Reference::new("sub_1042");
    let grace = after(now, days(GRACE_DAYS));
    let (state, reason) = match kind {
        MailKind::LicenseDelivery | MailKind::LicenseRenewed | MailKind::LicenseExpiring => {
            (LicenseState::Active, Reason::Paid)
        }
        MailKind::PaymentProblem => {
            (LicenseState::Active, Reason::Cause(Cause::PastDue { subscription: subscription(), paid_until: now }))
        }
        MailKind::LicenseFrozen => {
            (LicenseState::Frozen, Reason::Cause(Cause::Disputed { dispute: Reference::new("dp_1042"), lost: false }))
        }
        MailKind::LicenseRevoked => {
            let amount = Money { currency: Currency::NONE, minor: 0 };
            let refunded = Cause::Refunded { payment: Reference::new("1042"), amount, full: true };
            (LicenseState::Revoked, Reason::Cause(refunded))
        }
    };
    let term_days = match kind {
        MailKind::LicenseRenewed => Some(TERM_DAYS),
        _ => plan.terms.duration_days.filter(|_| kind == MailKind::LicenseDelivery),
    };
    let ends = matches!(kind, MailKind::LicenseExpiring | MailKind::PaymentProblem);
    Standing {
        state,
        reason,
        until: term_days.map(|term| after(now, days(term))),
        at_risk: kind == MailKind::PaymentProblem,
        scheduled: ends.then_some(Scheduled { state: LicenseState::Expired, at: grace }),
        next_check: None,
        open: Vec::new(),
        downgraded: false,
    }
}
