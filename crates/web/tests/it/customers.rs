//! Buyers: what happened around them.

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
