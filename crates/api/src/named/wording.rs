//! The documents' words for a plan and its limits, in both of their spellings.

use std::collections::BTreeSet;

use domain::{
    id::{PlanId, ProductId, TenantId},
    plan::{Limits, PlanTerms, PlanVersion},
    text::PlanCode,
};

use crate::{
    Api,
    problem::{Code, Problem},
};

/// A plan in its current version.
pub(super) struct NamedPlan {
    pub(super) version: PlanVersion,
    pub(super) code: PlanCode,
    pub(super) limits: Limits,
}

/// The plan that a call names. One that is not there is answered with those that are (A16, E14).
pub(super) async fn plan_named(
    api: &Api,
    tenant: TenantId,
    name: Option<&str>,
    param: &'static str,
) -> Result<NamedPlan, Problem> {
    let rows = api.engine.store.plans(tenant).await?;
    if let Some(row) = rows.iter().rfind(|row| Some(row.code.as_str()) == name) {
        let terms: PlanTerms = serde_json::from_str(&row.terms).unwrap_or_default();
        let version = PlanVersion {
            plan: PlanId(row.id),
            version: row.version.unsigned_abs(),
            product: ProductId(row.product_id),
        };
        return Ok(NamedPlan { version, code: PlanCode::new(row.code.as_str()), limits: terms.limits });
    }
    let known: BTreeSet<&str> = rows.iter().map(|row| row.code.as_str()).collect();
    let known = match known.is_empty() {
        true => "there are no plans yet; `keywright apply` or POST /v1/plans makes one".to_owned(),
        false => format!("the plans are `{}`", known.into_iter().collect::<Vec<_>>().join("`, `")),
    };
    let detail = match name {
        Some(name) => format!("There is no plan `{name}`; {known}."),
        None => format!("The call names no plan; {known}."),
    };
    Err(Problem::new(Code::Unprocessable, detail).of(param))
}

/// Limits that a call asks for. What is left out is the plan's.
#[derive(Debug, Default)]
pub(super) struct AskedLimits {
    pub(super) max_domains: Option<u32>,
    pub(super) features: Option<BTreeSet<String>>,
    pub(super) monthly_limit: Option<u64>,
}

/// **The place where limits of one license will override those of its plan.** Until a license can have limits of its own,
/// only the plan's are accepted, and whoever asks for others is told so: nothing is promised that is not kept.
pub(super) fn accept_limits(plan: &NamedPlan, asked: &AskedLimits) -> Result<(), Problem> {
    let refused = |param: &str, theirs: String, ours: String| {
        let detail = format!(
            "The plan `{}` has {ours} and the call asks for {theirs}. A license has the limits of its plan: leave \
             `{param}` out, or name a plan that has them.",
            plan.code
        );
        Err(Problem::new(Code::Unprocessable, detail).of(param))
    };
    let count =
        |limit: Option<u32>| limit.map_or_else(|| "any number of domains".to_owned(), |n| format!("{n} domains"));
    let listed = |features: &BTreeSet<String>| match features.is_empty() {
        true => "no features".to_owned(),
        false => format!("the features `{}`", features.iter().cloned().collect::<Vec<_>>().join("`, `")),
    };
    match asked {
        AskedLimits { max_domains: Some(domains), .. } if plan.limits.activations != Some(*domains) => {
            refused("max_domains", count(Some(*domains)), count(plan.limits.activations))
        }
        AskedLimits { features: Some(features), .. } if plan.limits.features != *features => {
            refused("features", listed(features), listed(&plan.limits.features))
        }
        AskedLimits { monthly_limit: Some(checks), .. } => {
            refused("monthly_limit", format!("{checks} checks a month"), "any number of checks".to_owned())
        }
        _ => Ok(()),
    }
}
