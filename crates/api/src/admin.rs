//! What vendors' own code and their support look at and change. Everything is one tenant's and of one mode: that of the
//! API key. Products, plans, price rules and connections belong to both modes.

/// Declares the words of a closed list of the domain's, for documents and parameters.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident as $schema:ident of $domain:path { $($(#[$of_word:meta])* $word:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
        #[serde(rename_all = "snake_case")]
        #[schema(as = $schema)]
        pub(crate) enum $name {
            $($(#[$of_word])* $word,)*
        }

        impl From<$name> for $domain {
            fn from(word: $name) -> Self {
                match word { $($name::$word => Self::$word,)* }
            }
        }

        impl From<$domain> for $name {
            fn from(value: $domain) -> Self {
                match value { $(<$domain>::$word => Self::$word,)* }
            }
        }
    };
}

pub(crate) mod alerts;
pub(crate) mod api_keys;
pub(crate) mod attention;
pub(crate) mod audit;
pub(crate) mod catalogue;
pub(crate) mod connections;
pub(crate) mod customers;
pub(crate) mod decisions;
pub(crate) mod deliveries;
pub(crate) mod events;
pub(crate) mod imports;
pub(crate) mod inbound;
pub(crate) mod license_keys;
pub(crate) mod licenses;
pub(crate) mod mail_templates;
pub(crate) mod mails;
pub(crate) mod orders;
pub(crate) mod price_rules;
pub(crate) mod reconcile;
pub(crate) mod rulings;
mod sale;
mod terms;
pub(crate) mod webhook_endpoints;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::problem::Problem;

/// The longest reason that a person may give, in characters.
const NOTE_CHARACTERS_MAX: usize = 1_000;

/// Why somebody does something, in their own words.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Note)]
pub(crate) struct NoteBody {
    /// For the audit log.
    #[serde(default)]
    #[schema(max_length = 1000)]
    note: Option<String>,
}

/// The reason, if it is one that can be kept.
pub(crate) fn note(text: Option<String>) -> Result<Option<String>, Problem> {
    match text.as_deref().map(|text| text.chars().count()) {
        Some(count) if count > NOTE_CHARACTERS_MAX => {
            let detail = format!("`note` has {count} characters; {NOTE_CHARACTERS_MAX} is the most.");
            Err(Problem::invalid(detail).of("note"))
        }
        _ => Ok(text.filter(|text| !text.trim().is_empty())),
    }
}

/// An instant as stored.
fn instant(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or_default()
}

/// The word that serde writes for a value of a closed list.
fn word(value: &impl Serialize) -> String {
    let written = serde_json::to_value(value).ok();
    written.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
}
