//! What an alert says: what, since when, about whom, and what to do. Never a key, and no buyer's address in clear.

use domain::{
    alert::{TEST, title},
    id::{AlertId, AttentionId, TenantId},
    text::EmailAddress,
};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use store::rows::{AlertChannel, AttentionItem, Tenant};

use super::plan::Bundle;

/// Items of which a message tells by themselves; of the others it tells how many there are.
const TOLD_MAX: usize = 10;
/// The longest sentence about an item, in characters.
const SENTENCE_CHARS_MAX: usize = 1_000;

/// One item, as it is told.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    pub(super) id: String,
    /// What is wrong, and what to do.
    pub(super) detail: String,
    pub(super) since: String,
    /// Where more of it stands.
    pub(super) url: String,
}

/// A message, whichever way it goes.
#[derive(Debug, Serialize)]
pub(super) struct Message {
    /// The same for every try.
    pub(super) id: String,
    pub(super) at: i64,
    pub(super) kind: String,
    /// What, in passing.
    pub(super) title: String,
    pub(super) tenant: String,
    pub(super) tenant_name: String,
    pub(super) livemode: bool,
    pub(super) channel: String,
    pub(super) is_test: bool,
    pub(super) count: usize,
    /// How many of them are not told by themselves.
    pub(super) more: usize,
    pub(super) items: Vec<Told>,
    /// Where all open items stand.
    pub(super) url: String,
}

impl Message {
    pub(super) fn new(bundle: &Bundle, channel: &AlertChannel, tenant: &Tenant, public_url: &str) -> Self {
        let count = bundle.items.len();
        let is_test = bundle.kind == TEST;
        let what = match (is_test, count) {
            (true, _) => "this is a test".to_owned(),
            (false, 1) => title(&bundle.kind),
            (false, _) => format!("{count} times: {}", title(&bundle.kind)),
        };
        let newest = bundle.alerts.iter().max_by_key(|alert| alert.id);
        let items = bundle.items.iter().zip(&bundle.alerts).take(TOLD_MAX);
        Self {
            id: newest.map(|alert| AlertId(alert.id).to_string()).unwrap_or_default(),
            at: newest.map(|alert| alert.created_at).unwrap_or_default(),
            kind: bundle.kind.clone(),
            title: what,
            tenant: tenant.slug.clone(),
            tenant_name: line(&tenant.name),
            livemode: channel.livemode,
            channel: channel.code.clone(),
            is_test,
            count,
            more: count.saturating_sub(TOLD_MAX),
            items: items.map(|(item, alert)| told(item, alert.created_at, public_url)).collect(),
            url: format!("{public_url}/v1/attention-items"),
        }
    }

    /// The line that a mail program lists.
    pub(super) fn subject(&self) -> String {
        let test_mode = if self.livemode { "" } else { " (test mode)" };
        format!("[Keywright] {}: {}{test_mode}", self.tenant_name, self.title)
    }

    /// The document for a receiver of one's own, in the frame that Standard Webhooks recommends.
    pub(super) fn document(&self, tenant: TenantId) -> serde_json::Value {
        json!({
            "type": if self.is_test { "alert.test" } else { "alert.opened" },
            "timestamp": instant(self.at),
            "data": {
                "id": self.id,
                "livemode": self.livemode,
                "tenant": tenant,
                "tenant_slug": self.tenant,
                "channel": self.channel,
                "kind": self.kind,
                "title": self.title,
                "count": self.count,
                "items": self.items,
                "url": self.url,
            },
        })
    }

    /// What Slack takes, and Mattermost and Discord understand as well: one text with a star on either side of what
    /// stands out.
    pub(super) fn slack(&self) -> serde_json::Value {
        let mut text = format!("*{}*", harmless(&self.subject()));
        if self.is_test {
            text.push_str("\nIf you read this, alerts arrive here.");
        }
        for item in &self.items {
            text.push_str(&format!("\n• {} (since {})\n  {}", harmless(&item.detail), item.since, item.url));
        }
        if self.more > 0 {
            text.push_str(&format!("\n… and {} more: {}", self.more, self.url));
        }
        json!({ "text": text })
    }
}

fn told(item: &AttentionItem, since: i64, public_url: &str) -> Told {
    let id = AttentionId(item.id).to_string();
    let since = Timestamp::from_microsecond(since).unwrap_or_default();
    Told {
        url: format!("{public_url}/v1/attention-items/{id}"),
        id,
        detail: without_addresses(&line(&item.detail)).chars().take(SENTENCE_CHARS_MAX).collect(),
        since: since.strftime("%Y-%m-%d %H:%M UTC").to_string(),
    }
}

fn instant(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or_default()
}

/// One line without control characters.
fn line(text: &str) -> String {
    let visible: String = text.chars().map(|symbol| if symbol.is_control() { ' ' } else { symbol }).collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Every e-mail address in a sentence, masked: alerts leave the installation.
fn without_addresses(text: &str) -> String {
    let word = |word: &str| {
        let is_around = |symbol: char| !symbol.is_alphanumeric();
        let inner = word.trim_matches(is_around);
        EmailAddress::parse(inner).map_or_else(|_| word.to_owned(), |address| word.replace(inner, &address.masked()))
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// Words that came from elsewhere neither call people nor make links: `<` begins both in Slack, and `@` calls people in
/// Mattermost and Discord.
fn harmless(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "‹").replace('>', "›").replace('@', "@\u{200b}")
}

#[cfg(test)]
mod tests {
    use store::{alerts::status, rows::Alert};
    use uuid::Uuid;

    use super::*;

    fn alert(number: u128) -> Alert {
        Alert {
            id: Uuid::from_u128(number),
            tenant_id: Uuid::from_u128(1),
            channel_id: Uuid::from_u128(2),
            item_id: Some(Uuid::from_u128(number)),
            kind: "mail_failed".to_owned(),
            status: status::PENDING.to_owned(),
            attempts: 0,
            next_attempt_at: Some(0),
            error: None,
            created_at: 1_795_262_400_000_000,
            sent_at: None,
        }
    }

    fn item(number: u128, detail: &str) -> AttentionItem {
        let (id, tenant) = (AttentionId(Uuid::from_u128(number)), TenantId(Uuid::from_u128(1)));
        AttentionItem::new(id, tenant, ("mail_failed", number.to_string()), detail.to_owned(), Timestamp::UNIX_EPOCH)
    }

    fn message(details: &[&str]) -> Message {
        let numbers = (10u128..).zip(details);
        let bundle = Bundle {
            kind: "mail_failed".to_owned(),
            alerts: numbers.clone().map(|(number, _)| alert(number)).collect(),
            items: numbers.map(|(number, detail)| item(number, detail)).collect(),
        };
        let channel = AlertChannel {
            id: Uuid::from_u128(2),
            tenant_id: Uuid::from_u128(1),
            livemode: true,
            code: "on-call".to_owned(),
            kind: "slack".to_owned(),
            hint: String::new(),
            items: "[]".to_owned(),
            sealed: Vec::new(),
            sealed_by: String::new(),
            lease_token: None,
            lease_until: None,
            created_at: 0,
        };
        let tenant = Tenant {
            id: Uuid::from_u128(1),
            slug: "acme".to_owned(),
            name: "Acme\nInc.".to_owned(),
            status: "active".to_owned(),
            account: "{}".to_owned(),
            catalogue_revision: 0,
            test_clock_ahead: 0,
            deliveries_kept_days: None,
            requires_second_factor: false,
            created_at: 0,
        };
        Message::new(&bundle, &channel, &tenant, "https://keys.acme.test")
    }

    #[test]
    fn one_item_says_what_since_when_and_where() {
        let message = message(&["the mail to a…@example.com was not delivered; correct the address"]);
        assert_eq!(message.subject(), "[Keywright] Acme Inc.: a mail was not delivered");
        insta::assert_snapshot!("slack", message.slack()["text"].as_str().unwrap());
        insta::assert_json_snapshot!("document", message.document(TenantId(Uuid::from_u128(1))));
    }

    #[test]
    fn many_items_are_counted() {
        let message = message(&["it failed"; 12]);
        assert_eq!(message.subject(), "[Keywright] Acme Inc.: 12 times: a mail was not delivered");
        assert_eq!((message.items.len(), message.more), (10, 2));
        assert!(
            message.slack()["text"]
                .as_str()
                .unwrap()
                .ends_with("… and 2 more: https://keys.acme.test/v1/attention-items")
        );
    }

    #[test]
    fn no_buyers_address_leaves_in_clear() {
        for (text, told) in [
            ("to ada@example.com: nobody there", "to a…@example.com: nobody there"),
            ("<ada@example.com> was refused", "<a…@example.com> was refused"),
            ("to a…@example.com about lic_1", "to a…@example.com about lic_1"),
            ("price `a@b` and 5 @ 3", "price `a…@b` and 5 @ 3"),
        ] {
            assert_eq!(without_addresses(text), told);
        }
    }

    #[test]
    fn words_from_elsewhere_call_nobody() {
        let message = message(&["price p (<!channel> @everyone & <https://evil.test|click>)"]);
        let slack = message.slack().to_string();
        for dangerous in ["<!", "@everyone", "<https"] {
            assert!(!slack.contains(dangerous), "{slack}");
        }
    }
}
