//! What stays held when everything else leaves again.

use domain::{
    Entropy,
    id::{AttentionId, TenantId},
};
use jiff::Timestamp;
use store::{deliveries, outbox, rows::AttentionItem};

use crate::outgoing::Held;

/// What waited when everything was held, and is still held.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Waited {
    /// Mails. Their item closes when they are released.
    Mails,
    /// Deliveries. Theirs closes when nothing is held any more for an address that is called.
    Deliveries,
}

/// The item for what stays held at a vendor.
pub(crate) fn that_waited(
    what: Waited,
    held: Held,
    tenant: TenantId,
    now: Timestamp,
    entropy: &mut dyn Entropy,
) -> AttentionItem {
    let when = when(held);
    let (kind, detail) = match what {
        Waited::Mails => (
            outbox::HELD_AS_OLD,
            format!(
                "mails waited {when}, and may have left already: they stay held; look at them, then send them with `keywright \
                 mail release`"
            ),
        ),
        Waited::Deliveries => (
            deliveries::HELD_AT_RELEASE,
            format!(
                "events for webhook endpoints waited {when}, and may have arrived already: they stay held; look at them, then \
                 release them at their endpoint"
            ),
        ),
    };
    AttentionItem::new(AttentionId::new(now, entropy), tenant, (kind, tenant.to_string()), detail, now)
}

fn when(held: Held) -> String {
    held.backup_of.map_or("when everything was held".to_owned(), |at| {
        format!("in the backup of {} from which this was restored", at.strftime("%Y-%m-%d %H:%M UTC"))
    })
}
