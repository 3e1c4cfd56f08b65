//! What a buyer's app does with its key: it activates and checks over HTTP, as any app would.

use anyhow::{Context, bail};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderValue, Method, header};
use jiff::Timestamp;
use net::Client;
use serde_json::{Value, json};
use url::Url;

use super::send;

/// The device that the demo's buyer has.
pub(crate) const DEVICE: &str = "demo-laptop";

/// An app with a license key.
pub(crate) struct App<'a> {
    client: Client,
    server: &'a Url,
    /// The license key.
    key: &'a str,
}

impl<'a> App<'a> {
    /// An app that knows its server and its key.
    pub(crate) fn new(server: &'a Url, key: &'a str) -> anyhow::Result<Self> {
        Ok(Self { client: send::loopback()?, server, key })
    }

    /// What it sends.
    pub(crate) fn body(&self) -> Value {
        json!({ "key": self.key, "device": { "fingerprint": DEVICE, "name": "Demo laptop" } })
    }

    /// Calls `activate` or `check`, and gives the verdict.
    pub(crate) async fn call(&self, operation: &str) -> anyhow::Result<Value> {
        let request = net::Request {
            method: Method::POST,
            url: self.server.join(&format!("/v1/{operation}"))?,
            headers: vec![(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))],
            body: self.body().to_string().into(),
        };
        let answer = self.client.send(request).await?;
        let verdict: Value = serde_json::from_slice(&answer.body).context("the answer is not JSON")?;
        if answer.status != 200 {
            bail!("{operation} was answered with {}: {verdict}", answer.status);
        }
        Ok(verdict)
    }
}

/// Until when a lease is good. It is a signed token, of which the middle part says so.
pub(crate) fn good_until(lease: &str) -> Option<Timestamp> {
    let claims = lease.split('.').nth(1)?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    Timestamp::from_second(claims.get("exp")?.as_i64()?).ok()
}
