//! Licenses that are brought along by call, and found by the words that their vendor has for them.

use serde_json::json;

use crate::shop::{Shop, ids};

const FILE: &str = "key,email,plan,colour,tags\n\
    OLD-1111-2222,ada@example.com,basic,red,vip\n\
    OLD-3333-4444,,nothing,,\n";

#[tokio::test]
async fn a_file_is_tried_imported_and_watched() {
    let shop = Shop::sqlite().await;
    let start = |body| shop.call("POST", "/v1/imports").key(&shop.live).json(body);
    let tried = start(json!({ "csv": FILE, "dry_run": true })).succeed().await;
    assert_eq!(tried["import"], json!(null));
    assert_eq!(tried["counts"], json!({ "new": 1, "same": 0, "differs": 0, "refused": 1 }));
    assert_eq!(tried["ignored_columns"], json!(["colour"]));
    let line = &tried["lines"][0];
    assert_eq!((&line["line"], &line["outcome"]), (&json!(3), &json!("refused")));
    assert_eq!(line["detail"], "there is no plan with the code or name that it has");
    assert_eq!(shop.get("/v1/licenses").await["data"], json!([]));
    let begun = start(json!({ "csv": FILE })).succeed().await;
    let path = format!("/v1/imports/{}", begun["import"]["id"].as_str().unwrap());
    while shop.engine.bulk_turn().await.unwrap() {}
    let done = loop {
        let import = shop.get(&path).await;
        if import["status"] != "running" {
            break import;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((&done["imported"], &done["skipped"]), (&json!(1), &json!(1)));
    let lookup = shop.call("POST", "/v1/licenses/lookup").key(&shop.live).json(json!({ "key": "old 1111 2222" }));
    assert_eq!(lookup.succeed().await["data"][0]["tags"], json!(["vip"]));
    let other = shop.call("GET", &path).key(&shop.test).send().await;
    assert_eq!(other.status, 404, "it is of the other mode");
    let again = start(json!({ "csv": FILE, "dry_run": true })).succeed().await;
    assert_eq!(again["counts"]["same"], 1);
    let refused = start(json!({ "csv": "email\nada@example.com\n" })).send().await;
    assert_eq!(refused.status, 422, "{}", refused.text);
}

#[tokio::test]
async fn licenses_are_found_by_tag() {
    let shop = Shop::sqlite().await;
    let file = json!({ "csv": "key,plan\nOLD-1111-2222,basic\nOLD-3333-4444,basic\n" });
    shop.call("POST", "/v1/imports").key(&shop.live).json(file).succeed().await;
    while shop.engine.bulk_turn().await.unwrap() {}
    let licenses = ids(&shop.get("/v1/licenses").await);
    let tag = |body| shop.call("POST", &format!("/v1/licenses/{}/tags", licenses[1])).key(&shop.live).json(body);
    let tagged = tag(json!({ "add": ["VIP ", "beta"], "note": "asked for it" })).succeed().await;
    assert_eq!(tagged["tags"], json!(["beta", "vip"]));
    let tagged = tag(json!({ "add": ["vip"], "remove": ["beta", "gone"] })).succeed().await;
    assert_eq!(tagged["tags"], json!(["vip"]));
    assert_eq!(ids(&shop.get("/v1/licenses?tag=Vip").await), [licenses[1].clone()]);
    assert_eq!(shop.get("/v1/licenses?tag=beta").await["data"], json!([]));
    let many: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    for body in [json!({ "add": ["a,b"] }), json!({ "add": many }), json!({ "add": [""] })] {
        let refused = tag(body).send().await;
        assert_eq!(refused.status, 422, "{}", refused.text);
    }
    let path = format!("/v1/licenses/{}/tags", licenses[0]);
    let elsewhere = shop.call("POST", &path).key(&shop.test).json(json!({ "add": ["vip"] }));
    assert_eq!(elsewhere.send().await.status, 404);
}
