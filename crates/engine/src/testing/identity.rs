//! An identity provider for tests: it speaks the protocol and signs with a real key, and says what a test has it say.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use futures::future::BoxFuture;
use jiff::Timestamp;
use openidconnect::{
    HttpRequest, HttpResponse, JsonWebKeyId, PrivateSigningKey,
    core::{CoreEdDsaPrivateSigningKey, CoreJwsSigningAlgorithm},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use crate::identity::{CallFailed, CallProvider};

/// No identity provider is reached.
#[derive(Debug)]
pub struct NoProviders;

impl CallProvider for NoProviders {
    fn call<'a>(&'a self, request: HttpRequest) -> BoxFuture<'a, Result<HttpResponse, CallFailed>> {
        let problem = CallFailed(format!("the test has no network for {}", request.uri()));
        Box::pin(std::future::ready(Err(problem)))
    }
}

/// Somebody who signs in there, and what is said of them.
#[derive(Clone, Debug)]
pub struct Person {
    /// Their account.
    pub subject: &'static str,
    /// Their address.
    pub email: &'static str,
    /// What else is said in their token, and what is said otherwise; null: not at all.
    pub claims: Value,
    /// Whether somebody else signs their token, under the provider's name.
    pub is_forged: bool,
}

impl Person {
    /// Somebody whose address is verified.
    #[must_use]
    pub const fn new(subject: &'static str, email: &'static str) -> Self {
        Self { subject, email, claims: Value::Null, is_forged: false }
    }

    /// The same, with this said otherwise.
    #[must_use]
    pub fn but(self, claims: Value) -> Self {
        Self { claims, ..self }
    }
}

/// An identity provider at `https://id.example`.
#[derive(Default)]
pub struct TestProvider {
    codes: Mutex<HashMap<String, Granted>>,
    /// How often its keys were changed, and read.
    keys: Mutex<(u8, u32)>,
}

/// What a code is good for, once.
struct Granted {
    challenge: String,
    redirect: String,
    token: String,
}

fn key(number: u8) -> CoreEdDsaPrivateSigningKey {
    let document =
        [&b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20"[..], &[number + 1; 32]].concat();
    let text = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(document));
    CoreEdDsaPrivateSigningKey::from_ed25519_pem(&text, Some(JsonWebKeyId::new(format!("key-{number}"))))
        .expect("a key in PEM")
}

fn signed(claims: &Value, kid: u8, by: u8) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(&json!({ "alg": "EdDSA", "kid": format!("key-{kid}") })), part(claims));
    let signature = key(by).sign(&CoreJwsSigningAlgorithm::EdDsa, text.as_bytes()).expect("a signature");
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn query(text: &str) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

impl TestProvider {
    /// By what it calls itself.
    pub const ISSUER: &'static str = "https://id.example";
    /// As whom it knows this server, and how this server proves that.
    pub const CLIENT: (&'static str, &'static str) = ("keywright", "s3cret/+ö");

    /// Signs somebody in whose browser was sent there, and gives the query with which the browser is sent back.
    ///
    /// # Panics
    /// The browser was sent there otherwise than the protocol asks.
    pub fn sign_in(&self, door: &str, person: &Person, now: Timestamp) -> String {
        let door = Url::parse(door).expect("an address");
        assert!(door.as_str().starts_with("https://id.example/auth?"), "{door}");
        let asked = query(door.query().expect("a query"));
        let asked_for = |name: &str| asked.get(name).cloned().unwrap_or_default();
        assert_eq!((asked_for("response_type"), asked_for("code_challenge_method")), ("code".into(), "S256".into()));
        assert_eq!(
            (asked_for("client_id").as_str(), asked_for("scope").as_str()),
            (Self::CLIENT.0, "openid email profile")
        );
        let seconds = now.as_second();
        let mut claims = json!({
            "iss": Self::ISSUER, "aud": Self::CLIENT.0, "sub": person.subject, "nonce": asked_for("nonce"),
            "iat": seconds, "exp": seconds + 300, "email": person.email, "email_verified": true, "name": "Ada L.",
        });
        if let (Value::Object(said), Some(claims)) = (&person.claims, claims.as_object_mut()) {
            claims.extend(said.clone());
            claims.retain(|_, value| !value.is_null());
        }
        let kid = self.keys.lock().unwrap_or_else(PoisonError::into_inner).0;
        let token = signed(&claims, kid, if person.is_forged { 99 } else { kid });
        let granted = Granted { challenge: asked_for("code_challenge"), redirect: asked_for("redirect_uri"), token };
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        let code = format!("code-{}", granted.challenge);
        codes.insert(code.clone(), granted);
        let back = [("code", code), ("state", asked_for("state")), ("iss", Self::ISSUER.to_owned())];
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(back).finish()
    }

    /// From now on it signs with another key.
    pub fn change_key(&self) {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).0 += 1;
    }

    /// How often its keys were read.
    #[must_use]
    pub fn keys_read(&self) -> u32 {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    fn trade(&self, request: &HttpRequest) -> (u16, Value) {
        let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let (id, secret) = Self::CLIENT;
        let basic = format!("Basic {}", STANDARD.encode(format!("{}:{}", encode(id), encode(secret))));
        if request.headers().get("authorization").is_none_or(|value| value != basic.as_str()) {
            return (401, json!({ "error": "invalid_client" }));
        }
        let asked = query(&String::from_utf8_lossy(request.body()));
        let asked_for = |name: &str| asked.get(name).map(String::as_str).unwrap_or_default();
        let granted = self.codes.lock().unwrap_or_else(PoisonError::into_inner).remove(asked_for("code"));
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(asked_for("code_verifier")));
        match granted {
            Some(granted) if granted.challenge == challenge && granted.redirect == asked_for("redirect_uri") => {
                (200, json!({ "access_token": "a", "token_type": "Bearer", "id_token": granted.token }))
            }
            _ => (400, json!({ "error": "invalid_grant" })),
        }
    }

    fn answer(&self, request: &HttpRequest) -> (u16, Value) {
        match request.uri().path() {
            "/.well-known/openid-configuration" => {
                let at = |path: &str| format!("{}/{path}", Self::ISSUER);
                let document = json!({
                    "issuer": Self::ISSUER, "authorization_endpoint": at("auth"), "token_endpoint": at("token"),
                    "jwks_uri": at("keys"), "userinfo_endpoint": at("me"), "response_types_supported": ["code"],
                    "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["EdDSA", "HS256", "none"],
                });
                (200, document)
            }
            "/keys" => {
                let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
                keys.1 += 1;
                (200, json!({ "keys": [key(keys.0).as_verification_key()] }))
            }
            "/token" => self.trade(request),
            "/me" => (200, json!({ "sub": "s-asked", "email": "asked@acme.example", "email_verified": true })),
            path => (404, json!({ "error": path })),
        }
    }
}

impl CallProvider for TestProvider {
    fn call<'a>(&'a self, request: HttpRequest) -> BoxFuture<'a, Result<HttpResponse, CallFailed>> {
        if request.uri().host() != Some("id.example") {
            return NoProviders.call(request);
        }
        let (status, body) = self.answer(&request);
        let mut response = HttpResponse::new(body.to_string().into_bytes());
        *response.status_mut() = status.try_into().expect("a status");
        response.headers_mut().insert("content-type", "application/json".try_into().expect("a header"));
        Box::pin(std::future::ready(Ok(response)))
    }
}
