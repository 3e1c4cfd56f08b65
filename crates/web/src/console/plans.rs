//! A plan: what a license allows, for how long, and what happens when the money changes its mind.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use domain::{
    member::Ability,
    plan::{Limits, PlanTerms},
    policy::{MailBy, OnTrial},
};
use store::rows;

use super::{
    brand,
    place::{Place, to::Look},
    plan_form::{CANCELLATIONS, LOSSES, NOTICES, words_of},
    refusal::Refusal,
    shell::{Shell, page},
    words::{When, any_number, counted, money},
};
use crate::Web;

#[derive(Template)]
#[template(path = "console/plan.html")]
struct PlanPage {
    shell: Shell,
    path: String,
    name: String,
    code: String,
    product: String,
    products_path: String,
    /// From whom the mails about it come, and where that is said.
    brand: Option<(String, String)>,
    licenses: u64,
    licenses_path: String,
    /// Parts of what it says, each with names and values.
    parts: Vec<(&'static str, Vec<(&'static str, String)>)>,
    versions: Vec<VersionRow>,
    document: String,
    may_configure: bool,
}

struct VersionRow {
    version: i32,
    licenses: u64,
    made: When,
}

/// All versions of a plan of this vendor, the latest first.
pub(crate) async fn versions<A>(web: &Web, place: &Place<A>, code: &str) -> Result<Vec<rows::Plan>, Refusal> {
    let mut rows = web.engine.store.plans(place.whose().tenant).await?;
    rows.retain(|row| row.code == code);
    rows.sort_by_key(|row| std::cmp::Reverse(row.version));
    if rows.is_empty() { Err(Refusal::NotFound) } else { Ok(rows) }
}

pub(crate) fn terms(row: &rows::Plan) -> PlanTerms {
    serde_json::from_str(&row.terms).unwrap_or_default()
}

/// How long a license lasts.
pub(crate) fn term(terms: &PlanTerms) -> String {
    match terms.duration_days {
        Some(1) => "1 day, or as long as the sale says".to_owned(),
        Some(days) => format!("{days} days, or as long as the sale says"),
        None => "for good, or as long as the sale says".to_owned(),
    }
}

/// What it costs, where this server makes the price.
pub(crate) fn price(terms: &PlanTerms) -> String {
    let every = |interval: domain::plan::Interval| format!(" every {}", interval.as_str());
    let text = |price: domain::plan::PlanPrice| {
        format!("{}{}", money(price.money), price.every.map(every).unwrap_or_default())
    };
    terms.price.map(text).unwrap_or_default()
}

/// `GET …/plans/{code}`.
pub(crate) async fn show(
    State(web): State<Web>,
    place: Place<Look>,
    Path((_, _, code)): Path<(String, String, String)>,
) -> Result<Response, Refusal> {
    let now = web.engine.now();
    let (store, tenant) = (&web.engine.store, place.whose().tenant);
    let versions = versions(&web, &place, &code).await?;
    let counts = store.count_licenses(tenant).await?;
    let of = |row: &rows::Plan| {
        let is_it = |(id, version, _): &&(uuid::Uuid, i32, u64)| (*id, *version) == (row.id, row.version);
        counts.iter().find(is_it).map_or(0, |(.., count)| *count)
    };
    let current = versions.first().ok_or(Refusal::NotFound)?;
    let products = store.products(tenant).await?;
    let product = products.into_iter().find(|row| row.id == current.product_id);
    let terms = terms(current);
    page(&PlanPage {
        shell: Shell::new(&web, &place, "products", format!("{} · Plan", current.name)).await?,
        path: place.at(&format!("plans/{code}")),
        name: current.name.clone(),
        brand: product
            .as_ref()
            .map(|row| (brand::in_whose_name(&web, row), place.at(&format!("settings/brand/{}", row.code)))),
        product: product.map(|row| row.name).unwrap_or_default(),
        products_path: place.at("products"),
        licenses: versions.iter().map(of).sum(),
        licenses_path: place.at(&format!("licenses?plan={code}")),
        parts: parts(&terms),
        versions: versions
            .iter()
            .map(|row| VersionRow { version: row.version, licenses: of(row), made: When::stored(row.created_at, now) })
            .collect(),
        document: serde_json::to_string_pretty(&terms).unwrap_or_default(),
        may_configure: place.role.may(Ability::Configure),
        code,
    })
}

fn parts(terms: &PlanTerms) -> Vec<(&'static str, Vec<(&'static str, String)>)> {
    let Limits { activations, checks_per_month, features } = &terms.limits;
    let listed = |words: Vec<String>| if words.is_empty() { "none".to_owned() } else { words.join(", ") };
    let days = |days: u32| counted(days, "day", "days");
    let (policy, lease) = (&terms.policy, terms.lease);
    let mut losses = vec![
        ("Refund in full", words_of(&LOSSES, policy.full_refund)),
        ("Refund in part", words_of(&LOSSES, policy.partial_refund)),
        ("Dispute", words_of(&LOSSES, policy.dispute)),
    ];
    losses.extend(policy.downgrade_to.as_ref().map(|plan| ("The smaller plan", plan.to_string())));
    losses.push(("Cancellation", words_of(&CANCELLATIONS, policy.cancellation)));
    let notices = NOTICES.iter().filter(|(notice, ..)| policy.notices.contains(notice));
    let mut sold = vec![("Price", price(terms))];
    sold.retain(|(_, value)| !value.is_empty());
    sold.extend([
        (
            "A trial gives",
            if policy.trial == OnTrial::License { "a license" } else { "nothing until it is paid" }.to_owned(),
        ),
        (
            "Issued",
            if policy.issuing == domain::policy::Issuing::Automatic { "at once" } else { "after somebody approves" }
                .to_owned(),
        ),
        ("The key is mailed by", if policy.mail == MailBy::Us { "Keywright" } else { "you" }.to_owned()),
        ("Other mails", listed(notices.map(|(_, _, words)| words.to_lowercase()).collect())),
    ]);
    vec![
        (
            "What it allows",
            vec![
                ("Devices", any_number(*activations)),
                ("Checks a month", any_number(*checks_per_month)),
                ("Features", listed(features.iter().cloned().collect())),
            ],
        ),
        (
            "How long",
            vec![
                ("A license lasts", term(terms)),
                ("Grace", days(policy.grace_days)),
                ("Offline", days(lease.offline_days)),
                ("Asks again after", format!("{} hours", lease.recheck_hours)),
            ],
        ),
        ("When the money changes", losses),
        ("How it is sold", sold),
    ]
}
