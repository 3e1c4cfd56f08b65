//! Whether each event is on its way to each address that wants it.

use domain::{
    event::WantedKinds,
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
    Engine, Error,
    retention::{KEPT_DAYS, kept_days},
    webhooks,
};

/// What is about to be forgotten may have been.
const FORGETTING: SignedDuration = SignedDuration::from_hours(24);

impl Engine {
    /// Where nobody would hear that webhooks do not arrive: each tenant, by its slug, and mode that has webhook endpoints and no
    /// alert channel.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn unwatched_webhooks(&self) -> Result<Vec<(String, bool)>, Error> {
        let mut unwatched = Vec::new();
        for row in self.store.tenants().await? {
            let endpoints = self.store.webhook_endpoints(TenantId(row.id)).await?;
            let channels = self.store.alert_channels(TenantId(row.id)).await?;
            for livemode in [true, false] {
                let is_called = endpoints.iter().any(|endpoint| endpoint.livemode == livemode);
                if is_called && !channels.iter().any(|channel| channel.livemode == livemode) {
                    unwatched.push((row.slug.clone(), livemode));
                }
            }
        }
        Ok(unwatched)
    }
}

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
            let kept = SignedDuration::from_hours(24 * i64::from(tenant.map_or(KEPT_DAYS, kept_days)));
            self.undelivered(&endpoint, kept).await?;
        }
        Ok(())
    }

    async fn undelivered(&mut self, endpoint: &WebhookEndpoint, kept: SignedDuration) -> Result<(), Error> {
        let whose = Whose { tenant: TenantId(endpoint.tenant_id), livemode: endpoint.livemode };
        // What was being written just when it was made, or when its filter changed, need not know of it.
        let wanted_since = after(webhooks::instant(endpoint.wants_since), LATE);
        let since = wanted_since.max(after(self.engine.now(), FORGETTING - kept));
        let wanted_kinds = WantedKinds::stored(&endpoint.kinds);
        let wants = |event: &&Event| wanted_kinds.has_word(&event.kind);
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
