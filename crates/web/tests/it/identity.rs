//! Members who come in by their vendor's identity provider, and who does not.

use axum::http::header;
use domain::member::Role;
use engine::{
    members::NewMember,
    rulings::By,
    testing::{Person, TestProvider},
};
use jiff::SignedDuration;
use serde_json::json;

use crate::office::{Browser, Office, PASSWORD, Page};

const HOME: &str = "/console/default/test";
const SETTINGS: &str = "/console/default/test/settings/sign-in";
const ADA: Person = Person::new("s-ada", "ada@acme.example");

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The form that sets the provider up; `more` is what it says beside the least.
fn form(more: &str) -> String {
    let (id, secret) = TestProvider::CLIENT;
    let (issuer, secret) = (encoded(TestProvider::ISSUER), encoded(secret));
    format!("name=Acme+ID&issuer={issuer}&client_id={id}&secret={secret}&{more}")
}

/// The vendor's owner, who has set the provider up.
async fn set_up<'o>(office: &'o Office, more: &str) -> Browser<'o> {
    let owner = office.member(Role::Owner).await;
    let saved = owner.post(&format!("{SETTINGS}/change"), &form(more)).await;
    assert_eq!(saved.leads_to(), format!("{SETTINGS}?said=saved"), "{}", saved.text);
    owner
}

/// What a page has the browser keep under a name.
fn kept(page: &Page, name: &str) -> Option<String> {
    let all = page.headers.get_all(header::SET_COOKIE).iter().map(|value| value.to_str().unwrap());
    let pair = all.filter_map(|text| text.split(';').next()).find(|pair| pair.starts_with(&format!("{name}=")));
    pair.map(str::to_owned)
}

/// A browser that was sent to the provider: what it keeps with the visit, and where it was sent.
async fn sent(browser: &Browser<'_>, path: &str) -> (String, String) {
    let page = browser.get(path).await;
    let visit = kept(&page, "__Host-keywright-visit").unwrap_or_else(|| panic!("{path}: {}", page.text));
    let both = [browser.kept.as_str(), &visit].map(str::to_owned).into_iter().filter(|kept| !kept.is_empty());
    (both.collect::<Vec<_>>().join("; "), page.leads_to().to_owned())
}

/// Goes to the provider by a page, signs in there, and comes back; a browser that is let in keeps its session.
async fn goes(office: &Office, browser: &mut Browser<'_>, path: &str, person: &Person) -> Page {
    let (both, door) = sent(browser, path).await;
    let query = office.provider.sign_in(&door, person, office.engine.now());
    let mut there = office.browser();
    there.kept = both;
    let page = there.get(&format!("/sign-in/default/callback?{query}")).await;
    if let Some(session) = kept(&page, "__Host-keywright") {
        browser.kept = session;
    }
    page
}

/// Where a person ends who wants to come in.
async fn comes(office: &Office, person: &Person) -> String {
    goes(office, &mut office.browser(), "/sign-in/default/provider", person).await.leads_to().to_owned()
}

fn refused(problem: &str) -> String {
    format!("/sign-in/default?problem={problem}&next=/")
}

async fn member_with_password(office: &Office, email: &str, role: Role) -> String {
    let by = By { actor: "test".to_owned(), note: None };
    let link = office.engine.invite(office.tenant, email, role, &by).await.unwrap();
    let new = NewMember { email: email.to_owned(), name: String::new(), password: PASSWORD.into() };
    let from = engine::members::CameFrom { address: String::new(), agent: String::new() };
    office.engine.take_invitation(&link, &new, &from).await.unwrap().0.to_string()
}

#[tokio::test]
async fn an_owner_sets_the_provider_up_and_people_come_in() {
    let office = Office::open().await;
    let mut owner = set_up(&office, "domains=acme.example&newcomers=support").await;
    let page = owner.get(SETTINGS).await;
    for words in [
        "Acme ID",
        "https://keys.example.com/sign-in/default/callback",
        "https://keys.example.com/sign-in/default<",
        "become members by themselves, as support",
    ] {
        assert!(page.says(words), "{words}: {}", page.text);
    }
    assert!(!page.says(TestProvider::CLIENT.1), "the secret is shown to nobody");
    assert!(
        owner
            .get(&format!("{HOME}/team/invite"))
            .await
            .says("Whoever signs in with Acme ID by that address needs no link")
    );
    let tried = goes(&office, &mut owner, &format!("{SETTINGS}/try"), &ADA).await;
    assert_eq!(tried.leads_to(), format!("{SETTINGS}?tried=support"));
    assert!(owner.get(tried.leads_to()).await.says("By Acme ID you would come in as support."));
    let others = goes(&office, &mut owner, &format!("{SETTINGS}/try"), &Person::new("s-x", "x@evil.example")).await;
    assert!(owner.get(others.leads_to()).await.says("Take your account at work."));

    let mut ada = office.browser();
    assert!(ada.get("/sign-in").await.says("Sign in with Acme ID"), "this installation has one vendor");
    assert!(ada.get("/sign-in/default?next=/console/default/test").await.says("To work on Acme."));
    let wanted = "/sign-in/default/provider?next=/console/default/test/licenses";
    assert_eq!(goes(&office, &mut ada, wanted, &ADA).await.leads_to(), "/console/default/test/licenses");
    assert!(ada.get("/console/default/test/team").await.says("ada@acme.example"));
    assert!(ada.get("/console/default/test/audit").await.says("Member joined"));
    assert_eq!(ada.get("/").await.leads_to(), HOME);
    assert_eq!(ada.post("/sign-out", "").await.leads_to(), "/sign-in");
    assert_eq!(ada.get(HOME).await.status, 303);
    assert_eq!(comes(&office, &ADA).await, "/", "the second time she is known");
}

#[tokio::test]
async fn what_does_not_hold_lets_nobody_in() {
    let office = Office::open().await;
    set_up(&office, "domains=acme.example&newcomers=viewer").await;
    let now = office.engine.now().as_second();
    let forged = Person { is_forged: true, ..ADA };
    for (what, person, problem) in [
        ("another nonce", ADA.but(json!({ "nonce": "x" })), "untrusted"),
        ("no nonce", ADA.but(json!({ "nonce": null })), "untrusted"),
        ("another issuer", ADA.but(json!({ "iss": "https://evil.example" })), "untrusted"),
        ("for somebody else", ADA.but(json!({ "aud": "others" })), "untrusted"),
        ("for somebody else as well", ADA.but(json!({ "aud": ["keywright", "others"] })), "untrusted"),
        ("expired", ADA.but(json!({ "exp": now - 120 })), "untrusted"),
        ("from the future", ADA.but(json!({ "iat": now + 600 })), "untrusted"),
        ("signed by somebody else", forged, "untrusted"),
        ("an address that is not verified", ADA.but(json!({ "email_verified": false })), "unverified"),
        ("an address of which nothing is said", ADA.but(json!({ "email_verified": null })), "unverified"),
        ("another domain", Person::new("s-x", "x@evil.example"), "domain"),
        ("a domain below", Person::new("s-x", "x@sub.acme.example"), "domain"),
    ] {
        assert_eq!(comes(&office, &person).await, refused(problem), "{what}");
    }
    for (what, person) in [
        ("a clock that is a little ahead", ADA.but(json!({ "iat": now + 30, "exp": now + 300 }))),
        ("a word for a truth", ADA.but(json!({ "email_verified": "true" }))),
        ("Entra's own word for it", ADA.but(json!({ "email_verified": null, "xms_edov": "1" }))),
    ] {
        assert_eq!(comes(&office, &person).await, "/", "{what}");
    }
    let asked = Person::new("s-asked", "").but(json!({ "email": null, "email_verified": null }));
    assert_eq!(comes(&office, &asked).await, "/", "the address is asked for where the token does not tell it");
    let page = office.browser().get(&refused("unverified")).await;
    assert!(page.says("Acme ID has not verified your e-mail address"), "{}", page.text);
}

#[tokio::test]
async fn an_answer_is_good_once_and_in_the_browser_that_asked() {
    let office = Office::open().await;
    set_up(&office, "domains=acme.example&newcomers=viewer").await;
    let back = |kept: &str, query: &str| {
        let mut browser = office.browser();
        browser.kept = kept.to_owned();
        let path = format!("/sign-in/default/callback?{query}");
        async move { browser.get(&path).await.leads_to().to_owned() }
    };
    let (ours, door) = sent(&office.browser(), "/sign-in/default/provider").await;
    let (theirs, _) = sent(&office.browser(), "/sign-in/default/provider").await;
    let query = office.provider.sign_in(&door, &ADA, office.engine.now());
    let stale = refused("stale");
    assert_eq!(back("", &query).await, stale, "a browser that was not sent");
    assert_eq!(back(&theirs, &query).await, stale, "another browser's answer");
    assert_eq!(back(&ours, &query.replace("state=", "state=x")).await, stale, "another state");
    assert_eq!(back(&ours, &query).await, "/");
    assert_eq!(back(&ours, &query).await, stale, "the same once more");

    let (ours, door) = sent(&office.browser(), "/sign-in/default/provider").await;
    let query = office.provider.sign_in(&door, &ADA, office.engine.now());
    assert_eq!(
        back(&ours, &query.replace("id.example", "evil.example")).await,
        refused("untrusted"),
        "another provider says that it answers"
    );
    let (ours, door) = sent(&office.browser(), "/sign-in/default/provider").await;
    let query = office.provider.sign_in(&door, &ADA, office.engine.now());
    office.clock.advance(SignedDuration::from_mins(11));
    assert_eq!(back(&ours, &query).await, stale, "too late");
    let (ours, door) = sent(&office.browser(), "/sign-in/default/provider").await;
    let state = door.split('&').find(|pair| pair.starts_with("state=")).unwrap();
    assert_eq!(back(&ours, &format!("{state}&error=access_denied")).await, refused("cancelled"));
}

#[tokio::test]
async fn nobody_is_signed_in_as_somebody_else_unasked() {
    let office = Office::open().await;
    let owner = set_up(&office, "domains=acme.example&newcomers=viewer").await;
    let path = "/sign-in/default/provider";
    for (site, leads_to_provider) in
        [("cross-site", false), ("same-site", false), ("none", false), ("same-origin", true)]
    {
        let page = office.browser().get_with(path, "sec-fetch-site", site).await;
        let led = page.leads_to().starts_with(TestProvider::ISSUER);
        assert_eq!((page.status, led), (303, leads_to_provider), "{site}: {}", page.leads_to());
    }
    let asked = owner.get(path).await;
    assert!(asked.says("That ends when you come in by Acme ID") && asked.says("leaving=true"), "{}", asked.text);

    // Somebody is signed in after the browser was sent there, and so was not asked.
    let (visit, door) = sent(&office.browser(), path).await;
    let query = office.provider.sign_in(&door, &ADA, office.engine.now());
    let mut there = office.browser();
    there.kept = format!("{}; {visit}", owner.kept);
    assert_eq!(there.get(&format!("/sign-in/default/callback?{query}")).await.leads_to(), refused("stale"));
    assert_eq!(owner.get(HOME).await.status, 200);

    let mut agreed = office.browser();
    agreed.kept = owner.kept.clone();
    assert_eq!(goes(&office, &mut agreed, &format!("{path}?leaving=true"), &ADA).await.leads_to(), "/");
    assert!(agreed.get("/account").await.says(ADA.email));
    assert_eq!(owner.get(HOME).await.status, 303, "the session that was left is over");
}

#[tokio::test]
async fn the_account_is_who_somebody_is() {
    let office = Office::open().await;
    let owner = set_up(&office, "").await;
    assert_eq!(comes(&office, &ADA).await, refused("nobody"), "nobody invited her");
    let id = member_with_password(&office, "ada@acme.example", Role::Developer).await;
    assert_eq!(comes(&office, &ADA).await, "/");
    let other = Person::new("s-other", "ada@acme.example");
    assert_eq!(comes(&office, &other).await, refused("other-account"), "her address was given to somebody else");
    let renamed = Person::new("s-ada", "lovelace@acme.example");
    assert_eq!(comes(&office, &renamed).await, "/", "her account has another address now");

    let removed = owner.post(&format!("/console/default/test/team/{id}/remove"), "note=").await;
    assert_eq!(removed.leads_to(), "/console/default/test/team?said=member_removed");
    let change = format!("{SETTINGS}/change");
    assert_eq!(owner.post(&change, &form("domains=acme.example&newcomers=viewer")).await.status, 303);
    for person in [&ADA, &other] {
        let problem = if person.subject == "s-ada" { "nobody" } else { "other-account" };
        assert_eq!(comes(&office, person).await, refused(problem), "who was removed does not come back by themselves");
    }
    let by = By { actor: "test".to_owned(), note: None };
    office.engine.invite(office.tenant, "Ada@acme.example", Role::Support, &by).await.unwrap();
    assert_eq!(comes(&office, &other).await, "/", "invited again, she comes with the account that she has now");
    assert_eq!(comes(&office, &ADA).await, refused("nobody-else").replace("nobody-else", "other-account"));
}

#[tokio::test]
async fn one_vendors_provider_opens_that_vendor_alone() {
    let office = Office::open().await;
    set_up(&office, "").await;
    let other = office.stranger().await;
    let email = format!("owner-{}@acme.example", office.engine.tenant("other").await.unwrap().unwrap());
    let by = By { actor: "test".to_owned(), note: None };
    office.engine.invite(office.tenant, &email, Role::Viewer, &by).await.unwrap();
    let mut browser = office.browser();
    let email: &'static str = Box::leak(email.into_boxed_str());
    assert_eq!(goes(&office, &mut browser, "/sign-in/default/provider", &Person::new("s-o", email)).await.status, 303);
    assert_eq!(browser.get(HOME).await.status, 200);
    assert_eq!(other.get("/console/other/test").await.status, 200);
    assert_eq!(browser.get("/console/other/test").await.leads_to(), "/sign-in?next=/console/other/test");
    assert!(!browser.get(HOME).await.says("/console/other/"), "the other vendor is not told of");
    let account = browser.get("/account").await;
    assert!(account.says("Signed in with Acme ID") && !account.says("192.0.2.1"), "{}", account.text);
    for (path, form) in [
        ("/account/password", "current=correct+horse&new=battery+staple"),
        ("/account/authenticator", "sealed=x&code=1"),
        ("/account/authenticator/remove", ""),
        ("/account/sessions/end", "id=x"),
        ("/confirm", "password=correct+horse"),
    ] {
        assert_eq!(browser.post(path, form).await.status, 403, "{path}");
    }
    assert_eq!(browser.get("/account/authenticator").await.status, 403);
    let nobody = office.browser().get("/sign-in").await;
    assert!(!nobody.says("Acme"), "with several vendors, strangers are not told which there are");
    assert_eq!(office.browser().get("/sign-in/other").await.leads_to(), "/sign-in?next=/");
    assert_eq!(office.browser().get("/sign-in/nothing").await.leads_to(), "/sign-in?next=/");
}

#[tokio::test]
async fn where_it_is_required_passwords_open_the_vendor_to_owners_alone() {
    let office = Office::open().await;
    let owner = set_up(&office, "domains=acme.example").await;
    let admin = office.member(Role::Admin).await;
    assert_eq!(admin.get(HOME).await.status, 200);
    assert_eq!(owner.post(&format!("{SETTINGS}/change"), &form("required=on")).await.status, 303);
    assert_eq!(
        admin.get(&format!("{HOME}/licenses?state=frozen")).await.leads_to(),
        "/sign-in/default?next=/console/default/test/licenses%3Fstate%3Dfrozen"
    );
    let page = office.browser().get("/sign-in/default").await;
    assert!(page.says("Owners can sign in with a password") && !page.says("type=\"password\""), "{}", page.text);
    assert_eq!(owner.get(HOME).await.status, 200, "an owner comes in when the provider fails");

    // An owner who came by the provider may have no other way in.
    let email: &'static str = Box::leak(format!("owner-{}@acme.example", office.tenant).into_boxed_str());
    let mut same = office.browser();
    let just_now = Person::new("s-owner", email).but(json!({ "auth_time": office.engine.now().as_second() }));
    goes(&office, &mut same, "/sign-in/default/provider", &just_now).await;
    assert_eq!(same.post(&format!("{SETTINGS}/change"), &form("")).await.status, 303);
    let locked = same.post(&format!("{SETTINGS}/change"), &form("required=on")).await;
    assert!(locked.says("Sign in with your password, and switch this on then"), "{}", locked.text);
    assert_eq!(admin.get(HOME).await.status, 200);
}

#[tokio::test]
async fn secrets_ask_the_provider_once_more_who_somebody_is() {
    let office = Office::open().await;
    set_up(&office, "domains=acme.example&newcomers=developer").await;
    let new_key = format!("{HOME}/developers/new-key");
    let proved = |seconds_ago: i64| ADA.but(json!({ "auth_time": office.engine.now().as_second() - seconds_ago }));
    let mut ada = office.browser();
    goes(&office, &mut ada, "/sign-in/default/provider", &proved(3_600)).await;
    let asked = ada.get(&new_key).await;
    let confirm = asked.leads_to();
    assert_eq!(confirm, format!("/confirm?next={new_key}"), "she signed in there an hour ago");
    assert!(ada.get(confirm).await.says("Go on at Acme ID"));
    let path = format!("/confirm/provider?next={new_key}");
    let (_, door) = sent(&ada, &path).await;
    assert!(door.contains("prompt=login") && door.contains("max_age=0"), "{door}");
    let problem = |word: &str| format!("/confirm?problem={word}&next={new_key}");
    for (what, person, word) in [
        ("it did not ask her", proved(3_600), "not-now"),
        ("it does not say when", ADA, "not-now"),
        ("somebody else", Person::new("s-bob", "bob@acme.example").but(proved(0).claims), "not-you"),
    ] {
        assert_eq!(goes(&office, &mut ada, &path, &person).await.leads_to(), problem(word), "{what}");
    }
    assert_eq!(ada.get(&new_key).await.status, 303);
    assert_eq!(goes(&office, &mut ada, &path, &proved(0)).await.leads_to(), new_key);
    assert_eq!(ada.get(&new_key).await.status, 200);
    office.clock.advance(SignedDuration::from_hours(25));
    assert!(ada.get(HOME).await.leads_to().starts_with("/sign-in?next="), "whom it knows no more is out after a day");
}

#[tokio::test]
async fn owners_alone_decide_who_says_who_somebody_is() {
    let office = Office::open().await;
    let owner = office.member(Role::Owner).await;
    let change = format!("{SETTINGS}/change");
    for role in [Role::Viewer, Role::Support, Role::Developer, Role::Admin] {
        let browser = office.member(role).await;
        assert!(browser.get(SETTINGS).await.says("An owner can set one up."), "{role}");
        for path in [&change, &format!("{SETTINGS}/try"), &format!("{SETTINGS}/remove")] {
            assert_eq!(browser.get(path).await.status, 403, "{role} {path}");
        }
        assert_eq!(browser.post(&change, &form("")).await.status, 403, "{role}");
    }
    for (more, words) in [
        ("name=", "A name for its button is needed"),
        ("issuer=nothing", "The issuer is an address that begins with https://."),
        ("issuer=https%3A%2F%2Fother.example", "does not answer as an OpenID Connect provider"),
        ("issuer=https%3A%2F%2F10.0.0.1", "The test may not call 10.0.0.1."),
        ("secret=", "The client secret is missing"),
        ("client_id=", "The client id is what the provider calls this server"),
        ("domains=acme", "Domains look like acme.com"),
        ("newcomers=support", "Name the domains whose people become members by themselves"),
        ("domains=a.example&newcomers=owner", "Nobody becomes an owner by themselves."),
    ] {
        let mut fields: Vec<String> = form("").split('&').map(str::to_owned).collect();
        let name = more.split('=').next().unwrap();
        fields.retain(|field| !field.is_empty() && !field.starts_with(&format!("{name}=")));
        fields.push(more.to_owned());
        let page = owner.post(&change, &fields.join("&")).await;
        assert!(page.says(words), "{more}: {}", page.text);
    }
    assert_eq!(owner.post(&change, &form("domains=%40ACME.example,+b.example")).await.status, 303);
    let again = form("").replace(&format!("secret={}", encoded(TestProvider::CLIENT.1)), "secret=");
    assert_eq!(owner.post(&change, &again).await.status, 303, "the secret stays");
    let mail = format!("owner-{}@acme.example", office.tenant);
    assert_eq!(comes(&office, &Person::new("s-o", Box::leak(mail.into_boxed_str()))).await, "/");
    let elsewhere = again.replace(&encoded("https://id.example"), &encoded("https://other.example"));
    assert!(owner.post(&change, &elsewhere).await.says("has to be given once more"), "nobody else gets the secret");
    assert!(owner.get(&format!("{HOME}/audit")).await.says("Identity provider saved"));

    let mut there = office.browser();
    let mail: &'static str = Box::leak(format!("admin-{}@acme.example", office.tenant).into_boxed_str());
    goes(&office, &mut there, "/sign-in/default/provider", &Person::new("s-a", mail)).await;
    assert_eq!(there.get(HOME).await.status, 200);
    assert_eq!(
        owner.post(&format!("{SETTINGS}/remove"), "note=").await.leads_to(),
        format!("{SETTINGS}?said=provider_removed")
    );
    assert_eq!(there.get(HOME).await.status, 303, "whom it had let in is signed out");
    office.clock.advance(SignedDuration::from_mins(16));
    assert_eq!(owner.get(&change).await.leads_to(), format!("/confirm?next={change}"), "a password is asked for first");
}

#[tokio::test]
async fn a_changed_key_is_read_and_an_unknown_one_does_not_make_it_ask_again_and_again() {
    let office = Office::open().await;
    set_up(&office, "domains=acme.example&newcomers=viewer").await;
    assert_eq!(comes(&office, &ADA).await, "/");
    assert_eq!(office.provider.keys_read(), 1);
    office.clock.advance(SignedDuration::from_mins(2));
    office.provider.change_key();
    assert_eq!((comes(&office, &ADA).await.as_str(), office.provider.keys_read()), ("/", 2));
    office.provider.change_key();
    assert_eq!((comes(&office, &ADA).await, office.provider.keys_read()), (refused("untrusted"), 2));
    office.clock.advance(SignedDuration::from_mins(61));
    assert_eq!((comes(&office, &ADA).await.as_str(), office.provider.keys_read()), ("/", 3));
}
