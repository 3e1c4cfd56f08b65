//! What is played is written down in the audit log, as whatever people do.

use domain::id::{AuditId, TenantId};
use engine::Engine;
use serde_json::Value;
use store::rows::AuditEntry;

use crate::entropy::ThreadEntropy;

/// An entry of now, about no order.
pub(crate) fn entry(engine: &Engine, tenant: TenantId, (actor, action): (&str, &str), subject: String) -> AuditEntry {
    let now = engine.now();
    AuditEntry {
        id: AuditId::new(now, &mut ThreadEntropy).0,
        tenant_id: tenant.0,
        occurred_at: now.as_microsecond(),
        actor: actor.to_owned(),
        action: action.to_owned(),
        subject,
        order_id: None,
        license_id: None,
        detail: "{}".to_owned(),
        // Numbered and chained when it is added.
        sequence: 0,
        chain: Vec::new(),
    }
}

/// An entry with what else there is to say.
pub(crate) fn with(entry: AuditEntry, detail: &Value) -> AuditEntry {
    AuditEntry { detail: detail.to_string(), ..entry }
}

/// Writes entries down.
///
/// # Errors
/// Those of the database.
pub(crate) async fn write_down(engine: &Engine, entries: Vec<AuditEntry>) -> anyhow::Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let write = engine.store.begin().await?;
    engine::audit::add(&write, entries).await?;
    Ok(write.commit().await?)
}
