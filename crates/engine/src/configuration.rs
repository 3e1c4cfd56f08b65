//! What a vendor configures: products, plans, connections, price rules, API keys, addresses to which
//! events go. From a file, or one at a time.
//!
//! Whatever is asked for is compared with what is there by one pure function ([`difference`]), and what follows is
//! written in one transaction: the rows, their audit entries, and the moment at which orders that waited are looked at
//! again. `apply` and the single operations differ only in how much they ask for, so both do the same. Asking twice
//! changes nothing. A plan that changes gets a new version, and licenses that were sold keep theirs.

mod addresses;
mod apply;
mod check;
mod difference;
mod file;
mod input;
mod policy;
mod report;
mod secret;
mod state;
mod table;
#[cfg(test)]
mod tests;

use std::fmt;

use store::StoreError;

use crate::Error;

pub(crate) use check::is_code;
pub use check::wrong_with_limits;
pub use file::ConfigurationFile;
pub use input::{
    AccountsInput, AlertInput, ApiKeyInput, ConnectionInput, Existing, GrantInput, PlanInput, PriceRuleInput,
    ProductInput, WebhookEndpointInput,
};
pub use report::{Action, ApplyReport, ConfigurationChange, What};
pub use table::{PRICE_COLUMNS, PriceTable, TablePreview};

/// Something that cannot be as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line of the file.
    pub line: Option<usize>,
    /// What it is about, as a person would say it.
    pub subject: String,
    /// Which of its fields.
    pub field: Option<&'static str>,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.subject.is_empty() {
            write!(f, "{}: ", self.subject)?;
        }
        if let Some(field) = self.field {
            write!(f, "{field}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// Something cannot be as it is asked for.
    #[error("{}", in_lines(.0))]
    Problems(Vec<Problem>),
    /// Webhooks may not go where they are to.
    #[error("{}", in_lines(.0))]
    Addresses(Vec<Problem>),
    /// It was to be new.
    #[error("there is a {0} {1} already")]
    Exists(What, String),
    /// It was to be there.
    #[error("there is no {0} {1}")]
    Missing(What, String),
    /// Something else.
    #[error(transparent)]
    Engine(#[from] Error),
}

impl ConfigurationError {
    const fn is_conflict(&self) -> bool {
        matches!(self, Self::Engine(error) if error.is_conflict())
    }
}

impl From<StoreError> for ConfigurationError {
    fn from(error: StoreError) -> Self {
        Self::Engine(error.into())
    }
}

fn in_lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
