//! The file that `keywright apply` reads: TOML, in which everything that is not known is a mistake.

mod alert;
mod api_key;
mod endpoint;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use crypto::webhook::WebhookSecret;
use domain::{
    decision::{Matcher, QuantityRule},
    money::{Currency, Money},
    plan::{AddOn, Interval, LeaseTerms, Limits, PlanPrice, PlanTerms},
    text::{PriceReference, ProductReference},
};
use jiff::Timestamp;
use providers::{Level, LicenseKeys, redeem::OauthClient};
use secrecy::SecretString;
use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};
use toml::Spanned;

use self::{alert::AlertSection, api_key::ApiKeySection, endpoint::WebhookEndpointSection};
use super::{
    ConfigurationError, Problem,
    input::{
        AccountsInput, ConnectionInput, Entry, GrantInput, PlanInput, PriceRuleInput, ProductInput, Unnamed, Wanted,
    },
    policy::PolicySection,
    secret::{SecretSource, SecretSources},
};
use crate::{
    accounts::{AccountError, is_slug},
    connections::Mode,
    tenants::DEFAULT_TENANT,
};

/// What a file asks for. Its secrets are still where it says.
#[derive(Debug)]
pub struct ConfigurationFile {
    text: String,
    document: Document,
}

/// Finds what a secret's source names: `env:NAME` or `file:PATH`.
pub(super) type Secrets<'a> = &'a (dyn Fn(&str) -> Result<String, String> + Sync);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    tenant: TenantSection,
    #[serde(default)]
    product: Vec<Spanned<ProductSection>>,
    #[serde(default)]
    plan: Vec<Spanned<PlanSection>>,
    #[serde(default)]
    connection: Vec<Spanned<ConnectionSection>>,
    #[serde(default)]
    price_rule: Vec<Spanned<PriceRuleSection>>,
    #[serde(default)]
    api_key: Vec<Spanned<ApiKeySection>>,
    #[serde(default)]
    webhook_endpoint: Vec<Spanned<WebhookEndpointSection>>,
    #[serde(default)]
    alert: Vec<Spanned<AlertSection>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct TenantSection {
    slug: Option<String>,
    name: Option<String>,
    deliveries_kept_days: Option<u16>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProductSection {
    code: String,
    name: String,
    key_prefix: Option<String>,
    #[serde(default)]
    brand: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanSection {
    code: String,
    product: String,
    name: String,
    duration_days: Option<u32>,
    #[serde(default)]
    activations: Activations,
    checks_per_month: Option<u32>,
    #[serde(default)]
    features: BTreeSet<String>,
    #[serde(default)]
    policy: PolicySection,
    #[serde(default)]
    lease: LeaseTerms,
    price: Option<PriceSection>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceSection {
    amount: i64,
    currency: Currency,
    interval: Option<Interval>,
}

impl From<PriceSection> for PlanPrice {
    fn from(section: PriceSection) -> Self {
        let PriceSection { amount, currency, interval } = section;
        Self { money: Money::new(amount, currency), every: interval }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConnectionSection {
    code: String,
    provider: String,
    mode: Mode,
    #[serde(default)]
    level: Level,
    #[serde(default)]
    write_back: bool,
    tolerance_seconds: Option<u32>,
    #[serde(default)]
    license_keys: LicenseKeys,
    store: Option<String>,
    #[serde(default)]
    plan_from_custom_data: bool,
    webhook_secrets: Option<SecretSources>,
    api_key: Option<SecretSource>,
    oauth_client: Option<OauthClientSection>,
    api_base: Option<String>,
    account: Option<String>,
    #[serde(default)]
    platform: bool,
    fee_ten_thousandths: Option<u16>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OauthClientSection {
    id: String,
    secret: SecretSource,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceRuleSection {
    connection: String,
    price: Option<String>,
    product: Option<String>,
    default: Option<bool>,
    plan: Option<String>,
    quantity: Option<QuantityRule>,
    grants: Option<Vec<GrantSection>>,
    adds: Option<AddOn>,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GrantSection {
    plan: String,
    #[serde(default)]
    quantity: QuantityRule,
}

/// Which money an address or a channel is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SectionMode {
    #[default]
    Live,
    Test,
}

/// A number, or `"unlimited"`.
#[derive(Clone, Copy, Debug)]
struct Activations(Option<u32>);

impl Default for Activations {
    fn default() -> Self {
        Self(Limits::default().activations)
    }
}

struct NumberOrUnlimited;

impl Visitor<'_> for NumberOrUnlimited {
    type Value = Activations;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number from 1 on, or \"unlimited\"")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Activations, E> {
        let count = u32::try_from(number).ok().filter(|count| *count > 0);
        count
            .map(|count| Activations(Some(count)))
            .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Signed(number), &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Activations, E> {
        match text {
            "unlimited" => Ok(Activations(None)),
            other => Err(E::invalid_value(serde::de::Unexpected::Str(other), &self)),
        }
    }
}

impl<'de> Deserialize<'de> for Activations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberOrUnlimited)
    }
}

impl ConfigurationFile {
    /// Reads a file. What is not TOML, not known or of another type is told with its line; values are not repeated, since
    /// one of them may be a secret in the wrong place.
    ///
    /// # Errors
    /// [`ConfigurationError::Problems`] with the first mistake.
    pub fn parse(text: &str) -> Result<Self, ConfigurationError> {
        let document = toml::from_str(text).map_err(|error: toml::de::Error| {
            let line = error.span().map(|span| line_of(text, span.start));
            let message = error.message().to_owned();
            ConfigurationError::Problems(vec![Problem { line, subject: String::new(), field: None, message }])
        })?;
        Ok(Self { text: text.to_owned(), document })
    }

    /// The slug of the tenant it is about.
    #[must_use]
    pub fn tenant_slug(&self) -> &str {
        self.document.tenant.slug.as_deref().unwrap_or(DEFAULT_TENANT)
    }

    /// The brand of each product, with the line at which the product begins. What a brand may have is not known here.
    pub fn brands(&self) -> impl Iterator<Item = (usize, &BTreeMap<String, String>)> {
        let products = self.document.product.iter();
        products.map(|product| (line_of(&self.text, product.span().start), &product.get_ref().brand))
    }

    /// The name it gives to the tenant.
    pub(super) fn tenant_name(&self) -> Option<&str> {
        self.document.tenant.name.as_deref()
    }

    /// A slug stands in addresses.
    pub(super) fn check_slug(&self) -> Result<(), ConfigurationError> {
        let slug = self.tenant_slug();
        if is_slug(slug) {
            return Ok(());
        }
        let message = AccountError::Slug.to_string();
        let subject = "tenant".to_owned();
        Err(ConfigurationError::Problems(vec![Problem { line: None, subject, field: Some("slug"), message }]))
    }

    /// What it asks for, with its secrets.
    pub(super) fn wanted(&self, secrets: Secrets<'_>, prune: bool) -> Result<Wanted, ConfigurationError> {
        let mut reader = Reader { text: &self.text, secrets, problems: Vec::new() };
        let wanted = Wanted {
            tenant_name: self.document.tenant.name.clone(),
            deliveries_kept_days: self.document.tenant.deliveries_kept_days,
            products: reader.each(&self.document.product, |_, _, section| Some(product(section))),
            plans: reader.each(&self.document.plan, |_, _, section| Some(plan(section))),
            connections: reader.each(&self.document.connection, Reader::connection),
            price_rules: reader.each(&self.document.price_rule, Reader::price_rule),
            removed_rules: Vec::new(),
            api_keys: reader.each(&self.document.api_key, Reader::api_key),
            webhook_endpoints: reader.each(&self.document.webhook_endpoint, Reader::webhook_endpoint),
            removed_endpoints: Vec::new(),
            alerts: reader.each(&self.document.alert, Reader::alert),
            removed_alerts: Vec::new(),
            unnamed: if prune { Unnamed::Pruned } else { Unnamed::Told },
        };
        if reader.problems.is_empty() { Ok(wanted) } else { Err(ConfigurationError::Problems(reader.problems)) }
    }
}

/// The number of the line that holds a byte.
fn line_of(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|byte| *byte == b'\n').count() + 1
}

fn product(section: &ProductSection) -> ProductInput {
    let ProductSection { code, name, key_prefix, brand } = section;
    let key_prefix = key_prefix.clone().unwrap_or_else(|| crypto::key::Prefix::default().as_str().to_owned());
    ProductInput { code: code.clone(), name: name.clone(), key_prefix, brand: brand.clone() }
}

fn plan(section: &PlanSection) -> PlanInput {
    let limits = Limits {
        activations: section.activations.0,
        checks_per_month: section.checks_per_month,
        features: section.features.clone(),
    };
    let PlanSection { duration_days, lease, price, .. } = *section;
    let policy = section.policy.policy();
    PlanInput {
        code: section.code.clone(),
        product: section.product.clone(),
        name: section.name.clone(),
        terms: PlanTerms { limits, duration_days, policy, lease, price: price.map(PlanPrice::from) },
    }
}

/// Reads sections, and gathers what is wrong with them, so that all of it is told at once.
struct Reader<'a> {
    text: &'a str,
    secrets: Secrets<'a>,
    problems: Vec<Problem>,
}

/// What is wrong stands among the problems.
struct Noted;

impl Reader<'_> {
    fn each<Section, Input>(
        &mut self,
        sections: &[Spanned<Section>],
        read: impl Fn(&mut Self, usize, &Section) -> Option<Input>,
    ) -> Vec<Entry<Input>> {
        let mut entries = Vec::with_capacity(sections.len());
        for section in sections {
            let line = line_of(self.text, section.span().start);
            let item = read(self, line, section.get_ref());
            entries.extend(item.map(|item| Entry { line: Some(line), item }));
        }
        entries
    }

    fn wrong(&mut self, line: usize, subject: &str, field: Option<&'static str>, message: impl Into<String>) {
        let message = message.into();
        self.problems.push(Problem { line: Some(line), subject: subject.to_owned(), field, message });
    }

    /// What a source names, without blanks around it: files end with a newline.
    fn secret(&mut self, line: usize, subject: &str, field: &'static str, source: &SecretSource) -> Option<String> {
        let found = (self.secrets)(&source.0).map(|text| text.trim().to_owned());
        match found {
            Ok(text) if !text.is_empty() => return Some(text),
            Ok(_) => self.wrong(line, subject, Some(field), format!("{} is empty", source.0)),
            Err(problem) => self.wrong(line, subject, Some(field), problem),
        }
        None
    }

    /// The secret that signs webhooks, where one is named.
    ///
    /// # Errors
    /// It is not to be had; that is noted.
    fn webhook_secret(
        &mut self,
        line: usize,
        subject: &str,
        source: Option<&SecretSource>,
    ) -> Result<Option<WebhookSecret>, Noted> {
        let Some(source) = source else { return Ok(None) };
        let text = zeroize::Zeroizing::new(self.secret(line, subject, "secret", source).ok_or(Noted)?);
        WebhookSecret::parse(&text).map(Some).map_err(|error| {
            self.wrong(line, subject, Some("secret"), error.to_string());
            Noted
        })
    }

    fn connection(&mut self, line: usize, section: &ConnectionSection) -> Option<ConnectionInput> {
        let subject = format!("connection `{}`", section.code);
        let mut secret =
            |field, source: &SecretSource| self.secret(line, &subject, field, source).map(SecretString::from);
        let webhook_secrets = match &section.webhook_secrets {
            Some(SecretSources(sources)) => {
                let found: Vec<_> = sources.iter().map(|source| secret("webhook_secrets", source)).collect();
                Some(found.into_iter().collect::<Option<Vec<_>>>()?)
            }
            None => None,
        };
        let api_key = match &section.api_key {
            Some(source) => Some(secret("api_key", source)?),
            None => None,
        };
        let oauth_client = match &section.oauth_client {
            Some(client) => {
                Some(OauthClient { id: client.id.clone(), secret: secret("oauth_client", &client.secret)? })
            }
            None => None,
        };
        Some(ConnectionInput {
            code: section.code.clone(),
            provider: section.provider.clone(),
            mode: section.mode,
            level: section.level,
            write_back: Some(section.write_back),
            tolerance_seconds: section.tolerance_seconds,
            license_keys: Some(section.license_keys),
            store: section.store.clone(),
            plan_from_custom_data: Some(section.plan_from_custom_data),
            api_base: section.api_base.clone(),
            webhook_secrets,
            api_key,
            accounts: AccountsInput {
                account: section.account.clone(),
                is_connected: None,
                is_platform: section.platform,
                fee_ten_thousandths: section.fee_ten_thousandths,
            },
            oauth_client,
        })
    }

    fn price_rule(&mut self, line: usize, section: &PriceRuleSection) -> Option<PriceRuleInput> {
        let subject = format!("price rule of `{}`", section.connection);
        let matcher = match (&section.price, &section.product, section.default) {
            (Some(price), None, None) => Matcher::Price(PriceReference::new(price.as_str())),
            (None, Some(product), None) => Matcher::Product(ProductReference::new(product.as_str())),
            (None, None, Some(true)) => Matcher::Default,
            _ => {
                let message = "say what it is about: exactly one of price = \"…\", product = \"…\" or default = true";
                self.wrong(line, &subject, None, message);
                return None;
            }
        };
        let grants = match (&section.plan, &section.grants, section.quantity) {
            (Some(plan), None, quantity) => {
                vec![GrantInput { plan: plan.clone(), quantity: quantity.unwrap_or_default() }]
            }
            (None, Some(grants), None) => grants.iter().map(GrantSection::input).collect(),
            (None, None, None) if section.adds.as_ref().is_some_and(|adds| !adds.is_nothing()) => Vec::new(),
            _ => {
                let message = "say what it gives: plan = \"…\" (with or without quantity = \"keys\" or \"seats\"), or \
                     grants = [{ plan = \"…\", quantity = \"keys\" }, …]; grants = [] gives nothing; \
                     adds = { activations = 5 } adds to what is sold with it";
                self.wrong(line, &subject, None, message);
                return None;
            }
        };
        let adds = section.adds.clone().unwrap_or_default();
        let (from, until) = (section.from, section.until);
        Some(PriceRuleInput { connection: section.connection.clone(), matcher, grants, adds, from, until })
    }
}

impl GrantSection {
    fn input(&self) -> GrantInput {
        GrantInput { plan: self.plan.clone(), quantity: self.quantity }
    }
}
