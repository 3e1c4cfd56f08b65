//! Whether each event is on its way to each address that wants it.

use domain::{
    event::EventKind,
    id::{EventId, TenantId, WebhookEndpointId},
    time::after,
};
use jiff::SignedDuration;
use store::{
    lists::Whose,
    rows::{Event, WebhookEndpoint},
};
use uuid::Uuid;

use super::{Doctor, Finding, LATE, PAGE};
use crate::{
    Error,
    webhooks::{self, Wanted, kept_days},
};

/// What is about to be forgotten may have been.
const FORGETTING: SignedDuration = SignedDuration::from_hours(24);

impl Doctor<'_> {
    /// Secrets of addresses, and a delivery for each event that one wants since it wants such.
    pub(super) async fn webhooks(&mut self) -> Result<(), Error> {
        let ring = self.engine.ring();
        let tenants = self.engine.store.tenants().await?;
        for endpoint in self.engine.store.snapshot().await?.webhook_endpoints().await? {
            if let Err(error) = webhooks::open(&endpoint, &ring) {
                let subject = format!("webhook endpoint `{}`", endpoint.code);
                self.findings.insert(Finding::new(0, subject, format!("its secrets do not open: {error}")));
            }
            let tenant = tenants.iter().find(|row| row.id == endpoint.tenant_id);
            let kept = SignedDuration::from_hours(24 * i64::from(tenant.map_or(webhooks::KEPT_DAYS, kept_days)));
            self.undelivered(&endpoint, kept).await?;
        }
        Ok(())
    }

    async fn undelivered(&mut self, endpoint: &WebhookEndpoint, kept: SignedDuration) -> Result<(), Error> {
        let whose = Whose { tenant: TenantId(endpoint.tenant_id), livemode: endpoint.livemode };
        // What was being written just when it was made, or when its filter changed, need not know of it.
        let wanted_since = after(webhooks::instant(endpoint.wants_since), LATE);
        let since = wanted_since.max(after(self.engine.now(), FORGETTING - kept));
        let filter = Wanted::by(endpoint);
        let wants = |event: &&Event| event.kind.parse::<EventKind>().is_ok_and(|kind| filter.has(kind));
        let mut behind = Uuid::nil();
        loop {
            let snapshot = self.engine.store.snapshot().await?;
            let page = snapshot.events_after(whose, since, behind, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            behind = last.id;
            let wanted: Vec<Uuid> = page.iter().filter(wants).map(|event| event.id).collect();
            let written = snapshot.with_delivery(WebhookEndpointId(endpoint.id), wanted.clone()).await?;
            let missing: Vec<Uuid> = wanted.into_iter().filter(|id| !written.contains(id)).collect();
            // It may have gone meanwhile, or want something else.
            let is_same = |row: &WebhookEndpoint| row.id == endpoint.id && row.wants_since == endpoint.wants_since;
            if !missing.is_empty() && !snapshot.webhook_endpoints().await?.iter().any(is_same) {
                return Ok(());
            }
            for id in missing {
                let problem = format!("the webhook endpoint `{}` wants it, and no delivery was written", endpoint.code);
                self.findings.insert(Finding::new(3, EventId(id), problem));
            }
        }
    }
}
