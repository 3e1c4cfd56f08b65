//! The audit log's chain: each entry is numbered and chained to the one before it of its tenant, in the transaction of
//! what it tells. There is no moment at which an entry stands outside the chain (docs/decisions/0001).
//!
//! Each link is SHA-256 over the link before it and the entry's own content, every field with its length in front. An
//! entry that is changed, removed, or put in later breaks the chain.

use std::collections::BTreeSet;

use domain::id::{AuditId, OrderId, TenantId};
use sha2::{Digest, Sha256};
use store::{
    Write,
    rows::{AuditChain, AuditEntry},
};

use crate::{Engine, Error, rulings::By};

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
            // Numbered and chained when it is added.
            sequence: 0,
            chain: Vec::new(),
        }
    }
}

/// Adds entries in the transaction of what they tell, as late in it as can be: until it ends, nobody else adds to the
/// chains of these tenants.
///
/// # Errors
/// Those of the database.
pub async fn add(write: &Write, mut entries: Vec<AuditEntry>) -> Result<(), Error> {
    let tenants: BTreeSet<TenantId> = entries.iter().map(|entry| TenantId(entry.tenant_id)).collect();
    let mut ends = write.lock_audit_chains(&tenants).await?;
    for entry in &mut entries {
        let end = ends.entry(entry.tenant_id).or_insert_with(|| AuditChain::begin(TenantId(entry.tenant_id)));
        end.sequence += 1;
        end.link = link(&end.link, end.sequence, entry);
        entry.sequence = end.sequence;
        entry.chain.clone_from(&end.link);
    }
    write.add_audit(entries).await?;
    Ok(write.save_audit_chains(ends.into_values().collect()).await?)
}
