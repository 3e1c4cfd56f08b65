//! AppSumo: licensing v2. Every license key of AppSumo's is a sale of its own; what we call its key is ours.
//!
//! Its webhooks may arrive in any order, and tell neither amounts nor addresses. A changed tier is a *new* license key that
//! names the one it replaces; the `deactivate` of the old one says so in words, and takes nothing back. Any other
//! `deactivate` does, until an `activate` that was made later.

mod event;
mod redeem;
mod signature;

use domain::fact::Fact;
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::json;

use crate::{
    ApiBase, Delivery, Guide, Incoming, Info, Malformed, Outcome, Provider, Reject, Settings, Step, Verified,
    http::{Answer, HttpAnswer},
    redeem::Redeem,
};

pub use signature::sign;

/// The provider of this module.
#[derive(Debug)]
pub struct AppSumo;

static INFO: Info = Info {
    slug: "appsumo",
    name: "AppSumo",
    events: &["purchase", "activate", "upgrade", "downgrade", "deactivate", "migrate"],
    permissions: &[],
    api_base: ApiBase::both("https://appsumo.com"),
    api_headers: &[],
    guide: Guide {
        endpoint: "In the AppSumo Partner Portal open your product's *Licensing* page and paste the address as *Webhook URL*. \
            AppSumo tries it with a test event, which is answered and changes nothing.",
        secret: "AppSumo signs with the *API key* of the same page: it is the webhook secret here.",
        api_key: None,
        redirect: Some(
            "Paste the address as *OAuth Redirect URL*, exactly as it stands here. The same page shows *Client ID* and \
            *Client Secret*. AppSumo tells no e-mail addresses: a buyer who comes this way sees the key at once and may have \
            it mailed.",
        ),
        price: "`price` is a tier of your product: `tier:1`, `tier:2` and so on. An add-on is `addon:NAME`, with the *partner plan name* \
            that you gave it.",
        price_example: "tier:1",
        notes: &[
            "Each product has its own API key and client at AppSumo, so each is a connection of its own.",
            "A purchase need not say its tier: its license then comes with the activation, which does. With a rule that has \
             `default = true` it comes at once, and takes its tier's plan later.",
            "A changed tier keeps the customer's license and key: only the plan changes.",
            "A license that was transferred shows whoever bought it at AppSumo neither its key nor an address: their page says \
             that it was handed over. Also once it is transferred back, its key comes by mail or from the vendor.",
            "Amounts are not told, so they read as 0.",
        ],
    },
};

impl Provider for AppSumo {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn verify<'a>(
        &self,
        delivery: &Delivery<'a>,
        secrets: &[SecretString],
        settings: &Settings,
        now: Timestamp,
    ) -> Result<Verified<'a>, Reject> {
        signature::verify(delivery, secrets, settings, now)
    }

    fn incoming(&self, verified: &Verified<'_>) -> Result<Vec<Incoming>, Malformed> {
        event::incoming(verified.body()).map(|incoming| vec![incoming])
    }

    fn ignores(&self, kind: &str) -> Option<&'static str> {
        event::meaning(kind).is_none().then_some("not a kind of event that AppSumo's licensing has")
    }

    fn translate(&self, incoming: &Incoming, _: &Settings, _: &[Answer]) -> Result<Step, Malformed> {
        let Some(meaning) = event::meaning(&incoming.kind) else { return Ok(Step::Facts(Vec::new())) };
        let order = event::order(meaning, incoming)?;
        Ok(Step::Facts(order.into_iter().map(|order| Fact::Order(Box::new(order))).collect()))
    }

    fn redeem(&self) -> Option<&'static dyn Redeem> {
        Some(&redeem::Buyers)
    }

    /// Anything but this form stops the activation on AppSumo's side.
    fn answer(&self, outcome: &Outcome) -> HttpAnswer {
        match outcome {
            Outcome::Received { kinds } => {
                let mut body = json!({ "success": true });
                if let Some(kind) = kinds.first() {
                    body["event"] = json!(kind);
                }
                HttpAnswer::json(200, body.to_string())
            }
            Outcome::Rejected(_) => {
                let message = "The signature is missing, wrong or too old.";
                HttpAnswer::json(401, json!({ "success": false, "message": message }).to_string())
            }
        }
    }
}
