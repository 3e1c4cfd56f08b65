//! A file of licenses as another system, a shop or a spreadsheet writes it: lines with a header. A line that does not make
//! sense says why, and stops no other.

use std::collections::{BTreeMap, BTreeSet};

use crypto::key::LicenseKey;
use domain::{
    tag::{self, TAG_CHARACTERS_MAX, TagError},
    text::{EmailAddress, PlanCode},
};
use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, DateTime},
    tz::TimeZone,
};
use serde::{Deserialize, Serialize};

use super::{COLUMNS_MAX, ImportError, LINES_MAX};

/// Columns that nobody knows of which is told, at most.
const IGNORED_TOLD: usize = 20;
/// The longest name of one of those, in characters.
const IGNORED_NAME_MAX: usize = 40;
/// The longest name of a buyer, in characters.
const NAME_MAX: usize = 200;
/// The longest note, in characters.
const NOTE_MAX: usize = 1_000;
/// The longest reference, in characters.
const REFERENCE_MAX: usize = 200;
/// Devices of a license at most.
const DEVICES_MAX: usize = 200;
/// The longest name of a device, in characters.
const DEVICE_MAX: usize = 255;
/// Devices that a license may allow at most: more than that is a mistake.
const ACTIVATIONS_MAX: u32 = 1_000_000;

/// Columns, each by the names that other systems have for it.
const COLUMNS: &[(Column, &[&str])] = &[
    (Column::Key, &["key", "license_key", "licence_key", "license", "licence", "serial", "serial_number"]),
    (Column::Email, &["email", "e_mail", "email_address", "customer_email", "buyer_email", "user_email"]),
    (Column::Name, &["name", "customer_name", "full_name", "buyer", "customer"]),
    (Column::Plan, &["plan", "plan_code", "policy", "tier", "variant"]),
    (Column::Product, &["product", "product_code", "product_name"]),
    (
        Column::Expires,
        &["expires", "expires_at", "expiry", "expiry_date", "expiration", "expiration_date", "valid_until", "ends_at"],
    ),
    (
        Column::Activations,
        &["activations", "activation_limit", "activations_max", "max_activations", "devices_max", "max_machines"],
    ),
    (Column::Created, &["created", "created_at", "date", "issued_at", "purchased_at", "purchase_date", "order_date"]),
    (Column::Quantity, &["quantity", "seats", "qty"]),
    (Column::Reference, &["reference", "order", "order_id", "order_number", "transaction_id"]),
    (Column::Note, &["note", "notes", "comment"]),
    (Column::Devices, &["devices", "device_ids", "fingerprints", "machines"]),
    (Column::Tags, &["tags", "tag", "labels"]),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Column {
    Key,
    Email,
    Name,
    Plan,
    Product,
    Expires,
    Activations,
    Created,
    Quantity,
    Reference,
    Note,
    Devices,
    Tags,
}

/// When a license ends, as a file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ends {
    /// It does not say: as the plan does.
    ByPlan,
    /// Never, in so many words.
    Never,
    /// Then.
    At(#[serde(with = "domain::time::micros")] Timestamp),
}

/// How many devices a license allows, as a file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Room {
    /// It does not say: as the plan does.
    ByPlan,
    /// Any number, in so many words.
    Any,
    /// So many.
    Most(u32),
}

/// A license as a line tells it. Its key is among it, so it does not print itself.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Bringing {
    pub(crate) key: String,
    pub(crate) email: Option<EmailAddress>,
    pub(crate) name: Option<String>,
    /// The plan's code, or what the file calls it before it is looked up.
    pub(crate) plan: Option<PlanCode>,
    pub(crate) product: Option<String>,
    pub(crate) ends: Ends,
    pub(crate) room: Room,
    #[serde(with = "domain::time::micros_optional")]
    pub(crate) created: Option<Timestamp>,
    pub(crate) quantity: Option<u32>,
    pub(crate) reference: Option<String>,
    pub(crate) note: Option<String>,
    pub(crate) devices: BTreeSet<String>,
    pub(crate) tags: BTreeSet<String>,
    /// Whether its buyer gets a mail.
    pub(crate) send_email: bool,
}

impl Bringing {
    /// Its key. None: it was checked when it was read, so it always has one.
    pub(crate) fn license_key(&self) -> Option<LicenseKey> {
        LicenseKey::as_written(&self.key).ok()
    }
}

/// A line of a file.
pub(crate) struct Line {
    /// Where it begins in the file, from 1.
    pub(crate) number: u64,
    /// What it tells, or why it makes no sense.
    pub(crate) told: Result<Bringing, String>,
}

/// What stands in a file.
pub(crate) struct File {
    pub(crate) lines: Vec<Line>,
    /// The first columns that nobody knows here.
    pub(crate) ignored: Vec<String>,
}

/// Reads a file.
///
/// # Errors
/// It has no header that names the keys, or more columns or lines than are imported at once.
pub(crate) fn read(text: &str) -> Result<File, ImportError> {
    // Lines are counted by the signs that end them, of which some systems write two.
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    let header = text.lines().next().unwrap_or_default();
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter(header)).flexible(true).from_reader(text.as_bytes());
    let names = reader.headers().cloned().unwrap_or_default();
    if names.len() > COLUMNS_MAX {
        return Err(ImportError::TooManyColumns);
    }
    let (places, ignored) = known(&names);
    if !places.contains_key(&Column::Key) {
        return Err(ImportError::NoKeys);
    }
    let mut lines = Vec::new();
    for record in reader.records() {
        if lines.len() == LINES_MAX {
            return Err(ImportError::TooManyLines);
        }
        let line = match record {
            Ok(record) if record.iter().all(|cell| cell.trim().is_empty()) => continue,
            Ok(record) => Line {
                number: record.position().map_or(0, csv::Position::line),
                told: whole(&record, names.len()).and_then(|()| {
                    let place = |wanted| places.get(&wanted).and_then(|place| record.get(*place));
                    bringing(|wanted| place(wanted).map(str::trim).unwrap_or_default())
                }),
            },
            Err(error) => Line {
                number: error.position().map_or(0, csv::Position::line),
                told: Err("it cannot be read as a line of text with fields".to_owned()),
            },
        };
        lines.push(line);
    }
    Ok(File { lines, ignored })
}

/// What stands between the fields: spreadsheets of some countries write semicolons, and what is copied from them has tabs.
fn delimiter(header: &str) -> u8 {
    let count = |sign: char| header.matches(sign).count();
    [(';', b';'), ('\t', b'\t')].into_iter().find(|(sign, _)| count(*sign) > count(',')).map_or(b',', |(_, byte)| byte)
}

/// Where each column stands, and the names that are none. The first of two with one meaning counts.
fn known(names: &csv::StringRecord) -> (BTreeMap<Column, usize>, Vec<String>) {
    let (mut places, mut ignored) = (BTreeMap::new(), Vec::new());
    for (place, name) in names.iter().enumerate() {
        let plain: String = name.trim().to_lowercase().replace([' ', '-', '.'], "_");
        let column = COLUMNS.iter().find(|(_, known)| known.contains(&plain.as_str())).map(|(column, _)| *column);
        match column.filter(|column| !places.contains_key(column)) {
            Some(column) => {
                places.insert(column, place);
            }
            None if plain.is_empty() || ignored.len() == IGNORED_TOLD => {}
            None => ignored.push(name.chars().take(IGNORED_NAME_MAX).collect()),
        }
    }
    (places, ignored)
}

/// A field that is torn in two, or is missing, moves those behind it: a name or a plan would become the key, and whoever
/// guesses it has the license.
fn whole(record: &csv::StringRecord, columns: usize) -> Result<(), String> {
    let fields = record.len();
    if fields == columns {
        return Ok(());
    }
    let why = format!("the number of its fields is {fields}, and {columns} in the first line");
    Err(format!("{why}; a field with a separator in it needs quotes"))
}

/// What a line tells, by what stands in each of its columns.
///
/// Why it makes no sense never repeats what stands there: where columns are mixed up it is a key, and it would be kept in
/// clear.
fn bringing<'a>(cell: impl Fn(Column) -> &'a str) -> Result<Bringing, String> {
    let some = |column| Some(cell(column)).filter(|text| !text.is_empty());
    let email = some(Column::Email).map(EmailAddress::parse).transpose();
    Ok(Bringing {
        key: key(cell(Column::Key))?,
        email: email.map_err(|_| "its e-mail address is none".to_owned())?,
        name: short(some(Column::Name), "name", NAME_MAX)?,
        plan: some(Column::Plan).map(PlanCode::new),
        product: some(Column::Product).map(str::to_owned),
        ends: ends(cell(Column::Expires))?,
        room: match number(some(Column::Activations).filter(|text| !is_any(text)), "activations")? {
            Some(most) => Room::Most(most),
            None if some(Column::Activations).is_some() => Room::Any,
            None => Room::ByPlan,
        },
        created: some(Column::Created).map(|text| moment(text, "created")).transpose()?.map(|(at, _)| at),
        quantity: number(some(Column::Quantity), "quantity")?,
        reference: short(some(Column::Reference), "reference", REFERENCE_MAX)?,
        note: short(some(Column::Note), "note", NOTE_MAX)?,
        devices: devices(cell(Column::Devices))?,
        tags: tags(cell(Column::Tags))?,
        send_email: false,
    })
}

fn key(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("it has no key".to_owned());
    }
    if text.contains(['…', '*']) {
        return Err("its key is masked; the file must have the whole keys".to_owned());
    }
    if text.chars().any(char::is_control) {
        return Err("its key has a sign in it that nobody can type".to_owned());
    }
    match LicenseKey::as_written(text) {
        Ok(key) => Ok(key.reveal().to_owned()),
        Err(error) => Err(format!("its key is none: {error}")),
    }
}

fn short(text: Option<&str>, what: &str, most: usize) -> Result<Option<String>, String> {
    match text {
        Some(text) if text.chars().count() > most => Err(format!("its {what} has more than {most} characters")),
        text => Ok(text.map(|text| text.replace(|sign: char| sign.is_control() && sign != '\n', " "))),
    }
}

fn is_any(text: &str) -> bool {
    ["unlimited", "any", "-"].contains(&text.to_lowercase().as_str())
}

fn number(text: Option<&str>, what: &str) -> Result<Option<u32>, String> {
    let wrong = || format!("its {what} must be a whole number from 1 to {ACTIVATIONS_MAX}");
    let read = |text: &str| {
        let number = text.parse().ok().filter(|number| (1..=ACTIVATIONS_MAX).contains(number));
        number.ok_or_else(wrong)
    };
    text.map(read).transpose()
}

fn ends(text: &str) -> Result<Ends, String> {
    match text.to_lowercase().as_str() {
        "" => Ok(Ends::ByPlan),
        "never" | "lifetime" | "perpetual" | "-" => Ok(Ends::Never),
        // A license that ends on a day works on that day.
        _ => Ok(match moment(text, "expires")? {
            (day, true) => Ends::At(domain::time::after(day, SignedDuration::from_hours(24))),
            (at, false) => Ends::At(at),
        }),
    }
}

/// A moment in one of the forms in which it cannot be mistaken, and whether it is a whole day, which begins at midnight UTC.
fn moment(text: &str, what: &str) -> Result<(Timestamp, bool), String> {
    let utc = |at: DateTime| at.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    let is_seconds = (9..=11).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_seconds && let Some(at) = text.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok()) {
        return Ok((at, false));
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok((at, false));
    }
    if let Some(day) = text.parse::<Date>().ok().filter(|_| text.len() <= 10).and_then(|day| utc(day.into())) {
        return Ok((day, true));
    }
    // Databases write a moment without saying where its clock stands.
    let at = text.parse::<DateTime>().ok().filter(|_| text.len() > 10).and_then(utc);
    at.map(|at| (at, false))
        .ok_or_else(|| format!("its {what} can be mistaken, or is no moment; write 2026-12-24 or 2026-12-24T18:00:00Z"))
}

fn devices(text: &str) -> Result<BTreeSet<String>, String> {
    let names = text.split([';', '|', '\n']).map(str::trim).filter(|name| !name.is_empty());
    let devices: BTreeSet<String> = names.map(str::to_owned).collect();
    if devices.len() > DEVICES_MAX {
        return Err(format!("it has more than {DEVICES_MAX} devices"));
    }
    if devices.iter().any(|name| name.chars().count() > DEVICE_MAX || name.chars().any(char::is_control)) {
        return Err(format!("a device of it has more than {DEVICE_MAX} characters, or one that cannot be shown"));
    }
    Ok(devices)
}

fn tags(text: &str) -> Result<BTreeSet<String>, String> {
    tag::read_all(text).map_err(|error| match error {
        TagError::Word(_) => {
            format!("a tag of it has more than {TAG_CHARACTERS_MAX} characters, or one that cannot be shown")
        }
        TagError::TooMany(_) => error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// The first line of a file with these columns, as it is told.
    fn told(header: &str, line: &str) -> Result<Bringing, String> {
        read(&format!("{header}\n{line}\n")).unwrap().lines.remove(0).told
    }

    #[test]
    fn columns_are_found_by_the_names_of_other_systems() {
        let file = "\u{feff}License Key;E-Mail;Product Code;Expires At;Colour\r\nOLD-1234567;Ada@Example.com;tool;2027-01-01;red\r\n";
        let File { lines, ignored } = read(file).unwrap();
        let told = lines[0].told.as_ref().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((told.key.as_str(), lines[0].number), ("OLD-1234567", 2));
        assert_eq!(told.email.as_ref().map(EmailAddress::as_str), Some("Ada@Example.com"));
        assert_eq!((told.product.as_deref(), ignored.as_slice()), (Some("tool"), &["Colour".to_owned()][..]));
        assert!(read("e-mail,name\na@b.example,Ada\n").is_err_and(|error| matches!(error, ImportError::NoKeys)));
        assert!(read("").is_err());
    }

    #[test]
    fn ends_and_moments_are_read_where_they_cannot_be_mistaken() {
        for (text, expected) in [
            ("", Ends::ByPlan),
            ("Lifetime", Ends::Never),
            ("2026-12-24", Ends::At(at("2026-12-25T00:00:00Z"))),
            ("2026-12-24 18:30:00", Ends::At(at("2026-12-24T18:30:00Z"))),
            ("2026-12-24T18:30:00+01:00", Ends::At(at("2026-12-24T17:30:00Z"))),
            ("1798138800", Ends::At(at("2026-12-24T19:00:00Z"))),
        ] {
            assert_eq!(ends(text), Ok(expected), "{text}");
        }
        for text in ["12/24/2026", "24.12.2026", "soon", "20261"] {
            assert!(ends(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_line_that_makes_no_sense_says_why() {
        for (line, why) in [
            (",a@b.example,,,", "it has no key"),
            ("short,,,,", "its key is none"),
            ("TOOL-…-7C9F,,,,", "its key is masked"),
            ("OLD-1234567,nobody,,,", "its e-mail address is none"),
            ("OLD-1234567,,0,,", "its activations must be a whole number"),
            ("OLD-1234567,,,31/12/2026,", "its expires can be mistaken"),
            ("OLD-1234567,,,,a\u{7}b", "a tag of it has more than 40 characters"),
        ] {
            let error = told("key,email,activations,expires,tags", line).err().unwrap_or_default();
            assert!(error.starts_with(why), "{line}: {error}");
        }
        let file = read("key,name\nOLD-1234567,\"Ada, Lovelace\"\n\nOLD-7654321,\nbad,\n").unwrap();
        let fine: Vec<bool> = file.lines.iter().map(|line| line.told.is_ok()).collect();
        assert_eq!(fine, [true, true, false], "one that is bad stops no other, and an empty one is none");
    }

    #[test]
    fn a_line_whose_fields_are_not_as_many_as_the_columns_has_no_key() {
        for (line, why) in [
            (
                "a@b.example,Lovelace, Augusta Ada,ACME-7F3K-22",
                "the number of its fields is 4, and 3 in the first line",
            ),
            ("a@b.example,Lovelace, Augusta Ada", ""),
            ("a@b.example,\"Lovelace, Augusta Ada\",ACME-7F3K-22", ""),
            ("a@b.example,ACME-7F3K-22", "the number of its fields is 2, and 3 in the first line"),
            ("a@b.example,,ACME-7F3K-22,", "the number of its fields is 4, and 3 in the first line"),
        ] {
            let error = told("email,name,key", line).err().unwrap_or_default();
            assert!(error.starts_with(why) && error.is_empty() == why.is_empty(), "{line}: {error}");
            assert!(!error.contains("7F3K"), "{error}");
        }
    }

    #[test]
    fn nothing_that_is_wrong_is_repeated() {
        // A key that stands where something else belongs, with a sign that has no place in a tag or a device.
        for (_, names) in COLUMNS.iter().filter(|(column, _)| *column != Column::Key) {
            let header = format!("key,{}", names[0]);
            let error = told(&header, "OLD-1234567,\"SECRET-1234\u{7}\"").err().unwrap_or_default();
            assert!(!error.contains("SECRET"), "{header}: {error}");
        }
    }

    #[test]
    fn a_header_is_as_wide_as_a_table_is() {
        let header = |columns: usize| format!("key{}\n", ",x".repeat(columns - 1));
        let ignored = read(&header(COLUMNS_MAX)).unwrap().ignored;
        assert_eq!(ignored.len(), IGNORED_TOLD);
        let wide = read(&header(COLUMNS_MAX + 1));
        assert!(wide.is_err_and(|error| matches!(error, ImportError::TooManyColumns)));
        let long = read(&format!("key,{}\n", "x".repeat(1_000))).unwrap().ignored;
        assert_eq!(long[0].len(), IGNORED_NAME_MAX);
    }

    #[test]
    fn what_a_line_tells_is_kept() {
        let header = "key,activations,devices,tags,note,quantity,created";
        let told = told(header, "OLD-1234567,unlimited,mac-1;mac-2,\"VIP, beta\",moved over,2,2024-02-29").unwrap();
        let numbers = (told.quantity, told.devices.len(), told.tags.len());
        assert_eq!((told.room, numbers), (Room::Any, (Some(2), 2, 2)));
        assert_eq!((told.note.as_deref(), told.created), (Some("moved over"), Some(at("2024-02-29T00:00:00Z"))));
    }
}
