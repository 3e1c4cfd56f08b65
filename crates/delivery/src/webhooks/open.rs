//! Opening addresses, and what is told of one that does not open.

use std::collections::BTreeMap;

use domain::id::{TenantId, WebhookEndpointId};
use jiff::Timestamp;
use store::{rows::WebhookEndpoint, webhook_endpoints::status};
use uuid::Uuid;

use super::{
    WebhookWorker,
    attention::{self, ENDPOINT_FAILING},
    endpoint::Endpoint,
    lanes::Lanes,
};
use crate::Error;

/// What opening addresses led to: why they do not open; none: they do again.
type Opened = BTreeMap<Uuid, Option<String>>;

impl WebhookWorker {
    /// Opens addresses that are this node's, where they are not open as they are now.
    pub(super) async fn open(
        &self,
        lanes: &mut Lanes,
        rows: Vec<WebhookEndpoint>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let ring = self.parts.ring.get();
        let mut news = Opened::new();
        for mut row in rows {
            let id = row.id;
            let leased_until = row.lease_until.take().and_then(|until| Timestamp::from_microsecond(until).ok());
            let leased_until = leased_until.unwrap_or(now);
            row.lease_token = None;
            if let Some(lane) = lanes.lanes.get_mut(&id)
                && lane.endpoint.row == row
            {
                lane.leased_until = leased_until;
                continue;
            }
            if row.reason.is_some() {
                news.insert(id, None);
            }
            match Endpoint::open(row, &ring) {
                Ok(endpoint) => lanes.opened(id, endpoint, leased_until),
                Err(problem) => {
                    lanes.not_opened(id, now);
                    news.insert(id, Some(problem));
                }
            }
        }
        if news.is_empty() {
            return Ok(());
        }
        store::repeat(|| self.tell_opened(&news, lanes.token, now), Error::is_conflict).await
    }

    /// Writes down which addresses do not open, or do again. Another node may have the master key that this one lacks: it gets
    /// them.
    async fn tell_opened(&self, news: &Opened, token: Uuid, now: Timestamp) -> Result<(), Error> {
        let write = self.parts.store.begin().await?;
        let (mut saved, mut opened) = (Vec::new(), Vec::new());
        for row in write.lock_endpoints(news.keys().copied().collect()).await? {
            if row.lease_token != Some(token) || row.status != status::ENABLED {
                continue;
            }
            let endpoint = WebhookEndpointId(row.id);
            match &news[&row.id] {
                Some(problem) => {
                    if row.reason.is_none() {
                        tracing::error!(%endpoint, problem, "a webhook endpoint cannot be opened; it is tried again");
                        opened.push(attention::endpoint_unopened(
                            &row,
                            problem,
                            now,
                            &mut *self.parts.entropy.entropy(),
                        ));
                    }
                    let reason = Some(format!("it cannot be called: {problem}"));
                    saved.push(WebhookEndpoint { reason, lease_token: None, lease_until: None, ..row });
                }
                None => {
                    // Of one at which nothing arrives for another reason, the item stays.
                    if row.warned_at.is_none() {
                        let (tenant, subject) = (TenantId(row.tenant_id), endpoint.to_string());
                        write.close_items_about(tenant, ENDPOINT_FAILING, vec![subject], now).await?;
                    }
                    saved.push(WebhookEndpoint { reason: None, ..row });
                }
            }
        }
        write.save_endpoints(saved).await?;
        write.open_items(opened).await?;
        Ok(write.commit().await?)
    }
}
