//! Licenses that come from another system, on real databases: keys stay what they are, twice makes nothing twice, and what
//! makes no sense stops nothing else.

use domain::{activation::VerdictCode, id::BulkChangeId, license::LicenseState, plan::Limits};
use engine::{
    import::{ImportError, ImportOptions, Outcome, Preview, WAITING_MAX},
    rulings::By,
    runtime::{AppAnswer, AppCall},
};
use jiff::{SignedDuration, Timestamp};
use store::{
    lists::{LicenseFilter, ListedLicense, Page, Whose},
    many::status,
};

use crate::harness::{Harness, SHOP, on_both_databases};

on_both_databases!(
    keys_of_another_system_open_licenses_here,
    a_file_twice_makes_nothing_twice,
    what_cannot_be_imported_says_why,
    a_stopped_import_forgets_what_it_did_not_do,
    a_vendor_keeps_so_many_files_waiting,
    mails_go_out_only_where_they_are_asked_for,
);

const FILE: &str = "\
key,email,name,plan,expires,activations,created,reference,note,devices,tags
11112222-aaaa-bbbb-cccc-ddddeeeeffff,ada@example.com,Ada,pro,2027-01-31,5,2024-05-01,4711,moved over,mac-1;mac-2,vip
ключ-от-старой-системы,,,year,,,2026-06-01,,,,
OLD KEY 0003,mary@example.com,,year,2020-01-01,,,,,,
";

fn by() -> By {
    By { actor: "test".to_owned(), note: None }
}

const fn whose(harness: &Harness) -> Whose {
    Whose { tenant: harness.tenant, livemode: true }
}

async fn preview(harness: &Harness, file: &str) -> Preview {
    harness.engine.preview_import(whose(harness), file.as_bytes(), &ImportOptions::default()).await.unwrap()
}

/// Begins to import a file.
async fn begin(harness: &Harness, file: &str, options: &ImportOptions) -> BulkChangeId {
    let whose = whose(harness);
    let preview = harness.engine.preview_import(whose, file.as_bytes(), options).await.unwrap();
    let id = harness.engine.prepare_import(whose, preview, &by()).await.unwrap();
    harness.engine.begin_import(whose, id, &by()).await.unwrap().expect("it was prepared");
    id
}

/// Imports a file; how many lines were skipped.
async fn import(harness: &Harness, file: &str) -> i32 {
    let id = begin(harness, file, &ImportOptions::default()).await;
    while harness.engine.bulk_turn().await.unwrap() {}
    let change = harness.engine.store.bulk_change(whose(harness), id).await.unwrap().unwrap();
    assert_eq!((change.status.as_str(), change.done), (status::DONE, change.total));
    change.skipped
}

async fn check(harness: &Harness, key: &str, device: Option<&str>) -> AppAnswer {
    let device = device.map(str::to_owned);
    let call = AppCall { key: key.to_owned(), device, ..AppCall::default() };
    harness.engine.check(&call).await.unwrap()
}

async fn listed(harness: &Harness, filter: LicenseFilter) -> Vec<ListedLicense> {
    let page = Page { limit: 100, from: None };
    harness.engine.store.list_licenses(whose(harness), &filter, page).await.unwrap().rows
}

async fn keys_of_another_system_open_licenses_here(harness: Harness) {
    harness.apply(SHOP).await;
    assert_eq!(import(&harness, FILE).await, 0);
    let until = |text: &str| Some(text.parse::<Timestamp>().unwrap());
    for (typed, device, code, ends) in [
        ("11112222-aaaa-bbbb-cccc-ddddeeeeffff", Some("mac-1"), VerdictCode::Ending, until("2027-02-01T00:00:00Z")),
        (" 11112222AAAA BBBB-CCCC-DDDDEEEEFFFF", Some("mac-2"), VerdictCode::Ending, until("2027-02-01T00:00:00Z")),
        ("ключ от старой-системы", None, VerdictCode::Ending, until("2027-06-01T00:00:00Z")),
        ("old key 0003", None, VerdictCode::Expired, until("2020-01-02T00:00:00Z")),
    ] {
        let answer = check(&harness, typed, device).await;
        let ends_at = answer.license.as_ref().and_then(|license| license.found.standing.until);
        assert_eq!((answer.verdict.code, ends_at), (code, ends), "{typed}");
    }
    let vip = listed(&harness, LicenseFilter { tag: Some("vip".to_owned()), ..LicenseFilter::default() }).await;
    let [ada] = vip.as_slice() else { panic!("one has the tag: {vip:#?}") };
    assert_eq!(ada.key_hint.as_deref(), Some("…FFFF"));
    assert_eq!(ada.metadata["reference"], "4711");
    assert_eq!(ada.license.limits(&Limits::default()).activations, Some(5));
    assert!(ada.license.announced && ada.license.standing.state == LicenseState::Active);
    assert_eq!(harness.attention().await, [""; 0], "nobody is missed who has the key already");
    let findings = harness.engine.verify().await.unwrap();
    assert!(findings.is_empty(), "{findings:#?}");
    let mails = harness.engine.store.status(None).await.unwrap();
    assert_eq!(mails.mails_pending, 0, "nobody asked for mails");
    // What a person decides later leaves the key as it is.
    let ruling = domain::ruling::Ruling::Freeze;
    harness.engine.rule(harness.tenant, ada.license.id, &ruling, &by()).await.unwrap().unwrap();
    let frozen = check(&harness, "11112222-aaaa-bbbb-cccc-ddddeeeeffff", None).await;
    assert_eq!(frozen.verdict.code, VerdictCode::Frozen);
}

async fn a_file_twice_makes_nothing_twice(harness: Harness) {
    harness.apply(SHOP).await;
    import(&harness, FILE).await;
    let again = preview(&harness, FILE).await;
    assert_eq!(Outcome::ALL.map(|outcome| again.count(outcome)), [0, 3, 0, 0]);
    let other = FILE.replace("ada@", "lovelace@").replace("2020-01-01", "2021-01-01");
    let other = preview(&harness, &other).await;
    assert_eq!(Outcome::ALL.map(|outcome| other.count(outcome)), [0, 1, 2, 0]);
    assert!(other.lines[0].detail.ends_with("has another e-mail address, and stays as it is"));
    assert!(other.lines[2].detail.ends_with("has another end, and stays as it is"));
    // Two that were prepared before either began.
    let line = "key,plan\nLATE-KEY-00001,pro\n";
    let options = ImportOptions::default();
    let ids = [begin(&harness, line, &options).await, begin(&harness, line, &options).await];
    while harness.engine.bulk_turn().await.unwrap() {}
    let mut skipped = Vec::new();
    for id in ids {
        skipped.push(harness.engine.store.bulk_change(whose(&harness), id).await.unwrap().unwrap().skipped);
    }
    skipped.sort_unstable();
    assert_eq!(skipped, [0, 1]);
    assert_eq!(import(&harness, FILE).await, 3);
    assert_eq!(listed(&harness, LicenseFilter::default()).await.len(), 4);
}

async fn what_cannot_be_imported_says_why(harness: Harness) {
    harness.apply(SHOP).await;
    let issued = harness.issue_in(false, "pro", "test@example.com", 1).await.licenses.remove(0);
    let other = harness.engine.ensure_tenant("other", "Other").await.unwrap();
    let elsewhere = Whose { tenant: other, livemode: true };
    let file = format!(
        "name,key,plan,devices,product,expires\n\
         ,SOME-KEY-1,GUESS-ME-1,,,\n\
         ,SOME-KEY-2,,,GUESS-ME-2,\n\
         ,SOME-KEY-3,pro,a;b;c,,\n\
         ,SOME-KEY-4,year,,,never\n\
         ,short,pro,,,\n\
         ,SOME-KEY-5,pro,,,\n\
         ,some key 5,pro,,,\n\
         Lovelace, Augusta Ada,pro,,,,\n\
         ,{},pro,,,\n",
        issued.key.reveal()
    );
    let told = preview(&harness, &file).await;
    for (line, why) in told.lines.iter().zip([
        "there is no plan with the code or name that it has",
        "there is no product with the code or name that it has",
        "it has 3 devices and allows 2",
        "it never ends, and the plan `year` does",
        "its key is none",
        "",
        "line 7 has the same key",
        "the number of its fields is 7, and 6 in the first line",
        &format!("its key opens {} in the other mode", issued.license.id),
    ]) {
        assert!(line.detail.starts_with(why), "{}: {}", line.number, line.detail);
        assert!(!line.detail.contains("GUESS-ME"), "what may be a key is not kept in clear: {}", line.detail);
        assert_eq!(line.outcome == Outcome::New, why.is_empty(), "{}", line.number);
    }
    assert_eq!(import(&harness, &file).await, 8, "one that is bad stops no other");
    let engine = &harness.engine;
    let options = ImportOptions::default();
    let told = engine.preview_import(elsewhere, b"key,plan\nSOME-KEY-5,pro\n", &options).await.unwrap();
    assert_eq!(told.lines[0].detail, "its key cannot be used here; give its buyer another one");
    for (bytes, is_expected) in [
        (&b"\xff\xfekey"[..], (|error| matches!(error, ImportError::NotText)) as fn(&ImportError) -> bool),
        (b"email\na@b.example\n", |error| matches!(error, ImportError::NoKeys)),
        (b"key,plan\n", |error| matches!(error, ImportError::Empty)),
    ] {
        let error = engine.preview_import(whose(&harness), bytes, &options).await.err().expect("it is refused");
        assert!(is_expected(&error), "{error}");
    }
}

async fn a_stopped_import_forgets_what_it_did_not_do(harness: Harness) {
    harness.apply(SHOP).await;
    let (engine, whose) = (&harness.engine, whose(&harness));
    let id = begin(&harness, FILE, &ImportOptions::default()).await;
    assert_eq!(engine.store.import_rows(id, "new", 0, 10).await.unwrap().len(), 3);
    assert!(engine.stop_change(whose, id, &by()).await.unwrap().is_some());
    assert_eq!(engine.store.import_rows(id, "new", 0, 10).await.unwrap().len(), 0);
    assert!(!engine.bulk_turn().await.unwrap());
    let told = preview(&harness, FILE).await;
    let kept = engine.prepare_import(whose, told, &by()).await.unwrap();
    assert!(!engine.discard_import(Whose { livemode: false, ..whose }, kept).await.unwrap(), "it is of another mode");
    harness.clock.advance(SignedDuration::from_hours(25));
    engine.forget_prepared_imports().await.unwrap();
    assert!(engine.begin_import(whose, kept, &by()).await.unwrap().is_none(), "nobody began it for a day");
    assert_eq!(engine.store.import_rows(kept, "new", 0, 10).await.unwrap().len(), 0);
    assert_eq!(listed(&harness, LicenseFilter::default()).await.len(), 0);
}

async fn a_vendor_keeps_so_many_files_waiting(harness: Harness) {
    harness.apply(SHOP).await;
    let (engine, whose) = (&harness.engine, whose(&harness));
    let file = "key,plan\nSOME-KEY-1,pro\n";
    let mut waiting = Vec::new();
    for number in 0..WAITING_MAX {
        let whose = Whose { livemode: number % 2 == 0, ..whose };
        waiting.push(engine.prepare_import(whose, preview(&harness, file).await, &by()).await.unwrap());
    }
    let more = engine.prepare_import(whose, preview(&harness, file).await, &by()).await;
    assert!(matches!(more, Err(ImportError::TooManyWaiting)));
    let tenant = engine.ensure_tenant("other", "Other").await.unwrap();
    let other = Whose { tenant, livemode: true };
    engine.prepare_import(other, preview(&harness, file).await, &by()).await.expect("they are another vendor's");
    assert!(engine.begin_import(whose, waiting[0], &by()).await.unwrap().is_some());
    let next = engine.prepare_import(whose, preview(&harness, file).await, &by()).await.unwrap();
    assert!(engine.prepare_import(whose, preview(&harness, file).await, &by()).await.is_err());
    assert!(engine.discard_import(whose, next).await.unwrap());
    engine.prepare_import(whose, preview(&harness, file).await, &by()).await.expect("one was discarded");
}

async fn mails_go_out_only_where_they_are_asked_for(harness: Harness) {
    harness.apply(SHOP).await;
    let options = ImportOptions { plan: Some("pro".into()), send_email: true };
    begin(&harness, "key,email\nOLD-KEY-1000,ada@example.com\nOLD-KEY-2000,\n", &options).await;
    while harness.engine.bulk_turn().await.unwrap() {}
    let status = harness.engine.store.status(None).await.unwrap();
    assert_eq!((status.mails_pending, listed(&harness, LicenseFilter::default()).await.len()), (1, 2));
}
