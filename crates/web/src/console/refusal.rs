//! Pages that are not shown, and why.

use std::borrow::Cow;

use askama::Template;
use axum::{
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};
use domain::member::Role;
use engine::{Error, members::MemberError};
use store::StoreError;

use super::browser::see_other;

/// Why a page is not shown.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Nobody is signed in; afterwards this page is wanted.
    SignIn(String),
    /// The vendor with this slug asks for its identity provider; afterwards this page is wanted.
    SignInAt(String, String),
    /// It is about an account that is kept here, and an identity provider let them in, which opens a vendor's pages alone.
    NoOwnAccount,
    /// Somebody has to prove once more who they are; afterwards this page is wanted.
    Confirm(String),
    /// The vendor's pages are for members with a second factor, and this one has none yet.
    SecondFactor,
    /// There is no such page, or it is somebody else's.
    NotFound,
    /// The role may not do this.
    Forbidden(Role),
    /// What was sent does not read.
    Unreadable(Cow<'static, str>),
    /// Another site's page asked for a change.
    Foreign,
    /// It would be shown over plain HTTP.
    Insecure,
    /// Too many tries; so many seconds have to pass.
    TooMany(u64),
    /// The database failed, or it is a fault of ours.
    Failed(String),
}

#[derive(Template)]
#[template(path = "console/refusal.html")]
struct RefusalPage {
    title: &'static str,
    text: String,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, title, text) = match self {
            Self::SignIn(next) => return see_other(&format!("/sign-in?next={}", encoded(&next))),
            Self::SignInAt(slug, next) => return see_other(&format!("/sign-in/{slug}?next={}", encoded(&next))),
            Self::Confirm(next) => return see_other(&format!("/confirm?next={}", encoded(&next))),
            Self::SecondFactor => return see_other("/account?said=second_factor"),
            Self::NotFound => {
                (StatusCode::NOT_FOUND, "Not here", "There is no such page, or it belongs to somebody else.".to_owned())
            }
            Self::Forbidden(role) => {
                let text = format!(
                    "Your role here is {role}, which may not do this. An owner or admin can change it under Team."
                );
                (StatusCode::FORBIDDEN, "Not for your role", text)
            }
            Self::NoOwnAccount => {
                let text = "You came in through an identity provider, which opens the pages of its vendor alone. Sign out, and \
                    sign in with a password of your own.";
                (StatusCode::FORBIDDEN, "Not for an account that is kept elsewhere", text.to_owned())
            }
            Self::Unreadable(what) => (StatusCode::BAD_REQUEST, "That does not read", what.into_owned()),
            Self::Foreign => {
                let text =
                    "Changes are made from the pages of this console only. Open it anew and try again.".to_owned();
                (StatusCode::FORBIDDEN, "Asked for by another site", text)
            }
            Self::Insecure => {
                let text = "Over plain HTTP anybody on the way could read along, so the console is shown by HTTPS, or on the \
                    machine itself. Put a proxy with a certificate in front of Keywright and start it with \
                    `--public-url https://…`; or open it through `ssh -L 8400:127.0.0.1:8400 HOST` at \
                    http://127.0.0.1:8400.";
                (StatusCode::FORBIDDEN, "The console needs HTTPS", text.to_owned())
            }
            Self::TooMany(seconds) => {
                let text = format!("Wait {seconds} seconds and try again.");
                (StatusCode::TOO_MANY_REQUESTS, "Too many tries", text)
            }
            Self::Failed(problem) => {
                tracing::error!(%problem, "a page failed");
                let text = "This page cannot be shown right now. Nothing was changed; what is wrong stands in the log.";
                (StatusCode::SERVICE_UNAVAILABLE, "Something is wrong here", text.to_owned())
            }
        };
        match (RefusalPage { title, text }).render() {
            Ok(page) => (status, Html(page)).into_response(),
            Err(_) => status.into_response(),
        }
    }
}

/// A text as a value in an address.
pub(crate) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<askama::Error> for Refusal {
    fn from(error: askama::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<MemberError> for Refusal {
    fn from(error: MemberError) -> Self {
        match error {
            MemberError::NoMember | MemberError::Link => Self::NotFound,
            other => Self::Failed(other.to_string()),
        }
    }
}
