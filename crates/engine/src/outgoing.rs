//! Whether anything leaves: mails, webhooks, alerts, calls to providers.
//!
//! An installation that was restored from a backup does not know what it did since: it would send again what waited then, and
//! what follows from events that are read again. So nothing leaves until a person has looked, and says whether what waited
//! then is to be sent as well. Held is only what nobody works on: once a process was told that all may leave, that stays so.

use std::sync::atomic::{AtomicBool, Ordering};

use domain::{
    backup::OUTGOING_HELD,
    id::{AttentionId, TenantId},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::{Write, rows::AttentionItem};

use crate::{
    Engine, Error,
    attention::{Waited, that_waited},
    audit,
    rulings::By,
    tenants::DEFAULT_TENANT,
};

/// The setting that says that nothing leaves.
const SETTING: &str = "outgoing-held";

/// Why nothing leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Since when. What was written before waited in the backup.
    pub since: Timestamp,
    /// Of when the backup is; none: somebody held it without one.
    pub backup_of: Option<Timestamp>,
}

/// Whether this process was told that all may leave.
#[derive(Debug, Default)]
pub(crate) struct Leaves(AtomicBool);

/// What was let go, and what still waits for somebody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Released {
    /// Mails that are held: they waited in the backup.
    pub mails_held: u64,
    /// Deliveries that are held, the same.
    pub deliveries_held: u64,
}

/// Of when the backup is from which this was restored, while nothing leaves.
pub(crate) async fn backup_of(write: &Write) -> Result<Option<Timestamp>, Error> {
    let Some(text) = write.setting(SETTING).await? else { return Ok(None) };
    Ok(serde_json::from_str::<Held>(&text).map_err(Error::Document)?.backup_of)
}

impl Engine {
    /// Why nothing leaves; none: everything does.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn outgoing_held(&self) -> Result<Option<Held>, Error> {
        let text = self.store.setting(SETTING).await?;
        text.map(|text| serde_json::from_str(&text)).transpose().map_err(Error::Document)
    }

    /// Whether anything may leave, for those who have it leave: once it may, nobody asks the database again.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn may_leave(&self) -> Result<bool, Error> {
        if !self.leaves.0.load(Ordering::Relaxed) {
            self.leaves.0.store(self.outgoing_held().await?.is_none(), Ordering::Relaxed);
        }
        Ok(self.leaves.0.load(Ordering::Relaxed))
    }

    /// Has nothing leave, from the next start of a server on: those that run go on. `backup_of`: of when the backup is from which
    /// this database was restored.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn hold_outgoing(&self, backup_of: Option<Timestamp>, by: &By) -> Result<(), Error> {
        store::repeat(|| self.hold_once(backup_of, by), Error::is_conflict).await
    }

    async fn hold_once(&self, backup_of: Option<Timestamp>, by: &By) -> Result<(), Error> {
        let held = Held { since: self.now(), backup_of };
        let write = self.store.begin().await?;
        write.save_setting(SETTING, serde_json::to_string(&held).map_err(Error::Document)?).await?;
        if let Some(tenant) = self.tenant(DEFAULT_TENANT).await? {
            let id = AttentionId::new(held.since, &mut *self.entropy());
            let about = (OUTGOING_HELD, tenant.to_string());
            write.open_items(vec![AttentionItem::new(id, tenant, about, sentence(held), held.since)]).await?;
            let detail = serde_json::json!({ "backup_of": backup_of, "note": by.note });
            self.note_outgoing(&write, tenant, "outgoing.held", &detail, by).await?;
        }
        Ok(write.commit().await?)
    }

    /// Has everything leave again. Unless `with_older`, what waited when it was held stays held, where people find and release it:
    /// mails under E-mail, deliveries at their endpoint. None: nothing was held.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn release_outgoing(&self, with_older: bool, by: &By) -> Result<Option<Released>, Error> {
        let released = store::repeat(|| self.release_once(with_older, by), Error::is_conflict).await?;
        self.mails.notify_one();
        self.deliveries.notify_one();
        self.alerts.notify_one();
        Ok(released)
    }

    async fn release_once(&self, with_older: bool, by: &By) -> Result<Option<Released>, Error> {
        let now = self.now();
        let write = self.store.begin().await?;
        let Some(text) = write.setting(SETTING).await? else { return Ok(None) };
        let held: Held = serde_json::from_str(&text).map_err(Error::Document)?;
        let released = if with_older { Released::default() } else { self.hold_older(&write, held, now).await? };
        write.remove_setting(SETTING).await?;
        if let Some(tenant) = self.tenant(DEFAULT_TENANT).await? {
            write.close_items_about(tenant, OUTGOING_HELD, vec![tenant.to_string()], now).await?;
            let detail = serde_json::json!({ "with_older": with_older, "mails_held": released.mails_held,
                "deliveries_held": released.deliveries_held, "note": by.note });
            self.note_outgoing(&write, tenant, "outgoing.released", &detail, by).await?;
        }
        write.commit().await?;
        Ok(Some(released))
    }

    async fn hold_older(&self, write: &Write, held: Held, now: Timestamp) -> Result<Released, Error> {
        let mails = write.hold_mails_before(held.since).await?;
        let deliveries = write.hold_deliveries_before(held.since).await?;
        let mut items: Vec<AttentionItem> = Vec::new();
        for (what, tenants) in [(Waited::Mails, mails.keys()), (Waited::Deliveries, deliveries.keys())] {
            items.extend(tenants.map(|tenant| that_waited(what, held, *tenant, now, &mut *self.entropy())));
        }
        write.open_items(items).await?;
        Ok(Released { mails_held: mails.values().sum(), deliveries_held: deliveries.values().sum() })
    }

    async fn note_outgoing(
        &self,
        write: &Write,
        tenant: TenantId,
        action: &str,
        detail: &serde_json::Value,
        by: &By,
    ) -> Result<(), Error> {
        audit::add(write, vec![self.told(tenant, action, tenant.to_string(), None, detail, by)]).await
    }
}

fn sentence(held: Held) -> String {
    let why = held.backup_of.map_or("somebody had everything held".to_owned(), |at| {
        format!("this installation was restored from a backup of {}", at.strftime("%Y-%m-%d %H:%M UTC"))
    });
    format!(
        "{why}: no mail, webhook, alert or call to a provider leaves until somebody releases them, since some may have left \
         already; look at what waits, then release it under Settings, Backups, or with `keywright outgoing release`"
    )
}
