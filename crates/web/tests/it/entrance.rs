//! Who comes in, and who does not.

use axum::{
    body::Body,
    http::{Method, header},
};
use crypto::password::Authenticator;
use domain::member::Role;
use jiff::SignedDuration;

use crate::office::{Office, PASSWORD};

const HOME: &str = "/console/default/test";

#[tokio::test]
async fn the_first_owner_comes_by_a_link_that_is_good_once() {
    let office = Office::open().await;
    let link = office.engine.make_set_up_link(office.tenant).await.unwrap().reveal();
    let path = format!("/setup/{}", *link);
    let mut browser = office.browser();
    assert!(browser.get(&path).await.says("this makes you the owner"));
    let short = browser.post(&path, "email=ada%40acme.example&password=short&product=").await;
    assert_eq!((short.status, short.says("A password has 10 characters at least.")), (422, true), "{}", short.text);
    assert!(
        short.says("value=\"ada@acme.example\"") && !short.says("short\""),
        "what was typed stays, but for passwords"
    );
    let form = browser.get(&path).await;
    assert!(form.says("https://keys.example.com") && form.says("Your browser reached it by this address."));
    let entered = browser.enter(&path, "email=ada%40acme.example&password=correct+horse&product=Relay").await;
    assert_eq!(entered.leads_to(), "/");
    let kept = entered.header("set-cookie");
    assert!(
        kept.starts_with("__Host-keywright=")
            && kept.ends_with("; Path=/; HttpOnly; SameSite=Lax; Max-Age=2592000; Secure"),
        "{kept}"
    );
    assert_eq!(browser.get("/").await.leads_to(), HOME);
    assert!(browser.get(HOME).await.says("Before buyers come"));
    assert_eq!(office.browser().get(&path).await.status, 404, "it was good once");
    let second = office.engine.make_set_up_link(office.tenant).await.unwrap().reveal();
    assert_eq!(office.browser().get(&format!("/setup/{}", *second)).await.status, 404, "there is an owner");
}

#[tokio::test]
async fn a_link_is_too_old_after_half_an_hour() {
    let office = Office::open().await;
    let path = format!("/setup/{}", *office.engine.make_set_up_link(office.tenant).await.unwrap().reveal());
    office.clock.advance(SignedDuration::from_mins(31));
    let mut browser = office.browser();
    assert_eq!(browser.get(&path).await.status, 404);
    assert_eq!(browser.enter(&path, "email=a%40b.example&password=correct+horse").await.status, 404);
    for broken in ["/setup/x", "/join/x", "/setup/01kag0000000000000000000000"] {
        assert_eq!(browser.get(broken).await.status, 404, "{broken}");
    }
}

#[tokio::test]
async fn members_sign_in_and_out() {
    let office = Office::open().await;
    let owner = office.member(Role::Owner).await;
    let email = format!("owner-{}%40acme.example", office.tenant);
    let mut browser = office.browser();
    assert_eq!(browser.get(HOME).await.leads_to(), "/sign-in?next=/console/default/test");
    for (email, password) in [(email.as_str(), "wrong"), ("nobody%40acme.example", PASSWORD), ("", "")] {
        let refused = browser.enter("/sign-in", &format!("email={email}&password={password}")).await;
        assert_eq!(refused.status, 422);
        assert!(refused.says("The e-mail address or the password is not right."), "the same for whoever it is");
    }
    let entered = browser
        .enter("/sign-in?next=/console/default/test/licenses", &format!("email={email}&password=correct+horse"))
        .await;
    assert_eq!(entered.leads_to(), "/console/default/test/licenses");
    assert!(browser.get(HOME).await.says("Needs attention"));
    assert!(browser.get("/account").await.says("This browser"));
    let out = browser.enter("/sign-out", "").await;
    assert_eq!((out.leads_to(), out.header("set-cookie").contains("Max-Age=0")), ("/sign-in", true));
    assert_eq!(browser.get(HOME).await.status, 303);
    assert!(owner.get(HOME).await.says("Home"), "another browser stays signed in");
    office.clock.advance(SignedDuration::from_hours(24 * 8));
    assert_eq!(owner.get(HOME).await.status, 303, "nothing was done for a week");
}

#[tokio::test]
async fn a_link_signs_nobody_in_outside_of_a_demo() {
    let office = Office::open().await;
    let owner = office.member(Role::Owner).await;
    let handle = owner.kept.split_once('=').unwrap().1;
    assert_eq!(office.browser().get(&format!("/enter/{handle}")).await.status, 404);
}

#[tokio::test]
async fn wrong_passwords_cost_time() {
    let office = Office::open().await;
    office.member(Role::Owner).await;
    let email = format!("owner-{}%40acme.example", office.tenant);
    let mut browser = office.browser();
    for _ in 0..5 {
        assert!(browser.enter("/sign-in", &format!("email={email}&password=wrong")).await.says("is not right"));
    }
    let right = format!("email={email}&password=correct+horse");
    assert!(browser.enter("/sign-in", &right).await.says("Too many wrong answers; wait 1 seconds and try again."));
    office.clock.advance(SignedDuration::from_secs(2));
    assert_eq!(browser.enter("/sign-in", &right).await.status, 303);
}

#[tokio::test]
async fn a_code_is_asked_for_once_there_is_an_authenticator() {
    let office = Office::open().await;
    let browser = office.member(Role::Owner).await;
    let page = browser.get("/account/authenticator").await;
    let between = |from: &str, to: char| page.text.split_once(from).unwrap().1.split(to).next().unwrap().to_owned();
    let (secret, sealed) = (between("Secret: <code>", '<'), between("name=\"sealed\" value=\"", '"'));
    let secret: [u8; 20] = base32(&secret).try_into().unwrap();
    let authenticator = Authenticator::new(&secret, "x@acme.example").unwrap();
    let wrong = browser.post("/account/authenticator", &format!("sealed={sealed}&code=000000")).await;
    assert!(wrong.says("That code is not right."), "{}", wrong.text);
    let code = authenticator.code(office.engine.now());
    let set = browser.post("/account/authenticator", &format!("sealed={sealed}&code={code}")).await;
    assert_eq!(set.leads_to(), "/account?said=authenticator");

    let mut other = office.browser();
    let email = format!("owner-{}%40acme.example", office.tenant);
    let asked = other.enter("/sign-in", &format!("email={email}&password=correct+horse")).await;
    assert_eq!(asked.leads_to(), "/sign-in/code?next=/");
    assert_eq!(other.get(HOME).await.status, 303, "the password alone opens nothing");
    assert!(
        other.post("/sign-in/code", &format!("code={code}")).await.says("That is not right."),
        "each code is good once"
    );
    office.clock.advance(SignedDuration::from_secs(30));
    let code = authenticator.code(office.engine.now());
    assert_eq!(other.post("/sign-in/code", &format!("code={code}")).await.leads_to(), "/");
    assert!(other.get(HOME).await.says("Home"));
    office.clock.advance(SignedDuration::from_mins(20));
    assert_eq!(other.post("/account/authenticator/remove", "").await.leads_to(), "/confirm?next=/account");
    assert_eq!(other.post("/confirm?next=/account", "password=correct+horse").await.leads_to(), "/account");
    assert_eq!(other.post("/account/authenticator/remove", "").await.leads_to(), "/account?said=removed");
}

#[tokio::test]
async fn a_password_is_changed_and_other_browsers_are_signed_out() {
    let office = Office::open().await;
    let browser = office.member(Role::Viewer).await;
    let mut other = office.browser();
    let email = format!("viewer-{}%40acme.example", office.tenant);
    other.enter("/sign-in", &format!("email={email}&password=correct+horse")).await;
    assert!(browser.post("/account/password", "current=wrong&new=battery+staple").await.says("That is not right."));
    let changed = browser.post("/account/password", "current=correct+horse&new=battery+staple").await;
    assert_eq!(changed.leads_to(), "/account?said=password");
    assert_eq!((browser.get(HOME).await.status, other.get(HOME).await.status), (200, 303));
    assert_eq!(other.enter("/sign-in", &format!("email={email}&password=battery+staple")).await.status, 303);
}

#[tokio::test]
async fn changes_come_from_the_pages_of_this_console_only() {
    let office = Office::open().await;
    let browser = office.member(Role::Owner).await;
    for origin in ["https://evil.example", "https://keys.example.com:444", "null"] {
        let request = browser.request(Method::POST, "/sign-out").header(header::ORIGIN, origin);
        assert_eq!(browser.send(request.body(Body::empty()).unwrap()).await.status, 403, "{origin}");
    }
    assert_eq!(browser.post("/sign-out", "").await.status, 303);
}

#[tokio::test]
async fn every_page_says_what_it_may_load() {
    let office = Office::open().await;
    let browser = office.member(Role::Owner).await;
    for path in [HOME, "/account", "/console/default/live/licenses", "/console/default/test/nothing"] {
        let page = browser.get(path).await;
        assert!(page.header("content-security-policy").starts_with("default-src 'none'; script-src 'self'"), "{path}");
        assert_eq!(
            (page.header("cache-control"), page.header("x-content-type-options")),
            ("no-store", "nosniff"),
            "{path}"
        );
        assert!(!page.says("http://") || page.says("http://www.w3.org"), "{path} loads nothing from elsewhere");
    }
}

/// RFC 4648, without padding.
pub(crate) fn base32(text: &str) -> Vec<u8> {
    let digits = text.bytes().map(|byte| match byte {
        b'A'..=b'Z' => byte - b'A',
        _ => byte - b'2' + 26,
    });
    let bits: String = digits.map(|digit| format!("{digit:05b}")).collect();
    let bytes = bits.as_bytes().chunks_exact(8);
    bytes.map(|byte| u8::from_str_radix(str::from_utf8(byte).unwrap(), 2).unwrap()).collect()
}
