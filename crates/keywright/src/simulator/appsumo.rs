//! AppSumo's words for what happens in an account: licensing v2.
//!
//! Each of its license keys is a sale, bought for good at a tier. Another tier is another license key, which names the one
//! that it takes the place of. Nobody tells who bought, nor for how much.

use jiff::Timestamp;
use providers::{Level, appsumo};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{
    account::{Account, Session},
    dialect::{Call, Dialect, Question, Reply, Thing, only_at_stripe},
    happening::Happening,
};

/// What the id of an add-on's price begins with.
const ADDON: &str = "addon:";

/// The dialect of this module.
pub(crate) struct AppSumo;

impl Dialect for AppSumo {
    fn slug(&self) -> &'static str {
        "appsumo"
    }

    /// It signs with its API key, and has no other.
    fn secret_prefixes(&self) -> (&'static str, &'static str) {
        ("", "")
    }

    /// A license key is a UUID; nothing else has an id that anybody sees.
    fn id(&self, _: Thing, _: u64, random: [u8; 24]) -> String {
        let digits: Vec<String> = random.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let group = |from: usize, to: usize| digits[from..to].concat();
        // The digits that a random UUID has in common with all others.
        let (version, variant) = (&group(6, 8)[1..], &group(8, 10)[1..]);
        format!("{}-{}-4{version}-a{variant}-{}", group(0, 4), group(4, 6), group(10, 16))
    }

    /// A tier, counted from one.
    fn price_id(&self, _: &str, place: usize, _: bool) -> String {
        format!("tier:{}", place + 1)
    }

    fn product_id(&self, plan: &str, _: usize) -> String {
        plan.to_owned()
    }

    /// The vendor's name for what is added.
    fn addon_price_id(&self, plan: &str) -> Option<String> {
        Some(format!("{ADDON}{plan}"))
    }

    fn sells_for_good(&self) -> bool {
        true
    }

    fn refuses(&self, wish: &str) -> Option<&'static str> {
        Some(match wish {
            "subscription" | "trial" | "trial-end" | "renew" | "past-due" | "cancel" | "uncancel" | "pause"
            | "resume" => "AppSumo sells for good: there are no subscriptions",
            "inquiry" | "dispute" | "dispute-won" | "dispute-lost" => {
                "AppSumo deals with banks itself: what is taken back is told as a refund"
            }
            "partial-refund" => "AppSumo takes a license back or leaves it",
            "refund-failed" => "AppSumo takes a license back and tells of nothing after that",
            "free" => "AppSumo tells no amounts",
            "expired" => "AppSumo tells nothing of a checkout that nobody completed",
            "async-checkout" | "async-paid" | "async-failed" => "AppSumo tells of a sale once its money is there",
            "lost-webhooks" => "AppSumo keeps no list of its events, so that nothing is found there",
            "--also" | "--quantity" | "upgrade --quantity" => "at AppSumo a license key is one of one tier",
            _ => return only_at_stripe(wish),
        })
    }

    fn tell(&self, account: &mut Account, happening: &Happening, at: i64) -> Vec<Value> {
        let mut told = Told { account, at, events: Vec::new() };
        told.tell(happening);
        told.events
    }

    fn sign(&self, secret: &SecretString, body: &[u8], now: Timestamp) -> Vec<(&'static str, String)> {
        appsumo::sign(secret, body, now)
    }

    fn answer(&self, _: &Account, _: Level, _: &Question<'_>) -> Reply {
        self.error(404, "not found")
    }

    fn trade(&self, account: &mut Account, trade: &Call<'_>) -> Option<Reply> {
        match trade.question.path {
            "/openid/token/" if !trade.is_of_client() => Some(self.error(401, "invalid_client")),
            "/openid/token/" => {
                let token = trade.field("code").and_then(|code| account.token_for(code));
                Some(token.map_or_else(
                    || self.error(400, "invalid_grant"),
                    |token| Reply {
                        status: 200,
                        body: json!({ "access_token": token, "token_type": "bearer", "expires_in": 3_600 }),
                    },
                ))
            }
            "/openid/license_key/" => {
                let shown = trade.question.value("access_token").and_then(|token| account.shown_to(token));
                Some(shown.map_or_else(
                    || self.error(401, "invalid_token"),
                    |(license_key, is_taken_back)| {
                        let status = if is_taken_back { "deactivated" } else { "active" };
                        let body = json!({ "license_key": license_key, "status": status, "scopes": ["read_license"] });
                        Reply { status: 200, body }
                    },
                ))
            }
            _ => None,
        }
    }

    fn forbidden(&self, _: &str) -> Reply {
        self.error(403, "forbidden")
    }

    fn error(&self, status: u16, message: &str) -> Reply {
        Reply { status, body: json!({ "error": message }) }
    }
}

/// The events of one moment.
struct Told<'a> {
    account: &'a Account,
    at: i64,
    events: Vec<Value>,
}

impl Told<'_> {
    fn tell(&mut self, happening: &Happening) {
        match happening {
            // What is bought does not say its tier; what the buyer activates then does.
            Happening::Bought { session } => {
                self.event("purchase", session, &json!({ "license_status": "inactive" }));
                self.activate(session);
            }
            Happening::Replaced { before, session } => self.replaced(before, session),
            Happening::Added { to, session } => self.added(to, session),
            Happening::Refunded { refund } => self.refunded(refund),
            // Nobody tells of anything else here.
            _ => {}
        }
    }

    /// An event. Those of one moment are a millisecond apart.
    fn event(&mut self, kind: &str, license_key: &str, more: &Value) {
        let millisecond = self.at * 1_000 + self.events.len() as i64;
        let mut event = json!({
            "license_key": license_key,
            "event": kind,
            "event_timestamp": millisecond,
            "created_at": millisecond,
            "test": false,
        });
        if let (Some(event), Some(more)) = (event.as_object_mut(), more.as_object()) {
            event.extend(more.clone());
        }
        self.events.push(event);
    }

    fn tier(&self, session: &str) -> Option<u32> {
        self.account.sessions[session].lines.first()?.price.strip_prefix("tier:")?.parse().ok()
    }

    fn activate(&mut self, session: &str) {
        self.event("activate", session, &json!({ "license_status": "active", "tier": self.tier(session) }));
    }

    fn replaced(&mut self, before: &str, session: &str) {
        let cost = |session: &str| -> i64 {
            self.account.sessions[session].lines.iter().map(|line| self.account.cost(line)).sum()
        };
        let (kind, reason) = match cost(session) >= cost(before) {
            true => ("upgrade", "Upgraded by the customer"),
            false => ("downgrade", "Downgraded by the customer"),
        };
        let tier = self.tier(session);
        self.event(kind, session, &json!({ "license_status": "inactive", "tier": tier, "prev_license_key": before }));
        self.deactivate(before, reason);
        self.activate(session);
    }

    /// An add-on is a license key of its own, which names the one that it adds to.
    fn added(&mut self, to: &str, session: &str) {
        let line = self.account.sessions[session].lines.first();
        let name = line.map(|line| line.price.trim_start_matches(ADDON).to_owned());
        for (kind, status) in [("purchase", "inactive"), ("activate", "active")] {
            let more = json!({
                "license_status": status, "parent_license_key": to, "partner_plan_name": name, "unit_quantity": 1
            });
            self.event(kind, session, &more);
        }
    }

    fn deactivate(&mut self, session: &str, reason: &str) {
        self.event("deactivate", session, &json!({ "license_status": "deactivated", "extra": { "reason": reason } }));
    }

    /// All of it, of the license key that counts now.
    fn refunded(&mut self, refund: &str) {
        let payment = &self.account.refunds[refund].payment;
        let is_whole = self.account.payments[payment].refunded >= self.account.payments[payment].amount;
        let counts = |session: &&Session| session.payment.as_ref() == Some(payment) && session.replaced_by.is_none();
        let session = self.account.sessions.values().find(counts).map(|session| session.id.clone());
        if let (true, Some(session)) = (is_whole, session) {
            self.deactivate(&session, "Refunded by the customer");
        }
    }
}

#[cfg(test)]
mod tests;
