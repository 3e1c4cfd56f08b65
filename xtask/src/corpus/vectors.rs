//! Signing vectors: deliveries that a provider's module must believe, or must refuse.
//!
//! They are the files of a folder with this name, each called after its provider up to the first dot. A file is one case,
//! a list of cases, or has them under `cases`; what a case does not say itself, the file says for all. A case has a
//! `body`, a `secret` (or `api_key`), the headers under names of their own, perhaps the time `now` in seconds since 1970
//! at which it is looked at, and `valid` unless it is.

use std::path::Path;

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use providers::{Delivery, Provider, Settings};
use secrecy::SecretString;
use serde_json::Value;

/// The folder whose files are signing vectors.
const FOLDER: &str = "signing-vectors";

/// What a case of each provider calls its headers.
static HEADERS: [(&str, &[(&str, &str)]); 4] = [
    ("stripe", &[("stripe-signature", "header")]),
    ("paddle", &[("paddle-signature", "header")]),
    ("lemonsqueezy", &[("x-signature", "x_signature")]),
    ("appsumo", &[("x-appsumo-timestamp", "timestamp"), ("x-appsumo-signature", "signature")]),
];

/// What came of a file of vectors.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Checked {
    /// No module here reads signatures of that provider.
    NotOurs(String),
    /// So many deliveries were believed or refused as they should be, and these were not.
    Held { right: usize, wrong: Vec<String> },
}

/// Checks a file, if it is one of vectors. Each case that is to be believed is also tried with another body and another
/// secret, and must be refused then.
///
/// # Errors
/// The file is called after a provider of ours and is not in the form above.
pub(super) fn check(file: &Path, bytes: &[u8]) -> Option<anyhow::Result<Checked>> {
    let is_of_vectors = file.parent().and_then(Path::file_name).is_some_and(|folder| folder == FOLDER);
    is_of_vectors.then(|| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let slug = name.split('.').next().unwrap_or_default();
        let known = HEADERS.iter().find(|(of, _)| *of == slug);
        match known.and_then(|(slug, headers)| Some((providers::by_slug(slug)?, headers))) {
            Some((provider, headers)) => held(provider, headers, bytes),
            None => Ok(Checked::NotOurs(slug.to_owned())),
        }
    })
}

fn held(provider: &dyn Provider, headers: &[(&str, &str)], bytes: &[u8]) -> anyhow::Result<Checked> {
    let file: Value = serde_json::from_slice(bytes)?;
    let cases = file.as_array().or_else(|| file["cases"].as_array());
    let cases = cases.map_or_else(|| vec![&file], |cases| cases.iter().collect());
    ensure!(!cases.is_empty(), "it has no cases");
    let (mut right, mut wrong) = (0, Vec::new());
    for (number, case) in cases.into_iter().enumerate() {
        let name = case["name"].as_str().map_or_else(|| format!("case {}", number + 1), str::to_owned);
        let vector = Vector::read(&file, case, headers).with_context(|| name.clone())?;
        for (what, vector, valid) in vector.variants() {
            match vector.is_believed(provider) {
                believed if believed == valid => right += 1,
                true => wrong.push(format!("{name}{what} is believed")),
                false => wrong.push(format!("{name}{what} is refused")),
            }
        }
    }
    Ok(Checked::Held { right, wrong })
}

/// A delivery, and whether it is to be believed.
#[derive(Clone)]
struct Vector<'a> {
    secret: String,
    body: String,
    headers: Vec<(&'a str, &'a str)>,
    now: Option<Timestamp>,
    valid: bool,
}

impl<'a> Vector<'a> {
    fn read(file: &'a Value, case: &'a Value, headers: &[(&'a str, &str)]) -> anyhow::Result<Self> {
        let value = |name: &str| case.get(name).or_else(|| file.get(name));
        let text = |name: &str| value(name).and_then(Value::as_str).with_context(|| format!("it has no text {name}"));
        // A header that is missing may be what a case is about.
        let header = |(header, name): &(&'a str, &str)| Some((*header, value(name)?.as_str()?));
        let verdict = value("valid").or_else(|| value("valid_official_sdk"));
        Ok(Self {
            secret: text("secret").or_else(|_| text("api_key"))?.to_owned(),
            body: text("body")?.to_owned(),
            headers: headers.iter().filter_map(header).collect(),
            now: value("now").and_then(Value::as_i64).map(Timestamp::from_second).transpose()?,
            valid: verdict.is_none_or(|valid| valid == true),
        })
    }

    /// The delivery itself, and what must not be believed if it is.
    fn variants(self) -> Vec<(&'static str, Self, bool)> {
        let mut variants = vec![("", self.clone(), self.valid)];
        if self.valid {
            let body = format!("{} ", self.body);
            variants.push((", with a blank after its body,", Self { body, ..self.clone() }, false));
            let secret = format!("{}x", self.secret);
            variants.push((", with another secret,", Self { secret, ..self }, false));
        }
        variants
    }

    /// Where no time is given, age does not matter: no signature is ever too young.
    fn is_believed(&self, provider: &dyn Provider) -> bool {
        let header = |asked: &str| self.headers.iter().find(|(name, _)| *name == asked).map(|(_, value)| *value);
        let delivery = Delivery { header: &header, body: self.body.as_bytes() };
        let secrets = [SecretString::from(self.secret.as_str())];
        let now = self.now.unwrap_or(Timestamp::UNIX_EPOCH);
        provider.verify(&delivery, &secrets, &Settings::default(), now).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use providers::signature::PADDLE;
    use serde_json::json;

    use super::*;

    fn checked(file: &str, content: &Value) -> Option<anyhow::Result<Checked>> {
        check(Path::new(file), content.to_string().as_bytes())
    }

    #[test]
    fn deliveries_are_to_be_believed_and_refused_as_their_file_says() {
        let signed_at = Timestamp::from_second(1_790_000_000).unwrap();
        let header = PADDLE.sign(&"secret".into(), b"{}", signed_at);
        let case = |name: &str, header: &str, valid: bool| json!({ "name": name, "header": header, "valid": valid });
        let right = [case("right", &header, true), case("nothing", "nonsense", false)];
        let file = json!({ "body": "{}", "secret": "secret", "cases": right });
        let held =
            |right, wrong: &[&str]| Checked::Held { right, wrong: wrong.iter().map(ToString::to_string).collect() };
        assert_eq!(checked("signing-vectors/paddle.ours.json", &file).unwrap().unwrap(), held(4, &[]));

        let wrong = [case("nothing", "nonsense", true), case("right", &header, false)];
        let file = json!({ "body": "{}", "secret": "secret", "now": 1_790_000_001, "cases": wrong });
        let told = held(2, &["nothing is refused", "right is believed"]);
        assert_eq!(checked("signing-vectors/paddle.ours.json", &file).unwrap().unwrap(), told);

        let late = json!([{ "body": "{}", "secret": "secret", "now": 1_790_001_000, "header": header }]);
        let told = held(2, &["case 1 is refused"]);
        assert_eq!(checked("signing-vectors/paddle.json", &late).unwrap().unwrap(), told);
    }

    #[test]
    fn only_files_of_that_folder_are_vectors_and_ours_must_be_readable() {
        let nothing = json!({ "scheme": "some" });
        assert!(checked("events/paddle.json", &nothing).is_none());
        let not_ours = checked("signing-vectors/bank.json", &nothing).unwrap().unwrap();
        assert_eq!(not_ours, Checked::NotOurs("bank".to_owned()));
        let error = checked("signing-vectors/paddle.json", &nothing).unwrap().unwrap_err();
        assert_eq!(format!("{error:#}"), "case 1: it has no text api_key");
    }
}
