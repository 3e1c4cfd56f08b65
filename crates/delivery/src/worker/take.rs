//! Taking mails that are due.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use domain::{
    id::{TenantId, uuid_v7},
    time::after,
};
use jiff::Timestamp;
use store::{StoreError, outbox::Contents, rows::Mail};
use uuid::Uuid;

use super::{Error, MailWorker, attention::Opening, counts, errand::Errand, flight::Flight};

/// How many mails are caught in one transaction.
const CAUGHT_AT_ONCE: u64 = 256;

/// What mails speak of, by their ids.
type Found = HashMap<Uuid, Result<Contents, StoreError>>;

/// What there was to take.
pub(super) struct Took {
    /// How many mails.
    pub(super) mails: usize,
    /// When the next one is due, if none was and one waits.
    pub(super) next: Option<Timestamp>,
}

impl MailWorker {
    /// Takes mails that are due, as many as there is room for, and sets them off.
    pub(super) async fn take(&self, flight: &mut Flight) -> Result<Took, Error> {
        let now = self.parts.clock.now();
        // A look that costs other writers nothing; as a rule there is nothing to take.
        let next = self.parts.store.next_mail_at().await?;
        if next.is_none_or(|next| next > now) {
            return Ok(Took { mails: 0, next });
        }
        let Some(transport) = &self.parts.sender else {
            let mails = store::repeat(|| self.catch(now), Error::is_conflict).await?;
            return Ok(Took { mails, next: None });
        };
        let token = uuid_v7(now, &mut *self.parts.entropy.entropy());
        let room = flight.room() as u64;
        let (taken, mut found) = store::repeat(|| self.lease(token, now, room), Error::is_conflict).await?;
        fail::fail_point!("mail-after-lease");
        let mails = taken.len();
        let ring = self.parts.ring.get();
        for mail in taken {
            let contents = found.remove(&mail.id);
            flight.set_off(
                Errand { mail, contents, ring: Arc::clone(&ring), transport: transport.clone() },
                token,
                now,
            );
        }
        Ok(Took { mails, next: None })
    }

    async fn lease(&self, token: Uuid, now: Timestamp, limit: u64) -> Result<(Vec<Mail>, Found), Error> {
        let write = self.parts.store.begin().await?;
        let mails = write.lease_mails(token, now, after(now, self.parts.lease), limit).await?;
        // In the same transaction, so that no mail is leased whose contents could not be loaded.
        let found = write.mail_contents(&mails).await?;
        write.commit().await?;
        Ok((mails, found))
    }

    /// Without a sender, mails are caught: never sent, never lost, and a person hears of it.
    async fn catch(&self, now: Timestamp) -> Result<usize, Error> {
        let write = self.parts.store.begin().await?;
        let caught = write.hold_mails(now, CAUGHT_AT_ONCE).await?;
        let mut entropy = self.parts.entropy.entropy();
        let mut opening = Opening { now, entropy: &mut *entropy };
        let tenants: BTreeSet<TenantId> = caught.iter().map(|mail| mail.tenant).collect();
        write.open_items(tenants.into_iter().map(|tenant| opening.no_sender(tenant)).collect()).await?;
        write.count(counts::of_caught(&caught, &self.origins_of_caught(&caught).await?, now)).await?;
        write.commit().await?;
        tracing::warn!(mails = caught.len(), "no mail sender is configured; mails are caught and held");
        Ok(caught.len())
    }
}
