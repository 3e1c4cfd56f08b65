//! What people decide about a license. Each decision may be taken back by its opposite, and is in the audit log.

use axum::{Json, extract::State};
use domain::{id::LicenseId, license::Holding, plan::Limits, ruling::Ruling, text::PlanCode};
use engine::configuration::wrong_with_limits;
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    NoteBody, catalogue,
    licenses::{LicenseDocument, document},
    note,
    terms::LimitsDocument,
};
use crate::{
    Api,
    caller::{Allowed, scope},
    problem::{Code, Problem},
    read::{Body, Id, MaybeBody},
};

pub(crate) type Ruled = Result<Json<LicenseDocument>, Problem>;
pub(crate) type Ruler = Allowed<scope::LicenseWrite>;

/// Stops a license for now.
#[utoipa::path(post, path = "/v1/licenses/{id}/freeze", tag = "licenses", operation_id = "freeze_license",
    params(("id" = String, Path)), request_body = Option<NoteBody>, security(("api_key" = ["license:write"])),
    responses((status = 200, body = LicenseDocument)))]
pub(crate) async fn freeze(
    State(api): State<Api>,
    caller: Ruler,
    Id(id): Id<LicenseId>,
    MaybeBody(body): MaybeBody<NoteBody>,
) -> Ruled {
    rule(&api, &caller, id, Ruling::Freeze, body.note).await
}

/// Undoes a freeze, and excuses every cause that stands against the license now. A new refund, dispute or amount is a new
/// cause.
#[utoipa::path(post, path = "/v1/licenses/{id}/unfreeze", tag = "licenses", operation_id = "unfreeze_license",
    params(("id" = String, Path)), request_body = Option<NoteBody>, security(("api_key" = ["license:write"])),
    responses((status = 200, body = LicenseDocument)))]
pub(crate) async fn unfreeze(
    State(api): State<Api>,
    caller: Ruler,
    Id(id): Id<LicenseId>,
    MaybeBody(body): MaybeBody<NoteBody>,
) -> Ruled {
    rule(&api, &caller, id, Ruling::Unfreeze, body.note).await
}

/// Takes a license back, whatever the money says.
#[utoipa::path(post, path = "/v1/licenses/{id}/revoke", tag = "licenses", operation_id = "revoke_license",
    params(("id" = String, Path)), request_body = Option<NoteBody>, security(("api_key" = ["license:write"])),
    responses((status = 200, body = LicenseDocument)))]
pub(crate) async fn revoke(
    State(api): State<Api>,
    caller: Ruler,
    Id(id): Id<LicenseId>,
    MaybeBody(body): MaybeBody<NoteBody>,
) -> Ruled {
    rule(&api, &caller, id, Ruling::Revoke, body.note).await
}

/// Undoes a revocation: the money decides again.
#[utoipa::path(post, path = "/v1/licenses/{id}/reinstate", tag = "licenses", operation_id = "reinstate_license",
    params(("id" = String, Path)), request_body = Option<NoteBody>, security(("api_key" = ["license:write"])),
    responses((status = 200, body = LicenseDocument)))]
pub(crate) async fn reinstate(
    State(api): State<Api>,
    caller: Ruler,
    Id(id): Id<LicenseId>,
    MaybeBody(body): MaybeBody<NoteBody>,
) -> Ruled {
    rule(&api, &caller, id, Ruling::Reinstate, body.note).await
}

/// How long a term is to last.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExtendBody {
    /// At least until then. An earlier moment than before takes an extension back.
    until: Timestamp,
    /// Why, for the audit log.
    #[serde(default)]
    #[schema(max_length = 1000)]
    note: Option<String>,
}

/// Lets the term of a license last at least until a moment.
#[utoipa::path(post, path = "/v1/licenses/{id}/extend", tag = "licenses", operation_id = "extend_license",
    params(("id" = String, Path)), request_body = ExtendBody, security(("api_key" = ["license:write"])),
    responses((status = 200, body = LicenseDocument)))]
pub(crate) async fn extend(
    State(api): State<Api>,
    caller: Ruler,
    Id(id): Id<LicenseId>,
    Body(body): Body<ExtendBody>,
) -> Ruled {
    rule(&api, &caller, id, Ruling::Extend(domain::time::stored(body.until)), body.note).await
}

/// Another plan.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangePlanBody {
    /// Its code. The license gets its current version.
    #[schema(example = "studio-pro")]
    plan: String,
    /// Why, for the audit log.
    #[serde(default)]
    #[schema(max_length = 1000)]
    note: Option<String>,
}

/// Gives a license another plan than the one that was bought.
#[utoipa::path(post, path = "/v1/licenses/{id}/change-plan", tag = "licenses", operation_id = "change_plan_of_license",
    params(("id" = String, Path)), request_body = ChangePlanBody, security(("api_key" = ["license:write"])),
    responses((status = 200, body = LicenseDocument)))]
pub(crate) async fn change_plan(
    State(api): State<Api>,
    caller: Ruler,
    Id(id): Id<LicenseId>,
    Body(body): Body<ChangePlanBody>,
) -> Ruled {
    let plan = catalogue::current_plan(&api, caller.identity.tenant, &PlanCode::new(body.plan)).await?;
    rule(&api, &caller, id, Ruling::ChangePlan(plan), body.note).await
}

/// Other limits.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitsBody {
    /// What the license allows, whatever its plan and seats say; null gives the plan's limits back.
    limits: Option<LimitsDocument>,
    /// Why, for the audit log.
    #[serde(default)]
    #[schema(max_length = 1000)]
    note: Option<String>,
}

/// Lets a license allow something else than its plan does. Add-ons count on top.
#[utoipa::path(post, path = "/v1/licenses/{id}/limits", tag = "licenses", operation_id = "set_limits_of_license",
    params(("id" = String, Path)), request_body = LimitsBody, security(("api_key" = ["license:write"])),
    responses((status = 200, body = LicenseDocument)))]
pub(crate) async fn limits(
    State(api): State<Api>,
    caller: Ruler,
    Id(id): Id<LicenseId>,
    Body(body): Body<LimitsBody>,
) -> Ruled {
    let limits = body.limits.map(Limits::from);
    if let Some((field, message)) = limits.as_ref().and_then(wrong_with_limits) {
        return Err(Problem::invalid(format!("`{field}`: {message}.")).of("limits"));
    }
    rule(&api, &caller, id, Ruling::Limits(limits), body.note).await
}

/// Rules about a license of the caller's, and shows what came of it.
pub(crate) async fn rule(api: &Api, caller: &Ruler, id: LicenseId, ruling: Ruling, text: Option<String>) -> Ruled {
    let (whose, by) = (caller.whose(), caller.by(note(text)?));
    let listed = api.engine.store.listed_license(whose, id).await?.ok_or_else(|| Problem::not_found(id))?;
    if let Holding::SupersededBy(other) = listed.license.holding {
        let detail =
            format!("The license {other} stands for this one, and its keys open that one. Decide about that one.");
        return Err(Problem::new(Code::Conflict, detail));
    }
    let ruled = api.engine.rule(whose.tenant, id, &ruling, &by).await?;
    ruled.ok_or_else(|| Problem::not_found(id))?;
    document(api, whose, id).await.map(Json)
}
