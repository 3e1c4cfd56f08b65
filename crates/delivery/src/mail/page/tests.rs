//! The sentences, and what the templates make of the samples.

use domain::{license::Scheduled, reason::Reason};
use store::rows::Product;

use super::*;
use crate::mail::{
    SOMEBODY, Sample, own, sample, templates,
    tests::{FULL, contents, one_license, page_of},
};

fn at(day: &str) -> Timestamp {
    format!("{day}T12:00:00Z").parse().unwrap()
}

fn product(brand: &str) -> Product {
    contents("Acme Studio", "Pro", brand).product
}

fn about(license: License) -> Vec<String> {
    let contents = Contents { license, ..contents("Acme Studio", "Pro", "{}") };
    page_of(MailKind::LicenseDelivery, Language::English, &contents).unwrap().paragraphs
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
        (license(false, Some("2027-01-01")), "It is valid until 1 January 2027."),
        (license(true, Some("2027-01-01")), "It is valid until 1 January 2027 and renews by itself."),
        // The end of a subscription whose period nobody knows yet.
        (license(true, Some("2026-11-24")), "It renews by itself with your subscription."),
        (license(true, None), "It renews by itself with your subscription."),
        // It was cancelled.
        (scheduled(license(true, Some("2027-01-01")), false), "It is valid until 1 January 2027."),
        // A payment is overdue, and the renewal still expected.
        (scheduled(license(true, Some("2027-01-01")), true), "It is valid until 1 January 2027 and renews by itself."),
    ] {
        assert_eq!(about(license)[0], format!("It works on 3 of your devices. {sentence}"));
    }
}

#[test]
fn devices_are_counted_in_every_language() {
    for (language, any, one, many) in [
        (
            Language::English,
            "It works on any number of your devices.",
            "It works on one of your devices.",
            "It works on 3 of your devices.",
        ),
        (
            Language::German,
            "Er gilt für beliebig viele Ihrer Geräte.",
            "Er gilt für eines Ihrer Geräte.",
            "Er gilt für 3 Ihrer Geräte.",
        ),
    ] {
        let sentence = |activations| allowance(language.sentences(), &Limits { activations, ..Limits::default() });
        assert_eq!(sentence(None).as_deref(), Some(any));
        assert_eq!(sentence(Some(1)).as_deref(), Some(one));
        assert_eq!(sentence(Some(3)).as_deref(), Some(many));
        assert_eq!(sentence(Some(0)), None);
    }
}

#[test]
fn a_key_that_does_not_work_any_more_says_so() {
    let notice = |license| {
        let contents = Contents { license, ..contents("Acme Studio", "Pro", "{}") };
        page_of(MailKind::LicenseDelivery, Language::English, &contents).unwrap().notice
    };
    let mut license = license(false, None);
    assert_eq!(notice(license.clone()), None);
    license.standing.state = LicenseState::Revoked;
    license.standing.reason = Reason::RevokedByHand;
    let expected = "Please note: this license is no longer valid, because it was withdrawn by the seller.";
    assert_eq!(notice(license).as_deref(), Some(expected));
}

#[test]
fn a_plan_that_names_its_product_is_not_doubled() {
    for (product, plan, said) in [
        ("Acme Studio", Some("Pro"), "Acme Studio Pro"),
        ("Acme Studio", Some("ACME Studio Pro"), "ACME Studio Pro"),
        ("Halo Studio", Some("Studio Pro, for good"), "Halo Studio Pro, for good"),
        ("Halo Studio", Some("studio, one year"), "Halo studio, one year"),
        ("Halo Studio One", Some("Studio One Pro"), "Halo Studio One Pro"),
        ("Halo Studio Pro", Some("Pro"), "Halo Studio Pro"),
        ("Halo Studio", Some("Studios"), "Halo Studio Studios"),
        ("Acme Studio", None, "Acme Studio"),
    ] {
        assert_eq!(title(product, plan), said);
    }
}

#[test]
fn an_order_is_named_as_its_buyer_or_seller_knows_it() {
    let own = "ord_00000000000000000000000003";
    for (references, named) in [
        (&["cs_live_a1b2c3d4e5f6", "pi_42", "in_42_long"][..], "pi_42"),
        (&["manual:sale-1"], "sale-1"),
        (&["manual:in_01kag000000000000000000000"], own),
        (&["cs_live_0123456789012345678901234567890123456789"], own),
        (&[], own),
    ] {
        let references = references.iter().copied().map(Reference::new).collect();
        assert_eq!(order(&Contents { references, ..contents("Acme Studio", "Pro", "{}") }), named);
    }
}

/// The example of each mail, in each language.
fn samples(brand: &str) -> Vec<(MailKind, Language, Page)> {
    let product = product(brand);
    let mut samples = Vec::new();
    for kind in MailKind::ALL.iter().copied() {
        for language in Language::ALL {
            let contents = sample::contents(kind, &product, &own::example_plan(), at("2026-11-21"));
            samples.push((kind, language, page_of(kind, language, &contents).unwrap()));
        }
    }
    samples
}

#[test]
fn the_samples_show_everything() {
    for (kind, language, page) in samples(FULL) {
        let written = templates::write(&page).unwrap();
        let name = format!("{}_{}", kind.as_str(), language.code());
        insta::assert_snapshot!(name, format!("{}\n\n{}", written.subject, written.text));
        assert!(written.html.contains(&format!("<html lang=\"{}\">", language.code())));
    }
    let (_, _, page) = samples(FULL).remove(0);
    insta::assert_snapshot!("license-delivery_html", templates::write(&page).unwrap().html);
}

#[test]
fn what_is_not_configured_is_not_mentioned() {
    for (kind, _, page) in samples(r#"{"sender_address":"no-reply@acme.test"}"#) {
        let written = templates::write(&Page { name: None, greeting: None, ..page }).unwrap();
        for word in ["Questions", "Fragen?", "http", "<a ", "Ada"] {
            assert!(!written.text.contains(word) && !written.html.contains(word), "{kind:?}: {word}");
        }
    }
}

#[test]
fn no_sentence_lacks_a_value_and_no_mail_tells_more_than_it_should() {
    for brand in [FULL, "{}"] {
        for (kind, _, page) in samples(brand) {
            let written = templates::write(&page).unwrap();
            let has_key = kind == MailKind::LicenseDelivery;
            for part in [&written.subject, &written.text, &written.html] {
                assert!(!part.contains("{{") && !part.contains("sub_") && !part.contains("dp_"), "{kind:?}: {part}");
                assert!(!part.contains("9XYM") || has_key, "{kind:?}: only one mail has the key");
            }
            assert!(!written.text.contains(['{', '}']) && !written.subject.contains(['{', '}']), "{kind:?}");
            assert!(has_key || written.text.contains("ACME-…-Q7C9") && written.html.contains("ACME-…-Q7C9"));
            assert!(!has_key || written.text.contains("\n    ACME-7F3K-9XYM-4N2A-Q7C9\n"));
        }
    }
}

#[test]
fn twins_say_the_same_and_load_nothing() {
    for (kind, _, page) in samples(FULL) {
        let written = templates::write(&page).unwrap();
        let lines = page.paragraphs.iter().chain(&page.closing).chain([&page.intro]);
        let links = page.links.iter().chain(&page.button).flat_map(|link| [&link.label, &link.url]);
        let asked = page.questions.iter().map(|questions| &questions.lead);
        for said in lines.chain(links).chain(asked).chain(&page.greeting).chain(&page.footer).chain(&page.key) {
            let escaped = said.replace('&', "&amp;");
            assert!(written.text.contains(said.as_str()) && written.html.contains(&escaped), "{kind:?}: {said}");
        }
        assert!(written.html.len() < 20_000, "{} bytes", written.html.len());
        assert!(!written.html.contains("<img") && !written.html.contains("url(") && !written.html.contains("src="));
    }
}

#[test]
fn a_logo_has_the_products_name_in_its_place() {
    let (_, _, page) = samples(r#"{"logo_url":"https://acme.test/logo.png"}"#).remove(0);
    let written = templates::write(&page).unwrap();
    assert!(written.html.contains(r#"<img src="https://acme.test/logo.png" alt="Acme Studio""#));
    assert!(!written.text.contains("logo"));
}

/// For looking at: `cargo test -p delivery -- --ignored write_samples`, then open the files in a browser.
#[test]
#[ignore = "writes files to look at"]
fn write_samples() {
    let folder = std::env::temp_dir().join("keywright-mails");
    std::fs::create_dir_all(&folder).unwrap();
    let product = product(FULL);
    for kind in MailKind::ALL.iter().copied() {
        for language in Language::ALL {
            let sample = Sample::new(kind, Some(language), SOMEBODY, at("2026-11-21"));
            let sample = Sample { product: product.clone(), ..sample };
            let file = folder.join(format!("{}-{}.html", kind.as_str(), language.code()));
            std::fs::write(&file, sample.render(None).unwrap().html).unwrap();
            println!("{}", file.display());
        }
    }
    let brand = r#"{"download_url":"https://acme.test/get","logo_url":"https://acme.test/no.png"}"#;
    let mut long = contents("Donaudampfschifffahrtsgesellschaftskapitänsmützenverwaltung", "Professional", brand);
    long.license.standing.state = LicenseState::Frozen;
    long.license.standing.reason = Reason::FrozenByHand;
    let page = page_of(MailKind::LicenseDelivery, Language::German, &long).unwrap();
    let page = Page {
        key: Some("VERYLONG-7F3K-9XYM-4N2A-Q7C9".to_owned()),
        greeting: Some("Guten Tag Dr. Maximiliane Wolfeschlegelsteinhausenbergerdorff-Featherstonehaugh!".to_owned()),
        ..page
    };
    std::fs::write(folder.join("long.html"), templates::write(&page).unwrap().html).unwrap();
}
