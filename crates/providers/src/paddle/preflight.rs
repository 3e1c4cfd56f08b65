//! Which permissions a key lacks.
//!
//! Paddle answers 403 with `forbidden` to a key that may not, so one entry of each list that is needed is asked for. A key
//! that Paddle does not know gets 403, too, with another code. That a key may write is not asked: nothing shows it without
//! writing, and the call itself says it.

use serde::Deserialize;

use crate::{
    Level,
    calls::{KeyCheck, MissingPermission, Uses},
    http::{Answer, Request},
    read,
};

/// The permission to read events, as Paddle's form names it.
pub(super) const NOTIFICATIONS: &str = "Notifications: read";

/// A permission, and a question that shows whether a key has it.
struct Permission {
    code: &'static str,
    name: &'static str,
    path: &'static str,
    without: &'static str,
}

const PERMISSIONS: [Permission; 2] = [
    Permission {
        code: "customer.read",
        name: "Customers: read",
        path: "/customers?per_page=1",
        without: "a buyer is known only once an event of their own comes; keys of others are not mailed",
    },
    Permission {
        code: "notification.read",
        name: NOTIFICATIONS,
        path: "/events?per_page=1",
        without: "webhooks that were lost are not caught up",
    },
];

/// Where keys are made.
const FORMS: [&str; 2] =
    ["https://sandbox-vendors.paddle.com/authentication-v2", "https://vendors.paddle.com/authentication-v2"];

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Refusal {
    #[serde(deserialize_with = "read::object")]
    error: Option<Reason>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reason {
    #[serde(deserialize_with = "read::text")]
    code: Option<String>,
    #[serde(deserialize_with = "read::text")]
    detail: Option<String>,
}

fn reason(body: &str) -> Reason {
    serde_json::from_str::<Refusal>(body).ok().and_then(|refusal| refusal.error).unwrap_or_default()
}

/// What Paddle says of a refusal.
pub(super) fn detail(body: &str) -> Option<String> {
    reason(body).detail
}

/// Any level looks up the same: Paddle's own times order its events, so nothing has to be looked at again.
pub(super) fn questions(uses: Uses) -> Vec<Request> {
    let needed = PERMISSIONS.iter().filter(|_| uses.level != Level::None);
    needed.map(|permission| Request::get(permission.path)).collect()
}

pub(super) fn read(answers: &[Answer], live: bool) -> KeyCheck {
    let mut found = KeyCheck::default();
    for permission in &PERMISSIONS {
        let Some(answer) = answers.iter().find(|answer| answer.request.path == permission.path) else { continue };
        let Reason { code, detail } = reason(&answer.body);
        match (answer.status, code.as_deref()) {
            (401, _) | (403, Some("authentication_malformed" | "authentication_missing" | "invalid_token")) => {
                found.refused = Some(detail.unwrap_or_else(|| "it did not say why".to_owned()));
                return KeyCheck { missing: Vec::new(), ..found };
            }
            (403, _) => found.missing.push(MissingPermission {
                code: permission.code.to_owned(),
                name: permission.name.to_owned(),
                without: permission.without,
            }),
            _ => {}
        }
    }
    found.link = (!found.missing.is_empty()).then(|| FORMS[usize::from(live)].to_owned());
    found
}
