//! What keeps events from arriving, in words a person can act on. One item for each address.

use domain::{
    Entropy,
    id::{AttentionId, WebhookEndpointId},
};
use jiff::Timestamp;
use store::rows::{AttentionItem, WebhookEndpoint};

pub use store::webhook_endpoints::attention::{DELIVERIES_DEAD, ENDPOINT_DISABLED, ENDPOINT_FAILING};

pub(super) fn endpoint_failing(row: &WebhookEndpoint, now: Timestamp, entropy: &mut dyn Entropy) -> AttentionItem {
    let since = row.failing_since.and_then(|since| Timestamp::from_microsecond(since).ok()).unwrap_or(now);
    let detail = format!(
        "nothing has arrived at the webhook endpoint `{}` since {since}: in a day it is not called any more, and its events are \
         held; see what it answers in its deliveries, and mend it or pause it",
        row.code
    );
    item(ENDPOINT_FAILING, row, detail, now, entropy)
}

pub(super) fn endpoint_unopened(
    row: &WebhookEndpoint,
    problem: &str,
    now: Timestamp,
    entropy: &mut dyn Entropy,
) -> AttentionItem {
    let detail = format!(
        "the webhook endpoint `{}` cannot be called: {problem}; its events wait until it can, which is tried every minute; or \
         remove it and make it anew",
        row.code
    );
    item(ENDPOINT_FAILING, row, detail, now, entropy)
}

pub(super) fn endpoint_disabled(row: &WebhookEndpoint, now: Timestamp, entropy: &mut dyn Entropy) -> AttentionItem {
    let reason = row.reason.as_deref().unwrap_or_default();
    let detail = format!(
        "the webhook endpoint `{}` is not called any more: {reason}; its events are held: enable it once it works and release \
         them, or remove it",
        row.code
    );
    item(ENDPOINT_DISABLED, row, detail, now, entropy)
}

pub(super) fn deliveries_dead(row: &WebhookEndpoint, now: Timestamp, entropy: &mut dyn Entropy) -> AttentionItem {
    let detail = format!(
        "events for the webhook endpoint `{}` were given up after all their tries; see what it answered in its deliveries, \
         then deliver them again with `keywright recover {} --since …`",
        row.code, row.code
    );
    item(DELIVERIES_DEAD, row, detail, now, entropy)
}

fn item(kind: &str, row: &WebhookEndpoint, detail: String, now: Timestamp, entropy: &mut dyn Entropy) -> AttentionItem {
    AttentionItem {
        id: AttentionId::new(now, entropy).0,
        tenant_id: row.tenant_id,
        livemode: Some(row.livemode),
        kind: kind.to_owned(),
        subject: WebhookEndpointId(row.id).to_string(),
        lookup: None,
        connection_id: None,
        order_id: None,
        inbound_id: None,
        detail,
        opened_at: now.as_microsecond(),
        closed_at: None,
        dismissed_at: None,
        told_at: None,
    }
}
