//! Mails: what was written to buyers, how far it came, and what people do about it.

use axum::{Json, extract::State};
use domain::{
    id::{LicenseId, MailId, OrderId},
    mail::MailKind,
    order::Contact,
    text::EmailAddress,
};
use engine::rulings::OrderRuling;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::{
    lists::{MailFilter, Whose},
    outbox::status,
    rows::Mail,
};
use utoipa::{IntoParams, ToSchema};

use super::{NoteBody, instant, note, orders::OrderDocument};
use crate::{
    Api,
    caller::{Allowed, scope},
    page::{List, Listable, Listing, PageParams},
    problem::{Problem, sentence},
    read::{Body, Id, MaybeBody},
};

/// The longest name of a buyer that is kept, in characters.
const NAME_CHARACTERS_MAX: usize = 200;

/// A mail, without what it says: that is written anew whenever it is sent, so that its key is kept nowhere.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Mail)]
pub(crate) struct MailDocument {
    #[schema(example = "mail_01kag0000000000000000000000")]
    id: String,
    livemode: bool,
    /// Which mail.
    #[schema(example = "license-delivery")]
    kind: String,
    license: String,
    order: String,
    /// Where it goes.
    #[schema(example = "ada@example.com")]
    recipient: String,
    /// `pending`, `held`, `sent`, `failed`, or `superseded`: what it tells was not so any more.
    #[schema(example = "sent")]
    status: String,
    /// How often it was tried.
    attempts: i32,
    /// When it is tried next.
    next_attempt_at: Option<Timestamp>,
    /// What the relay said last, without the key and the address.
    response: Option<String>,
    created_at: Timestamp,
    sent_at: Option<Timestamp>,
}

impl Listable for MailDocument {
    fn id(&self) -> &str {
        &self.id
    }
}

impl MailDocument {
    fn new(row: Mail, whose: Whose) -> Self {
        Self {
            id: MailId(row.id).to_string(),
            livemode: whose.livemode,
            kind: row.kind,
            license: LicenseId(row.license_id).to_string(),
            order: OrderId(row.order_id).to_string(),
            recipient: row.recipient,
            status: row.status,
            attempts: row.attempts,
            next_attempt_at: row.next_attempt_at.map(instant),
            response: row.response,
            created_at: instant(row.created_at),
            sent_at: row.sent_at.map(instant),
        }
    }
}

/// Which mails.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct MailParams {
    /// About this license.
    #[param(value_type = Option<String>)]
    license: Option<LicenseId>,
    /// About licenses of this order.
    #[param(value_type = Option<String>)]
    order: Option<OrderId>,
    /// `pending`, `held`, `sent`, `failed` or `superseded`.
    status: Option<String>,
    /// Of this kind, such as `license-delivery`.
    kind: Option<String>,
}

impl MailParams {
    fn filter(self) -> Result<MailFilter, Problem> {
        let known = [status::PENDING, status::HELD, status::SENT, status::FAILED, status::SUPERSEDED];
        if let Some(unknown) = self.status.as_deref().filter(|status| !known.contains(status)) {
            let detail = format!("There is no status `{unknown}`; there are `{}`.", known.join("`, `"));
            return Err(Problem::invalid(detail).of("status"));
        }
        if let Some(kind) = &self.kind {
            kind.parse::<MailKind>().map_err(|error| Problem::invalid(sentence(&error)).of("kind"))?;
        }
        Ok(MailFilter {
            license: self.license,
            order: self.order,
            status: self.status,
            kind: self.kind,
            ..MailFilter::default()
        })
    }
}

/// Lists mails.
#[utoipa::path(get, path = "/v1/mails", tag = "mails", operation_id = "list_mails", params(PageParams, MailParams),
    security(("api_key" = ["mail:read"])), responses((status = 200, body = List<MailDocument>)))]
pub(crate) async fn list(
    State(api): State<Api>,
    caller: Allowed<scope::MailRead>,
    listing: Listing<MailId, MailParams>,
) -> Result<Json<List<MailDocument>>, Problem> {
    let whose = caller.whose();
    let listed = api.engine.store.list_mails(whose, &listing.filter.filter()?, listing.page).await?;
    Ok(Json(List::new(listed.map(|row| MailDocument::new(row, whose)), listing.page)))
}

/// Sends a mail once more, whatever became of it, with the Message-ID that it had. One that waits is tried at once.
#[utoipa::path(post, path = "/v1/mails/{id}/resend", tag = "mails", operation_id = "resend_mail",
    params(("id" = String, Path)), request_body = Option<NoteBody>, security(("api_key" = ["mail:write"])),
    responses((status = 200, body = MailDocument)))]
pub(crate) async fn resend(
    State(api): State<Api>,
    caller: Allowed<scope::MailWrite>,
    Id(id): Id<MailId>,
    MaybeBody(body): MaybeBody<NoteBody>,
) -> Result<Json<MailDocument>, Problem> {
    let whose = caller.whose();
    let sent = api.engine.resend_mail(whose, id, &caller.by(note(body.note)?)).await?;
    Ok(Json(MailDocument::new(sent.ok_or_else(|| Problem::not_found(id))?, whose)))
}

/// Where a sale's mails are to go.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Contact)]
pub(crate) struct ContactBody {
    /// The address.
    #[schema(max_length = 254, example = "ada@example.com")]
    email: String,
    /// What the buyer is called.
    #[serde(default)]
    #[schema(max_length = 200)]
    name: Option<String>,
    /// Whether the mails with the keys go out once more, though a relay has taken them.
    #[serde(default)]
    resend: bool,
    /// Why, for the audit log.
    #[serde(default)]
    #[schema(max_length = 1000)]
    note: Option<String>,
}

/// Has a sale's mails go to another address, whatever the provider says now or later. Mails that wait, or that were refused,
/// go there at once.
#[utoipa::path(post, path = "/v1/orders/{id}/contact", tag = "mails", operation_id = "correct_contact_of_order",
    params(("id" = String, Path)), request_body = ContactBody, security(("api_key" = ["mail:write"])),
    responses((status = 200, body = OrderDocument)))]
pub(crate) async fn contact(
    State(api): State<Api>,
    caller: Allowed<scope::MailWrite>,
    Id(id): Id<OrderId>,
    Body(body): Body<ContactBody>,
) -> Result<Json<OrderDocument>, Problem> {
    let (whose, by) = (caller.whose(), caller.by(note(body.note)?));
    let email = EmailAddress::parse(&body.email).map_err(|error| Problem::invalid(sentence(&error)).of("email"))?;
    if body.name.as_deref().is_some_and(|name| name.chars().count() > NAME_CHARACTERS_MAX) {
        let detail = format!("`name` has more than {NAME_CHARACTERS_MAX} characters.");
        return Err(Problem::invalid(detail).of("name"));
    }
    // Of the other mode, it is not this caller's.
    api.engine.store.order(whose, id).await?.ok_or_else(|| Problem::not_found(id))?;
    let to = Contact { email, name: body.name.map(Box::from) };
    let ruling = OrderRuling::Contact { to, again: body.resend };
    let ruled = api.engine.rule_order(whose.tenant, id, &ruling, &by).await?;
    Ok(Json(ruled.ok_or_else(|| Problem::not_found(id))?.into()))
}
