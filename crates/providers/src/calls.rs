//! What a connection's key may do beside looking up, and what is done with it: calls as data.

use domain::{id::LicenseId, text::CustomerReference};
use secrecy::SecretString;

use crate::{Level, Settings};

/// What a connection's key is to be used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// What is looked up.
    pub level: Level,
    /// Keys are written to the provider's customers (B05).
    pub write_back: bool,
    /// The webhook endpoint is made with it.
    pub create_webhook: bool,
    /// Prices and checkouts are made with it (D06, D07).
    pub sells: bool,
}

impl Uses {
    /// What a connection with these settings does all day. Whether it sells, its plans say; a platform always does.
    #[must_use]
    pub const fn of(settings: &Settings) -> Self {
        let (level, write_back, sells) = (settings.level, settings.write_back, settings.platform);
        Self { level, write_back, create_webhook: false, sells }
    }
}

/// What a key turned out to be good for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyCheck {
    /// The provider does not know the key: in its own words.
    pub refused: Option<String>,
    /// The permissions it lacks.
    pub missing: Vec<MissingPermission>,
    /// Where a key that has them all is made: the provider's form, filled in. None if nothing is missing.
    pub link: Option<String>,
}

/// A permission that a key lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingPermission {
    /// The provider's name for it in its API.
    pub code: String,
    /// The provider's name for it in its forms.
    pub name: String,
    /// What does not work without it.
    pub without: &'static str,
}

/// A license's key, for the provider's own record of the customer who bought it.
#[derive(Clone, Copy, Debug)]
pub struct WriteBack<'a> {
    /// The license.
    pub license: LicenseId,
    /// Who bought it.
    pub customer: &'a CustomerReference,
    /// Its key. An empty one takes it off the record.
    pub key: &'a SecretString,
}

/// A webhook endpoint that was made at the provider.
#[derive(Clone, Debug)]
pub struct NewWebhook {
    /// The provider's name for it.
    pub id: String,
    /// What its calls are signed with. The provider tells it once.
    pub secret: SecretString,
}

/// A call that cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// The provider has nothing of the kind.
    #[error("{provider} offers no way to {what}")]
    Provider {
        /// The provider.
        provider: &'static str,
        /// What was to be done.
        what: &'static str,
    },
    /// The provider does not take a text of this length.
    #[error("the key has {characters} characters and {provider} keeps {characters_max} at most; it was not written")]
    TooLong {
        /// The provider.
        provider: &'static str,
        /// How long it is.
        characters: usize,
        /// The limit.
        characters_max: usize,
    },
}

/// The provider did not make the webhook endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the provider did not make the webhook endpoint (status {status}): {message}")]
pub struct NotCreated {
    /// Its status.
    pub status: u16,
    /// Its words, or what is missing in its answer.
    pub message: String,
}
