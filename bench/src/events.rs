//! Signed provider events of about 3 KB, made before anything is measured.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::load;

/// The signing secret of the measured connection.
pub(crate) const SECRET: &str = "whsec_bench_0123456789abcdefghijklmnop";
/// The size that an event is padded to, in bytes.
const BYTES: usize = 3_000;

/// A paid one-time checkout whose metadata names the plan, so that nothing has to be looked up.
pub(crate) fn checkout(run: &str, number: usize, plan: Option<&str>) -> String {
    let metadata = plan.map(|plan| format!("\"plan_id\":\"{plan}\",")).unwrap_or_default();
    event(
        run,
        number,
        "checkout.session.completed",
        &format!(
            "\"id\":\"cs_test_{run}{number}\",\"object\":\"checkout.session\",\"mode\":\"payment\",\"payment_status\":\"paid\",\
         \"status\":\"complete\",\"amount_total\":4900,\"currency\":\"eur\",\"created\":1790000000,\
         \"payment_intent\":\"pi_{run}{number}\",\"customer\":null,\
         \"customer_details\":{{\"email\":\"buyer{number}@example.com\",\"name\":\"Buyer {number}\"}},\
         \"metadata\":{{{metadata}\"run\":\"{run}\"}}"
        ),
    )
}

/// An event that says nothing about licenses.
pub(crate) fn irrelevant(run: &str, number: usize) -> String {
    event(run, number, "product.updated", "\"id\":\"prod_bench\",\"object\":\"product\"")
}

fn event(run: &str, number: usize, kind: &str, object: &str) -> String {
    let head = format!(
        "{{\"id\":\"evt_{run}{number}\",\"object\":\"event\",\"api_version\":\"2026-08-26.dahlia\",\"created\":1790000000,\
         \"livemode\":false,\"pending_webhooks\":1,\"type\":\"{kind}\",\"data\":{{\"object\":{{{object},\"padding\":\""
    );
    let tail = "\"}}}";
    let padding = "x".repeat(BYTES.saturating_sub(head.len() + tail.len()));
    format!("{head}{padding}{tail}")
}

/// The call that delivers an event to the default tenant.
pub(crate) fn delivery(body: &str, now_seconds: u64) -> Vec<u8> {
    delivery_to("default", body, now_seconds)
}

/// The call that delivers an event to a tenant.
pub(crate) fn delivery_to(tenant: &str, body: &str, now_seconds: u64) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap_or_else(|_| unreachable!("any key fits"));
    mac.update(format!("{now_seconds}.{body}").as_bytes());
    let signature = format!("t={now_seconds},v1={}", hex::encode(mac.finalize().into_bytes()));
    let headers = [("content-type", "application/json"), ("stripe-signature", signature.as_str())];
    load::post(&format!("/v1/webhooks/stripe/{tenant}"), &headers, body.as_bytes())
}
