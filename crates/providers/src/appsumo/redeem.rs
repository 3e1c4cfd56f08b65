//! How AppSumo's buyers come: with a code, at the OAuth redirect address.

use domain::text::Reference;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use super::event::{BOUGHT, CONTACT};
use crate::{
    Incoming,
    http::{Content, Post, Request, percent_encoded},
    read,
    redeem::{BuyerNews, Grant, NotRedeemed, Redeem, Redeemed},
};

/// Buyers who come from AppSumo.
pub(super) struct Buyers;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TokenAnswer {
    #[serde(deserialize_with = "read::text")]
    access_token: Option<String>,
    #[serde(deserialize_with = "read::text")]
    error: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LicenseAnswer {
    #[serde(deserialize_with = "read::id")]
    license_key: Option<Reference>,
    #[serde(deserialize_with = "read::text")]
    status: Option<String>,
}

/// Reads an object as far as it is one.
fn object<T: serde::de::DeserializeOwned + Default>(body: &str) -> T {
    let value: Value = serde_json::from_str(body).unwrap_or_default();
    Some(value).filter(Value::is_object).and_then(|value| serde_json::from_value(value).ok()).unwrap_or_default()
}

impl Redeem for Buyers {
    fn ask_token(&self, grant: &Grant<'_>) -> Request {
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", &grant.client.id),
            ("client_secret", grant.client.secret.expose_secret()),
            ("code", grant.code),
            ("redirect_uri", grant.redirect_uri),
        ];
        let form = form.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Request::post("/openid/token/", Post { content: Content::Form(form), idempotency_key: None })
    }

    fn token(&self, status: u16, body: &str) -> Result<SecretString, NotRedeemed> {
        let answer: TokenAnswer = object(body);
        // The word says more than the status: servers disagree about which goes with which.
        match (status, answer.access_token, answer.error.as_deref()) {
            (200..=299, Some(token), _) => Ok(SecretString::from(token)),
            (_, _, Some("invalid_grant")) => Err(NotRedeemed::Code),
            (_, _, Some("invalid_client" | "unauthorized_client")) => Err(NotRedeemed::Client),
            (401 | 403, ..) => Err(NotRedeemed::Client),
            (400, ..) => Err(NotRedeemed::Code),
            _ => Err(NotRedeemed::Unclear { status }),
        }
    }

    fn ask_sale(&self, token: &SecretString) -> Request {
        Request::get(format!("/openid/license_key/?access_token={}", percent_encoded(token.expose_secret())))
    }

    fn sale(&self, status: u16, body: &str) -> Result<Redeemed, NotRedeemed> {
        let answer: LicenseAnswer = object(body);
        let (200..=299, Some(sale)) = (status, answer.license_key) else { return Err(NotRedeemed::Unclear { status }) };
        match answer.status.as_deref() {
            Some("deactivated") => Err(NotRedeemed::TakenBack),
            // A status that is not known yet confirms nothing; the webhook will.
            word => Ok(Redeemed { sale, is_bought: matches!(word, Some("active" | "inactive")) }),
        }
    }

    fn event(&self, sale: &Reference, news: &BuyerNews, at: Timestamp) -> Incoming {
        let created_at = at.as_millisecond();
        let (kind, key, email) = match news {
            BuyerNews::Bought => (BOUGHT, format!("{sale}/{BOUGHT}"), None),
            BuyerNews::Contact(contact) => {
                (CONTACT, format!("{sale}/{CONTACT}/{created_at}"), Some(contact.email.as_str()))
            }
        };
        let body = json!({ "license_key": sale, "event": kind, "created_at": created_at, "email": email });
        Incoming {
            key,
            kind: kind.to_owned(),
            occurred_at: Timestamp::from_millisecond(created_at).ok(),
            live: None,
            account: None,
            body: body.to_string(),
        }
    }
}
