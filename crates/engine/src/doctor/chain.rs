//! Whether each tenant's audit log is one chain, from its first entry to its last.

use domain::id::{AuditId, TenantId};
use store::rows::{AuditChain, AuditEntry};

use super::{Doctor, Finding};
use crate::{Error, audit::link};

/// Entries read at once.
const PAGE: u64 = 1_000;

impl Doctor<'_> {
    /// Follows every chain. Entries never change, so each page may be of another moment; the last one is of the same as
    /// the end that it is compared with.
    pub(super) async fn chains(&mut self) -> Result<(), Error> {
        let tenants = self.engine.store.snapshot().await?.catalogue_revisions().await?;
        for tenant in tenants.into_keys() {
            if let Some(problem) = self.broken(tenant).await? {
                self.findings.insert(Finding::new(7, tenant, problem));
            }
        }
        Ok(())
    }

    /// Where a chain breaks first. What comes after cannot be judged.
    async fn broken(&self, tenant: TenantId) -> Result<Option<String>, Error> {
        let mut at = AuditChain::begin(tenant);
        loop {
            let snapshot = self.engine.store.snapshot().await?;
            let page = snapshot.audit_after(tenant, at.sequence, PAGE).await?;
            if page.is_empty() {
                let end = snapshot.audit_chain(tenant).await?;
                return Ok((at != end).then(|| {
                    format!("the audit log ends with entry {}, and {} were written", at.sequence, end.sequence)
                }));
            }
            for entry in &page {
                if let Err(problem) = follow(&mut at, entry) {
                    return Ok(Some(problem));
                }
            }
        }
    }
}

/// One link further.
fn follow(at: &mut AuditChain, entry: &AuditEntry) -> Result<(), String> {
    let next = at.sequence + 1;
    if entry.sequence != next {
        return Err(format!("entry {next} of the audit log is missing"));
    }
    let link = link(&at.link, next, entry);
    if link != entry.chain {
        return Err(format!("entry {next} of the audit log ({}) is not what was written", AuditId(entry.id)));
    }
    at.sequence = next;
    at.link = link;
    Ok(())
}
