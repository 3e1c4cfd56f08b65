//! What people do about mails that were written.

use domain::id::{MailId, OrderId};
use store::{lists::Whose, rows::Mail};

use crate::{Engine, Error, rulings::By};

impl Engine {
    /// Has a mail sent once more, whatever became of it, with the Message-ID that it had. None: there is no such mail.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn resend_mail(&self, whose: Whose, id: MailId, by: &By) -> Result<Option<Mail>, Error> {
        let Some(mail) = self.store.mail_of(whose, id).await? else { return Ok(None) };
        store::repeat(|| self.resend_mail_once(&mail, whose, by), Error::is_conflict).await?;
        self.mails.notify_one();
        Ok(self.store.mail_of(whose, id).await?)
    }

    async fn resend_mail_once(&self, mail: &Mail, whose: Whose, by: &By) -> Result<(), Error> {
        let id = MailId(mail.id);
        let write = self.store.begin().await?;
        write.send_mail_again(whose.tenant, id, self.now()).await?;
        let detail = serde_json::json!({ "kind": mail.kind, "was": mail.status, "note": by.note });
        let order = Some(OrderId(mail.order_id));
        let entry = self.told(whose.tenant, "mail.resent", id.to_string(), order, &detail, by);
        crate::audit::add(&write, vec![entry]).await?;
        Ok(write.commit().await?)
    }
}
