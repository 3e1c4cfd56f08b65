//! The OpenAPI document, made from the same list as the router.

use std::sync::LazyLock;

use axum::{
    http::{HeaderValue, header},
    response::IntoResponse,
};
use utoipa::{
    OpenApi,
    openapi::{
        Components, Content, Ref, RefOr, ResponseBuilder,
        path::{Operation, ParameterBuilder, ParameterIn, PathItem, Paths},
        schema::{ObjectBuilder, Type},
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use crate::{
    Api, idempotency,
    problem::{self, ProblemDocument},
};

/// The name of the answer that stands for every refusal.
const PROBLEM: &str = "Problem";

const ABOUT: &str = "\
Turns a payment into a working license and keeps that license true for as long as the customer pays.

**Keys.** Send `Authorization: Bearer kw_live_…`. A test key (`kw_test_…`) sees test data only, a live key live data only; \
products and plans belong to both. Each operation names the scope that it needs.

**Refusals** are problem documents (RFC 9457) with a `code` for programs and a `request_id` for support. A verdict about a \
license is never a refusal: it is 200 with `valid` and `code`.

**Repeating.** Send an `Idempotency-Key` with a POST: made again within 24 hours, it gets the answer of the first call and \
does nothing. Each API key has idempotency keys of its own.

**Addresses.** Whatever needs an API key is answered below `/api/v1` as well as below `/v1`.

**Lists** are the newest first, `limit` at a time; go on with `after` or `before`.

**Values.** Ids have prefixes and sort by time. Times are RFC 3339 in UTC. Amounts are in the smallest unit of their currency.";

#[derive(OpenApi)]
#[openapi(
    info(title = "Keywright", version = "1", description = ABOUT, license(name = "Apache-2.0", identifier = "Apache-2.0")),
    components(schemas(ProblemDocument)),
    tags(
        (name = "apps", description = "What apps call. The license key is all they need."),
        (name = "licenses", description = "Issue, look up, and rule about licenses."),
        (name = "orders", description = "Everything known about a sale."),
        (name = "customers", description = "Buyers."),
        (name = "catalogue", description = "What is sold, and what a provider's price gives."),
        (name = "connections", description = "Accounts at payment providers."),
        (name = "inbound events", description = "What providers delivered, and what it did."),
        (name = "api keys", description = "Who may call."),
        (name = "checkout", description = "Where buyers are sent to pay."),
        (name = "mails", description = "What buyers are written, and how vendors change it."),
        (name = "attention", description = "What needs a person."),
        (name = "alerts", description = "By which ways they hear of it."),
        (name = "audit", description = "Who changed what."),
        (name = "webhooks", description = "Where providers deliver."),
        (name = "operators", description = "How the server is."),
    )
)]
struct About;

/// Adds routes under the address that the list shows. That the handler has the same address is asserted, so the list is
/// true.
pub(crate) trait At {
    /// `address` is the methods, then the path.
    fn at(self, address: &str, routes: UtoipaMethodRouter<Api>) -> Self;
}

impl At for OpenApiRouter<Api> {
    fn at(self, address: &str, routes: UtoipaMethodRouter<Api>) -> Self {
        assert_eq!(address_of(&routes.1), address, "the list of routes and the handler differ");
        self.routes(routes)
    }
}

fn address_of(paths: &Paths) -> String {
    let of_path = |(path, item): (&String, &PathItem)| {
        let methods = [
            ("GET", item.get.is_some()),
            ("POST", item.post.is_some()),
            ("PUT", item.put.is_some()),
            ("PATCH", item.patch.is_some()),
            ("DELETE", item.delete.is_some()),
        ];
        let methods = methods.iter().filter(|(_, is_there)| *is_there).map(|(method, _)| *method);
        methods.chain([path.as_str()]).collect::<Vec<_>>().join(" ")
    };
    paths.paths.iter().map(of_path).collect::<Vec<_>>().join(" ")
}

static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    let mut document = About::openapi();
    document.merge(crate::open_routes().into_openapi());
    document.merge(crate::keyed_routes().into_openapi());
    document.merge(crate::named_routes().into_openapi());
    let components = document.components.get_or_insert_default();
    add_components(components);
    for item in document.paths.paths.values_mut() {
        let operations =
            [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete].into_iter().flatten();
        for operation in operations {
            complete(operation);
        }
        if let Some(post) = item.post.as_mut().filter(|post| post.security.is_some()) {
            post.parameters.get_or_insert_default().push(RefOr::T(idempotency_key()));
        }
    }
    let mut text =
        document.to_pretty_json().unwrap_or_else(|error| unreachable!("the document has a JSON form: {error}"));
    text.push('\n');
    text
});

fn add_components(components: &mut Components) {
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("kw_live_…")
        .description(Some("An API key. `keywright api-key create` makes one."))
        .build();
    components.add_security_scheme("api_key", SecurityScheme::Http(scheme));
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("kw_checkout_…")
        .description(Some("A checkout key, which opens checkouts and nothing else. `POST /v1/api-keys` makes one."))
        .build();
    components.add_security_scheme("checkout_key", SecurityScheme::Http(scheme));
    let content = Content::new(Some(RefOr::Ref(Ref::from_schema_name(PROBLEM))));
    let problem = ResponseBuilder::new()
        .description("What was wrong, where, and what to do.")
        .content(problem::MEDIA_TYPE, content)
        .build();
    components.responses.insert(PROBLEM.to_owned(), RefOr::T(problem));
}

/// Every answer has a description, and whatever an operation refuses is a problem document.
fn complete(operation: &mut Operation) {
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response
            && response.description.is_empty()
        {
            "What was asked for.".clone_into(&mut response.description);
        }
    }
    operation.responses.responses.insert("default".to_owned(), RefOr::Ref(Ref::from_response_name(PROBLEM)));
}

fn idempotency_key() -> utoipa::openapi::path::Parameter {
    let text =
        ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(idempotency::KEY_MAX));
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(utoipa::openapi::Required::False)
        .description(Some("Made again with the same key, the call gets the same answer and does nothing."))
        .schema(Some(text.build()))
        .build()
}

/// The OpenAPI 3.1 document of all routes.
#[must_use]
pub fn document() -> &'static str {
    &DOCUMENT
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "operators", operation_id = "get_openapi_document",
    responses((status = 200, description = "OpenAPI 3.1.", body = Object)))]
pub(crate) async fn serve() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], document())
}
