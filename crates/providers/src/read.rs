//! Reads what providers write, of whatever API version.
//!
//! Only the fields that are needed are read, and all of them are optional: an unknown value, a number written as text,
//! an object where an id was expected, or nonsense in one field must not cost the rest of the event.

use std::collections::BTreeMap;

use domain::{
    money::{Currency, Money},
    text::EmailAddress,
    time::stored,
};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

use crate::Malformed;

/// A list as the API writes it. Elements that are no objects are passed over.
#[derive(Debug, Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
pub(crate) struct List<T> {
    #[serde(default = "Vec::new", deserialize_with = "elements")]
    pub(crate) data: Vec<T>,
    #[serde(default, deserialize_with = "flag")]
    pub(crate) has_more: bool,
}

/// An id, whether alone or inside the object it stands for (Stripe calls that expanded).
pub(crate) fn id<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: for<'text> From<&'text str>,
{
    let value = Value::deserialize(deserializer)?;
    let text = match &value {
        Value::String(text) => Some(text.as_str()),
        Value::Object(object) => object.get("id").and_then(Value::as_str),
        _ => None,
    };
    Ok(text.filter(|text| !text.is_empty()).map(T::from))
}

/// As [`id`], and keeps apart whether the field is there at all: `Some(None)` is a null.
pub(crate) fn id_if_told<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: for<'text> From<&'text str>,
{
    id(deserializer).map(Some)
}

/// A text that says something.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) if !text.trim().is_empty() => Some(text),
        _ => None,
    })
}

/// A whole number, written as integer, decimal or text. Fractions of the smallest unit are dropped.
pub(crate) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Ok(whole(&Value::deserialize(deserializer)?))
}

fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().and_then(truncated)),
        Value::String(text) => text.trim().parse().ok().or_else(|| text.trim().parse().ok().and_then(truncated)),
        _ => None,
    }
}

fn truncated(number: f64) -> Option<i64> {
    // Every amount and every time of this world is far inside the whole numbers that a decimal holds exactly.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (number.abs() < EXACT).then_some(number as i64)
}

/// A moment, as RFC 3339 writes it.
pub(crate) fn instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    // Some have more digits than are kept.
    Ok(text(deserializer)?.and_then(|text| text.trim().parse().ok()).map(stored))
}

/// A name that may be a number: a whole number as it is counted, a text without the blanks around it.
pub(crate) fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(match &value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        other => whole(other).map(|number| number.to_string()),
    })
}

/// A moment, in seconds since 1970.
pub(crate) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    Ok(number(deserializer)?.and_then(|second| Timestamp::from_second(second).ok()))
}

/// The smallest number that is read as milliseconds since 1970 where seconds are possible, too: as milliseconds it is in
/// 1973, before anything was sold here, and as seconds in 5138.
const MILLISECONDS_MIN: i64 = 100_000_000_000;

/// A moment in seconds or in milliseconds since 1970, whichever its size says.
pub(crate) fn moment_of(number: i64) -> Option<Timestamp> {
    if number < MILLISECONDS_MIN {
        Timestamp::from_second(number).ok()
    } else {
        Timestamp::from_millisecond(number).ok()
    }
}

/// As [`moment_of`], of whatever form the number has.
pub(crate) fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    Ok(number(deserializer)?.and_then(moment_of))
}

/// Yes, if it says so, in a word or as databases write it.
pub(crate) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(value == Value::Bool(true) || value.as_i64() == Some(1))
}

/// Yes or no, if it says either.
pub(crate) fn flag_if_told<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    Ok(Value::deserialize(deserializer)?.as_bool())
}

/// An address, if it has the shape of one.
pub(crate) fn email<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<EmailAddress>, D::Error> {
    Ok(text(deserializer)?.and_then(|text| EmailAddress::parse(&text).ok()))
}

/// An object. Where only its id is given, an object that has that id and nothing else.
pub(crate) fn object<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let value = match Value::deserialize(deserializer)? {
        Value::String(id) => serde_json::json!({ "id": id }),
        other => other,
    };
    Ok(serde_json::from_value(value).ok())
}

/// A list, as far as its elements are what they should be.
pub(crate) fn elements<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let Value::Array(values) = Value::deserialize(deserializer)? else {
        return Ok(Vec::new());
    };
    Ok(values.into_iter().filter_map(|value| serde_json::from_value(value).ok()).collect())
}

/// What the vendor wrote on an object. Values are texts by contract.
pub(crate) fn metadata<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let Value::Object(entries) = Value::deserialize(deserializer)? else {
        return Ok(BTreeMap::new());
    };
    let texts = entries.into_iter().filter_map(|(key, value)| match value {
        Value::String(text) => Some((key, text)),
        _ => None,
    });
    Ok(texts.collect())
}

/// An amount. A checkout that cost nothing may name neither amount nor currency.
pub(crate) fn money(minor: Option<i64>, currency: Option<&str>) -> Money {
    Money::new(minor.unwrap_or(0), currency.map_or(Currency::NONE, Currency::parse))
}

/// The document of a body, and the fields of it that are read.
pub(crate) fn document<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<(&'b str, T), Malformed> {
    let text = str::from_utf8(body).map_err(|error| malformed(format!("the body is not UTF-8: {error}")))?;
    // A list would be read as the fields of an envelope, one after the other.
    if !text.trim_start().starts_with('{') {
        return Err(malformed("the body is not a JSON object".into()));
    }
    let fields =
        serde_json::from_str(text).map_err(|error| malformed(format!("the body is not a JSON object: {error}")))?;
    Ok((text, fields))
}

/// Why events of a kind that nobody translates say nothing about licenses: the reason whose beginning fits first.
pub(crate) fn reason_for(kind: &str, reasons: &[(&str, &'static str)]) -> &'static str {
    reasons.iter().find(|(beginning, _)| kind.starts_with(beginning)).map_or("", |(_, why)| why)
}

/// The refusal that names what is missing.
pub(crate) fn lacks(field: &str) -> Malformed {
    malformed(format!("`{field}` is missing"))
}

/// A refusal in these words.
pub(crate) const fn malformed(what: String) -> Malformed {
    Malformed { what }
}

#[cfg(test)]
mod tests {
    use domain::text::Reference;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Everything {
        #[serde(deserialize_with = "id")]
        id: Option<Reference>,
        #[serde(deserialize_with = "id_if_told")]
        told: Option<Option<Reference>>,
        #[serde(deserialize_with = "text")]
        text: Option<String>,
        #[serde(deserialize_with = "number")]
        number: Option<i64>,
        #[serde(deserialize_with = "time")]
        time: Option<Timestamp>,
        #[serde(deserialize_with = "moment")]
        moment: Option<Timestamp>,
        #[serde(deserialize_with = "instant")]
        instant: Option<Timestamp>,
        #[serde(deserialize_with = "name")]
        name: Option<String>,
        #[serde(deserialize_with = "flag")]
        flag: bool,
        #[serde(deserialize_with = "email")]
        email: Option<EmailAddress>,
        #[serde(deserialize_with = "object")]
        object: Option<Box<Everything>>,
        #[serde(deserialize_with = "object")]
        list: Option<List<Everything>>,
        #[serde(deserialize_with = "metadata")]
        metadata: BTreeMap<String, String>,
    }

    fn read(value: Value) -> Everything {
        serde_json::from_value(value).expect("nothing in one field costs the rest")
    }

    #[test]
    fn numbers_come_in_three_forms() {
        for (written, whole) in [
            (json!(1900), Some(1900)),
            (json!(-5), Some(-5)),
            (json!("1900"), Some(1900)),
            (json!(" 7 "), Some(7)),
            (json!(1900.0), Some(1900)),
            (json!("12.7"), Some(12)),
            (json!(1e300), None),
            (json!(u64::MAX), None),
            (json!("NaN"), None),
            (json!("many"), None),
            (json!(null), None),
            (json!([1]), None),
            (json!(true), None),
        ] {
            assert_eq!(read(json!({ "number": written })).number, whole, "{written}");
        }
    }

    #[test]
    fn moments_come_as_text() {
        for (written, instant) in [
            (json!("2026-09-21T14:13:20.000000Z"), Some("2026-09-21T14:13:20Z")),
            (json!("2026-09-21T16:13:20.5+02:00"), Some("2026-09-21T14:13:20.5Z")),
            (json!("2026-09-21T14:13:20.123456789Z"), Some("2026-09-21T14:13:20.123456Z")),
            (json!("2026-09-21"), None),
            (json!(1_790_000_000), None),
            (json!(null), None),
        ] {
            let read = read(json!({ "instant": written })).instant.map(|instant| instant.to_string());
            assert_eq!(read.as_deref(), instant, "{written}");
        }
    }

    #[test]
    fn a_name_may_be_a_number() {
        for (written, name) in [
            (json!(2), Some("2")),
            (json!(2.0), Some("2")),
            (json!(" Pro "), Some("Pro")),
            (json!(" "), None),
            (json!(null), None),
            (json!({}), None),
        ] {
            assert_eq!(read(json!({ "name": written })).name.as_deref(), name, "{written}");
        }
    }

    #[test]
    fn an_id_stands_alone_or_in_its_object() {
        for (written, id) in [
            (json!("pi_1"), Some("pi_1")),
            (json!({"id": "pi_1", "object": "payment_intent"}), Some("pi_1")),
            (json!({"id": "cus_1", "deleted": true}), Some("cus_1")),
            (json!(""), None),
            (json!({}), None),
            (json!(null), None),
            (json!(17), None),
        ] {
            assert_eq!(read(json!({ "id": written })).id, id.map(Reference::from), "{written}");
        }
        assert_eq!(read(json!({ "told": null })).told, Some(None));
        assert_eq!(read(json!({})).told, None);
        let inner = read(json!({ "object": "in_1" })).object.expect("an object that has that id");
        assert_eq!(inner.id, Some("in_1".into()));
    }

    #[test]
    fn nonsense_in_one_field_does_not_cost_the_others() {
        for nonsense in [json!(null), json!(3), json!("x"), json!([]), json!({}), json!([[{}]]), json!({"data": 3})] {
            let fields = [
                "told", "text", "number", "time", "moment", "instant", "name", "flag", "email", "object", "list",
                "metadata",
            ];
            let mut object = json!({ "id": "kept" });
            for field in fields {
                object[field] = nonsense.clone();
            }
            assert_eq!(read(object).id, Some("kept".into()), "{nonsense}");
        }
        let list = read(json!({ "list": { "data": [{"id": "a"}, 3, null, {"id": "b"}], "has_more": "yes" } })).list;
        let list = list.expect("a list");
        assert_eq!(list.data.iter().filter_map(|each| each.id.clone()).collect::<Vec<_>>(), ["a".into(), "b".into()]);
        assert!(!list.has_more);
    }

    #[test]
    fn moments_come_in_seconds_or_milliseconds() {
        for (written, moment) in [
            (json!(1_790_000_000), Some("2026-09-21T14:13:20Z")),
            (json!(1_790_000_000_123i64), Some("2026-09-21T14:13:20.123Z")),
            (json!("1790000000123"), Some("2026-09-21T14:13:20.123Z")),
            (json!(99_999_999_999i64), Some("5138-11-16T09:46:39Z")),
            (json!(100_000_000_000i64), Some("1973-03-03T09:46:40Z")),
            (json!(-1), Some("1969-12-31T23:59:59Z")),
            (json!(i64::MAX), None),
            (json!(i64::MIN), None),
            (json!("yesterday"), None),
        ] {
            let read = read(json!({ "moment": written })).moment.map(|moment| moment.to_string());
            assert_eq!(read.as_deref(), moment, "{written}");
        }
    }

    #[test]
    fn times_and_addresses_are_taken_only_if_they_can_be() {
        let at = |value| read(json!({ "time": value })).time.map(|time| time.to_string());
        assert_eq!(at(json!(1_790_000_000)), Some("2026-09-21T14:13:20Z".into()));
        assert_eq!(at(json!(i64::MAX)), None);
        assert_eq!(read(json!({ "email": "not an address" })).email, None);
        assert!(read(json!({ "email": " buyer@example.com " })).email.is_some());
        assert_eq!(read(json!({ "metadata": {"a": "b", "c": 3} })).metadata, [("a".into(), "b".into())].into());
        assert!(read(json!({ "flag": true })).flag && read(json!({ "flag": 1 })).flag);
        assert!(!read(json!({ "flag": 0 })).flag && !read(json!({ "flag": "true" })).flag);
        assert_eq!(read(json!({ "text": "  " })).text, None);
    }
}
