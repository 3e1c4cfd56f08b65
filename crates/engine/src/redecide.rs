//! Edited rules and plans reach what was sold before them only when somebody asks, and shows first what would change.

use domain::{
    fulfil::{Concern, resolve_again},
    id::{ConnectionId, LicenseId, OrderId},
    plan::{AddOn, PlanVersion},
};
use store::{
    StoredOrder,
    lists::{Cursor, OrderFilter, Page, Whose},
};

use crate::{
    Engine, Error,
    rulings::{By, OrderRuling},
};

/// Orders that are looked at for one answer.
const ORDERS_MAX: u64 = 500;

/// What is to be decided once more, and where.
#[derive(Clone, Debug)]
pub struct Redecide {
    /// At sales of this connection; none: of all.
    pub connection: Option<ConnectionId>,
    /// About what.
    pub concern: Concern,
    /// Only say what would change.
    pub is_preview: bool,
}

/// A license that gives something else, or would.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redecided {
    /// Its order.
    pub order: OrderId,
    /// The license; none: a new one.
    pub license: Option<LicenseId>,
    /// What it gave.
    pub from: Option<Gives>,
    /// What it gives; none: nothing any more.
    pub to: Option<Gives>,
}

/// What a license gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gives {
    /// Its plan.
    pub plan: PlanVersion,
    /// By how much the plan's limits are multiplied.
    pub seats: u32,
    /// What add-ons add.
    pub added: AddOn,
}

impl Engine {
    /// Decides once more for a page of orders, the newest first, behind that one. Returns what changed, and the order to
    /// go on behind; none: those were all.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn redecide(
        &self,
        whose: Whose,
        asked: &Redecide,
        behind: Option<OrderId>,
        by: &By,
    ) -> Result<(Vec<Redecided>, Option<OrderId>), Error> {
        let page = Page { limit: ORDERS_MAX, from: behind.map(|order| Cursor::After(order.0)) };
        let listed = self.store.list_orders(whose, &OrderFilter::default(), page).await?;
        let next = listed.rows.last().map(|order| order.id).filter(|_| listed.has_more);
        let write = self.store.begin().await?;
        let shelf = self.catalogues.of(&write, whose.tenant).await?;
        drop(write);
        let is_asked = |order: &&StoredOrder| asked.connection.is_none_or(|wanted| wanted == order.connection);
        let mut changed = Vec::new();
        for order in listed.rows.iter().filter(is_asked) {
            let mut known = order.order.clone();
            if !resolve_again(&mut known, order.connection, &shelf.catalogue, &asked.concern, self.now()) {
                continue;
            }
            let ruling = OrderRuling::Redecide(asked.concern.clone());
            let Some((before, mut after)) = self.preview(whose.tenant, order.id, &ruling).await? else { continue };
            if !asked.is_preview
                && let Some(ruled) = self.rule_order(whose.tenant, order.id, &ruling, by).await?
            {
                after = ruled;
            }
            changed.extend(differences(&before, &after));
        }
        Ok((changed, next))
    }
}

fn differences(before: &StoredOrder, after: &StoredOrder) -> Vec<Redecided> {
    let gives = |order: &StoredOrder, id: LicenseId| {
        let license = order.licenses.iter().find(|license| license.id == id && license.stands());
        license.map(|license| Gives {
            plan: license.plan,
            seats: license.unit.seats,
            added: license.unit.added.clone(),
        })
    };
    let is_known = |id: LicenseId| before.licenses.iter().any(|license| license.id == id);
    let difference = |id: LicenseId| {
        let (from, to) = (gives(before, id), gives(after, id));
        (from != to).then(|| Redecided { order: after.id, license: is_known(id).then_some(id), from, to })
    };
    after.licenses.iter().filter_map(|license| difference(license.id)).collect()
}
