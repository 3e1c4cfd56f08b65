//! What a new vendor has still to do before real buyers can come: asked of what is there, never stored.

use std::collections::BTreeMap;

use domain::id::{ConnectionId, TenantId};
use providers::manual;
use store::{
    lists::{LicenseFilter, Page, Whose},
    rows,
};

use crate::{
    Engine, Error,
    configuration::{ConfigurationError, Existing, ProductInput},
    connections::Mode,
};

/// Something that a vendor does once before real buyers come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstStep {
    /// Names what is sold.
    Product,
    /// Says what buyers get.
    Plan,
    /// Connects who takes the money.
    Connection,
    /// Is told something by them that can be believed.
    SignedEvent,
    /// Says what a price gives.
    PriceRule,
    /// Has sold one.
    License,
    /// Has an app that uses it.
    Activation,
}

impl Engine {
    /// What is done already, in the order in which somebody does it who wants to see something work first.
    ///
    /// A simulated provider shows how it works, and is no connection to real buyers: of it neither connection nor event nor
    /// rule counts.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn first_steps(&self, whose: Whose) -> Result<Vec<(FirstStep, bool)>, Error> {
        let store = &self.store;
        let one = Page { limit: 1, from: None };
        let mode = if whose.livemode { Mode::Live } else { Mode::Test };
        let is_it = |row: &rows::Connection| {
            row.tenant_id == whose.tenant.0 && row.provider != manual::SLUG && Mode::read(&row.mode) == mode
        };
        let connected: Vec<_> = store.connections().await?.into_iter().filter(is_it).map(|row| row.id).collect();
        let mut is_told = false;
        for id in &connected {
            is_told = is_told || store.last_event(whose, ConnectionId(*id)).await?.is_some();
        }
        let rules = store.price_rules(whose.tenant).await?;
        let is_mapped = rules.iter().any(|rule| connected.contains(&rule.connection_id));
        let licenses = store.list_licenses(whose, &LicenseFilter::default(), one).await?.rows;
        Ok(vec![
            (FirstStep::Product, !store.products(whose.tenant).await?.is_empty()),
            (FirstStep::Plan, !store.plans(whose.tenant).await?.is_empty()),
            (FirstStep::License, !licenses.is_empty()),
            (FirstStep::Activation, store.has_activation(whose.tenant).await?),
            (FirstStep::Connection, !connected.is_empty()),
            (FirstStep::SignedEvent, is_told),
            (FirstStep::PriceRule, is_mapped),
        ])
    }

    /// Makes a vendor's first product from its name alone: its code and the beginning of its keys follow from it.
    ///
    /// # Errors
    /// There is one of that code already, the name cannot be, or those of the database.
    pub async fn first_product(&self, tenant: TenantId, name: &str, actor: &str) -> Result<(), ConfigurationError> {
        let code = code_of(name);
        let key_prefix = prefix_of(&code);
        let input = ProductInput { code, name: name.to_owned(), key_prefix, brand: BTreeMap::new() };
        self.save_product(tenant, input, Existing::New, actor).await.map(drop)
    }
}

/// `Halo Studio 2` is `halo-studio-2`.
fn code_of(name: &str) -> String {
    const LONGEST: usize = 40;
    let mut code = String::new();
    for symbol in name.to_lowercase().chars() {
        match symbol {
            'a'..='z' | '0'..='9' => code.push(symbol),
            _ if code.ends_with('-') || code.is_empty() => {}
            _ => code.push('-'),
        }
    }
    code.truncate(LONGEST);
    let code = code.trim_end_matches('-');
    if code.is_empty() { "product".to_owned() } else { code.to_owned() }
}

/// The first letters of a code.
fn prefix_of(code: &str) -> String {
    const LONGEST: usize = 6;
    let letters = code.chars().filter(char::is_ascii_alphanumeric).take(LONGEST);
    letters.collect::<String>().to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_is_named_once() {
        for (name, code, prefix) in [
            ("Halo Studio 2", "halo-studio-2", "HALOST"),
            ("  Größe!  ", "gr-e", "GRE"),
            ("日本", "product", "PRODUC"),
            ("A", "a", "A"),
        ] {
            assert_eq!((code_of(name).as_str(), prefix_of(code).as_str()), (code, prefix), "{name}");
        }
    }
}
