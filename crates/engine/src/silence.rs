//! Noticing that a provider has become silent: a webhook endpoint that somebody removed there fails nowhere here.

use std::collections::BTreeMap;

use domain::{
    id::TenantId,
    silence::{GAPS, NO_EVENTS, silent_since},
};
use jiff::Timestamp;
use providers::manual;
use store::rows::AttentionItem;

use crate::{
    Engine, Error, attention,
    connections::{Connection, Mode},
};

impl Engine {
    /// Looks at every live connection, and opens or closes the item that says that nothing has come for unusually long.
    /// Events that were found by catching up do not count: that a provider keeps them is no sign that it calls.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn notice_silence(&self) -> Result<(), Error> {
        let now = self.now();
        let mut opened = Vec::<AttentionItem>::new();
        let mut heard: BTreeMap<TenantId, Vec<String>> = BTreeMap::new();
        let mut watched = Vec::new();
        for connection in self.connections().await?.iter().filter(|connection| is_watched(connection)) {
            watched.push(connection.id.0);
            let received = self.store.last_received(connection.tenant, connection.id, GAPS as u64 + 1).await?;
            match silent_since(&received, now) {
                Some(since) => opened.push(attention::no_events(connection, since, now, &mut *self.entropy())),
                None => heard.entry(connection.tenant).or_default().push(connection.id.to_string()),
            }
        }
        let open = self.store.open_subjects(NO_EVENTS, watched).await?;
        heard.values_mut().for_each(|subjects| subjects.retain(|subject| open.contains(subject)));
        heard.retain(|_, subjects| !subjects.is_empty());
        opened.retain(|item| !open.contains(&item.subject));
        if opened.is_empty() && heard.is_empty() {
            return Ok(());
        }
        store::repeat(|| self.write_silence(&opened, &heard, now), Error::is_conflict).await
    }

    async fn write_silence(
        &self,
        opened: &[AttentionItem],
        heard: &BTreeMap<TenantId, Vec<String>>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let write = self.store.begin().await?;
        write.open_items(opened.to_vec()).await?;
        for (tenant, subjects) in heard {
            write.close_items_about(*tenant, NO_EVENTS, subjects.clone(), now).await?;
        }
        Ok(write.commit().await?)
    }
}

/// Whether somebody else is to call by it, about real sales.
fn is_watched(connection: &Connection) -> bool {
    let is_called = connection.provider.info().slug != manual::SLUG;
    is_called && connection.mode == Mode::Live && !connection.settings.disconnected
}
