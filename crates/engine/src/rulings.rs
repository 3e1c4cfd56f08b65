//! A person decides about a license, and what follows is written in the same transaction.

use domain::{
    id::{AuditId, LicenseId, TenantId},
    ruling::{Ruling, rule},
};
use jiff::Timestamp;
use serde_json::json;
use store::{StoreError, StoredOrder, rows::AuditEntry};

use crate::{
    Engine, Error,
    buyers::{self, CustomerNews},
    connections::Connection,
};

/// Who decides, and why they say they do.
#[derive(Clone, Debug)]
pub struct By {
    /// The actor as the audit log names them: `key:…`, `member:…`, `cli`.
    pub actor: String,
    /// Their reason, if they gave one.
    pub note: Option<String>,
}

impl Engine {
    /// Rules about a license. None: the tenant has no such license.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn rule(
        &self,
        tenant: TenantId,
        license: LicenseId,
        ruling: Ruling,
        by: &By,
    ) -> Result<Option<StoredOrder>, Error> {
        let ruled = store::repeat(|| self.rule_once(tenant, license, ruling, by), Error::is_conflict).await?;
        self.mails.notify_one();
        Ok(ruled)
    }

    async fn rule_once(
        &self,
        tenant: TenantId,
        id: LicenseId,
        ruling: Ruling,
        by: &By,
    ) -> Result<Option<StoredOrder>, Error> {
        let now = self.now();
        let connections = self.connections().await?;
        let write = self.store.begin().await?;
        let Some(order) = write.order_of_license(tenant, id).await? else { return Ok(None) };
        let mut orders = write.load_orders(&[order].into()).await?;
        if !orders.iter().flat_map(|order| &order.licenses).any(|license| license.id == id) {
            return Err(StoreError::changed_meanwhile("the license's order").into());
        }
        for order in &mut orders {
            let StoredOrder { order, licenses, .. } = order;
            if let Some(license) = licenses.iter_mut().find(|license| license.id == id) {
                rule(order, license, ruling, now);
            }
        }
        let identities = buyers::learn(&write, CustomerNews::new(), &orders, now).await?;
        let actor = |_: &StoredOrder, _: &Connection| by.actor.clone();
        let mut rows = self.settle_all(&write, &mut orders, &actor, &identities, &connections, now).await?;
        rows.audit.extend(orders.iter().map(|order| self.ruled(order, id, ruling, by, now)));
        write.save_orders(&orders, now).await?;
        let happened = rows.write(&write, now).await?;
        write.commit().await?;
        happened.tell(&self.metrics);
        Ok(orders.into_iter().next())
    }

    fn ruled(&self, order: &StoredOrder, license: LicenseId, ruling: Ruling, by: &By, now: Timestamp) -> AuditEntry {
        AuditEntry {
            id: AuditId::new(now, &mut *self.entropy()).0,
            tenant_id: order.tenant.0,
            occurred_at: now.as_microsecond(),
            actor: by.actor.clone(),
            action: format!("ruling.{}", ruling.as_str()),
            subject: license.to_string(),
            order_id: Some(order.id.0),
            license_id: Some(license.0),
            detail: json!({ "ruling": ruling, "note": by.note }).to_string(),
            // Numbered and chained when it is added.
            sequence: 0,
            chain: Vec::new(),
        }
    }
}
