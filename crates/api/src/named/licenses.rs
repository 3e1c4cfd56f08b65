//! `POST` and `PATCH /api/v1/licenses`: a license is made and changed by a vendor's own code (A16, A17, E14, E18).

use std::collections::BTreeSet;

use axum::{Extension, Json, extract::State, http::StatusCode};
use domain::{
    id::{LicenseId, TenantId},
    plan::Adjustment,
    ruling::Ruling,
    text::EmailAddress,
};
use engine::{issue::IssueRequest, license_metadata};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::wording::{AskedLimits, NamedPlan, instead, plan_named};
use crate::{
    Api,
    admin::{
        licenses::{LicenseDocument, document},
        note,
        rulings::{Ruled, Ruler, rule},
    },
    caller::{Allowed, scope},
    idempotency::CallId,
    problem::{Code, Problem},
    read::{Body, Id},
};

/// A license as it is to be made, in the words of either document: `{email, planId, maxDomains, features, monthlyLimit}`
/// or `{product_id, customer_email, customer_name, tier, max_domains, metadata}`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewLicenseBody {
    /// Who gets it. Also `customer_email`.
    #[serde(default, alias = "customer_email")]
    email: Option<String>,
    /// Their name. Also `customer_name`.
    #[serde(default, alias = "customer_name")]
    name: Option<String>,
    /// The plan's code. Also `planId` and `plan`.
    #[serde(default, alias = "planId", alias = "plan")]
    #[schema(example = "starter")]
    tier: Option<String>,
    /// The product, by its id or code; the plan has to be one of its plans. Also `productId`.
    #[serde(default, alias = "productId")]
    product_id: Option<String>,
    /// Devices or domains at the same time. Also `maxDomains`.
    #[serde(default, alias = "maxDomains")]
    max_domains: Option<u32>,
    /// What the app unlocks.
    #[serde(default)]
    features: Option<BTreeSet<String>>,
    /// Checks in a month. Also `monthlyLimit`.
    #[serde(default, alias = "monthlyLimit")]
    monthly_limit: Option<u32>,
    /// What your own code wants to find beside it: texts, numbers, yes or no.
    #[serde(default)]
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
    /// Whether we send the mail. Off unless asked for: whoever calls this usually sends their own.
    #[serde(default, alias = "sendEmail")]
    send_email: bool,
    /// Your own reference of this sale. Asking twice with one gives the same license.
    #[serde(default)]
    reference: Option<String>,
}

/// A license that was made. This is the one time that the API shows its key.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NewLicenseDocument {
    /// Its key.
    #[schema(example = "ACME-0123-4567-89AB-CDEF")]
    key: String,
    #[serde(flatten)]
    license: LicenseDocument,
}

/// Makes a license and returns its key.
#[utoipa::path(post, path = "/api/v1/licenses", tag = "licenses", operation_id = "create_license",
    request_body = NewLicenseBody, security(("api_key" = ["issue"])),
    responses((status = 201, body = NewLicenseDocument)))]
pub(crate) async fn create(
    State(api): State<Api>,
    caller: Allowed<scope::Issue>,
    call: Option<Extension<CallId>>,
    Body(body): Body<NewLicenseBody>,
) -> Result<(StatusCode, Json<NewLicenseDocument>), Problem> {
    let whose = caller.whose();
    let plan = plan_named(&api, whose.tenant, body.tier.as_deref(), "tier").await?;
    if let Some(product) = body.product_id.as_deref() {
        check_product(&api, whose.tenant, product, &plan).await?;
    }
    let NewLicenseBody { max_domains, features, monthly_limit, .. } = body;
    let asked = AskedLimits { max_domains, features, monthly_limit };
    asked.check()?;
    license_metadata::check(&body.metadata)?;
    let email = body.email.as_deref().map(EmailAddress::parse).transpose();
    let email = email.map_err(|error| Problem::invalid(format!("`email`: {error}.")).of("email"))?;
    if body.send_email && email.is_none() {
        return Err(Problem::invalid("`send_email` needs an `email` to send to.").of("email"));
    }
    let request = IssueRequest {
        tenant: whose.tenant,
        livemode: whose.livemode,
        email,
        name: body.name,
        plan: plan.code,
        quantity: 1,
        send_email: body.send_email,
        reference: body.reference.or_else(|| call.map(|Extension(CallId(id))| format!("call:{id}"))),
    };
    let issued = api.engine.issue(request).await?;
    // An order has licenses by then, and this one was asked for one.
    let issued = issued.licenses.into_iter().next();
    let issued = issued.ok_or_else(|| Problem::new(Code::NotYet, "The license is accepted and not issued yet."))?;
    let (license, by) = (&issued.license, caller.by(None));
    if let Some(ruling) = asked.ruling(&plan.limits, instead(license)) {
        api.engine.rule(whose.tenant, license.id, &ruling, &by).await?;
    }
    let standing = &license.standing;
    api.engine.merge_license_metadata(whose.tenant, license.id, standing, &body.metadata, &by).await?;
    let key = issued.key.reveal().to_owned();
    let license = document(&api, whose, license.id).await?;
    Ok((StatusCode::CREATED, Json(NewLicenseDocument { key, license })))
}

/// What is to be different. What is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LicenseChangeBody {
    /// The code of another plan. Also `planId` and `plan`.
    #[serde(default, alias = "planId", alias = "plan")]
    #[schema(example = "pro")]
    tier: Option<String>,
    /// Devices or domains at the same time. Also `maxDomains`.
    #[serde(default, alias = "maxDomains")]
    max_domains: Option<u32>,
    /// What the app unlocks.
    #[serde(default)]
    features: Option<BTreeSet<String>>,
    /// Checks in a month. Also `monthlyLimit`.
    #[serde(default, alias = "monthlyLimit")]
    monthly_limit: Option<u32>,
    /// Merged into what is there, never put in its place: a key that is set to null goes, one that is not named stays.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
    /// Why, for the audit log.
    #[serde(default)]
    #[schema(max_length = 1000)]
    note: Option<String>,
}

/// Changes the plan of a license, or what your own code wrote beside it.
#[utoipa::path(patch, path = "/api/v1/licenses/{id}", tag = "licenses", operation_id = "change_license",
    params(("id" = String, Path)), request_body = LicenseChangeBody, security(("api_key" = ["license:write"])),
    responses((status = 200, body = LicenseDocument)))]
pub(crate) async fn change(
    State(api): State<Api>,
    caller: Ruler,
    Id(id): Id<LicenseId>,
    Body(body): Body<LicenseChangeBody>,
) -> Ruled {
    let whose = caller.whose();
    let listed = api.engine.store.listed_license(whose, id).await?;
    let license = listed.ok_or_else(|| Problem::not_found(id))?.license;
    if let Some(metadata) = &body.metadata {
        license_metadata::check(metadata)?;
    }
    let current = api.engine.offer(whose.tenant, license.plan).await?;
    let plan = match body.tier.as_deref() {
        // A license that is on that plan keeps the version that was sold.
        Some(name) if name != current.plan.code.as_str() => plan_named(&api, whose.tenant, Some(name), "tier").await?,
        _ => NamedPlan {
            version: license.plan,
            code: current.plan.code.clone(),
            limits: current.plan.terms.limits.clone(),
        },
    };
    let LicenseChangeBody { max_domains, features, monthly_limit, .. } = body;
    let asked = AskedLimits { max_domains, features, monthly_limit };
    asked.check()?;
    let by = caller.by(note(body.note.clone())?);
    // Add-ons count on top, so they are no part of what is compared.
    let of_plan = Adjustment::default().limits(&plan.limits, license.unit.seats);
    let plan_changed = (plan.version != license.plan).then_some(Ruling::ChangePlan(plan.version));
    for ruling in plan_changed.into_iter().chain(asked.ruling(&of_plan, instead(&license))) {
        let Json(_) = rule(&api, &caller, id, ruling, body.note.clone()).await?;
    }
    if let Some(metadata) = &body.metadata {
        api.engine.merge_license_metadata(whose.tenant, id, &license.standing, metadata, &by).await?;
    }
    document(&api, whose, id).await.map(Json)
}

/// A plan belongs to one product, and a call that names both has to mean one of its plans.
async fn check_product(api: &Api, tenant: TenantId, name: &str, plan: &NamedPlan) -> Result<(), Problem> {
    let products = api.engine.store.products(tenant).await?;
    let id: Option<domain::id::ProductId> = name.parse().ok();
    let named = products.iter().find(|row| row.code == name || id.is_some_and(|id| id.0 == row.id));
    let detail = match named {
        Some(row) if row.id == plan.version.product.0 => return Ok(()),
        Some(row) => format!("The plan `{}` is not one of the product `{}`.", plan.code, row.code),
        None => {
            let known: Vec<&str> = products.iter().map(|row| row.code.as_str()).collect();
            format!("There is no product `{name}`; the products are `{}`.", known.join("`, `"))
        }
    };
    Err(Problem::new(Code::Unprocessable, detail).of("product_id"))
}
