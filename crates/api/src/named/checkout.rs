//! `POST /api/{tenant}/checkout`: a page at Stripe on which a buyer pays for a plan (D02 to D10, D29 to D31).

use axum::{
    Extension, Json,
    extract::{FromRequestParts, Path, State},
    http::request::Parts,
};
use domain::{id::TenantId, text::EmailAddress};
use engine::{
    api_keys::ApiKeyIdentity,
    checkout::{CheckoutError, CheckoutRequest},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Api,
    idempotency::CallId,
    problem::{Code, Problem, sentence},
    read::Body,
};

/// Whether a path is that of checkouts, which take a key of their own.
pub(crate) fn is_checkout(path: &str) -> bool {
    let tenant = path.strip_prefix("/api/").and_then(|rest| rest.strip_suffix("/checkout"));
    tenant.is_some_and(|tenant| !tenant.contains('/'))
}

/// What a buyer is to pay for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckoutBody {
    /// The product, by its code or id.
    #[schema(example = "pro")]
    product_id: String,
    /// The plan, by its code or id.
    #[schema(example = "lifetime")]
    key_type_id: String,
    /// Where the buyer goes who has paid. `{CHECKOUT_SESSION_ID}` in it becomes the id of the checkout.
    #[schema(example = "https://yourapp.com/thanks")]
    success_url: String,
    /// Where the buyer goes who has not.
    #[schema(example = "https://yourapp.com/pricing")]
    cancel_url: String,
    /// Whom the form is filled in for. Left out, the buyer types it.
    #[serde(default)]
    #[schema(example = "buyer@example.com")]
    customer_email: Option<String>,
}

/// A checkout that was opened.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CheckoutDocument {
    /// Where the buyer is sent.
    #[schema(example = "https://checkout.stripe.com/c/pay/cs_live_a1")]
    url: String,
}

/// A caller with a checkout key of the tenant in the address. Every other key is a wrong one there.
pub(crate) struct CheckoutCaller {
    tenant: TenantId,
    livemode: bool,
}

impl FromRequestParts<Api> for CheckoutCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let Path(slug) = Path::<String>::from_request_parts(parts, api)
            .await
            .map_err(|rejection| Problem::new(Code::NotFound, rejection.body_text()))?;
        let identity = parts.extensions.get::<ApiKeyIdentity>();
        let Some(identity) = identity.filter(|identity| identity.kind.is_for_checkouts()) else {
            let detail = "Checkouts are opened with a checkout key, `Authorization: Bearer kw_checkout_…`. \
                 `POST /v1/api-keys` makes one.";
            return Err(Problem::new(Code::Unauthenticated, detail));
        };
        // Whether there is such a tenant is nobody's business who has no key of theirs.
        match api.engine.tenant(&slug).await? {
            Some(tenant) if tenant == identity.tenant => Ok(Self { tenant, livemode: identity.livemode }),
            _ => Err(Problem::new(Code::Unauthenticated, format!("The key is no checkout key of `{slug}`."))),
        }
    }
}

/// Opens a checkout for one buyer and one plan, and returns where the buyer is sent. At most 20 a minute. The license is
/// issued when it is paid. A key of test mode, `kw_checkout_test_…`, opens them at test connections, where nothing is real.
#[utoipa::path(post, path = "/api/{tenant}/checkout", tag = "checkout", operation_id = "open_checkout",
    params(("tenant" = String, Path, description = "The tenant's slug.", example = "default")),
    request_body = CheckoutBody, security(("checkout_key" = [])),
    responses(
        (status = 200, body = CheckoutDocument),
        (status = 401, description = "The checkout key is wrong or missing."),
        (status = 409, description = "The account is not connected to Stripe, or gets no new licenses."),
        (status = 422, description = "The plan has no price, or there is no such plan."),
        (status = 429, description = "More than 20 checkouts within a minute."),
        (status = 503, description = "The plan's price is not made at Stripe yet, and why; or Stripe cannot be reached."),
    ))]
pub(crate) async fn open(
    State(api): State<Api>,
    caller: CheckoutCaller,
    call: Option<Extension<CallId>>,
    Body(body): Body<CheckoutBody>,
) -> Result<Json<CheckoutDocument>, Problem> {
    let email = body.customer_email.as_deref().map(EmailAddress::parse).transpose();
    let email = email.map_err(|error| Problem::invalid(format!("`customer_email`: {error}.")).of("customer_email"))?;
    let asked = CheckoutRequest {
        tenant: caller.tenant,
        livemode: caller.livemode,
        product: body.product_id,
        plan: body.key_type_id,
        success_url: body.success_url,
        cancel_url: body.cancel_url,
        email,
        attempt: call.map(|Extension(CallId(id))| id),
    };
    let url = api.engine.open_checkout(&asked).await?;
    Ok(Json(CheckoutDocument { url }))
}

/// Seconds after which a price that is being made may be there.
const PRICE_SECONDS: u64 = 2;

impl From<CheckoutError> for Problem {
    fn from(error: CheckoutError) -> Self {
        let detail = sentence(&error);
        match error {
            CheckoutError::Unknown { what: "product", .. } => Self::new(Code::Unprocessable, detail).of("product_id"),
            CheckoutError::Unknown { .. } | CheckoutError::NoPrice(_) | CheckoutError::PriceRefused { .. } => {
                Self::new(Code::Unprocessable, detail).of("key_type_id")
            }
            CheckoutError::Url { field, .. } => Self::invalid(detail).of(field),
            CheckoutError::Account(error) => error.into(),
            CheckoutError::NotConnected(_) => Self::new(Code::Conflict, detail),
            CheckoutError::PriceNotYet(_) => Self::new(Code::Unavailable, detail).after(PRICE_SECONDS),
            CheckoutError::PriceWaits { seconds, .. } => Self::new(Code::Unavailable, detail).after(seconds),
            CheckoutError::TooMany { seconds } => Self::slow_down(detail, seconds),
            CheckoutError::Refused(refused) => {
                tracing::warn!(%refused, "a checkout was not opened");
                Self::new(Code::ProviderRefused, detail)
            }
            CheckoutError::Dial(error) => {
                tracing::warn!(%error, "a checkout was not opened");
                Self::new(Code::Unavailable, detail)
            }
            CheckoutError::Engine(error) => error.into(),
        }
    }
}
