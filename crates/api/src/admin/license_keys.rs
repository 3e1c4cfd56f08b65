//! The key of a license: another one, for its holder or for somebody else.

use axum::{Json, extract::State};
use domain::{id::LicenseId, order::Contact, text::EmailAddress};
use engine::key_change::{KeyChange, KeyChangeError, NewKey, OVERLAP_HOURS_MAX};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::lists::Whose;
use utoipa::ToSchema;

use super::{
    licenses::{LicenseDocument, document},
    note,
    rulings::Ruler,
};
use crate::{
    Api,
    problem::{Code, Problem, sentence},
    read::{Body, Id, MaybeBody},
};

/// How a key is changed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateKeyBody {
    /// For so many hours the keys before go on opening the license; unless said otherwise they stop at once.
    #[serde(default)]
    #[schema(maximum = 720)]
    overlap_hours: u32,
    /// Whether the buyer is mailed the new key. They are unless said otherwise, or unless you deliver the keys of its plan.
    #[serde(default = "yes")]
    send_email: bool,
    /// Why, for the audit log.
    #[serde(default)]
    #[schema(max_length = 1000)]
    note: Option<String>,
}

const fn yes() -> bool {
    true
}

impl Default for RotateKeyBody {
    fn default() -> Self {
        Self { overlap_hours: 0, send_email: true, note: None }
    }
}

/// A license with its new key. This is the one time that the API shows it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NewKey)]
pub(crate) struct NewKeyDocument {
    /// Opens the license from now on.
    #[schema(example = "ACME-7F3K-9XYM-4N2A-Q7C9")]
    key: String,
    /// Whether a mail brings it to the buyer.
    mailed: bool,
    /// From when on the keys before open nothing.
    old_keys_open_until: Timestamp,
    license: LicenseDocument,
}

impl NewKeyDocument {
    async fn new(api: &Api, whose: Whose, new: NewKey) -> Result<Self, Problem> {
        Ok(Self {
            key: new.key.reveal().to_owned(),
            mailed: new.is_mailed,
            old_keys_open_until: new.others_close_at,
            license: document(api, whose, new.license).await?,
        })
    }
}

impl From<KeyChangeError> for Problem {
    fn from(error: KeyChangeError) -> Self {
        match error {
            KeyChangeError::Superseded(_) | KeyChangeError::NoKey => Self::new(Code::Conflict, sentence(&error)),
            KeyChangeError::TooLong => {
                Self::invalid(format!("`overlap_hours` is {OVERLAP_HOURS_MAX} at most.")).of("overlap_hours")
            }
            KeyChangeError::Engine(error) => error.into(),
        }
    }
}

/// Gives a license another key. The keys that open it now stop at once, or after some hours; devices keep their places, and
/// their leases until these end.
#[utoipa::path(post, path = "/v1/licenses/{id}/rotate-key", tag = "licenses", operation_id = "rotate_key_of_license",
    params(("id" = String, Path)), request_body = Option<RotateKeyBody>, security(("api_key" = ["license:write"])),
    responses((status = 200, body = NewKeyDocument)))]
pub(crate) async fn rotate_key(
    State(api): State<Api>,
    caller: Ruler,
    Id(id): Id<LicenseId>,
    MaybeBody(body): MaybeBody<RotateKeyBody>,
) -> Result<Json<NewKeyDocument>, Problem> {
    let (whose, by) = (caller.whose(), caller.by(note(body.note)?));
    api.engine.store.listed_license(whose, id).await?.ok_or_else(|| Problem::not_found(id))?;
    let change = KeyChange { overlap_hours: body.overlap_hours, is_mailed: body.send_email };
    let made = api.engine.change_key(whose.tenant, id, change, &by).await?;
    NewKeyDocument::new(&api, whose, made.ok_or_else(|| Problem::not_found(id))?).await.map(Json)
}

/// Who gets it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TransferBody {
    /// The address of the new holder.
    #[schema(example = "bob@example.com")]
    email: String,
    /// Their name.
    #[serde(default)]
    name: Option<String>,
    /// Why, for the audit log.
    #[serde(default)]
    #[schema(max_length = 1000)]
    note: Option<String>,
}

/// What was handed over.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Transferred)]
pub(crate) struct TransferredDocument {
    /// All licenses of the order, each with its new key.
    data: Vec<NewKeyDocument>,
}

/// Hands a license over to somebody else. The address is its order's, so that all licenses of the order go together: each gets
/// another key, which the new holder is mailed; the keys before stop at once, and all devices are freed.
#[utoipa::path(post, path = "/v1/licenses/{id}/transfer", tag = "licenses", operation_id = "transfer_license",
    params(("id" = String, Path)), request_body = TransferBody, security(("api_key" = ["license:write"])),
    responses((status = 200, body = TransferredDocument)))]
pub(crate) async fn transfer(
    State(api): State<Api>,
    caller: Ruler,
    Id(id): Id<LicenseId>,
    Body(body): Body<TransferBody>,
) -> Result<Json<TransferredDocument>, Problem> {
    let (whose, by) = (caller.whose(), caller.by(note(body.note)?));
    let email = EmailAddress::parse(&body.email);
    let email = email.map_err(|error| Problem::invalid(format!("`email`: {error}.")).of("email"))?;
    api.engine.store.listed_license(whose, id).await?.ok_or_else(|| Problem::not_found(id))?;
    let to = Contact { email, name: body.name.map(Into::into) };
    let made = api.engine.transfer(whose.tenant, id, &to, &by).await?.ok_or_else(|| Problem::not_found(id))?;
    let mut data = Vec::with_capacity(made.len());
    for new in made {
        data.push(NewKeyDocument::new(&api, whose, new).await?);
    }
    Ok(Json(TransferredDocument { data }))
}
