//! What is asked for: the same for a file and for a single call.

use std::collections::{BTreeMap, BTreeSet};

use crypto::{token::ApiKeyText, webhook::WebhookSecret};
use domain::{
    alert::ChannelKind,
    decision::{Matcher, QuantityRule},
    event::{EventStyle, WantedKinds},
    id::{AlertChannelId, PriceRuleId, WebhookEndpointId},
    plan::{AddOn, PlanTerms},
    retry::Schedule,
};
use jiff::Timestamp;
use providers::{Level, LicenseKeys, redeem::OauthClient};
use secrecy::SecretString;

use crate::{api_keys::Scope, connections::Mode};

/// A product as it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProductInput {
    /// The vendor's name for it.
    pub code: String,
    /// What buyers read.
    pub name: String,
    /// What its keys start with.
    pub key_prefix: String,
    /// What its mails and pages look like, as it is.
    pub brand: BTreeMap<String, String>,
}

/// A plan as it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanInput {
    /// The vendor's name for it.
    pub code: String,
    /// The code of its product.
    pub product: String,
    /// What buyers read.
    pub name: String,
    /// What it says.
    pub terms: PlanTerms,
}

/// A connection as it is to be.
#[derive(Clone, Debug)]
pub struct ConnectionInput {
    /// The vendor's name for it.
    pub code: String,
    /// The slug of its provider.
    pub provider: String,
    /// Which money.
    pub mode: Mode,
    /// What its key may look up.
    pub level: Level,
    /// Whether keys are written to the provider's record of its customer. None: it stays as it is.
    pub write_back: Option<bool>,
    /// Seconds that a signature may be old. None: it stays as it is, which is the provider's own way to begin with.
    pub tolerance_seconds: Option<u32>,
    /// Whose keys its licenses have. None: it stays as it is.
    pub license_keys: Option<LicenseKeys>,
    /// The provider's id of the store whose sales these are, where its key reads those of several. None: it stays as it is.
    pub store: Option<String>,
    /// Whether data that a buyer's browser hands to a checkout may name the plan. None: it stays as it is, which is no to
    /// begin with.
    pub plan_from_custom_data: Option<bool>,
    /// Where the provider's API is, for one that is simulated.
    pub api_base: Option<String>,
    /// Signing secrets of its webhooks. None: they stay as they are.
    pub webhook_secrets: Option<Vec<SecretString>>,
    /// The key to the provider's API. None: it stays as it is.
    pub api_key: Option<SecretString>,
    /// What the provider knows the vendor by when buyers come from it. None: it stays as it is.
    pub oauth_client: Option<OauthClient>,
    /// What it has to do with platforms and their accounts. Only who runs the server says that: whoever could name an
    /// account would get its sales.
    pub accounts: AccountsInput,
}

impl ConnectionInput {
    /// A connection of which nothing is said but what it is about: what is there of it stays, and nothing is looked up.
    #[must_use]
    pub fn new(code: impl Into<String>, provider: impl Into<String>, mode: Mode) -> Self {
        Self {
            code: code.into(),
            provider: provider.into(),
            mode,
            level: Level::None,
            write_back: None,
            tolerance_seconds: None,
            license_keys: None,
            store: None,
            plan_from_custom_data: None,
            api_base: None,
            webhook_secrets: None,
            api_key: None,
            oauth_client: None,
            accounts: AccountsInput::default(),
        }
    }
}

/// What a connection has to do with platforms and their accounts. What is not said stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountsInput {
    /// The account that it is about, for which a platform's key acts.
    pub account: Option<String>,
    /// Its vendor has connected that account, again, or has disconnected it.
    pub is_connected: Option<bool>,
    /// It is a platform: its key and its webhook secrets serve accounts.
    pub is_platform: bool,
    /// The platform's share, in ten-thousandths.
    pub fee_ten_thousandths: Option<u16>,
}

/// A price rule as it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceRuleInput {
    /// The code of its connection.
    pub connection: String,
    /// What it looks for.
    pub matcher: Matcher,
    /// What that gives. Empty: nothing of ours.
    pub grants: Vec<GrantInput>,
    /// What it adds to the licenses that are sold with it.
    pub adds: AddOn,
    /// Sales from then on; none: since ever.
    pub from: Option<Timestamp>,
    /// Sales before then; none: for ever.
    pub until: Option<Timestamp>,
}

/// A plan that a price gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantInput {
    /// The code of the plan.
    pub plan: String,
    /// How the quantity counts.
    pub quantity: QuantityRule,
}

/// An API key as it is to be.
#[derive(Debug)]
pub struct ApiKeyInput {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub scopes: BTreeSet<Scope>,
    /// Its text, of which only the hash is kept.
    pub key: ApiKeyText,
}

/// One of a vendor's own addresses to which events go, as it is to be. What is not said stays, or is as it is to begin with.
#[derive(Clone, Debug)]
pub struct WebhookEndpointInput {
    /// The vendor's name for it.
    pub code: String,
    /// Whether it is told of real money, or of tests.
    pub is_live: bool,
    /// Where it is. One that is new needs it.
    pub url: Option<String>,
    /// Of what it is told; all, to begin with.
    pub events: Option<WantedKinds>,
    /// In which form.
    pub style: Option<EventStyle>,
    /// How long a delivery is tried.
    pub schedule: Option<Schedule>,
    /// Whether the events of a license come one after the other.
    pub is_ordered: Option<bool>,
    /// Headers that go along. They are sealed.
    pub headers: Option<Vec<(String, SecretString)>>,
    /// What signs. One that is new has one made, if none is given.
    pub secret: Option<WebhookSecret>,
}

impl WebhookEndpointInput {
    /// One of which nothing is said but what it is about.
    #[must_use]
    pub fn new(code: impl Into<String>, is_live: bool) -> Self {
        Self {
            code: code.into(),
            is_live,
            url: None,
            events: None,
            style: None,
            schedule: None,
            is_ordered: None,
            headers: None,
            secret: None,
        }
    }
}

/// A way by which alerts reach people, as it is to be.
#[derive(Clone, Debug)]
pub struct AlertInput {
    /// The vendor's name for it.
    pub code: String,
    /// Whether it carries what is about real sales, and about both modes; otherwise what is about test mode.
    pub livemode: bool,
    /// Which way.
    pub kind: ChannelKind,
    /// An e-mail address, or the address that is called. None: it stays as it is.
    pub to: Option<SecretString>,
    /// The kinds of items that it carries. Empty: all that matter.
    pub items: BTreeSet<String>,
    /// What signs the calls of a webhook. None: it stays as it is.
    pub secret: Option<WebhookSecret>,
}

/// What is known about whether something is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// Either will do.
    #[default]
    Either,
    /// It is to be made: one that is there is a mistake.
    New,
    /// It is to be changed: one that is not there is a mistake.
    There,
}

/// Something that is asked for, and the line of the file where it is.
#[derive(Debug)]
pub(super) struct Entry<T> {
    pub(super) line: Option<usize>,
    pub(super) item: T,
}

impl<T> From<T> for Entry<T> {
    fn from(item: T) -> Self {
        Self { line: None, item }
    }
}

/// Everything that is asked for at once.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) tenant_name: Option<String>,
    pub(super) deliveries_kept_days: Option<u16>,
    pub(super) products: Vec<Entry<ProductInput>>,
    pub(super) plans: Vec<Entry<PlanInput>>,
    pub(super) connections: Vec<Entry<ConnectionInput>>,
    pub(super) price_rules: Vec<Entry<PriceRuleInput>>,
    pub(super) removed_rules: Vec<PriceRuleId>,
    pub(super) api_keys: Vec<Entry<ApiKeyInput>>,
    pub(super) webhook_endpoints: Vec<Entry<WebhookEndpointInput>>,
    pub(super) removed_endpoints: Vec<WebhookEndpointId>,
    pub(super) alerts: Vec<Entry<AlertInput>>,
    pub(super) removed_alerts: Vec<AlertChannelId>,
    pub(super) unnamed: Unnamed,
}

/// What becomes of what is there and not asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Unnamed {
    /// Nothing: a single operation is about one thing.
    #[default]
    Ignored,
    /// It stays, and is told.
    Told,
    /// It goes, as far as nothing stands on it.
    Pruned,
}
