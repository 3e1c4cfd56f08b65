//! The audit log: who did what, and each entry's place in its chain.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use domain::id::{AuditId, LicenseId, OrderId};
use serde::Deserialize;
use store::lists::AuditFilter;

use super::{
    entries::{Entry, People, entries},
    list::{Pager, Paging},
    place::{Place, to::Look},
    refusal::Refusal,
    shell::{Shell, page},
};
use crate::Web;

/// What is asked for.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    order: String,
    #[serde(default)]
    license: String,
    #[serde(flatten)]
    paging: Paging,
}

#[derive(Template)]
#[template(path = "console/audit.html")]
struct AuditPage {
    shell: Shell,
    path: String,
    entries: Vec<Entry>,
    pager: Pager,
    order: String,
    license: String,
}

/// `GET …/audit`.
pub(crate) async fn list(
    State(web): State<Web>,
    place: Place<Look>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refusal> {
    let now = web.engine.now();
    let filter = AuditFilter { order: read::<OrderId>(&asked.order)?, license: read::<LicenseId>(&asked.license)?, ..AuditFilter::default() };
    let at = asked.paging.page::<AuditId>()?;
    let listed = web.engine.store.list_audit(place.whose(), &filter, at).await?;
    let path = place.at("audit");
    let kept = [("order", asked.order.trim()), ("license", asked.license.trim())];
    let pager = Pager::new(&listed, at, &path, &kept, |row| AuditId(row.id).to_string());
    let people = People::of(&web, &place).await?;
    page(&AuditPage {
        shell: Shell::new(&web, &place, "audit", "Audit log").await?,
        entries: entries(&place, &people, listed.rows, now),
        pager,
        path,
        order: asked.order,
        license: asked.license,
    })
}

/// The id that a list is about; none: it is about everything.
fn read<I: std::str::FromStr>(text: &str) -> Result<Option<I>, Refusal> {
    match text.trim() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| Refusal::Unreadable("That is not an id of the right kind.")),
    }
}
