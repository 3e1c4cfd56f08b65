//! Lists: a page at a time, both ways, and nothing that was not asked for.

use serde_json::{Value, json};
use store::testing::TestDatabase;

use crate::shop::{Shop, ids, paid};

#[tokio::test]
async fn pages_go_both_ways_on_sqlite() {
    both_ways(Shop::sqlite().await).await;
}

#[tokio::test]
async fn pages_go_both_ways_on_postgres() {
    both_ways(Shop::open(TestDatabase::postgres().await).await).await;
}

async fn both_ways(shop: Shop) {
    for number in 0..5 {
        shop.deliver_test(&paid(&format!("buyer{number}"), false)).await;
    }
    for path in ["/v1/licenses", "/v1/orders", "/v1/customers", "/v1/inbound-events"] {
        let get = |query: String| {
            let path = format!("{path}?{query}");
            let shop = &shop;
            async move { shop.call("GET", &path).key(&shop.test).succeed().await }
        };
        let all = ids(&get("limit=100".to_owned()).await);
        assert_eq!(all.len(), 5, "{path}");
        assert!(all.is_sorted_by(|newer, older| newer > older), "{path}: the newest first: {all:?}");
        let first = get("limit=2".to_owned()).await;
        assert_eq!(
            (ids(&first), &first["has_more"], &first["next_cursor"]),
            (all[..2].to_vec(), &json!(true), &json!(all[1]))
        );
        let second = get(format!("limit=2&after={}", all[1])).await;
        assert_eq!((ids(&second), &second["next_cursor"]), (all[2..4].to_vec(), &json!(all[3])), "{path}");
        let last = get(format!("limit=2&after={}", all[3])).await;
        assert_eq!(
            (ids(&last), &last["has_more"], &last["next_cursor"]),
            (all[4..].to_vec(), &json!(false), &Value::Null)
        );
        let back = get(format!("limit=2&before={}", all[4])).await;
        assert_eq!(
            (ids(&back), &back["has_more"], &back["next_cursor"]),
            (all[2..4].to_vec(), &json!(true), &json!(all[2]))
        );
        let back = get(format!("limit=2&before={}", all[2])).await;
        assert_eq!(
            (ids(&back), &back["has_more"], &back["next_cursor"]),
            (all[..2].to_vec(), &json!(false), &Value::Null)
        );
    }
}

#[tokio::test]
async fn what_a_list_refuses() {
    let shop = Shop::sqlite().await;
    let cursor = "lic_01kag0000000000000000000000";
    for (query, detail) in [
        ("limit=0", "`limit` is 0; it is between 1 and 100."),
        ("limit=101", "`limit` is 101; it is between 1 and 100."),
        ("limit=many", "limit: invalid digit found in string"),
        ("after=cus_01kag0000000000000000000000", "is not an id that starts with `lic_`"),
        ("before=x", "is not an id that starts with `lic_`"),
        (&format!("after={cursor}&before={cursor}"), "not both"),
        ("sate=frozen", "There is no parameter `sate`"),
        ("state=melted", "unknown variant `melted`"),
        ("expires_before=tomorrow", "expires_before"),
        ("customer=lic_01kag0000000000000000000000", "is not an id that starts with `cus_`"),
    ] {
        let answer = shop.call("GET", &format!("/v1/licenses?{query}")).key(&shop.live).send().await;
        let problem = answer.json();
        assert_eq!((answer.status.as_u16(), problem["code"].as_str()), (400, Some("invalid_request")), "{query}");
        assert!(problem["detail"].as_str().unwrap().contains(detail), "{query}: {problem}");
    }
    assert_eq!(
        shop.call("GET", "/v1/licenses?plan=none").key(&shop.live).refused().await,
        (404, "not_found".to_owned())
    );
}

#[tokio::test]
async fn filters() {
    let shop = Shop::sqlite().await;
    shop.deliver(&paid("basic", true)).await;
    shop.clock.advance(jiff::SignedDuration::from_secs(1));
    let [frozen, active] = &ids(&shop.get("/v1/licenses").await)[..] else { panic!("two licenses") };
    shop.post(&format!("/v1/licenses/{frozen}/freeze"), json!({})).await;
    shop.post(&format!("/v1/licenses/{active}/change-plan"), json!({ "plan": "pro" })).await;
    let until = "2027-01-01T00:00:00Z";
    shop.post("/v1/plans", json!({ "code": "year", "product": "studio", "name": "Year", "duration_days": 365 })).await;
    shop.post(&format!("/v1/licenses/{active}/change-plan"), json!({ "plan": "year" })).await;
    let customer = shop.get(&format!("/v1/licenses/{active}")).await["customer"].as_str().unwrap().to_owned();
    let product = ids(&shop.get("/v1/products").await)[0].clone();
    let both = [frozen.clone(), active.clone()];
    for (query, expected) in [
        ("state=frozen".to_owned(), &both[..1]),
        ("state=active".to_owned(), &both[1..]),
        ("state=revoked".to_owned(), &[]),
        ("plan=basic".to_owned(), &both[..1]),
        ("plan=year".to_owned(), &both[1..]),
        ("plan=pro".to_owned(), &[]),
        ("product=studio".to_owned(), &both[..]),
        (format!("product={product}&state=active"), &both[1..]),
        (format!("customer={customer}"), &both[..]),
        ("expires_before=2028-01-01T00:00:00Z".to_owned(), &both[1..]),
        (format!("expires_before={until}"), &[]),
    ] {
        assert_eq!(ids(&shop.get(&format!("/v1/licenses?{query}")).await), expected, "{query}");
    }
    assert_eq!(ids(&shop.get("/v1/customers?email=BASIC@example.com").await), std::slice::from_ref(&customer));
    assert_eq!(ids(&shop.get("/v1/customers?email=nobody@example.com").await), [] as [String; 0]);
    assert_eq!(ids(&shop.get(&format!("/v1/orders?customer={customer}")).await).len(), 1);
    assert_eq!(ids(&shop.get("/v1/inbound-events?status=done&kind=checkout.session.completed").await).len(), 1);
    assert_eq!(ids(&shop.get("/v1/inbound-events?status=held").await).len(), 0);
    let order = ids(&shop.get("/v1/orders").await)[0].clone();
    let entries = shop.get(&format!("/v1/audit-entries?license={frozen}")).await;
    let actions: Vec<&str> =
        entries["data"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions.len(), 4, "issued, announced, ruled, frozen: {actions:?}");
    assert!(ids(&shop.get(&format!("/v1/audit-entries?order={order}&limit=100")).await).len() > 8);
}
