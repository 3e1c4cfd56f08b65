//! Buyers: what happened around them, and how they are erased.

use domain::member::Role;

use crate::office::Office;

#[tokio::test]
async fn what_happened_around_a_buyer_is_one_list() {
    let office = Office::open().await;
    let browser = office.member(Role::Support).await;
    let (one, _) = office.license("pro", "ada@example.com").await;
    let (other, _) = office.license("year", "ada@example.com").await;
    let (strange, _) = office.license("pro", "eve@example.com").await;
    browser.post(&format!("{one}/freeze"), "note=lost+laptop").await;
    browser.post(&format!("{strange}/freeze"), "note=of+somebody+else").await;
    let path = office.customer(&browser, "ada@example.com").await;
    let page = browser.get(&path).await;
    let (_, timeline) = page.text.split_once("id=\"timeline\"").unwrap();
    for words in ["lost laptop", "License issued", "Mail: ", &format!("href=\"{one}\""), &format!("href=\"{other}\"")] {
        assert!(timeline.contains(words), "{words}: {timeline}");
    }
    assert!(!timeline.contains("of somebody else") && !timeline.contains(&strange), "{timeline}");
    for (only, shown, not_shown) in [
        ("staff", "lost laptop", "Mail: "),
        ("mail", "Mail: ", "lost laptop"),
        ("decision", "License issued", "lost laptop"),
        ("device", "Nothing of this kind.", "lost laptop"),
        ("nonsense", "lost laptop", "Nothing of this kind."),
    ] {
        let page = browser.get(&format!("{path}?only={only}")).await;
        let (_, timeline) = page.text.split_once("id=\"timeline\"").unwrap();
        assert!(timeline.contains(shown) && !timeline.contains(not_shown), "{only}: {timeline}");
    }
    assert_eq!(browser.get(&format!("{path}?after=nonsense")).await.status, 404);
}

#[tokio::test]
async fn a_long_list_goes_on_on_pages() {
    let office = Office::open().await;
    let browser = office.member(Role::Support).await;
    let (license, _) = office.license("pro", "ada@example.com").await;
    for number in 0..60 {
        office.clock.advance(jiff::SignedDuration::from_secs(1));
        browser.post(&format!("{license}/note"), &format!("note=note+{number}.")).await;
    }
    let path = office.customer(&browser, "ada@example.com").await;
    let newest = browser.get(&path).await;
    let older = newest.text.split_once("rel=\"next\"").unwrap().0.rsplit_once("href=\"").unwrap().1;
    let older = browser.get(older.split('#').next().unwrap()).await;
    assert!(newest.says("note 59.") && !newest.says("note 5.") && !newest.says("rel=\"prev\""), "{}", newest.text);
    assert!(older.says("note 5.") && older.says("License issued") && !older.says("note 59."), "{}", older.text);
    assert!(older.says("rel=\"prev\"") && !older.says("rel=\"next\""), "{}", older.text);
}

#[tokio::test]
async fn a_buyer_is_erased_by_who_may_and_only_by_the_word() {
    let office = Office::open().await;
    let owner = office.member(Role::Owner).await;
    let support = office.member(Role::Support).await;
    let (license, _) = office.license("pro", "babbage@example.com").await;
    owner.post(&format!("{license}/note"), "note=Charles+Babbage+called").await;
    let path = office.customer(&owner, "babbage@example.com").await;
    let erase = format!("{path}/erase");
    assert!(owner.get(&path).await.says(&format!("href=\"{erase}\"")));
    assert!(!support.get(&path).await.says(&erase));
    assert_eq!((support.get(&erase).await.status, support.post(&erase, "word=erase").await.status), (403, 403));

    let form = owner.get(&erase).await;
    for words in
        ["cannot be undone", "1 mail’s recipient", "1 note or name in the audit log", "Their license goes on working"]
    {
        assert!(form.says(words), "{words}: {}", form.text);
    }
    for wrong in ["", "word=", "word=babbage%40example.com"] {
        let page = owner.post(&erase, wrong).await;
        assert!(page.status == 200 && page.says("Nothing was erased"), "{wrong}: {}", page.text);
    }
    assert!(owner.get(&path).await.says("babbage@example.com"));
    let erased = owner.post(&erase, "word=erase&note=asked+by+letter").await;
    assert_eq!(erased.leads_to(), format!("{path}?said=erased"));
    for address in [&format!("{path}?said=erased"), &license, &"/console/default/test/customers".to_owned()] {
        let page = owner.get(address).await;
        assert!(
            page.status == 200 && !page.says("babbage@example.com") && !page.says("Charles"),
            "{address}: {}",
            page.text
        );
    }
    let page = owner.get(&path).await;
    assert!(page.says("Erased customer") && page.says("Their data was erased"), "{}", page.text);
    assert!(owner.get(&license).await.says("Active because it is paid for."));
    let log = owner.get("/console/default/test/audit").await;
    assert!(log.says("Customer erased") && log.says("asked by letter"), "{}", log.text);
    let followed = owner.post("/console/default/test/audit/verify", "").await;
    assert_eq!(followed.status, 303, "{}", followed.text);
    assert!(!owner.get("/console/default/test/audit").await.says("is not what was written"));

    let stranger = office.stranger().await;
    let elsewhere = erase.replace("/default/", "/other/");
    assert_eq!(
        (stranger.get(&elsewhere).await.status, stranger.post(&elsewhere, "word=erase").await.status),
        (404, 404)
    );
    let live = erase.replace("/test/", "/live/");
    assert_eq!(owner.get(&live).await.status, 404, "a customer has one mode");
    office.clock.advance(jiff::SignedDuration::from_mins(16));
    assert!(owner.get(&erase).await.leads_to().starts_with("/confirm"));
}

#[tokio::test]
async fn two_buyers_become_one_once_it_was_seen_what_that_means() {
    let office = Office::open().await;
    let owner = office.member(Role::Owner).await;
    let support = office.member(Role::Support).await;
    let (one, _) = office.license("pro", "ada@example.com").await;
    office.clock.advance(jiff::SignedDuration::from_secs(1));
    let (other, _) = office.license("year", "lovelace@example.com").await;
    let first = office.customer(&owner, "ada@example.com").await;
    let second = office.customer(&owner, "lovelace@example.com").await;
    let merge = format!("{second}/merge");
    assert!(!support.get(&second).await.says(&merge));
    assert_eq!((support.get(&merge).await.status, support.post(&merge, "").await.status), (403, 403));
    assert!(!owner.get(&second).await.says("may be the same person"));
    owner.post(&format!("{other}/correct"), "email=ada%40example.com").await;
    let page = owner.get(&second).await;
    assert!(page.says("may be the same person") && page.says(&format!("{merge}?with=cus_")), "{}", page.text);
    assert!(!support.get(&second).await.says("may be the same person"));

    for (with, said) in [
        ("", "Say with whom."),
        ("nobody@example.com", "no such customer"),
        ("lovelace@example.com", "one and the same"),
    ] {
        assert!(owner.post(&merge, &format!("with={with}")).await.says(said), "{with}");
    }
    let seen = owner.post(&merge, "with=ada@example.com").await;
    for words in
        ["ada@example.com was known first and stays", "1 order, 1 license and", "An address alone proves nothing"]
    {
        assert!(seen.says(words), "{words}: {}", seen.text);
    }
    assert_eq!(owner.get(&second).await.status, 200, "nothing was done");
    let id = first.rsplit('/').next().unwrap();
    assert_eq!(owner.post(&merge, &format!("seen={id}&note=same")).await.leads_to(), format!("{first}?said=merged"));
    assert_eq!(owner.get(&second).await.leads_to(), first);
    let page = owner.get(&first).await;
    for license in [&one, &other] {
        assert!(page.says(license), "{license}: {}", page.text);
    }
    assert!(owner.get("/console/default/test/audit").await.says("Customer merged"));
    let stranger = office.stranger().await;
    let elsewhere = merge.replace("/default/", "/other/");
    assert_eq!((stranger.get(&elsewhere).await.status, stranger.post(&elsewhere, "").await.status), (404, 404));
}
