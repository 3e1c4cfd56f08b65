//! The sentences, and what the templates make of the sample.

use domain::{license::Scheduled, reason::Reason};
use jiff::Timestamp;

use super::*;
use crate::mail::tests::one_license;

impl LicenseDelivery {
    /// An example that shows all of it.
    fn sample() -> Self {
        Self {
            key: "ACME-7F3K-9XYM-4N2A-Q7C9".to_owned(),
            name: Some("Ada Lovelace".to_owned()),
            product: "Acme Studio".to_owned(),
            title: "Acme Studio Pro".to_owned(),
            allowance: Some("It works on 3 of your devices.".to_owned()),
            term: "It has no end date.".to_owned(),
            notice: None,
            is_test: false,
            download_url: Some("https://acme.test/download".to_owned()),
            docs_url: Some("https://acme.test/docs/start".to_owned()),
            portal_url: Some("https://licenses.acme.test/portal".to_owned()),
            support_url: Some("https://acme.test/support".to_owned()),
            can_reply: true,
            order: "pi_3PX0YzAcme0042".to_owned(),
            date: "2026-11-21".to_owned(),
            footer: Some("Acme Inc.\n1 Anvil Road, Fairfield".to_owned()),
            colour: "#1f5fd6".to_owned(),
            text_on_colour: "#ffffff",
        }
    }
}

fn at(day: &str) -> Timestamp {
    format!("{day}T12:00:00Z").parse().unwrap()
}

fn license(recurring: bool, until: Option<&str>) -> License {
    let mut license = one_license();
    license.issued_at = at("2026-11-21");
    license.unit.recurring = recurring;
    license.standing.until = until.map(at);
    license
}

#[test]
fn a_term_has_an_end_that_holds() {
    let scheduled = |mut license: License, at_risk| {
        license.standing.scheduled = Some(Scheduled { state: LicenseState::Expired, at: at("2027-01-01") });
        license.standing.at_risk = at_risk;
        license
    };
    for (license, sentence) in [
        (license(false, None), "It has no end date."),
        (license(false, Some("2027-01-01")), "It is valid until 2027-01-01."),
        (license(true, Some("2027-01-01")), "It is valid until 2027-01-01 and renews by itself."),
        // The end of a subscription whose period nobody knows yet.
        (license(true, Some("2026-11-24")), "It renews by itself with your subscription."),
        (license(true, None), "It renews by itself with your subscription."),
        // It was cancelled.
        (scheduled(license(true, Some("2027-01-01")), false), "It is valid until 2027-01-01."),
        // A payment is overdue, and the renewal still expected.
        (scheduled(license(true, Some("2027-01-01")), true), "It is valid until 2027-01-01 and renews by itself."),
    ] {
        assert_eq!(term(&license), sentence);
    }
}

#[test]
fn devices_are_counted() {
    let sentence = |activations| allowance(&Limits { activations, ..Limits::default() });
    assert_eq!(sentence(Some(3)).as_deref(), Some("It works on 3 of your devices."));
    assert_eq!(sentence(Some(1)).as_deref(), Some("It works on one of your devices."));
    assert_eq!(sentence(None).as_deref(), Some("It works on any number of your devices."));
    assert_eq!(sentence(Some(0)), None);
}

#[test]
fn what_does_not_work_any_more_says_so() {
    let mut license = license(false, None);
    assert_eq!(notice(&license), None);
    license.standing.state = LicenseState::Revoked;
    license.standing.reason = Reason::RevokedByHand;
    let expected = "Please note: this license is revoked now, because it was revoked by hand.";
    assert_eq!(notice(&license).as_deref(), Some(expected));
}

#[test]
fn a_plan_that_names_its_product_is_not_doubled() {
    assert_eq!(title("Acme Studio", Some("Pro")), "Acme Studio Pro");
    assert_eq!(title("Acme Studio", Some("ACME Studio Pro")), "ACME Studio Pro");
    assert_eq!(title("Acme Studio", None), "Acme Studio");
}

#[test]
fn the_sample_shows_everything() {
    let written = TEMPLATE.write(&LicenseDelivery::sample()).unwrap();
    insta::assert_snapshot!("sample_subject", written.subject);
    insta::assert_snapshot!("sample_text", written.text);
    insta::assert_snapshot!("sample_html", written.html);
}

/// For looking at: `cargo test -p delivery -- --ignored write_samples`, then open the files in a browser.
#[test]
#[ignore = "writes files to look at"]
fn write_samples() {
    let folder = std::env::temp_dir().join("keywright-mails");
    std::fs::create_dir_all(&folder).unwrap();
    let long = LicenseDelivery {
        key: "VERYLONG-7F3K-9XYM-4N2A-Q7C9".to_owned(),
        name: Some("Dr. Maximiliane Wolfeschlegelsteinhausenbergerdorff-Featherstonehaugh".to_owned()),
        notice: Some("Please note: this license is frozen now, because dispute dp_1PX0Yz is open.".to_owned()),
        ..LicenseDelivery::sample()
    };
    for (name, context) in [("sample", LicenseDelivery::sample()), ("bare", bare()), ("long", long)] {
        let file = folder.join(format!("{}-{name}.html", TEMPLATE.kind));
        std::fs::write(&file, TEMPLATE.write(&context).unwrap().html).unwrap();
        println!("{}", file.display());
    }
}

fn bare() -> LicenseDelivery {
    LicenseDelivery {
        name: None,
        title: "Acme Studio".to_owned(),
        allowance: None,
        is_test: true,
        download_url: None,
        docs_url: None,
        portal_url: None,
        support_url: None,
        can_reply: false,
        footer: None,
        ..LicenseDelivery::sample()
    }
}

#[test]
fn what_is_not_configured_is_not_mentioned() {
    let written = TEMPLATE.write(&bare()).unwrap();
    insta::assert_snapshot!("bare_text", written.text);
    for word in ["Questions", "http", "<a ", "Hi "] {
        assert!(!written.text.contains(word) && !written.html.contains(word), "{word}");
    }
}

#[test]
fn twins_say_the_same() {
    let sample = LicenseDelivery::sample();
    let written = TEMPLATE.write(&sample).unwrap();
    let said = [
        Some(&sample.key),
        sample.name.as_ref(),
        Some(&sample.title),
        sample.allowance.as_ref(),
        Some(&sample.term),
        sample.download_url.as_ref(),
        sample.docs_url.as_ref(),
        sample.portal_url.as_ref(),
        sample.support_url.as_ref(),
        Some(&sample.order),
        Some(&sample.date),
        sample.footer.as_ref(),
    ];
    for said in said.into_iter().flatten() {
        assert!(written.text.contains(said.as_str()) && written.html.contains(said.as_str()), "{said}");
    }
    assert!(written.html.len() < 20_000, "{} bytes", written.html.len());
    assert!(!written.html.contains("<img") && !written.html.contains("url(") && !written.html.contains("src="));
}
