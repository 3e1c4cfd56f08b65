//! Customers are erased by call.

use serde_json::json;

use crate::shop::{Shop, ids, paid};

#[tokio::test]
async fn a_customer_is_erased_once_it_is_said_so() {
    let shop = Shop::sqlite().await;
    shop.deliver(&paid("basic", true)).await;
    let id = ids(&shop.get("/v1/customers").await).remove(0);
    let path = format!("/v1/customers/{id}/erase");
    let before = shop.get(&format!("/v1/customers/{id}")).await;
    assert!(before["erased_at"].is_null() && before["email"].as_str().unwrap().contains('@'), "{before}");

    for body in [json!({}), json!({ "dry_run": true })] {
        let told = shop.post(&path, body).await;
        assert_eq!((&told["dry_run"], &told["orders"]), (&json!(true), &json!(1)), "{told}");
    }
    assert_eq!(shop.get(&format!("/v1/customers/{id}")).await["email"], before["email"], "nothing was done");

    let done = shop.post(&path, json!({ "dry_run": false, "note": "asked by letter" })).await;
    assert_eq!((&done["dry_run"], &done["orders"]), (&json!(false), &json!(1)), "{done}");
    let after = shop.get(&format!("/v1/customers/{id}")).await;
    assert_eq!((&after["email"], &after["name"]), (&json!("erased"), &json!(null)), "{after}");
    assert!(after["erased_at"].is_string(), "{after}");
    assert_eq!(after["licenses"]["data"].as_array().unwrap().len(), done["licenses"].as_u64().unwrap() as usize);
    let entries = shop.get("/v1/audit-entries?limit=100").await;
    let said: Vec<_> =
        entries["data"].as_array().unwrap().iter().filter(|row| row["action"] == "customer.erased").collect();
    assert_eq!((said.len(), &said[0]["detail"]["note"]), (1, &json!("asked by letter")), "{entries}");
    assert!(!entries.to_string().contains(before["email"].as_str().unwrap()));
}
