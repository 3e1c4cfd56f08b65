//! Stripe by environment variables alone, under the names that the source documents use (A07, C12).
//!
//! What they say becomes a connection of the default tenant, sealed in the database like one of `apply`. The same values
//! again change nothing; a changed value takes the place of the one before.

use anyhow::{Context, bail};
use clap::Args;
use engine::{
    Engine,
    configuration::{ConnectionInput, Existing},
    connections::{Connection, Mode},
    tenants::DEFAULT_TENANT,
};
use providers::Level;
use secrecy::{ExposeSecret, SecretString};

use crate::options::value_or_file;

/// The provider's slug.
const STRIPE: &str = "stripe";
/// Who says so, in the audit log.
const ACTOR: &str = "environment";

/// Stripe, as its own guides name the variables. Each also from the file that the variable with `_FILE` behind it names.
#[derive(Debug, Clone, Default, Args)]
#[command(
    next_help_heading = "Stripe for the default tenant; better in the environment, where no other user sees them"
)]
pub(crate) struct StripeOptions {
    /// The key to Stripe's API, secret or restricted: sk_live_…, sk_test_…, rk_live_…, rk_test_…. It says whether the
    /// connection is live. Without one the connection is live, and nothing can be looked up.
    #[arg(long, env = "STRIPE_SECRET_KEY", hide_env_values = true, value_name = "KEY")]
    stripe_secret_key: Option<String>,

    /// The signing secret of the webhook endpoint, whsec_…. Without one no event is believed.
    #[arg(long, env = "STRIPE_WEBHOOK_SECRET", hide_env_values = true, value_name = "SECRET")]
    stripe_webhook_secret: Option<String>,

    /// The signing secret of the webhook endpoint for connected accounts. Read, and not used yet.
    #[arg(long, env = "STRIPE_CONNECT_WEBHOOK_SECRET", hide_env_values = true, value_name = "SECRET")]
    stripe_connect_webhook_secret: Option<String>,
}

/// What the variables say.
#[derive(Debug, Default)]
struct Given {
    key: Option<SecretString>,
    webhook_secret: Option<SecretString>,
    is_for_connected_accounts: bool,
}

impl StripeOptions {
    /// Brings the default tenant's connection in line with what is given, and returns what an operator should know. Nothing
    /// given: nothing is changed.
    pub(crate) async fn configure(&self, engine: &Engine) -> anyhow::Result<Vec<String>> {
        let given = self.given()?;
        let mut told = Vec::new();
        if given.is_for_connected_accounts {
            told.push("STRIPE_CONNECT_WEBHOOK_SECRET is set; connected accounts are not served yet.".to_owned());
        }
        if given.key.is_none() && given.webhook_secret.is_none() {
            return Ok(told);
        }
        let mode = mode(given.key.as_ref())?;
        let connections = engine.connections().await?;
        let known = connections.iter().map(std::convert::AsRef::as_ref).filter(|connection: &&Connection| {
            connection.tenant_slug == DEFAULT_TENANT && connection.provider.info().slug == STRIPE
        });
        let known: Vec<&Connection> = known.collect();
        let input = wanted(&known, &given, mode);
        told.extend(missing(&known, &input, &given));
        let tenant = engine.tenant(DEFAULT_TENANT).await?.context("the default tenant is missing")?;
        let change = engine.save_connection(tenant, input, Existing::Either, ACTOR).await;
        let change = change.context("Stripe's variables in the environment cannot be used")?;
        told.insert(0, change.to_string());
        Ok(told)
    }

    fn given(&self) -> anyhow::Result<Given> {
        let read = |value: &Option<String>, variable| -> anyhow::Result<Option<SecretString>> {
            let text = value_or_file(value.as_deref(), variable)?;
            // An empty variable is how a compose file says that there is none.
            Ok(text.filter(|text| !text.trim().is_empty()).map(|text| SecretString::from(text.trim())))
        };
        let connect = read(&self.stripe_connect_webhook_secret, "STRIPE_CONNECT_WEBHOOK_SECRET")?;
        Ok(Given {
            key: read(&self.stripe_secret_key, "STRIPE_SECRET_KEY")?,
            webhook_secret: read(&self.stripe_webhook_secret, "STRIPE_WEBHOOK_SECRET")?,
            is_for_connected_accounts: connect.is_some(),
        })
    }
}

/// Which money a key is about; without one it is real, since test events at a live connection are held where they are
/// seen, and live ones at a test connection are a customer who waits.
fn mode(key: Option<&SecretString>) -> anyhow::Result<Mode> {
    let Some(key) = key.map(ExposeSecret::expose_secret) else { return Ok(Mode::Live) };
    let is = |kinds: [&str; 2]| kinds.iter().any(|kind| key.starts_with(kind));
    if is(["sk_live_", "rk_live_"]) {
        Ok(Mode::Live)
    } else if is(["sk_test_", "rk_test_"]) {
        Ok(Mode::Test)
    } else if key.starts_with("pk_") {
        bail!("STRIPE_SECRET_KEY is a publishable key; the secret key beside it in Stripe's dashboard is needed")
    } else {
        bail!("STRIPE_SECRET_KEY is no key of Stripe's: those begin with sk_live_, sk_test_, rk_live_ or rk_test_")
    }
}

/// The connection as it is to be: the one that has this secret or key already, otherwise the one of the usual name.
fn wanted(known: &[&Connection], given: &Given, mode: Mode) -> ConnectionInput {
    let usual = if mode.is_live() { "stripe" } else { "stripe-test" };
    let same = |one: &SecretString, other: &SecretString| one.expose_secret() == other.expose_secret();
    let of_mode = || known.iter().filter(|connection| connection.mode == mode);
    let is_given = |kept: &SecretString, given: Option<&SecretString>| given.is_some_and(|given| same(given, kept));
    let found = of_mode()
        .find(|connection| connection.webhook_secrets.iter().any(|kept| is_given(kept, given.webhook_secret.as_ref())))
        .or_else(|| {
            let has_key = |kept: &SecretString| is_given(kept, given.key.as_ref());
            of_mode().find(|connection| connection.api_key.as_ref().is_some_and(has_key))
        })
        .or_else(|| known.iter().find(|connection| connection.code == usual));
    // A secret that is one of several stays one of several: the vendor may be in the middle of changing it.
    let is_kept = |secret: &SecretString| {
        found.is_some_and(|connection| connection.webhook_secrets.iter().any(|kept| same(kept, secret)))
    };
    let secret = given.webhook_secret.clone().filter(|secret| !is_kept(secret));
    let level = found.map(|connection| connection.settings.level).filter(|level| *level != Level::None);
    ConnectionInput {
        code: found.map_or_else(|| usual.to_owned(), |connection| connection.code.clone()),
        provider: STRIPE.to_owned(),
        mode,
        level: level.unwrap_or(if given.key.is_some() { Level::Read } else { Level::None }),
        api_base: None,
        webhook_secrets: secret.map(|secret| vec![secret]),
        api_key: given.key.clone(),
        write_back: None,
        tolerance_seconds: None,
        license_keys: None,
        store: None,
    }
}

/// What will not work for want of a partner.
fn missing(known: &[&Connection], input: &ConnectionInput, given: &Given) -> Vec<String> {
    let found = known.iter().find(|connection| connection.code == input.code);
    let mut missing = Vec::new();
    if given.webhook_secret.is_none() && found.is_none_or(|connection| connection.webhook_secrets.is_empty()) {
        missing.push(
            "STRIPE_WEBHOOK_SECRET is not set: no event of Stripe's can be believed, so nothing that is paid becomes a \
             license. It is the signing secret of the webhook endpoint in Stripe's dashboard."
                .to_owned(),
        );
    }
    if given.key.is_none() && found.is_none_or(|connection| connection.api_key.is_none()) {
        missing.push(
            "STRIPE_SECRET_KEY is not set: nothing can be looked up at Stripe. A sale whose event does not say what was \
             bought waits under attention; name the plan in the checkout's metadata, or set a key."
                .to_owned(),
        );
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_says_which_money_it_is() {
        let told = |key: &str| mode(Some(&SecretString::from(key))).map_err(|error| error.to_string());
        for (key, expected) in
            [("sk_live_1", Mode::Live), ("rk_live_1", Mode::Live), ("sk_test_1", Mode::Test), ("rk_test_1", Mode::Test)]
        {
            assert_eq!(told(key), Ok(expected), "{key}");
        }
        assert!(mode(None).is_ok_and(Mode::is_live));
        for wrong in ["pk_live_hidden", "whsec_hidden", "hidden"] {
            let error = told(wrong).err().unwrap_or_default();
            assert!(error.starts_with("STRIPE_SECRET_KEY is ") && !error.contains("hidden"), "{error}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let secret = || Some(SecretString::from("s"));
        for (key, webhook_secret, expected) in [
            (secret(), secret(), vec![]),
            (secret(), None, vec!["STRIPE_WEBHOOK_SECRET"]),
            (None, secret(), vec!["STRIPE_SECRET_KEY"]),
        ] {
            let given = Given { key, webhook_secret, is_for_connected_accounts: false };
            let input = wanted(&[], &given, Mode::Live);
            assert_eq!((input.code.as_str(), input.level == Level::Read), ("stripe", given.key.is_some()));
            let told = missing(&[], &input, &given);
            let named: Vec<&str> = told.iter().filter_map(|text| text.split(' ').next()).collect();
            assert_eq!(named, expected);
        }
    }
}
