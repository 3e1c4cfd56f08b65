//! Mails for people to look at before anybody gets one.

use crypto::ring::KeyRing;
use domain::{
    id::{LicenseId, MailId, TenantId},
    mail::MailKind,
    plan::Plan,
};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use store::{
    Store, StoreError,
    lists::Whose,
    rows::{Mail, Product},
};
use uuid::Uuid;

use super::{
    Addresses, Letter, MailError, Rendered, Sender,
    language::Language,
    own, page,
    page::Page,
    sample,
    templates::{self, OwnTemplate, Written},
    unsealed,
};
use crate::{
    brand::Brand,
    transport::{Outcome, Transport},
};

/// Whom mails are addressed to that nobody gets.
pub const SOMEBODY: (&str, Option<&str>) = ("ada@example.com", Some("Ada Lovelace"));

/// An example of a mail, as buyers of a product would get it.
pub struct Sample<'a> {
    /// Which mail.
    pub kind: MailKind,
    /// Whose brand.
    pub product: Product,
    /// What was bought of it.
    pub plan: Plan,
    /// In which language; otherwise the brand's.
    pub language: Option<Language>,
    /// What the vendor wrote for it.
    pub own: Option<OwnTemplate>,
    /// The buyer.
    pub to: (&'a str, Option<&'a str>),
    /// When it would be sent.
    pub now: Timestamp,
}

impl<'a> Sample<'a> {
    /// An example of a product that nobody sells yet.
    #[must_use]
    pub fn new(
        kind: MailKind,
        language: Option<Language>,
        to: (&'a str, Option<&'a str>),
        now: Timestamp,
    ) -> Sample<'a> {
        Sample { kind, product: own::example_product(), plan: own::example_plan(), language, own: None, to, now }
    }

    /// The same of what a tenant sells: the product with this code, otherwise the first one, with its first plan and what is
    /// saved for its mail. A tenant without products keeps the example. None: there is no product with this code.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn of(
        mut self,
        store: &Store,
        tenant: TenantId,
        product: Option<&str>,
    ) -> Result<Option<Sample<'a>>, StoreError> {
        let mut products = store.products(tenant).await?.into_iter();
        let found = products.find(|row| product.is_none_or(|code| row.code == code));
        match found {
            Some(found) => self.product = found,
            None if product.is_some() => return Ok(None),
            None => {}
        }
        if let Some(plan) = store.first_plan(tenant, self.product.id).await? {
            self.plan = plan;
        }
        let mut saved = store.active_mail_templates(tenant).await?;
        saved.retain(|row| row.kind == self.kind.as_str());
        self.own = own::template_for(&saved, self.product.id, self.language().code()).map(OwnTemplate::from);
        Ok(Some(self))
    }

    /// Writes it.
    ///
    /// # Errors
    /// A template does not work, or the buyer's address is none.
    pub fn render(&self, sender: Option<&Sender>) -> Result<Rendered, MailError> {
        let (addresses, written) = self.write(sender)?;
        Ok(Rendered::new(&addresses, written))
    }

    /// Sends it, as a mail of this id: another one each time, since mail programs show the same message once.
    ///
    /// # Errors
    /// It cannot be written or put together.
    pub async fn send(&self, id: MailId, way: &Transport) -> Result<Outcome, MailError> {
        let (addresses, written) = self.write(Some(way.sender()))?;
        let (key, hint) = (None, String::new());
        let wire = Letter { id, created_at: self.now, addresses, written, key, hint, broken: None }.wire()?;
        Ok(way.send(&wire, &id.to_string()).await)
    }

    fn write(&self, sender: Option<&Sender>) -> Result<(Addresses, Written), MailError> {
        let (addresses, page) = self.page(sender)?;
        let own = self.own.as_ref();
        let written = own.map_or_else(|| templates::write(&page), |own| templates::write_own(own, &page))?;
        Ok((addresses, written))
    }

    /// What its templates get to know.
    pub(super) fn page(&self, sender: Option<&Sender>) -> Result<(Addresses, Page), MailError> {
        let mail = row(self.kind, Uuid::nil(), self.to, self.now);
        let contents = sample::contents(self.kind, &self.product, &self.plan, self.now);
        let key = (self.kind == MailKind::LicenseDelivery).then(|| sample::key(&self.product));
        page(&mail, &contents, sender, key.as_deref(), self.language)
    }

    /// The language that it is written in.
    fn language(&self) -> Language {
        self.language.unwrap_or_else(|| Brand::read(&self.product.brand).language())
    }
}

/// A mail about a license that there is, as it would be sent now.
struct About<'a> {
    kind: MailKind,
    license: LicenseId,
    language: Option<Language>,
    own: Option<&'a OwnTemplate>,
    ring: Option<&'a KeyRing>,
}

impl About<'_> {
    async fn render(&self, store: &Store, sender: Option<&Sender>) -> Result<Rendered, MailError> {
        let mail = row(self.kind, self.license.0, SOMEBODY, Timestamp::UNIX_EPOCH);
        let found = store.mail_contents(std::slice::from_ref(&mail)).await?.remove(&mail.id);
        let contents = found.ok_or(MailError::NoKey(self.license))??;
        let key = match (self.kind, self.ring) {
            (MailKind::LicenseDelivery, Some(ring)) => Some(unsealed(&contents, ring)?),
            (MailKind::LicenseDelivery, None) => contents.keys.first().map(|row| SecretString::from(row.hint.clone())),
            _ => None,
        };
        let shown = key.as_ref().map(SecretString::expose_secret);
        let (addresses, page) = page(&mail, &contents, sender, shown, self.language)?;
        let saved = own::template_for(&contents.templates, contents.product.id, page.language).map(OwnTemplate::from);
        let written = match self.own.or(saved.as_ref()) {
            Some(own) => templates::write_own(own, &page)?,
            None => templates::write(&page)?,
        };
        Ok(Rendered::new(&addresses, written))
    }
}

/// What somebody wants to look at before anybody gets it.
pub struct Look<'a> {
    /// Which mail.
    pub kind: MailKind,
    /// In which language; otherwise the brand's.
    pub language: Option<Language>,
    /// Of which product, by its code; otherwise the first one. Not asked where there is a license.
    pub product: Option<&'a str>,
    /// What the vendor means to write for it; otherwise what they have saved.
    pub own: Option<OwnTemplate>,
    /// About which license; otherwise an example.
    pub license: Option<LicenseId>,
    /// The keys that unseal; none: the key of a license is shown masked.
    pub ring: Option<&'a KeyRing>,
}

/// Why there is nothing to look at.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// The tenant has no product with that code.
    #[error("there is no product `{0}`")]
    Product(String),
    /// The tenant has no such license in that mode.
    #[error("there is no license {0} here")]
    License(LicenseId),
    /// It cannot be written.
    #[error(transparent)]
    Mail(#[from] MailError),
}

impl From<StoreError> for LookError {
    fn from(error: StoreError) -> Self {
        Self::Mail(error.into())
    }
}

impl Look<'_> {
    /// Writes it.
    ///
    /// # Errors
    /// Why there is nothing to look at.
    pub async fn render(
        self,
        store: &Store,
        whose: Whose,
        sender: Option<&Sender>,
        now: Timestamp,
    ) -> Result<Rendered, LookError> {
        let Self { kind, language, product, own, license, ring } = self;
        if let Some(license) = license {
            store.listed_license(whose, license).await?.ok_or(LookError::License(license))?;
            let about = About { kind, license, language, own: own.as_ref(), ring };
            return Ok(about.render(store, sender).await?);
        }
        let found = Sample::new(kind, language, SOMEBODY, now).of(store, whose.tenant, product).await?;
        let mut sample = found.ok_or_else(|| LookError::Product(product.unwrap_or_default().to_owned()))?;
        sample.own = own.or(sample.own);
        Ok(sample.render(sender)?)
    }
}

/// A mail that nobody wrote.
pub(super) fn row(kind: MailKind, license: Uuid, (recipient, name): (&str, Option<&str>), now: Timestamp) -> Mail {
    Mail {
        id: Uuid::nil(),
        tenant_id: Uuid::nil(),
        kind: kind.as_str().to_owned(),
        occasion: String::new(),
        license_id: license,
        order_id: Uuid::nil(),
        recipient: recipient.to_owned(),
        recipient_name: name.map(str::to_owned),
        status: store::outbox::status::PENDING.to_owned(),
        attempts: 0,
        unanswered: 0,
        next_attempt_at: None,
        lease_token: None,
        lease_until: None,
        response: None,
        created_at: now.as_microsecond(),
        sent_at: None,
    }
}
