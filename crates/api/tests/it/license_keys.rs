//! A license gets another key, and another holder, by a call.

use serde_json::{Value, json};

use crate::shop::{Shop, ids, paid};

impl Shop {
    async fn code_of(&self, key: &Value, device: &str) -> String {
        let call = json!({ "key": key, "device": { "fingerprint": device } });
        let answer = self.call("POST", "/v1/activate").json(call).send().await;
        answer.json()["code"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_key_is_rotated_and_the_one_before_closes() {
    let shop = Shop::sqlite().await;
    shop.deliver(&paid("basic", true)).await;
    let license = ids(&shop.get("/v1/licenses").await).remove(0);
    let path = format!("/v1/licenses/{license}/rotate-key");
    let first = shop.post(&path, json!({ "note": "it leaked", "overlap_hours": 1 })).await;
    assert_eq!((&first["license"]["id"], &first["mailed"]), (&json!(license), &json!(true)));
    assert_eq!(shop.code_of(&first["key"], "mac-1").await, "valid");
    let second = shop.post(&path, json!({ "send_email": false })).await;
    assert_eq!(second["mailed"], json!(false));
    assert_eq!(shop.code_of(&first["key"], "mac-1").await, "not_found");
    assert_eq!(shop.code_of(&second["key"], "mac-1").await, "valid");
    assert_eq!((&second["license"]["keys"], second["license"]["key_hint"].is_string()), (&json!(1), true));
    let found = shop.post("/v1/licenses/lookup", json!({ "key": first["key"] })).await;
    assert_eq!(ids(&found), std::slice::from_ref(&license), "whoever still has it can be helped");
    for body in [json!({ "overlap_hours": 721 }), json!({ "overlap_hours": -1 }), json!({ "hours": 1 })] {
        let refused = shop.call("POST", &path).key(&shop.live).json(body.clone()).refused().await;
        assert_eq!(refused, (400, "invalid_request".to_owned()), "{body}");
    }
    let (_, neighbour) = shop.neighbour().await;
    for key in [&neighbour, &shop.test] {
        for word in ["rotate-key", "transfer"] {
            let path = format!("/v1/licenses/{license}/{word}");
            let call = shop.call("POST", &path).key(key).json(json!({ "email": "bob@example.com" }));
            let call = if word == "transfer" { call } else { shop.call("POST", &path).key(key).json(json!({})) };
            assert_eq!(call.refused().await, (404, "not_found".to_owned()), "{word}");
        }
    }
}

#[tokio::test]
async fn a_license_is_transferred_with_its_whole_order() {
    let shop = Shop::sqlite().await;
    shop.deliver(&paid("basic", true)).await;
    let licenses = ids(&shop.get("/v1/licenses").await);
    let path = format!("/v1/licenses/{}/transfer", licenses[0]);
    let made = shop.post(&path, json!({ "email": "bob@example.com", "name": "Bob" })).await;
    let made = made["data"].as_array().unwrap();
    assert_eq!((made.len(), licenses.len()), (2, 2));
    for new in made {
        assert_eq!(shop.code_of(&new["key"], "pc-1").await, "valid");
        let customer = shop.get(&format!("/v1/customers/{}", new["license"]["customer"].as_str().unwrap())).await;
        assert_eq!(customer["email"], "bob@example.com");
    }
    let wrong = shop.call("POST", &path).key(&shop.live).json(json!({ "email": "bob" })).refused().await;
    assert_eq!(wrong, (400, "invalid_request".to_owned()));
}
