//! What stays held when everything else leaves again.

use domain::{
    Entropy,
    id::{AttentionId, TenantId},
};
use jiff::Timestamp;
use store::{deliveries, outbox, rows::AttentionItem};

use crate::outgoing::Held;

/// The item for mails that waited when everything was held. It closes when they are released.
pub(crate) fn mails_that_waited(
    held: Held,
    tenant: TenantId,
    now: Timestamp,
    entropy: &mut dyn Entropy,
) -> AttentionItem {
    let detail = format!(
        "mails waited {}, and may have left already: they stay held; look at them, then send them with `keywright mail release`",
        when(held)
    );
    let (id, about) = (AttentionId::new(now, entropy), (outbox::HELD_AS_OLD, tenant.to_string()));
    AttentionItem::new(id, tenant, about, detail, now)
}

/// The item for deliveries that waited then. It closes when nothing is held any more for an address that is called.
pub(crate) fn deliveries_that_waited(
    held: Held,
    tenant: TenantId,
    now: Timestamp,
    entropy: &mut dyn Entropy,
) -> AttentionItem {
    let detail = format!(
        "events for webhook endpoints waited {}, and may have arrived already: they stay held; look at them, then release them \
         at their endpoint",
        when(held)
    );
    let (id, about) = (AttentionId::new(now, entropy), (deliveries::HELD_AT_RELEASE, tenant.to_string()));
    AttentionItem::new(id, tenant, about, detail, now)
}

fn when(held: Held) -> String {
    held.backup_of.map_or("when everything was held".to_owned(), |at| {
        format!("in the backup of {} from which this was restored", at.strftime("%Y-%m-%d %H:%M UTC"))
    })
}
