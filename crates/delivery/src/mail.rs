//! What mails say.
//!
//! To add a mail: a folder in `templates/` with `subject.txt.j2`, `body.txt.j2` and `body.html.j2`; a module here with
//! its [`Template`] and its context, whose `sample()` shows everything in the module's tests; a line in [`TEMPLATES`] and
//! an arm in [`write`]. Text and HTML are twins: whatever one says, the other says.

mod clean;
mod license_delivery;
mod message;
pub(crate) mod notice;
mod templates;

use crypto::{
    ring::KeyRing,
    seal::{Place, SealError},
};
use domain::id::{LicenseId, MailId};
use jiff::Timestamp;
use lettre::message::Mailbox;
use secrecy::{ExposeSecret, SecretString};
use store::{Store, StoreError, outbox::Contents, rows::Mail};

pub(crate) use clean::mailbox;

use self::{
    license_delivery::LicenseDelivery,
    templates::{Template, Written},
};
use crate::brand::Brand;

/// All of them.
static TEMPLATES: [&Template; 2] = [&license_delivery::TEMPLATE, &notice::TEMPLATE];

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
    /// A template asks for what is not there, or is malformed.
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
    let contents = store.mail_contents(std::slice::from_ref(mail)).await?.remove(&mail.id);
    let contents = contents.ok_or_else(|| MailError::NoKey(LicenseId(mail.license_id)))??;
    let Letter { addresses: Addresses { from, reply_to, to }, written, .. } = write(mail, &contents, ring, sender)?;
    Ok(Rendered {
        from: from.map(|mailbox| mailbox.to_string()),
        reply_to: reply_to.map(|mailbox| mailbox.to_string()),
        to: to.to_string(),
        subject: written.subject,
        text: written.text,
        html: written.html,
    })
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

/// Between whom a mail goes.
struct Addresses {
    from: Option<Mailbox>,
    reply_to: Option<Mailbox>,
    to: Mailbox,
}

impl Addresses {
    fn new(mail: &Mail, brand: &Brand, words: &Words, sender: Option<&Sender>) -> Result<Self, MailError> {
        let named = |address: &str, name: Option<&str>| {
            let name = brand.sender_name.as_deref().and_then(clean::line).or_else(|| name.map(str::to_owned));
            mailbox(Some(name.unwrap_or_else(|| words.product.clone())), address)
        };
        let own = brand.sender_address.as_deref().and_then(|address| named(address, None));
        let common = || sender.and_then(|Sender(sender)| named(sender.email.as_ref(), sender.name.as_deref()));
        Ok(Self {
            from: own.or_else(common),
            reply_to: brand.reply_to.as_deref().and_then(|address| named(address, None)),
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
        let product = &contents.product;
        Self {
            name: mail.recipient_name.as_deref().and_then(clean::name),
            product: clean::line(&product.name).unwrap_or_else(|| product.code.clone()),
        }
    }
}

/// A mail, written.
pub(crate) struct Letter {
    id: MailId,
    created_at: Timestamp,
    addresses: Addresses,
    written: Written,
    key: SecretString,
    /// What may be shown of the key.
    hint: String,
}

impl Letter {
    /// What a relay answered, without the key.
    pub(crate) fn without_key(&self, answer: &str) -> String {
        answer.replace(self.key.expose_secret(), &self.hint)
    }
}

/// Writes a mail. Its key is unsealed here, and nowhere before.
pub(crate) fn write(
    mail: &Mail,
    contents: &Contents,
    ring: &KeyRing,
    sender: Option<&Sender>,
) -> Result<Letter, MailError> {
    let brand = Brand::read(&contents.product.brand);
    let words = Words::new(mail, contents);
    let addresses = Addresses::new(mail, &brand, &words, sender)?;
    let row = contents.keys.first().ok_or(MailError::NoKey(contents.license.id))?;
    let opened = ring.open(Place::license_key(contents.tenant, row.id), &row.sealed)?;
    let key = SecretString::from(String::from_utf8_lossy(&opened).into_owned());
    let written = match mail.kind.as_str() {
        kind if kind == license_delivery::TEMPLATE.kind => {
            let context = LicenseDelivery::new(key.expose_secret(), contents, &brand, &words, &addresses);
            license_delivery::TEMPLATE.write(&context)?
        }
        other => return Err(MailError::Kind(other.to_owned())),
    };
    Ok(Letter {
        id: MailId(mail.id),
        created_at: Timestamp::from_microsecond(mail.created_at).unwrap_or(Timestamp::UNIX_EPOCH),
        addresses,
        written,
        key,
        hint: row.hint.clone(),
    })
}

#[cfg(test)]
mod tests;
