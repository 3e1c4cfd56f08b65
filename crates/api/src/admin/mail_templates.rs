//! What vendors write for their mails. Templates belong to both modes.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use delivery::{
    MailError, Rendered,
    mail::{Language, Look, LookError, OwnTemplate, look_over},
};
use domain::{
    id::{LicenseId, MailTemplateId, ProductId},
    mail::MailKind,
};
use engine::{
    api_keys::Scope,
    mail_templates::{MailOf, OwnParts, TemplateChange},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::rows::{MailTemplate, Product};
use utoipa::{IntoParams, ToSchema};

use super::instant;
use crate::{
    Api,
    caller::{Allowed, scope},
    page::{List, Listable, Listing, PageParams},
    problem::{Code, Problem, sentence},
    read::{Body, Params},
};

/// A version of what a vendor wrote for a mail: the parts that it replaces.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MailTemplate)]
pub(crate) struct TemplateDocument {
    #[schema(example = "mtl_01kag0000000000000000000000")]
    id: String,
    /// Always none: templates belong to both modes.
    livemode: Option<bool>,
    /// Which mail.
    #[schema(example = "license-delivery")]
    kind: String,
    /// The code of its product; none: all products that have none of their own.
    product: Option<String>,
    /// The language's code.
    #[schema(example = "en")]
    language: String,
    /// From 1.
    version: i32,
    /// Whether it is the one that counts.
    active: bool,
    #[serde(flatten)]
    parts: PartsBody,
    /// Who saved it.
    actor: String,
    created_at: Timestamp,
}

impl Listable for TemplateDocument {
    fn id(&self) -> &str {
        &self.id
    }
}

impl TemplateDocument {
    fn new(row: MailTemplate, products: &[Product]) -> Self {
        let product = products.iter().find(|product| product.id == row.product_id);
        let gone = || (!row.product_id.is_nil()).then(|| ProductId(row.product_id).to_string());
        Self {
            id: MailTemplateId(row.id).to_string(),
            livemode: None,
            product: product.map(|product| product.code.clone()).or_else(gone),
            kind: row.kind,
            language: row.language,
            version: row.version,
            active: row.active,
            parts: PartsBody { subject: row.subject, intro: row.intro, text: row.body_text, html: row.body_html },
            actor: row.actor,
            created_at: instant(row.created_at),
        }
    }
}

/// The parts of a mail that are replaced. What is left out is as it is built in.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MailTemplateParts)]
pub(crate) struct PartsBody {
    /// The subject, which is also the heading.
    #[serde(default)]
    #[schema(example = "Your License Key is Ready")]
    subject: Option<String>,
    /// The first sentences of the built-in body.
    #[serde(default)]
    intro: Option<String>,
    /// The whole text.
    #[serde(default)]
    text: Option<String>,
    /// The whole HTML.
    #[serde(default)]
    html: Option<String>,
}

impl PartsBody {
    fn own(&self) -> OwnTemplate {
        OwnTemplate {
            subject: self.subject.clone(),
            intro: self.intro.clone(),
            text: self.text.clone(),
            html: self.html.clone(),
        }
    }

    /// Looks whether it works.
    async fn checked(&self, kind: MailKind) -> Result<(), Problem> {
        let wrong = look_over(kind, self.own()).await.into_iter().next();
        wrong.map_or(Ok(()), |error| Err(Problem::invalid(sentence(&error)).of(error.part)))
    }
}

/// Which mail's.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TemplateParams {
    /// The code of its product; left out: all products that have none of their own.
    product: Option<String>,
    /// The language's code; left out: `en`.
    language: Option<String>,
}

/// Which templates.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TemplatesParams {
    /// For this mail, such as `license-delivery`.
    kind: Option<String>,
    /// Whether only those that count.
    active: Option<bool>,
}

/// Lists all versions.
#[utoipa::path(get, path = "/v1/mail-templates", tag = "mails", operation_id = "list_mail_templates",
    params(PageParams, TemplatesParams), security(("api_key" = ["mail:read"])),
    responses((status = 200, body = List<TemplateDocument>)))]
pub(crate) async fn list(
    State(api): State<Api>,
    caller: Allowed<scope::MailRead>,
    listing: Listing<MailTemplateId, TemplatesParams>,
) -> Result<Json<List<TemplateDocument>>, Problem> {
    let tenant = caller.identity.tenant;
    let products = api.engine.store.products(tenant).await?;
    let mut rows = api.engine.store.mail_templates(tenant).await?;
    let TemplatesParams { kind, active } = listing.filter;
    rows.retain(|row| kind.as_ref().is_none_or(|kind| *kind == row.kind));
    rows.retain(|row| active.is_none_or(|active| active == row.active));
    let listed = listing.page.of(rows, |row| row.id).map(|row| TemplateDocument::new(row, &products));
    Ok(Json(List::new(listed, listing.page)))
}

/// Saves a new version for a mail, which counts from now on. It is looked at before: it must parse, use names that there are,
/// and run nothing; a mail that delivers a key must show it in its text and in its HTML.
#[utoipa::path(put, path = "/v1/mail-templates/{kind}", tag = "mails", operation_id = "save_mail_template",
    params(("kind" = String, Path), TemplateParams), request_body = PartsBody, security(("api_key" = ["mail:write"])),
    responses((status = 200, body = TemplateDocument)))]
pub(crate) async fn save(
    State(api): State<Api>,
    caller: Allowed<scope::MailWrite>,
    Path(kind): Path<String>,
    Params(which): Params<TemplateParams>,
    Body(body): Body<PartsBody>,
) -> Result<Json<TemplateDocument>, Problem> {
    let (of, products) = mail_of(&api, &caller, &kind, &which).await?;
    body.checked(of.kind).await?;
    let PartsBody { subject, intro, text, html } = body;
    let change = TemplateChange::Save(OwnParts { subject, intro, text, html });
    changed(&api, &caller, &of, &change, &products).await
}

/// Has a mail be as it is built in. The versions stay, and can be restored. Doing it twice changes nothing.
#[utoipa::path(delete, path = "/v1/mail-templates/{kind}", tag = "mails", operation_id = "remove_mail_template",
    params(("kind" = String, Path), TemplateParams), security(("api_key" = ["mail:write"])),
    responses((status = 204)))]
pub(crate) async fn remove(
    State(api): State<Api>,
    caller: Allowed<scope::MailWrite>,
    Path(kind): Path<String>,
    Params(which): Params<TemplateParams>,
) -> Result<StatusCode, Problem> {
    let (of, _) = mail_of(&api, &caller, &kind, &which).await?;
    let tenant = caller.identity.tenant;
    api.engine.change_mail_template(tenant, &of, &TemplateChange::Remove, &caller.by(None)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which version is to count again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RestoreBody {
    #[schema(minimum = 1)]
    version: i32,
}

/// Has an earlier version of a mail's template count again.
#[utoipa::path(post, path = "/v1/mail-templates/{kind}/restore", tag = "mails", operation_id = "restore_mail_template",
    params(("kind" = String, Path), TemplateParams), request_body = RestoreBody,
    security(("api_key" = ["mail:write"])), responses((status = 200, body = TemplateDocument)))]
pub(crate) async fn restore(
    State(api): State<Api>,
    caller: Allowed<scope::MailWrite>,
    Path(kind): Path<String>,
    Params(which): Params<TemplateParams>,
    Body(body): Body<RestoreBody>,
) -> Result<Json<TemplateDocument>, Problem> {
    let (of, products) = mail_of(&api, &caller, &kind, &which).await?;
    changed(&api, &caller, &of, &TemplateChange::Restore(body.version), &products).await
}

async fn changed(
    api: &Api,
    caller: &Allowed<scope::MailWrite>,
    of: &MailOf,
    change: &TemplateChange,
    products: &[Product],
) -> Result<Json<TemplateDocument>, Problem> {
    let row = api.engine.change_mail_template(caller.identity.tenant, of, change, &caller.by(None)).await?;
    let row = row.ok_or_else(|| Problem::new(Code::NotFound, "There is no such version of this mail's template."))?;
    Ok(Json(TemplateDocument::new(row, products)))
}

async fn mail_of<S>(
    api: &Api,
    caller: &Allowed<S>,
    kind: &str,
    which: &TemplateParams,
) -> Result<(MailOf, Vec<Product>), Problem> {
    let kind = kind_of(kind)?;
    let language = language_of(which.language.as_deref())?.unwrap_or_default();
    let products = api.engine.store.products(caller.identity.tenant).await?;
    let product = which.product.as_deref().map(|code| product_of(&products, code)).transpose()?;
    let product = product.map(|product| product.id);
    Ok((MailOf { kind, language: language.code(), product }, products))
}

fn kind_of(text: &str) -> Result<MailKind, Problem> {
    text.parse().map_err(|error: domain::mail::UnknownMail| Problem::new(Code::NotFound, sentence(&error)))
}

fn language_of(text: Option<&str>) -> Result<Option<Language>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let language = Language::parse(text).ok_or_else(|| {
        let known: Vec<&str> = Language::ALL.iter().map(|language| language.code()).collect();
        let detail = format!("Mails are not written in `{text}`; there are `{}`.", known.join("`, `"));
        Problem::invalid(detail).of("language")
    });
    language.map(Some)
}

fn product_of<'a>(products: &'a [Product], code: &str) -> Result<&'a Product, Problem> {
    let found = products.iter().find(|product| product.code == code);
    found.ok_or_else(|| no_product(code))
}

fn no_product(code: &str) -> Problem {
    Problem::invalid(format!("There is no product `{code}`.")).of("product")
}

/// What is to be looked at.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PreviewBody {
    /// The code of the product whose brand it has; left out: the first one's, or the license's.
    #[serde(default)]
    product: Option<String>,
    /// The language's code; left out: the brand's.
    #[serde(default)]
    language: Option<String>,
    /// What is not saved yet; left out: what is saved, or built in.
    #[serde(default)]
    template: Option<PartsBody>,
    /// A license that the mail is about; left out: an example.
    #[serde(default)]
    license: Option<String>,
    /// Whether the key of that license is shown in full, which needs the scope `admin`.
    #[serde(default)]
    reveal_key: bool,
}

/// A mail as its reader would see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MailPreview)]
pub(crate) struct PreviewDocument {
    /// From whom; none: neither the product's brand nor the installation has a sender.
    from: Option<String>,
    reply_to: Option<String>,
    subject: String,
    text: String,
    html: String,
}

impl From<Rendered> for PreviewDocument {
    fn from(rendered: Rendered) -> Self {
        let Rendered { from, reply_to, subject, text, html, .. } = rendered;
        Self { from, reply_to, subject, text, html }
    }
}

/// Shows a mail, with an example or about a license that there is. Nothing is sent.
#[utoipa::path(post, path = "/v1/mail-templates/{kind}/preview", tag = "mails", operation_id = "preview_mail",
    params(("kind" = String, Path)), request_body = PreviewBody, security(("api_key" = ["mail:read"])),
    responses((status = 200, body = PreviewDocument)))]
pub(crate) async fn preview(
    State(api): State<Api>,
    caller: Allowed<scope::MailRead>,
    Path(kind): Path<String>,
    Body(body): Body<PreviewBody>,
) -> Result<Json<PreviewDocument>, Problem> {
    let (kind, language) = (kind_of(&kind)?, language_of(body.language.as_deref())?);
    if let Some(template) = &body.template {
        template.checked(kind).await?;
    }
    if body.reveal_key && body.license.is_some() && !caller.identity.may(Scope::Admin) {
        return Err(Problem::new(Code::Forbidden, "Only an API key with the scope `admin` sees license keys in full."));
    }
    let license = |text: &String| text.parse::<LicenseId>().map_err(|_| Problem::not_found(text));
    let ring = body.reveal_key.then(|| api.engine.ring());
    let look = Look {
        kind,
        language,
        product: body.product.as_deref(),
        own: body.template.as_ref().map(PartsBody::own),
        license: body.license.as_ref().map(license).transpose()?,
        ring: ring.as_deref(),
    };
    let rendered = look.render(&api.engine.store, caller.whose(), api.sender.as_ref(), api.engine.now()).await;
    Ok(Json(rendered.map_err(unseen)?.into()))
}

fn unseen(error: LookError) -> Problem {
    match error {
        LookError::Product(code) => no_product(&code),
        LookError::License(license) => Problem::not_found(license),
        LookError::Mail(error) => unwritten(error),
    }
}

fn unwritten(error: MailError) -> Problem {
    match error {
        MailError::Superseded => Problem::new(
            Code::Conflict,
            "That is not so for this license now, so the mail would not be sent. Leave `license` out to see an example.",
        ),
        MailError::Store(error) => error.into(),
        error => Problem::new(Code::Conflict, sentence(&error)),
    }
}
