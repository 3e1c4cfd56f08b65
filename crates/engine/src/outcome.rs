//! What follows from a change: the key, its audit entry, its mail, its event. All in the transaction of the change.

use std::collections::BTreeSet;

use crypto::{
    key::{LicenseKey, Prefix},
    ring::KeyRing,
    seal::Place,
};
use domain::{
    Entropy,
    counted::Counted,
    event::{EventKind, Previous},
    fulfil::Change,
    id::{AuditId, LicenseId, MailId, OrderId, TenantId},
    license::{License, LicenseState},
    mail::MailKind,
    order::Contact,
    plan::PlanVersion,
    policy::Notice,
    reason::{Cause, Reason},
};
use jiff::Timestamp;
use serde_json::json;
use store::{
    StoredOrder, Write, calls,
    lists::Whose,
    outbox,
    rows::{AuditEntry, Event, LicenseKey as LicenseKeyRow, Mail, ProviderCall, RuleSale},
};
use uuid::Uuid;

use crate::{
    Engine, Error,
    adopt::ToAdopt,
    attention,
    catalogue::Shelf,
    connections::Connection,
    events::{self, News, Sale},
    key_change::is_mailed_by_vendor,
};

/// Rows that a batch adds.
#[derive(Default)]
pub(crate) struct OutcomeRows {
    pub(crate) keys: Vec<LicenseKeyRow>,
    pub(crate) moved_keys: Vec<(LicenseId, LicenseId)>,
    pub(crate) audit: Vec<AuditEntry>,
    pub(crate) mails: Vec<Mail>,
    pub(crate) calls: Vec<ProviderCall>,
    pub(crate) news: Vec<News>,
    /// What happened to whose licenses, in the words of the audit log.
    actions: Vec<(Whose, &'static str)>,
    pub(crate) opened: Vec<store::rows::AttentionItem>,
    pub(crate) closed: Vec<Uuid>,
    /// What price rules decided.
    pub(crate) decided: Vec<RuleSale>,
}

/// What is told to metrics and the log once it is committed.
#[must_use = "it is told after the commit"]
pub(crate) struct Happened {
    actions: Vec<(Whose, &'static str)>,
    /// Licenses that came to be, with their keys masked.
    issued: Vec<(LicenseId, String)>,
    /// Something is to be delivered to the vendor's own systems.
    is_told: bool,
}

impl Engine {
    /// Tells metrics, the log and whoever delivers what was committed.
    pub(crate) fn tell(&self, happened: Happened) {
        let now = self.now();
        for (whose, action) in happened.actions {
            self.metrics.change(action);
            if let Some(counted) = Counted::of_action(action) {
                self.tally(whose, counted, now);
            }
        }
        for (license, key) in happened.issued {
            tracing::info!(%license, key, "license issued");
        }
        if happened.is_told {
            self.deliveries.notify_one();
        }
    }
}

impl OutcomeRows {
    /// Holds the mails about these orders: they are sent when a person says so.
    pub(crate) fn hold_mails(&mut self, of: &BTreeSet<OrderId>, now: Timestamp, entropy: &mut dyn Entropy) {
        let mut tenants = BTreeSet::new();
        for mail in self.mails.iter_mut().filter(|mail| of.contains(&OrderId(mail.order_id))) {
            mail.status = outbox::status::HELD.to_owned();
            mail.next_attempt_at = None;
            tenants.insert(TenantId(mail.tenant_id));
        }
        self.opened.extend(tenants.into_iter().map(|tenant| attention::mails_held_as_old(tenant, now, entropy)));
    }

    pub(crate) async fn write(
        self,
        write: &Write,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Happened, Error> {
        let issued = self.keys.iter().map(|key| (LicenseId(key.license_id), key.hint.clone())).collect();
        let told: Vec<Event> = self.news.into_iter().map(|news| news.row(now, entropy)).collect::<Result<_, _>>()?;
        write.add_rule_sales(self.decided).await?;
        write.add_license_keys(self.keys).await?;
        for (from, to) in self.moved_keys {
            write.move_license_keys(from, to).await?;
        }
        let is_told = events::add(write, told, now, entropy).await?;
        write.add_mails(self.mails).await?;
        write.add_calls(self.calls).await?;
        write.open_items(self.opened).await?;
        write.close_items(self.closed, now).await?;
        crate::audit::add(write, self.audit).await?;
        Ok(Happened { actions: self.actions, issued, is_told })
    }
}

/// An order after it was settled, with what is needed to tell of it.
pub(crate) struct Outcome<'a> {
    pub(crate) order: &'a StoredOrder,
    pub(crate) shelf: &'a Shelf,
    pub(crate) connection: &'a Connection,
    /// Who is behind it.
    pub(crate) actor: String,
    pub(crate) address: Option<&'a Contact>,
    pub(crate) ring: &'a KeyRing,
    /// Keys that the provider gave out for what was bought, by its own names of them.
    pub(crate) to_adopt: &'a ToAdopt,
    /// The order had no license before.
    pub(crate) is_new: bool,
    pub(crate) now: Timestamp,
}

impl Outcome<'_> {
    /// Adds the rows that follow from the changes.
    pub(crate) fn rows(&self, changes: Vec<(LicenseId, Change)>, rows: &mut OutcomeRows, entropy: &mut dyn Entropy) {
        if self.is_new && changes.iter().any(|(_, change)| *change == Change::Issued) {
            let detail = json!({ "references": self.order.order.references });
            rows.audit.push(self.audit("order.created", None, &detail, entropy));
            rows.news.push(self.sale().of_order(EventKind::OrderCreated));
        }
        for (id, change) in changes {
            let Some(license) = self.order.licenses.iter().find(|license| license.id == id) else { continue };
            self.effects(license, &change, rows, entropy);
            let told = Told::of(license, &change);
            let whose = Whose { tenant: self.order.tenant, livemode: self.order.livemode };
            rows.actions.push((whose, told.action));
            rows.audit.push(self.audit(told.action, Some(license), &told.detail, entropy));
            if let Some(kind) = told.event {
                rows.news.push(self.sale().of_license(kind, license, told.previous));
            }
            let notice = notice(license, &change).filter(|notice| self.is_to_hear(license, *notice));
            rows.mails.extend(notice.and_then(|notice| self.mail(notice.into(), license, entropy)));
        }
    }

    fn effects(&self, license: &License, change: &Change, rows: &mut OutcomeRows, entropy: &mut dyn Entropy) {
        match change {
            // It waits for the key that the provider gives out.
            Change::Issued if self.connection.has_keys_for(&self.order.order) => {}
            Change::Issued => rows.keys.push(self.new_key(license, entropy)),
            Change::Keyed(name) => {
                rows.keys.extend(self.to_adopt.keys.get(name).map(|key| self.key_row(license, key, entropy)));
            }
            Change::KeyMade => rows.keys.push(self.new_key(license, entropy)),
            Change::SupersededBy(survivor) => rows.moved_keys.push((license.id, *survivor)),
            Change::Announced => {
                if !self.is_silent(license) {
                    rows.mails.extend(self.mail(MailKind::LicenseDelivery, license, entropy));
                }
                rows.calls.extend(self.write_back(license, entropy));
            }
            _ => {}
        }
    }

    /// The vendor delivers the key itself, or the provider has given it out.
    fn is_silent(&self, license: &License) -> bool {
        self.is_mailed_by_vendor(license) || self.connection.is_keyed_by_provider()
    }

    /// The caller of the API delivers the key itself, or the vendor does for all of the plan (X04).
    pub(crate) fn is_mailed_by_vendor(&self, license: &License) -> bool {
        let plan = self.shelf.catalogue.plan(license.plan);
        plan.is_some_and(|plan| is_mailed_by_vendor(&self.order.order, plan))
    }

    fn new_key(&self, license: &License, entropy: &mut dyn Entropy) -> LicenseKeyRow {
        let key = self.generated(license, entropy);
        self.key_row(license, &key, entropy)
    }

    fn generated(&self, license: &License, entropy: &mut dyn Entropy) -> LicenseKey {
        let product = self.shelf.products.get(&license.plan.product);
        let prefix = product.and_then(|product| Prefix::new(&product.key_prefix).ok()).unwrap_or_default();
        LicenseKey::generate(&prefix, entropy)
    }

    /// Adds the rows that follow where a license gets another key: the key itself, its mail where it is wanted, what the
    /// vendor's own systems are told, and the call that writes it to the provider's record. `detail` is for the audit log.
    pub(crate) fn rekey(
        &self,
        license: &License,
        was: Option<Box<str>>,
        is_mailed: bool,
        mut detail: serde_json::Value,
        rows: &mut OutcomeRows,
        entropy: &mut dyn Entropy,
    ) -> LicenseKey {
        let key = self.generated(license, entropy);
        rows.keys.push(self.key_row(license, &key, entropy));
        if is_mailed && let Some(mail) = self.mail(MailKind::LicenseDelivery, license, entropy) {
            rows.mails.push(Mail { occasion: MailId(mail.id).to_string(), ..mail });
        }
        rows.calls.extend(self.write_back(license, entropy).filter(|_| license.announced));
        detail["was"] = json!(was);
        detail["now"] = json!(key.masked());
        const ACTION: &str = "license.key_changed";
        rows.actions.push((Whose { tenant: self.order.tenant, livemode: self.order.livemode }, ACTION));
        rows.audit.push(self.audit(ACTION, Some(license), &detail, entropy));
        // Who was never told that there is a license is not told that it has another key.
        if license.announced {
            let previous = Some(Previous { key_hint: was, ..Previous::default() });
            rows.news.push(self.sale().of_license(EventKind::LicenseChanged, license, previous));
        }
        key
    }

    fn key_row(&self, license: &License, key: &LicenseKey, entropy: &mut dyn Entropy) -> LicenseKeyRow {
        let row = domain::id::uuid_v7(self.now, entropy);
        let sealed = self.ring.seal(Place::license_key(self.order.tenant, row), key.reveal().as_bytes(), entropy);
        LicenseKeyRow {
            id: row,
            tenant_id: self.order.tenant.0,
            license_id: license.id.0,
            hash: self.ring.license_hash(&key.normal()).to_vec(),
            sealed_by: crypto::seal::sealed_by(&sealed.0).map(|id| id.to_string()).unwrap_or_default(),
            sealed: sealed.0,
            hint: key.masked(),
            ending: key.ending(),
            created_at: self.now.as_microsecond(),
            closes_at: None,
        }
    }

    /// The key goes to the provider's record of the customer, where that is switched on (B05). That customer is who bought it: the
    /// key of whoever has it since is none of theirs.
    fn write_back(&self, license: &License, entropy: &mut dyn Entropy) -> Option<ProviderCall> {
        if self.order.order.handed_over.is_some() {
            return None;
        }
        // Of several customers, nobody knows whose sale it is.
        let mut customers = self.order.order.customers.iter();
        let (customer, None) = (customers.next()?, customers.next()) else { return None };
        if !self.connection.settings.write_back {
            return None;
        }
        Some(ProviderCall {
            id: domain::id::uuid_v7(self.now, entropy),
            tenant_id: self.order.tenant.0,
            connection_id: self.connection.id.0,
            kind: calls::kind::WRITE_BACK.to_owned(),
            subject_id: license.id.0,
            customer: customer.to_string(),
            status: calls::status::PENDING.to_owned(),
            attempts: 0,
            refusals: 0,
            next_attempt_at: Some(self.now.as_microsecond()),
            lease_token: None,
            lease_until: None,
            error: None,
            created_at: self.now.as_microsecond(),
            done_at: None,
        })
    }

    /// Whether the buyer, who has the key, is to hear of what happened to it.
    fn is_to_hear(&self, license: &License, notice: Notice) -> bool {
        let plan = self.shelf.catalogue.plan(license.plan);
        let wanted = plan.is_some_and(|plan| plan.terms.policy.notices.contains(&notice));
        wanted && license.announced && !self.is_silent(license)
    }

    fn mail(&self, kind: MailKind, license: &License, entropy: &mut dyn Entropy) -> Option<Mail> {
        let contact = self.address?;
        let id = MailId::new(self.now, entropy);
        Some(Mail {
            id: id.0,
            tenant_id: self.order.tenant.0,
            kind: kind.as_str().to_owned(),
            // A key goes out once; anything else, as often as it happens.
            occasion: if kind == MailKind::LicenseDelivery { String::new() } else { id.to_string() },
            license_id: license.id.0,
            order_id: self.order.id.0,
            recipient: contact.email.as_str().to_owned(),
            recipient_name: contact.name.as_deref().map(str::to_owned),
            status: outbox::status::PENDING.to_owned(),
            attempts: 0,
            unanswered: 0,
            next_attempt_at: Some(self.now.as_microsecond()),
            lease_token: None,
            lease_until: None,
            response: None,
            created_at: self.now.as_microsecond(),
            sent_at: None,
        })
    }

    /// The sale, as events tell it.
    pub(crate) fn sale(&self) -> Sale<'_> {
        Sale { order: self.order, shelf: self.shelf, connection: self.connection, address: self.address }
    }

    fn audit(
        &self,
        action: &str,
        license: Option<&License>,
        detail: &serde_json::Value,
        entropy: &mut dyn Entropy,
    ) -> AuditEntry {
        let subject = license.map_or_else(|| self.order.id.to_string(), |license| license.id.to_string());
        AuditEntry {
            id: AuditId::new(self.now, entropy).0,
            tenant_id: self.order.tenant.0,
            occurred_at: self.now.as_microsecond(),
            actor: self.actor.clone(),
            action: action.to_owned(),
            subject,
            order_id: Some(self.order.id.0),
            license_id: license.map(|license| license.id.0),
            detail: detail.to_string(),
            // Numbered and chained when it is added.
            sequence: 0,
            chain: Vec::new(),
        }
    }
}

/// What the buyer hears of a change.
fn notice(license: &License, change: &Change) -> Option<Notice> {
    let standing = &license.standing;
    match change {
        Change::TermChanged { from } if is_later(standing.until, *from) => Some(Notice::Renewed),
        Change::Expiring { .. } => Some(Notice::Expiring),
        Change::StateChanged { from } => match standing.state {
            LicenseState::Active if matches!(standing.reason, Reason::Cause(Cause::PastDue { .. })) => {
                Some(Notice::PaymentProblem)
            }
            LicenseState::Frozen if *from != LicenseState::Frozen => Some(Notice::Frozen),
            LicenseState::Revoked if *from != LicenseState::Revoked => Some(Notice::Revoked),
            _ => None,
        },
        _ => None,
    }
}

fn is_later(until: Option<Timestamp>, than: Option<Timestamp>) -> bool {
    until.is_none_or(|until| than.is_some_and(|than| until > than))
}

/// How a change is told: to the audit log, and to others.
struct Told {
    action: &'static str,
    event: Option<EventKind>,
    previous: Option<Previous>,
    detail: serde_json::Value,
}

impl Told {
    fn of(license: &License, change: &Change) -> Self {
        use EventKind as E;
        let standing = &license.standing;
        let now = || json!({ "state": standing.state, "reason": standing.reason.code(), "until": standing.until });
        let told = |action, event, detail| Self { action, event, previous: None, detail };
        match change {
            Change::Issued => told("license.issued", None, now()),
            Change::Keyed(name) => told("license.key_adopted", None, json!({ "from": name })),
            Change::KeyMade => told("license.key_made", None, json!({})),
            Change::Announced => told("license.announced", Some(E::LicenseCreated), json!({})),
            Change::Revived => told("license.revived", Some(E::LicenseChanged), now()),
            Change::Retired => told("license.retired", Some(E::LicenseRevoked), now()),
            Change::SupersededBy(survivor) => told("license.superseded", None, json!({ "by": survivor })),
            Change::PlanChanged { from: (plan, seats) } => Self::plan_changed(license, plan, *seats),
            Change::LimitsChanged => {
                told("license.limits_changed", Some(E::LicenseChanged), json!({ "added": license.unit.added }))
            }
            Change::TermChanged { from } => {
                let (action, event) = match is_later(standing.until, *from) {
                    true => ("license.renewed", E::LicenseRenewed),
                    false => ("license.shortened", E::LicenseChanged),
                };
                let previous = Some(Previous { until: Some(*from), ..Previous::default() });
                let detail = json!({ "from": from, "until": standing.until });
                Self { action, event: Some(event), previous, detail }
            }
            Change::StateChanged { from } => {
                let detail = json!({
                    "from": from, "state": standing.state, "reason": standing.reason.code(),
                    "because": standing.reason.sentence(),
                });
                let (action, event) = state_names(*from, standing.state);
                let previous = Some(Previous { state: Some(from.as_str().into()), ..Previous::default() });
                Self { action, event, previous, detail }
            }
            Change::Refunded => {
                told("license.refunded", Some(E::LicenseRefunded), json!({ "because": standing.reason.sentence() }))
            }
            Change::Expiring { at } => told("license.expiring", Some(E::LicenseExpiring), json!({ "at": at })),
        }
    }

    fn plan_changed(license: &License, plan: &PlanVersion, seats: u32) -> Self {
        let from = json!({ "plan": plan.plan, "version": plan.version, "seats": seats });
        let to = json!({ "plan": license.plan.plan, "version": license.plan.version, "seats": license.unit.seats });
        Self {
            action: "license.plan_changed",
            event: Some(EventKind::LicenseChanged),
            previous: Some(Previous { plan_id: Some(plan.plan), seats: Some(seats), ..Previous::default() }),
            detail: json!({ "from": from, "to": to }),
        }
    }
}

fn state_names(from: LicenseState, to: LicenseState) -> (&'static str, Option<EventKind>) {
    use EventKind as E;
    match to {
        // It stays what it is for another reason: a payment became overdue, or what had expired was cancelled as well.
        _ if from == to => ("license.reason_changed", None),
        LicenseState::Active if from == LicenseState::Frozen => ("license.unfrozen", Some(E::LicenseUnfrozen)),
        LicenseState::Active => ("license.reinstated", Some(E::LicenseChanged)),
        LicenseState::Frozen => ("license.frozen", Some(E::LicenseFrozen)),
        LicenseState::Expired => ("license.expired", Some(E::LicenseExpired)),
        LicenseState::Revoked => ("license.revoked", Some(E::LicenseRevoked)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_stays_is_told_to_nobody_but_the_audit_log() {
        for state in [LicenseState::Active, LicenseState::Frozen, LicenseState::Expired, LicenseState::Revoked] {
            assert_eq!(state_names(state, state), ("license.reason_changed", None), "{state:?}");
        }
    }
}
