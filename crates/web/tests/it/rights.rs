//! What a license gives and to whom, on its page: its key, its holder, its limits, and files for machines that are never online.

use domain::{activation::VerdictCode, member::Role};
use engine::runtime::AppCall;
use jiff::SignedDuration;

use crate::office::{Browser, Office, Page};

fn call(key: &str) -> AppCall {
    AppCall { key: key.to_owned(), ..AppCall::default() }
}

impl Office {
    async fn verdict(&self, key: &str) -> VerdictCode {
        self.engine.check(&call(key)).await.unwrap().verdict.code
    }

    async fn activate(&self, key: &str, device: &str) {
        let answer = self.engine.activate(&call(key), device, "https://keys.example.com").await.unwrap();
        assert_eq!(answer.verdict.code, VerdictCode::Valid);
    }
}

async fn revealed(browser: &Browser<'_>, path: &str) -> String {
    let page = browser.post(&format!("{path}/reveal"), "note=").await;
    let key = page.text.split("ACME-").nth(1).unwrap();
    format!("ACME-{}", key.split(['<', '"']).next().unwrap())
}

#[tokio::test]
async fn a_key_is_changed_by_who_helps_and_mailed() {
    let office = Office::open().await;
    let support = office.member(Role::Support).await;
    let owner = office.member(Role::Owner).await;
    let (path, key) = office.license("pro", "ada@example.com").await;
    office.activate(&key, "mac-1").await;
    let rotate = format!("{path}/rotate-key");
    assert!(support.get(&path).await.says(&format!("href=\"{rotate}\" data-dialog")));
    let asked = support.get(&rotate).await;
    for words in ["stops opening the license", "is mailed to ada@example.com", "until their lease ends"] {
        assert!(asked.says(words), "{words}: {}", asked.text);
    }
    for (hours, wrong) in [("721", "Hours: 0 to 720."), ("x", "not a whole number")] {
        assert!(support.post(&rotate, &format!("hours={hours}")).await.says(wrong), "{hours}");
    }
    let changed = support.post(&rotate, "hours=2&note=it+leaked").await;
    assert_eq!(changed.leads_to(), format!("{path}?said=key_changed"));
    assert!(!support.get(&path).await.says(&key));
    let second = revealed(&owner, &path).await;
    assert_ne!(second, key);
    assert_eq!((office.verdict(&key).await, office.verdict(&second).await), (VerdictCode::Valid, VerdictCode::Valid));
    assert_eq!(owner.post(&rotate, "hours=").await.status, 303);
    let third = revealed(&owner, &path).await;
    for (key, verdict) in
        [(&key, VerdictCode::NotFound), (&second, VerdictCode::NotFound), (&third, VerdictCode::Valid)]
    {
        assert_eq!(office.verdict(key).await, verdict, "all that opened it stop at once: {key}");
    }
    let page = owner.get(&path).await;
    assert!(page.says("License key changed") && page.says("it leaked") && page.says("1 of 3"), "{}", page.text);
    let ending = key.rsplit('-').next().unwrap();
    assert_eq!(
        owner.get(&format!("/console/default/test/search?q={ending}")).await.leads_to(),
        path,
        "it still finds it"
    );
    office.clock.advance(SignedDuration::from_mins(16));
    assert!(owner.get(&rotate).await.leads_to().starts_with("/confirm"), "a secret is changed");
}

#[tokio::test]
async fn a_license_goes_to_somebody_else() {
    let office = Office::open().await;
    let owner = office.member(Role::Owner).await;
    let (path, key) = office.license("pro", "ada@example.com").await;
    office.activate(&key, "mac-1").await;
    let transfer = format!("{path}/transfer");
    let asked = owner.get(&transfer).await;
    assert!(asked.says("opening the license at once, and its devices (1 now) are freed."), "{}", asked.text);
    assert!(owner.post(&transfer, "email=bob").await.says("This is not an e-mail address."));
    let done = owner.post(&transfer, "email=bob%40example.com&name=Bob&note=sold+on").await;
    assert_eq!(done.leads_to(), format!("{path}?said=transferred"));
    assert_eq!(office.verdict(&key).await, VerdictCode::NotFound);
    let page = owner.get(&path).await;
    for words in ["Order transferred", "sold on", "Write to bob@example.com", "0 of 3", "Activation freed"] {
        assert!(page.says(words), "{words}: {}", page.text);
    }
    for role in [Role::Support, Role::Developer] {
        let browser = office.member(role).await;
        assert!(!browser.get(&path).await.says("/transfer"), "{role}");
        assert_eq!(browser.post(&transfer, "email=eve%40example.com").await.status, 403, "{role}");
    }
}

#[tokio::test]
async fn limits_are_read_before_they_are_set() {
    let office = Office::open().await;
    let owner = office.member(Role::Owner).await;
    let (path, _) = office.license("pro", "ada@example.com").await;
    let limits = format!("{path}/limits");
    let form = owner.get(&limits).await;
    assert!(
        form.says("name=\"activations\" type=\"number\" value=\"3\"") && form.says("See what changes"),
        "{}",
        form.text
    );
    let wanted = "activations=5&checks_per_month=&features=edit%2C+export";
    let told = owner.post(&limits, &format!("{wanted}&note=a+friend")).await;
    for words in ["value=\"a friend\"", "Devices: 3 → 5.", "Features: none → edit, export.", ">Set them<"] {
        assert!(told.says(words), "{words}: {}", told.text);
    }
    assert!(!told.says("Checks a month: "), "what stays is not told");
    let seen =
        |page: &Page| page.text.split("name=\"seen\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let read = seen(&told);
    let other = owner.post(&limits, &format!("activations=6&checks_per_month=&features=&seen={read}")).await;
    assert!(other.says("Devices: 3 → 6."), "what is sent is what was read");
    assert!(owner.post(&limits, "activations=0&checks_per_month=&features=").await.says("A number is 1 at least"));
    let set = owner.post(&limits, &format!("{wanted}&seen={read}&note=a+friend")).await;
    assert_eq!(set.leads_to(), format!("{path}?said=limits_set"));
    let page = owner.get(&path).await;
    for words in ["0 of 5", "instead of 3", "instead of none", "the same as in the plan"] {
        assert!(page.says(words), "{words}: {}", page.text);
    }
    office.clock.advance(SignedDuration::from_secs(1));
    let back = format!("{limits}?plan=on");
    assert!(owner.get(&limits).await.says(&format!("href=\"{back}\" data-dialog")));
    assert!(owner.get(&back).await.says("Devices: 5 → 3."));
    assert_eq!(owner.post(&back, "plan=on&seen=plan").await.leads_to(), format!("{path}?said=limits_cleared"));
    assert!(owner.get(&path).await.says("0 of 3"));
    assert_eq!(office.member(Role::Support).await.post(&limits, wanted).await.status, 403);
}

#[tokio::test]
async fn a_machine_that_is_never_online_gets_a_file() {
    let office = Office::open().await;
    let support = office.member(Role::Support).await;
    let (path, _) = office.license("pro", "ada@example.com").await;
    let offline = format!("{path}/offline-file");
    assert!(support.get(&path).await.says(&format!("href=\"{offline}\">")), "no dialog: the browser keeps a file");
    let asked = support.get(&offline).await;
    assert!(asked.says("0 of 3 are taken") && asked.says("lets a lease go for 14 days"), "{}", asked.text);
    for (fingerprint, wrong) in [("", "it is missing or empty"), ("a%07b", "control characters")] {
        assert!(support.post(&offline, &format!("fingerprint={fingerprint}")).await.says(wrong), "{fingerprint}");
    }
    let file = support.post(&offline, "fingerprint=mill-7&name=The+mill&note=asked+by+phone").await;
    assert_eq!((file.status, file.header("content-type")), (200, "application/json"));
    assert!(file.header("content-disposition").ends_with("-offline.json\""), "{:?}", file.headers);
    assert_eq!(file.text, "code valid", "what an app would get");
    let page = support.get(&path).await;
    for words in ["1 of 3", "The mill", "Activation lease written", "asked by phone"] {
        assert!(page.says(words), "{words}: {}", page.text);
    }
    support.post(&format!("{path}/freeze"), "note=").await;
    assert!(support.post(&offline, "fingerprint=mill-8").await.says("This license is frozen"));
    assert_eq!(office.member(Role::Viewer).await.post(&offline, "fingerprint=mill-9").await.status, 403);
}

#[tokio::test]
async fn a_colleague_is_sent_a_link_that_stands_there_without_scripts() {
    let office = Office::open().await;
    let (path, _) = office.license("pro", "ada@example.com").await;
    let page = office.member(Role::Viewer).await.get(&path).await;
    let link = format!("https://keys.example.com{path}");
    assert!(page.says(&format!(">{link}</a>")) && page.says(&format!("data-copy=\"{link}\"")), "{}", page.text);
}
