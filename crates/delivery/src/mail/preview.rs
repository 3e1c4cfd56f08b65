//! Mails for people to look at before anybody gets one.

use crypto::ring::KeyRing;
use domain::{
    id::{LicenseId, MailId},
    mail::MailKind,
};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use store::{
    Store,
    rows::{Mail, Product},
};
use uuid::Uuid;

use super::{
    Addresses, Letter, MailError, Rendered, Sender,
    language::Language,
    own, page, sample,
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
    pub product: &'a Product,
    /// In which language; otherwise the brand's.
    pub language: Option<Language>,
    /// What the vendor wrote for it.
    pub own: Option<&'a OwnTemplate>,
    /// The buyer.
    pub to: (&'a str, Option<&'a str>),
    /// When it would be sent.
    pub now: Timestamp,
}

impl Sample<'_> {
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
        let mail = self.mail();
        let contents = sample::contents(self.kind, self.product, self.now);
        let key = (self.kind == MailKind::LicenseDelivery).then(|| sample::key(self.product));
        let (addresses, page) = page(&mail, &contents, sender, key.as_deref(), self.language)?;
        let written = self.own.map_or_else(|| templates::write(&page), |own| templates::write_own(own, &page))?;
        Ok((addresses, written))
    }

    /// The language that it is written in.
    #[must_use]
    pub fn language(&self) -> Language {
        self.language.unwrap_or_else(|| Brand::read(&self.product.brand).language())
    }

    /// Its row, had somebody bought.
    pub(super) fn mail(&self) -> Mail {
        row(self.kind, Uuid::nil(), self.to, self.now)
    }
}

/// A mail about a license that there is, as it would be sent now.
pub struct About<'a> {
    /// Which mail.
    pub kind: MailKind,
    /// About which license.
    pub license: LicenseId,
    /// In which language; otherwise the brand's.
    pub language: Option<Language>,
    /// What the vendor means to write for it; otherwise what they have saved.
    pub own: Option<&'a OwnTemplate>,
    /// The keys that unseal; none: the license key is shown masked.
    pub ring: Option<&'a KeyRing>,
}

impl About<'_> {
    /// Writes it.
    ///
    /// # Errors
    /// Why it cannot be written.
    pub async fn render(&self, store: &Store, sender: Option<&Sender>) -> Result<Rendered, MailError> {
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
        let saved = own::template_for(&contents.templates, contents.product.id, page.language).map(own::parts);
        let written = match self.own.or(saved.as_ref()) {
            Some(own) => templates::write_own(own, &page)?,
            None => templates::write(&page)?,
        };
        Ok(Rendered::new(&addresses, written))
    }
}

/// A mail that nobody wrote.
fn row(kind: MailKind, license: Uuid, (recipient, name): (&str, Option<&str>), now: Timestamp) -> Mail {
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
