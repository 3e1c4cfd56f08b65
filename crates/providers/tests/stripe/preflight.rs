//! What a restricted key lacks.

use std::collections::BTreeSet;

use domain::{
    money::{Currency, Money},
    plan::PlanPrice,
    text::{CustomerReference, PlanCode, PriceReference},
};
use providers::{
    Level, Provider,
    calls::{KeyCheck, Uses, WriteBack},
    http::{Answer, Request},
    selling::{NewCheckout, NewPrice},
    stripe::Stripe,
};
use secrecy::SecretString;
use serde_json::json;

use crate::support::at;

const READ: Uses = Uses { level: Level::Read, write_back: false, create_webhook: false, sells: false };
const ALL: Uses = Uses { level: Level::Full, write_back: true, create_webhook: true, sells: true };

/// As Stripe refuses.
fn forbidden(permission: &str) -> String {
    let message = format!(
        "The provided key 'rk_test_…' does not have the required permissions for this endpoint on account 'acct_1'. \
         Having the '{permission}' permission would allow this request to continue."
    );
    json!({ "error": { "type": "invalid_request_error", "message": message } }).to_string()
}

fn answered(request: &Request, status: u16, body: &str) -> Answer {
    Answer { request: request.clone(), asked_at: at(0), status, body: body.into() }
}

/// Every question is answered so: a status and a body.
fn check(uses: Uses, answer: impl Fn(&Request) -> (u16, String)) -> KeyCheck {
    let answers = Stripe.preflight(uses).into_iter().map(|request| {
        let (status, body) = answer(&request);
        answered(&request, status, &body)
    });
    Stripe.check_key(uses, &answers.collect::<Vec<_>>(), false)
}

fn codes(check: &KeyCheck) -> Vec<&str> {
    check.missing.iter().map(|missing| missing.code.as_str()).collect()
}

fn nothing_there(_: &Request) -> (u16, String) {
    (404, json!({ "error": { "message": "No such object" } }).to_string())
}

#[test]
fn each_use_asks_for_as_little_as_it_needs() {
    for (uses, count, writes) in [
        (Uses::default(), 0, 0),
        (READ, 4, 0),
        (Uses { write_back: true, ..READ }, 5, 1),
        (Uses { level: Level::Full, ..READ }, 5, 0),
        (Uses { sells: true, ..READ }, 7, 3),
        (ALL, 10, 5),
    ] {
        let questions = Stripe.preflight(uses);
        assert_eq!(questions.len(), count, "{uses:?}");
        assert_eq!(questions.iter().filter(|question| question.post.is_some()).count(), writes, "{uses:?}");
    }
}

#[test]
fn every_question_is_about_something_that_cannot_be_there() {
    for question in Stripe.preflight(ALL) {
        assert!(question.path.contains("_keywright_preflight"), "{}", question.path);
        if let Some(post) = question.post {
            assert_eq!(post.content.body(), "", "{}", question.path);
        }
    }
}

#[test]
fn a_key_that_may_ask_lacks_nothing_whatever_it_finds() {
    assert_eq!(check(ALL, nothing_there), KeyCheck::default());
    assert_eq!(check(ALL, |_| (200, "{}".into())), KeyCheck::default());
    assert_eq!(check(ALL, |_| (400, "{}".into())), KeyCheck::default());
}

#[test]
fn what_stripe_names_is_missing_and_its_form_has_all_filled_in() {
    let found = check(READ, |request| match request.path.starts_with("/v1/events") {
        true => (403, forbidden("rak_event_read")),
        false => nothing_there(request),
    });
    assert_eq!(codes(&found), ["rak_event_read"]);
    let missing = &found.missing[0];
    assert_eq!((missing.name.as_str(), missing.without), ("Events: read", "webhooks that were lost are not caught up"));
    assert_eq!(
        found.link.as_deref(),
        Some(
            "https://dashboard.stripe.com/test/apikeys/create?name=Keywright\
             &permissions%5B0%5D=rak_checkout_session_read&permissions%5B1%5D=rak_invoice_read\
             &permissions%5B2%5D=rak_event_read"
        )
    );
    let answers: Vec<Answer> =
        Stripe.preflight(READ).iter().map(|request| answered(request, 403, &forbidden("rak_x_read"))).collect();
    let live = Stripe.check_key(READ, &answers, true);
    assert_eq!(codes(&live), ["rak_x_read"], "named by four questions, and once is enough");
    let link = live.link.expect("a form");
    assert!(
        link.starts_with("https://dashboard.stripe.com/apikeys/create?") && link.ends_with("=rak_x_read"),
        "{link}"
    );
}

#[test]
fn a_refusal_that_names_nothing_sensible_stands_for_what_was_asked() {
    for body in [
        String::new(),
        json!({ "error": { "message": "Forbidden." } }).to_string(),
        forbidden(""),
        forbidden("event_read"),
        forbidden("rak_x&permissions[9]=rak_everything_write"),
        forbidden("rak_<script>"),
    ] {
        let found = check(READ, |request| match request.path.starts_with("/v1/events") {
            true => (403, body.clone()),
            false => nothing_there(request),
        });
        assert_eq!(codes(&found), ["rak_event_read"], "{body}");
    }
}

#[test]
fn one_permission_for_two_paths_is_missing_once() {
    for refused in ["/v1/invoice_payments?", "/v1/invoices/", "/v1/invoice"] {
        let found = check(ALL, |request| match request.path.starts_with(refused) {
            true => (403, forbidden("rak_invoice_read")),
            false => nothing_there(request),
        });
        assert_eq!(codes(&found), ["rak_invoice_read"], "{refused}");
        assert_eq!(found.link.unwrap_or_default().matches("=rak_invoice_read").count(), 1, "{refused}");
    }
}

#[test]
fn what_is_written_is_asked_for_and_nothing_else() {
    let (customer, key) = (CustomerReference::from("cus_1"), SecretString::from("KEY"));
    let note = WriteBack { license: "lic_00000000000000000000000001".parse().unwrap(), customer: &customer, key: &key };
    let calls = [Stripe.write_back(&note).unwrap(), Stripe.create_webhook("https://kw.example/hook", "1").unwrap()];
    let folder = |request: &Request| request.path.split('/').nth(2).map(str::to_owned);
    let sold = sold();
    // A price is made with its product, which the call does not name in its path.
    assert!(sold[0].post.as_ref().unwrap().content.body().contains("product_data["), "{:?}", sold[0]);
    let sold: BTreeSet<_> = sold.iter().map(folder).chain([Some("products".to_owned())]).collect();
    for (uses, written) in [
        (Uses { sells: false, ..ALL }, calls.iter().map(folder).collect()),
        (Uses { sells: true, ..Uses::default() }, sold),
    ] {
        let questions = Stripe.preflight(Uses { level: Level::None, ..uses });
        assert!(questions.iter().all(|question| question.post.is_some()));
        assert_eq!(questions.iter().map(folder).collect::<BTreeSet<_>>(), written, "{uses:?}");
    }
}

/// Every call that selling makes.
fn sold() -> [Request; 3] {
    let shop = Stripe.selling().expect("a way to sell");
    let plan = PlanCode::new("pro");
    let price = PlanPrice { money: Money::new(4_900, Currency::parse("EUR")), every: None };
    let reference = PriceReference::new("price_1");
    let checkout = NewCheckout {
        product: "studio",
        plan: &plan,
        reference: &reference,
        price: &price,
        success_url: "https://app.example/thanks",
        cancel_url: "https://app.example/pricing",
        email: None,
        fee_ten_thousandths: Some(50),
        attempt: "1",
    };
    [
        shop.create_price(&NewPrice { plan: &plan, name: "Pro", price: &price, attempt: "1" }),
        shop.archive_price(&reference),
        shop.create_checkout(&checkout),
    ]
}

#[test]
fn who_may_write_may_read_so_the_form_has_one_choice_for_each_thing() {
    let uses = Uses { sells: true, ..READ };
    let found = check(uses, |request| match request.path.starts_with("/v1/checkout/sessions/") {
        true if request.post.is_some() => (403, forbidden("rak_checkout_session_write")),
        _ => nothing_there(request),
    });
    assert_eq!(codes(&found), ["rak_checkout_session_write"]);
    assert_eq!(found.missing[0].name, "Checkout Sessions: write");
    let link = found.link.expect("a form");
    let expected =
        ["rak_invoice_read", "rak_event_read", "rak_plan_write", "rak_product_write", "rak_checkout_session_write"];
    let filled: Vec<_> = link.split('&').skip(1).filter_map(|field| Some(field.split_once('=')?.1)).collect();
    assert_eq!(filled, expected);
}

#[test]
fn a_key_that_stripe_does_not_know_lacks_no_permission() {
    let body = json!({ "error": { "message": "Invalid API Key provided: rk_test_****abcd" } }).to_string();
    let found = check(READ, |_| (401, body.clone()));
    assert_eq!(found.refused.as_deref(), Some("Invalid API Key provided: rk_test_****abcd"));
    assert_eq!((found.missing, found.link), (Vec::new(), None));
}

#[test]
fn a_question_without_an_answer_shows_nothing() {
    assert_eq!(Stripe.check_key(ALL, &[], true), KeyCheck::default());
}

#[test]
fn a_provider_without_permissions_has_nothing_to_check() {
    use providers::manual::Manual;
    assert_eq!(Manual.preflight(ALL), []);
    assert_eq!(Manual.check_key(ALL, &[], true), KeyCheck::default());
}
