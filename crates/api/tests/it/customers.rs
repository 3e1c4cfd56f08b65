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

#[tokio::test]
async fn two_customers_become_one_and_the_other_id_leads_there() {
    let shop = Shop::sqlite().await;
    for name in ["ada", "lovelace"] {
        shop.deliver(&paid(name, true)).await;
        shop.clock.advance(jiff::SignedDuration::from_secs(1));
    }
    let [later, first] = &ids(&shop.get("/v1/customers").await)[..] else { panic!("two customers") };
    let path = format!("/v1/customers/{first}/merge");
    let told = shop.post(&path, json!({ "with": later })).await;
    assert_eq!(
        (&told["dry_run"], &told["survivor"], &told["orders"]),
        (&json!(true), &json!(first), &json!(1)),
        "{told}"
    );
    assert_eq!(ids(&shop.get("/v1/customers").await).len(), 2, "nothing was done");
    let (status, _) = shop.call("POST", &path).key(&shop.live).json(json!({ "with": first })).refused().await;
    assert_eq!(status, 409, "nobody is two persons");

    shop.post(&format!("/v1/customers/{later}/merge"), json!({ "with": first, "dry_run": false })).await;
    assert_eq!(&ids(&shop.get("/v1/customers").await), std::slice::from_ref(first));
    let led = shop.get(&format!("/v1/customers/{later}")).await;
    assert_eq!((&led["id"], led["orders"]["data"].as_array().unwrap().len()), (&json!(first), 2), "{led}");
}
