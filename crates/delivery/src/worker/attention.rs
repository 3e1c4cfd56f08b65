//! What keeps mails from arriving, in words a person can act on.

use domain::{
    Entropy,
    id::{AttentionId, LicenseId, MailId, OrderId, TenantId},
};
use jiff::Timestamp;
use store::{
    mail_templates::MAIL_TEMPLATE_BROKEN,
    outbox::NO_SENDER,
    rows::{AttentionItem, Mail},
};

use crate::mail::BrokenTemplate;

/// The relay is not to be reached, or does not let us in. One item for a tenant.
pub const SENDER_FAILING: &str = "sender_failing";
/// Mails have waited for an hour since nobody takes them now. One item for a tenant.
pub const MAILS_DELAYED: &str = "mails_delayed";
/// One mail could not be delivered.
pub const MAIL_FAILED: &str = "mail_failed";

/// Where and when items are opened.
pub(super) struct Opening<'a> {
    pub(super) now: Timestamp,
    pub(super) entropy: &'a mut dyn Entropy,
}

impl Opening<'_> {
    /// Nobody can send mails. How many there are is not said: it is written again with every mail.
    pub(super) fn no_sender(&mut self, tenant: TenantId) -> AttentionItem {
        let detail = "no mail sender is configured: mails are caught and have not been sent; start Keywright with \
                      --smtp-url or --mail-url, then release what was caught with `keywright mail release`"
            .to_owned();
        self.item(NO_SENDER, tenant, tenant.to_string(), detail)
    }

    /// Somebody can now, and the caught ones wait for a word.
    pub(super) fn releasable(&mut self, tenant: TenantId, held: u64) -> AttentionItem {
        let detail = format!(
            "a mail sender is configured now, and {} still held from before; release {} with `keywright mail release`",
            count(held, "is", "are"),
            if held == 1 { "it" } else { "them" },
        );
        self.item(NO_SENDER, tenant, tenant.to_string(), detail)
    }

    /// The relay takes nothing.
    pub(super) fn sender_failing(&mut self, mail: &Mail, relay: &str, answer: &str) -> AttentionItem {
        let tenant = TenantId(mail.tenant_id);
        let detail = format!(
            "the mail relay {relay} takes no mails: {answer}; nothing is lost, mails wait and are tried again by themselves"
        );
        self.item(SENDER_FAILING, tenant, tenant.to_string(), detail)
    }

    /// Nobody takes mails now, this one and perhaps others. How many there are is not said: it is written again with every mail.
    pub(super) fn mails_delayed(&mut self, mail: &Mail, recipient: &str, answer: &str) -> AttentionItem {
        let tenant = TenantId(mail.tenant_id);
        let detail = format!(
            "mails have waited for more than an hour, among them the {} mail to {recipient} about {}: {answer}; they are tried \
             again by themselves, for three days",
            mail.kind,
            LicenseId(mail.license_id)
        );
        self.item(MAILS_DELAYED, tenant, tenant.to_string(), detail)
    }

    /// A relay refused a mail, or nobody took it in all tries.
    pub(super) fn mail_failed(&mut self, mail: &Mail, recipient: &str, answer: &str) -> AttentionItem {
        let why = if answer.is_empty() { "nobody took it" } else { answer };
        let license = LicenseId(mail.license_id);
        let detail = format!(
            "the {} mail to {recipient} about {license} was not delivered: {why}; correct the address or the relay, then \
             send it again",
            mail.kind
        );
        self.of_mail(mail, detail)
    }

    /// A mail cannot be written.
    pub(super) fn mail_unwritten(&mut self, mail: &Mail, recipient: &str, problem: &str) -> AttentionItem {
        let license = LicenseId(mail.license_id);
        let detail = format!(
            "the {} mail to {recipient} about {license} cannot be written: {problem}; it is tried again by itself",
            mail.kind
        );
        self.of_mail(mail, detail)
    }

    /// What a vendor wrote for a mail does not work.
    pub(super) fn template_broken(&mut self, mail: &Mail, broken: &BrokenTemplate) -> AttentionItem {
        let detail = format!(
            "the template {} of the {} mail does not work and is not used, the built-in one is: {}; save a version that works, \
             restore an earlier one, or remove it",
            broken.id, mail.kind, broken.problem
        );
        self.item(MAIL_TEMPLATE_BROKEN, TenantId(mail.tenant_id), broken.id.to_string(), detail)
    }

    fn of_mail(&mut self, mail: &Mail, detail: String) -> AttentionItem {
        let item = self.item(MAIL_FAILED, TenantId(mail.tenant_id), MailId(mail.id).to_string(), detail);
        AttentionItem { order_id: Some(OrderId(mail.order_id).0), ..item }
    }

    fn item(&mut self, kind: &str, tenant: TenantId, subject: String, detail: String) -> AttentionItem {
        AttentionItem::new(AttentionId::new(self.now, self.entropy), tenant, (kind, subject), detail, self.now)
    }
}

fn count(mails: u64, one: &str, many: &str) -> String {
    if mails == 1 { format!("1 mail {one}") } else { format!("{mails} mails {many}") }
}
