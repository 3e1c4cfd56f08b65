//! The mail catcher: every mail as a buyer gets it, and how far it has come.

use askama::Template;
use axum::{
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use delivery::{MailError, Rendered};
use domain::id::{MailId, TenantId};
use engine::{api_keys::Scope, tenants::DEFAULT_TENANT};
use jiff::Timestamp;
use store::rows::Mail;

use crate::Web;

/// Mails on the page at most.
const SHOWN_MAX: u64 = 100;

#[derive(Template)]
#[template(path = "mails.html")]
struct MailsPage {
    mails: Vec<MailRow>,
}

struct MailRow {
    id: String,
    recipient: String,
    kind: String,
    status: String,
    at: String,
    response: String,
}

#[derive(Template)]
#[template(path = "mail.html")]
struct MailPage {
    row: MailRow,
    subject: String,
    from: String,
    text: String,
}

/// A page that cannot be shown.
pub(crate) enum Refused {
    /// Nobody may read mails without a key.
    Unauthenticated,
    /// There is no such mail.
    NotFound,
    /// What the mail tells is not so any more, and nobody kept what it said.
    NotSo,
    /// The database does not answer, or the mail cannot be rendered.
    Failed(String),
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::Unauthenticated => {
                let challenge =
                    HeaderValue::from_static("Basic realm=\"an API key with the scope admin, as password\"");
                (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)], "An API key is needed.")
                    .into_response()
            }
            Self::NotFound => (StatusCode::NOT_FOUND, "There is no such mail.").into_response(),
            Self::NotSo => {
                let words = "What this mail tells is not so any more, so it would not be sent now.";
                (StatusCode::GONE, words).into_response()
            }
            Self::Failed(problem) => {
                tracing::error!(%problem, "a page failed");
                (StatusCode::SERVICE_UNAVAILABLE, "This page cannot be shown right now.").into_response()
            }
        }
    }
}

/// `GET /dev/mail`.
pub(crate) async fn list(State(web): State<Web>, headers: HeaderMap) -> Result<Response, Refused> {
    let tenant = web.reader(&headers).await?;
    let mails = web.engine.store.mails(tenant.0, SHOWN_MAX).await.map_err(failed)?;
    page(&MailsPage { mails: mails.iter().map(row).collect() })
}

/// `GET /dev/mail/{id}`.
pub(crate) async fn show(
    State(web): State<Web>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let mail = web.mail(&id, &headers).await?;
    let rendered = web.render(&mail).await?;
    page(&MailPage {
        row: row(&mail),
        subject: rendered.subject,
        from: rendered.from.unwrap_or_default(),
        text: rendered.text,
    })
}

/// `GET /dev/mail/{id}/html`: the HTML part alone, in a sandbox of its own.
pub(crate) async fn html(
    State(web): State<Web>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let mail = web.mail(&id, &headers).await?;
    let rendered = web.render(&mail).await?;
    let policy = HeaderValue::from_static("sandbox; default-src 'none'; style-src 'unsafe-inline'");
    Ok(([(header::CONTENT_SECURITY_POLICY, policy)], Html(rendered.html)).into_response())
}

impl Web {
    /// Whose mails may be read.
    async fn reader(&self, headers: &HeaderMap) -> Result<TenantId, Refused> {
        if self.open {
            let tenant = self.engine.tenant(DEFAULT_TENANT).await.map_err(failed)?;
            return tenant.ok_or(Refused::NotFound);
        }
        let key = api_key(headers).ok_or(Refused::Unauthenticated)?;
        let identity = self.engine.authenticate(&key).await.map_err(failed)?;
        let admin = identity.filter(|identity| identity.may(Scope::Admin));
        admin.map(|identity| identity.tenant).ok_or(Refused::Unauthenticated)
    }

    async fn render(&self, mail: &Mail) -> Result<Rendered, Refused> {
        let ring = self.ring.get();
        let rendered = delivery::render_mail(&self.engine.store, &ring, mail, self.mail_from()).await;
        rendered.map_err(|error| match error {
            MailError::Superseded => Refused::NotSo,
            error => failed(error),
        })
    }

    async fn mail(&self, id: &str, headers: &HeaderMap) -> Result<Mail, Refused> {
        let tenant = self.reader(headers).await?;
        let id: MailId = id.parse().map_err(|_| Refused::NotFound)?;
        let mail = self.engine.store.mail(id).await.map_err(failed)?;
        mail.filter(|mail| mail.tenant_id == tenant.0).ok_or(Refused::NotFound)
    }
}

/// The API key of `Authorization: Bearer`, or the password that a browser asked for.
fn api_key(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    if let Some(key) = value.strip_prefix("Bearer ") {
        return Some(key.trim().to_owned());
    }
    let pair = String::from_utf8(STANDARD.decode(value.strip_prefix("Basic ")?).ok()?).ok()?;
    pair.split_once(':').map(|(_, password)| password.to_owned())
}

fn page(template: &impl Template) -> Result<Response, Refused> {
    let text = template.render().map_err(failed)?;
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'");
    Ok(([(header::CONTENT_SECURITY_POLICY, policy)], Html(text)).into_response())
}

fn row(mail: &Mail) -> MailRow {
    let at = Timestamp::from_microsecond(mail.created_at).unwrap_or_default();
    MailRow {
        id: MailId(mail.id).to_string(),
        recipient: mail.recipient.clone(),
        kind: mail.kind.clone(),
        status: mail.status.clone(),
        at: at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        response: mail.response.clone().unwrap_or_default(),
    }
}

fn failed(error: impl std::fmt::Display) -> Refused {
    Refused::Failed(error.to_string())
}
