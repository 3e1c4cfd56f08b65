//! What is wrong with a thing by itself, whatever else there is.

use std::net::SocketAddr;

use crypto::key::Prefix;
use domain::{
    alert::{ChannelKind, is_item_kind},
    money::{Currency, Money},
    plan::{Limits, PlanPrice},
    text::EmailAddress,
};
use providers::{Level, LicenseKeys, manual};
use secrecy::ExposeSecret;

use super::input::{
    AccountsInput, AlertInput, ApiKeyInput, ConnectionInput, PlanInput, PriceRuleInput, ProductInput,
    WebhookEndpointInput,
};
use crate::{api_keys::check_scopes, connections::Mode};

/// A field, and what is wrong with it.
pub(super) type Wrong = (&'static str, String);

/// The longest code: it stands in addresses, metadata and lists.
const CODE_MAX: usize = 64;
/// Seconds that a signature may be old: less refuses whoever's clock is a little off, more invites whoever listens.
const TOLERANCE_SECONDS: std::ops::RangeInclusive<u32> = 5..=3_600;
/// The largest share of a platform, in ten-thousandths: half of everything.
const FEE_MAX: u16 = 5_000;
/// The longest name.
const NAME_MAX: usize = 120;

/// Whether a text can be a code: plain characters only, since vendors put it into addresses and providers' metadata.
pub(crate) fn is_code(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=CODE_MAX).contains(&text.len()) && text.bytes().all(plain)
}

fn code(text: &str, wrong: &mut Vec<Wrong>) {
    if !is_code(text) {
        let message =
            format!("a code has 1 to {CODE_MAX} characters, each a letter A-Z or a-z, a digit, `.`, `_` or `-`");
        wrong.push(("code", message));
    }
}

fn name(text: &str, wrong: &mut Vec<Wrong>) {
    if text.trim().is_empty() || text.chars().count() > NAME_MAX || text.chars().any(char::is_control) {
        wrong.push(("name", format!("a name has 1 to {NAME_MAX} characters in one line")));
    }
}

pub(super) fn product(input: &ProductInput) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    code(&input.code, &mut wrong);
    name(&input.name, &mut wrong);
    if let Err(error) = Prefix::new(&input.key_prefix) {
        wrong.push(("key_prefix", error.to_string()));
    }
    wrong
}

/// What limits cannot be: the field, and what it may be.
#[must_use]
pub fn wrong_with_limits(limits: &Limits) -> Option<(&'static str, String)> {
    if limits.activations == Some(0) {
        return Some(("activations", "a number from 1 on, or \"unlimited\"".to_owned()));
    }
    if limits.checks_per_month == Some(0) {
        return Some(("checks_per_month", "a number from 1 on; leave it out for any number".to_owned()));
    }
    let is_word = |feature: &String| feature.trim() == feature && !feature.is_empty();
    let is_wrong = !limits.features.iter().all(is_word);
    is_wrong.then(|| ("features", "a feature is a word without blanks around it".to_owned()))
}

pub(super) fn plan(input: &PlanInput) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    code(&input.code, &mut wrong);
    name(&input.name, &mut wrong);
    let terms = &input.terms;
    if terms.duration_days == Some(0) {
        wrong.push((
            "duration_days",
            "a plan lasts at least one day; leave it out for one that lasts for good".to_owned(),
        ));
    }
    wrong.extend(wrong_with_limits(&terms.limits));
    if terms.policy.downgrades() != terms.policy.downgrade_to.is_some() {
        let message =
            "what a downgrade leads to is said by downgrade_to = \"CODE\", and only where something downgrades";
        wrong.push(("downgrade_to", message.to_owned()));
    }
    if terms.policy.downgrade_to.as_ref().is_some_and(|smaller| smaller.as_str() == input.code) {
        wrong.push(("downgrade_to", "a plan cannot be its own smaller plan".to_owned()));
    }
    wrong.extend(terms.price.and_then(wrong_with_price).map(|message| ("price", message)));
    if terms.lease.offline_days == 0 || terms.lease.recheck_hours == 0 {
        let message = "a lease of no time is of no use; offline_days and recheck_hours are at least 1".to_owned();
        wrong.push(("lease", message));
    }
    wrong
}

fn wrong_with_price(price: PlanPrice) -> Option<String> {
    let Money { minor, currency } = price.money;
    if !(1..=PlanPrice::MINOR_MAX).contains(&minor) || currency == Currency::NONE {
        let message = "a price has an amount in the smallest unit, 1 to 99999999, and a currency of three letters: \
             { amount = 4900, currency = \"EUR\" }, with interval = \"month\" for a subscription";
        return Some(message.to_owned());
    }
    if !currency.is_charged() {
        return Some(format!(
            "nobody is charged in {}; a currency is one of ISO 4217, such as EUR or USD",
            currency.code()
        ));
    }
    let step = currency.step();
    (minor % step != 0).then(|| {
        let fits = minor - minor % step;
        format!("{} is charged in multiples of {step} of its smallest unit: {fits} or {}", currency.code(), fits + step)
    })
}

pub(super) fn connection(input: &ConnectionInput) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    code(&input.code, &mut wrong);
    match providers::by_slug(&input.provider) {
        Some(_) if input.provider == manual::SLUG => {
            wrong.push(("provider", "connections for orders made by hand are there by themselves".to_owned()));
        }
        Some(provider) if !provider.info().has_api() && input.level != Level::None => {
            let message = format!("{} has nothing to look up; leave it out", provider.info().name);
            wrong.push(("level", message));
        }
        Some(_) => {}
        None => {
            let known = providers::PROVIDERS.iter().map(|provider| provider.info().slug);
            let known: Vec<&str> = known.filter(|slug| *slug != manual::SLUG).collect();
            let message = format!("there is no provider `{}`; there are {}", input.provider, known.join(", "));
            wrong.push(("provider", message));
        }
    }
    if let (Some(client), Some(provider)) = (&input.oauth_client, providers::by_slug(&input.provider)) {
        if provider.redeem().is_none() {
            let message = format!("{} sends no buyers here; leave it out", provider.info().name);
            wrong.push(("oauth_client", message));
        } else if client.id.trim().is_empty() {
            wrong.push(("oauth_client", "its id is blank; the provider shows it beside the secret".to_owned()));
        }
    }
    let gives_keys = providers::by_slug(&input.provider).is_some_and(|provider| provider.gives_keys());
    if input.license_keys == Some(LicenseKeys::Theirs) && !gives_keys {
        let message = format!("{} gives out no license keys; leave it out", input.provider);
        wrong.push(("license_keys", message));
    }
    if let Some(seconds) = input.tolerance_seconds.filter(|seconds| !TOLERANCE_SECONDS.contains(seconds)) {
        let (least, most) = (TOLERANCE_SECONDS.start(), TOLERANCE_SECONDS.end());
        wrong.push(("tolerance_seconds", format!("{seconds} is not between {least} and {most}")));
    }
    wrong.extend(accounts(input));
    match (&input.api_base, input.mode) {
        (Some(base), Mode::Simulated) if is_loopback(base) => {}
        (Some(_), Mode::Simulated) => {
            let message = "a simulated provider runs on this machine: http://127.0.0.1:PORT".to_owned();
            wrong.push(("api_base", message));
        }
        (Some(_), Mode::Live | Mode::Test) => {
            let message = "leave it out: the provider's own address is known, and only a connection of mode simulated \
                 may be sent elsewhere";
            wrong.push(("api_base", message.to_owned()));
        }
        (None, Mode::Simulated) if input.level != Level::None && input.accounts.account.is_none() => {
            wrong.push(("api_base", "a simulated connection that looks things up needs one".to_owned()));
        }
        (None, _) => {}
    }
    wrong
}

fn accounts(input: &ConnectionInput) -> Vec<Wrong> {
    let AccountsInput { account, is_platform, fee_ten_thousandths, .. } = &input.accounts;
    let mut wrong = Vec::new();
    let has_accounts = providers::by_slug(&input.provider).is_some_and(|provider| provider.accounts().is_some());
    if (account.is_some() || *is_platform) && !has_accounts {
        wrong.push(("provider", format!("{} has no connected accounts", input.provider)));
    }
    if account.as_ref().is_some_and(|account| !is_code(account)) {
        wrong.push(("account", "the provider's own id of the account, such as acct_1".to_owned()));
    }
    if account.is_some() && (*is_platform || input.api_key.is_some() || input.api_base.is_some()) {
        let message = "an account is reached with its platform's key: leave out platform, api_key and api_base";
        wrong.push(("account", message.to_owned()));
    }
    if fee_ten_thousandths.is_some_and(|fee| fee > FEE_MAX) {
        wrong.push(("fee_ten_thousandths", format!("a share is at most {FEE_MAX}; 50 is half a percent")));
    }
    wrong
}

/// Whether an address leads to this machine: `http`, a loopback address in numbers (a name could lead elsewhere), a port,
/// and perhaps a path.
fn is_loopback(base: &str) -> bool {
    let Some(rest) = base.strip_prefix("http://") else { return false };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = host.replacen("localhost:", "127.0.0.1:", 1);
    let address: Option<SocketAddr> = host.parse().ok();
    address.is_some_and(|address| address.ip().is_loopback() && address.port() != 0)
        && path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte))
}

pub(super) fn price_rule(input: &PriceRuleInput) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    let (field, text) = store::catalogue::matcher_columns(&input.matcher);
    if field != "default" && (text.trim().is_empty() || text.trim() != text) {
        wrong.push((field, "the provider's own id, without blanks around it".to_owned()));
    }
    if input.adds.features.iter().any(|feature| feature.trim() != feature || feature.is_empty()) {
        wrong.push(("adds", "a feature is a word without blanks around it".to_owned()));
    }
    if input.from.zip(input.until).is_some_and(|(from, until)| from >= until) {
        wrong.push(("until", "a rule ends after it begins".to_owned()));
    }
    wrong
}

pub(super) fn api_key(input: &ApiKeyInput) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    name(&input.name, &mut wrong);
    if let Err(error) = check_scopes(input.key.kind(), &input.scopes) {
        wrong.push(("scopes", error.to_string()));
    }
    wrong
}

/// The longest code of an address to which events go.
const ENDPOINT_CODE_MAX: usize = 40;
/// The longest such address.
const URL_MAX: usize = 2_048;
/// Headers that may go along.
const HEADERS_MAX: usize = 20;
/// The longest of them, name and value together, in bytes.
const HEADER_BYTES_MAX: usize = 4_096;

pub(super) fn webhook_endpoint(input: &WebhookEndpointInput) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !(1..=ENDPOINT_CODE_MAX).contains(&input.code.len()) || !input.code.bytes().all(plain) {
        let message = format!("a code has 1 to {ENDPOINT_CODE_MAX} characters, each a letter a-z, a digit or `-`");
        wrong.push(("code", message));
    }
    if let Some(url) = &input.url {
        if url.len() > URL_MAX {
            wrong.push(("url", format!("an address has {URL_MAX} characters at most")));
        } else if let Err(error) = url.parse::<url::Url>() {
            wrong.push(("url", format!("this is no address: {error}; it looks like https://example.com/hooks")));
        }
    }
    let headers = input.headers.as_deref().unwrap_or_default();
    if headers.len() > HEADERS_MAX {
        wrong.push(("headers", format!("{HEADERS_MAX} headers at most go along")));
    }
    for (place, (name, value)) in headers.iter().enumerate() {
        if name.len() + value.expose_secret().len() > HEADER_BYTES_MAX {
            wrong.push(("headers", format!("the header `{name}` has more than {HEADER_BYTES_MAX} bytes")));
        }
        if headers[..place].iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
            wrong.push(("headers", format!("the header `{name}` is named twice")));
        }
    }
    wrong
}

pub(super) fn alert(input: &AlertInput) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    code(&input.code, &mut wrong);
    let to = input.to.as_ref().map(ExposeSecret::expose_secret);
    // What is given is not repeated: an address that is called may hold a token.
    match (input.kind, to) {
        (ChannelKind::Mail, Some(to)) if EmailAddress::parse(to).is_err() => {
            wrong.push(("to", "it is not an e-mail address".to_owned()));
        }
        (ChannelKind::Webhook | ChannelKind::Slack, Some(to)) if !is_called(to) => {
            let message = "it is not an address that can be called, such as https://hooks.example.com/services/…";
            wrong.push(("to", message.to_owned()));
        }
        _ => {}
    }
    if input.secret.is_some() && input.kind != ChannelKind::Webhook {
        wrong.push(("secret", "only the calls of a webhook are signed; leave it out".to_owned()));
    }
    let unknown: Vec<&str> = input.items.iter().map(String::as_str).filter(|kind| !is_item_kind(kind)).collect();
    if !unknown.is_empty() {
        let known: Vec<&str> = domain::alert::ITEM_KINDS.iter().map(|(kind, _)| *kind).collect();
        let message = format!("there are no items of the kind {}; there are {}", unknown.join(", "), known.join(", "));
        wrong.push(("items", message));
    }
    wrong
}

fn is_called(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "https" | "http") && url.has_host())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_alerts_go_is_an_address_of_their_kind() {
        let wrong = |kind, to: &str, items: &[&str]| -> Vec<&'static str> {
            let input = AlertInput {
                code: "on-call".to_owned(),
                livemode: true,
                kind,
                to: Some(to.into()),
                items: items.iter().map(|kind| (*kind).to_owned()).collect(),
                secret: None,
            };
            alert(&input).into_iter().map(|(field, _)| field).collect()
        };
        for (kind, to, items, fields) in [
            (ChannelKind::Mail, "ops@acme.test", &["mail_failed"][..], &[][..]),
            (ChannelKind::Slack, "https://hooks.slack.com/services/T/B/x", &[], &[]),
            (ChannelKind::Webhook, "http://10.0.0.7/alerts", &[], &[]),
            (ChannelKind::Mail, "ops", &[], &["to"]),
            (ChannelKind::Mail, "ops@acme.test, eve@evil.test", &[], &["to"]),
            (ChannelKind::Mail, "ops@acme.test\r\nBcc: eve@evil.test", &[], &["to"]),
            (ChannelKind::Slack, "ops@acme.test", &[], &["to"]),
            (ChannelKind::Webhook, "file:///etc/passwd", &[], &["to"]),
            (ChannelKind::Mail, "ops@acme.test", &["mail_faild"], &["items"]),
        ] {
            assert_eq!(wrong(kind, to, items), fields, "{to} {items:?}");
        }
    }

    #[test]
    fn codes() {
        for good in ["a", "Pro-2026", "pri_pro.yr", &"x".repeat(64)] {
            assert!(is_code(good), "{good}");
        }
        for bad in ["", "a b", "ä", "a/b", &"x".repeat(65)] {
            assert!(!is_code(bad), "{bad}");
        }
    }

    #[test]
    fn a_price_is_one_that_can_be_charged() {
        let wrong =
            |minor, code| wrong_with_price(PlanPrice { money: Money::new(minor, Currency::parse(code)), every: None });
        for (minor, code) in [(1, "EUR"), (99_999_999, "USD"), (1, "JPY"), (10, "KWD"), (500, "ISK"), (4_950, "HUF")] {
            assert_eq!(wrong(minor, code), None, "{minor} {code}");
        }
        for (minor, code, words) in [
            (0, "EUR", "1 to 99999999"),
            (-1, "EUR", "1 to 99999999"),
            (100_000_000, "EUR", "1 to 99999999"),
            (4_900, "", "three letters"),
            (4_900, "ERU", "nobody is charged in ERU"),
            (5_124, "KWD", "KWD is charged in multiples of 10 of its smallest unit: 5120 or 5130"),
            (4_950, "ISK", "ISK is charged in multiples of 100 of its smallest unit: 4900 or 5000"),
            (1, "UGX", "multiples of 100"),
        ] {
            let message = wrong(minor, code).unwrap_or_default();
            assert!(message.contains(words), "{minor} {code}: {message}");
        }
    }

    #[test]
    fn only_this_machine_may_simulate_a_provider() {
        for good in ["http://127.0.0.1:9000", "http://127.9.9.9:1/stripe", "http://[::1]:80/", "http://localhost:8080"]
        {
            assert!(is_loopback(good), "{good}");
        }
        for bad in [
            "https://127.0.0.1:9000",
            "http://127.0.0.1",
            "http://10.0.0.1:80",
            "http://127.0.0.1:80@evil.example",
            "http://user@127.0.0.1:80",
            "http://evil.example:80/127.0.0.1",
            "http://localhost.evil.example:80",
            "http://127.0.0.1:80/a?b",
            "http://127.0.0.1:0",
            "http://0.0.0.0:80",
            "127.0.0.1:80",
        ] {
            assert!(!is_loopback(bad), "{bad}");
        }
    }
}
