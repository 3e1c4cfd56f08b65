//! What every provider must keep, tried with every one of its fixtures. A new provider gets these tests by its line in
//! `PROVIDERS`, its fixtures, and its way of signing below.

mod mutations;

use std::{collections::BTreeSet, fs, path::Path};

use domain::{
    fact::{Fact, VERSION},
    order::{Contact, Order},
    text::{EmailAddress, Reference},
};
use jiff::Timestamp;
use providers::{
    Delivery, Incoming, Level, LicenseKeys, Outcome, PROVIDERS, Provider, Reject, Settings, Step, Verified, appsumo,
    backfill::Piece, by_slug, calls::Uses, http::Answer, redeem::BuyerNews, signature,
};
use secrecy::SecretString;
use serde_json::{Value, json};

/// How each provider's calls are signed: their headers.
fn signed(slug: &str, secret: &SecretString, body: &[u8], at: Timestamp) -> Vec<(&'static str, String)> {
    match slug {
        "stripe" => vec![("stripe-signature", signature::STRIPE.sign(secret, body, at))],
        "paddle" => vec![("paddle-signature", signature::PADDLE.sign(secret, body, at))],
        "lemonsqueezy" => vec![("x-signature", providers::lemonsqueezy::sign(secret, body))],
        "appsumo" => appsumo::sign(secret, body, at),
        "generic" => vec![(providers::generic::SIGNATURE, signature::STRIPE.sign(secret, body, at))],
        other => panic!("say here how {other} signs"),
    }
}

fn found<'h>(headers: &'h [(&'static str, String)], asked: &str) -> Option<&'h str> {
    headers.iter().find(|(name, _)| *name == asked).map(|(_, value)| value.as_str())
}

fn now() -> Timestamp {
    Timestamp::from_second(1_790_000_000).expect("a time")
}

fn secrets(texts: &[&str]) -> Vec<SecretString> {
    texts.iter().map(|text| SecretString::from(*text)).collect()
}

/// The providers that deliver by webhook.
fn delivering() -> impl Iterator<Item = &'static dyn Provider> {
    PROVIDERS.iter().copied().filter(|provider| !provider.info().events.is_empty())
}

/// Every provider that delivers with each of its fixtures: the name and the bytes.
fn fixtures() -> Vec<(&'static dyn Provider, String, Vec<u8>)> {
    let mut found = Vec::new();
    for provider in delivering() {
        let slug = provider.info().slug;
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(slug);
        let before = found.len();
        for entry in fs::read_dir(&folder).expect("a folder of fixtures").map(|entry| entry.expect("an entry")) {
            if entry.path().is_file() {
                let name = format!("{slug}/{}", entry.file_name().to_string_lossy());
                found.push((provider, name, fs::read(entry.path()).expect("a fixture")));
            }
        }
        assert!(found.len() > before, "{slug} has no fixtures");
    }
    found
}

/// A call that was signed with the secret `new`, some time ago, and may have changed on its way.
struct Call {
    secrets: &'static [&'static str],
    age_seconds: i64,
    with_header: bool,
    tampered: bool,
}

const GOOD: Call = Call { secrets: &["new"], age_seconds: 0, with_header: true, tampered: false };

fn judged(provider: &dyn Provider, body: &[u8], call: &Call) -> Result<usize, Reject> {
    let at = now() - jiff::SignedDuration::from_secs(call.age_seconds);
    let headers = signed(provider.info().slug, &SecretString::from("new"), body, at);
    let header = |asked: &str| found(&headers, asked).filter(|_| call.with_header);
    let mut body = body.to_vec();
    if call.tampered {
        body.push(b' ');
    }
    let delivery = Delivery { header: &header, body: &body };
    provider.verify(&delivery, &secrets(call.secrets), &Settings::default(), now()).map(|verified| verified.secret)
}

/// Hands over the body as one that was believed.
fn with_verified<T>(provider: &dyn Provider, body: &[u8], then: impl FnOnce(&Verified<'_>) -> T) -> T {
    let headers = signed(provider.info().slug, &SecretString::from("new"), body, now());
    let header = |asked: &str| found(&headers, asked);
    let delivery = Delivery { header: &header, body };
    then(&provider.verify(&delivery, &secrets(&["new"]), &Settings::default(), now()).expect("it is signed"))
}

#[test]
fn right_and_rotated_secrets_are_believed_and_nothing_else_is() {
    for (provider, name, body) in fixtures() {
        for (what, call, place) in [
            ("the secret", GOOD, 0),
            ("the old one beside the new one", Call { secrets: &["old", "new"], ..GOOD }, 1),
            ("the new one beside the old one", Call { secrets: &["new", "old"], ..GOOD }, 0),
        ] {
            assert_eq!(judged(provider, &body, &call), Ok(place), "{name}: {what}");
        }
        for (what, call, reject) in [
            ("no secret", Call { secrets: &[], ..GOOD }, Reject::NoSecret),
            ("a blank secret", Call { secrets: &[""], ..GOOD }, Reject::NoSecret),
            ("no signature", Call { with_header: false, ..GOOD }, Reject::NoSignature),
            ("another's secret", Call { secrets: &["foreign"], ..GOOD }, Reject::WrongSignature),
            ("another body", Call { tampered: true, ..GOOD }, Reject::WrongSignature),
        ] {
            assert_eq!(judged(provider, &body, &call), Err(reject), "{name}: {what}");
        }
        let old = judged(provider, &body, &Call { age_seconds: 86_400, ..GOOD });
        match provider.signs_time() {
            true => assert!(matches!(old, Err(Reject::Stale { .. })), "{name}: {old:?}"),
            // Its key makes it the event that it was: `every_body_has_events_with_keys_of_their_own`.
            false => assert_eq!(old, Ok(0), "{name}"),
        }
    }
}

#[test]
fn what_is_ignored_says_nothing_and_what_is_subscribed_to_is_not_ignored() {
    for (provider, name, body) in fixtures() {
        for event in with_verified(provider, &body, |verified| provider.incoming(verified)).expect(&name) {
            if let Some(why) = provider.ignores(&event.kind) {
                assert!(!why.is_empty(), "{name}: ignored without a reason");
                let said = provider.translate(&event, &Settings::default(), &[]);
                assert_eq!(said, Ok(Step::Facts(Vec::new())), "{name}");
            }
        }
    }
    for provider in delivering() {
        for kind in provider.info().events {
            assert_eq!(provider.ignores(kind), None, "{}: {kind}", provider.info().slug);
        }
    }
}

#[test]
fn every_event_worth_subscribing_to_has_a_fixture_that_tells_something() {
    // Where a provider may give keys out, what it tells of them counts if it does.
    let settings = Settings { license_keys: LicenseKeys::Theirs, ..Settings::default() };
    for provider in delivering() {
        let slug = provider.info().slug;
        let mut telling = BTreeSet::new();
        for (_, _, body) in fixtures().into_iter().filter(|(of, ..)| of.info().slug == slug) {
            for event in with_verified(provider, &body, |verified| provider.incoming(verified)).expect("events") {
                if matches!(provider.translate(&event, &settings, &[]), Ok(Step::Facts(facts)) if !facts.is_empty()) {
                    telling.insert(event.kind);
                }
            }
        }
        let silent: Vec<_> = provider.info().events.iter().filter(|kind| !telling.contains(**kind)).collect();
        assert_eq!(silent, Vec::<&&str>::new(), "{slug}");
    }
}

/// A release of the provider that adds to its documents changes nothing here. Our own words are held to the letter.
#[test]
fn fields_of_tomorrow_change_no_outcome() {
    for (provider, name, body) in fixtures().into_iter().filter(|(provider, ..)| provider.info().slug != "generic") {
        let mut document: Value = serde_json::from_slice(&body).expect(&name);
        let taken_in = |document: &Value| {
            let body = document.to_string();
            with_verified(provider, body.as_bytes(), |verified| provider.incoming(verified)).expect(&name)
        };
        let before = taken_in(&document);
        add_everywhere(&mut document);
        for (before, after) in before.iter().zip(taken_in(&document)) {
            // What is new in an event may make it another one, and says the same.
            let after = Incoming { key: before.key.clone(), ..after };
            let told = |event: &Incoming| provider.translate(event, &Settings::default(), &[]);
            assert_eq!(told(&after), told(before), "{name}");
        }
    }
}

/// Puts a field that nobody knows into every object.
fn add_everywhere(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.values_mut().for_each(add_everywhere);
            members.insert("a field of tomorrow".to_owned(), json!({ "id": ["x"] }));
        }
        Value::Array(elements) => elements.iter_mut().for_each(add_everywhere),
        _ => {}
    }
}

#[test]
fn every_body_has_events_with_keys_of_their_own() {
    let mut keys = BTreeSet::new();
    for (provider, name, body) in fixtures() {
        let twice = [(); 2].map(|()| with_verified(provider, &body, |verified| provider.incoming(verified)));
        assert_eq!(twice[0], twice[1], "{name}: a body is always read the same");
        let events = twice[0].clone().expect(&name);
        assert!(!events.is_empty(), "{name}");
        for event in events {
            assert!(!event.key.is_empty() && !event.kind.is_empty(), "{name}");
            assert!(keys.insert((provider.info().slug, event.key)), "{name}: its key is another's, too");
        }
    }
}

#[test]
fn a_kind_that_is_not_known_has_no_facts() {
    for (provider, name, body) in fixtures() {
        for mut event in with_verified(provider, &body, |verified| provider.incoming(verified)).expect(&name) {
            event.kind = "a.kind.of.tomorrow".into();
            for level in [Level::None, Level::Read, Level::Full] {
                let step = provider.translate(&event, &Settings { level, ..Settings::default() }, &[]);
                assert_eq!(step, Ok(Step::Facts(Vec::new())), "{name}");
            }
        }
    }
}

/// Translates while every look-up gets the same status and an empty document.
fn translated(provider: &dyn Provider, body: &[u8], level: Level, status: u16) -> Vec<Fact> {
    let settings = Settings { level, ..Settings::default() };
    let mut facts = Vec::new();
    for event in with_verified(provider, body, |verified| provider.incoming(verified)).expect("events") {
        let mut answers: Vec<Answer> = Vec::new();
        let mut known = Vec::new();
        loop {
            let step = provider.translate(&event, &settings, &answers).expect("a fixture makes sense");
            assert_eq!(provider.translate(&event, &settings, &answers).as_ref(), Ok(&step), "always the same");
            let (told, wanted) = match step {
                Step::Need(wanted) => (Vec::new(), wanted),
                Step::Partly { facts, wanted } => (facts, wanted),
                Step::Facts(told) => (told, Vec::new()),
            };
            assert!(told.starts_with(&known), "what was told before is told again, in its places");
            known = told;
            if wanted.is_empty() {
                break;
            }
            assert_ne!(level, Level::None, "without a key nothing can be asked");
            for request in wanted {
                assert!(request.path.starts_with('/'), "{}", request.path);
                assert!(answers.iter().all(|answer| answer.request != request), "asked before");
                answers.push(Answer { request, asked_at: now(), status, body: r#"{"error":{}}"#.into() });
            }
        }
        facts.extend(known);
    }
    facts
}

#[test]
fn whatever_is_refused_facts_can_be_kept_and_find_their_order() {
    for (provider, name, body) in fixtures() {
        for level in [Level::None, Level::Read, Level::Full] {
            for status in [401, 403, 404] {
                for fact in translated(provider, &body, level, status) {
                    let stored = Fact::decode(fact.kind(), VERSION, &fact.encode()).expect(&name);
                    assert_eq!(stored, fact, "{name}");
                    if let Fact::Order(order) = fact {
                        let nameless: Vec<&Reference> =
                            speaks_of(&order).into_iter().filter(|name| !order.references.contains(*name)).collect();
                        assert!(nameless.is_empty() && !order.references.is_empty(), "{name}: {nameless:?}");
                        for missing in &order.missing {
                            let permissions = provider.info().permissions;
                            let named = permissions.iter().any(|(what, _)| what == missing);
                            // Where there are no permissions nothing can be asked, and a person hears what to do instead.
                            assert!(named || permissions.is_empty(), "{name}: no permission is named for {missing:?}");
                        }
                        let decided = order.decided.is_empty() && order.excused.is_empty();
                        assert!(decided, "{name}: providers tell, they decide nothing");
                    }
                }
            }
        }
    }
}

/// The names that a fact says something about. Refunds and disputes go by their payment.
fn speaks_of(order: &Order) -> Vec<&Reference> {
    let purchases =
        order.purchases.iter().flat_map(|(id, purchase)| std::iter::once(id).chain(&purchase.subscriptions));
    let periods = order.periods.iter().flat_map(|(id, period)| [id, &period.subscription]);
    let payments = order.refunds.values().map(|refund| &refund.value.payment);
    purchases
        .chain(periods)
        .chain(payments)
        .chain(order.disputes.values().map(|dispute| &dispute.payment))
        .chain(order.subscriptions.keys())
        .chain(order.items.keys())
        .collect()
}

#[test]
fn every_provider_introduces_itself() {
    for provider in delivering() {
        let info = provider.info();
        assert!(by_slug(info.slug).is_some_and(|found| std::ptr::eq(found.info(), info)), "{}", info.slug);
        assert!(info.slug.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()), "{}", info.slug);
        let bases = [info.api_base.live, info.api_base.test];
        assert_eq!(bases.map(str::is_empty), [!info.has_api(); 2], "{}", info.slug);
        for base in bases.into_iter().filter(|base| !base.is_empty()) {
            assert!(base.starts_with("https://") && !base.ends_with('/'), "{base}");
        }
        assert!(!info.name.is_empty() && !info.events.is_empty());
        assert_eq!(info.events.iter().collect::<BTreeSet<_>>().len(), info.events.len(), "each event once");
    }
}

#[test]
fn a_list_of_events_is_asked_for_piece_by_piece() {
    for (provider, list) in PROVIDERS.iter().filter_map(|provider| Some((provider.info().slug, provider.backfill()?))) {
        let piece = |after, limit| Piece {
            since: now(),
            after,
            limit,
            asked_at: now(),
            store: None,
            license_keys: LicenseKeys::Ours,
        };
        let path = |after, limit| list.request(&piece(after, limit)).path;
        let whole = path(None, list.limit_max());
        assert!(whole.starts_with('/') && list.limit_max() > 0 && !list.permission().is_empty(), "{provider}: {whole}");
        assert!(list.days_kept() > 0, "{provider}");
        assert_ne!(whole, path(None, list.limit_max() / 2), "{provider}");
        for nonsense in ["", "[]", "{}", "null", r#"{"error":{}}"#] {
            assert!(list.page(&piece(None, 1), nonsense).is_err(), "{provider}: `{nonsense}` is no page");
        }
    }
}

#[test]
fn finding_out_what_a_key_may_do_asks_each_question_once_and_only_at_the_provider() {
    let all = Uses { level: Level::Full, write_back: true, create_webhook: true, sells: true };
    for provider in PROVIDERS {
        let questions = provider.preflight(all);
        assert_eq!(questions.iter().collect::<BTreeSet<_>>().len(), questions.len(), "{}", provider.info().slug);
        assert!(questions.iter().all(|question| question.path.starts_with('/')), "{}", provider.info().slug);
        assert!(
            provider.preflight(Uses::default()).is_empty(),
            "{}: without a key nothing is asked",
            provider.info().slug
        );
    }
}

/// The paths that are really asked at this level: by the fixtures, whose look-ups are refused, and to catch up.
fn asked_at(provider: &dyn Provider, level: Level) -> BTreeSet<String> {
    let settings = Settings { level, ..Settings::default() };
    let mut paths = BTreeSet::new();
    for (_, name, body) in fixtures().into_iter().filter(|(of, ..)| of.info().slug == provider.info().slug) {
        for event in with_verified(provider, &body, |verified| provider.incoming(verified)).expect(&name) {
            let mut answers: Vec<Answer> = Vec::new();
            while let Step::Need(requests) | Step::Partly { wanted: requests, .. } =
                provider.translate(&event, &settings, &answers).expect(&name)
            {
                for request in requests {
                    paths.insert(request.path.clone());
                    answers.push(Answer { request, asked_at: now(), status: 403, body: "{}".into() });
                }
            }
        }
    }
    // As the engine has it: without a level nothing is caught up.
    if let (Some(list), true) = (provider.backfill(), level != Level::None) {
        let license_keys = LicenseKeys::Ours;
        let piece = Piece { since: now(), after: None, limit: 1, asked_at: now(), store: None, license_keys };
        paths.insert(list.request(&piece).path);
    }
    paths
}

/// Whether a question of the pre-flight is about what this path asks: the same names, whichever object it is.
fn is_about(question: &str, path: &str) -> bool {
    let mut asked = path.split('?').next().unwrap_or_default().split('/');
    question
        .split('?')
        .next()
        .unwrap_or_default()
        .split('/')
        .all(|name| asked.next().is_some_and(|asked| asked == name || name.ends_with("_keywright_preflight")))
}

#[test]
fn a_key_is_asked_for_what_its_level_looks_up_and_for_nothing_else() {
    let checked = PROVIDERS
        .iter()
        .filter(|provider| !provider.preflight(Uses { level: Level::Full, ..Uses::default() }).is_empty());
    let mut providers = Vec::new();
    for provider in checked {
        let slug = provider.info().slug;
        providers.push(slug);
        for level in [Level::None, Level::Read, Level::Full] {
            let questions = provider.preflight(Uses { level, ..Uses::default() });
            let paths = asked_at(*provider, level);
            for path in &paths {
                let is_asked = questions.iter().any(|question| is_about(&question.path, path));
                assert!(is_asked, "{slug} {level:?}: no permission is asked for {path}");
            }
            for question in &questions {
                let is_needed = paths.iter().any(|path| is_about(&question.path, path));
                assert!(is_needed, "{slug} {level:?}: nothing looks up {}", question.path);
            }
        }
    }
    assert_eq!(providers, ["stripe", "paddle"]);
}

#[test]
fn what_is_missing_is_named_as_the_form_for_keys_names_it() {
    for provider in PROVIDERS {
        let uses = Uses { level: Level::Full, ..Uses::default() };
        let refused = |request| Answer { request, asked_at: now(), status: 403, body: "{}".into() };
        let answers: Vec<Answer> = provider.preflight(uses).into_iter().map(refused).collect();
        let names: Vec<String> =
            provider.check_key(uses, &answers, false).missing.into_iter().map(|missing| missing.name).collect();
        let told = provider.info().permissions.iter().map(|(_, name)| *name);
        let told = told.chain(provider.backfill().map(|list| list.permission()));
        for name in told.filter(|_| !answers.is_empty()) {
            assert!(names.iter().any(|known| known == name), "{}: {name} is none of {names:?}", provider.info().slug);
        }
    }
}

#[test]
fn a_buyer_who_comes_makes_events_that_are_understood() {
    for (provider, buyers) in PROVIDERS.iter().filter_map(|provider| Some((*provider, provider.redeem()?))) {
        let sale = Reference::from("sale-1");
        let contact = Contact { email: EmailAddress::parse("ada@example.com").expect("an address"), name: None };
        for news in [BuyerNews::Bought, BuyerNews::Contact(contact)] {
            let event = buyers.event(&sale, &news, now());
            assert_eq!(provider.ignores(&event.kind), None, "{}", event.kind);
            assert!(!provider.info().events.contains(&event.kind.as_str()), "no webhook is of that kind");
            let Ok(Step::Facts(facts)) = provider.translate(&event, &Settings::default(), &[]) else {
                panic!("{} asks", event.kind)
            };
            let [Fact::Order(order)] = &facts[..] else { panic!("{facts:?}") };
            assert!(order.references.contains(&sale) && order.contact.is_some() == (news != BuyerNews::Bought));
        }
        for nonsense in ["", "[]", "{}", "null", "<html>"] {
            for status in [200, 400, 401, 404] {
                assert!(buyers.token(status, nonsense).is_err(), "{status} {nonsense}");
                assert!(buyers.sale(status, nonsense).is_err(), "{status} {nonsense}");
            }
        }
    }
}

fn received() -> Outcome {
    Outcome::Received { kinds: vec!["a.kind".into()] }
}

#[test]
fn a_provider_reads_success_only_for_what_is_kept() {
    for provider in delivering() {
        assert!((200..300).contains(&provider.answer(&received()).status));
        let stale = Reject::Stale { age_seconds: 301, tolerance_seconds: 300 };
        for reject in [Reject::NoSecret, Reject::NoSignature, Reject::WrongSignature, stale] {
            let answer = provider.answer(&Outcome::Rejected(reject.clone()));
            assert!((400..500).contains(&answer.status), "{}: {reject}", provider.info().slug);
        }
    }
}

#[test]
fn a_provider_without_webhooks_believes_nobody() {
    for provider in PROVIDERS.iter().filter(|provider| provider.info().events.is_empty()) {
        let header = |_: &str| Some("t=1790000000,v1=00");
        let delivery = Delivery { header: &header, body: b"{}" };
        let verified = provider.verify(&delivery, &secrets(&["new"]), &Settings::default(), now()).map(|_| ());
        assert_eq!(verified, Err(Reject::NoSecret), "{}", provider.info().slug);
        assert!(provider.answer(&received()).status >= 400, "{}", provider.info().slug);
    }
}
