//! The JSON API: provider endpoints, what apps call, what vendors' own code calls.
//!
//! The router below is one readable list. Every handler is thin: it reads the call, asks the engine, and writes the
//! answer. Refusals are problem documents (RFC 9457); a verdict about a license is always 200.

mod admin;
mod caller;
mod health;
mod idempotency;
mod issue;
mod limits;
mod metrics;
mod named;
mod openapi;
mod page;
mod problem;
mod proxies;
mod read;
mod request_id;
mod request_log;
mod runtime;
mod sign_up;
mod webhooks;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{extract::DefaultBodyLimit, middleware::from_fn_with_state};
use delivery::mail::Sender;
use engine::Engine;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::ServiceBuilder;
use tower_http::{catch_panic::CatchPanicLayer, timeout::TimeoutLayer};
use utoipa_axum::{router::OpenApiRouter, routes};

pub use axum::Router;
pub use limits::Limits;
pub use metrics::metrics_router;
pub use openapi::document;
pub use problem::{Code, Problem};
pub use proxies::{IsProxy, behind_proxies};
pub use runtime::app_answer;

use admin::{
    alerts, api_keys, attention, audit, catalogue, connections, customers, decisions, deliveries, events, imports,
    inbound, license_keys, licenses, mail_templates, mails, orders, price_rules, reconcile, rulings, webhook_endpoints,
};
use named::selected;
use openapi::At;

/// The largest body that is read, in bytes. Providers' events are a few kilobytes.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// The longest a call may take.
const CALL_MAX: Duration = Duration::from_secs(30);

/// What all handlers share.
#[derive(Clone)]
pub struct Api {
    /// The engine.
    pub engine: Arc<Engine>,
    /// Limits that protect against guessing.
    pub limits: Arc<Limits>,
    /// The address under which this server is reached, as it stands in leases and links.
    pub public_url: Arc<str>,
    /// Who mails come from where a brand does not say so, for previews; none: they are caught.
    pub sender: Option<Sender>,
    /// Whether anybody may make an account.
    pub sign_up_open: bool,
    /// Set while the server stops: it is no longer ready. Behind an `Arc`, since every call clones this and cloning a
    /// token takes a lock.
    pub draining: Arc<CancellationToken>,
}

/// Routes that ask for no API key.
fn open_routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        // Providers. One handler; the aliases are the addresses that other systems' guides tell people to use (X16).
        .at("POST /v1/webhooks/{provider}/{tenant}", routes!(webhooks::receive))
        .at("POST /webhooks/stripe", routes!(webhooks::receive_stripe))
        .at("POST /api/stripe/webhook/connect", routes!(webhooks::receive_stripe_connect))
        .at("POST /v1", routes!(named::bridge::receive))
        // Apps.
        .at("POST /v1/activate", routes!(runtime::activate))
        .at("POST /v1/check", routes!(runtime::check))
        .at("POST /v1/deactivate", routes!(runtime::deactivate))
        .at("GET /.well-known/jwks.json", routes!(runtime::keys))
        .at("POST /v1/sign-up", routes!(sign_up::sign_up))
        // Operators.
        .at("GET /livez", routes!(health::live))
        .at("GET /readyz", routes!(health::ready))
        .at("GET /openapi.json", routes!(openapi::serve))
}

/// Routes that ask for an API key. The scope that each needs stands in its handler's signature.
fn keyed_routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        // What is sold.
        .at("GET POST /v1/products", routes!(catalogue::list_products, catalogue::save_product))
        .at("GET /v1/products/{id}", routes!(catalogue::get_product))
        .at("GET POST /v1/plans", routes!(catalogue::list_plans, catalogue::save_plan))
        .at("GET /v1/plans/{id}", routes!(catalogue::get_plan))
        .at("GET POST /v1/price-rules", routes!(price_rules::list, price_rules::save))
        .at("DELETE /v1/price-rules/{id}", routes!(price_rules::delete))
        .at("POST /v1/connect", routes!(connections::connect))
        .at("GET POST /v1/connections", routes!(connections::list, connections::create))
        .at("GET PATCH /v1/connections/{id}", routes!(connections::get, connections::change))
        .at("POST /v1/connections/{id}/disconnect", routes!(connections::disconnect))
        .at("POST /v1/connections/{id}/webhook-secrets", routes!(connections::add_secret))
        .at("DELETE /v1/connections/{id}/webhook-secrets/{fingerprint}", routes!(connections::remove_secret))
        .at("GET POST /v1/connections/{id}/catch-up", routes!(reconcile::get, reconcile::start))
        // Who may call.
        .at("GET POST /v1/api-keys", routes!(api_keys::list, api_keys::create))
        .at("DELETE /v1/api-keys/{id}", routes!(api_keys::revoke))
        // What was sold.
        .at("GET /v1/customers", routes!(customers::list))
        .at("GET /v1/customers/{id}", routes!(customers::get))
        .at("POST /v1/customers/{id}/erase", routes!(customers::erase))
        .at("POST /v1/customers/{id}/merge", routes!(customers::merge))
        .at("GET /v1/orders", routes!(orders::list))
        .at("GET /v1/orders/{id}", routes!(orders::get))
        .at("GET /v1/reconcile", routes!(reconcile::report))
        .at("GET /v1/licenses", routes!(licenses::list))
        .at("GET /v1/licenses/{id}", routes!(licenses::get))
        .at("POST /v1/licenses/lookup", routes!(licenses::lookup))
        .at("POST /v1/licenses/{id}/tags", routes!(licenses::tag))
        .at("POST /v1/issue", routes!(issue::issue))
        .at("POST /v1/imports", routes!(imports::start))
        .at("GET /v1/imports/{id}", routes!(imports::get))
        .at("POST /v1/imports/{id}/stop", routes!(imports::stop))
        // What people decide.
        .at("POST /v1/licenses/{id}/freeze", routes!(rulings::freeze))
        .at("POST /v1/licenses/{id}/unfreeze", routes!(rulings::unfreeze))
        .at("POST /v1/licenses/{id}/revoke", routes!(rulings::revoke))
        .at("POST /v1/licenses/{id}/reinstate", routes!(rulings::reinstate))
        .at("POST /v1/licenses/{id}/extend", routes!(rulings::extend))
        .at("POST /v1/licenses/{id}/change-plan", routes!(rulings::change_plan))
        .at("POST /v1/licenses/{id}/limits", routes!(rulings::limits))
        .at("POST /v1/licenses/{id}/rotate-key", routes!(license_keys::rotate_key))
        .at("POST /v1/licenses/{id}/transfer", routes!(license_keys::transfer))
        .at("POST /v1/orders/{id}/approve", routes!(decisions::approve))
        .at("POST /v1/orders/{id}/reject", routes!(decisions::reject))
        .at("POST /v1/orders/{id}/contact", routes!(mails::contact))
        .at("POST /v1/redecide", routes!(decisions::redecide))
        .at("POST /v1/licenses/revoke", routes!(selected::revoke))
        .at("POST /v1/licenses/downgrade", routes!(selected::downgrade))
        // What buyers are written.
        .at("GET /v1/mails", routes!(mails::list))
        .at("POST /v1/mails/{id}/resend", routes!(mails::resend))
        .at("GET /v1/mail-templates", routes!(mail_templates::list))
        .at("PUT DELETE /v1/mail-templates/{kind}", routes!(mail_templates::save, mail_templates::remove))
        .at("POST /v1/mail-templates/{kind}/preview", routes!(mail_templates::preview))
        .at("POST /v1/mail-templates/{kind}/restore", routes!(mail_templates::restore))
        // What happened.
        .at("GET /v1/inbound-events", routes!(inbound::list))
        .at("GET /v1/inbound-events/{id}", routes!(inbound::get))
        .at("POST /v1/inbound-events/{id}/replay", routes!(inbound::replay))
        .at("POST /v1/inbound-events/{id}/ignore", routes!(inbound::ignore))
        .at("GET /v1/attention-items", routes!(attention::list))
        .at("GET /v1/attention-items/{id}", routes!(attention::get))
        .at("POST /v1/attention-items/{id}/dismiss", routes!(attention::dismiss))
        .at("GET /v1/audit-entries", routes!(audit::list))
        .at("GET /v1/events", routes!(events::list))
        .at("GET /v1/events/{id}", routes!(events::get))
        .at("GET /v1/status", routes!(metrics::status))
        .merge(outgoing_routes())
}

/// Those about what this server tells vendors by itself.
fn outgoing_routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        // What their people are told.
        .at("GET POST /v1/alert-channels", routes!(alerts::list, alerts::create))
        .at("GET PATCH DELETE /v1/alert-channels/{id}", routes!(alerts::get, alerts::change, alerts::delete))
        .at("POST /v1/alert-channels/{id}/test", routes!(alerts::test))
        .at("GET /v1/alert-channels/{id}/alerts", routes!(alerts::alerts))
        // What their own systems are told.
        .at("GET POST /v1/webhook-endpoints", routes!(webhook_endpoints::list, webhook_endpoints::create))
        .at(
            "GET PATCH DELETE /v1/webhook-endpoints/{id}",
            routes!(webhook_endpoints::get, webhook_endpoints::change, webhook_endpoints::remove),
        )
        .at("POST /v1/webhook-endpoints/{id}/rotate-secret", routes!(webhook_endpoints::rotate_secret))
        .at("POST /v1/webhook-endpoints/{id}/pause", routes!(webhook_endpoints::pause))
        .at("POST /v1/webhook-endpoints/{id}/enable", routes!(webhook_endpoints::enable))
        .at("POST /v1/webhook-endpoints/{id}/release", routes!(webhook_endpoints::release))
        .at("POST /v1/webhook-endpoints/{id}/test", routes!(webhook_endpoints::test))
        .at("POST /v1/webhook-endpoints/{id}/recover", routes!(deliveries::recover))
        .at("GET /v1/webhook-endpoints/{id}/recoveries", routes!(deliveries::recoveries))
        .at("POST /v1/recoveries/{id}/cancel", routes!(deliveries::cancel))
        .at("GET /v1/deliveries", routes!(deliveries::list))
        .at("GET /v1/deliveries/{id}", routes!(deliveries::get))
        .at("POST /v1/deliveries/{id}/redeliver", routes!(deliveries::redeliver))
}

/// What the source documents call by name, in their words. All other routes with an API key are below `/api` too (A06).
fn named_routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .at("POST /api/{tenant}/checkout", routes!(named::checkout::open))
        .at("POST /api/v1/licenses", routes!(named::licenses::create))
        .at("PATCH /api/v1/licenses/{id}", routes!(named::licenses::change))
}

/// All routes.
pub fn router(api: Api) -> Router {
    let with_key = ServiceBuilder::new()
        .layer(from_fn_with_state(api.clone(), caller::authenticate))
        .layer(from_fn_with_state(api.clone(), idempotency::once));
    let keyed = Router::from(keyed_routes());
    let keyed = Router::new().nest("/api", keyed.clone()).merge(keyed).merge(Router::from(named_routes()));
    let keyed = keyed.route_layer(with_key);
    // One stack instead of a layer after the other: each of those would box every call once more.
    let every = ServiceBuilder::new()
        .layer(from_fn_with_state(api.clone(), request_id::stamp))
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(TimeoutLayer::with_status_code(axum::http::StatusCode::SERVICE_UNAVAILABLE, CALL_MAX))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX));
    Router::from(open_routes())
        .merge(keyed)
        .fallback(problem::no_route)
        .method_not_allowed_fallback(problem::no_method)
        .layer(every)
        .with_state(api)
}

/// Serves until `stop`, then finishes what is in flight.
///
/// # Errors
/// The listener fails.
pub async fn serve(listener: TcpListener, routes: Router, stop: CancellationToken) -> std::io::Result<()> {
    let service = routes.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(stop.cancelled_owned()).await
}
