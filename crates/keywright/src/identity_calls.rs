//! How the engine reaches identity providers: through the guarded client. Vendors type their addresses in, so that the rules
//! of webhooks hold: public ones by HTTPS, and those of networks that the operator lists.

use std::time::Duration;

use engine::identity::{CallFailed, CallProvider, HttpRequest, HttpResponse};
use futures::future::BoxFuture;
use net::{Client, Limits, Overflow};

use crate::{options::DataOptions, server};

/// Somebody waits for the page. Documents of real providers have a few kilobytes.
const LIMITS: Limits = Limits {
    connect: Duration::from_secs(4),
    total: Duration::from_secs(8),
    body_bytes_max: 256 * 1024,
    overflow: Overflow::Refuse,
};

/// Calls identity providers.
pub(crate) struct IdentityCalls(Client);

impl IdentityCalls {
    pub(crate) fn new(options: &DataOptions) -> anyhow::Result<Self> {
        Ok(Self(Client::new(server::vendors_reach(options), LIMITS)?))
    }
}

impl CallProvider for IdentityCalls {
    fn call<'a>(&'a self, request: HttpRequest) -> BoxFuture<'a, Result<HttpResponse, CallFailed>> {
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let failed = |problem: &dyn std::fmt::Display| CallFailed(problem.to_string());
            let url = head.uri.to_string().parse().map_err(|error| failed(&error))?;
            let headers = head.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
            let outgoing = net::Request { method: head.method, url, headers, body: body.into() };
            let answer = self.0.send(outgoing).await.map_err(|error| failed(&error))?;
            let mut response = HttpResponse::new(answer.body.into());
            *response.status_mut() = http::StatusCode::from_u16(answer.status).map_err(|error| failed(&error))?;
            *response.headers_mut() = answer.headers;
            Ok(response)
        })
    }
}
