//! Stripe by environment variables alone, under the names that the source documents use (A07, C12).
//!
//! What they say becomes a connection of the default tenant, sealed in the database like one of `apply`. The same values
//! again change nothing; a changed value takes the place of the one before.

use anyhow::{Context, bail};
use clap::Args;
use engine::{
    Engine,
    configuration::{AccountsInput, ConnectionInput, Existing},
    connections::{Connection, Mode},
    tenants::DEFAULT_TENANT,
};
use providers::{Level, calls::KeyCheck};
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

    /// The signing secret of the webhook endpoint for connected accounts, or several with commas between them while one is
    /// being replaced. With it this server is a platform: STRIPE_SECRET_KEY acts for the accounts that vendors connect.
    #[arg(long, env = "STRIPE_CONNECT_WEBHOOK_SECRET", hide_env_values = true, value_name = "SECRETS")]
    stripe_connect_webhook_secret: Option<String>,

    /// The platform's share of what connected accounts sell, in ten-thousandths: 50 is half a percent, which is the default.
    #[arg(long, env = "STRIPE_CONNECT_FEE", value_name = "TEN_THOUSANDTHS")]
    stripe_connect_fee: Option<u16>,
}

/// What the variables say.
#[derive(Debug, Default)]
struct Given {
    key: Option<SecretString>,
    webhook_secret: Option<SecretString>,
    /// Of the endpoint for connected accounts.
    connect_secrets: Vec<SecretString>,
    connect_fee: Option<u16>,
}

impl StripeOptions {
    /// Brings the default tenant's connection in line with what is given, and returns what an operator should know. Nothing
    /// given: nothing is changed.
    pub(crate) async fn configure(&self, engine: &Engine) -> anyhow::Result<Vec<String>> {
        let given = self.given()?;
        let mut told = Vec::new();
        let is_platform = !given.connect_secrets.is_empty();
        if given.key.is_none() && given.webhook_secret.is_none() && !is_platform {
            return Ok(told);
        }
        let mode = mode(given.key.as_ref())?;
        let tenant = engine.tenant(DEFAULT_TENANT).await?.context("the default tenant is missing")?;
        if is_platform {
            if given.key.is_none() {
                told.push(
                    "STRIPE_SECRET_KEY is not set: nothing can be looked up or sold for connected accounts. It is the \
                     platform's own key."
                        .to_owned(),
                );
            }
            let change = engine.save_connection(tenant, platform(&given, mode), Existing::Either, ACTOR).await;
            told.push(change.context("Stripe's variables for connected accounts cannot be used")?.to_string());
        }
        let connections = engine.connections().await?;
        let own: Vec<&Connection> = connections.iter().map(AsRef::as_ref).filter(|known| is_own(known)).collect();
        let found = found(&own, &given, mode);
        // A platform need not sell anything itself.
        if is_platform && given.webhook_secret.is_none() && found.is_none() {
            told.push(
                "STRIPE_WEBHOOK_SECRET is not set: connected accounts sell, and nothing is sold in this server's own name."
                    .to_owned(),
            );
            return Ok(told);
        }
        told.extend(missing(found, &given));
        let change = engine.save_connection(tenant, wanted(found, &given, mode), Existing::Either, ACTOR).await;
        let change = change.context("Stripe's variables in the environment cannot be used")?;
        told.insert(0, change.to_string());
        Ok(told)
    }

    /// What the key lacks for what it is used for. Stripe is asked; one that cannot be reached is told where lost webhooks
    /// are caught up.
    pub(crate) async fn lacking(&self, engine: &Engine) -> anyhow::Result<Vec<String>> {
        let Some(key) = self.given()?.key else { return Ok(Vec::new()) };
        let mut told = Vec::new();
        for connection in engine.connections().await?.iter().filter(|connection| is_of_stripe(connection)) {
            let has_key = connection.api_key.as_ref().is_some_and(|kept| same(kept, &key));
            if !has_key {
                continue;
            }
            if let Ok(check) = engine.check_key(connection, engine.uses_of(connection).await?).await {
                told.extend(lacks(&connection.code, &check));
            }
        }
        Ok(told)
    }

    fn given(&self) -> anyhow::Result<Given> {
        let read = |value: &Option<String>, variable| -> anyhow::Result<Option<SecretString>> {
            let text = value_or_file(value.as_deref(), variable)?;
            // An empty variable is how a compose file says that there is none.
            Ok(text.filter(|text| !text.trim().is_empty()).map(|text| SecretString::from(text.trim())))
        };
        let connect = read(&self.stripe_connect_webhook_secret, "STRIPE_CONNECT_WEBHOOK_SECRET")?;
        let connect_secrets = connect.iter().flat_map(|secrets| secrets.expose_secret().split([',', '\n']));
        let connect_secrets = connect_secrets.map(str::trim).filter(|secret| !secret.is_empty());
        Ok(Given {
            key: read(&self.stripe_secret_key, "STRIPE_SECRET_KEY")?,
            webhook_secret: read(&self.stripe_webhook_secret, "STRIPE_WEBHOOK_SECRET")?,
            connect_secrets: connect_secrets.map(SecretString::from).collect(),
            connect_fee: self.stripe_connect_fee,
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

/// Whether it is one that the variables may be about.
fn is_of_stripe(connection: &Connection) -> bool {
    connection.tenant_slug == DEFAULT_TENANT && connection.provider.info().slug == STRIPE
}

/// Whether the default tenant sells by it in its own name.
fn is_own(connection: &Connection) -> bool {
    is_of_stripe(connection) && !connection.settings.platform && connection.settings.account.is_none()
}

fn same(one: &SecretString, other: &SecretString) -> bool {
    one.expose_secret() == other.expose_secret()
}

const fn usual_code(mode: Mode) -> &'static str {
    if mode.is_live() { "stripe" } else { "stripe-test" }
}

/// The connection that is meant: the one that has this secret or key already, otherwise the one of the usual name.
fn found<'a>(own: &[&'a Connection], given: &Given, mode: Mode) -> Option<&'a Connection> {
    let of_mode = || own.iter().copied().filter(|connection| connection.mode == mode);
    let is_given = |kept: &SecretString, given: Option<&SecretString>| given.is_some_and(|given| same(given, kept));
    of_mode()
        .find(|connection| connection.webhook_secrets.iter().any(|kept| is_given(kept, given.webhook_secret.as_ref())))
        .or_else(|| {
            let has_key = |kept: &SecretString| is_given(kept, given.key.as_ref());
            of_mode().find(|connection| connection.api_key.as_ref().is_some_and(has_key))
        })
        .or_else(|| own.iter().copied().find(|connection| connection.code == usual_code(mode)))
}

/// The connection as it is to be.
fn wanted(found: Option<&Connection>, given: &Given, mode: Mode) -> ConnectionInput {
    // A secret that is one of several stays one of several: the vendor may be in the middle of changing it.
    let is_kept = |secret: &SecretString| {
        found.is_some_and(|connection| connection.webhook_secrets.iter().any(|kept| same(kept, secret)))
    };
    let secret = given.webhook_secret.clone().filter(|secret| !is_kept(secret));
    let level = found.map(|connection| connection.settings.level).filter(|level| *level != Level::None);
    ConnectionInput {
        level: level.unwrap_or(if given.key.is_some() { Level::Read } else { Level::None }),
        webhook_secrets: secret.map(|secret| vec![secret]),
        api_key: given.key.clone(),
        ..ConnectionInput::new(found.map_or(usual_code(mode), |connection| connection.code.as_str()), STRIPE, mode)
    }
}

/// The platform's connection as it is to be.
fn platform(given: &Given, mode: Mode) -> ConnectionInput {
    ConnectionInput {
        level: if given.key.is_some() { Level::Full } else { Level::None },
        webhook_secrets: Some(given.connect_secrets.clone()),
        api_key: given.key.clone(),
        accounts: AccountsInput {
            is_platform: true,
            fee_ten_thousandths: given.connect_fee,
            ..AccountsInput::default()
        },
        ..ConnectionInput::new(if mode.is_live() { "stripe-connect" } else { "stripe-connect-test" }, STRIPE, mode)
    }
}

/// What will not work for want of a partner.
fn missing(found: Option<&Connection>, given: &Given) -> Vec<String> {
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

/// What Stripe said of the key. Not in its own words where it does not know it: they repeat a part of the key.
fn lacks(code: &str, check: &KeyCheck) -> Vec<String> {
    if check.refused.is_some() {
        return vec![format!(
            "Stripe does not know STRIPE_SECRET_KEY: nothing can be looked up for connection `{code}`. Copy it once more from \
             Stripe's dashboard, or make another."
        )];
    }
    let missing = check.missing.iter();
    let missing = missing.map(|missing| format!("STRIPE_SECRET_KEY lacks `{}`: {}.", missing.name, missing.without));
    let link =
        check.link.iter().map(|link| format!("A key that has all that connection `{code}` needs is made here: {link}"));
    missing.chain(link).collect()
}

#[cfg(test)]
mod tests {
    use providers::calls::MissingPermission;

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
    fn a_platform_has_every_secret_that_is_given_and_the_key() {
        let options = StripeOptions {
            stripe_secret_key: Some("sk_test_1".to_owned()),
            stripe_connect_webhook_secret: Some("whsec_new, whsec_old,".to_owned()),
            stripe_connect_fee: Some(75),
            ..StripeOptions::default()
        };
        let input = options.given().map(|given| platform(&given, Mode::Test)).ok();
        let input = input.map(|input| {
            let secrets = input.webhook_secrets.unwrap_or_default();
            let secrets: Vec<String> = secrets.iter().map(|secret| secret.expose_secret().to_owned()).collect();
            (input.code, secrets, input.api_key.is_some(), input.accounts)
        });
        let accounts = AccountsInput { is_platform: true, fee_ten_thousandths: Some(75), ..AccountsInput::default() };
        let secrets = ["whsec_new", "whsec_old"].map(str::to_owned).to_vec();
        assert_eq!(input, Some(("stripe-connect-test".to_owned(), secrets, true, accounts)));
    }

    #[test]
    fn what_is_missing_is_named() {
        let secret = || Some(SecretString::from("s"));
        for (key, webhook_secret, expected) in [
            (secret(), secret(), vec![]),
            (secret(), None, vec!["STRIPE_WEBHOOK_SECRET"]),
            (None, secret(), vec!["STRIPE_SECRET_KEY"]),
        ] {
            let given = Given { key, webhook_secret, ..Given::default() };
            let input = wanted(None, &given, Mode::Live);
            assert_eq!((input.code.as_str(), input.level == Level::Read), ("stripe", given.key.is_some()));
            let told = missing(None, &given);
            let named: Vec<&str> = told.iter().filter_map(|text| text.split(' ').next()).collect();
            assert_eq!(named, expected);
        }
    }

    #[test]
    fn what_the_key_lacks_is_named_and_the_key_is_not() {
        let missing = vec![MissingPermission {
            code: "rak_event_read".to_owned(),
            name: "Events: read".to_owned(),
            without: "webhooks that were lost are not caught up",
        }];
        let link = Some("https://dashboard.stripe.com/apikeys/create".to_owned());
        let refused = Some("Invalid API Key provided: rk_live_**1".to_owned());
        for (check, told) in [
            (KeyCheck::default(), vec![]),
            (
                KeyCheck { missing, link, refused: None },
                vec![
                    "STRIPE_SECRET_KEY lacks `Events: read`: webhooks that were lost are not caught up.",
                    "A key that has all that connection `stripe` needs is made here: \
                     https://dashboard.stripe.com/apikeys/create",
                ],
            ),
            (
                KeyCheck { refused, ..KeyCheck::default() },
                vec![
                    "Stripe does not know STRIPE_SECRET_KEY: nothing can be looked up for connection `stripe`. Copy it once \
                     more from Stripe's dashboard, or make another.",
                ],
            ),
        ] {
            assert_eq!(lacks("stripe", &check), told);
        }
    }
}
