//! A buyer: who they are, what they have, what happened, what they were written, and where they use it.

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use domain::{
    id::{ActivationId, CustomerId},
    member::Ability,
};
use engine::timeline::{MomentId, MomentKind};
use jiff::Timestamp;
use store::{
    lists::{Cursor, LicenseFilter, ListedLicense, MailFilter, OrderFilter, Page},
    rows::{Activation, Customer},
};

use super::{
    browser::see_other,
    entries::People,
    license::device_name,
    licenses,
    list::{Asked, Pager, ROWS, address},
    mails, orders,
    place::{Place, to::Look},
    refusal::Refusal,
    shell::{Shell, page},
    timeline::{self, Line},
    words::When,
};
use crate::Web;

/// Licenses, orders and mails on the page at most; their lists have all.
const SHOWN: u64 = 20;

#[derive(Template)]
#[template(path = "console/customer.html")]
struct CustomerPage {
    shell: Shell,
    path: String,
    id: String,
    email: String,
    name: String,
    since: When,
    licenses: Vec<licenses::Row>,
    orders: Vec<orders::Row>,
    mails: Vec<mails::Row>,
    devices: Vec<Device>,
    timeline: Timeline,
    licenses_path: String,
    orders_path: String,
    mails_path: String,
    may_help: bool,
    may_erase: bool,
    may_merge: bool,
    /// Who may be the same person: address, page, and where they are merged.
    may_be: Vec<(String, String, String)>,
    erased: Option<When>,
}

/// A page of what happened around them.
struct Timeline {
    lines: Vec<Line>,
    /// Address, name, and whether these alone are shown.
    kinds: Vec<(String, &'static str, bool)>,
    /// The address with all of them.
    all: String,
    is_filtered: bool,
    pager: Pager,
}

/// A device that uses one of their licenses.
struct Device {
    name: String,
    fingerprint: String,
    /// Address and key of the license.
    license: (String, String),
    id: ActivationId,
    seen: When,
}

/// `GET …/customers/{id}`.
pub(crate) async fn show(
    State(web): State<Web>,
    place: Place<Look>,
    Path((_, _, id)): Path<(String, String, String)>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refusal> {
    let (now, store, whose) = (web.engine.now(), &web.engine.store, place.whose());
    let id: CustomerId = id.parse().map_err(|_| Refusal::NotFound)?;
    let customer = store.customer(whose, id).await?.ok_or(Refusal::NotFound)?;
    if customer.id != id.0 {
        return Ok(see_other(&place.at(&format!("customers/{}", CustomerId(customer.id)))));
    }
    let may_be = if place.role.may(Ability::Decide) { twins(&web, &place, &customer).await? } else { Vec::new() };
    let first = Page { limit: SHOWN, from: None };
    let of = LicenseFilter { customer: Some(id), ..LicenseFilter::default() };
    let listed = store.list_licenses(whose, &of, first).await?;
    let orders = store.list_orders(whose, &OrderFilter { customer: Some(id), ..OrderFilter::default() }, first).await?;
    let of = MailFilter { customer: Some(id), ..MailFilter::default() };
    let mails = store.list_mails(whose, &of, first).await?;
    let list = |name: &str| place.at(&format!("{name}?customer={id}"));
    page(&CustomerPage {
        shell: Shell::new(&web, &place, "customers", format!("{} · Customer", customer.email)).await?,
        path: place.at(&format!("customers/{id}")),
        id: id.to_string(),
        email: customer.email,
        name: customer.name.unwrap_or_default(),
        since: When::stored(customer.created_at, now),
        licenses: licenses::rows(&web, &place, &listed.rows, now).await?,
        orders: orders::rows(&web, &place, &orders.rows, now).await?,
        mails: mails::rows(&place, mails.rows, now),
        devices: devices(&web, &place, &listed.rows, now).await?,
        timeline: timeline(&web, &place, id, &asked, now).await?,
        licenses_path: list("licenses"),
        orders_path: list("orders"),
        mails_path: list("mails"),
        may_help: place.role.may(Ability::Help),
        may_erase: place.role.may(Ability::Staff),
        may_merge: place.role.may(Ability::Decide) && customer.erased_at.is_none(),
        may_be,
        erased: customer.erased_at.map(|at| When::stored(at, now)),
    })
}

/// Who may be the same person.
async fn twins(web: &Web, place: &Place<Look>, customer: &Customer) -> Result<Vec<(String, String, String)>, Refusal> {
    let found = web.engine.same_person_as(place.whose(), customer).await?;
    let path = place.at(&format!("customers/{}", CustomerId(customer.id)));
    let twin = |other: Customer| {
        let id = CustomerId(other.id);
        (other.email, place.at(&format!("customers/{id}")), format!("{path}/merge?with={id}"))
    };
    Ok(found.into_iter().map(twin).collect())
}

/// All devices that use these licenses, the one that was seen last first.
async fn devices(
    web: &Web,
    place: &Place<Look>,
    licenses: &[ListedLicense],
    now: Timestamp,
) -> Result<Vec<Device>, Refusal> {
    let mut used: Vec<(&ListedLicense, Activation)> = Vec::new();
    for listed in licenses {
        let rows = web.engine.store.activations(listed.license.id).await?;
        used.extend(rows.into_iter().map(|row| (listed, row)));
    }
    used.sort_by_key(|(_, row)| std::cmp::Reverse(row.last_seen_at));
    let device = |(listed, row): (&ListedLicense, Activation)| {
        let path = place.at(&format!("licenses/{}", listed.license.id));
        Device {
            id: ActivationId(row.id),
            license: (path, listed.key_hint.clone().unwrap_or_else(|| "taken over".to_owned())),
            name: device_name(&row),
            fingerprint: row.fingerprint,
            seen: When::stored(row.last_seen_at, now),
        }
    };
    Ok(used.into_iter().map(device).collect())
}

/// A page of what happened around a buyer: of one kind, if that is asked for.
async fn timeline(
    web: &Web,
    place: &Place<Look>,
    id: CustomerId,
    asked: &Asked,
    now: Timestamp,
) -> Result<Timeline, Refusal> {
    let only = MomentKind::ALL.into_iter().find(|kind| kind.as_str() == asked.get("only"));
    let read = |text: &str| text.parse::<MomentId>().map_err(|_| Refusal::NotFound);
    let from = match (asked.get("after"), asked.get("before")) {
        ("", "") => None,
        (after, "") => Some(Cursor::After(read(after)?)),
        (_, before) => Some(Cursor::Before(read(before)?)),
    };
    let listed = web.engine.timeline_of_customer(id, only, ROWS, from).await?;
    let path = place.at(&format!("customers/{id}"));
    let link = |asked: &[(&str, &str)]| format!("{}#timeline", address(&path, asked));
    let shown = only.map(MomentKind::as_str).unwrap_or_default();
    let kind = |kind: MomentKind| (link(&[("only", kind.as_str())]), kind.name(), only == Some(kind));
    let pager = Pager::at(&listed, from, |name, moment| {
        let edge = moment.id().map(|id| id.to_string()).unwrap_or_default();
        link(&[("only", shown), (name, &edge)])
    });
    Ok(Timeline {
        kinds: MomentKind::ALL.into_iter().map(kind).collect(),
        all: link(&[]),
        is_filtered: only.is_some(),
        pager,
        lines: timeline::lines_of_many(place, &People::of(web, place).await?, listed.rows, now),
    })
}
