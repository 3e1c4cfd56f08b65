//! AppSumo's words: a key for each tier that is bought, the next one in its place, and the end of each. It sells for good and
//! keeps its money itself, so that it has no word for a month, a quantity, a part of a refund or a dispute.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Happening as H, Reversal, SECRET, Teller, Trial, day};

pub(super) struct AppSumo;

impl Teller for AppSumo {
    fn slug(&self) -> &'static str {
        "appsumo"
    }

    fn price(&self, plan: &str) -> String {
        format!("tier:{}", if plan == "A" { 1 } else { 2 })
    }

    fn knows(&self, happening: H) -> bool {
        matches!(happening, H::PlanChange | H::FullRefund)
    }

    fn tell(&self, name: &str, happenings: &[H]) -> Vec<String> {
        let is_changed = happenings.contains(&H::PlanChange);
        let over = |at, key, reason: &str| {
            event(name, at, "deactivate", key, json!({ "extra": { "reason": format!("{reason} by the customer") } }))
        };
        let mut told = vec![
            event(name, 0, "purchase", 1, json!({ "tier": 1 })),
            event(name, 1, "activate", 1, json!({ "tier": 1 })),
        ];
        if is_changed {
            told.push(event(name, 8, "upgrade", 2, json!({ "tier": 2, "prev_license_key": format!("{name}-1") })));
            told.push(over(8, 1, "Upgraded"));
        }
        if happenings.contains(&H::FullRefund) {
            told.push(over(18, if is_changed { 2 } else { 1 }, "Refunded"));
        }
        told
    }

    fn tell_reversal(&self, _: &str, _: Reversal) -> Vec<Vec<String>> {
        Vec::new()
    }

    fn tell_trial(&self, _: &str, _: Trial) -> Vec<String> {
        Vec::new()
    }

    fn headers(&self, body: &str, at: Timestamp) -> Vec<(&'static str, String)> {
        providers::appsumo::sign(&SECRET.into(), body.as_bytes(), at)
    }

    fn reference(&self, name: &str) -> String {
        format!("{name}-1")
    }
}

fn event(name: &str, at: u32, kind: &str, key: u32, mut more: Value) -> String {
    more["event"] = json!(kind);
    more["license_key"] = json!(format!("{name}-{key}"));
    more["created_at"] = json!(day(at).as_millisecond());
    more.to_string()
}
