//! Mails: what vendors write for them, and what people do when one does not arrive.

use crypto::token::ApiKeyKind;
use engine::api_keys::Scope;
use jiff::SignedDuration;
use serde_json::{Value, json};
use store::testing::TestDatabase;

use crate::shop::{Shop, ids, paid};

fn list(list: &Value) -> &Vec<Value> {
    list["data"].as_array().unwrap()
}

const TEMPLATE: &str = "/v1/mail-templates/license-delivery";

async fn save(shop: &Shop, query: &str, body: Value) -> Value {
    shop.clock.advance(SignedDuration::from_secs(1));
    shop.call("PUT", &format!("{TEMPLATE}{query}")).key(&shop.live).json(body).succeed().await
}

async fn subject(shop: &Shop, body: Value) -> String {
    shop.post(&format!("{TEMPLATE}/preview"), body).await["subject"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_template_has_versions_on_sqlite() {
    a_template_has_versions(Shop::sqlite().await).await;
}

#[tokio::test]
async fn a_template_has_versions_on_postgres() {
    a_template_has_versions(Shop::open(TestDatabase::postgres().await).await).await;
}

async fn a_template_has_versions(shop: Shop) {
    let built_in = subject(&shop, json!({})).await;
    let first = save(&shop, "", json!({ "subject": "Your License Key is Ready" })).await;
    assert_eq!((&first["version"], &first["active"], &first["product"]), (&json!(1), &json!(true), &Value::Null));
    assert_eq!(subject(&shop, json!({})).await, "Your License Key is Ready");
    save(&shop, "", json!({ "subject": "Second" })).await;
    save(&shop, "?product=studio", json!({ "subject": "Of the studio" })).await;
    save(&shop, "?language=de", json!({ "subject": "Auf Deutsch" })).await;
    assert_eq!(subject(&shop, json!({})).await, "Of the studio", "the product's own goes first");
    assert_eq!(subject(&shop, json!({ "language": "de" })).await, "Auf Deutsch");

    let versions = shop.get("/v1/mail-templates?kind=license-delivery").await;
    let told: Vec<_> = list(&versions).iter().map(|row| (row["version"].clone(), row["active"].clone())).collect();
    assert_eq!(
        told,
        [(1, true), (1, true), (2, true), (1, false)].map(|(version, active)| (json!(version), json!(active)))
    );
    let remove = shop.call("DELETE", &format!("{TEMPLATE}?product=studio")).key(&shop.live).send().await;
    assert_eq!(remove.status, 204);
    assert_eq!(subject(&shop, json!({})).await, "Second");
    shop.post(&format!("{TEMPLATE}/restore"), json!({ "version": 1 })).await;
    assert_eq!(subject(&shop, json!({})).await, "Your License Key is Ready");
    let none = shop.call("POST", &format!("{TEMPLATE}/restore")).key(&shop.live).json(json!({ "version": 7 }));
    assert_eq!(none.refused().await, (404, "not_found".to_owned()));
    for _ in 0..2 {
        assert_eq!(shop.call("DELETE", TEMPLATE).key(&shop.live).send().await.status, 204);
    }
    assert_eq!(subject(&shop, json!({})).await, built_in);
    let entries = shop.get("/v1/audit-entries?limit=100").await;
    let count = |action: &str| list(&entries).iter().filter(|entry| entry["action"] == action).count();
    assert_eq!(["saved", "restored", "removed"].map(|word| count(&format!("mail_template.{word}"))), [4, 1, 2]);
}

#[tokio::test]
async fn a_template_that_would_not_work_is_not_saved() {
    let shop = Shop::sqlite().await;
    for (body, detail) in [
        (json!({}), "`subject` is missing"),
        (json!({ "text": "Hello" }), "`text` does not show the key"),
        (json!({ "html": "<p>Hello</p>" }), "`html` does not show the key"),
        (json!({ "html": "{{ key }}<script>x</script>" }), "`html` has a `<script>`"),
        (
            json!({ "text": "{{ key }}{{ key | indent(2000000000, true) }}" }),
            "`text` in line 1 uses the filter `indent`",
        ),
        (json!({ "text": format!("{{{{ {}key }}}}", "not ".repeat(200_000)) }), "`text` has 800009 bytes"),
        (json!({ "subject": "{{ nobody }}" }), "`subject` in line 1 asks for `nobody`, which is not known"),
    ] {
        for (method, path, body) in [
            ("PUT", TEMPLATE.to_owned(), body.clone()),
            ("POST", format!("{TEMPLATE}/preview"), json!({ "template": body })),
        ] {
            let answer = shop.call(method, &path).key(&shop.live).json(body).send().await;
            assert!(answer.status == 400 && answer.text.contains(detail), "{}", answer.text);
        }
    }
    for (query, status) in [("?language=fr", 400), ("?product=none", 400), ("?kind=x", 400)] {
        let call = shop.call("PUT", &format!("{TEMPLATE}{query}")).key(&shop.live).json(json!({ "subject": "x" }));
        assert_eq!(call.refused().await.0, status, "{query}");
    }
    let call = shop.call("PUT", "/v1/mail-templates/of-tomorrow").key(&shop.live).json(json!({ "subject": "x" }));
    assert_eq!(call.refused().await, (404, "not_found".to_owned()));
    assert_eq!(list(&shop.get("/v1/mail-templates").await).len(), 0);
}

#[tokio::test]
async fn a_preview_is_what_would_be_sent() {
    let shop = Shop::sqlite().await;
    let mail = shop.post(&format!("{TEMPLATE}/preview"), json!({})).await;
    let text = mail["text"].as_str().unwrap();
    assert_eq!((&mail["from"], &mail["reply_to"]), (&json!("Studio <keys@relay.test>"), &Value::Null));
    assert!(text.contains("Studio Basic"), "the first plan: {text}");
    assert!(text.contains("Questions? Reply to this mail"), "{text}");
}

#[tokio::test]
async fn a_preview_about_a_license_shows_its_key_to_those_who_may_see_it() {
    let shop = Shop::sqlite().await;
    shop.deliver(&paid("basic", true)).await;
    let license = ids(&shop.get("/v1/licenses").await)[0].clone();
    let key = shop.key_of(&license).await;
    let path = format!("{TEMPLATE}/preview");
    let template = json!({ "text": "{{ key }} of {{ product }}" });
    let body = |reveal_key: bool| json!({ "license": license, "template": template, "reveal_key": reveal_key });
    let masked = shop.post(&path, body(false)).await;
    assert!(!masked.to_string().contains(&key) && masked["text"].as_str().unwrap().contains('…'), "{masked}");
    let shown = shop.post(&path, body(true)).await;
    assert!(shown["text"].as_str().unwrap().contains(&key) && shown["html"].as_str().unwrap().contains(&key));
    let reader = shop.key("reader", ApiKeyKind::Live, &[Scope::MailRead]).await;
    let call = shop.call("POST", &path).key(&reader).json(body(true));
    assert_eq!(call.refused().await, (403, "forbidden".to_owned()));
    let not_so = shop.call("POST", "/v1/mail-templates/license-frozen/preview").key(&reader);
    assert_eq!(not_so.json(json!({ "license": license })).refused().await, (409, "conflict".to_owned()));
    let of_test = shop.call("POST", &path).key(&shop.test).json(body(false));
    assert_eq!(of_test.refused().await, (404, "not_found".to_owned()));
}

#[tokio::test]
async fn a_mail_is_sent_again_and_elsewhere_on_sqlite() {
    a_mail_is_sent_again_and_elsewhere(Shop::sqlite().await).await;
}

#[tokio::test]
async fn a_mail_is_sent_again_and_elsewhere_on_postgres() {
    a_mail_is_sent_again_and_elsewhere(Shop::open(TestDatabase::postgres().await).await).await;
}

async fn a_mail_is_sent_again_and_elsewhere(shop: Shop) {
    shop.deliver(&paid("basic", true)).await;
    let mails = shop.get("/v1/mails").await;
    let first = list(&mails)[0].clone();
    assert_eq!(
        (list(&mails).len(), &first["kind"], &first["status"]),
        (2, &json!("license-delivery"), &json!("pending"))
    );
    let (order, license) = (first["order"].as_str().unwrap(), first["license"].as_str().unwrap());
    for (filter, count) in [
        (format!("license={license}"), 1),
        (format!("order={order}"), 2),
        ("status=sent".to_owned(), 0),
        ("kind=license-frozen".to_owned(), 0),
        ("kind=license-delivery&status=pending".to_owned(), 2),
    ] {
        assert_eq!(list(&shop.get(&format!("/v1/mails?{filter}")).await).len(), count, "{filter}");
    }
    for filter in ["status=gone", "kind=x"] {
        assert_eq!(shop.call("GET", &format!("/v1/mails?{filter}")).key(&shop.live).refused().await.0, 400, "{filter}");
    }

    // The first was sent, the second refused.
    let sent = "id = (SELECT id FROM mails ORDER BY id LIMIT 1)";
    shop.database.sql("UPDATE mails SET status = 'failed', next_attempt_at = NULL").await;
    shop.database.sql(&format!("UPDATE mails SET status = 'sent', sent_at = 1 WHERE {sent}")).await;
    let path = format!("/v1/orders/{order}/contact");
    let correct = |body: Value| shop.post(&path, body);
    let now = async || {
        let mails = shop.get("/v1/mails").await;
        let told =
            |row: &Value| (row["status"].as_str().unwrap().to_owned(), row["recipient"].as_str().unwrap().to_owned());
        list(&mails).iter().map(told).collect::<Vec<_>>()
    };
    let old = now().await[0].1.clone();
    let is = |status: &str, recipient: &str| (status.to_owned(), recipient.to_owned());
    correct(json!({ "email": "right@example.com", "note": "they called" })).await;
    assert_eq!(now().await, [is("pending", "right@example.com"), is("sent", &old)]);
    shop.clock.advance(SignedDuration::from_secs(1));
    correct(json!({ "email": "other@example.com", "name": "Ada", "resend": true })).await;
    assert_eq!(now().await, [is("pending", "other@example.com"), is("pending", "other@example.com")]);

    // What the provider says later changes nothing.
    shop.database.sql("UPDATE mails SET status = 'sent', next_attempt_at = NULL").await;
    shop.deliver(&paid("basic", true)).await;
    shop.post(&format!("/v1/licenses/{license}/revoke"), json!({})).await;
    let revoked = shop.get("/v1/mails?kind=license-revoked").await;
    assert_eq!(list(&revoked)[0]["recipient"], "other@example.com");

    let id = list(&revoked)[0]["id"].as_str().unwrap().to_owned();
    shop.database.sql("UPDATE mails SET status = 'failed', attempts = 9, next_attempt_at = NULL").await;
    let again = shop.post(&format!("/v1/mails/{id}/resend"), json!({})).await;
    assert_eq!((&again["status"], &again["attempts"], &again["id"]), (&json!("pending"), &json!(0), &json!(id)));
    let entries = shop.get(&format!("/v1/audit-entries?order={order}&limit=100")).await;
    let of = |action: &str| list(&entries).iter().find(|entry| entry["action"] == action).cloned().unwrap();
    assert_eq!(of("ruling.contact")["detail"]["ruling"], json!({ "email": "o…@example.com", "again": true }));
    assert_eq!(of("mail.resent")["detail"]["was"], "failed");
    let call = shop.call("POST", &format!("/v1/orders/{order}/contact")).key(&shop.live);
    assert_eq!(call.json(json!({ "email": "nobody" })).refused().await.0, 400);
}

#[tokio::test]
async fn a_brand_that_mails_could_not_use_is_refused() {
    let shop = Shop::sqlite().await;
    let product = |brand: Value| json!({ "code": "studio", "name": "Studio", "brand": brand });
    for (brand, detail) in [
        (json!({ "colour": "red" }), "brand.colour is not a colour such as #0a7cff"),
        (json!({ "language": "fr" }), "brand.language is not a language"),
        (json!({ "sender": "x" }), "brand.sender is not known"),
    ] {
        let answer = shop.call("POST", "/v1/products").key(&shop.live).json(product(brand)).send().await;
        assert!(answer.status == 400 && answer.text.to_lowercase().contains(detail), "{}", answer.text);
    }
    let quickstart = "https://acme.test/docs/quickstart/node";
    shop.post("/v1/products", product(json!({ "docs_url": quickstart, "language": "de" }))).await;
    let mail = shop.post(&format!("{TEMPLATE}/preview"), json!({})).await;
    assert!(mail["text"].as_str().unwrap().contains(quickstart) && mail["html"].as_str().unwrap().contains(quickstart));
    assert!(mail["subject"].as_str().unwrap().starts_with("Ihr Lizenzschlüssel"), "{mail}");
}
