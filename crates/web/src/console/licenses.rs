//! The list of licenses.

use std::collections::HashMap;

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use domain::{
    id::{CustomerId, LicenseId},
    member::Ability,
};
use jiff::Timestamp;
use store::lists::{Examined, Listed, ListedLicense};

use super::{
    changes::{self, ACTIONS},
    filters::{self, Filters, Select},
    list::{Asked, Chip, Pager, address},
    place::{Place, to::Look},
    refusal::Refusal,
    shell::{Shell, page},
    tabs::Tab,
    views,
    words::{Pill, When, pill},
};
use crate::Web;

/// Filters that are always shown; the others stand behind a click.
const SELECTS_SHOWN: usize = 3;

#[derive(Template)]
#[template(path = "console/licenses.html")]
struct LicensesPage {
    shell: Shell,
    path: String,
    tabs: Vec<Tab>,
    /// Address and word of what can be done with the view that is shown.
    view_actions: Vec<(String, &'static str)>,
    selects: Vec<Select>,
    more: Vec<Select>,
    is_more_open: bool,
    domain: String,
    metadata: String,
    /// What is asked for and has no field of its own.
    hidden: Vec<(&'static str, String)>,
    chips: Vec<Chip>,
    kept: Vec<(&'static str, String)>,
    rows: Vec<Row>,
    pager: Pager,
    /// Word and name of what can be done with many.
    actions: Vec<(&'static str, &'static str)>,
    may_change_all: bool,
    export_path: Option<String>,
    changes_path: Option<String>,
}

/// A license in a list.
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) path: String,
    pub(crate) key: String,
    pub(crate) pill: Pill,
    pub(crate) why: String,
    pub(crate) plan: String,
    pub(crate) product: String,
    pub(crate) devices: String,
    pub(crate) seen: Option<When>,
    /// Address and e-mail of the buyer.
    pub(crate) customer: Option<(String, String)>,
    /// The provider at which it was sold.
    pub(crate) source: &'static str,
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
    let path = place.at("licenses");
    let filters = filters::read(&web, &place, &path, &asked, now).await?;
    let at = asked.page::<LicenseId>()?;
    let examined = web.engine.store.examine_licenses(place.whose(), &filters.filter, at).await?;
    let name = |id| LicenseId(id).to_string();
    let pager = Pager::examined(&examined, at, &path, &filters.pairs(), |row| row.license.id.0, name);
    let Examined { listed: Listed { rows: found, .. }, .. } = examined;
    let found = filters::meant(&web, &place, &filters.filter, found).await?;
    let (tabs, view_actions) = views::tabs(&web, &place, &filters).await?;
    let may_decide = place.role.may(Ability::Decide);
    let may = |(.., ability): &&(&str, &str, Ability)| place.role.may(*ability);
    let may_change_all = may_decide && filters.is_some();
    let export_path = may_decide.then(|| address(&place.at("licenses/export"), &filters.pairs()));
    let hidden = ["product", "customer"].map(|name| (name, filters.typed(name).to_owned()));
    let (domain, metadata) = (filters.typed("domain").to_owned(), filters.typed("metadata").to_owned());
    let is_more_open = is_more_open(&filters);
    let Filters { mut selects, chips, kept, .. } = filters;
    let more = selects.split_off(SELECTS_SHOWN);
    page(&LicensesPage {
        shell: Shell::new(&web, &place, "licenses", "Licenses").await?,
        rows: rows(&web, &place, &found, now).await?,
        actions: ACTIONS.iter().filter(may).map(|(word, name, _)| (*word, *name)).collect(),
        may_change_all,
        export_path,
        changes_path: changes::any(&web, &place).await?.then(|| place.at("licenses/changes")),
        hidden: hidden.into_iter().filter(|(_, value)| !value.is_empty()).collect(),
        domain,
        metadata,
        path,
        pager,
        tabs,
        view_actions,
        is_more_open,
        selects,
        more,
        chips,
        kept,
    })
}

/// Whether something is asked for that stands behind a click.
fn is_more_open(filters: &Filters) -> bool {
    let behind = filters.selects.iter().skip(SELECTS_SHOWN).any(|select| !filters.typed(select.name).is_empty());
    behind || ["domain", "metadata"].iter().any(|name| !filters.typed(name).is_empty())
}

/// Licenses as rows of a list.
pub(crate) async fn rows<A>(
    web: &Web,
    place: &Place<A>,
    listed: &[ListedLicense],
    now: Timestamp,
) -> Result<Vec<Row>, Refusal> {
    let store = &web.engine.store;
    let used = store.used(listed.iter().map(|listed| listed.license.id).collect()).await?;
    let customers = listed.iter().filter_map(|listed| listed.customer).collect();
    let customers = store.customers(place.whose(), customers).await?;
    let emails: HashMap<CustomerId, String> =
        customers.into_iter().map(|row| (CustomerId(row.id), row.email)).collect();
    let connections = filters::connections(web, place).await?;
    let mut rows = Vec::with_capacity(listed.len());
    for ListedLicense { license, key_hint, customer, connection, .. } in listed {
        let offer = web.engine.offer(place.whose().tenant, license.plan).await?;
        let limit = license.limits(&offer.plan.terms.limits).activations;
        let used = used.get(&license.id);
        let count = used.map_or(0, |(count, _)| *count);
        let sold_at = connections.iter().find(|(id, ..)| id == connection);
        rows.push(Row {
            id: license.id.to_string(),
            path: place.at(&format!("licenses/{}", license.id)),
            key: key_hint.clone().unwrap_or_else(|| "taken over".to_owned()),
            pill: pill(&license.standing),
            why: license.standing.reason.sentence(),
            plan: offer.plan.name.to_string(),
            product: offer.product.clone(),
            devices: limit.map_or_else(|| count.to_string(), |limit| format!("{count} / {limit}")),
            seen: used.map(|(_, seen)| When::new(*seen, now)),
            customer: customer.and_then(|id| Some((place.at(&format!("customers/{id}")), emails.get(&id)?.clone()))),
            source: sold_at.map_or("", |(_, _, name)| name),
            until: license.standing.until.map(|until| When::new(until, now)),
            issued: When::new(license.issued_at, now),
        });
    }
    Ok(rows)
}
