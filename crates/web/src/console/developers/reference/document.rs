//! The OpenAPI document as pages need it: operations by tag, and schemas as rows of fields.

use serde_json::{Map, Value};

/// How deep fields are shown within fields.
const DEPTH_MAX: usize = 3;
/// The methods, as the document and as people write them.
const METHODS: [(&str, &str); 5] =
    [("get", "GET"), ("post", "POST"), ("put", "PUT"), ("patch", "PATCH"), ("delete", "DELETE")];

/// All that can be called.
pub(crate) struct Reference {
    pub(crate) tags: Vec<Tag>,
    document: Value,
}

/// Operations about one thing.
pub(crate) struct Tag {
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) operations: Vec<Operation>,
}

/// Something that can be called.
pub(crate) struct Operation {
    pub(crate) id: String,
    pub(crate) method: &'static str,
    pub(crate) path: String,
    /// What it does, in a sentence.
    pub(crate) summary: String,
    /// What else there is to say.
    pub(crate) more: String,
    /// The key that it asks for; none: it asks for none.
    pub(crate) key: Option<Key>,
    pub(crate) parameters: Vec<Row>,
    pub(crate) body: Option<Body>,
    pub(crate) answers: Vec<Answer>,
}

/// Which API key a call needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// One with this scope.
    Scope(String),
    /// One for checkouts.
    Checkout,
}

/// A field or parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// Within how many others it stands.
    pub(crate) depth: usize,
    pub(crate) name: String,
    /// Of which type it is, and what it may be.
    pub(crate) kind: String,
    pub(crate) about: String,
    pub(crate) is_needed: bool,
}

/// What is sent.
#[derive(Clone)]
pub(crate) struct Body {
    pub(crate) about: String,
    pub(crate) is_needed: bool,
    pub(crate) rows: Vec<Row>,
    pub(super) schema: Value,
}

/// What may be answered.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) status: String,
    pub(crate) about: String,
    pub(crate) rows: Vec<Row>,
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

/// A text for people; code is not set apart in it.
fn words(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().replace('`', "")
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

impl Operation {
    /// Whether all these words, in small letters, stand in it.
    pub(crate) fn is_about(&self, words: &str) -> bool {
        let key = self.needs();
        let all = format!("{} {} {} {key}", self.method, self.path, self.summary).to_lowercase();
        words.split_whitespace().all(|word| all.contains(word))
    }

    /// What a caller needs, as a sentence.
    pub(crate) fn needs(&self) -> String {
        match &self.key {
            Some(Key::Scope(scope)) => format!("An API key with the scope {scope}."),
            Some(Key::Checkout) => "A key for checkouts (kw_checkout_…).".to_owned(),
            None => "No API key.".to_owned(),
        }
    }
}

impl Reference {
    /// Reads the document. One that does not read has no operations.
    pub(crate) fn read(json: &str) -> Self {
        let document: Value = serde_json::from_str(json).unwrap_or_default();
        let mut reference = Self { tags: Vec::new(), document };
        let tags = array(&reference.document["tags"]).iter();
        let mut tags: Vec<Tag> = tags
            .map(|tag| Tag { name: text(tag, "name"), about: text(tag, "description"), operations: Vec::new() })
            .collect();
        for (path, item) in reference.document["paths"].as_object().into_iter().flatten() {
            for (word, method) in METHODS {
                let Some(operation) = item.get(word) else { continue };
                let name = operation["tags"][0].as_str().unwrap_or_default();
                if let Some(tag) = tags.iter_mut().find(|tag| tag.name == name) {
                    tag.operations.push(reference.operation_at(method, path, operation));
                }
            }
        }
        reference.tags = tags;
        reference
    }

    /// The operation of that id, and what it is about.
    pub(crate) fn operation(&self, id: &str) -> Option<(&Tag, &Operation)> {
        let of_tag = |tag: &Tag| tag.operations.iter().position(|operation| operation.id == id);
        self.tags.iter().find_map(|tag| Some((tag, &tag.operations[of_tag(tag)?])))
    }

    /// The operation that is called by that method at that route.
    pub(crate) fn called(&self, method: &str, route: &str) -> Option<&Operation> {
        let mut all = self.tags.iter().flat_map(|tag| &tag.operations).filter(|operation| operation.method == method);
        let alias = route.strip_prefix("/api").unwrap_or(route);
        let exact = all.clone().find(|operation| operation.path == route);
        exact.or_else(|| all.find(|operation| operation.path == alias))
    }

    fn operation_at(&self, method: &'static str, path: &str, operation: &Value) -> Operation {
        let scheme = operation["security"][0].as_object().and_then(|scheme| scheme.iter().next());
        let key = scheme.map(|(name, scopes)| match (name.as_str(), scopes[0].as_str()) {
            (_, Some(scope)) => Key::Scope(scope.to_owned()),
            _ => Key::Checkout,
        });
        let body = operation.get("requestBody").map(|body| {
            let schema = content(body);
            Body {
                about: words(self.resolved(schema), "description"),
                is_needed: body["required"] == true,
                rows: self.fields(schema),
                schema: schema.clone(),
            }
        });
        let answers = operation["responses"].as_object().into_iter().flatten();
        let answers = answers.filter(|(status, _)| status.as_str() != "default");
        let answer = |(status, answer): (&String, &Value)| Answer {
            status: status.clone(),
            about: words(answer, "description"),
            rows: self.fields(content(answer)),
        };
        Operation {
            id: text(operation, "operationId"),
            method,
            path: path.to_owned(),
            summary: words(operation, "summary"),
            more: words(operation, "description"),
            key,
            parameters: array(&operation["parameters"]).iter().map(|found| self.parameter(found)).collect(),
            body,
            answers: merged(answers.map(answer)),
        }
    }

    fn parameter(&self, parameter: &Value) -> Row {
        let place = match parameter["in"].as_str() {
            Some("path") => "in the path",
            Some("header") => "header",
            _ => "behind the ?",
        };
        Row {
            depth: 0,
            name: text(parameter, "name"),
            kind: format!("{}, {place}", self.kind(&parameter["schema"])),
            about: words(parameter, "description"),
            is_needed: parameter["required"] == true,
        }
    }

    /// The schema itself, where another one is named or none is possible as well.
    pub(super) fn resolved<'d>(&'d self, schema: &'d Value) -> &'d Value {
        if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
            return self.resolved(&self.document["components"]["schemas"][name]);
        }
        let choices = array(&schema["oneOf"]);
        match choices.iter().find(|choice| choice["type"] != "null") {
            Some(choice) => self.resolved(choice),
            None => schema,
        }
    }

    /// The fields of an object, by name; of several put together, all of theirs.
    pub(super) fn properties<'d>(&'d self, schema: &'d Value) -> Vec<(&'d str, &'d Value, bool)> {
        let schema = self.resolved(schema);
        let needed = array(&schema["required"]);
        let own = schema["properties"].as_object().into_iter().flatten();
        let own = own.map(|(name, field)| (name.as_str(), field, needed.iter().any(|needed| needed == name)));
        let parts = array(&schema["allOf"]).iter().flat_map(|part| self.properties(part));
        let mut all: Vec<_> = own.chain(parts).collect();
        // What is needed comes first.
        all.sort_by_key(|(_, _, is_needed)| !is_needed);
        all
    }

    fn fields(&self, schema: &Value) -> Vec<Row> {
        let mut rows = Vec::new();
        self.add_fields(schema, 0, &mut rows);
        rows
    }

    fn add_fields(&self, schema: &Value, depth: usize, rows: &mut Vec<Row>) {
        if depth > DEPTH_MAX {
            return;
        }
        let resolved = self.resolved(schema);
        if resolved["type"] == "array" {
            return self.add_fields(&resolved["items"], depth, rows);
        }
        for (name, field, is_needed) in self.properties(schema) {
            let about = [field, self.resolved(field)].map(|schema| words(schema, "description"));
            rows.push(Row {
                depth,
                name: name.to_owned(),
                kind: self.kind(field),
                about: about.into_iter().find(|about| !about.is_empty()).unwrap_or_default(),
                is_needed,
            });
            self.add_fields(field, depth + 1, rows);
        }
    }

    /// The type of a value in words.
    fn kind(&self, schema: &Value) -> String {
        let resolved = self.resolved(schema);
        let is_optional = array(&schema["oneOf"]).iter().any(|choice| choice["type"] == "null");
        let types: Vec<&str> = match &resolved["type"] {
            Value::String(one) => vec![one],
            several => array(several).iter().filter_map(Value::as_str).collect(),
        };
        let or_none = if is_optional || types.contains(&"null") { ", or null" } else { "" };
        let words = match types.iter().find(|word| **word != "null").copied().unwrap_or("object") {
            "string" => text_kind(resolved),
            "integer" => format!("whole number{}", bounds(resolved)),
            "number" => "number".to_owned(),
            "boolean" => "true or false".to_owned(),
            "array" => format!("list of {}", self.kind(&resolved["items"])),
            _ => "object".to_owned(),
        };
        format!("{words}{or_none}")
    }
}

/// The fields of a document that is there, with what each holds.
pub(crate) fn rows_of(document: &Value) -> Vec<Row> {
    fn add(value: &Value, depth: usize, rows: &mut Vec<Row>) {
        for (name, value) in value.as_object().into_iter().flatten() {
            let (kind, about) = match value {
                Value::Object(_) => ("object".to_owned(), String::new()),
                Value::Array(several) => {
                    let kind = if several.first().is_some_and(Value::is_object) { "objects" } else { "texts" };
                    (format!("list of {kind}"), String::new())
                }
                Value::String(text) => ("text".to_owned(), format!("Such as {text}")),
                Value::Number(number) => ("number".to_owned(), format!("Such as {number}")),
                Value::Bool(_) => ("true or false".to_owned(), String::new()),
                Value::Null => ("nothing here".to_owned(), String::new()),
            };
            rows.push(Row { depth, name: name.clone(), kind, about, is_needed: false });
            add(value.get(0).unwrap_or(value), depth + 1, rows);
        }
    }
    let mut rows = Vec::new();
    add(document, 0, &mut rows);
    rows
}

/// Answers one after the other, those that have the same fields as one.
fn merged(answers: impl Iterator<Item = Answer>) -> Vec<Answer> {
    let mut all: Vec<Answer> = Vec::new();
    for answer in answers {
        match all.last_mut().filter(|last| last.rows == answer.rows && last.about == answer.about) {
            Some(last) => last.status = format!("{} or {}", last.status, answer.status),
            None => all.push(answer),
        }
    }
    all
}

/// The schema of a body or an answer.
fn content(of: &Value) -> &Value {
    let media = of["content"].as_object().and_then(|content: &Map<String, Value>| content.values().next());
    media.map_or(&Value::Null, |media| &media["schema"])
}

fn text_kind(schema: &Value) -> String {
    let words: Vec<&str> = array(&schema["enum"]).iter().filter_map(Value::as_str).collect();
    match (words.as_slice(), schema["format"].as_str(), schema["maxLength"].as_u64()) {
        ([], Some("date-time"), _) => "time".to_owned(),
        ([], _, Some(longest)) => format!("text, {longest} characters at most"),
        ([], ..) => "text".to_owned(),
        ([one], ..) => (*one).to_owned(),
        (words, ..) => format!("one of {}", words.join(", ")),
    }
}

fn bounds(schema: &Value) -> String {
    match (schema["minimum"].as_i64().filter(|least| *least != 0), schema["maximum"].as_i64()) {
        (Some(least), Some(most)) => format!(", {least} to {most}"),
        (None, Some(most)) => format!(", {most} at most"),
        (Some(least), None) => format!(", {least} at least"),
        (None, None) => String::new(),
    }
}
