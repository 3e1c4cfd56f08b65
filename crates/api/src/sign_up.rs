//! Signing up: a vendor makes an account alone, where the operator allows it (A35, X19).

use std::net::SocketAddr;

use axum::{
    Json,
    extract::{ConnectInfo, State},
    http::StatusCode,
};
use crypto::token::ApiKeyKind;
use engine::{accounts::Account, api_keys::Scope, rulings::By};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Api,
    problem::{Code, Problem},
    read::Body,
};

/// Who is behind it, as the audit log names them.
const ACTOR: &str = "sign-up";

/// An account as it is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignUpBody {
    /// Its name in addresses: letters a-z, digits, `-`.
    #[schema(max_length = 40, example = "acme")]
    slug: String,
    /// What people read.
    #[schema(max_length = 120, example = "Acme")]
    name: String,
}

/// An account that was made. This is the one time that its keys are shown.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SignedUpDocument {
    #[schema(example = "acme")]
    slug: String,
    /// May do everything, live.
    #[schema(example = "kw_live_…")]
    live_key: String,
    /// May do everything, in test mode.
    #[schema(example = "kw_test_…")]
    test_key: String,
    account: AccountDocument,
}

/// What an account may have; none: any number.
#[derive(Debug, Serialize, ToSchema)]
struct AccountDocument {
    /// Live licenses that work, or could again. What is sold beyond waits.
    licenses_max: Option<u32>,
    /// Checks of live licenses in a calendar month (UTC). What comes beyond is answered `checks_exceeded`.
    checks_per_month: Option<u32>,
}

/// Makes a free account: 5 licenses, 500 checks a month, all of the API. Closed unless the operator opened it.
#[utoipa::path(post, path = "/v1/sign-up", tag = "operators", operation_id = "sign_up", request_body = SignUpBody,
    responses((status = 201, body = SignedUpDocument)))]
pub(crate) async fn sign_up(
    State(api): State<Api>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Body(body): Body<SignUpBody>,
) -> Result<(StatusCode, Json<SignedUpDocument>), Problem> {
    if !api.sign_up_open {
        let detail = "Signing up is closed here. The operator opens it with `keywright serve --sign-up open`, or makes an \
             account with `keywright tenant create`.";
        return Err(Problem::new(Code::Forbidden, detail));
    }
    if let Some(seconds) = api.limits.sign_up(peer.ip()) {
        return Err(Problem::slow_down("Too many accounts from this address in the last hour.", seconds));
    }
    let SignUpBody { slug, name } = body;
    let account = Account::FREE;
    let by = By { actor: ACTOR.to_owned(), note: None };
    let tenant = api.engine.create_tenant(&slug, &name, &account, &by).await?;
    let mut keys = Vec::new();
    for (name, kind) in [("live", ApiKeyKind::Live), ("test", ApiKeyKind::Test)] {
        let (_, key) = api.engine.create_api_key(tenant, name, kind, &[Scope::Admin], ACTOR).await.map_err(|error| {
            tracing::error!(%error, %slug, "an account was made and has no API key; `keywright api-key create` makes one");
            Problem::new(Code::Internal, "The account is made and its keys are not. Ask the operator for them.")
        })?;
        keys.push(key.reveal().as_str().to_owned());
    }
    let (test_key, live_key) = (keys.pop().unwrap_or_default(), keys.pop().unwrap_or_default());
    let Account { licenses_max, checks_per_month } = account;
    let account = AccountDocument { licenses_max, checks_per_month };
    Ok((StatusCode::CREATED, Json(SignedUpDocument { slug, live_key, test_key, account })))
}
