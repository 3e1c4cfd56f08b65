//! The page of events in the book, written from the kinds and their samples (`UPDATE_DOCS=1`).

use std::{fmt::Write, path::Path};

use domain::{
    event::{EVENT_VERSION, Envelope, EventKind, EventStyle, sample},
    id::{EventId, TenantId},
};
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

const INTRODUCTION: &str = "# The events

What can be [told to your own systems](webhooks.md), each with an example as it arrives. This page is written from the program \
(`UPDATE_DOCS=1 cargo nextest run -p domain --test it events`).

A member is absent where it has nothing to do with the event. `version` is that of the document: within one, members may be added \
and none changes or goes. In live mode only those `license.activated` and `license.deactivated` are kept that an endpoint \
wants: devices come and go by the thousand. A `customer` has no `reference` where the sale names no customer of a provider, and no \
`id` where nobody has bought under that address yet.

";

fn told(kind: EventKind, style: EventStyle) -> String {
    let data = serde_json::to_string(&sample(kind)).expect("a sample can be written");
    let envelope = Envelope {
        id: EventId(Uuid::from_u128(0x0193_0000_0000_7000_8000_0000_0000_0007)),
        kind,
        occurred_at: Timestamp::from_second(1_793_491_200).expect("a time"),
        livemode: true,
        tenant: TenantId(Uuid::from_u128(0x0193_0000_0000_7000_8000_0000_0000_0008)),
        data: &data,
    };
    envelope.body(style, None).expect("a sample can be told")
}

/// The text of a document with a member to a line, in its own order.
fn indented(json: &str) -> String {
    let (mut text, mut depth, mut in_string, mut is_escaped) = (String::new(), 0, false, false);
    for letter in json.chars() {
        let line = |depth: usize| format!("\n{}", "  ".repeat(depth));
        match letter {
            _ if in_string => text.push(letter),
            '{' | '[' => {
                depth += 1;
                text.push(letter);
                text += &line(depth);
            }
            '}' | ']' => {
                depth -= 1;
                text += &line(depth);
                text.push(letter);
            }
            ',' => text += &format!(",{}", line(depth)),
            ':' => text += ": ",
            _ => text.push(letter),
        }
        in_string ^= letter == '"' && !is_escaped;
        is_escaped = in_string && letter == '\\' && !is_escaped;
    }
    text
}

fn document() -> String {
    let mut page = INTRODUCTION.to_owned();
    page += "| kind | what happened |\n|---|---|\n";
    for kind in EventKind::ALL {
        let (word, meaning) = (kind.as_str(), kind.meaning().trim());
        writeln!(page, "| [`{word}`](#{}) | {meaning} |", word.replace('.', "")).expect("a text grows");
    }
    for kind in EventKind::ALL {
        let example = indented(&told(*kind, EventStyle::Standard));
        write!(page, "\n## {}\n\n{}\n\n```json\n{example}\n```\n", kind.as_str(), kind.meaning().trim())
            .expect("a text grows");
    }
    let example = indented(&told(EventKind::LicenseCreated, EventStyle::Keylight));
    let other = "In [the other style](webhooks.md#the-other-style) the first of them is this:";
    write!(page, "\n{other}\n\n```json\n{example}\n```\n").expect("a text grows");
    page
}

#[test]
fn each_kind_has_an_example_in_the_book() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/events.md");
    let document = document();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &document).expect("docs/events.md can be written");
    }
    let written = std::fs::read_to_string(&path).expect("docs/events.md");
    assert_eq!(written, document, "write it anew with UPDATE_DOCS=1");
}

#[test]
fn an_example_reads_as_what_it_is() {
    for kind in EventKind::ALL {
        let told: Value = serde_json::from_str(&indented(&told(*kind, EventStyle::Standard))).expect("a document");
        assert_eq!((told["type"].as_str(), told["version"].as_str()), (Some(kind.as_str()), Some(EVENT_VERSION)));
        // Of what it tells, something is about what its kind names.
        let (subject, _) = kind.as_str().split_once('.').expect("a subject and a verb");
        assert!(told["data"][subject].is_object(), "{kind:?}");
        let gives_key = *kind == EventKind::LicenseCreated;
        assert_eq!(told["data"].get("key").is_some(), gives_key, "{kind:?}");
    }
}
