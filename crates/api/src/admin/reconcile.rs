//! Whether money and licenses agree: the report, and catching up with what no webhook brought.

use axum::{Json, extract::State};
use domain::id::{ConnectionId, OrderId};
use engine::{
    doctor::discrepancies::{Discrepancy, DiscrepancyKind, Window},
    reconcile::WINDOW,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::{lists::Cursor, rows::Backfill};
use utoipa::{IntoParams, ToSchema};

use super::{
    connections::{connection_named, may_change, mode, row},
    instant,
};
use crate::{
    Api,
    caller::{Allowed, scope},
    page::{List, Listing, PageParams},
    problem::Problem,
    read::{Id, MaybeBody},
};

words! {
    /// In which way money and licenses differ.
    DiscrepancyWord as DiscrepancyKind of DiscrepancyKind {
        /// Something is paid, and there is no license for it.
        PaidWithoutLicense,
        /// A payment went back, and what it paid for works.
        RefundedButActive,
        /// It is paid and works, and no key opens it.
        ActiveWithoutKey,
    }
}

/// Something that a person should look at.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Discrepancy)]
pub(crate) struct DiscrepancyDocument {
    kind: DiscrepancyWord,
    livemode: bool,
    #[schema(example = "ord_01kag0000000000000000000000")]
    order: String,
    connection: String,
    /// The provider's names for the sale.
    #[schema(example = json!(["cs_test_a1", "pi_3"]))]
    references: Vec<String>,
    /// Who bought; none: nobody said so.
    email: Option<String>,
    /// Which license, if it is about one.
    license: Option<String>,
    /// What is wrong, and what to do where that is known.
    detail: String,
}

impl DiscrepancyDocument {
    fn new(found: Discrepancy, livemode: bool) -> Self {
        Self {
            kind: found.kind.into(),
            livemode,
            order: found.order.to_string(),
            connection: found.connection.to_string(),
            references: found.references,
            email: found.email,
            license: found.license.map(|id| id.to_string()),
            detail: found.problem,
        }
    }
}

/// Which orders.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WindowParams {
    /// Those about which something was told then or later. Unless given: 30 days ago.
    since: Option<Timestamp>,
    /// Those that came in before that. Unless given: all until now.
    until: Option<Timestamp>,
    /// Those of this connection, by its id or its code.
    connection: Option<String>,
}

/// Tells what is paid without a license, and what is active although its payment went back. A page ends with an order, so
/// it may have a few rows more than `limit`; and it ends after some thousand orders, so it may have none and still go on.
#[utoipa::path(get, path = "/v1/reconcile", tag = "orders", operation_id = "reconcile",
    params(PageParams, WindowParams), security(("api_key" = ["license:read"])),
    responses((status = 200, body = List<DiscrepancyDocument>)))]
pub(crate) async fn report(
    State(api): State<Api>,
    caller: Allowed<scope::LicenseRead>,
    listing: Listing<OrderId, WindowParams>,
) -> Result<Json<List<DiscrepancyDocument>>, Problem> {
    let (whose, params, now) = (caller.whose(), listing.filter, api.engine.now());
    let after = match listing.page.from {
        None => None,
        Some(Cursor::After(id)) => Some(OrderId(id)),
        Some(Cursor::Before(_)) => {
            return Err(Problem::invalid("This report goes on `after` an order, and not back.").of("before"));
        }
    };
    let connection = match &params.connection {
        Some(name) => Some(ConnectionId(connection_named(&api, whose.tenant, name).await?.id)),
        None => None,
    };
    let since = params.since.unwrap_or_else(|| domain::time::after(now, -WINDOW));
    let window = Window { since, until: params.until.unwrap_or(Timestamp::MAX), connection };
    let limit = usize::try_from(listing.page.limit).unwrap_or(usize::MAX);
    let found = api.engine.discrepancies(whose, &window, after, limit).await?;
    let rows = found.rows.into_iter().map(|row| DiscrepancyDocument::new(row, whose.livemode)).collect();
    Ok(Json(List::up_to(rows, found.next.map(|id| id.to_string()))))
}

/// How far a provider's own list of events has been read.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CatchUp)]
pub(crate) struct CatchUpDocument {
    connection: String,
    livemode: bool,
    /// Whatever happened before is known. None: the list was never read.
    caught_up_to: Option<Timestamp>,
    /// Whether it is being read, or is about to be.
    running: bool,
    /// How many events that reading, or the last one, has found that no webhook had brought.
    found: u64,
    /// When it goes on, or begins anew. None: only when asked for.
    next_at: Option<Timestamp>,
    /// Why it does not go on, if it does not.
    problem: Option<String>,
}

impl CatchUpDocument {
    fn new(id: ConnectionId, livemode: bool, row: Option<Backfill>, now: Timestamp) -> Self {
        let is_due = |at: i64| at <= now.as_microsecond();
        Self {
            connection: id.to_string(),
            livemode,
            caught_up_to: row.as_ref().map(|row| instant(row.caught_up_to)),
            running: row.as_ref().is_some_and(|row| row.until.is_some() || row.next_at.is_some_and(is_due)),
            found: row.as_ref().map_or(0, |row| row.found.unsigned_abs()),
            next_at: row.as_ref().and_then(|row| row.next_at).map(instant),
            problem: row.and_then(|row| row.error),
        }
    }
}

/// Shows how far the provider's own list of events has been read.
#[utoipa::path(get, path = "/v1/connections/{id}/catch-up", tag = "connections", operation_id = "get_catch_up",
    params(("id" = String, Path)), security(("api_key" = ["event:read"])),
    responses((status = 200, body = CatchUpDocument)))]
pub(crate) async fn get(
    State(api): State<Api>,
    caller: Allowed<scope::EventRead>,
    Id(id): Id<ConnectionId>,
) -> Result<Json<CatchUpDocument>, Problem> {
    let connection = row(&api, caller.identity.tenant, id).await?;
    let known = api.engine.store.backfills().await?.into_iter().find(|row| row.connection_id == id.0);
    Ok(Json(CatchUpDocument::new(id, mode(&connection).is_live(), known, api.engine.now())))
}

/// From when on.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CatchUpStart)]
pub(crate) struct CatchUpBody {
    /// At least from there on, as far as the provider keeps its events (Stripe: 30 days). Mails about purchases that are
    /// older than three days are held until they are released. Unless given: since the last time.
    #[serde(default)]
    since: Option<Timestamp>,
}

/// Reads the provider's own list of events now, and not only every quarter of an hour. It goes on in the background; an
/// event that is known changes nothing.
#[utoipa::path(post, path = "/v1/connections/{id}/catch-up", tag = "connections", operation_id = "catch_up",
    params(("id" = String, Path)), request_body = Option<CatchUpBody>, security(("api_key" = ["event:write"])),
    responses((status = 200, body = CatchUpDocument)))]
pub(crate) async fn start(
    State(api): State<Api>,
    caller: Allowed<scope::EventWrite>,
    Id(id): Id<ConnectionId>,
    MaybeBody(body): MaybeBody<CatchUpBody>,
) -> Result<Json<CatchUpDocument>, Problem> {
    let tenant = caller.identity.tenant;
    let connection = row(&api, tenant, id).await?;
    may_change(&caller, &connection)?;
    let started = api.engine.start_catching_up(tenant, id, body.since, &caller.by(None)).await?;
    Ok(Json(CatchUpDocument::new(id, mode(&connection).is_live(), Some(started), api.engine.now())))
}
