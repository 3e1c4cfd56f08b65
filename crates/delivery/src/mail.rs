//! What mails say.
//!
//! To add a mail: a word in `domain::mail::MailKind`, its sentences in every file of `language`, and an arm in
//! `page::Material::message`. All kinds share one layout, in `templates/`; text and HTML are twins, made of the same
//! [`page::Page`]. Vendors replace parts of it ([`OwnTemplate`]). The mail about an alert goes to those who run the server and
//! has a layout of its own ([`alert`]).

pub(crate) mod alert;
mod clean;
mod grammar;
mod html;
mod language;
mod message;
mod notices;
mod own;
mod page;
mod preview;
mod sample;
mod templates;
mod variables;

use crypto::{
    ring::KeyRing,
    seal::{Place, SealError},
};
use domain::{
    id::{LicenseId, MailId, MailTemplateId},
    mail::MailKind,
};
use jiff::Timestamp;
use lettre::message::Mailbox;
use secrecy::{ExposeSecret, SecretString};
use store::{
    Store, StoreError,
    outbox::Contents,
    rows::{Mail, Product},
};

pub(crate) use clean::mailbox;
pub(crate) use message::Wire;

use self::{
    page::{Material, Page},
    templates::Written,
};
use crate::brand::Brand;

pub use self::{
    language::Language,
    own::{findings, lint, look_over, names},
    preview::{Look, LookError, SOMEBODY, Sample},
    templates::{LintError, OwnTemplate},
    variables::Variable,
};

/// Why a mail cannot be written, or not now.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The database did not answer, or a row does not read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key does not open.
    #[error(transparent)]
    Sealed(#[from] SealError),
    /// Its license has no key.
    #[error("{0} has no key; restore it from a backup")]
    NoKey(LicenseId),
    /// No template is for this kind of mail.
    #[error("this release has no mail of the kind {0}; start the release that wrote it")]
    Kind(String),
    /// What it tells is not so any more, so that sending it would be wrong.
    #[error("what it tells is not so any more")]
    Superseded,
    /// What its vendor wrote for it does not work.
    #[error(transparent)]
    Own(#[from] LintError),
    /// A built-in template does not work.
    #[error("the template {place} does not work: {problem}")]
    Template {
        /// File and line.
        place: String,
        /// What is wrong. No value of the mail.
        problem: String,
    },
    /// It cannot be addressed.
    #[error("its address is not one that mail can be sent to")]
    Recipient,
    /// There is nobody to send it from.
    #[error("neither the product's brand nor the configuration names a sender")]
    Sender,
    /// The parts do not make a message.
    #[error("it cannot be put together: {0}")]
    Message(String),
}

/// A mail as its reader sees it. It holds the key in clear: show it to its owner or to an operator, and never log it.
pub struct Rendered {
    /// From whom; none where neither the brand nor the configuration says so.
    pub from: Option<String>,
    /// Where answers go, if elsewhere.
    pub reply_to: Option<String>,
    /// To whom.
    pub to: String,
    /// The subject.
    pub subject: String,
    /// The text.
    pub text: String,
    /// The same as HTML. It is a whole document that loads nothing.
    pub html: String,
}

/// Writes a mail as it would be sent now, for people to look at.
///
/// # Errors
/// Why it cannot be written.
pub async fn render_mail(
    store: &Store,
    ring: &KeyRing,
    mail: &Mail,
    sender: Option<&Sender>,
) -> Result<Rendered, MailError> {
    let letter = write(mail, &contents(store, mail).await?, ring, sender)?;
    Ok(Rendered::new(&letter.addresses, letter.written))
}

/// Writes a mail as it would be sent now, but with what may be shown of its key in the key's place: for people who may not see
/// that.
///
/// # Errors
/// Why it cannot be written.
pub async fn render_masked_mail(store: &Store, mail: &Mail, sender: Option<&Sender>) -> Result<Rendered, MailError> {
    let contents = contents(store, mail).await?;
    let has_key = kind(mail)? == MailKind::LicenseDelivery;
    let hint = contents.keys.first().map(|key| SecretString::from(key.hint.clone()));
    let letter = write_with(mail, &contents, sender, hint.filter(|_| has_key))?;
    Ok(Rendered::new(&letter.addresses, letter.written))
}

async fn contents(store: &Store, mail: &Mail) -> Result<Contents, MailError> {
    let contents = store.mail_contents(std::slice::from_ref(mail)).await?.remove(&mail.id);
    Ok(contents.ok_or_else(|| MailError::NoKey(LicenseId(mail.license_id)))??)
}

impl Rendered {
    fn new(addresses: &Addresses, written: Written) -> Self {
        Self {
            from: addresses.from.as_ref().map(ToString::to_string),
            reply_to: addresses.reply_to.as_ref().map(ToString::to_string),
            to: addresses.to.to_string(),
            subject: written.subject,
            text: written.text,
            html: written.html,
        }
    }
}

/// Who mails come from where a brand does not say so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender(Mailbox);

impl Sender {
    /// Reads `keys@acme.test` or `Acme <keys@acme.test>`. None: it is neither.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (name, address) = match text.trim().strip_suffix('>') {
            Some(named) => named.rsplit_once('<')?,
            None => ("", text),
        };
        mailbox(clean::line(name.trim().trim_matches('"')), address).map(Self)
    }
}

impl std::fmt::Display for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// From whom a product's mails come; none where neither its brand nor the installation has a sender.
#[must_use]
pub fn sender_of(product: &Product, sender: Option<&Sender>) -> Option<String> {
    Some(from(&Brand::read(&product.brand), &product_name(product), sender)?.to_string())
}

fn from(brand: &Brand, product: &str, sender: Option<&Sender>) -> Option<Mailbox> {
    let own = brand.sender_address.as_deref().and_then(|address| named(brand, product, address, None));
    own.or_else(|| {
        let Sender(sender) = sender?;
        named(brand, product, sender.email.as_ref(), sender.name.as_deref())
    })
}

/// An address under the name that the brand says, otherwise under its own, otherwise under the product's.
fn named(brand: &Brand, product: &str, address: &str, name: Option<&str>) -> Option<Mailbox> {
    let name = brand.sender_name.as_deref().and_then(clean::line).or_else(|| name.map(str::to_owned));
    mailbox(Some(name.unwrap_or_else(|| product.to_owned())), address)
}

fn product_name(product: &Product) -> String {
    clean::line(&product.name).unwrap_or_else(|| product.code.clone())
}

/// Between whom a mail goes.
struct Addresses {
    from: Option<Mailbox>,
    reply_to: Option<Mailbox>,
    to: Mailbox,
}

impl Addresses {
    fn new(mail: &Mail, brand: &Brand, words: &Words, sender: Option<&Sender>) -> Result<Self, MailError> {
        Ok(Self {
            from: from(brand, &words.product, sender),
            reply_to: brand.reply_to.as_deref().and_then(|address| named(brand, &words.product, address, None)),
            to: mailbox(words.name.clone(), &mail.recipient).ok_or(MailError::Recipient)?,
        })
    }

    /// Whether answering makes sense. Addresses that nobody reads say so by custom.
    fn somebody_answers(&self) -> bool {
        let answered = self.reply_to.as_ref().or(self.from.as_ref());
        answered.is_some_and(|mailbox| {
            let local: String = mailbox.email.user().chars().filter(char::is_ascii_alphabetic).collect();
            !["noreply", "donotreply"].contains(&local.to_ascii_lowercase().as_str())
        })
    }
}

/// Names that occur in every mail, fit to be shown.
struct Words {
    /// The buyer's.
    name: Option<String>,
    /// The product's.
    product: String,
}

impl Words {
    fn new(mail: &Mail, contents: &Contents) -> Self {
        Self { name: mail.recipient_name.as_deref().and_then(clean::name), product: product_name(&contents.product) }
    }
}

/// A mail, written.
pub(crate) struct Letter {
    id: MailId,
    created_at: Timestamp,
    addresses: Addresses,
    written: Written,
    /// The key that is in it.
    key: Option<SecretString>,
    /// What may be shown of the key.
    hint: String,
    /// The vendor's template that does not work, and why: this mail is as it is built in.
    pub(crate) broken: Option<BrokenTemplate>,
}

/// A vendor's template that does not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BrokenTemplate {
    pub(crate) id: MailTemplateId,
    /// Where and what. No value of the mail.
    pub(crate) problem: String,
}

impl Letter {
    /// What a relay answered, without the key.
    pub(crate) fn without_key(&self, answer: &str) -> String {
        match &self.key {
            Some(key) => crypto::key::hide(answer, key.expose_secret(), &self.hint, false),
            None => answer.to_owned(),
        }
    }
}

/// Writes a mail. Where it delivers a key, that is unsealed here, and nowhere before.
pub(crate) fn write(
    mail: &Mail,
    contents: &Contents,
    ring: &KeyRing,
    sender: Option<&Sender>,
) -> Result<Letter, MailError> {
    let key = if kind(mail)? == MailKind::LicenseDelivery { Some(unsealed(contents, ring)?) } else { None };
    write_with(mail, contents, sender, key)
}

fn write_with(
    mail: &Mail,
    contents: &Contents,
    sender: Option<&Sender>,
    key: Option<SecretString>,
) -> Result<Letter, MailError> {
    let shown = key.as_ref().map(SecretString::expose_secret);
    let (addresses, page) = page(mail, contents, sender, shown, None)?;
    let own = own::template_for(&contents.templates, contents.product.id, page.language);
    let (written, broken) = match own.map(|row| (row, templates::write_own(&row.into(), &page))) {
        None => (templates::write(&page)?, None),
        Some((_, Ok(written))) => (written, None),
        // A key that was paid for goes out whatever a vendor wrote.
        Some((row, Err(error))) => {
            let broken = BrokenTemplate { id: MailTemplateId(row.id), problem: error.to_string() };
            (templates::write(&page)?, Some(broken))
        }
    };
    Ok(Letter {
        id: MailId(mail.id),
        created_at: Timestamp::from_microsecond(mail.created_at).unwrap_or(Timestamp::UNIX_EPOCH),
        addresses,
        written,
        key,
        hint: page.key_hint.unwrap_or_default(),
        broken,
    })
}

fn kind(mail: &Mail) -> Result<MailKind, MailError> {
    mail.kind.parse().map_err(|_| MailError::Kind(mail.kind.clone()))
}

/// What the templates of a mail get to know, and where it goes.
fn page(
    mail: &Mail,
    contents: &Contents,
    sender: Option<&Sender>,
    key: Option<&str>,
    language: Option<Language>,
) -> Result<(Addresses, Page), MailError> {
    let brand = Brand::read(&contents.product.brand);
    let words = Words::new(mail, contents);
    let addresses = Addresses::new(mail, &brand, &words, sender)?;
    let material = Material {
        kind: kind(mail)?,
        language: language.unwrap_or_else(|| brand.language()),
        contents,
        brand: &brand,
        words: &words,
        addresses: &addresses,
        key,
    };
    let page = material.page().ok_or(MailError::Superseded)?;
    Ok((addresses, page))
}

fn unsealed(contents: &Contents, ring: &KeyRing) -> Result<SecretString, MailError> {
    let row = contents.keys.first().ok_or(MailError::NoKey(contents.license.id))?;
    let opened = ring.open(Place::license_key(contents.tenant, row.id), &row.sealed)?;
    Ok(SecretString::from(String::from_utf8_lossy(&opened).into_owned()))
}

#[cfg(test)]
mod tests;
