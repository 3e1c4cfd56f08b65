//! A call with the vendor's own names in it, to be pasted into a terminal.

use serde_json::{Map, Value, json};

use super::document::{Key, Operation, Reference};

/// How deep an example goes.
const DEPTH_MAX: usize = 3;

/// What the vendor calls things.
pub(crate) struct Own {
    pub(crate) server: String,
    pub(crate) tenant: String,
    pub(crate) product: String,
    pub(crate) prefix: String,
    pub(crate) plan: String,
    pub(crate) livemode: bool,
}

impl Own {
    /// How a license key looks.
    pub(crate) fn key(&self) -> String {
        format!("{}-XXXX-XXXX-XXXX-XXXX", self.prefix)
    }

    /// What stands in a field of this name, wherever it is.
    fn field(&self, name: &str) -> Option<Value> {
        Some(match name {
            "product" | "product_id" => json!(self.product),
            "plan" | "key_type_id" | "tier" => json!(self.plan),
            "email" | "customer_email" => json!("ada@example.com"),
            "key" => json!(self.key()),
            "fingerprint" => json!("DEVICE"),
            "url" => json!("https://example.com/hooks"),
            "success_url" => json!("https://example.com/thanks"),
            "cancel_url" => json!("https://example.com/"),
            _ => return None,
        })
    }

    fn in_path(&self, name: &str, id: Option<&str>) -> String {
        match (name, id) {
            ("id", Some(id)) => id.to_owned(),
            ("tenant", _) => self.tenant.clone(),
            ("provider", _) => "stripe".to_owned(),
            ("kind", _) => "license_delivery".to_owned(),
            (name, _) => name.to_uppercase(),
        }
    }
}

/// The call, for a shell. `id` is what the path could name.
pub(crate) fn call(reference: &Reference, operation: &Operation, own: &Own, id: Option<&str>) -> String {
    let parts =
        operation.path.split('/').map(|part| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            Some(name) => own.in_path(name, id),
            None => part.to_owned(),
        });
    let path = parts.collect::<Vec<_>>().join("/");
    let mut lines = vec![match operation.method {
        "GET" => format!("curl {}{path}", own.server),
        "POST" if operation.body.is_some() => format!("curl {}{path}", own.server),
        method => format!("curl -X {method} {}{path}", own.server),
    }];
    if operation.key.is_some() {
        let kind = match (&operation.key, own.livemode) {
            (Some(Key::Checkout), true) => "kw_checkout_…",
            (Some(Key::Checkout), false) => "kw_checkout_test_…",
            (_, true) => "kw_live_…",
            (_, false) => "kw_test_…",
        };
        lines.push(format!("-H 'Authorization: Bearer {kind}'"));
    }
    if let Some(body) = &operation.body {
        let document = reference.example(&body.schema, own, 0);
        let text = serde_json::to_string_pretty(&document).unwrap_or_default().replace('\'', "'\\''");
        lines.push("-H 'Content-Type: application/json'".to_owned());
        lines.push(format!("-d '{text}'"));
    }
    lines.join(" \\\n  ")
}

impl Reference {
    /// A value of a schema: of an object what is needed, or what has an example where nothing is.
    fn example(&self, schema: &Value, own: &Own, depth: usize) -> Value {
        let resolved = self.resolved(schema);
        if let Some(example) = [schema, resolved].into_iter().find_map(|schema| schema.get("example")) {
            return example.clone();
        }
        if let Some(first) = resolved["enum"].get(0) {
            return first.clone();
        }
        let kind = match &resolved["type"] {
            Value::Array(several) => several.iter().find(|word| *word != "null").cloned().unwrap_or_default(),
            one => one.clone(),
        };
        match (kind.as_str(), resolved["format"].as_str()) {
            (Some("string"), Some("date-time")) => json!("2027-01-01T00:00:00Z"),
            (Some("string"), _) => json!("…"),
            (Some("integer" | "number"), _) => resolved.get("default").cloned().unwrap_or_else(|| json!(1)),
            (Some("boolean"), _) => json!(true),
            (Some("array"), _) if depth < DEPTH_MAX => json!([self.example(&resolved["items"], own, depth + 1)]),
            _ => self.example_object(schema, own, depth),
        }
    }

    fn example_object(&self, schema: &Value, own: &Own, depth: usize) -> Value {
        let fields = self.properties(schema);
        let needs_some = fields.iter().any(|(_, _, is_needed)| *is_needed);
        let is_known = |name: &str, field: &Value| own.field(name).is_some() || field.get("example").is_some();
        // An app without its device says little: what is known is shown at the top, even where it may be left out.
        let is_shown = |name: &str, field: &Value, is_needed: bool| match depth {
            0 => {
                is_needed || (!needs_some || OFTEN.contains(&name)) && (is_known(name, field) || OFTEN.contains(&name))
            }
            _ => is_needed,
        };
        let shown = fields.into_iter().filter(|(name, field, is_needed)| is_shown(name, field, *is_needed));
        let value = |(name, field, _): (&str, &Value, bool)| {
            let value = own.field(name).unwrap_or_else(|| self.example(field, own, depth + 1));
            (name.to_owned(), value)
        };
        Value::Object(shown.map(value).collect::<Map<_, _>>())
    }
}

/// Fields that may be left out, and that hardly anybody leaves out.
const OFTEN: [&str; 4] = ["product", "device", "email", "quantity"];
