//! What needs a person.

use axum::{Json, extract::State};
use domain::id::{AttentionId, ConnectionId, InboundId, OrderId};
use jiff::Timestamp;
use serde::Serialize;
use store::rows::AttentionItem;
use utoipa::ToSchema;

use super::{NoteBody, instant, note};
use crate::{
    Api,
    caller::{Allowed, scope},
    page::{List, Listable, Listing},
    problem::Problem,
    read::{Id, MaybeBody},
};

/// Something that keeps a paid order from being complete. It closes by itself when its cause is gone.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AttentionItem)]
pub(crate) struct AttentionDocument {
    #[schema(example = "att_01kag0000000000000000000000")]
    id: String,
    /// None: it belongs to both modes.
    livemode: Option<bool>,
    /// What kind of thing.
    #[schema(example = "unmapped_price")]
    kind: String,
    /// What it is about: one item is open for it at most.
    subject: String,
    connection: Option<String>,
    order: Option<String>,
    inbound_event: Option<String>,
    /// What is wrong, and what to do.
    detail: String,
    opened_at: Timestamp,
    closed_at: Option<Timestamp>,
    dismissed_at: Option<Timestamp>,
}

impl Listable for AttentionDocument {
    fn id(&self) -> &str {
        &self.id
    }
}

impl AttentionDocument {
    pub(super) fn new(row: AttentionItem) -> Self {
        Self {
            id: AttentionId(row.id).to_string(),
            livemode: row.livemode,
            kind: row.kind,
            subject: row.subject,
            connection: row.connection_id.map(|id| ConnectionId(id).to_string()),
            order: row.order_id.map(|id| OrderId(id).to_string()),
            inbound_event: row.inbound_id.map(|id| InboundId(id).to_string()),
            detail: row.detail,
            opened_at: instant(row.opened_at),
            closed_at: row.closed_at.map(instant),
            dismissed_at: row.dismissed_at.map(instant),
        }
    }
}

/// Lists what is open and was not dismissed.
#[utoipa::path(get, path = "/v1/attention-items", tag = "attention", operation_id = "list_attention_items",
    params(crate::page::PageParams), security(("api_key" = ["event:read"])),
    responses((status = 200, body = List<AttentionDocument>)))]
pub(crate) async fn list(
    State(api): State<Api>,
    caller: Allowed<scope::EventRead>,
    listing: Listing<AttentionId>,
) -> Result<Json<List<AttentionDocument>>, Problem> {
    let listed = api.engine.store.list_attention(caller.whose(), listing.page).await?;
    Ok(Json(List::new(listed.map(AttentionDocument::new), listing.page)))
}

/// One item, open or not.
#[utoipa::path(get, path = "/v1/attention-items/{id}", tag = "attention", operation_id = "get_attention_item",
    params(("id" = String, Path)), security(("api_key" = ["event:read"])),
    responses((status = 200, body = AttentionDocument)))]
pub(crate) async fn get(
    State(api): State<Api>,
    caller: Allowed<scope::EventRead>,
    Id(id): Id<AttentionId>,
) -> Result<Json<AttentionDocument>, Problem> {
    let item = api.engine.store.attention_item(caller.whose(), id).await?;
    item.map(|item| Json(AttentionDocument::new(item))).ok_or_else(|| Problem::not_found(id))
}

/// Lays an item aside. It does not come back for the same cause. Doing it twice changes nothing.
#[utoipa::path(post, path = "/v1/attention-items/{id}/dismiss", tag = "attention",
    operation_id = "dismiss_attention_item", params(("id" = String, Path)), request_body = Option<NoteBody>,
    security(("api_key" = ["event:write"])), responses((status = 200, body = AttentionDocument)))]
pub(crate) async fn dismiss(
    State(api): State<Api>,
    caller: Allowed<scope::EventWrite>,
    Id(id): Id<AttentionId>,
    MaybeBody(body): MaybeBody<NoteBody>,
) -> Result<Json<AttentionDocument>, Problem> {
    let item = api.engine.dismiss(caller.whose(), id, &caller.by(note(body.note)?)).await?;
    item.map(|item| Json(AttentionDocument::new(item))).ok_or_else(|| Problem::not_found(id))
}
