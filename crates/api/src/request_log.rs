//! What the request log is told of a call: never its body, and of its address the route and one id.
//!
//! Calls with an API key are all told. Apps are checked thousands of times a second, so that of theirs only those are told that
//! were refused or may not run.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, OnceLock},
};

use axum::{
    extract::{ConnectInfo, MatchedPath, Request},
    http::{Method, Uri, header},
    response::Response,
};
use domain::id::RequestId;
use engine::requests::{Answered, Caller};
use jiff::Timestamp;

/// The routes that apps call.
const OF_APPS: [&str; 3] = ["/v1/activate", "/v1/check", "/v1/deactivate"];

/// Where `authenticate` says who called, so that it is known even if the call takes too long.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallerSlot(Arc<OnceLock<Caller>>);

impl CallerSlot {
    /// Says who called, if anybody is known.
    pub(crate) fn fill(&self, caller: Option<Caller>) {
        if let Some(caller) = caller {
            // It is filled once, by the one layer that finds out.
            let _ = self.0.set(caller);
        }
    }
}

/// An app was told that it may not run, or that it asks too often. Goes along with the answer.
#[derive(Clone, Debug)]
pub(crate) struct Declined {
    /// Whose license or product it is about, as far as that is known.
    pub(crate) caller: Caller,
    /// The verdict; none: the answer is a problem document that has a code itself.
    pub(crate) code: Option<&'static str>,
}

/// What a refusal said.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    pub(crate) code: String,
    pub(crate) detail: String,
}

/// A call while it is not answered.
pub(crate) struct Asked {
    id: RequestId,
    received_at: Timestamp,
    method: Method,
    uri: Uri,
    route: Option<MatchedPath>,
    address: Option<IpAddr>,
    slot: Option<CallerSlot>,
}

impl Asked {
    /// Looks at a call before it is handed on.
    pub(crate) fn of(request: &mut Request, id: RequestId, received_at: Timestamp) -> Self {
        let slot = request.headers().contains_key(header::AUTHORIZATION).then(CallerSlot::default);
        if let Some(slot) = &slot {
            request.extensions_mut().insert(slot.clone());
        }
        let extensions = request.extensions();
        Self {
            id,
            received_at,
            method: request.method().clone(),
            uri: request.uri().clone(),
            route: extensions.get::<MatchedPath>().cloned(),
            address: extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip()),
            slot,
        }
    }

    /// The address that was called, without what stands behind the question mark.
    pub(crate) fn path(&self) -> &str {
        self.uri.path()
    }

    /// What the log is told, now that the call is answered. None: nothing.
    pub(crate) fn answered(&self, response: &Response, refused: Option<Refused>, now: Timestamp) -> Option<Answered> {
        let route = self.route.as_ref()?.as_str();
        let declined = response.extensions().get::<Declined>();
        let keyed = self.slot.as_ref().and_then(|slot| slot.0.get()).copied();
        let of_app = (OF_APPS.contains(&route) && (declined.is_some() || refused.is_some()))
            .then(|| declined.map(|declined| declined.caller).unwrap_or_default());
        let caller = keyed.or(of_app)?;
        let verdict = declined.and_then(|declined| declined.code).map(str::to_owned);
        let (code, detail) = refused.map(|refused| (refused.code, refused.detail)).unzip();
        Some(Answered {
            id: self.id,
            caller,
            method: self.method.to_string(),
            subject: subject(route, self.path()),
            route: route.to_owned(),
            status: response.status().as_u16(),
            code: code.or(verdict),
            detail,
            address: self.address,
            received_at: self.received_at,
            took: now.duration_since(self.received_at),
        })
    }
}

/// The id in an address, if what stands there is one of ours: people paste other things there as well.
fn subject(route: &str, path: &str) -> Option<String> {
    let parts = route.split('/').zip(path.split('/'));
    let found = parts.filter(|(part, _)| part.starts_with('{')).map(|(_, text)| text);
    found.into_iter().find(|text| is_id(text)).map(str::to_owned)
}

fn is_id(text: &str) -> bool {
    let is_small = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    text.split_once('_').is_some_and(|(prefix, rest)| {
        (2..=5).contains(&prefix.len()) && rest.len() == 26 && is_small(prefix) && is_small(rest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_address_only_ids_are_told() {
        let id = "lic_01m8asx31fedtvx6qycxm4nm45";
        for (route, path, told) in [
            ("/v1/licenses/{id}", format!("/v1/licenses/{id}"), Some(id)),
            ("/api/v1/licenses/{id}/freeze", format!("/api/v1/licenses/{id}/freeze"), Some(id)),
            ("/v1/licenses/{id}", "/v1/licenses/ACME-7F3K-9XYM-4N2A-Q7C9".to_owned(), None),
            ("/v1/plans/{id}", "/v1/plans/pro".to_owned(), None),
            ("/v1/licenses", "/v1/licenses".to_owned(), None),
        ] {
            assert_eq!(subject(route, &path).as_deref(), told, "{path}");
        }
    }
}
