//! Whether each tenant's audit log is one chain, from its first entry to its last.

use domain::id::{AuditId, TenantId};
use jiff::Timestamp;
use store::rows::{AuditChain, AuditEntry};

use super::{Doctor, Finding};
use crate::{
    Engine, Error,
    audit::{digest, link},
};

/// Entries read at once.
const PAGE: u64 = 1_000;

/// How far a chain was followed, from its first entry on.
pub(crate) struct Followed {
    /// Entries that are as they were written.
    pub(crate) entries: i64,
    /// Where it breaks. What comes after cannot be judged.
    pub(crate) problem: Option<String>,
    /// There was no time for the rest.
    pub(crate) is_unfinished: bool,
}

impl Doctor<'_> {
    /// Follows every chain.
    pub(super) async fn chains(&mut self) -> Result<(), Error> {
        let tenants = self.engine.store.snapshot().await?.catalogue_revisions().await?;
        for tenant in tenants.into_keys() {
            if let Some(problem) = self.engine.follow_audit(tenant, None).await?.problem {
                self.findings.insert(Finding::new(7, tenant, problem));
            }
        }
        Ok(())
    }
}

impl Engine {
    /// Follows a tenant's chain to its end, or until then. Entries never change, so each page may be of another moment; the last
    /// one is of the same as the end that it is compared with.
    pub(crate) async fn follow_audit(&self, tenant: TenantId, until: Option<Timestamp>) -> Result<Followed, Error> {
        let mut at = AuditChain::begin(tenant);
        let followed =
            |at: &AuditChain, problem, is_unfinished| Followed { entries: at.sequence, problem, is_unfinished };
        loop {
            let snapshot = self.store.snapshot().await?;
            let page = snapshot.audit_after(tenant, at.sequence, PAGE).await?;
            if page.is_empty() {
                let end = snapshot.audit_chain(tenant).await?;
                let problem = (at != end).then(|| {
                    format!("the audit log ends with entry {}, and {} were written", at.sequence, end.sequence)
                });
                return Ok(followed(&at, problem, false));
            }
            let erased = snapshot.audit_erasures(page.iter().map(|entry| entry.id).collect()).await?;
            for entry in &page {
                let digest = erased.get(&entry.id).cloned().unwrap_or_else(|| digest(&entry.detail));
                if let Err(problem) = follow(&mut at, entry, &digest) {
                    return Ok(followed(&at, Some(problem), false));
                }
            }
            if until.is_some_and(|until| self.now() > until) {
                return Ok(followed(&at, None, true));
            }
        }
    }
}

/// One link further; `digest` is that of what the entry said when it was written.
fn follow(at: &mut AuditChain, entry: &AuditEntry, digest: &[u8]) -> Result<(), String> {
    let next = at.sequence + 1;
    if entry.sequence != next {
        return Err(format!("entry {next} of the audit log is missing"));
    }
    let link = link(&at.link, next, entry, digest);
    if link != entry.chain {
        return Err(format!("entry {next} of the audit log ({}) is not what was written", AuditId(entry.id)));
    }
    at.sequence = next;
    at.link = link;
    Ok(())
}
