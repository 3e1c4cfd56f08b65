//! The list of licenses.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use domain::{
    id::{CustomerId, LicenseId, PlanId},
    license::LicenseState,
};
use jiff::Timestamp;
use serde::Deserialize;
use store::lists::{LicenseFilter, ListedLicense};

use super::{
    list::{Pager, Paging},
    place::{Place, to::Look},
    refusal::Refusal,
    shell::{Shell, page},
    words::{Pill, When, pill},
};
use crate::Web;

/// What is asked for.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    state: String,
    #[serde(default)]
    plan: String,
    #[serde(default)]
    customer: String,
    /// The end of the term is that many days ahead at most.
    #[serde(default)]
    within: String,
    #[serde(flatten)]
    paging: Paging,
}

#[derive(Template)]
#[template(path = "console/licenses.html")]
struct LicensesPage {
    shell: Shell,
    path: String,
    rows: Vec<Row>,
    pager: Pager,
    states: Vec<(&'static str, bool)>,
    plans: Vec<(String, String, bool)>,
    within: String,
    is_filtered: bool,
}

/// A license in a list.
pub(crate) struct Row {
    pub(crate) path: String,
    pub(crate) key: String,
    pub(crate) pill: Pill,
    pub(crate) why: String,
    pub(crate) plan: String,
    pub(crate) product: String,
    pub(crate) devices: String,
    pub(crate) until: Option<When>,
    pub(crate) issued: When,
}

/// `GET …/licenses`.
pub(crate) async fn list(
    State(web): State<Web>,
    place: Place<Look>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refusal> {
    let now = web.engine.now();
    let plans = web.engine.store.newest_plans(place.whose().tenant).await?;
    let filter = LicenseFilter {
        state: LicenseState::ALL.into_iter().find(|state| state.as_str() == asked.state),
        plan: plans.iter().find(|plan| plan.code == asked.plan).map(|plan| PlanId(plan.id)),
        product: None,
        customer: asked.customer.parse::<CustomerId>().ok(),
        expires_before: ends_before(&asked.within, now),
    };
    let at = asked.paging.page::<LicenseId>()?;
    let listed = web.engine.store.list_licenses(place.whose(), &filter, at).await?;
    let kept = [
        ("state", asked.state.as_str()),
        ("plan", &asked.plan),
        ("customer", &asked.customer),
        ("within", &asked.within),
    ];
    let path = place.at("licenses");
    let pager = Pager::new(&listed, at, &path, &kept, |row| row.license.id.to_string());
    page(&LicensesPage {
        shell: Shell::new(&web, &place, "licenses", "Licenses").await?,
        rows: rows(&web, &place, &listed.rows, now).await?,
        pager,
        path,
        states: LicenseState::ALL.map(|state| (state.as_str(), state.as_str() == asked.state)).to_vec(),
        plans: plans.into_iter().map(|plan| (plan.code.clone(), plan.name, plan.code == asked.plan)).collect(),
        is_filtered: kept.iter().any(|(_, value)| !value.is_empty()),
        within: asked.within,
    })
}

fn ends_before(days: &str, now: Timestamp) -> Option<Timestamp> {
    const DAYS_MAX: i64 = 3_650;
    let days: i64 = days.parse().ok().filter(|days| (0..=DAYS_MAX).contains(days))?;
    Some(domain::time::after(now, jiff::SignedDuration::from_hours(24 * days)))
}

/// Licenses as rows of a list.
pub(crate) async fn rows<A>(
    web: &Web,
    place: &Place<A>,
    listed: &[ListedLicense],
    now: Timestamp,
) -> Result<Vec<Row>, Refusal> {
    let ids = listed.iter().map(|listed| listed.license.id).collect();
    let used = web.engine.store.count_activations(ids).await?;
    let mut rows = Vec::with_capacity(listed.len());
    for ListedLicense { license, key_hint, .. } in listed {
        let offer = web.engine.offer(place.whose().tenant, license.plan).await?;
        let limit = license.limits(&offer.plan.terms.limits).activations;
        let count = used.get(&license.id).copied().unwrap_or(0);
        rows.push(Row {
            path: place.at(&format!("licenses/{}", license.id)),
            key: key_hint.clone().unwrap_or_else(|| "taken over".to_owned()),
            pill: pill(&license.standing),
            why: license.standing.reason.sentence(),
            plan: offer.plan.name.to_string(),
            product: offer.product.clone(),
            devices: limit.map_or_else(|| count.to_string(), |limit| format!("{count} / {limit}")),
            until: license.standing.until.map(|until| When::new(until, now)),
            issued: When::new(license.issued_at, now),
        });
    }
    Ok(rows)
}
