//! A sale that was handed over shows its buyer nothing of whoever has it now.

use domain::{id::LicenseId, order::Contact, text::EmailAddress};
use engine::{key_change::KeyChange, rulings::By};

use super::{Shop, purchase};

impl Shop {
    /// The one license.
    async fn license(&self) -> LicenseId {
        let whose = store::lists::Whose { tenant: self.tenant, livemode: false };
        let page = store::lists::Page { from: None, limit: 10 };
        let mut listed = self.engine.store.list_licenses(whose, &Default::default(), page).await.unwrap().rows;
        assert_eq!(listed.len(), 1);
        listed.remove(0).license.id
    }

    async fn hand_over_to(&self, email: &str) -> String {
        let to = Contact { email: EmailAddress::parse(email).unwrap(), name: None };
        let by = By::from("test");
        let made = self.engine.transfer(self.tenant, self.license().await, &to, &by).await.unwrap().unwrap();
        made[0].key.reveal().to_owned()
    }
}

#[tokio::test]
async fn whoever_handed_their_purchase_over_sees_neither_its_key_nor_whose_it_is() {
    let shop = Shop::open().await;
    shop.deliver(purchase("k1", 1)).await;
    let before = shop.come("c1", "k1", "active").await.leads_to();
    let first = shop.get(&before).await.key().unwrap().to_owned();
    let mut keys = vec![shop.hand_over_to("bob@example.com").await];
    let again = shop.come("c2", "k1", "active").await.leads_to();
    let change = KeyChange { overlap_hours: 1, is_mailed: true };
    let changed = shop.engine.change_key(shop.tenant, shop.license().await, change, &By::from("test")).await;
    keys.push(changed.unwrap().unwrap().key.reveal().to_owned());
    for status in ["pending", "sent"] {
        shop.database.sql(&format!("UPDATE mails SET status = '{status}'")).await;
        for path in [before.clone(), again.clone(), format!("{again}?mail"), format!("{again}?mailed")] {
            let page = shop.get(&path).await;
            assert!(page.status == 200 && page.says("This purchase was handed over") && page.says("ask the vendor"));
            assert!(
                page.key().is_none() && !page.says("<form") && !page.says("mailed") && !page.looks_again(),
                "{path}"
            );
            for word in keys.iter().map(String::as_str).chain([first.as_str(), "example.com", "b…", "TOOL-"]) {
                assert!(!page.says(word), "{word} is on {path}, {status}: {}", page.text);
            }
        }
    }

    // Nor can its buyer say any more where mails go, also not by the form of a page that was open all the while.
    let events = shop.engine.store.status(None).await.unwrap().inbox_pending;
    assert!(shop.get(&shop.post(&again, "email=ada%40example.com").await.leads_to()).await.says("handed over"));
    assert_eq!(shop.engine.store.status(None).await.unwrap().inbox_pending, events, "nothing is written down");
    shop.settle().await;
    assert!(shop.mailed().await.iter().all(|to| to == "bob@example.com"));

    // Whose it is again is for the vendor to say: who comes from the marketplace is told to ask.
    keys.push(shop.hand_over_to("ada@example.com").await);
    let page = shop.get(&before).await;
    assert!(page.says("handed over") && page.key().is_none());
}
