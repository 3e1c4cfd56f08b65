//! Writing down what became of mails.

use std::collections::{BTreeMap, BTreeSet};

use domain::id::{MailId, MailTemplateId, TenantId};
use jiff::Timestamp;
use store::{
    Write,
    outbox::Saved,
    rows::{AttentionItem, Mail},
};

use super::{
    Error, MailWorker,
    attention::{MAIL_FAILED, MAILS_DELAYED, Opening, SENDER_FAILING},
    counts,
    ending::{DELAYED_ANSWERED, DELAYED_UNANSWERED, Landed, News},
    flight::Flight,
};
use crate::transport::{Transport, masked};

/// Items that follow from a batch.
#[derive(Default)]
struct Items {
    opened: Vec<AttentionItem>,
    /// Tenants whose mails the relay does not take.
    away: BTreeSet<TenantId>,
    /// Tenants of whom it took one.
    works: BTreeSet<TenantId>,
    /// Tenants of whom it has taken one not now, for an hour.
    delayed: BTreeSet<TenantId>,
    /// Tenants of whom a mail waits no more.
    ended: BTreeSet<TenantId>,
    /// Templates that do not work.
    broken: BTreeSet<MailTemplateId>,
    /// Mails that are sent after all.
    mended: BTreeMap<TenantId, Vec<String>>,
}

impl MailWorker {
    /// Writes down how mails ended that came back, all of them or none.
    pub(super) async fn record(&self, flight: &mut Flight) -> Result<(), Error> {
        if flight.landed.is_empty() {
            return Ok(());
        }
        store::repeat(|| self.record_once(&flight.landed), Error::is_conflict).await?;
        fail::fail_point!("mail-after-commit");
        flight.landed.clear();
        Ok(())
    }

    async fn record_once(&self, landed: &[Landed]) -> Result<(), Error> {
        let now = self.parts.clock.now();
        let mut items = Items::default();
        let mut entropy = self.parts.entropy.entropy();
        let mut opening = Opening { now, entropy: &mut *entropy };
        let origins = self.origins(landed).await?;
        let mut counted = Vec::new();
        let write = self.parts.store.begin().await?;
        for landed in landed {
            let (row, news) = landed.row(now);
            let mail = MailId(row.id);
            match write.save_mail(landed.token, &row, now).await? {
                Saved::Ended => {
                    tell(&row, &news);
                    counted.extend(counts::of_mail(&row, &news, &origins, now));
                    items.note_template(landed, &mut opening);
                    self.note(&landed.mail, &row, &news, &mut items, &mut opening);
                }
                Saved::Readdressed => tracing::info!(%mail, "its address was corrected meanwhile; it goes there, too"),
                Saved::Taken => tracing::warn!(%mail, "another worker has taken this mail since; its word counts"),
            }
        }
        items.write(&write, now).await?;
        write.count(counted).await?;
        Ok(write.commit().await?)
    }

    /// What a person has to hear of one mail, or need not hear any more.
    fn note(&self, before: &Mail, row: &Mail, news: &News, items: &mut Items, opening: &mut Opening<'_>) {
        let tenant = TenantId(row.tenant_id);
        let recipient = masked(&row.recipient);
        let answer = row.response.as_deref().unwrap_or_default();
        if row.next_attempt_at.is_none() {
            items.ended.insert(tenant);
        }
        match news {
            News::Sent => {
                items.works.insert(tenant);
                // Only a mail that was answered before can have an item.
                if before.response.is_some() {
                    items.mended.entry(tenant).or_default().push(MailId(row.id).to_string());
                }
            }
            News::Waiting => {}
            News::Delayed => {
                if items.delayed.insert(tenant) {
                    items.opened.push(opening.mails_delayed(row, &recipient, answer));
                }
            }
            News::Superseded => items.mended.entry(tenant).or_default().push(MailId(row.id).to_string()),
            News::RelayAway => {
                // One item for all of them: a statement cannot write the same row twice.
                if items.away.insert(tenant) {
                    let relay = self.parts.sender.as_ref().map(Transport::name).unwrap_or_default();
                    items.opened.push(opening.sender_failing(row, &relay, answer));
                }
            }
            News::Unwritten => items.opened.push(opening.mail_unwritten(row, &recipient, answer)),
            News::Failed => items.opened.push(opening.mail_failed(row, &recipient, answer)),
        }
    }
}

impl Items {
    /// One item for a template, however many mails it is for.
    fn note_template(&mut self, landed: &Landed, opening: &mut Opening<'_>) {
        if let Some(broken) = landed.broken.as_ref().filter(|broken| self.broken.insert(broken.id)) {
            self.opened.push(opening.template_broken(&landed.mail, broken));
        }
    }

    async fn write(&mut self, write: &Write, now: Timestamp) -> Result<(), Error> {
        write.open_items(std::mem::take(&mut self.opened)).await?;
        for (tenant, mails) in std::mem::take(&mut self.mended) {
            write.close_items_about(tenant, MAIL_FAILED, mails, now).await?;
        }
        // Another node may have opened them.
        for (tenant, kind) in write.open_kinds(&self.ended, &[SENDER_FAILING, MAILS_DELAYED]).await? {
            let is_over = match kind.as_str() {
                SENDER_FAILING => self.works.contains(&tenant) && !self.away.contains(&tenant),
                _ => !write.has_mails_tried(tenant, DELAYED_ANSWERED, DELAYED_UNANSWERED).await?,
            };
            if is_over {
                write.close_items_about(tenant, &kind, vec![tenant.to_string()], now).await?;
            }
        }
        Ok(())
    }
}

/// Logs, without a key or an address: ids lead to both.
fn tell(row: &Mail, news: &News) {
    let mail = MailId(row.id);
    let answer = row.response.as_deref().unwrap_or_default();
    match news {
        News::Sent => tracing::info!(%mail, "mail sent"),
        News::Superseded => tracing::info!(%mail, "mail not sent: what it tells is not so any more"),
        News::Waiting => tracing::info!(%mail, attempts = row.attempts, answer, "mail not taken; it is tried again"),
        News::Delayed => tracing::warn!(%mail, attempts = row.attempts, answer, "mail not taken for an hour"),
        News::RelayAway => tracing::warn!(%mail, attempts = row.attempts, answer, "the mail relay takes no mails"),
        News::Unwritten => tracing::error!(%mail, problem = answer, "mail cannot be written; it is tried again"),
        News::Failed => tracing::error!(%mail, attempts = row.attempts, answer, "mail failed"),
    }
}
