//! What people do about mails that were written.

use domain::{
    id::{MailId, OrderId, TenantId},
    mail::MailKind,
    order::Contact,
};
use store::{
    Write,
    lists::Whose,
    many::BulkStep,
    outbox::{ERASED, HELD_AS_OLD, NO_SENDER, status},
    rows::Mail,
};

use crate::{
    Engine, Error,
    bulk::take_step,
    rulings::{By, OrderRuling},
};

impl Engine {
    /// Has a mail sent once more, whatever became of it, with the Message-ID that it had; one whose buyer was erased goes
    /// nowhere. None: there is no such mail.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn resend_mail(&self, whose: Whose, id: MailId, by: &By) -> Result<Option<Mail>, Error> {
        let Some(mail) = self.store.mail_of(whose, id).await? else { return Ok(None) };
        self.send_again(&mail, whose, by, None).await?;
        Ok(self.store.mail_of(whose, id).await?)
    }

    /// The same; for a license of many, it is noted in the same transaction.
    pub(crate) async fn send_again(
        &self,
        mail: &Mail,
        whose: Whose,
        by: &By,
        step: Option<BulkStep>,
    ) -> Result<(), Error> {
        let once = || async {
            let write = self.store.begin().await?;
            self.write_again(&write, mail, whose.tenant, None, by).await?;
            if let Some(step) = step {
                take_step(&write, step, "").await?;
            }
            Ok::<_, Error>(write.commit().await?)
        };
        store::repeat(once, Error::is_conflict).await?;
        self.mails.notify_one();
        Ok(())
    }

    /// The same, to another address: all mails of its sale go there from now on, and this one goes there now; with a mail that
    /// delivers a key, those with the sale's other keys do as well. None: there is no such mail.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn resend_mail_to(&self, whose: Whose, id: MailId, to: Contact, by: &By) -> Result<Option<Mail>, Error> {
        let Some(mail) = self.store.mail_of(whose, id).await? else { return Ok(None) };
        let again = mail.kind == MailKind::LicenseDelivery.as_str();
        let ruling = OrderRuling::Contact { to, again };
        // What waits or was refused goes there with the ruling, and nobody needs to be told of it as well. Both are one
        // transaction: sent in between, its buyer would have it twice.
        if again || [status::PENDING, status::FAILED].contains(&mail.status.as_str()) {
            self.rule_order(whose.tenant, OrderId(mail.order_id), &ruling, by).await?;
        } else {
            self.correct_address(whose.tenant, &mail, &ruling, by).await?;
        }
        Ok(self.store.mail_of(whose, id).await?)
    }

    /// Has all mails of a tenant sent that are held: caught while there was no sender, or about what was long ago. Returns how many.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn release_mails(&self, tenant: TenantId, by: &By) -> Result<u64, Error> {
        let released = store::repeat(|| self.release_mails_once(tenant, by), Error::is_conflict).await?;
        self.mails.notify_one();
        Ok(released)
    }

    async fn release_mails_once(&self, tenant: TenantId, by: &By) -> Result<u64, Error> {
        let now = self.now();
        let write = self.store.begin().await?;
        let released = write.release_mails(tenant, now).await?;
        for kind in [NO_SENDER, HELD_AS_OLD] {
            write.close_items_about(tenant, kind, vec![tenant.to_string()], now).await?;
        }
        if released > 0 {
            let detail = serde_json::json!({ "mails": released, "note": by.note });
            let entry = self.told(tenant, "mails.released", tenant.to_string(), None, &detail, by);
            crate::audit::add(&write, vec![entry]).await?;
        }
        write.commit().await?;
        Ok(released)
    }

    /// Has a mail sent once more, in a transaction.
    pub(crate) async fn write_again(
        &self,
        write: &Write,
        mail: &Mail,
        tenant: TenantId,
        to: Option<&Contact>,
        by: &By,
    ) -> Result<(), Error> {
        let id = MailId(mail.id);
        if mail.recipient == ERASED && to.is_none() {
            return Ok(());
        }
        write.send_mail_again(tenant, id, to, self.now()).await?;
        let detail = serde_json::json!({ "kind": mail.kind, "was": mail.status, "note": by.note });
        let entry = self.told(tenant, "mail.resent", id.to_string(), Some(OrderId(mail.order_id)), &detail, by);
        crate::audit::add(write, vec![entry]).await
    }
}
