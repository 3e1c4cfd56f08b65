//! The audit log's chain: entries commit with their change, and an elected node numbers and chains them per tenant.
//!
//! Each link is SHA-256 over the link before it and the entry's own content, every field with its length in front. An
//! entry that is changed, removed, or put in later breaks the chain.

use domain::id::{AuditId, OrderId, TenantId};
use jiff::SignedDuration;
use sha2::{Digest, Sha256};
use store::rows::AuditEntry;
use uuid::Uuid;

use crate::{Engine, Error, rulings::By};

/// Entries chained in one transaction at most.
const SEALED_MAX: u64 = 1_000;
/// How long a node leads without saying so again.
const LEADS: SignedDuration = SignedDuration::from_secs(5);
/// The leadership that sealing needs.
const SEALER: &str = "audit-sealer";

/// The link of an entry that stands at `sequence` behind `before`.
#[must_use]
pub fn link(before: &[u8], sequence: i64, entry: &AuditEntry) -> Vec<u8> {
    let mut hash = Sha256::new();
    let order = entry.order_id.unwrap_or_default();
    let license = entry.license_id.unwrap_or_default();
    let fields: [&[u8]; 11] = [
        b"keywright/audit/v1",
        before,
        &sequence.to_be_bytes(),
        entry.id.as_bytes(),
        entry.tenant_id.as_bytes(),
        &entry.occurred_at.to_be_bytes(),
        entry.actor.as_bytes(),
        entry.action.as_bytes(),
        entry.subject.as_bytes(),
        entry.detail.as_bytes(),
        &[order.into_bytes(), license.into_bytes()].concat(),
    ];
    for field in fields {
        hash.update((field.len() as u64).to_be_bytes());
        hash.update(field);
    }
    hash.finalize().to_vec()
}

impl Engine {
    /// Chains what is not chained yet, if this node leads. Returns how many entries it chained.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn seal_audit(&self, node: Uuid) -> Result<usize, Error> {
        let now = self.now();
        let write = self.store.begin().await?;
        let leads = write.lead(SEALER, node, now, domain::time::after(now, LEADS)).await?;
        write.commit().await?;
        if !leads {
            return Ok(0);
        }
        let mut sealed = 0;
        for tenant in self.store.tenants().await? {
            sealed += self.seal_tenant(TenantId(tenant.id)).await?;
        }
        Ok(sealed)
    }

    /// The entry that tells what a person did now.
    pub(crate) fn told(
        &self,
        tenant: TenantId,
        action: &str,
        subject: String,
        order: Option<OrderId>,
        detail: &serde_json::Value,
        by: &By,
    ) -> AuditEntry {
        let now = self.now();
        AuditEntry {
            id: AuditId::new(now, &mut *self.entropy()).0,
            tenant_id: tenant.0,
            occurred_at: now.as_microsecond(),
            actor: by.actor.clone(),
            action: action.to_owned(),
            subject,
            order_id: order.map(|order| order.0),
            license_id: None,
            detail: detail.to_string(),
            sequence: None,
            chain: None,
        }
    }

    /// One page of one tenant. Sequences are unique per tenant: of two nodes that both believe to lead, one fails.
    async fn seal_tenant(&self, tenant: TenantId) -> Result<usize, Error> {
        let write = self.store.begin().await?;
        let mut entries = write.unsealed_audit(tenant, SEALED_MAX).await?;
        if entries.is_empty() {
            return Ok(0);
        }
        let (mut sequence, mut before) = write.audit_tail(tenant).await?;
        for entry in &mut entries {
            sequence += 1;
            before = link(&before, sequence, entry);
            entry.sequence = Some(sequence);
            entry.chain = Some(before.clone());
        }
        let count = entries.len();
        write.seal_audit(entries).await?;
        write.commit().await?;
        Ok(count)
    }
}
