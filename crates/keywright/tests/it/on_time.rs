//! What time alone does happens by itself, on time, and also if its moment passes while the process is down. How late it
//! was is printed: a second at most is what is promised.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    oracles::{Shop, event},
    process::now,
};

/// How long what is sold here lasts: long enough that it is issued before.
const LASTS_SECONDS: i64 = 3;

#[test]
fn a_license_expires_by_itself() {
    let shop = shop();
    let end = sold(&shop, "one");
    expires(&shop, "one", end, "while the server runs");
}

#[test]
fn a_license_whose_end_came_while_the_server_was_down_expires_when_it_starts() {
    let mut shop = shop();
    let end = sold(&shop, "two");
    shop.installation.stop();
    while now().as_second() <= end {
        std::thread::sleep(Duration::from_millis(20));
    }
    let started = now().as_second();
    shop.installation.serve();
    expires(&shop, "two", started, "after a start");
}

fn shop() -> Shop {
    let shop = Shop::new(None, r#"mode = "test", level = "none""#);
    shop.post("/v1/price-rules", &json!({ "connection": "stripe", "price": "price_1", "plan": "pro" }));
    shop
}

/// A subscription that is cancelled for the end of its only period. When that is, in seconds since 1970.
fn sold(shop: &Shop, name: &str) -> i64 {
    let end = now().as_second() + LASTS_SECONDS;
    let subscription = json!({
        "id": format!("sub_{name}"), "object": "subscription", "status": "active", "customer": null,
        "collection_method": "charge_automatically", "cancel_at": end, "cancel_at_period_end": true,
        "items": { "object": "list", "data": [{
            "id": format!("si_{name}"), "quantity": 1, "current_period_end": end,
            "price": { "id": "price_1", "product": "prod_1", "recurring": { "interval": "month" } }
        }] }
    });
    let invoice = json!({
        "id": format!("in_{name}"), "object": "invoice", "amount_paid": 1900, "currency": "eur",
        "customer_email": "ada@example.com",
        "parent": { "type": "subscription_details", "subscription_details": { "subscription": format!("sub_{name}") } },
        "lines": { "object": "list", "has_more": false, "data": [{
            "id": format!("il_{name}"), "period": { "start": end - 60, "end": end },
            "parent": { "type": "subscription_item_details", "subscription_item_details": {
                "subscription": format!("sub_{name}"), "proration": false } }
        }] }
    });
    shop.deliver(&event(&format!("evt_sub_{name}"), "customer.subscription.created", &subscription), 1);
    shop.deliver(&event(&format!("evt_in_{name}"), "invoice.paid", &invoice), 1);
    shop.wait("the license", || {
        expired_at(shop, name).is_none().then(|| shop.licenses(&format!("sub_{name}")).pop()).flatten()
    });
    end
}

/// When the audit log says that it expired.
fn expired_at(shop: &Shop, name: &str) -> Option<Value> {
    let license = shop.licenses(&format!("sub_{name}")).pop()?;
    let entries = shop.get(&format!("/v1/audit-entries?license={}", license["id"].as_str()?));
    let entry = entries["data"].as_array()?.iter().find(|entry| entry["action"] == "license.expired")?;
    Some(entry["occurred_at"].clone())
}

fn expires(shop: &Shop, name: &str, due: i64, when: &str) {
    let at = shop.wait("its end", || expired_at(shop, name));
    let at: jiff::Timestamp = at.as_str().unwrap().parse().unwrap();
    assert!(at.as_second() >= due, "not before its time");
    println!("a license expired {} ms after it was due, {when}", at.as_millisecond() - due * 1_000);
    let license = shop.licenses(&format!("sub_{name}")).remove(0);
    assert_eq!((&license["state"], &license["reason"]), (&json!("expired"), &json!("not_renewed")), "{license}");
}
