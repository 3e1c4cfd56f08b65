//! The ways by which alerts reach people: their addresses are sealed, since they may hold tokens.

use crypto::{
    ring::KeyRing,
    seal::{Place, SealError, sealed_by},
    webhook::AlertTarget,
};
use domain::{
    alert::{ALERTS_FAILING, ChannelKind, TEST},
    id::{AlertChannelId, AlertId, TenantId},
    text::EmailAddress,
};
use serde_json::json;
use store::{
    Write,
    alerts::status,
    lists::Whose,
    rows::{Alert, AlertChannel},
};

use crate::{Engine, Error, rulings::By};

/// Opens where a channel leads.
///
/// # Errors
/// The ring has not the key, or the row was tampered with.
pub fn open_target(row: &AlertChannel, ring: &KeyRing) -> Result<AlertTarget, SealError> {
    let text = ring.open(Place::alert_channel(TenantId(row.tenant_id), row.id), &row.sealed)?;
    serde_json::from_slice(&text).map_err(|_| SealError::Refused)
}

/// What may be shown of an address: the host of one that is called, and the domain of a mailbox with its first letter.
pub(crate) fn hint(kind: ChannelKind, to: &str) -> String {
    let called = || url::Url::parse(to).ok()?.host_str().map(str::to_owned);
    match kind {
        ChannelKind::Mail => EmailAddress::parse(to).map(|address| address.masked()).unwrap_or_default(),
        ChannelKind::Webhook | ChannelKind::Slack => called().unwrap_or_default(),
    }
}

impl Engine {
    /// Writes a channel; `target` is where it leads, if that is new.
    pub(crate) async fn make_alert_channel(
        &self,
        write: &Write,
        row: AlertChannel,
        target: Option<AlertTarget>,
    ) -> Result<(), Error> {
        let mut row = row;
        if let Some(target) = target {
            let text = zeroize::Zeroizing::new(serde_json::to_vec(&target).map_err(Error::Document)?);
            let place = Place::alert_channel(TenantId(row.tenant_id), row.id);
            row.sealed = self.ring().seal(place, &text, &mut *self.entropy()).0;
            row.sealed_by = sealed_by(&row.sealed).map(|id| id.to_string()).unwrap_or_default();
        }
        // Whoever uses it now goes on.
        if let Some(there) = write.lock_alert_channel(row.id).await? {
            (row.lease_token, row.lease_until) = (there.lease_token, there.lease_until);
        }
        Ok(write.save_alert_channel(row).await?)
    }

    /// Takes a channel away, and with it the item that says that alerts do not arrive there.
    pub(crate) async fn remove_alert_channel(&self, write: &Write, row: &AlertChannel) -> Result<(), Error> {
        write.remove_alert_channel(row.id).await?;
        let (tenant, subject) = (TenantId(row.tenant_id), AlertChannelId(row.id).to_string());
        Ok(write.close_items_about(tenant, ALERTS_FAILING, vec![subject], self.now()).await?)
    }

    /// A channel of a tenant.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn alert_channel(&self, whose: Whose, id: AlertChannelId) -> Result<Option<AlertChannel>, Error> {
        Ok(self.store.alert_channels_in(whose).await?.into_iter().find(|row| row.id == id.0))
    }

    /// Has an alert sent that says that it is a test. None: there is no such channel.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn test_alert_channel(&self, whose: Whose, id: AlertChannelId, by: &By) -> Result<Option<Alert>, Error> {
        let Some(channel) = self.alert_channel(whose, id).await? else { return Ok(None) };
        let now = self.now();
        let alert = Alert {
            id: AlertId::new(now, &mut *self.entropy()).0,
            tenant_id: channel.tenant_id,
            channel_id: channel.id,
            item_id: None,
            kind: TEST.to_owned(),
            status: status::PENDING.to_owned(),
            attempts: 0,
            next_attempt_at: Some(now.as_microsecond()),
            error: None,
            created_at: now.as_microsecond(),
            sent_at: None,
        };
        let once = || self.write_test_alert(&channel, &alert, by);
        store::repeat(once, Error::is_conflict).await?;
        self.alerts.notify_one();
        Ok(Some(alert))
    }

    async fn write_test_alert(&self, channel: &AlertChannel, alert: &Alert, by: &By) -> Result<(), Error> {
        let write = self.store.begin().await?;
        write.add_alerts(vec![alert.clone()]).await?;
        let (tenant, subject) = (TenantId(channel.tenant_id), AlertChannelId(channel.id).to_string());
        let entry = self.told(tenant, "alert_channel.tested", subject, None, &json!({ "code": channel.code }), by);
        crate::audit::add(&write, vec![entry]).await?;
        Ok(write.commit().await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_shown_of_an_address_than_leads_nobody_there() {
        for (kind, to, shown) in [
            (ChannelKind::Mail, "ops@acme.test", "o…@acme.test"),
            (ChannelKind::Slack, "https://hooks.slack.com/services/T0/B0/secret", "hooks.slack.com"),
            (ChannelKind::Webhook, "http://127.0.0.1:9/a?token=secret", "127.0.0.1"),
        ] {
            assert_eq!(hint(kind, to), shown);
        }
    }
}
