//! The documents' words for a plan and its limits, in both of their spellings.

use std::collections::BTreeSet;

use domain::{
    id::{PlanId, ProductId, TenantId},
    license::License,
    plan::{Limits, PlanTerms, PlanVersion},
    ruling::Ruling,
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

/// Limits that a call asks for. What is left out stays as it is.
#[derive(Debug, Default)]
pub(super) struct AskedLimits {
    pub(super) max_domains: Option<u32>,
    pub(super) features: Option<BTreeSet<String>>,
    pub(super) monthly_limit: Option<u32>,
}

impl AskedLimits {
    /// Whether a license can have these.
    pub(super) fn check(&self) -> Result<(), Problem> {
        let refused = |param: &str, detail: &str| Err(Problem::new(Code::Unprocessable, detail).of(param));
        match self {
            Self { max_domains: Some(0), .. } => refused("max_domains", "A license allows one domain at least."),
            Self { features: Some(features), .. }
                if features.iter().any(|word| word.trim() != word || word.is_empty()) =>
            {
                refused("features", "A feature is a word without blanks around it.")
            }
            Self { monthly_limit: Some(0), .. } => {
                refused("monthly_limit", "A license allows one check a month at least.")
            }
            _ => Ok(()),
        }
    }

    /// The ruling that gives a license what is asked for: other limits than `plan`, which are those of its plan and seats,
    /// or the plan's back. `now` are those that a ruling gave it before. None: it is so already.
    pub(super) fn ruling(self, plan: &Limits, now: Option<&Limits>) -> Option<Ruling> {
        let Self { max_domains, features, monthly_limit } = self;
        if max_domains.is_none() && features.is_none() && monthly_limit.is_none() {
            return None;
        }
        let before = now.unwrap_or(plan);
        let wanted = Limits {
            activations: max_domains.or(before.activations),
            checks_per_month: monthly_limit.or(before.checks_per_month),
            features: features.unwrap_or_else(|| before.features.clone()),
        };
        let instead = (wanted != *plan).then_some(wanted);
        (instead.as_ref() != now).then_some(Ruling::Limits(instead))
    }
}

/// What a ruling lets a license have instead of its plan's limits.
pub(super) fn instead(license: &License) -> Option<&Limits> {
    license.rulings.limits.as_ref().and_then(|register| register.value.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(activations: Option<u32>, features: &[&str]) -> Limits {
        Limits {
            activations,
            checks_per_month: None,
            features: features.iter().map(|word| (*word).to_owned()).collect(),
        }
    }

    #[test]
    fn a_ruling_is_made_only_where_something_is_to_be_different() {
        let plan = limits(Some(3), &["basic"]);
        let instead = |limits: Limits| Some(Ruling::Limits(Some(limits)));
        let many = limits(Some(9), &["basic"]);
        let words = |words: &[&str]| Some(limits(None, words).features);
        for (asked, now, expected) in [
            ((None, None), None, None),
            ((Some(3), words(&["basic"])), None, None),
            ((Some(9), None), None, instead(many.clone())),
            ((Some(9), None), Some(&many), None),
            ((None, words(&["sso"])), Some(&many), instead(limits(Some(9), &["sso"]))),
            ((Some(3), None), Some(&many), Some(Ruling::Limits(None))),
        ] {
            let told = format!("{asked:?} {now:?}");
            let (max_domains, features) = asked;
            let asked = AskedLimits { max_domains, features, monthly_limit: None };
            assert_eq!(asked.ruling(&plan, now), expected, "{told}");
        }
    }
}
