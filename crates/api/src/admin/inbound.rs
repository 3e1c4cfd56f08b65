//! What providers delivered, what each event did, and playing it again.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use domain::{
    fact::Fact,
    id::{ConnectionId, InboundId},
};
use engine::inbound::Call;
use jiff::Timestamp;
use providers::http::Answer;
use serde::{Deserialize, Serialize};
use store::{
    lists::{InboundFilter, InboundSummary, KeptFact, Whose},
    rows::InboundEvent,
};
use utoipa::{IntoParams, ToSchema};

use super::{attention::AttentionDocument, audit::AuditDocument, instant, note, sale::SaleDocument, word};
use crate::{
    Api,
    caller::{Allowed, scope},
    page::{List, Listable, Listing, PageParams},
    problem::Problem,
    read::{Body, Id, MaybeBody},
};

/// How far an event has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum InboundStatus {
    /// Committed, not looked at.
    Received,
    /// Something must be looked up at the provider first.
    Waiting,
    /// All answers are there.
    Ready,
    /// Its facts have joined their orders.
    Done,
    /// It needs a person.
    Held,
    /// A person has set it aside: nobody works on it until it is played again.
    Ignored,
}

/// One event that a provider delivered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InboundEvent)]
pub(crate) struct InboundDocument {
    #[schema(example = "in_01kag0000000000000000000000")]
    id: String,
    livemode: bool,
    connection: String,
    /// The provider's own id of the event: what makes it unique at its connection.
    #[schema(example = "evt_1")]
    key: String,
    /// The provider's word for what happened.
    #[schema(example = "checkout.session.completed")]
    kind: String,
    #[schema(value_type = InboundStatus)]
    status: String,
    /// When it happened, as the provider says.
    occurred_at: Option<Timestamp>,
    received_at: Timestamp,
    /// Tries to look up what it lacks.
    attempts: i32,
    next_attempt_at: Option<Timestamp>,
    /// What is wrong; or why it was set aside.
    error: Option<String>,
    /// When its facts joined their orders, or it was set aside.
    done_at: Option<Timestamp>,
}

impl Listable for InboundDocument {
    fn id(&self) -> &str {
        &self.id
    }
}

impl From<InboundSummary> for InboundDocument {
    fn from(row: InboundSummary) -> Self {
        Self {
            id: InboundId(row.id).to_string(),
            livemode: row.livemode,
            connection: ConnectionId(row.connection_id).to_string(),
            key: row.event_key,
            kind: row.kind,
            status: row.status,
            occurred_at: row.occurred_at.map(instant),
            received_at: instant(row.received_at),
            attempts: row.attempts,
            next_attempt_at: row.next_attempt_at.map(instant),
            error: row.error,
            done_at: row.done_at.map(instant),
        }
    }
}

impl From<InboundEvent> for InboundDocument {
    fn from(row: InboundEvent) -> Self {
        Self::from(InboundSummary {
            id: row.id,
            connection_id: row.connection_id,
            event_key: row.event_key,
            kind: row.kind,
            livemode: row.livemode,
            occurred_at: row.occurred_at,
            received_at: row.received_at,
            status: row.status,
            attempts: row.attempts,
            next_attempt_at: row.next_attempt_at,
            error: row.error,
            done_at: row.done_at,
        })
    }
}

/// An event with its body and everything that came of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InboundDetail {
    #[serde(flatten)]
    event: InboundDocument,
    /// As the provider sent it, but for license keys, which are masked; a text, if it is no JSON.
    #[schema(value_type = Object)]
    body: serde_json::Value,
    /// The call that brought it; none: it was found in the provider's list, or made here.
    call: Option<CallDocument>,
    trace: Trace,
}

/// What is kept of a call beside its events.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InboundCall)]
struct CallDocument {
    /// Some of its headers, by their lower-case names. Signatures are cut.
    headers: BTreeMap<String, String>,
    /// The fingerprint of the secret that it was believed by, as the connection names it.
    #[schema(example = "5f1d7a84")]
    secret: Option<String>,
}

impl From<Call> for CallDocument {
    fn from(call: Call) -> Self {
        Self { headers: call.headers, secret: call.secret }
    }
}

/// What became of an event.
#[derive(Debug, Serialize, ToSchema)]
struct Trace {
    /// What has to be looked up before it can be understood.
    asks: Vec<String>,
    /// What was looked up. A replay uses these answers again, unless it is asked to be fresh, and asks again what the API key
    /// was refused.
    answers: Vec<KeptAnswer>,
    /// What it said.
    facts: Vec<FactDocument>,
    /// The orders that know it now.
    orders: Vec<String>,
    /// What changed in these orders when it was done. Events of one order that come together are handled together.
    changes: Vec<AuditDocument>,
    /// What needs, or needed, a person because of it.
    attention: Vec<AttentionDocument>,
}

/// A look-up's answer, without its content: that is the provider's, and may hold secrets.
#[derive(Debug, Serialize, ToSchema)]
struct KeptAnswer {
    path: String,
    asked_at: Timestamp,
    status: u16,
    bytes: usize,
}

/// One thing that an event said.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Fact)]
struct FactDocument {
    /// `order` or `customer`.
    kind: String,
    /// The order that it joined.
    order: Option<String>,
    /// What it says about a sale.
    sale: Option<SaleDocument>,
    /// The provider's id of the customer that it is about.
    customer: Option<String>,
}

impl From<&KeptFact> for FactDocument {
    fn from(kept: &KeptFact) -> Self {
        let (sale, customer) = match &kept.fact {
            Fact::Order(order) => (Some(SaleDocument::from(&**order)), None),
            Fact::Customer(customer) => (None, Some(customer.reference.to_string())),
        };
        Self { kind: kept.fact.kind().to_owned(), order: kept.order.map(|id| id.to_string()), sale, customer }
    }
}

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct InboundParams {
    /// How far they have come.
    status: Option<InboundStatus>,
    /// The provider's word for what happened.
    kind: Option<String>,
    /// Delivered to this connection.
    #[param(value_type = Option<String>)]
    connection: Option<ConnectionId>,
}

/// Lists what was delivered.
#[utoipa::path(get, path = "/v1/inbound-events", tag = "inbound events", operation_id = "list_inbound_events",
    params(PageParams, InboundParams), security(("api_key" = ["event:read"])),
    responses((status = 200, body = List<InboundDocument>)))]
pub(crate) async fn list(
    State(api): State<Api>,
    caller: Allowed<scope::EventRead>,
    listing: Listing<InboundId, InboundParams>,
) -> Result<Json<List<InboundDocument>>, Problem> {
    let InboundParams { status, kind, connection } = listing.filter;
    let filter = InboundFilter { status: status.as_ref().map(word), kind, connection };
    let listed = api.engine.store.list_inbound(caller.whose(), &filter, listing.page).await?;
    Ok(Json(List::new(listed.map(InboundDocument::from), listing.page)))
}

/// Shows an event, its body, and its trace.
#[utoipa::path(get, path = "/v1/inbound-events/{id}", tag = "inbound events", operation_id = "get_inbound_event",
    params(("id" = String, Path)), security(("api_key" = ["event:read"])),
    responses((status = 200, body = InboundDetail)))]
pub(crate) async fn get(
    State(api): State<Api>,
    caller: Allowed<scope::EventRead>,
    Id(id): Id<InboundId>,
) -> Result<Json<InboundDetail>, Problem> {
    let whose = caller.whose();
    let event = api.engine.store.inbound_event(whose, id).await?;
    let event = event.ok_or_else(|| Problem::not_found(id))?;
    let trace = Trace::new(api.engine.trace(&event).await?, whose);
    let body = api.engine.shown_body(&event).await?;
    let call = Call::of(&event).map(CallDocument::from);
    Ok(Json(InboundDetail { event: event.into(), body, call, trace }))
}

impl Trace {
    fn new(trace: engine::inbound::Trace, whose: Whose) -> Self {
        Self {
            asks: trace.asks.into_iter().map(|request| request.path).collect(),
            answers: trace.answers.into_iter().map(KeptAnswer::from).collect(),
            facts: trace.facts.iter().map(FactDocument::from).collect(),
            orders: trace.orders.iter().map(ToString::to_string).collect(),
            changes: trace.changes.into_iter().map(|row| AuditDocument::new(row, whose)).collect(),
            attention: trace.attention.into_iter().map(AttentionDocument::new).collect(),
        }
    }
}

impl From<Answer> for KeptAnswer {
    fn from(answer: Answer) -> Self {
        let Answer { request, asked_at, status, body } = answer;
        Self { path: request.path, asked_at, status, bytes: body.len() }
    }
}

/// How to play an event again.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplayBody {
    /// Whether what was looked up is forgotten and looked up anew.
    #[serde(default)]
    fresh: bool,
    /// Why, for the audit log.
    #[serde(default)]
    #[schema(max_length = 1000)]
    note: Option<String>,
}

/// Has an event worked on again, whatever became of it. It says the same as before and so changes nothing that it
/// changed before; what kept it from being done may be gone.
#[utoipa::path(post, path = "/v1/inbound-events/{id}/replay", tag = "inbound events",
    operation_id = "replay_inbound_event", params(("id" = String, Path)), request_body = Option<ReplayBody>,
    security(("api_key" = ["event:write"])), responses((status = 200, body = InboundDocument)))]
pub(crate) async fn replay(
    State(api): State<Api>,
    caller: Allowed<scope::EventWrite>,
    Id(id): Id<InboundId>,
    MaybeBody(body): MaybeBody<ReplayBody>,
) -> Result<Json<InboundDocument>, Problem> {
    let whose = caller.whose();
    let event = api.engine.replay(whose, id, body.fresh, &caller.by(note(body.note)?)).await?;
    Ok(Json(event.ok_or_else(|| Problem::not_found(id))?.into()))
}

/// Why an event is set aside.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IgnoreBody {
    /// Why. It stands with the event and in the audit log.
    #[schema(max_length = 1000, example = "a trial of ours, sent with the live secret")]
    note: String,
    /// Whether it is meant that a buyer who paid gets nothing for it. Without it, an event that tells of a payment that nothing
    /// else has told of, or that nobody can read, is not set aside.
    #[serde(default)]
    give_up_sale: bool,
}

/// Sets an event aside that is held, or whose look-ups fail: nobody works on it, and its attention item closes. A replay
/// undoes it.
#[utoipa::path(post, path = "/v1/inbound-events/{id}/ignore", tag = "inbound events",
    operation_id = "ignore_inbound_event", params(("id" = String, Path)), request_body = IgnoreBody,
    security(("api_key" = ["event:write"])), responses((status = 200, body = InboundDocument)))]
pub(crate) async fn ignore(
    State(api): State<Api>,
    caller: Allowed<scope::EventWrite>,
    Id(id): Id<InboundId>,
    Body(body): Body<IgnoreBody>,
) -> Result<Json<InboundDocument>, Problem> {
    let by = caller.by(note(Some(body.note))?);
    let event = api.engine.ignore(caller.whose(), id, body.give_up_sale, &by).await?;
    Ok(Json(event.ok_or_else(|| Problem::not_found(id))?.into()))
}
