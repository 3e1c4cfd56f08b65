//! One delivery once more, and examples.

use domain::{
    event::{EventKind, sample},
    id::{DeliveryId, EventId, TenantId, WebhookEndpointId},
};
use serde_json::json;
use store::{
    StoreError, Write,
    deliveries::{HELD_AT_RELEASE, cause, status},
    lists::Whose,
    rows::{Delivery, Event, WebhookEndpoint},
    webhook_endpoints::attention::DELIVERIES_DEAD,
};

use super::{Change, Done, WebhookError};
use crate::{
    Engine,
    events::{self, News},
    rulings::By,
};

impl Engine {
    /// Delivers an event once more, with the same id and body. One that is still tried is tried now, and stays on its
    /// schedule if that fails; one that arrived, was held or given up has all its tries again.
    ///
    /// # Errors
    /// There is no such delivery, its address is not enabled, or those of the database.
    pub async fn redeliver(&self, whose: Whose, id: DeliveryId, by: &By) -> Result<Delivery, WebhookError> {
        let found = self.store.delivery(whose, id).await?.ok_or(WebhookError::NoDelivery(id))?;
        let endpoint = WebhookEndpointId(found.endpoint_id);
        self.change_endpoint(whose, endpoint, &Change::Redeliver(&found), by).await?;
        self.store.delivery(whose, id).await?.ok_or(WebhookError::NoDelivery(id))
    }

    /// Delivers an example of an event to one address, whether it wants events of that kind or not. Nothing happened, and
    /// it says so.
    ///
    /// # Errors
    /// There is no such address, it is not enabled, or those of the database.
    pub async fn send_example(
        &self,
        whose: Whose,
        id: WebhookEndpointId,
        kind: EventKind,
        by: &By,
    ) -> Result<Delivery, WebhookError> {
        let now = self.now();
        let data = domain::event::EventData { example: true, ..sample(kind) };
        let news = News {
            tenant: whose.tenant,
            livemode: whose.livemode,
            kind,
            license: None,
            order: None,
            customer: None,
            data,
        };
        let event = news.row(now, &mut *self.entropy())?;
        let delivery = events::delivery(id.0, &event, cause::EXAMPLE, now, &mut *self.entropy());
        self.change_endpoint(whose, id, &Change::Example(&event, &delivery), by).await?;
        Ok(delivery)
    }

    pub(super) async fn try_again(
        &self,
        write: &Write,
        row: WebhookEndpoint,
        found: &Delivery,
    ) -> Result<Done, WebhookError> {
        let id = DeliveryId(found.id);
        let before = write.lock_deliveries(WebhookEndpointId(row.id), vec![found.event_id]).await?.pop();
        let before = before.ok_or(WebhookError::NoDelivery(id))?;
        write.save_deliveries(vec![once_more(before, cause::MANUAL, self.now().as_microsecond())]).await?;
        self.close_if_none_dead(write, &row).await?;
        let detail = json!({ "delivery": id, "event": EventId(found.event_id) });
        Ok(Done { row, action: "delivery.redelivered", detail, count: 1 })
    }

    /// Nothing is told of deliveries that were given up once there are none.
    pub(super) async fn close_if_none_dead(&self, write: &Write, row: &WebhookEndpoint) -> Result<(), StoreError> {
        let id = WebhookEndpointId(row.id);
        if !write.has_dead_deliveries(id).await? {
            let tenant = TenantId(row.tenant_id);
            write.close_items_about(tenant, DELIVERIES_DEAD, vec![id.to_string()], self.now()).await?;
        }
        Ok(())
    }

    /// Nothing is told of deliveries that waited when everything was held, once none waits where it could go.
    pub(super) async fn close_if_none_held(&self, write: &Write, tenant: TenantId) -> Result<(), StoreError> {
        if !write.has_held_deliveries(tenant).await? {
            write.close_items_about(tenant, HELD_AT_RELEASE, vec![tenant.to_string()], self.now()).await?;
        }
        Ok(())
    }
}

pub(super) async fn add_example(
    write: &Write,
    row: WebhookEndpoint,
    event: &Event,
    delivery: &Delivery,
) -> Result<Done, WebhookError> {
    write.add_events(vec![event.clone()]).await?;
    write.add_deliveries(vec![delivery.clone()]).await?;
    let detail = json!({ "kind": event.kind, "event": EventId(event.id) });
    Ok(Done { row, action: "webhook_endpoint.example_sent", detail, count: 1 })
}

/// A delivery that is tried at a moment, for another cause than before.
pub(super) fn once_more(row: Delivery, cause: &str, at: i64) -> Delivery {
    let attempts = if row.status == status::PENDING { row.attempts } else { 0 };
    Delivery {
        status: status::PENDING.to_owned(),
        cause: cause.to_owned(),
        attempts,
        next_attempt_at: Some(at),
        done_at: None,
        ..row
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn only_what_was_over_has_all_its_tries_again() {
        let row = |status: &str| Delivery {
            id: Uuid::nil(),
            tenant_id: Uuid::nil(),
            endpoint_id: Uuid::nil(),
            event_id: Uuid::nil(),
            license_id: None,
            status: status.to_owned(),
            cause: cause::EVENT.to_owned(),
            attempts: 4,
            next_attempt_at: None,
            last_status: Some(503),
            error: Some("it answered 503".to_owned()),
            created_at: 0,
            done_at: Some(9),
        };
        for (before, attempts) in [(status::PENDING, 4), (status::DEAD, 0), (status::HELD, 0), (status::DELIVERED, 0)] {
            let after = once_more(row(before), cause::MANUAL, 5);
            assert_eq!((after.attempts, after.next_attempt_at, after.done_at), (attempts, Some(5), None), "{before}");
            assert_eq!((after.status.as_str(), after.cause.as_str()), (status::PENDING, cause::MANUAL), "{before}");
            assert_eq!(after.last_status, Some(503), "what it answered last is still known: {before}");
        }
    }
}
