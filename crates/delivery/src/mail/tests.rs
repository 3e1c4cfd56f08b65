//! Mails as a whole, from rows to bytes.

use crypto::key::{LicenseKey, Prefix};
use domain::{
    Entropy,
    id::{OrderId, PlanId, ProductId, TenantId},
    license::{Holding, License, LicenseState, Rulings, Standing, Unit},
    plan::{AddOn, Plan, PlanTerms, PlanVersion},
    reason::Reason,
    text::{PlanCode, PriceReference, Reference},
};
use store::rows::{LicenseKey as KeyRow, Product};
use uuid::Uuid;

use super::*;

struct Counting(u8);

impl Entropy for Counting {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 = self.0.wrapping_mul(5).wrapping_add(17);
            *byte = self.0;
        }
    }
}

fn ring() -> KeyRing {
    KeyRing::generate(&mut Counting(1))
}

const VERSION: PlanVersion = PlanVersion { plan: PlanId(Uuid::nil()), version: 1, product: ProductId(Uuid::nil()) };
const ISSUED: i64 = 1_795_262_400_000_000;

fn mail(recipient: &str, name: Option<&str>) -> Mail {
    Mail {
        id: Uuid::from_u128(7),
        tenant_id: Uuid::from_u128(1),
        kind: "license-delivery".to_owned(),
        occasion: String::new(),
        license_id: Uuid::from_u128(2),
        order_id: Uuid::from_u128(3),
        recipient: recipient.to_owned(),
        recipient_name: name.map(str::to_owned),
        status: "pending".to_owned(),
        attempts: 0,
        unanswered: 0,
        next_attempt_at: Some(ISSUED),
        lease_token: None,
        lease_until: None,
        response: None,
        created_at: ISSUED,
        sent_at: None,
    }
}

/// A license that was bought once, for good.
pub(crate) fn one_license() -> License {
    License {
        id: LicenseId(Uuid::from_u128(2)),
        origin: OrderId(Uuid::from_u128(3)),
        slot: 0,
        issued_at: Timestamp::from_microsecond(ISSUED).unwrap(),
        unit: Unit {
            source: Reference::new("cs_1"),
            subscribed: false,
            line: Reference::new("li_1"),
            price: PriceReference::new("price_1"),
            product: None,
            recurring: false,
            plan: Some(VERSION),
            seats: 1,
            added: AddOn::default(),
        },
        plan: VERSION,
        standing: Standing {
            state: LicenseState::Active,
            reason: Reason::Paid,
            until: None,
            at_risk: false,
            scheduled: None,
            next_check: None,
            open: Vec::new(),
            downgraded: false,
        },
        rulings: Rulings::default(),
        holding: Holding::Unit,
        announced: true,
        expiry_told: None,
        keys: 1,
    }
}

pub(crate) fn contents(product: &str, plan: &str, brand: &str) -> Contents {
    let tenant = TenantId(Uuid::from_u128(1));
    let key = LicenseKey::generate(&Prefix::new("ACME").unwrap(), &mut Counting(9));
    let row = Uuid::from_u128(5);
    let sealed = ring().seal(Place::license_key(tenant, row), key.reveal().as_bytes(), &mut Counting(3));
    Contents {
        license: one_license(),
        tenant,
        livemode: true,
        order: OrderId(Uuid::from_u128(3)),
        references: ["cs_live_a1b2c3d4e5f6", "pi_42", "in_42_long"].map(Reference::new).into(),
        keys: vec![KeyRow {
            id: row,
            tenant_id: tenant.0,
            license_id: Uuid::from_u128(2),
            hash: Vec::new(),
            sealed: sealed.0,
            sealed_by: String::new(),
            hint: key.masked(),
            ending: String::new(),
            created_at: ISSUED,
            closes_at: None,
        }],
        product: Product {
            id: Uuid::nil(),
            tenant_id: tenant.0,
            code: "studio".to_owned(),
            name: product.to_owned(),
            key_prefix: "ACME".to_owned(),
            brand: brand.to_owned(),
            created_at: ISSUED,
        },
        templates: Vec::new(),
        plan: Plan { version: VERSION, code: PlanCode::new("pro"), name: plan.into(), terms: PlanTerms::default() },
    }
}

fn sender() -> Sender {
    Sender::parse("keys@relay.test").unwrap()
}

fn letter(mail: &Mail, contents: &Contents) -> Letter {
    write(mail, contents, &ring(), Some(&sender())).unwrap()
}

fn bytes(letter: &Letter) -> String {
    letter.wire().unwrap().message
}

/// The headers, without those of the parts.
fn headers(letter: &Letter) -> String {
    bytes(letter).replace("\r\n", "\n").split("\n\n").next().unwrap().to_owned()
}

/// What a template gets to know.
pub(super) fn page_of(kind: MailKind, language: Language, contents: &Contents) -> Option<Page> {
    let mail = Mail { kind: kind.as_str().to_owned(), ..mail("ada@example.com", Some("Ada Lovelace")) };
    let key = (kind == MailKind::LicenseDelivery).then_some("ACME-7F3K-9XYM-4N2A-Q7C9");
    match page(&mail, contents, Some(&sender()), key, Some(language)) {
        Ok((_, page)) => Some(page),
        Err(MailError::Superseded) => None,
        Err(error) => panic!("{error}"),
    }
}

pub(super) const FULL: &str = r##"{"sender_name":"Acme Studio","sender_address":"licenses@acme.test","reply_to":"help@acme.test",
    "download_url":"https://acme.test/download?a=1&b=2","docs_url":"https://acme.test/docs","footer":"Acme Inc.",
    "support_url":"https://acme.test/support","portal_url":"https://acme.test/portal","colour":"#ffcc00"}"##;

#[test]
fn a_mail_speaks_in_the_vendors_name() {
    let letter = letter(&mail("ada@example.com", Some("Ada Lovelace")), &contents("Acme Studio", "Pro", FULL));
    insta::assert_snapshot!("branded_headers", headers(&letter));
    insta::assert_snapshot!("branded_text", letter.written.text);
    assert!(letter.written.html.contains(r#"href="https://acme.test/download?a=1&amp;b=2""#));
    assert!(letter.written.html.contains("background-color:#ffcc00") && letter.written.html.contains("color:#000000"));
}

#[test]
fn without_a_brand_the_product_and_the_installations_sender_stand_in() {
    let letter = letter(&mail("ada@example.com", None), &contents("Acme Studio", "Pro", "{}"));
    insta::assert_snapshot!("plain_headers", headers(&letter));
    insta::assert_snapshot!("plain_text", letter.written.text);
}

#[test]
fn odd_names_harm_nothing() {
    let product = "<script>alert('A & B')</script>\r\nBcc: eve@evil.test";
    let name = "Zoë \u{202e}«李»\r\n<b>O'Brien";
    let long = format!("Pro {}", "ü".repeat(3_000));
    let letter = letter(&mail("zoë@bücher.example", Some(name)), &contents(product, &long, "not a brand"));
    insta::assert_snapshot!("odd_text", letter.written.text);
    assert!(!letter.written.html.contains("<script>") && !letter.written.html.contains("<b>"), "escaped");
    assert!(letter.written.html.contains("&lt;script&gt;alert(&#39;A &amp; B&#39;)&lt;/script&gt;"));
    let headers = headers(&letter);
    let names: Vec<&str> =
        headers.lines().filter(|line| !line.starts_with(' ')).filter_map(|line| line.split(':').next()).collect();
    let expected = [
        "Message-ID",
        "Date",
        "From",
        "To",
        "Subject",
        "Auto-Submitted",
        "X-Auto-Response-Suppress",
        "MIME-Version",
        "Content-Type",
    ];
    assert_eq!(names, expected, "no header came in with a name");
    assert!(letter.written.html.len() < 20_000);
}

#[test]
fn a_name_that_is_a_link_is_not_repeated() {
    let letter =
        letter(&mail("ada@example.com", Some("visit https://evil.test")), &contents("Acme Studio", "Pro", "{}"));
    assert!(!bytes(&letter).contains("evil"));
}

#[test]
fn the_same_mail_has_the_same_bytes() {
    let (mail, contents) = (mail("ada@example.com", Some("Ada")), contents("Acme Studio", "Pro", FULL));
    assert_eq!(bytes(&letter(&mail, &contents)), bytes(&letter(&mail, &contents)));
}

#[test]
fn everything_is_ascii_on_the_wire() {
    let letter = letter(&mail("ada@bücher.example", Some("Zoë 李")), &contents("Ацме", "Про", "{}"));
    let wire = letter.wire().unwrap();
    assert!(wire.message.is_ascii(), "any relay can carry it");
    assert!(wire.message.split('\n').all(|line| line.len() <= 998));
    assert_eq!(wire.envelope.to()[0].to_string(), "ada@xn--bcher-kva.example");
}

#[test]
fn a_name_nobody_reads_is_not_offered_for_answers() {
    let reply = "Reply to this mail";
    for (brand, offered) in [
        ("{}", true),
        (r#"{"sender_address":"no-reply@acme.test"}"#, false),
        (r#"{"sender_address":"NoReply@acme.test","reply_to":"help@acme.test"}"#, true),
    ] {
        let letter = letter(&mail("ada@example.com", None), &contents("Acme Studio", "Pro", brand));
        assert_eq!(letter.written.text.contains(reply), offered, "{brand}");
    }
}

#[test]
fn what_cannot_be_written_says_why() {
    let refused = |mail: &Mail, contents: &Contents, sender: Option<&Sender>| {
        let written = write(mail, contents, &ring(), sender);
        written.and_then(|letter| letter.wire().map(|_| ())).unwrap_err().to_string()
    };
    let fine = || (mail("ada@example.com", None), contents("Acme Studio", "Pro", "{}"));
    let (row, whole) = fine();
    assert!(refused(&mail("ada@exa mple.com", None), &whole, Some(&sender())).starts_with("its address is not one"));
    assert!(refused(&row, &whole, None).starts_with("neither the product's brand"));
    let other = Mail { kind: "of-tomorrow".to_owned(), ..row.clone() };
    assert!(refused(&other, &whole, Some(&sender())).starts_with("this release has no mail of the kind of-tomorrow"));
    let keyless = Contents { keys: Vec::new(), ..whole.clone() };
    assert!(refused(&row, &keyless, Some(&sender())).ends_with("has no key; restore it from a backup"));
    let mut moved = whole;
    moved.keys[0].id = Uuid::from_u128(99);
    assert!(refused(&row, &moved, Some(&sender())).starts_with("the sealed value was changed"));
}

#[test]
fn a_sender_is_an_address_with_or_without_a_name() {
    for (text, shown) in [
        ("keys@acme.test", Some("keys@acme.test")),
        (" Acme <keys@acme.test> ", Some("Acme <keys@acme.test>")),
        (r#""Acme, Inc." <keys@acme.test>"#, Some(r#""Acme, Inc." <keys@acme.test>"#)),
        ("<keys@acme.test>", Some("keys@acme.test")),
        ("Acme\r\nBcc: eve <keys@acme.test>", Some(r#""Acme Bcc: eve" <keys@acme.test>"#)),
        ("Acme", None),
        ("Acme <keys>", None),
        ("", None),
    ] {
        assert_eq!(Sender::parse(text).map(|sender| sender.to_string()).as_deref(), shown, "{text}");
    }
}
