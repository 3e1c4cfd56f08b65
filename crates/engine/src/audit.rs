//! The audit log's chain: each entry is numbered and chained to the one before it of its tenant, in the transaction of
//! what it tells. There is no moment at which an entry stands outside the chain (docs/decisions/0001).
//!
//! Each link is SHA-256 over the link before it and the entry's own content, every field with its length in front. An
//! entry that is changed, removed, or put in later breaks the chain. Of what it says in words only the digest stands in the
//! link, so that words about a person can be taken out, which says so of itself, and the chain holds (docs/decisions/0007).

use std::collections::BTreeSet;

use domain::{
    id::{AuditId, OrderId, TenantId},
    time::after,
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use store::{
    Write,
    rows::{AuditChain, AuditEntry},
};

use crate::{Engine, Error, doctor::chain::Followed, rulings::By};

/// How long a chain is followed while somebody waits for it.
const FOLLOWED_FOR: SignedDuration = SignedDuration::from_secs(20);

/// What came of following a tenant's chain from its first entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditVerified {
    /// When it was followed.
    pub at: Timestamp,
    /// Entries that are as they were written.
    pub entries: i64,
    /// Where it breaks. What comes after cannot be judged.
    pub problem: Option<String>,
    /// The log is so long that there was no time for the rest.
    pub is_unfinished: bool,
}

fn verified_setting(tenant: TenantId) -> String {
    format!("audit-verified-{tenant}")
}

/// The digest of what an entry says in words.
#[must_use]
pub(crate) fn digest(detail: &str) -> Vec<u8> {
    Sha256::digest(detail.as_bytes()).to_vec()
}

/// The link of an entry that stands at `sequence` behind `before`; `digest` is that of what it said when it was written.
#[must_use]
pub(crate) fn link(before: &[u8], sequence: i64, entry: &AuditEntry, digest: &[u8]) -> Vec<u8> {
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
        digest,
        &[order.into_bytes(), license.into_bytes()].concat(),
    ];
    for field in fields {
        hash.update((field.len() as u64).to_be_bytes());
        hash.update(field);
    }
    hash.finalize().to_vec()
}

impl Engine {
    /// Follows a tenant's chain from its first entry, for twenty seconds at most, and keeps what came of it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn verify_audit(&self, tenant: TenantId) -> Result<AuditVerified, Error> {
        let at = self.now();
        let Followed { entries, problem, is_unfinished } =
            self.follow_audit(tenant, Some(after(at, FOLLOWED_FOR))).await?;
        let verified = AuditVerified { at, entries, problem, is_unfinished };
        let text = serde_json::to_string(&verified).map_err(Error::Document)?;
        let once = || async {
            let write = self.store.begin().await?;
            write.save_setting(&verified_setting(tenant), text.clone()).await?;
            Ok(write.commit().await?)
        };
        store::repeat(once, Error::is_conflict).await?;
        Ok(verified)
    }

    /// What came of it the last time; none: it was never followed on demand.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn audit_verified(&self, tenant: TenantId) -> Result<Option<AuditVerified>, Error> {
        let text = self.store.setting(&verified_setting(tenant)).await?;
        text.map(|text| serde_json::from_str(&text)).transpose().map_err(Error::Document)
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
        end.link = link(&end.link, end.sequence, entry, &digest(&entry.detail));
        entry.sequence = end.sequence;
        entry.chain.clone_from(&end.link);
    }
    write.add_audit(entries).await?;
    Ok(write.save_audit_chains(ends.into_values().collect()).await?)
}
