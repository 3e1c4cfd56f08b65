//! Paid and no license, refunded and active: what a vendor asks of a window of time, found as the doctor finds it.

use std::collections::HashMap;

use domain::{
    decision::Catalogue,
    id::{ConnectionId, LicenseId, OrderId},
    license::{Holding, LicenseState},
    order::{Order, PurchaseState},
};
use jiff::Timestamp;
use store::{StoredOrder, lists::Whose, rows::AttentionItem};

use super::{
    Gathered, PAGE,
    examine::{Case, licenses, ought_to_be},
    grouped, of,
};
use crate::{
    Engine, Error,
    attention::{KEY_AWAITED, KEY_REFUSED},
    connections::find,
};

/// Orders that are looked at for one page of the report. A window without discrepancies may have millions.
const LOOKED_AT_MAX: u64 = 16 * PAGE;

/// Which orders are asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Something was told about them then or later.
    pub since: Timestamp,
    /// They came in before that.
    pub until: Timestamp,
    /// Those of this connection; none: of all.
    pub connection: Option<ConnectionId>,
}

/// In which way money and licenses differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiscrepancyKind {
    /// Something is paid, and there is no license for it.
    PaidWithoutLicense,
    /// A payment went back, and what it paid for works.
    RefundedButActive,
    /// It is paid and works, and no key opens it.
    ActiveWithoutKey,
}

impl DiscrepancyKind {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PaidWithoutLicense => "paid_without_license",
            Self::RefundedButActive => "refunded_but_active",
            Self::ActiveWithoutKey => "active_without_key",
        }
    }
}

/// Something that a person should look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discrepancy {
    /// In which way.
    pub kind: DiscrepancyKind,
    /// The sale.
    pub order: OrderId,
    /// Where it was sold.
    pub connection: ConnectionId,
    /// The provider's names for the sale: first what was bought, then what it was paid with.
    pub references: Vec<String>,
    /// Who bought, if anybody said so.
    pub email: Option<String>,
    /// Which license, if it is about one.
    pub license: Option<LicenseId>,
    /// What is wrong, and what to do where that is known.
    pub problem: String,
}

/// A page of the report, the newest orders first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discrepancies {
    /// What was found.
    pub rows: Vec<Discrepancy>,
    /// The last order that was looked at, if there are more behind it.
    pub next: Option<OrderId>,
}

impl Engine {
    /// What does not fit in a window, of the orders behind `after`. A page ends with an order, so that it may have a few
    /// rows more than `limit`; and it ends after many orders, so that it may have none and still go on.
    ///
    /// # Errors
    /// Those of the database, or the catalogue does not read. An order that does not read is the doctor's to find.
    pub async fn discrepancies(
        &self,
        whose: Whose,
        window: &Window,
        after: Option<OrderId>,
        limit: usize,
    ) -> Result<Discrepancies, Error> {
        let mut found = Discrepancies { rows: Vec::new(), next: after };
        let mut looked_at = 0;
        while looked_at < LOOKED_AT_MAX {
            let ids = self.orders_in(whose, window, found.next, PAGE).await?;
            for (id, rows) in self.discrepancies_of(whose, &ids).await? {
                found.next = Some(id);
                found.rows.extend(rows);
                if found.rows.len() >= limit {
                    return Ok(found);
                }
            }
            looked_at += PAGE;
            if ids.len() < PAGE as usize {
                found.next = None;
                break;
            }
        }
        Ok(found)
    }

    /// The next orders of a window, at most so many.
    pub(super) async fn orders_in(
        &self,
        whose: Whose,
        window: &Window,
        behind: Option<OrderId>,
        limit: u64,
    ) -> Result<Vec<OrderId>, Error> {
        let between = (window.since, window.until);
        Ok(self.store.snapshot().await?.orders_between(whose, between, window.connection, behind, limit).await?)
    }

    /// What does not fit in each of these orders, as they are now. One that is gone or does not read has nothing.
    ///
    /// # Errors
    /// Those of the database, or the catalogue does not read.
    pub async fn discrepancies_of(
        &self,
        whose: Whose,
        ids: &[OrderId],
    ) -> Result<Vec<(OrderId, Vec<Discrepancy>)>, Error> {
        let connections = self.connections().await?;
        let (ring, now) = (self.ring(), self.now());
        let judged_at = domain::time::after(now, self.ahead(whose.tenant, whose.livemode).await?);
        let snapshot = self.store.snapshot().await?;
        let catalogue = snapshot.catalogue(whose.tenant).await?;
        let open = grouped(snapshot.open_attention(ids).await?, |item| OrderId(item.order_id.unwrap_or_default()));
        let gathered = Gathered { open, ..Gathered::default() };
        let seen = snapshot.orders(ids).await?.into_iter();
        let orders: HashMap<OrderId, StoredOrder> = seen.filter_map(|seen| Some((seen.id, seen.order.ok()?))).collect();
        let found = |order: &StoredOrder| {
            let connection = find(&connections, order.connection).map(AsRef::as_ref);
            let case = Case {
                order,
                gathered: &gathered,
                catalogue: Some(&catalogue),
                connection,
                is_replayed: false,
                ring: &ring,
                now,
                judged_at,
            };
            of_order(&case, &catalogue)
        };
        Ok(ids.iter().map(|id| (*id, orders.get(id).map(found).unwrap_or_default())).collect())
    }
}

/// What does not fit in an order.
fn of_order(case: &Case<'_>, catalogue: &Catalogue) -> Vec<Discrepancy> {
    let order = case.order;
    // What it is now need not be what it will be in a moment.
    if order.due_at.is_some_and(|due| due <= case.now) {
        return Vec::new();
    }
    let told = |kind, license, problem: String| Discrepancy {
        kind,
        order: order.id,
        connection: order.connection,
        references: references(&order.order),
        email: order.order.mailed_to().map(|contact| contact.email.as_str().to_owned()),
        license,
        problem,
    };
    let mut found = Vec::new();
    if let Some(problem) = unserved(case) {
        let kind = match is_paid(&order.order) {
            true => Some(DiscrepancyKind::PaidWithoutLicense),
            // A refund of a sale that nobody knows: what it paid for may be anywhere.
            false => is_nothing_but_loss(&order.order).then_some(DiscrepancyKind::RefundedButActive),
        };
        found.extend(kind.map(|kind| told(kind, None, problem)));
    }
    let active = order
        .licenses
        .iter()
        .filter(|license| license.holding == Holding::Unit && license.standing.state == LicenseState::Active);
    for license in active {
        // Until an item says so, the provider's key may come any moment.
        let is_missed = |item: &&AttentionItem| [KEY_AWAITED, KEY_REFUSED].contains(&item.kind.as_str());
        let open = of(&case.gathered.open, &order.id).iter().find(is_missed);
        if license.keys == 0 && (open.is_some() || !case.is_keyed_by_provider()) {
            let problem =
                open.map_or_else(|| "it is active, and no key opens it".to_owned(), |item| item.detail.clone());
            found.push(told(DiscrepancyKind::ActiveWithoutKey, Some(license.id), problem));
        }
        if let Ok(ought) = ought_to_be(case, catalogue, license)
            && matches!(ought.state, LicenseState::Revoked | LicenseState::Frozen)
        {
            let problem = format!("it is active, though {}", ought.reason.sentence());
            found.push(told(DiscrepancyKind::RefundedButActive, Some(license.id), problem));
        }
    }
    found
}

/// The names of a sale. Those of its checkouts are what a person looks for.
fn references(order: &Order) -> Vec<String> {
    let mut names: Vec<_> = order.references.iter().collect();
    names.sort_by_key(|name| !order.purchases.contains_key(*name));
    names.into_iter().map(ToString::to_string).collect()
}

/// Why an order has fewer licenses than it asks for, or none and something is in its way.
fn unserved(case: &Case<'_>) -> Option<String> {
    let open = of(&case.gathered.open, &case.order.id);
    let has_license = case.order.licenses.iter().any(|license| license.holding == Holding::Unit);
    if !open.is_empty() && !has_license {
        return Some(open.iter().map(|item| item.detail.as_str()).collect::<Vec<_>>().join("; "));
    }
    licenses(case).into_iter().next().map(|finding| finding.problem)
}

/// Whether money was paid that did not go back in full. What cost nothing counts as paid.
fn is_paid(order: &Order) -> bool {
    let order = order.with_payments_of_periods();
    let kept = |payment, total: i64| {
        let refunded = order.refunded(payment);
        refunded == 0 || refunded < total
    };
    let purchases = order.purchases.iter().filter(|(_, purchase)| purchase.state == PurchaseState::Paid);
    let mut purchases = purchases.map(|(payment, purchase)| (payment, purchase.total.minor));
    let mut periods = order.periods.iter().map(|(payment, period)| (payment, period.total.minor));
    purchases.any(|(payment, total)| kept(payment, total)) || periods.any(|(payment, total)| kept(payment, total))
}

fn is_nothing_but_loss(order: &Order) -> bool {
    let is_lost = !order.refunds.is_empty() || !order.disputes.is_empty();
    is_lost && order.purchases.is_empty() && order.periods.is_empty() && order.subscriptions.is_empty()
}
