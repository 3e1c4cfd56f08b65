//! What becomes of alerts that are due.

use std::collections::{BTreeMap, HashMap};

use domain::alert::{Sending, TEST, sending};
use jiff::Timestamp;
use store::{
    alerts::status,
    rows::{Alert, AttentionItem},
};
use uuid::Uuid;

/// Alerts that go out in one message, with what they are about. A test is about nothing.
pub(super) struct Bundle {
    pub(super) kind: String,
    pub(super) alerts: Vec<Alert>,
    pub(super) items: Vec<AttentionItem>,
}

/// What is to be done with alerts that are due.
#[derive(Default)]
pub(super) struct Plan {
    /// Alerts that are not sent now, as they are to be.
    pub(super) settled: Vec<Alert>,
    /// Messages to be sent.
    pub(super) bundles: Vec<Bundle>,
}

/// Decides it. `items` are what they are about, and `sent` what went out lately by the same channel.
pub(super) fn plan(due: Vec<Alert>, items: Vec<AttentionItem>, sent: &[Alert]) -> Plan {
    let mut items: HashMap<Uuid, AttentionItem> = items.into_iter().map(|item| (item.id, item)).collect();
    let mut plan = Plan::default();
    let mut by_kind: BTreeMap<String, Vec<(Alert, Option<AttentionItem>)>> = BTreeMap::new();
    for alert in due {
        let item = alert.item_id.and_then(|id| items.remove(&id));
        let is_over = alert.kind != TEST
            && item.as_ref().is_none_or(|item| item.closed_at.is_some() || item.dismissed_at.is_some());
        match is_over {
            true => plan.settled.push(Alert { status: status::WITHDRAWN.to_owned(), next_attempt_at: None, ..alert }),
            false => by_kind.entry(alert.kind.clone()).or_default().push((alert, item)),
        }
    }
    for (kind, due) in by_kind {
        let lately: Vec<Timestamp> = sent
            .iter()
            .filter(|alert| alert.kind == kind)
            .filter_map(|alert| Timestamp::from_microsecond(alert.sent_at?).ok())
            .collect();
        match sending(due.len(), &lately) {
            Sending::Wait(until) if kind != TEST => plan.settled.extend(
                due.into_iter().map(|(alert, _)| Alert { next_attempt_at: Some(until.as_microsecond()), ..alert }),
            ),
            Sending::Together if kind != TEST => plan.bundles.push(bundle(&kind, due)),
            _ => plan.bundles.extend(due.into_iter().map(|one| bundle(&kind, vec![one]))),
        }
    }
    plan
}

fn bundle(kind: &str, due: Vec<(Alert, Option<AttentionItem>)>) -> Bundle {
    let (alerts, items): (Vec<Alert>, Vec<Option<AttentionItem>>) = due.into_iter().unzip();
    Bundle { kind: kind.to_owned(), alerts, items: items.into_iter().flatten().collect() }
}

#[cfg(test)]
mod tests {
    use domain::id::{AttentionId, TenantId};

    use super::*;

    fn alert(number: u128, kind: &str) -> Alert {
        Alert {
            id: Uuid::from_u128(number),
            tenant_id: Uuid::nil(),
            channel_id: Uuid::nil(),
            item_id: (kind != TEST).then(|| Uuid::from_u128(number)),
            kind: kind.to_owned(),
            status: status::PENDING.to_owned(),
            attempts: 0,
            next_attempt_at: Some(0),
            error: None,
            created_at: 0,
            sent_at: None,
        }
    }

    fn item(number: u128, kind: &str) -> AttentionItem {
        let (id, tenant) = (AttentionId(Uuid::from_u128(number)), TenantId(Uuid::nil()));
        AttentionItem::new(id, tenant, (kind, number.to_string()), String::new(), Timestamp::UNIX_EPOCH)
    }

    /// What is sent, as kind and number of alerts, and how many alerts are not.
    fn planned(due: &[(u128, &str)], sent: &[(u128, &str)]) -> (Vec<(String, usize)>, usize) {
        let alerts = due.iter().map(|(number, kind)| alert(*number, kind)).collect();
        let items = due.iter().filter(|(_, kind)| *kind != TEST).map(|(number, kind)| item(*number, kind)).collect();
        let sent: Vec<Alert> =
            sent.iter().map(|(number, kind)| Alert { sent_at: Some(7), ..alert(*number, kind) }).collect();
        let plan = plan(alerts, items, &sent);
        let bundles = plan.bundles.iter().map(|bundle| (bundle.kind.clone(), bundle.alerts.len()));
        (bundles.collect(), plan.settled.len())
    }

    #[test]
    fn each_kind_is_a_crowd_of_its_own() {
        let crowd: Vec<(u128, &str)> = (0..6).map(|number| (number, "mail_failed")).collect();
        let mut mixed = crowd.clone();
        mixed.push((90, "no_events"));
        let one = |kind: &str| (kind.to_owned(), 1);
        assert_eq!(planned(&mixed, &[]), (vec![("mail_failed".to_owned(), 6), one("no_events")], 0));
        assert_eq!(planned(&crowd[..2], &[]), (vec![one("mail_failed"), one("mail_failed")], 0));
        assert_eq!(planned(&[(9, "mail_failed"), (90, "no_events")], &crowd), (vec![one("no_events")], 1));
    }

    #[test]
    fn a_test_goes_out_whatever_else_does() {
        let tests: Vec<(u128, &str)> = (0..7).map(|number| (number, TEST)).collect();
        assert_eq!(planned(&tests, &tests).0.len(), 7);
    }

    #[test]
    fn what_is_over_is_not_told() {
        let over = [
            Some(AttentionItem { closed_at: Some(1), ..item(1, "no_events") }),
            Some(AttentionItem { dismissed_at: Some(1), ..item(1, "no_events") }),
            None,
        ];
        for item in over {
            let plan = plan(vec![alert(1, "no_events")], item.into_iter().collect(), &[]);
            assert!(plan.bundles.is_empty());
            assert_eq!((plan.settled[0].status.as_str(), plan.settled[0].next_attempt_at), (status::WITHDRAWN, None));
        }
    }
}
