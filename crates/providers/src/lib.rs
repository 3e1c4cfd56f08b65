//! Payment providers, without I/O: verify bytes, ask for look-ups, translate into facts.
//!
//! A provider is a slug and one module. Everything else (route, inbox, replay, settings, metrics, contract tests)
//! comes from [`PROVIDERS`]. Everything comes in as data and goes out as data: no clock, no network, no stored state.

pub mod accounts;
pub mod appsumo;
pub mod backfill;
pub mod calls;
pub mod generic;
pub mod headers;
pub mod http;
pub mod lemonsqueezy;
mod lookup;
pub mod manual;
pub mod paddle;
mod read;
pub mod redeem;
mod sale;
pub mod selling;
pub mod signature;
pub mod stripe;
pub mod tells;

use domain::fact::Fact;
use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::{
    accounts::Accounts,
    backfill::Backfill,
    calls::{KeyCheck, NewWebhook, NotCreated, Unsupported, Uses, WriteBack},
    http::{Answer, HttpAnswer, Request},
    redeem::Redeem,
    selling::Selling,
};

/// All providers. Adding one is a module, a line here, and fixtures.
pub static PROVIDERS: &[&dyn Provider] = &[
    &stripe::Stripe,
    &paddle::Paddle,
    &lemonsqueezy::LemonSqueezy,
    &appsumo::AppSumo,
    &generic::Generic,
    &manual::Manual,
];

/// Finds a provider by its slug.
#[must_use]
pub fn by_slug(slug: &str) -> Option<&'static dyn Provider> {
    PROVIDERS.iter().copied().find(|provider| provider.info().slug == slug)
}

/// What a provider is, for forms, guides and routes.
#[derive(Debug)]
pub struct Info {
    /// Its name in addresses and in the database.
    pub slug: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// The events that a webhook endpoint there should be subscribed to.
    pub events: &'static [&'static str],
    /// Which permission of the API key tells what is missing, in the provider's words.
    pub permissions: &'static [(domain::order::Missing, &'static str)],
    /// Where its API is reached; blank if it has none that is asked.
    pub api_base: ApiBase,
    /// Headers of every request to it, the version of its API among them.
    pub api_headers: &'static [(&'static str, &'static str)],
    /// What a vendor does there to set a connection up.
    pub guide: Guide,
}

impl Info {
    /// Whether anything can be looked up there.
    #[must_use]
    pub const fn has_api(&self) -> bool {
        !self.api_base.live.is_empty()
    }
}

/// Where a provider's API is reached, without a slash at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiBase {
    /// For live money.
    pub live: &'static str,
    /// For test money; the same where the key alone tells.
    pub test: &'static str,
}

impl ApiBase {
    /// One address for both kinds of money.
    #[must_use]
    pub const fn both(address: &'static str) -> Self {
        Self { live: address, test: address }
    }

    /// The address for live or for test money.
    #[must_use]
    pub const fn of(&self, live: bool) -> &'static str {
        if live { self.live } else { self.test }
    }
}

/// What a vendor does at the provider, in Markdown, for the provider's page in `docs/providers`.
#[derive(Debug, Default)]
pub struct Guide {
    /// How a webhook endpoint is made there, up to the list of events.
    pub endpoint: &'static str,
    /// Where the secret is shown that its calls are signed with.
    pub secret: &'static str,
    /// How a key to its API is made, and what knowing one is good for. None: there is no use for one.
    pub api_key: Option<&'static str>,
    /// Where buyers are sent to, and which id and secret belong to that. None: they are sent nowhere.
    pub redirect: Option<&'static str>,
    /// What is sold there, in the provider's words, and where the id is shown that a price rule names.
    pub price: &'static str,
    /// Such an id, as a price rule names it.
    pub price_example: &'static str,
    /// What works otherwise than one may expect.
    pub notes: &'static [&'static str],
}

/// What a connection's credentials let us look up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Only the webhook's signing secret is known.
    #[default]
    None,
    /// A restricted key: customers, charges, checkout sessions (B08).
    Read,
    /// All that the provider offers, subscriptions among it.
    Full,
}

/// Whose keys the licenses of a connection have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LicenseKeys {
    /// Each has a key of ours.
    #[default]
    Ours,
    /// The provider gives keys out and mails them itself: those open the licenses, and there is no second one.
    Theirs,
}

impl LicenseKeys {
    const fn are_ours(&self) -> bool {
        matches!(self, Self::Ours)
    }
}

/// Whether nothing of the kind has happened.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands references")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// What translation may know of a connection: its own settings, never what is stored about sales.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// What may be looked up.
    pub level: Level,
    /// Keys are written to the provider's own record of the customer (B05).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub write_back: bool,
    /// Seconds that a signature may be old. None: as many as the provider's module thinks right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tolerance_seconds: Option<u32>,
    /// The account there that this connection is about, where a platform's key acts for it (D14). None: the key's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// `account` is being made at the provider: nothing can be done by this connection until it is.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub account_awaited: bool,
    /// How often the provider has refused to make it. Each refusal makes the next try another call.
    #[serde(skip_serializing_if = "is_zero")]
    pub account_refusals: u32,
    /// The vendor has taken the right to act for `account` away from the platform.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub disconnected: bool,
    /// Its key and its webhook secrets are a platform's: they serve the accounts that other connections name.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub platform: bool,
    /// The platform's share of what a connected account sells, in ten-thousandths. On a platform: that of all its
    /// accounts; on an account: its own. None: as the platform says, which says half a percent unless told (D07).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fee_ten_thousandths: Option<u16>,
    /// Whose keys the licenses have.
    #[serde(skip_serializing_if = "LicenseKeys::are_ours")]
    pub license_keys: LicenseKeys,
    /// The provider's id of the store whose sales these are, where its key reads those of several. None: of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// Data that the buyer's own browser hands to a checkout may name the plan, before any price rule. Who opens a checkout
    /// can write there what they like, so nothing is believed unless the vendor says so.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub plan_from_custom_data: bool,
}

/// A webhook call as it came in.
#[derive(Clone, Copy)]
pub struct Delivery<'a> {
    /// Finds a header by its lower-case name.
    pub header: &'a (dyn Fn(&str) -> Option<&'a str> + Sync),
    /// The raw bytes, before anything read them.
    pub body: &'a [u8],
}

/// A body whose signature was right. It has no public constructor, so unverified bytes cannot be read.
#[derive(Clone, Copy, Debug)]
pub struct Verified<'a> {
    body: &'a [u8],
    /// Which of the given secrets matched, so that an old one can be retired.
    pub secret: usize,
}

impl<'a> Verified<'a> {
    /// The raw bytes.
    #[must_use]
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }
}

/// Why a call was not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reject {
    /// The connection has no secret: nothing can be verified, so nothing is accepted.
    #[error("no signing secret is configured for this connection")]
    NoSecret,
    /// There is no signature, or it is not of the provider's form.
    #[error("the signature header is missing or malformed")]
    NoSignature,
    /// It was signed too long ago.
    #[error("the signature is {age_seconds} seconds old; at most {tolerance_seconds} are accepted")]
    Stale {
        /// Its age.
        age_seconds: i64,
        /// The limit.
        tolerance_seconds: i64,
    },
    /// No secret gives this signature.
    #[error("the signature matches none of the configured secrets")]
    WrongSignature,
}

/// The bytes are signed and make no sense to the provider's module. They are kept and shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not understood: {what}")]
pub struct Malformed {
    /// What is wrong, and where in the document.
    pub what: String,
}

/// One event, as kept in the inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// What makes it unique at its connection.
    pub key: String,
    /// The provider's word for what happened.
    pub kind: String,
    /// When it happened, as the provider says.
    pub occurred_at: Option<Timestamp>,
    /// Live or test money; none where the provider does not say.
    pub live: Option<bool>,
    /// The account it belongs to, where one endpoint serves several.
    pub account: Option<String>,
    /// The event's own JSON.
    pub body: String,
}

/// What a translation came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// These must be asked first. Their answers are handed in with the next call.
    Need(Vec<Request>),
    /// This much is known whatever they answer, and these would tell more. With their answers the same facts come again, in
    /// the same places, and what was told besides comes behind them.
    Partly {
        /// What is known.
        facts: Vec<Fact>,
        /// What is still to be asked.
        wanted: Vec<Request>,
    },
    /// All there is to know. None: the event says nothing about licenses.
    Facts(Vec<Fact>),
}

/// How taking in a call ended, for the provider's own form of answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the inbox.
    Received {
        /// The kinds of its events; none if it was not understood, and kept all the same.
        kinds: Vec<String>,
    },
    /// It was not believed.
    Rejected(Reject),
}

/// A payment provider.
pub trait Provider: Sync {
    /// What it is.
    fn info(&self) -> &'static Info;

    /// Believes a call or not. Any of `secrets` will do.
    ///
    /// # Errors
    /// There is no secret, no signature, or the signature is too old or wrong.
    fn verify<'a>(
        &self,
        delivery: &Delivery<'a>,
        secrets: &[SecretString],
        settings: &Settings,
        now: Timestamp,
    ) -> Result<Verified<'a>, Reject>;

    /// The way in which a platform's key acts for accounts of others. None: there are no such accounts.
    fn accounts(&self) -> Option<&'static dyn Accounts> {
        None
    }

    /// Whether what is signed has a time in it, so that a call can be too old. Where it has none, the key of the inbox alone
    /// keeps a call that is played again from counting twice.
    fn signs_time(&self) -> bool {
        true
    }

    /// Splits a body into its events.
    ///
    /// # Errors
    /// The body is not of the provider's form.
    fn incoming(&self, verified: &Verified<'_>) -> Result<Vec<Incoming>, Malformed>;

    /// Why events of this kind say nothing about licenses, whatever is in them: they are kept and shown, and nobody works
    /// on them. None: they may say something.
    fn ignores(&self, kind: &str) -> Option<&'static str> {
        let _ = kind;
        None
    }

    /// Says what an event means. The same event, settings and answers always give the same step.
    ///
    /// # Errors
    /// The event lacks what its kind must have.
    fn translate(&self, incoming: &Incoming, settings: &Settings, answers: &[Answer]) -> Result<Step, Malformed>;

    /// The provider's own list of its events, where it keeps one: what was not delivered is found there.
    fn backfill(&self) -> Option<&'static dyn Backfill> {
        None
    }

    /// The way to have prices and checkouts made there. None: they are made by hand.
    fn selling(&self) -> Option<&'static dyn Selling> {
        None
    }

    /// How a buyer who is sent here by the provider shows what they bought, where it sends them.
    fn redeem(&self) -> Option<&'static dyn Redeem> {
        None
    }

    /// Whether it can give out license keys of its own.
    fn gives_keys(&self) -> bool {
        false
    }

    /// Whether a key to its API reads the sales of several stores, so that a connection with one names its own
    /// ([`Settings::store`]): what another store sold is another connection's.
    fn has_stores(&self) -> bool {
        false
    }

    /// The license key in an event that tells one, for [`domain::order::ProviderKey`].
    fn given_key(&self, body: &str) -> Option<SecretString> {
        let _ = body;
        None
    }

    /// What the provider wants to read.
    fn answer(&self, outcome: &Outcome) -> HttpAnswer;

    /// Whether a key to its API is for live money; none: it is no such key.
    fn is_live_key(&self, key: &str) -> Option<bool> {
        let _ = key;
        None
    }

    /// Questions that show, by how they are answered, which permissions a key lacks for these uses. They change nothing.
    /// None: every key may do everything, or nobody can tell.
    fn preflight(&self, uses: Uses) -> Vec<Request> {
        let _ = uses;
        Vec::new()
    }

    /// What the answers to [`Provider::preflight`] say about the key, of live money or of test money.
    fn check_key(&self, uses: Uses, answers: &[Answer], live: bool) -> KeyCheck {
        let _ = (uses, answers, live);
        KeyCheck::default()
    }

    /// The call that puts a license's key on the provider's record of its customer (B05). Sent twice it has one effect.
    ///
    /// # Errors
    /// The provider keeps no such record, or the key does not fit in.
    fn write_back(&self, note: &WriteBack<'_>) -> Result<Request, Unsupported> {
        let _ = note;
        Err(Unsupported::Provider { provider: self.info().name, what: "keep a key with a customer" })
    }

    /// The call that makes a webhook endpoint which delivers to `url` everything in [`Info::events`]. Calls of the same
    /// attempt make one endpoint, so an attempt is named anew whenever a person wants one.
    ///
    /// # Errors
    /// The provider's endpoints are made by hand.
    fn create_webhook(&self, url: &str, attempt: &str) -> Result<Request, Unsupported> {
        let _ = (url, attempt);
        Err(Unsupported::Provider { provider: self.info().name, what: "make a webhook endpoint" })
    }

    /// Reads the answer to [`Provider::create_webhook`]. It has a secret in it and is not to be kept.
    ///
    /// # Errors
    /// The provider refused, or its answer lacks what an endpoint has.
    fn webhook_created(&self, status: u16, body: &str) -> Result<NewWebhook, NotCreated> {
        let _ = body;
        Err(NotCreated { status, message: "nobody asked for one".to_owned() })
    }
}
