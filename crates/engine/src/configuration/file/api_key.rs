//! API keys, in a file.

use std::collections::BTreeSet;

use crypto::token::{ApiKeyKind, ApiKeyText};
use serde::Deserialize;

use super::{
    super::{input::ApiKeyInput, secret::SecretSource},
    Reader,
};
use crate::api_keys::{UnknownScope, kind_name};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ApiKeySection {
    name: String,
    kind: Kind,
    #[serde(default)]
    scopes: Vec<String>,
    key: SecretSource,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Live,
    Test,
    Checkout,
    CheckoutTest,
}

impl From<Kind> for ApiKeyKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Live => Self::Live,
            Kind::Test => Self::Test,
            Kind::Checkout => Self::Checkout,
            Kind::CheckoutTest => Self::TestCheckout,
        }
    }
}

impl Reader<'_> {
    pub(super) fn api_key(&mut self, line: usize, section: &ApiKeySection) -> Option<ApiKeyInput> {
        let subject = format!("API key `{}`", section.name);
        let mut scopes = BTreeSet::new();
        for scope in &section.scopes {
            match scope.parse() {
                Ok(scope) => _ = scopes.insert(scope),
                Err(unknown) => {
                    self.wrong(line, &subject, Some("scopes"), UnknownScope::to_string(&unknown));
                }
            }
        }
        let text = zeroize::Zeroizing::new(self.secret(line, &subject, "key", &section.key)?);
        match text.parse::<ApiKeyText>() {
            Err(error) => self.wrong(line, &subject, Some("key"), error.to_string()),
            Ok(key) if key.kind() != ApiKeyKind::from(section.kind) => {
                let (is, said) = (kind_name(key.kind()), kind_name(section.kind.into()));
                self.wrong(line, &subject, Some("kind"), format!("it says {said} and the key is a {is} key"));
            }
            Ok(key) => return Some(ApiKeyInput { name: section.name.clone(), scopes, key }),
        }
        None
    }
}
