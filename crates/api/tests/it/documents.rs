//! The OpenAPI document: what is committed is what the server serves, and every route is in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use engine::api_keys::Scope;
use serde_json::Value;

use crate::shop::Shop;

/// Set to rewrite the committed document.
const UPDATE: &str = "UPDATE_OPENAPI";
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// An operation of the document.
pub(crate) struct Operation {
    /// In upper case.
    pub(crate) method: String,
    pub(crate) path: String,
    /// None: it asks for no API key.
    pub(crate) scope: Option<Scope>,
    pub(crate) document: Value,
}

/// All operations of the document.
pub(crate) fn operations() -> Vec<Operation> {
    let document: Value = serde_json::from_str(api::document()).unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in METHODS {
            if let Some(operation) = item.get(method) {
                let scope = operation["security"][0]["api_key"][0].as_str();
                operations.push(Operation {
                    method: method.to_uppercase(),
                    path: path.clone(),
                    scope: scope.map(|scope| scope.parse().unwrap()),
                    document: operation.clone(),
                });
            }
        }
    }
    operations
}

#[test]
fn the_committed_document_is_the_one_that_is_served() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&file, api::document()).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    let differs = "crates/api/openapi.json differs from the routes; run the tests of `api` with UPDATE_OPENAPI=1 and look at the change";
    assert!(committed == api::document(), "{differs}");
}

#[tokio::test]
async fn the_document_is_served() {
    let shop = Shop::sqlite().await;
    let answer = shop.call("GET", "/openapi.json").send().await;
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.text, api::document());
    assert_eq!(answer.json()["openapi"], "3.1.0");
}

#[tokio::test]
async fn every_route_is_in_the_document_and_the_other_way_round() {
    let shop = Shop::sqlite().await;
    // The router shows its routes to nobody else.
    let shown = format!("{:?}", shop.router);
    let routes: BTreeSet<&str> = shown
        .split('"')
        .filter(|piece| piece.starts_with('/') && *piece != "/" && !piece.contains("__private__"))
        .collect();
    let documented = operations();
    // Whatever needs an API key is below `/api` too, as the document says once for all.
    let below_api = |operation: &Operation| operation.scope.map(|_| format!("/api{}", operation.path));
    let below_api: Vec<(String, &str)> = documented
        .iter()
        .filter(|operation| operation.path.starts_with("/v1/"))
        .filter_map(|operation| Some((below_api(operation)?, operation.method.as_str())))
        .collect();
    let listed = documented.iter().map(|operation| (operation.path.as_str(), operation.method.as_str()));
    let all: BTreeSet<(&str, &str)> =
        listed.chain(below_api.iter().map(|(path, method)| (path.as_str(), *method))).collect();
    let paths: BTreeSet<&str> = all.iter().map(|(path, _)| *path).collect();
    assert_eq!(routes, paths);
    for path in paths {
        let methods: BTreeSet<&str> = all.iter().filter(|(of, _)| *of == path).map(|(_, method)| *method).collect();
        for method in METHODS.map(str::to_uppercase) {
            let answer = shop.call(&method, path).send().await;
            let is_there = answer.status != 405 && !answer.text.contains(r#""code":"no_route""#);
            assert_eq!(is_there, methods.contains(method.as_str()), "{method} {path}: {}", answer.text);
        }
    }
}

#[test]
fn every_operation_says_what_it_is_what_it_refuses_and_what_it_needs() {
    let mut ids = BTreeMap::new();
    for Operation { method, path, scope, document } in operations() {
        let id = document["operationId"].as_str().unwrap().to_owned();
        let what = format!("{method} {path} ({id})");
        assert!(document["summary"].as_str().is_some_and(|summary| summary.ends_with('.')), "{what} has no sentence");
        assert_eq!(document["tags"].as_array().unwrap().len(), 1, "{what}");
        assert_eq!(document["responses"]["default"]["$ref"], "#/components/responses/Problem", "{what}");
        let takes_key = document["parameters"].to_string().contains("Idempotency-Key");
        let asks_for_key = !document["security"].is_null();
        assert_eq!(takes_key, method == "POST" && asks_for_key, "{what}");
        let is_below_v1 = path.trim_start_matches("/api").starts_with("/v1/");
        assert_eq!(is_below_v1, scope.is_some() || is_for_anybody(&path), "{what} asks for no API key");
        assert_eq!(ids.insert(id, what.clone()), None, "{what} has the id of another operation");
    }
}

/// Routes under `/v1` that ask for no API key: what apps and providers call.
fn is_for_anybody(path: &str) -> bool {
    matches!(path, "/v1/activate" | "/v1/check" | "/v1/deactivate" | "/v1/sign-up" | "/v1/webhooks/{provider}/{tenant}")
}

#[test]
fn every_reference_leads_somewhere() {
    let document: Value = serde_json::from_str(api::document()).unwrap();
    let mut missing = BTreeSet::new();
    walk(&document, &mut |reference| {
        let pointer = reference.trim_start_matches('#');
        if document.pointer(pointer).is_none() {
            missing.insert(reference.to_owned());
        }
    });
    assert_eq!(missing, BTreeSet::new());
}

fn walk(value: &Value, visit: &mut dyn FnMut(&str)) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_str() {
                    Some(reference) if name == "$ref" => visit(reference),
                    _ => walk(value, visit),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, visit)),
        _ => {}
    }
}
