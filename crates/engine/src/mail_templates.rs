//! What a vendor writes for their mails: saved as versions, of which one counts.

use domain::{
    id::{MailTemplateId, TenantId},
    mail::MailKind,
};
use serde_json::json;
use store::{mail_templates::MAIL_TEMPLATE_BROKEN, rows::MailTemplate};
use uuid::Uuid;

use crate::{Engine, Error, rulings::By};

/// Which mail a template is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailOf {
    /// The kind.
    pub kind: MailKind,
    /// The language's code.
    pub language: &'static str,
    /// The product; none: all products that have none of their own.
    pub product: Option<Uuid>,
}

impl MailOf {
    /// Whether a row is a version of it.
    #[must_use]
    pub fn has(&self, row: &MailTemplate) -> bool {
        let product = self.product.unwrap_or_default();
        row.kind == self.kind.as_str() && row.language == self.language && row.product_id == product
    }
}

/// The parts of a mail that are replaced. Whoever saves them has looked whether they work.
#[derive(Clone, Debug, Default)]
pub struct OwnParts {
    /// The subject.
    pub subject: Option<String>,
    /// The first sentences.
    pub intro: Option<String>,
    /// The whole text.
    pub text: Option<String>,
    /// The whole HTML.
    pub html: Option<String>,
}

/// What becomes of a mail's template.
#[derive(Clone, Debug)]
pub enum TemplateChange {
    /// A new version counts from now on.
    Save(OwnParts),
    /// This version counts again.
    Restore(i32),
    /// None counts: the mail is as it is built in. The versions stay.
    Remove,
}

impl Engine {
    /// Changes which version counts, and returns it. None: there is nothing to restore or remove.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn change_mail_template(
        &self,
        tenant: TenantId,
        of: &MailOf,
        change: &TemplateChange,
        by: &By,
    ) -> Result<Option<MailTemplate>, Error> {
        store::repeat(|| self.change_mail_template_once(tenant, of, change, by), Error::is_conflict).await
    }

    async fn change_mail_template_once(
        &self,
        tenant: TenantId,
        of: &MailOf,
        change: &TemplateChange,
        by: &By,
    ) -> Result<Option<MailTemplate>, Error> {
        let now = self.now();
        let write = self.store.begin().await?;
        let mut versions = write.mail_templates(tenant).await?;
        versions.retain(|row| of.has(row));
        let active = versions.iter().find(|row| row.active).cloned();
        let (action, wanted) = match change {
            TemplateChange::Save(parts) => {
                let latest = versions.iter().map(|row| row.version).max().unwrap_or_default();
                ("mail_template.saved", Some(self.new_version(tenant, of, latest + 1, parts, by)))
            }
            TemplateChange::Restore(version) => {
                ("mail_template.restored", versions.iter().find(|row| row.version == *version).cloned())
            }
            TemplateChange::Remove => ("mail_template.removed", active.clone()),
        };
        let Some(wanted) = wanted else { return Ok(None) };
        let wanted = MailTemplate { active: !matches!(change, TemplateChange::Remove), ..wanted };
        if let Some(active) = active.filter(|active| active.id != wanted.id) {
            write.save_mail_templates(vec![MailTemplate { active: false, ..active }]).await?;
        }
        write.save_mail_templates(vec![wanted.clone()]).await?;
        let replaced = versions.iter().map(|row| MailTemplateId(row.id).to_string()).collect();
        write.close_items_about(tenant, MAIL_TEMPLATE_BROKEN, replaced, now).await?;
        let detail = json!({
            "kind": of.kind.as_str(), "language": of.language, "version": wanted.version,
            "product": of.product.map(|id| domain::id::ProductId(id).to_string()), "note": by.note,
        });
        let entry = self.told(tenant, action, MailTemplateId(wanted.id).to_string(), None, &detail, by);
        crate::audit::add(&write, vec![entry]).await?;
        write.commit().await?;
        Ok(Some(wanted))
    }

    fn new_version(&self, tenant: TenantId, of: &MailOf, version: i32, parts: &OwnParts, by: &By) -> MailTemplate {
        let now = self.now();
        MailTemplate {
            id: MailTemplateId::new(now, &mut *self.entropy()).0,
            tenant_id: tenant.0,
            product_id: of.product.unwrap_or_default(),
            kind: of.kind.as_str().to_owned(),
            language: of.language.to_owned(),
            version,
            subject: parts.subject.clone(),
            intro: parts.intro.clone(),
            body_text: parts.text.clone(),
            body_html: parts.html.clone(),
            active: true,
            actor: by.actor.clone(),
            created_at: now.as_microsecond(),
        }
    }
}
