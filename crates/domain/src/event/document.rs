//! The documents in which an event is told.
//!
//! What an event tells is written down with the change that causes it, in [`EventData`], and never changes after that: told
//! twice, an event has the same body. Only the key of a new license is put in when it is sent, since it is kept sealed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{EVENT_VERSION, EventKind};
use crate::id::{ActivationId, CustomerId, EventId, LicenseId, OrderId, PlanId, ProductId, TenantId};

/// The version of the document behind D20, which is not ours.
const KEYLIGHT_VERSION: &str = "2026-05-01";

/// What an event tells. A member is absent where it has nothing to do with the event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EventData {
    /// Nothing happened: a person wanted to see an example.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub example: bool,
    /// The key in an example. A real one is put in when it is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Box<str>>,
    /// The license that it is about, as it is after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub license: Option<LicenseTold>,
    /// What was otherwise before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<Previous>,
    /// The sale.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderTold>,
    /// Who bought.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer: Option<CustomerTold>,
    /// The device or domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activation: Option<ActivationTold>,
}

impl EventData {
    /// Lets go of who bought, and of what their device is called. Ids stay.
    pub fn erase(&mut self) {
        if let Some(customer) = &mut self.customer {
            (customer.email, customer.name) = (None, None);
        }
        if let Some(activation) = &mut self.activation {
            activation.name = None;
        }
    }
}

/// A license, as it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LicenseTold {
    /// Its id.
    pub id: LicenseId,
    /// `active`, `frozen`, `expired` or `revoked`.
    pub state: Box<str>,
    /// The code of the reason for it.
    pub reason: Box<str>,
    /// The same as the end of a sentence.
    pub because: Box<str>,
    /// It works, but a payment is overdue or a renewal is awaited.
    pub at_risk: bool,
    /// The code of the product.
    pub product: Box<str>,
    /// The product's id.
    pub product_id: ProductId,
    /// The code of the plan.
    pub plan: Box<str>,
    /// The plan's id.
    pub plan_id: PlanId,
    /// By how much the plan's limits are multiplied.
    pub seats: u32,
    /// Devices or domains at most; absent: as many as there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activations_max: Option<u32>,
    /// What it unlocks.
    #[serde(default)]
    pub features: Vec<Box<str>>,
    /// The end of the term; absent: for good, or not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// What time alone will do to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled: Option<ScheduledTold>,
}

/// What time will do to a license.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduledTold {
    /// The state that it will take.
    pub state: Box<str>,
    /// When.
    pub at: Timestamp,
}

/// What was otherwise before an event. A member that is absent did not change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Previous {
    /// The state of the license.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<Box<str>>,
    /// The id of its plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_id: Option<PlanId>,
    /// Its seats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seats: Option<u32>,
    /// What may be shown of its key: it has another one now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_hint: Option<Box<str>>,
    /// The end of its term; `null`: it had none.
    #[serde(deserialize_with = "if_told", skip_serializing_if = "Option::is_none")]
    pub until: Option<Option<Timestamp>>,
}

/// What a member says, if it is there at all: a `null` is `Some(None)`.
fn if_told<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// A sale, as it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderTold {
    /// Its id.
    pub id: OrderId,
    /// The code of the connection where it was made.
    pub connection: Box<str>,
    /// All its names at the provider.
    pub references: Vec<Box<str>>,
    /// What went back, by payment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refunded: Vec<RefundTold>,
    /// What is questioned, by dispute.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disputes: Vec<DisputeTold>,
}

/// Money that went back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundTold {
    /// Of which payment, in the provider's words.
    pub payment: Box<str>,
    /// How much, in the smallest unit of the currency.
    pub amount: i64,
    /// The currency (ISO 4217); `XXX` where the provider does not tell.
    pub currency: Box<str>,
}

/// A dispute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisputeTold {
    /// The provider's id of it.
    pub id: Box<str>,
    /// `inquiry`, `open`, `lost` or `won`.
    pub state: Box<str>,
}

/// Who bought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerTold {
    /// The customer here; absent where nobody has bought under the address yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<CustomerId>,
    /// The provider's id of them; absent where they bought without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Box<str>>,
    /// The address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Box<str>>,
    /// The name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Box<str>>,
}

/// A device or domain that takes a slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivationTold {
    /// Its id.
    pub id: ActivationId,
    /// `device` or `domain`.
    pub kind: Box<str>,
    /// What the app calls it.
    pub fingerprint: Box<str>,
    /// Its name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Box<str>>,
}

/// The form in which a receiver wants events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventStyle {
    /// Ours, signed as Standard Webhooks says.
    #[default]
    Standard,
    /// The one of D20, signed as D22 says.
    Keylight,
}

/// An event, ready to be told.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// Its id.
    pub id: EventId,
    /// What happened.
    pub kind: EventKind,
    /// When.
    pub occurred_at: Timestamp,
    /// Real money.
    pub livemode: bool,
    /// Whose it is.
    pub tenant: TenantId,
    /// [`EventData`] as it was written down.
    pub data: &'a str,
}

#[derive(Serialize)]
struct Standard<'a> {
    id: EventId,
    #[serde(rename = "type")]
    kind: EventKind,
    version: &'static str,
    timestamp: Timestamp,
    livemode: bool,
    tenant: TenantId,
    data: &'a RawValue,
}

#[derive(Serialize)]
struct Keylight<'a> {
    id: uuid::Uuid,
    created: i64,
    version: &'static str,
    event: EventKind,
    tenant_id: TenantId,
    key: Option<&'a str>,
    product_id: Option<ProductId>,
    key_type_id: Option<PlanId>,
    customer_email: Option<&'a str>,
    session_id: Option<&'a str>,
}

impl Envelope<'_> {
    /// The body in one style. `key` is the license's, for the event that gives it away.
    ///
    /// # Errors
    /// What was written down does not read.
    pub fn body(&self, style: EventStyle, key: Option<&str>) -> Result<String, serde_json::Error> {
        match style {
            EventStyle::Standard => self.standard(key),
            EventStyle::Keylight => self.keylight(key),
        }
    }

    fn standard(&self, key: Option<&str>) -> Result<String, serde_json::Error> {
        let data = match (key, self.data.strip_prefix('{')) {
            (Some(key), Some("}")) => format!("{{\"key\":{}}}", serde_json::to_string(key)?),
            (Some(key), Some(rest)) => format!("{{\"key\":{},{rest}", serde_json::to_string(key)?),
            _ => self.data.to_owned(),
        };
        serde_json::to_string(&Standard {
            id: self.id,
            kind: self.kind,
            version: EVENT_VERSION,
            timestamp: self.occurred_at,
            livemode: self.livemode,
            tenant: self.tenant,
            data: &RawValue::from_string(data)?,
        })
    }

    fn keylight(&self, key: Option<&str>) -> Result<String, serde_json::Error> {
        let EventData { key: shown, license, order, customer, .. } = serde_json::from_str(self.data)?;
        let references = order.as_ref().map(|order| order.references.as_slice()).unwrap_or_default();
        let session = references.iter().find(|name| name.starts_with("cs_")).or_else(|| references.first());
        serde_json::to_string(&Keylight {
            id: self.id.0,
            created: self.occurred_at.as_second(),
            version: KEYLIGHT_VERSION,
            event: self.kind,
            tenant_id: self.tenant,
            key: key.or(shown.as_deref()),
            product_id: license.as_ref().map(|license| license.product_id),
            key_type_id: license.as_ref().map(|license| license.plan_id),
            customer_email: customer.as_ref().and_then(|customer| customer.email.as_deref()),
            session_id: session.map(AsRef::as_ref),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;

    fn envelope(data: &str) -> Envelope<'_> {
        Envelope {
            id: EventId(Uuid::from_u128(7)),
            kind: EventKind::LicenseCreated,
            occurred_at: Timestamp::from_second(1_790_000_000).unwrap(),
            livemode: true,
            tenant: TenantId(Uuid::from_u128(1)),
            data,
        }
    }

    fn data() -> EventData {
        let order = OrderTold {
            id: OrderId(Uuid::from_u128(3)),
            connection: "stripe".into(),
            references: vec!["in_1".into(), "cs_1".into()],
            refunded: Vec::new(),
            disputes: Vec::new(),
        };
        let customer = CustomerTold { id: None, reference: None, email: Some("ada@example.com".into()), name: None };
        EventData { order: Some(order), customer: Some(customer), ..EventData::default() }
    }

    #[test]
    fn a_term_that_had_no_end_is_read_back_as_it_was_written() {
        for (until, written) in [
            (None, "{}"),
            (Some(None), r#"{"until":null}"#),
            (Some(Some(Timestamp::UNIX_EPOCH)), r#"{"until":"1970-01-01T00:00:00Z"}"#),
        ] {
            let previous = Previous { until, ..Previous::default() };
            assert_eq!(serde_json::to_string(&previous).unwrap(), written);
            assert_eq!(serde_json::from_str::<Previous>(written).unwrap(), previous, "{written}");
        }
    }

    #[test]
    fn a_body_says_what_was_written_down_byte_by_byte_and_the_key() {
        let written = r#"{"order":{"id":"x"}, "later":[1, 2]}"#;
        let body = |key| envelope(written).body(EventStyle::Standard, key).unwrap();
        assert!(body(None).ends_with(&format!(r#""data":{written}}}"#)), "{}", body(None));
        assert!(body(Some("A\"B")).ends_with(r#""data":{"key":"A\"B","order":{"id":"x"}, "later":[1, 2]}}"#));
        assert!(envelope("{}").body(EventStyle::Standard, Some("K")).unwrap().ends_with(r#""data":{"key":"K"}}"#));
        let document: Value = serde_json::from_str(&body(None)).unwrap();
        assert_eq!(document["type"], "license.created");
        assert_eq!(document["timestamp"], "2026-09-21T14:13:20Z");
        assert!(document["id"].as_str().unwrap().starts_with("evt_") && document["version"] == EVENT_VERSION);
    }

    #[test]
    fn the_documents_payload_has_exactly_its_members() {
        let written = serde_json::to_string(&data()).unwrap();
        let body = envelope(&written).body(EventStyle::Keylight, Some("ACME-1")).unwrap();
        let told: Value = serde_json::from_str(&body).unwrap();
        let expected = json!({
            "id": "00000000-0000-0000-0000-000000000007", "created": 1_790_000_000, "version": "2026-05-01",
            "event": "license.created", "tenant_id": TenantId(Uuid::from_u128(1)), "key": "ACME-1", "product_id": null,
            "key_type_id": null, "customer_email": "ada@example.com", "session_id": "cs_1",
        });
        assert_eq!(told, expected);
        assert!(envelope("nonsense").body(EventStyle::Keylight, None).is_err());
    }

    #[test]
    fn what_was_written_down_reads_again() {
        let written = serde_json::to_string(&data()).unwrap();
        assert_eq!(serde_json::from_str::<EventData>(&written).unwrap(), data());
        let renewed = EventData { previous: Some(Previous { until: Some(None), ..Previous::default() }), ..data() };
        assert!(serde_json::to_string(&renewed).unwrap().contains(r#""previous":{"until":null}"#));
    }
}
