//! `POST /v1/issue`: e-mail and plan code in, key out (B27).

use axum::{Extension, Json, extract::State};
use domain::{
    id::{LicenseId, OrderId},
    text::{EmailAddress, PlanCode},
};
use engine::issue::IssueRequest;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Api,
    caller::{Allowed, scope},
    idempotency::CallId,
    problem::Problem,
    read::Body,
};

/// What to issue.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IssueBody {
    /// The plan's code.
    #[schema(example = "studio-pro")]
    plan: String,
    /// Who gets it.
    #[serde(default)]
    email: Option<String>,
    /// Their name.
    #[serde(default)]
    name: Option<String>,
    /// How many keys; one unless said otherwise.
    #[serde(default = "one")]
    quantity: u32,
    /// Whether we send the mail. Off unless asked for: whoever calls this usually sends their own.
    #[serde(default)]
    send_email: bool,
    /// Your own reference of this sale. Asking twice with one gives the same keys.
    #[serde(default)]
    reference: Option<String>,
}

const fn one() -> u32 {
    1
}

/// What was issued. This is the one time that the API shows a key.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IssuedDocument {
    /// The first key, for the usual case of one.
    key: String,
    #[schema(value_type = String)]
    order: OrderId,
    licenses: Vec<IssuedKey>,
    livemode: bool,
}

/// A license with its key.
#[derive(Debug, Serialize, ToSchema)]
struct IssuedKey {
    #[schema(value_type = String)]
    id: LicenseId,
    key: String,
    #[schema(value_type = String)]
    state: &'static str,
}

/// Issues licenses of a plan and returns their keys.
#[utoipa::path(post, path = "/v1/issue", tag = "licenses", operation_id = "issue", request_body = IssueBody,
    security(("api_key" = ["issue"])), responses((status = 200, body = IssuedDocument)))]
pub(crate) async fn issue(
    State(api): State<Api>,
    caller: Allowed<scope::Issue>,
    call: Option<Extension<CallId>>,
    Body(body): Body<IssueBody>,
) -> Result<Json<IssuedDocument>, Problem> {
    let identity = caller.identity;
    let email = body.email.as_deref().map(EmailAddress::parse).transpose();
    let email = email.map_err(|error| Problem::invalid(format!("`email`: {error}.")))?;
    if body.send_email && email.is_none() {
        return Err(Problem::invalid("`send_email` needs an `email` to send to."));
    }
    let request = IssueRequest {
        tenant: identity.tenant,
        livemode: identity.livemode,
        email,
        name: body.name,
        plan: PlanCode::new(body.plan),
        quantity: body.quantity,
        send_email: body.send_email,
        // A call with an idempotency key is the same sale when it has to be made again.
        reference: body.reference.or_else(|| call.map(|Extension(CallId(id))| format!("call:{id}"))),
    };
    let issued = api.engine.issue(request).await?;
    let licenses: Vec<IssuedKey> = issued
        .licenses
        .iter()
        .map(|issued| IssuedKey {
            id: issued.license.id,
            key: issued.key.reveal().to_owned(),
            state: issued.license.standing.state.as_str(),
        })
        .collect();
    let key = licenses.first().map(|license| license.key.clone()).unwrap_or_default();
    Ok(Json(IssuedDocument { key, order: issued.order, licenses, livemode: identity.livemode }))
}
