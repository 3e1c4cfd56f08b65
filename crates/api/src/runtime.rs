//! What apps call. A license key is all they need; every verdict is 200 with `valid`, `code`, `message` and `until`.

use std::net::{IpAddr, SocketAddr};

use axum::{
    Extension, Json,
    extract::{ConnectInfo, State},
    http::{HeaderValue, header},
    response::IntoResponse,
};
use domain::{
    activation::{self, DEVICE_CHARACTERS_MAX, Software, VerdictCode},
    id::{ActivationId, LicenseId},
};
use engine::{
    requests,
    runtime::{ActivationKind, AppAnswer, AppCall},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Api, problem::Problem, read::Body, request_log::Declined};

/// A device, a domain, or an instance: whatever the app counts.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Device {
    /// What identifies it. The same fingerprint is the same activation.
    #[schema(max_length = 255, example = "b7c1-mac-studio")]
    fingerprint: String,
    /// A name that its owner recognises.
    #[serde(default)]
    name: Option<String>,
    /// The version of the app. Without it, what was said last stays known; of a longer one the first 64 characters count.
    #[serde(default)]
    #[schema(example = "3.4.1")]
    app_version: Option<String>,
    /// The operating system, as its users call it; kept as the version is.
    #[serde(default)]
    #[schema(example = "macOS 15.2")]
    os: Option<String>,
}

/// A call of an app.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AppRequest {
    /// The license key. Case, blanks and look-alikes are forgiven.
    #[schema(example = "ACME-7F3K-9XYM-4N2A-Q7C9")]
    key: String,
    /// The code of the product that the app is, so that a key of another product opens nothing.
    #[serde(default)]
    product: Option<String>,
    /// The device that asks. Needed to activate and to deactivate, unless a domain does.
    #[serde(default)]
    device: Option<Device>,
    /// The domain that asks, in place of a device: `shop.example.com`. An address that leads there will do.
    #[serde(default)]
    #[schema(example = "shop.example.com")]
    domain: Option<String>,
}

/// The answer to an app.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VerdictDocument {
    /// Whether the app may run.
    valid: bool,
    /// The verdict. The list is closed and only ever grows.
    #[schema(value_type = String, example = "valid")]
    code: &'static str,
    /// A sentence for the person in front of the app.
    message: String,
    /// Why the license is in its state.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "paid")]
    reason: Option<&'static str>,
    /// Until when the verdict holds by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// The license.
    #[serde(skip_serializing_if = "Option::is_none")]
    license: Option<LicenseSummary>,
    /// The activation of this device.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    activation: Option<ActivationId>,
    /// A signed lease (JWS, EdDSA) that the app keeps and checks offline. Its keys are at `/.well-known/jwks.json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    lease: Option<String>,
}

/// A license as an app may know it.
#[derive(Debug, Serialize, ToSchema)]
struct LicenseSummary {
    #[schema(value_type = String)]
    id: LicenseId,
    product: String,
    plan: String,
    #[schema(value_type = String)]
    state: &'static str,
    livemode: bool,
    at_risk: bool,
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    features: Vec<String>,
    activations_max: Option<u32>,
}

/// The answer to an app, and what the request log is told of it.
type Verdict = (Option<Extension<Declined>>, Json<VerdictDocument>);

impl From<AppAnswer> for VerdictDocument {
    fn from(answer: AppAnswer) -> Self {
        let license = answer.license.as_ref().map(|license| {
            let (found, limits) = (&license.found, license.limits());
            LicenseSummary {
                id: found.id,
                product: license.offer.product.clone(),
                plan: license.offer.plan.code.to_string(),
                state: found.standing.state.as_str(),
                livemode: found.livemode,
                at_risk: found.standing.at_risk,
                expires_at: found.standing.until,
                features: limits.features.into_iter().collect(),
                activations_max: limits.activations,
            }
        });
        Self {
            valid: answer.verdict.code.is_valid(),
            code: answer.verdict.code.as_str(),
            message: answer.verdict.message,
            reason: answer.verdict.reason,
            until: answer.verdict.until,
            license,
            activation: answer.activation,
            lease: answer.lease,
        }
    }
}

/// What an app reads of an answer, for a person to read.
#[must_use]
pub fn app_answer(answer: AppAnswer) -> String {
    serde_json::to_string_pretty(&VerdictDocument::from(answer)).unwrap_or_default()
}

/// Checks a license, and whether a device has activated it.
#[utoipa::path(post, path = "/v1/check", tag = "apps", operation_id = "check", request_body = AppRequest,
    responses((status = 200, body = VerdictDocument)))]
pub(crate) async fn check(
    State(api): State<Api>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Body(request): Body<AppRequest>,
) -> Result<Verdict, Problem> {
    let call = request.call()?;
    let answer = api.engine.check(&call).await?;
    api.answer(peer.ip(), request.product.as_deref(), answer)
}

/// Activates a license on a device and returns a lease. The same device gets its activation again, and a fresh lease.
#[utoipa::path(post, path = "/v1/activate", tag = "apps", operation_id = "activate", request_body = AppRequest,
    responses((status = 200, body = VerdictDocument)))]
pub(crate) async fn activate(
    State(api): State<Api>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Body(request): Body<AppRequest>,
) -> Result<Verdict, Problem> {
    let fingerprint = request.fingerprint()?;
    let answer = api.engine.activate(&request.call()?, &fingerprint, &api.public_url).await?;
    api.answer(peer.ip(), request.product.as_deref(), answer)
}

/// Frees the slot of a device. Freeing it twice is no fault.
#[utoipa::path(post, path = "/v1/deactivate", tag = "apps", operation_id = "deactivate", request_body = AppRequest,
    responses((status = 200, body = VerdictDocument)))]
pub(crate) async fn deactivate(
    State(api): State<Api>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Body(request): Body<AppRequest>,
) -> Result<Verdict, Problem> {
    let fingerprint = request.fingerprint()?;
    let answer = api.engine.deactivate(&request.call()?, &fingerprint).await?;
    api.answer(peer.ip(), request.product.as_deref(), answer)
}

/// The keys that verify leases (RFC 7517).
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "apps", operation_id = "get_keys",
    responses((status = 200, description = "A set of keys.", body = Object)))]
pub(crate) async fn keys(State(api): State<Api>) -> Result<impl IntoResponse, Problem> {
    let keys = api.engine.all_public_keys().await?;
    let cache = (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    Ok(([cache], Json(crypto::lease::jwks(&keys))))
}

impl Device {
    /// What the app says of itself. A text without anything in it says nothing.
    fn software(&self) -> Software {
        let said = |text: &Option<String>| {
            let text = text.as_deref().map(str::trim).filter(|text| !text.is_empty())?;
            Some(text.chars().take(Software::CHARACTERS_MAX).collect())
        };
        Software { app_version: said(&self.app_version), os: said(&self.os) }
    }
}

impl AppRequest {
    fn call(&self) -> Result<AppCall, Problem> {
        // No device is called that, and a database may refuse it together with all calls that share its query.
        let device = self.device.as_ref();
        let texts = [
            ("product", self.product.as_deref()),
            ("device.name", self.device_name()),
            ("device.app_version", device.and_then(|device| device.app_version.as_deref())),
            ("device.os", device.and_then(|device| device.os.as_deref())),
        ];
        if let Some((field, _)) = texts.into_iter().find(|(_, text)| text.is_some_and(has_control)) {
            return Err(Problem::invalid(format!("`{field}` has control characters. Send plain text.")));
        }
        let is_named = self.device.is_some() || self.domain.is_some();
        let device = is_named.then(|| self.fingerprint()).transpose()?;
        let name = self.device_name();
        Ok(AppCall {
            key: self.key.clone(),
            product: self.product.clone(),
            device,
            device_name: name.map(|name| name.chars().take(DEVICE_CHARACTERS_MAX).collect()),
            kind: if self.domain.is_some() { ActivationKind::Domain } else { ActivationKind::Device },
            software: self.device.as_ref().map(Device::software).unwrap_or_default(),
        })
    }

    fn device_name(&self) -> Option<&str> {
        self.device.as_ref()?.name.as_deref()
    }

    fn fingerprint(&self) -> Result<String, Problem> {
        match (&self.device, &self.domain) {
            (Some(_), Some(_)) => {
                return Err(Problem::invalid("Send `device` or `domain`, not both: one of them uses the license."));
            }
            (None, Some(domain)) => return domain_name(domain),
            _ => {}
        }
        let text = self.device.as_ref().map(|device| device.fingerprint.as_str()).unwrap_or_default();
        let named = activation::fingerprint(text);
        named.map_err(|error| Problem::invalid(format!("`device.fingerprint`: {error}.")).of("device.fingerprint"))
    }
}

/// A domain as the internet knows it: small letters, without scheme, port and path, in its ASCII form.
fn domain_name(text: &str) -> Result<String, Problem> {
    let text = text.trim();
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#', ':']).next().unwrap_or_default().trim_end_matches('.');
    match url::Host::parse(host) {
        Ok(url::Host::Domain(name)) if name.len() <= DEVICE_CHARACTERS_MAX => Ok(name),
        _ => Err(Problem::invalid("`domain` is no domain name. Send one like `shop.example.com`.").of("domain")),
    }
}

fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

impl Api {
    /// The document for an answer. Whoever tries many unknown keys has to wait.
    fn answer(&self, address: IpAddr, product: Option<&str>, answer: AppAnswer) -> Result<Verdict, Problem> {
        let code = answer.verdict.code;
        self.engine.metrics.verdict(code.as_str());
        if code.is_valid() {
            return Ok((None, Json(answer.into())));
        }
        let seller = || product.and_then(|product| self.engine.seller(product));
        if code == VerdictCode::NotFound
            && let Some(seconds) = self.limits.unknown_key(address, seller())
        {
            let problem = Problem::slow_down("Too many unknown license keys were tried from here.", seconds);
            return Err(problem.of_seller(seller()));
        }
        let found = answer.license.as_ref().map(|license| &license.found);
        let caller = requests::Caller {
            tenant: found.map(|found| found.tenant).or_else(seller),
            livemode: found.map(|found| found.livemode),
            ..requests::Caller::default()
        };
        let declined = Declined { caller, code: Some(code.as_str()) };
        Ok((Some(Extension(declined)), Json(answer.into())))
    }
}
