//! Passkeys: added, used, and refused.

use axum::{
    body::Body,
    http::{Method, header},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use crypto::passkey::{Made, RelyingParty, Used, testing::Device};
use domain::{id::MemberId, member::Role};
use jiff::SignedDuration;

use crate::office::{Browser, Office, PASSWORD, Page};

const HOME: &str = "/console/default/test";

fn here() -> RelyingParty {
    party("keys.example.com")
}

fn party(host: &str) -> RelyingParty {
    RelyingParty { id: host.to_owned(), origin: format!("https://{host}") }
}

fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What a page gives to be signed.
async fn challenge(browser: &Browser<'_>, path: &str) -> Vec<u8> {
    let page = browser.get(path).await;
    assert_eq!(page.status, 200, "{path}: {}", page.text);
    URL_SAFE_NO_PAD.decode(&page.text).unwrap()
}

/// What the script of the page sends of a new passkey.
fn made(name: &str, made: &Made) -> String {
    format!("name={name}&client_data={}&attestation={}", text(&made.client_data), text(&made.attestation))
}

/// What it sends of one that was used.
fn used(device: &Device, used: &Used) -> String {
    let (credential, client_data) = (text(&device.credential_id), text(&used.client_data));
    let (said, signature) = (text(&used.authenticator_data), text(&used.signature));
    format!("credential={credential}&owner=&client_data={client_data}&authenticator_data={said}&signature={signature}")
}

/// Adds a passkey of a device to the member in a browser.
async fn add(browser: &Browser<'_>, device: &Device, name: &str) -> Page {
    let challenge = challenge(browser, "/account/passkeys/challenge").await;
    browser.post("/account/passkeys/new", &made(name, &device.make(&here(), &challenge))).await
}

/// Signs in by the passkey of a device, which counts that.
async fn sign_in(browser: &mut Browser<'_>, device: &mut Device) -> Page {
    let challenge = challenge(browser, "/sign-in/passkey").await;
    device.counter += 1;
    browser.enter("/sign-in/passkey", &used(device, &device.sign(&here(), &challenge))).await
}

/// The path of the page of a passkey, as the account has it.
fn path_of(account: &Page) -> String {
    let (_, rest) = account.text.split_once("href=\"/account/passkeys/psk_").unwrap();
    format!("/account/passkeys/psk_{}", rest.split('/').next().unwrap())
}

/// The browser of an owner, and the owner's device.
async fn owner(office: &Office) -> (Browser<'_>, Device) {
    let (owner, device) = (office.member(Role::Owner).await, Device::new());
    assert_eq!(add(&owner, &device, "Laptop").await.leads_to(), "/account?said=passkey_added");
    (owner, device)
}

#[tokio::test]
async fn a_passkey_stands_for_password_and_code() {
    let office = Office::open().await;
    let owner = office.member(Role::Owner).await;
    assert!(owner.get("/account").await.says("Add a passkey"));
    let agent = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 Chrome/142.0.0.0 Safari/537.36";
    let request = owner.request(Method::GET, "/account/passkeys/new").header(header::USER_AGENT, agent);
    let page = owner.send(request.body(Body::empty()).unwrap()).await;
    for words in [
        "value=\"Chrome on macOS\"",
        "data-party=\"keys.example.com\"",
        "data-algorithms=\"-7 -8 -257\"",
        "data-keys=\"\"",
        "/assets/passkeys-",
    ] {
        assert!(page.says(words), "{words}: {}", page.text);
    }
    let mut device = Device::new();
    assert_eq!(add(&owner, &device, "Laptop").await.leads_to(), "/account?said=passkey_added");
    assert!(owner.get("/account/passkeys/new").await.says(&text(&device.credential_id)), "no device needs two");

    let mut other = office.browser();
    let page = other.get("/sign-in").await;
    assert!(page.says("Sign in with a passkey") && page.says("autocomplete=\"username webauthn\""), "{}", page.text);
    let challenge = challenge(&other, "/sign-in/passkey").await;
    device.counter += 1;
    let form = used(&device, &device.sign(&here(), &challenge));
    let entered = other.enter("/sign-in/passkey?next=/console/default/test/licenses", &form).await;
    assert_eq!(entered.leads_to(), "/console/default/test/licenses");
    let account = other.get("/account").await;
    assert!(account.says("Laptop") && account.says("Used <time") && account.says("on one device only"));
    assert_eq!(other.get("/account/authenticator").await.status, 200, "who signed in just now has proved who they are");

    assert!(owner.get("/console/default/test/team").await.says("</svg>passkey</span>"));
    let log = owner.get("/console/default/test/audit").await;
    assert!(log.says("Member passkey added") && log.says("Member signed in") && log.says("Laptop"), "{}", log.text);
}

#[tokio::test]
async fn no_code_is_asked_for_after_a_passkey() {
    let office = Office::open().await;
    let (owner, mut device) = owner(&office).await;
    let who = MemberId(office.engine.store.members().await.unwrap().remove(0).id);
    let member = office.engine.store.member(who).await.unwrap().unwrap();
    let new = office.engine.new_authenticator(&member).unwrap();
    let handle = owner.kept.split_once('=').unwrap().1.parse().unwrap();
    let signed_in = office.engine.signed_in(&handle).await.unwrap().unwrap();
    let secret = new.url.split("secret=").nth(1).unwrap().split('&').next().unwrap();
    let secret: [u8; 20] = crate::entrance::base32(secret).try_into().unwrap();
    let code = crypto::password::Authenticator::new(&secret, "x").unwrap().code(office.engine.now());
    office.engine.set_authenticator(&signed_in, &new.sealed, &code).await.unwrap();

    let mut browser = office.browser();
    assert_eq!(browser.sign_in(Role::Owner).await.leads_to(), "/sign-in/code?next=/");
    assert_eq!(sign_in(&mut browser, &mut device).await.leads_to(), "/");
    assert_eq!(browser.get(HOME).await.status, 200);
}

#[tokio::test]
async fn a_passkey_confirms_who_somebody_is() {
    let office = Office::open().await;
    let (owner, mut device) = owner(&office).await;
    office.clock.advance(SignedDuration::from_mins(16));
    assert_eq!(owner.get("/account/passkeys/new").await.leads_to(), "/confirm?next=/account/passkeys/new");
    let page = owner.get("/confirm?next=/account/passkeys/new").await;
    assert!(page.says("Use a passkey") && page.says(&text(&device.credential_id)), "{}", page.text);

    // What was asked for to sign in confirms nothing, and neither does what another browser was asked.
    let mut other = office.browser();
    other.sign_in(Role::Owner).await;
    for (browser, path) in [(&owner, "/sign-in/passkey"), (&other, "/confirm/passkey")] {
        let challenge = challenge(browser, path).await;
        let refused = owner.post("/confirm/passkey", &used(&device, &device.sign(&here(), &challenge))).await;
        assert!(refused.says("That took too long, or was sent twice; try again."), "{path}: {}", refused.text);
    }
    let challenge = challenge(&owner, "/confirm/passkey").await;
    device.counter += 1;
    let form = used(&device, &device.sign(&here(), &challenge));
    let confirmed = owner.post("/confirm/passkey?next=/account/passkeys/new", &form).await;
    assert_eq!(confirmed.leads_to(), "/account/passkeys/new");
    assert_eq!(owner.get("/account/passkeys/new").await.status, 200);
}

#[tokio::test]
async fn nobody_confirms_with_the_passkey_of_another() {
    let office = Office::open().await;
    let (owner, mut device) = owner(&office).await;
    let viewer = office.member(Role::Viewer).await;
    assert!(!viewer.get("/confirm").await.says("Use a passkey"), "there is none");
    let challenge = challenge(&viewer, "/confirm/passkey").await;
    device.counter += 1;
    let form = used(&device, &device.sign(&here(), &challenge));
    assert!(viewer.post("/confirm/passkey", &form).await.says("This passkey is not known here"));
    let remove = format!("{}/remove", path_of(&owner.get("/account").await));
    for page in [viewer.get(&remove).await, viewer.post(&remove, "").await, office.stranger().await.get(&remove).await]
    {
        assert_eq!(page.status, 404);
    }
    assert!(add(&viewer, &device, "Mine").await.says("This passkey is here already"));
}

#[tokio::test]
async fn a_removed_passkey_opens_nothing() {
    let office = Office::open().await;
    let (owner, mut device) = owner(&office).await;
    let remove = format!("{}/remove", path_of(&owner.get("/account").await));
    office.clock.advance(SignedDuration::from_mins(16));
    for page in [owner.get(&remove).await, owner.post(&remove, "").await] {
        assert_eq!(page.leads_to(), format!("/confirm?next={remove}"));
    }
    owner.post("/confirm", &format!("password={PASSWORD}")).await;
    assert!(owner.get(&remove).await.says("“Laptop” signs you in no more"));
    assert_eq!(owner.post(&remove, "").await.leads_to(), "/account?said=passkey_removed");
    assert!(!owner.get("/account").await.says("Laptop"));
    let refused = sign_in(&mut office.browser(), &mut device).await;
    assert_eq!((refused.status, refused.says("This passkey is not known here, or was removed")), (422, true));
    assert!(owner.get("/console/default/test/audit").await.says("Member passkey removed"));
}

#[tokio::test]
async fn a_challenge_is_good_once_and_for_ten_minutes() {
    let office = Office::open().await;
    let (owner, mut device) = owner(&office).await;
    let mut browser = office.browser();
    let asked = challenge(&browser, "/sign-in/passkey").await;
    device.counter = 2;
    let form = used(&device, &device.sign(&here(), &asked));
    assert_eq!(browser.enter("/sign-in/passkey", &form).await.leads_to(), "/");
    device.counter = 3;
    let again = used(&device, &device.sign(&here(), &asked));
    let late = challenge(&browser, "/sign-in/passkey").await;
    let made_up = used(&device, &device.sign(&here(), b"anything"));
    office.clock.advance(SignedDuration::from_mins(1));
    for form in [again, made_up] {
        assert!(
            browser.post("/sign-in/passkey", &form).await.says("That took too long, or was sent twice; try again.")
        );
    }
    office.clock.advance(SignedDuration::from_mins(9));
    let form = used(&device, &device.sign(&here(), &late));
    assert!(browser.post("/sign-in/passkey", &form).await.says("That took too long"));

    // One that was given out in the browser of one member adds nothing to another.
    let viewer = office.member(Role::Viewer).await;
    let mine = challenge(&owner, "/account/passkeys/challenge").await;
    let form = made("x", &Device::new().make(&here(), &mine));
    assert!(viewer.post("/account/passkeys/new", &form).await.says("That took too long"));
    assert_eq!(owner.post("/account/passkeys/new", &form).await.status, 303);
    assert!(owner.post("/account/passkeys/new", &form).await.says("That took too long"), "twice");
}

#[tokio::test]
async fn what_is_not_signed_here_by_who_was_verified_is_refused() {
    let office = Office::open().await;
    let (owner, mut device) = owner(&office).await;
    let browser = office.browser();
    let other_page = RelyingParty { id: here().id, origin: party("evil.test").origin };
    let other_site = RelyingParty { id: party("evil.test").id, origin: here().origin };
    for (asked_by, is_verifying, counter, words) in [
        (other_page, true, 2, "The passkey was asked for by another site&#39;s page; nothing was done."),
        (other_site, true, 2, "This passkey is for another site."),
        (here(), false, 2, "The device did not check that it is you"),
        (here(), true, 1, "This passkey was used elsewhere in between, as if it had been copied"),
        (here(), true, 0, "This passkey was used elsewhere in between, as if it had been copied"),
    ] {
        let challenge = challenge(&browser, "/sign-in/passkey").await;
        (device.is_verifying, device.counter) = (is_verifying, counter);
        let refused = browser.post("/sign-in/passkey", &used(&device, &device.sign(&asked_by, &challenge))).await;
        assert_eq!((refused.status, refused.says(words)), (422, true), "{words}: {}", refused.text);
        assert_eq!(refused.header("set-cookie"), "");
    }
    // These were five wrong answers in a row, which cost time as wrong passwords do, whichever way is tried next.
    (device.is_verifying, device.counter) = (true, 2);
    let mut browser = office.browser();
    assert!(browser.sign_in(Role::Owner).await.says("Too many wrong answers; wait 1 seconds and try again."));
    assert!(sign_in(&mut browser, &mut device).await.says("Too many wrong answers; wait 1 seconds and try again."));
    office.clock.advance(SignedDuration::from_secs(2));
    assert_eq!(sign_in(&mut browser, &mut device).await.leads_to(), "/");

    let mut unverified = Device::new();
    unverified.is_verifying = false;
    assert!(add(&owner, &unverified, "x").await.says("The device did not check that it is you"));
    assert_eq!(
        browser.post("/sign-in/passkey", "credential=%21&client_data=&authenticator_data=&signature=").await.status,
        400
    );
}

#[tokio::test]
async fn other_pages_ask_for_nothing() {
    let office = Office::open().await;
    let (_owner, mut device) = owner(&office).await;
    let browser = office.browser();
    let challenge = challenge(&browser, "/sign-in/passkey").await;
    device.counter += 1;
    let request = browser
        .request(Method::POST, "/sign-in/passkey")
        .header(header::ORIGIN, "https://evil.test")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let form = used(&device, &device.sign(&here(), &challenge));
    assert_eq!(browser.send(request.body(Body::from(form)).unwrap()).await.status, 403);
}

#[tokio::test]
async fn a_name_that_the_server_does_not_go_by_has_no_passkeys() {
    let office = Office::open().await;
    let (owner, _device) = owner(&office).await;
    let get = async |path: &str| {
        let request = owner.request(Method::GET, path).header("x", "y");
        let mut request = request.body(Body::empty()).unwrap();
        request.headers_mut().insert(header::HOST, "other.example.com".parse().unwrap());
        owner.send(request).await
    };
    assert!(!get("/sign-in").await.says("Sign in with a passkey"));
    assert!(!get("/confirm").await.says("Use a passkey"));
    let account = get("/account").await;
    assert!(account.says("Open <a href=\"https://keys.example.com/account\">") && account.says("Laptop"));
    assert_eq!(get("/account/passkeys/new").await.leads_to(), "/account");
    for path in ["/sign-in/passkey", "/confirm/passkey", "/account/passkeys/challenge"] {
        assert_eq!(get(path).await.status, 404, "{path}");
    }
}
