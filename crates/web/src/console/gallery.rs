//! Every component in every state, on one page: what is changed in the styles is looked at here.

use askama::Template;
use axum::response::Response;
use domain::license::LicenseState;
use jiff::{SignedDuration, Timestamp};

use super::{
    action::Field,
    assets,
    attention::Item,
    list::Pager,
    place::SignedInHere,
    refusal::Refusal,
    shell::{Entry, Group, Shell, page},
    words::{Pill, When, progress, state_pill},
};

/// When everything on the page happened: it looks the same every day.
const NOW: Timestamp = Timestamp::constant(1_795_219_200, 0);
/// What is on its way, in every state.
const PROGRESS: [&str; 15] = [
    "received",
    "waiting",
    "ready",
    "held",
    "ignored",
    "done",
    "pending",
    "sent",
    "delivered",
    "failed",
    "dead",
    "cancelled",
    "caught",
    "superseded",
    "withdrawn",
];
/// What the sentence about a license can look like: its colour, and what it says.
const WHYS: [(&str, &str); 4] = [
    ("good", "Active because it is paid for."),
    ("warn", "At risk because the last payment failed; it works until 3 December."),
    ("cold", "Frozen because payment ch_3Q was disputed."),
    ("bad", "Revoked because payment ch_3Q was refunded in full (49.00 EUR)."),
];

#[derive(Template)]
#[template(path = "console/gallery.html")]
struct GalleryPage {
    shell: Shell,
    license_pills: Vec<Pill>,
    progress_pills: Vec<Pill>,
    whys: &'static [(&'static str, &'static str)],
    fields: Vec<Field>,
    items: Vec<Item>,
    moments: Vec<When>,
    pager: Pager,
    icons: Vec<&'static str>,
}

/// `GET /dev/ui`, for whoever is signed in.
pub(crate) async fn show(_: SignedInHere) -> Result<Response, Refusal> {
    page(&GalleryPage {
        shell: shell(),
        license_pills: license_pills(),
        progress_pills: PROGRESS.map(progress).into(),
        whys: &WHYS,
        fields: fields(),
        items: items(),
        moments: moments(),
        pager: Pager {
            newer: Some("#".to_owned()),
            older: Some("#".to_owned()),
            further: Some(("#".to_owned(), "Look further back")),
        },
        icons: assets::icon_names(),
    })
}

fn shell() -> Shell {
    let entry = |name, icon, is_here| Entry { path: "#".to_owned(), name, icon, is_here };
    Shell {
        title: "Gallery".to_owned(),
        tenant: "Acme".to_owned(),
        home: "#".to_owned(),
        livemode: false,
        other_mode: "#".to_owned(),
        groups: vec![
            Group { name: "", entries: vec![entry("Home", "home", true), entry("Needs attention", "bell", false)] },
            Group { name: "Sales", entries: vec![entry("Licenses", "key", false)] },
        ],
        tenants: vec![("#".to_owned(), "Acme".to_owned(), true), ("#".to_owned(), "Other".to_owned(), false)],
        product: None,
        products: vec![("#".to_owned(), "Halo Studio".to_owned(), false), ("#".to_owned(), "Relay".to_owned(), false)],
        attention: 3,
        member: "ada@acme.test".to_owned(),
        role: "owner",
        said: Some("Saved.".into()),
        next: Some(("#".to_owned(), "See it")),
        query: String::new(),
        styles: assets::styles(),
        script: assets::script(),
        stream: None,
        again: None,
        live: super::assets::live(),
    }
}

fn license_pills() -> Vec<Pill> {
    let states = LicenseState::ALL.into_iter().map(|state| state_pill(state, false));
    states.chain([state_pill(LicenseState::Active, true)]).collect()
}

fn fields() -> Vec<Field> {
    vec![
        Field::text("filled", "Name", "Halo Studio"),
        Field::text("needed", "Code", "").needed().hint("Lower-case letters, digits and dashes. It stays for good."),
        Field::text("days", "Days", "365").of("number"),
        Field::choice("plan", "Plan", [("pro", "Pro"), ("team", "Team")], "team"),
        Field::Check { name: "on", label: "Tell the buyer", hint: "By mail, at once.", is_on: true },
        Field::Check { name: "off", label: "Keep the devices", hint: "", is_on: false },
        Field::Part("Limits"),
        Field::long("long", "Text", "Hi Ada,\n\nthanks for buying Halo Studio."),
        Field::reason(),
    ]
}

fn items() -> Vec<Item> {
    let item = |detail: &str, mend: Option<&'static str>, ended| Item {
        path: "#".to_owned(),
        kind: "Unmapped price".to_owned(),
        detail: detail.to_owned(),
        since: before(SignedDuration::from_hours(3)),
        touches: None,
        mend: mend.map(|word| ("#".to_owned(), word)),
        ended,
    };
    vec![
        item("No rule says what price_1Q8Zc gives", Some("Map the price"), None),
        item("The refund re_3Q belongs to no order", None, None),
        item("The mail to ada@example.com came back", None, Some("closed")),
    ]
}

fn before(time: SignedDuration) -> When {
    When::new(NOW - time, NOW)
}

fn moments() -> Vec<When> {
    let hours = [0, 3, 30, 24 * 45, 24 * 800, -5];
    hours.into_iter().map(|hours| before(SignedDuration::from_hours(hours))).collect()
}
