//! Requests and answers as data: the shell sends them, adds the credential, and keeps the answers with the event.

use std::fmt::{self, Write as _};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A call to the provider. The shell puts the connection's API base in front and its key in the header.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Request {
    /// Path and query, starting with a slash.
    pub path: String,
    /// What is sent; none for a look-up. It is never kept: it may have a license key in it.
    #[serde(skip)]
    pub post: Option<Post>,
}

impl Request {
    /// A look-up.
    #[must_use]
    pub fn get(path: impl Into<String>) -> Self {
        Self { path: path.into(), post: None }
    }

    /// The same call after so many refusals: each makes it another to its provider.
    #[must_use]
    pub fn after_refusals(mut self, refusals: u32) -> Self {
        let key = self.post.as_mut().and_then(|post| post.idempotency_key.as_mut());
        if let Some(key) = key.filter(|_| refusals > 0) {
            key.push_str(&format!("-{refusals}"));
        }
        self
    }

    /// A call that changes something.
    #[must_use]
    pub fn post(path: impl Into<String>, post: Post) -> Self {
        Self { path: path.into(), post: Some(post) }
    }
}

/// Whether an answer with this status says that nothing was done, for good. A provider may keep such an answer with the
/// idempotency key for a day (Stripe does, once it has begun to work on the call), so whoever asks again asks under
/// another. Of every other answer, as of none, it is not known what was done: it is asked again under the same.
#[must_use]
pub const fn is_refusal(status: u16) -> bool {
    matches!(status, 400..=499) && !matches!(status, 408 | 409 | 425 | 429)
}

/// What a call that changes something sends.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Post {
    /// What it says.
    pub content: Content,
    /// Makes two calls with the same key one: a call whose answer was lost is sent again with it.
    pub idempotency_key: Option<String>,
}

/// What a call says, in the form that the provider reads. `Debug` shows no value of it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Content {
    /// Fields, in this order. Names may have brackets.
    Form(Vec<(String, String)>),
    /// A document.
    Json(String),
}

impl Content {
    /// The media type of [`Content::body`].
    #[must_use]
    pub const fn media_type(&self) -> &'static str {
        match self {
            Self::Form(_) => "application/x-www-form-urlencoded",
            Self::Json(_) => "application/json",
        }
    }

    /// The bytes that are sent. The brackets of names stay as they are, as the providers' own SDKs send them.
    #[must_use]
    pub fn body(&self) -> String {
        match self {
            Self::Form(fields) => {
                let fields = fields.iter().map(|(name, value)| {
                    let name = percent_encoded(name).replace("%5B", "[").replace("%5D", "]");
                    format!("{name}={}", percent_encoded(value))
                });
                fields.collect::<Vec<_>>().join("&")
            }
            Self::Json(document) => document.clone(),
        }
    }
}

impl Default for Content {
    fn default() -> Self {
        Self::Form(Vec::new())
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form(fields) => f.debug_list().entries(fields.iter().map(|(name, _)| name)).finish(),
            Self::Json(_) => f.write_str("Json"),
        }
    }
}

/// A text as a part of a path, of a query or of a form.
#[must_use]
pub fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// What the provider said. Kept with the event, so that a replay is deterministic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// What was asked.
    pub request: Request,
    /// When the question was put: the moment for which the answer holds.
    #[serde(with = "domain::time::micros")]
    pub asked_at: Timestamp,
    /// The status. Only final ones are kept: 2xx, 401, 403, 404 and other refusals; the shell repeats the rest.
    pub status: u16,
    /// The document.
    pub body: String,
}

impl Answer {
    /// Whether it says that the key may not ask this: it tells of the key, and nothing of what was asked for.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(self.status, 401 | 403)
    }
}

/// What goes back to the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The status.
    pub status: u16,
    /// The media type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

impl HttpAnswer {
    /// A JSON body.
    #[must_use]
    pub fn json(status: u16, body: impl Into<String>) -> Self {
        Self { status, content_type: "application/json", body: body.into() }
    }

    /// A plain text.
    #[must_use]
    pub fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: body.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_stay_inside_their_part_of_the_path() {
        for (id, part) in [
            ("cs_test_a1-B2", "cs_test_a1-B2"),
            ("../v1/x?y=z&a#b", "..%2Fv1%2Fx%3Fy%3Dz%26a%23b"),
            ("é%", "%C3%A9%25"),
        ] {
            assert_eq!(percent_encoded(id), part);
        }
    }

    #[test]
    fn a_refusal_makes_the_next_try_another_call_and_a_lost_answer_does_not() {
        for (status, expected) in
            [(200, false), (400, true), (401, true), (403, true), (404, true), (409, false), (429, false), (500, false)]
        {
            assert_eq!(is_refusal(status), expected, "{status}");
        }
        let key_after = |refusals| {
            let post = Post { idempotency_key: Some("price-1".to_owned()), ..Post::default() };
            Request::post("/v1/prices", post).after_refusals(refusals).post.and_then(|post| post.idempotency_key)
        };
        assert_eq!([0, 1, 2].map(key_after), ["price-1", "price-1-1", "price-1-2"].map(|key| Some(key.to_owned())));
        assert_eq!(Request::get("/v1/prices").after_refusals(1), Request::get("/v1/prices"));
    }

    #[test]
    fn a_look_up_is_kept_as_it_always_was() {
        let kept = r#"{"path":"/v1/subscriptions/sub_1"}"#;
        let look_up = Request::get("/v1/subscriptions/sub_1");
        assert_eq!(serde_json::to_string(&look_up).expect("it has a JSON form"), kept);
        assert_eq!(serde_json::from_str::<Request>(kept).expect("it reads"), look_up);
    }

    #[test]
    fn what_is_sent_is_neither_kept_nor_shown() {
        let form = vec![("metadata[lic_1]".into(), "KEY-SECRET".into()), ("a b".into(), "ü&=".into())];
        for (content, body, media_type) in [
            (Content::Form(form), "metadata[lic_1]=KEY-SECRET&a%20b=%C3%BC%26%3D", "application/x-www-form-urlencoded"),
            (Content::Json(r#"{"key":"KEY-SECRET"}"#.into()), r#"{"key":"KEY-SECRET"}"#, "application/json"),
        ] {
            let call = Request::post("/v1/customers/cus_1", Post { content, idempotency_key: Some("once".into()) });
            let post = call.post.as_ref().expect("a call that changes something");
            assert_eq!((post.content.body().as_str(), post.content.media_type()), (body, media_type));
            for shown in [format!("{call:?}"), serde_json::to_string(&call).expect("it has a JSON form")] {
                assert!(!shown.contains("SECRET"), "{shown}");
            }
        }
        assert_eq!(Post::default().content.body(), "");
    }
}
