//! What mails say, how they leave, and in whose name: on pages.

use domain::{id::MailId, member::Role};
use jiff::SignedDuration;
use store::rows::Mail;

use crate::office::{Browser, Office, Page};

const HERE: &str = "/console/default/test";
const DELIVERY: &str = "/console/default/test/mails/templates/license-delivery";
const BRAND: &str = "/console/default/test/settings/brand/studio";

#[track_caller]
fn says_all(page: &Page, words: &[&str]) {
    assert_eq!(page.status, 200, "{}", page.text);
    for word in words {
        assert!(page.says(word), "{word}: {}", page.text);
    }
}

/// Runs nothing, loads nothing, and is of no origin, whatever stands in it.
#[track_caller]
fn is_harmless(page: &Page) {
    let policy = page.header("content-security-policy");
    let words: Vec<&str> = policy.split([';', ' ']).filter(|word| !word.is_empty()).collect();
    assert_eq!(
        words,
        ["sandbox", "default-src", "'none'", "style-src", "'unsafe-inline'", "frame-ancestors", "'self'"],
        "{policy}"
    );
}

impl Office {
    /// The mail that was written last.
    async fn mail(&self) -> Mail {
        self.engine.store.mails(self.tenant.0, 1).await.unwrap().remove(0)
    }
}

async fn saved(browser: &Browser<'_>, form: &str) {
    let page = browser.post(&format!("{DELIVERY}/save?language=en"), form).await;
    assert_eq!(page.leads_to(), format!("{DELIVERY}?language=en&said=template_saved"));
}

#[tokio::test]
async fn what_a_mail_says_is_written_compared_and_restored() {
    let office = Office::open().await;
    let browser = office.member(Role::Developer).await;
    says_all(&browser.get(&format!("{HERE}/mails/templates")).await, &["License delivery", "built in", "German"]);
    let editor = browser.get(&format!("{DELIVERY}?language=en")).await;
    says_all(
        &editor,
        &[
            "The built-in mail is used.",
            "Your Halo Studio license key is ready",
            "{{ key }}",
            "ACME-7F3K-9XYM-4N2A-Q7C9",
        ],
    );

    saved(&browser, "subject=Welcome+to+{{+product+}}&note=friendlier").await;
    office.clock.advance(SignedDuration::from_hours(1));
    saved(&browser, "subject=Here+it+is&intro=Enjoy.").await;
    let page = browser.get(&format!("{DELIVERY}?language=en")).await;
    says_all(&page, &["Version 2 is used", "Version 1", "Use it again", "value=\"Here it is\""]);
    says_all(&browser.get(&format!("{HERE}/mails/templates")).await, &["version 2", "developer-"]);
    let compared = browser.get(&format!("{DELIVERY}/versions/1?language=en")).await;
    says_all(
        &compared,
        &["<del>Here it is</del>", "<ins>Welcome to {{ product }}</ins>", "beside version 2, which is used"],
    );

    let restore = format!("{DELIVERY}/versions/1/restore?language=en");
    says_all(&browser.get(&restore).await, &["this mail says what version 1 says, for all products, in English"]);
    assert_eq!(browser.post(&restore, "note=it+was+better").await.status, 303);
    let preview = browser.get(&format!("{DELIVERY}/preview?language=en&view=text")).await;
    says_all(&preview, &["Welcome to Halo Studio"]);
    says_all(
        &browser.get(&format!("{DELIVERY}?product=studio&language=en")).await,
        &["Version 1 of all products is used until this product has its own."],
    );

    let remove = format!("{DELIVERY}/remove?language=en");
    says_all(&browser.get(&remove).await, &["this mail is as it is built in", "Your versions stay"]);
    assert_eq!(browser.post(&remove, "").await.status, 303);
    says_all(&browser.get(&format!("{DELIVERY}?language=en")).await, &["The built-in mail is used.", "Version 2"]);
    assert_eq!(browser.get(&remove).await.status, 404, "there is nothing to take away");
    says_all(
        &browser.get(&format!("{HERE}/audit")).await,
        &["Mail template saved", "friendlier", "Mail template restored", "it was better", "Mail template removed"],
    );
}

#[tokio::test]
async fn what_is_wrong_is_told_and_not_saved() {
    let office = Office::open().await;
    let browser = office.member(Role::Developer).await;
    for (form, wrong) in [
        ("", "Subject is missing"),
        ("text=Hello", "Text does not show the key, which this mail delivers"),
        ("html=%3Cp%3EHello%3C%2Fp%3E", "HTML does not show the key"),
        ("text={{+key+}}%0D%0A{{+kee+}}", "Text in line 2 asks for `kee`, which is not known"),
        ("intro={%25+include+'x'+%25}", "First sentences in line 1 uses the statement `include`"),
        ("html={{+key+}}%3Cscript%3Ealert(1)%3C%2Fscript%3E", "HTML has a `&#60;script&#62;`"),
    ] {
        let page = browser.post(&format!("{DELIVERY}/save?language=en"), form).await;
        assert!(page.status == 200 && page.says(wrong) && page.says("Nothing was saved"), "{form}: {}", page.text);
        if !form.is_empty() {
            let preview = browser.post(&format!("{DELIVERY}/preview?language=en"), form).await;
            is_harmless(&preview);
            says_all(&preview, &["One thing to mend", "ACME-7F3K-9XYM-4N2A-Q7C9"]);
        }
    }
    let long = format!("text={{{{+key+}}}}{}", "x".repeat(100_001));
    assert!(browser.post(&format!("{DELIVERY}/save?language=en"), &long).await.says("100000 is the most"));
    assert!(office.engine.store.mail_templates(office.tenant).await.unwrap().is_empty());
    for nowhere in ["license-lost?language=en", "license-delivery?language=fr", "license-delivery?product=none"] {
        assert_eq!(browser.get(&format!("{HERE}/mails/templates/{nowhere}")).await.status, 404, "{nowhere}");
    }
}

#[tokio::test]
async fn previews_run_nothing_and_show_no_key() {
    let office = Office::open().await;
    let (license, key) = office.license("pro", "ada@example.com").await;
    let id = license.rsplit('/').next().unwrap();
    let browser = office.member(Role::Owner).await;
    for view in ["computer", "phone", "dark", "text"] {
        let page = browser.get(&format!("{DELIVERY}/preview?language=en&license={id}&view={view}")).await;
        is_harmless(&page);
        assert!(page.status == 200 && !page.says(&key) && page.says("ACME-"), "{view}: {}", page.text);
    }
    let draft = format!("subject=For+{{{{+product+}}}}&license={id}&view=dark");
    let page = browser.post(&format!("{DELIVERY}/preview?language=en"), &draft).await;
    is_harmless(&page);
    assert!(page.says("For Halo Studio") && !page.says(&key) && page.says("(min-width: 0)"), "{}", page.text);
    for (license, told) in [("x", "A license is named by its id"), (&id.replace('0', "1"), "There is no such license")]
    {
        let page = browser.get(&format!("{DELIVERY}/preview?license={license}")).await;
        assert!(page.says(told) || page.says("There is no such license"), "{license}: {}", page.text);
    }
    let frozen = DELIVERY.replace("delivery", "frozen");
    let page = browser.get(&format!("{frozen}/preview?license={id}")).await;
    says_all(&page, &["That is not so for this license now"]);

    let footer =
        "footer=%3Cscript%3Ealert(1)%3C%2Fscript%3E&colour=%232f5bd7&download_url=https%3A%2F%2Fhalo.example%2Fget";
    let page = browser.post(&format!("{BRAND}/preview"), footer).await;
    is_harmless(&page);
    assert!(page.says("#2f5bd7") && !page.says("<script"), "{}", page.text);
    let mail = MailId(office.mail().await.id);
    is_harmless(&browser.get(&format!("{HERE}/mails/{mail}/html")).await);
}

#[tokio::test]
async fn those_who_help_read_templates_and_resend_and_change_nothing() {
    let office = Office::open().await;
    office.license("pro", "ada@example.com").await;
    let developer = office.member(Role::Developer).await;
    saved(&developer, "subject=Welcome").await;
    let mail = format!("{HERE}/mails/{}", MailId(office.mail().await.id));
    for role in [Role::Viewer, Role::Support] {
        let browser = office.member(role).await;
        let editor = browser.get(&format!("{DELIVERY}?language=en")).await;
        says_all(&editor, &["Version 1 is used", "/preview?language=en"]);
        assert!(!editor.says("<textarea") && !editor.says("Save as"), "{}", editor.text);
        assert!(!browser.get(BRAND).await.says("<textarea"));
        for (path, form) in [
            (format!("{DELIVERY}/save?language=en"), "subject=Mine"),
            (format!("{DELIVERY}/preview?language=en"), "subject=Mine"),
            (format!("{DELIVERY}/test?language=en"), "subject=Mine"),
            (format!("{DELIVERY}/remove?language=en"), ""),
            (format!("{DELIVERY}/versions/1/restore?language=en"), ""),
            (format!("{HERE}/mails/sender/try"), ""),
            (format!("{HERE}/mails/sender/release"), ""),
            (BRAND.to_owned(), "colour=%23000000"),
        ] {
            assert_eq!(browser.post(&path, form).await.status, 403, "{role} {path}");
        }
        let resent = browser.post(&format!("{mail}/resend"), "email=ada%40example.com").await.status;
        assert_eq!(resent, if role == Role::Support { 303 } else { 403 }, "{role}");
    }
}

#[tokio::test]
async fn what_another_vendor_wrote_is_not_here() {
    let office = Office::open().await;
    saved(&office.member(Role::Developer).await, "subject=Secret+welcome").await;
    let stranger = office.stranger().await;
    let elsewhere = |path: &str| path.replace("/default/", "/other/");
    for path in [
        format!("{DELIVERY}/versions/1?language=en"),
        format!("{DELIVERY}/versions/1/restore?language=en"),
        format!("{DELIVERY}/remove?language=en"),
        format!("{DELIVERY}?product=studio"),
        format!("{DELIVERY}/preview?product=studio"),
        BRAND.to_owned(),
        format!("{BRAND}/preview"),
    ] {
        assert_eq!(stranger.get(&path).await.status, 404, "{path}");
        assert_eq!(stranger.get(&elsewhere(&path)).await.status, 404, "{path} of their own");
    }
    for path in [format!("{DELIVERY}?language=en"), format!("{DELIVERY}/preview"), format!("{HERE}/mails/templates")] {
        let page = stranger.get(&elsewhere(&path)).await;
        assert!(page.status == 200 && !page.says("Secret") && !page.says("version 1"), "{path}: {}", page.text);
    }
}

#[tokio::test]
async fn a_resend_shows_the_mail_and_a_corrected_address_counts_for_the_sale() {
    let office = Office::open().await;
    let (license, key) = office.license("pro", "aad@example.com").await;
    let support = office.member(Role::Support).await;
    let mail = format!("{HERE}/mails/{}", MailId(office.mail().await.id));
    assert_eq!(support.get(&format!("{license}/resend")).await.leads_to(), format!("{mail}/resend"));
    let asked = support.get(&format!("{mail}/resend")).await;
    says_all(&asked, &["value=\"aad@example.com\"", "Your Halo Studio license key is ready", &format!("{mail}/html")]);
    assert!(!asked.says(&key));
    let wrong = support.post(&format!("{mail}/resend"), "email=nobody").await;
    says_all(&wrong, &["This is not an e-mail address.", "value=\"nobody\""]);

    let sent = support.post(&format!("{mail}/resend"), "email=ada%40example.com&note=a+typo").await;
    assert_eq!(sent.leads_to(), format!("{mail}?said=caught"), "there is no relay");
    let row = office.mail().await;
    assert_eq!((row.recipient.as_str(), row.status.as_str()), ("ada@example.com", "pending"));
    let page = support.get(sent.leads_to()).await;
    says_all(&page, &["ada@example.com", "It is caught and held"]);
    let looks = |page: &crate::office::Page| page.says("data-again=\"1000\"") && page.says("Look again");
    assert!(looks(&support.get(&format!("{mail}?said=resent")).await), "until the relay has said something");
    assert!(!looks(&page) && !looks(&support.get(&mail).await));
    says_all(&support.get(&format!("{HERE}/audit")).await, &["Ruling contact", "a typo"]);
    says_all(&support.get(&license).await, &["ada@example.com"]);
}

#[tokio::test]
async fn without_a_relay_the_sender_says_what_to_set_and_what_is_held() {
    let office = Office::open().await;
    office.license("pro", "ada@example.com").await;
    let developer = office.member(Role::Developer).await;
    let sender = format!("{HERE}/mails/sender");
    says_all(
        &office.member(Role::Admin).await.get(&sender).await,
        &["--smtp-url", "KEYWRIGHT_MAIL_FROM", "postmark://TOKEN@", "Nothing is held."],
    );
    assert!(!developer.get(&sender).await.says("--smtp-url"), "who runs the server is told how");
    for path in [format!("{sender}/try"), format!("{DELIVERY}/test?language=en")] {
        assert_eq!(developer.post(&path, "subject=Welcome").await.status, 404, "{path}: nothing can be sent");
    }
    let write = office.engine.store.begin().await.unwrap();
    assert_eq!(write.hold_mails(office.engine.now(), 10).await.unwrap().len(), 1);
    write.commit().await.unwrap();
    says_all(&developer.get(&sender).await, &["Release them", "They are kept until there is a relay."]);
    says_all(
        &developer.get(&format!("{sender}/release")).await,
        &["1 mail that is held", "There is no relay yet, so that they are caught and held again."],
    );
    let released = developer.post(&format!("{sender}/release"), "note=try").await;
    assert_eq!(released.leads_to(), format!("{sender}?said=caught"));
    assert_eq!(office.mail().await.status, "pending");
    says_all(&developer.get(&sender).await, &["The oldest was written", "Nothing is held."]);
}

#[tokio::test]
async fn a_product_speaks_in_its_own_name() {
    let office = Office::open().await;
    let developer = office.member(Role::Developer).await;
    says_all(&developer.get(&format!("{HERE}/settings/brand")).await, &["Halo Studio", "nobody yet", "nothing yet"]);
    for (form, wrong) in [
        ("colour=reddish", "is not a colour"),
        ("sender_address=nobody", "is not an e-mail address"),
        ("support_url=javascript:x", "https://, http:// or mailto:"),
    ] {
        let page = developer.post(BRAND, form).await;
        assert!(page.status == 200 && page.says(wrong), "{form}: {}", page.text);
        assert!(developer.post(&format!("{BRAND}/preview"), form).await.says(wrong), "{form}");
    }
    let form = "sender_name=Acme&sender_address=keys%40acme.example&language=de&footer=Acme+Inc.%0D%0AOne+Road&colour=%232f5bd7";
    assert_eq!(developer.post(BRAND, form).await.leads_to(), format!("{BRAND}?said=brand_saved"));
    says_all(&developer.get(BRAND).await, &["Acme &#60;keys@acme.example&#62;", "Acme Inc.\nOne Road", "#2f5bd7"]);
    says_all(
        &developer.get(&format!("{BRAND}/preview?view=text")).await,
        &["Lizenz", "Acme &#60;keys@acme.example&#62;"],
    );
    says_all(&developer.get(&format!("{HERE}/products")).await, &["mails come from Acme &#60;keys@acme.example&#62;"]);
    says_all(&developer.get(&format!("{HERE}/plans/pro")).await, &["Come from Acme &#60;keys@acme.example&#62;"]);
    developer.post(&format!("{HERE}/products/studio/edit"), "name=Halo+Studio&key_prefix=ACME").await;
    says_all(&developer.get(BRAND).await, &["#2f5bd7"]);
    assert_eq!(developer.get(&format!("{HERE}/settings/brand/none")).await.status, 404);
}
