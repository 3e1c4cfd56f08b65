//! The audit log.

use axum::{Json, extract::State};
use domain::id::{AuditId, LicenseId, OrderId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::{
    lists::{AuditFilter, Whose},
    rows::AuditEntry,
};
use utoipa::{IntoParams, ToSchema};

use super::instant;
use crate::{
    Api,
    caller::{Allowed, scope},
    page::{List, Listable, Listing, PageParams},
    problem::Problem,
};

/// Something that was changed, by whom, and its place in the chain.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(crate) struct AuditDocument {
    #[schema(example = "aud_01kag0000000000000000000000")]
    id: String,
    /// None: it is not about an order, and belongs to both modes.
    livemode: Option<bool>,
    occurred_at: Timestamp,
    /// Who: a connection as `provider:code`, an API key as `key:…`, `time`, `cli`.
    #[schema(example = "stripe:main")]
    actor: String,
    #[schema(example = "license.issued")]
    action: String,
    /// The id of what was changed.
    subject: String,
    order: Option<String>,
    license: Option<String>,
    #[schema(value_type = Object)]
    detail: serde_json::Value,
    /// Its number in the tenant's chain, from 1 and without a gap.
    sequence: i64,
    /// Its link: SHA-256 over the link before it and its own content, in hexadecimal.
    chain: String,
}

impl Listable for AuditDocument {
    fn id(&self) -> &str {
        &self.id
    }
}

impl AuditDocument {
    pub(super) fn new(row: AuditEntry, whose: Whose) -> Self {
        Self {
            id: AuditId(row.id).to_string(),
            livemode: row.order_id.map(|_| whose.livemode),
            occurred_at: instant(row.occurred_at),
            actor: row.actor,
            action: row.action,
            subject: row.subject,
            order: row.order_id.map(|id| OrderId(id).to_string()),
            license: row.license_id.map(|id| LicenseId(id).to_string()),
            detail: serde_json::from_str(&row.detail).unwrap_or_default(),
            sequence: row.sequence,
            chain: hex::encode(row.chain),
        }
    }
}

/// Which entries.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditParams {
    /// About this order and its licenses.
    #[param(value_type = Option<String>)]
    order: Option<OrderId>,
    /// About this license.
    #[param(value_type = Option<String>)]
    license: Option<LicenseId>,
}

/// Lists what was changed.
#[utoipa::path(get, path = "/v1/audit-entries", tag = "audit", operation_id = "list_audit_entries",
    params(PageParams, AuditParams), security(("api_key" = ["audit:read"])),
    responses((status = 200, body = List<AuditDocument>)))]
pub(crate) async fn list(
    State(api): State<Api>,
    caller: Allowed<scope::AuditRead>,
    listing: Listing<AuditId, AuditParams>,
) -> Result<Json<List<AuditDocument>>, Problem> {
    let whose = caller.whose();
    let AuditParams { order, license } = listing.filter;
    let listed = api
        .engine
        .store
        .list_audit(whose, &AuditFilter { order, license, ..AuditFilter::default() }, listing.page)
        .await?;
    Ok(Json(List::new(listed.map(|row| AuditDocument::new(row, whose)), listing.page)))
}
