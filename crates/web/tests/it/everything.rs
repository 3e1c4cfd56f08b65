//! Every page that is led to, by everybody: nobody finds what they should not, and nothing breaks.

use std::collections::BTreeSet;

use domain::member::Role;

use crate::office::{Browser, Office};

const HOME: &str = "/console/default/test";

/// Where a page leads to, within this vendor's test mode.
fn links(page: &str) -> BTreeSet<String> {
    let addresses = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let here = addresses.filter(|address| address.starts_with(HOME));
    here.map(|address| address.split('#').next().unwrap_or(address).replace("&amp;", "&")).collect()
}

/// All pages that somebody is led to from the first one.
async fn walked(browser: &Browser<'_>) -> BTreeSet<String> {
    let (mut known, mut ahead) = (BTreeSet::new(), vec![HOME.to_owned()]);
    while let Some(path) = ahead.pop() {
        if !known.insert(path.clone()) {
            continue;
        }
        let page = browser.get(&path).await;
        assert!([200, 303].contains(&page.status), "{path}: {} {}", page.status, page.text);
        ahead.extend(links(&page.text));
    }
    known
}

#[tokio::test]
async fn nobody_finds_what_they_should_not() {
    let office = Office::open().await;
    let (license, key) = office.license("pro", "lovelace@buyer.example").await;
    let mut members = Vec::new();
    for role in [Role::Viewer, Role::Support, Role::Developer, Role::Admin] {
        members.push((role, office.member(role).await));
    }
    let owner = office.member(Role::Owner).await;
    let (revoked, _) = office.license("pro", "babbage@buyer.example").await;
    assert_eq!(owner.post(&format!("{revoked}/revoke"), "note=").await.status, 303);
    let pages = walked(&owner).await;
    assert!(pages.contains(&license) && pages.contains(&revoked) && pages.len() > 50, "{pages:#?}");

    for (role, browser) in &members {
        for path in &pages {
            let page = browser.get(path).await;
            assert!([200, 303, 403].contains(&page.status), "{role} {path}: {}", page.status);
            assert!(!page.says(&key), "{role} {path}: no page shows the key by itself");
        }
        let led_to = walked(browser).await;
        let elsewhere: Vec<&String> = led_to.difference(&pages).collect();
        assert!(elsewhere.is_empty(), "{role} is led elsewhere: {elsewhere:#?}");
        for path in &led_to {
            assert_ne!(browser.get(path).await.status, 403, "{role} is led to {path}, which they may not see");
        }
    }

    let (nobody, stranger) = (office.browser(), office.stranger().await);
    let own = license.rsplit('/').next().unwrap();
    for path in &pages {
        assert!(nobody.get(path).await.leads_to().starts_with("/sign-in?next="), "{path}");
        assert_eq!(stranger.get(path).await.status, 404, "{path}");
        let page = stranger.get(&path.replace("/default/", "/other/")).await;
        assert!([200, 303, 400, 404].contains(&page.status), "{path}: {}", page.status);
        for secret in [own, "lovelace@buyer.example", &key] {
            assert!(!page.says(secret) || path.contains(secret), "{path} shows {secret} to another vendor");
        }
    }
}
