//! Lists of licenses, customers and orders: filtered, saved, changed at once, and taken along.

use domain::member::Role;
use jiff::SignedDuration;

use crate::office::{Browser, Office, Page};

const LICENSES: &str = "/console/default/test/licenses";

/// A shop with two products; the path of a license of each plan.
async fn stocked(office: &Office) -> [String; 3] {
    office
        .apply(
            r#"
            product = [{ code = "lathe", name = "Lathe", key_prefix = "LATHE" }]
            plan = [{ code = "lathe-one", product = "lathe", name = "One", activations = 1, duration_days = 20 }]
            "#,
        )
        .await;
    let mut paths = Vec::new();
    for (plan, email) in
        [("pro", "ada@analytical.example"), ("year", "grace@navy.example"), ("lathe-one", "=cmd@navy.example")]
    {
        paths.push(office.license(plan, email).await.0);
        office.clock.advance(SignedDuration::from_secs(1));
    }
    paths.try_into().unwrap()
}

fn id(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

/// Which of the licenses a page shows.
fn shown(page: &Page, paths: &[String; 3]) -> Vec<usize> {
    assert_eq!(page.status, 200, "{}", page.text);
    (0..3).filter(|number| page.says(&format!("href=\"{}\"", paths[*number]))).collect()
}

#[tokio::test]
async fn a_list_shows_what_is_asked_for() {
    let office = Office::open().await;
    let paths = stocked(&office).await;
    let browser = office.member(Role::Support).await;
    browser.post(&format!("{}/freeze", paths[1]), "note=").await;
    for (query, expected) in [
        ("", &[0, 1, 2][..]),
        ("state=frozen", &[1]),
        ("state=active", &[0, 2]),
        ("reason=frozen_by_hand", &[1]),
        ("reason=dispute_lost", &[]),
        ("plan=year", &[1]),
        ("product=lathe", &[2]),
        ("product=studio&state=active", &[0]),
        ("within=30", &[2]),
        ("within=90&state=frozen", &[]),
        ("source=manual", &[0, 1, 2]),
        ("seen=never", &[0, 1, 2]),
        ("seen=30", &[]),
        ("devices=full", &[]),
        ("domain=navy.example", &[1, 2]),
        ("domain=%40NAVY.example", &[1, 2]),
        ("domain=%25", &[]),
        ("metadata=seat", &[]),
        ("state=nonsense", &[0, 1, 2]),
    ] {
        let page = browser.get(&format!("{LICENSES}?{query}")).await;
        assert_eq!(shown(&page, &paths), expected, "{query}");
        assert_eq!(page.says("No license is like that."), expected.is_empty(), "{query}");
    }
    let page = browser.get(&format!("{LICENSES}?state=frozen&plan=year")).await;
    let chip = |text: &str, without: &str| format!("href=\"{LICENSES}?{without}\">{text}");
    assert!(page.says(&chip("State: frozen", "plan=year")) && page.says(&chip("Plan: Year", "state=frozen")));
}

#[tokio::test]
async fn devices_and_when_they_were_seen_are_asked_for() {
    use engine::runtime::AppCall;
    let office = Office::open().await;
    let paths = stocked(&office).await;
    let owner = office.member(Role::Owner).await;
    let (one, key) = office.license("lathe-one", "mary@example.com").await;
    let call = AppCall { key, ..AppCall::default() };
    office.engine.activate(&call, "mac-1", "https://keys.example.com").await.unwrap();
    let link = format!("href=\"{one}\"");
    let list = async |query: &str| owner.get(&format!("{LICENSES}?{query}")).await;
    let full = list("devices=full").await;
    assert!(full.says(&link) && shown(&full, &paths).is_empty() && full.says("1 / 1"), "{}", full.text);
    let wanted = "activations=2&checks_per_month=&features=&seen=2//";
    assert_eq!(owner.post(&format!("{one}/limits"), wanted).await.status, 303);
    assert!(!list("devices=full").await.says(&link), "it has room for one more");
    assert!(!list("seen=never").await.says(&link));
    office.clock.advance(SignedDuration::from_hours(24 * 31));
    // Nobody stays signed in for so long.
    let mut later = office.browser();
    later.sign_in(Role::Owner).await;
    let unseen = later.get(&format!("{LICENSES}?seen=30")).await;
    assert!(unseen.says(&link), "it was used, and not lately: {}", unseen.text);
}

#[tokio::test]
async fn a_product_stays_chosen_on_the_way() {
    let office = Office::open().await;
    let paths = stocked(&office).await;
    let browser = office.member(Role::Viewer).await;
    for section in ["/licenses", "/customers", "/orders", "/products"] {
        let page = browser.get(&format!("/console/default/test{section}?product=lathe")).await;
        assert!(page.says("Only <b>Lathe</b> is shown."), "{section}");
        for other in ["licenses", "customers", "orders", "products"] {
            assert!(
                page.says(&format!("href=\"/console/default/test/{other}?product=lathe\"")),
                "{section} to {other}"
            );
        }
        assert!(!page.says("ada@analytical.example") && !page.says(&paths[0]), "{section}: {}", page.text);
    }
    let page = browser.get(&format!("{LICENSES}?state=active&product=lathe")).await;
    assert!(
        page.says(&format!("href=\"{LICENSES}?product=studio&amp;state=active\""))
            || page.says(&format!("href=\"{LICENSES}?product=studio&#38;state=active\"")),
        "the other filters stay: {}",
        page.text
    );
    assert!(!browser.get(&format!("{LICENSES}?product=nonsense")).await.says("Only <b>"));
}

#[tokio::test]
async fn customers_are_found_by_what_is_known_of_them() {
    let office = Office::open().await;
    stocked(&office).await;
    let browser = office.member(Role::Viewer).await;
    for (q, found) in [
        ("", "ada@analytical.example"),
        ("Ada%40Analytical.example", "ada@analytical.example"),
        ("%40navy.example", "grace@navy.example"),
        ("%40nowhere.example", "Nobody like that"),
        ("lovelace", "Nobody like that"),
    ] {
        let page = browser.get(&format!("/console/default/test/customers?q={q}")).await;
        assert!(page.status == 200 && page.says(found), "{q}: {}", page.text);
    }
}

#[tokio::test]
async fn a_view_is_saved_renamed_and_deleted() {
    let office = Office::open().await;
    stocked(&office).await;
    let (support, viewer) = (office.member(Role::Support).await, office.member(Role::Viewer).await);
    let new = format!("{LICENSES}/views/new?state=frozen&nonsense=1");
    assert_eq!(viewer.post(&new, "name=Cold").await.status, 403);
    assert!(support.post(&new, "name=").await.says("A view has a name"));
    assert_eq!(support.post(&new, "name=Cold&note=").await.leads_to(), format!("{LICENSES}?state=frozen&said=saved"));
    assert!(support.post(&new, "name=Cold").await.says("There is a view with this name already"));
    let page = viewer.get(&format!("{LICENSES}?state=frozen")).await;
    assert!(page.says(&format!("href=\"{LICENSES}?state=frozen\" aria-current=\"page\">Cold")), "{}", page.text);
    assert!(!page.says("Rename"), "a viewer changes nothing");
    let page = support.get(&format!("{LICENSES}?state=frozen")).await;
    let view = page.text.split_once("/views/view_").unwrap().1.split('?').next().unwrap().to_owned();
    let view = format!("{LICENSES}/views/view_{view}");
    let stranger = office.stranger().await;
    assert_eq!(stranger.post(&format!("{}?do=delete", view.replace("/default/", "/other/")), "").await.status, 404);
    support.post(&format!("{view}?do=rename"), "name=Ice").await.leads_to();
    assert!(support.get(LICENSES).await.says(">Ice</a>"));
    support.post(&format!("{view}?do=delete"), "").await.leads_to();
    assert!(!support.get(LICENSES).await.says(">Ice</a>"));
    let audit = support.get("/console/default/test/audit").await;
    assert!(audit.says("View saved") && audit.says("View renamed") && audit.says("View deleted"));
}

/// The page of a change, once it is over.
async fn over(office: &Office, browser: &Browser<'_>, path: &str) -> Page {
    while office.engine.bulk_turn().await.unwrap() {}
    loop {
        let page = browser.get(path).await;
        if !page.says("data-again") {
            return page;
        }
        tokio::task::yield_now().await;
    }
}

/// What the page of a question says that it shows.
fn seen(page: &Page) -> String {
    page.text.split_once("name=\"seen\" value=\"").unwrap().1.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn many_are_changed_and_each_says_so() {
    let office = Office::open().await;
    let paths = stocked(&office).await;
    let support = office.member(Role::Support).await;
    support.post(&format!("{}/freeze", paths[1]), "note=").await;
    office.clock.advance(SignedDuration::from_secs(1));
    let chosen = paths.iter().map(|path| format!("&id={}", id(path))).collect::<String>();
    let new = format!("{LICENSES}/changes/new?action=freeze{chosen}");
    let preview = support.get(&new).await;
    for words in ["This changes 2 licenses.", "1 is skipped because it is frozen already.", "Freeze them"] {
        assert!(preview.says(words), "{words}: {}", preview.text);
    }
    let others = support.post(&new, "note=stolen+card").await;
    assert!(others.status == 200 && others.says("have changed since this page was shown"), "nobody has seen them");
    let form = format!("note=stolen+card&seen={}", seen(&preview));
    let change = support.post(&new, &form).await.leads_to().to_owned();
    let page = over(&office, &support, &change).await;
    assert!(page.says("<dt>Changed</dt><dd>2</dd>") && page.says("it is frozen already"), "{}", page.text);
    for path in [&paths[0], &paths[2]] {
        let license = support.get(path).await;
        assert!(license.says("Frozen because it was frozen by hand.") && license.says("stolen card"), "{path}");
    }
    assert!(support.get(&format!("{LICENSES}/changes")).await.says(&change));
    assert!(support.post(&new, "").await.says("Nothing would change."));
    assert!(support.get(&format!("{LICENSES}/changes/new?action=freeze")).await.says("Nothing is chosen."));
}

#[tokio::test]
async fn an_extension_of_many_counts_once() {
    let office = Office::open().await;
    let paths = stocked(&office).await;
    let support = office.member(Role::Support).await;
    let new = format!("{LICENSES}/changes/new?action=extend&id={}&id={}", id(&paths[0]), id(&paths[2]));
    assert!(support.get(&new).await.says("1 is skipped because it has no end."));
    for days in ["31", "0", "x", ""] {
        assert_eq!(support.post(&new, &format!("days={days}")).await.status, 200, "{days}");
    }
    let form = format!("days=10&seen={}", seen(&support.get(&new).await));
    let change = support.post(&new, &form).await.leads_to().to_owned();
    assert!(over(&office, &support, &change).await.says("<dt>Changed</dt><dd>1</dd>"));
    assert!(support.get(&format!("{LICENSES}?within=30")).await.says(&paths[2]), "20 days and 10");
    assert!(!support.get(&format!("{LICENSES}?within=7")).await.says(&paths[2]));
}

#[tokio::test]
async fn what_a_filter_finds_later_is_asked_about_again() {
    let office = Office::open().await;
    let paths = stocked(&office).await;
    let owner = office.member(Role::Owner).await;
    let new = format!("{LICENSES}/changes/new?action=revoke&all=on&product=studio");
    let form = format!("seen={}", seen(&owner.get(&new).await));
    let (late, _) = office.license("pro", "mary@example.com").await;
    let again = owner.post(&new, &form).await;
    assert!(again.says("have changed since this page was shown") && again.says("This changes 3 licenses."));
    let change = owner.post(&new, &format!("seen={}", seen(&again))).await.leads_to().to_owned();
    let page = over(&office, &owner, &change).await;
    assert!(page.says("<dt>Changed</dt><dd>3</dd>") && !page.says("Stop it"), "{}", page.text);
    for path in [&paths[0], &late] {
        assert!(owner.get(path).await.says("revoked"), "{path}");
    }
    let stop = format!("{change}/stop");
    assert!(owner.get(&stop).await.says("nothing to stop"));
    assert_eq!(owner.post(&stop, "").await.leads_to(), change);
    assert_eq!(office.member(Role::Support).await.post(&stop, "").await.status, 403, "who may not begin it");
    office.clock.advance(SignedDuration::from_hours(1));
    for path in [&new, &format!("{LICENSES}/export"), "/console/default/test/settings/retention/change"] {
        assert!(owner.get(path).await.leads_to().starts_with("/confirm?next="), "{path}");
        assert!(owner.post(path, "").await.leads_to().starts_with("/confirm?next="), "{path}");
    }
}

#[tokio::test]
async fn who_may_change_and_take_along_many() {
    let office = Office::open().await;
    let paths = stocked(&office).await;
    let one = format!("id={}", id(&paths[0]));
    for (role, freeze, revoke, all, export) in [
        (Role::Viewer, 403, 403, 403, 403),
        (Role::Support, 200, 403, 403, 403),
        (Role::Developer, 200, 403, 403, 403),
        (Role::Admin, 200, 200, 200, 200),
    ] {
        let browser = office.member(role).await;
        for (path, status) in [
            (format!("licenses/changes/new?action=freeze&{one}"), freeze),
            (format!("licenses/changes/new?action=revoke&{one}"), revoke),
            ("licenses/changes/new?action=freeze&all=on&state=active".to_owned(), all),
            ("licenses/export".to_owned(), export),
            ("customers/export".to_owned(), export),
            ("orders/export".to_owned(), export),
        ] {
            assert_eq!(browser.get(&format!("/console/default/test/{path}")).await.status, status, "{role} {path}");
        }
    }
    let owner = office.member(Role::Owner).await;
    let all = owner.get(&format!("{LICENSES}/changes/new?action=revoke&all=on&product=studio")).await;
    assert!(all.says("This changes 2 licenses."), "{}", all.text);
    let stranger = office.stranger().await;
    let theirs = stranger.get(&format!("/console/other/test/licenses/changes/new?action=revoke&{one}")).await;
    assert!(theirs.says("Nothing is chosen."), "another vendor's license is nobody's here");
}

#[tokio::test]
async fn a_list_is_taken_along_as_a_file() {
    let office = Office::open().await;
    let paths = stocked(&office).await;
    let (_, key) = office.license("pro", "mary@example.com").await;
    let owner = office.member(Role::Owner).await;
    let file = owner.post(&format!("{LICENSES}/export?domain=navy.example"), "format=csv&note=for+the+books").await;
    assert_eq!(file.header("content-disposition"), "attachment; filename=\"default-test-licenses-2026-11-21.csv\"");
    let lines: Vec<&str> = file.text.lines().collect();
    assert!(lines.len() == 3 && lines[0].starts_with("id,key,state,reason,"), "{}", file.text);
    assert!(lines[1].contains(id(&paths[2])) && lines[1].contains(",'=cmd@navy.example,"), "{}", lines[1]);
    let file = owner.post(&format!("{LICENSES}/export"), "format=json").await;
    let rows: Vec<serde_json::Value> = serde_json::from_str(&file.text).unwrap();
    assert_eq!((rows.len(), rows[0]["email"].as_str()), (4, Some("mary@example.com")));
    assert!(!file.says(&key), "keys are masked");
    for (list, column) in [("customers", "id,email,name"), ("orders", "id,bought,money")] {
        let file = owner.post(&format!("/console/default/test/{list}/export"), "format=csv").await;
        assert!(file.text.starts_with(column) && file.text.lines().count() == 5, "{}", file.text);
    }
    let audit = owner.get("/console/default/test/audit").await;
    assert!(audit.says("Licenses exported") && audit.says("for the books") && audit.says("domain=navy.example"));
}

#[tokio::test]
async fn a_note_stands_in_the_timeline_and_changes_nothing() {
    let office = Office::open().await;
    let support = office.member(Role::Support).await;
    let (path, _) = office.license("pro", "ada@example.com").await;
    assert!(support.post(&format!("{path}/note"), "note=").await.says("Write something first."));
    assert_eq!(
        support.post(&format!("{path}/note"), "note=Calls+on+Mondays").await.leads_to(),
        format!("{path}?said=noted")
    );
    let page = support.get(&path).await;
    assert!(page.says("License noted") && page.says("Calls on Mondays") && page.says("Active because it is paid for."));
}
