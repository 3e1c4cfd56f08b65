//! Backups made while orders come in, restored elsewhere; what is not whole is refused, and nothing leaves twice.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::{Value, json};

use crate::{
    process::{Installation, Ran, ask, run, sample, until},
    relay::Relay,
};

/// Licenses that are issued before a backup begins.
const BEFORE: usize = 40;

fn post(address: SocketAddr, api_key: &str, path: &str, body: &Value) -> Option<String> {
    let body = body.to_string();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\nauthorization: Bearer {api_key}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    ask(address, &request).filter(|answer| answer.starts_with("HTTP/1.1 20"))
}

fn socket(installation: &Installation) -> SocketAddr {
    installation.address().trim_start_matches("http://").parse().unwrap()
}

/// The license keys in an answer.
fn keys(answer: &str) -> Vec<String> {
    answer.split('"').filter(|part| part.starts_with("STUDIO-")).map(str::to_owned).collect()
}

fn api_key(installation: &Installation) -> String {
    let made = installation.run(&["api-key", "create", "--name", "test", "--kind", "test", "--scope", "admin"]);
    assert!(made.status.success(), "{made:?}");
    made.stdout.trim().to_owned()
}

/// Makes a backup as this file.
fn back_up(installation: &Installation, name: &str) -> PathBuf {
    let file = installation.folder.path().join(name);
    let made = installation.run(&["backup", file.to_str().unwrap()]);
    assert!(made.status.success(), "{made:?}");
    assert!(made.stdout.contains("are not in it: keep a copy of"), "{made:?}");
    file
}

fn copy_master_key(from: &Installation, to: &Installation) {
    std::fs::create_dir_all(to.data_dir()).unwrap();
    std::fs::copy(from.data_dir().join("master-key"), to.data_dir().join("master-key")).unwrap();
}

fn restore(to: &Installation, file: &Path, options: &[&str]) -> Ran {
    to.run(&[&["restore", file.to_str().unwrap()], options].concat())
}

fn refused(ran: &Ran, said: &str) {
    assert!(!ran.status.success() && ran.stderr.contains(said), "it should say `{said}`: {ran:?}");
}

#[test]
fn what_was_answered_before_a_backup_began_is_in_it_and_its_keys_open() {
    let shop = Installation::of_sample();
    let (api_key, address) = (api_key(&shop), socket(&shop));
    let (issued, is_over) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    let sell = || {
        while !is_over.load(Ordering::Relaxed) {
            let answer = post(address, &api_key, "/v1/issue", &json!({ "plan": "studio-pro" })).unwrap();
            issued.lock().unwrap().extend(keys(&answer));
        }
    };
    let (before, file) = std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(sell);
        }
        until(|| issued.lock().unwrap().len() >= BEFORE);
        let before = issued.lock().unwrap().clone();
        let file = back_up(&shop, "one.backup");
        let reached = issued.lock().unwrap().len();
        until(|| issued.lock().unwrap().len() > reached);
        is_over.store(true, Ordering::Relaxed);
        (before, file)
    });
    let doctor = shop.run(&["doctor"]);
    assert!(doctor.stdout.contains("backups: the last one is of "), "{doctor:?}");

    let mut elsewhere = Installation::empty();
    copy_master_key(&shop, &elsewhere);
    let restored = restore(&elsewhere, &file, &[]);
    assert!(restored.status.success(), "{restored:?}");
    for said in ["the master keys open it, and all invariants hold", "Nothing leaves yet", "keywright outgoing release"]
    {
        assert!(restored.stdout.contains(said), "{said}: {restored:?}");
    }
    let left: Vec<_> = std::fs::read_dir(elsewhere.data_dir()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("restoring")), "{left:?}");
    elsewhere.serve();
    let address = socket(&elsewhere);
    for key in &before {
        let checked = post(address, &api_key, "/v1/check", &json!({ "key": key, "product": "studio" })).unwrap();
        assert!(checked.contains("\"valid\":true"), "{checked}");
    }
    elsewhere.verify();
    refused(&restore(&elsewhere, &file, &["--replace"]), "a server or another command works with");
}

#[test]
fn a_server_is_seen_at_its_database_whatever_its_data_folder() {
    let shop = Installation::of_sample();
    let file = back_up(&shop, "one.backup");
    let folder = tempfile::tempdir().unwrap();
    let address = |name: &str| format!("sqlite:{}", folder.path().join(name).display());
    let mut server = Installation::with(vec![("KEYWRIGHT_DATABASE_URL", address("kw.db"))]);
    copy_master_key(&shop, &server);
    server.serve();
    std::os::unix::fs::symlink(folder.path().join("kw.db"), folder.path().join("link.db")).unwrap();
    for name in ["kw.db", "./kw.db", "link.db"] {
        let elsewhere = Installation::with(vec![("KEYWRIGHT_DATABASE_URL", address(name))]);
        copy_master_key(&shop, &elsewhere);
        refused(&restore(&elsewhere, &file, &["--replace"]), "a server or another command works with");
    }
    server.stop();
    let elsewhere = Installation::with(vec![("KEYWRIGHT_DATABASE_URL", address("kw.db"))]);
    copy_master_key(&shop, &elsewhere);
    assert!(restore(&elsewhere, &file, &["--replace"]).status.success());
    let names =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut left: Vec<String> = names.filter(|name| !name.contains(".replaced-")).collect();
    left.sort();
    assert_eq!(left, ["kw.db", "kw.db.in-use", "link.db"], "nothing is left of the one that was unpacked");
}

#[test]
fn what_cannot_be_restored_is_refused_with_its_reason() {
    let shop = Installation::of_sample();
    let file = back_up(&shop, "one.backup");
    refused(&shop.run(&["backup", file.to_str().unwrap()]), "is there already");
    let whole = std::fs::read(&file).unwrap();
    let variant = |name: &str, bytes: &[u8]| {
        let path = shop.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;

    let elsewhere = Installation::empty();
    refused(&restore(&elsewhere, &file, &[]), "put the copy of the master key file");
    let other = Installation::of_sample();
    copy_master_key(&other, &elsewhere);
    refused(&restore(&elsewhere, &file, &[]), "use the copy of the master key file that was kept with it");
    copy_master_key(&shop, &elsewhere);
    for (path, said) in [
        (variant("damaged", &damaged), "does not have the hash"),
        (variant("short", &whole[..whole.len() / 2]), "was cut off"),
        (variant("foreign", b"somebody's holiday pictures"), "is no backup of Keywright"),
        (shop.data_dir().join("keywright.db"), "`keywright backup` has not made it"),
        (shop.folder.path().join("nowhere"), "No such file"),
    ] {
        refused(&restore(&elsewhere, &path, &[]), said);
        assert!(!elsewhere.data_dir().join("keywright.db").exists(), "{said}");
        assert!(!elsewhere.data_dir().join("keywright.db.restoring").exists(), "{said}");
    }
    assert!(restore(&elsewhere, &file, &[]).status.success());
    refused(&restore(&elsewhere, &file, &[]), "with --replace it is moved aside");
    let replaced = restore(&elsewhere, &file, &["--replace"]);
    assert!(replaced.status.success() && replaced.stdout.contains("keywright.db.replaced-"), "{replaced:?}");
}

#[test]
fn a_restore_that_is_killed_leaves_the_database_as_it_was() {
    let mut shop = Installation::of_sample();
    let file = back_up(&shop, "one.backup");
    let issued = shop.run(&["issue", "studio-pro"]);
    assert!(issued.status.success(), "{issued:?}");
    shop.stop();
    let mut command = shop.command();
    command.env("KEYWRIGHT_TEST_DIE_AT", "restore-before-rename:1").args([
        "restore",
        file.to_str().unwrap(),
        "--replace",
    ]);
    let killed = run(command.arg("--data-dir").arg(shop.data_dir()));
    assert!(!killed.status.success(), "{killed:?}");
    let names = std::fs::read_dir(shop.data_dir()).unwrap().map(|entry| entry.unwrap().path());
    let asides: Vec<PathBuf> = names.filter(|path| path.to_string_lossy().contains(".replaced-")).collect();
    assert_eq!(asides.len(), 1, "{asides:?}");
    for database in [shop.data_dir().join("keywright.db"), asides[0].clone()] {
        let address = format!("sqlite:{}", database.display());
        let checked = shop.run(&[
            "check",
            issued.stdout.split_whitespace().find(|word| word.starts_with("STUDIO-")).unwrap(),
            "--database-url",
            &address,
        ]);
        assert!(checked.status.success(), "{}: {checked:?}", database.display());
    }
}

#[test]
fn a_backup_that_is_killed_leaves_nothing_under_its_name() {
    let shop = Installation::of_sample();
    let folder = shop.folder.path().join("backups");
    let file = folder.join("one.backup");
    for step in ["backup-before-stamp:1", "backup-before-rename:1"] {
        let mut command = shop.command();
        command.env("KEYWRIGHT_TEST_DIE_AT", step).args(["backup", file.to_str().unwrap(), "--data-dir"]);
        let killed = run(command.arg(shop.data_dir()));
        assert!(!killed.status.success(), "{step}: {killed:?}");
        assert!(!file.exists(), "{step}: half a file has no name");
        assert!(std::fs::read_dir(&folder).unwrap().count() > 0, "{step}: it was killed while it wrote");
    }
    let made = shop.run(&["backup", file.to_str().unwrap()]);
    assert!(made.status.success() && file.exists(), "{made:?}");
}

#[test]
fn a_server_makes_backups_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let backups = folder.path().join("backups");
    let mut shop = Installation::with(vec![("KEYWRIGHT_BACKUP_DIR", backups.display().to_string())]);
    shop.serve();
    let made = || {
        let files = std::fs::read_dir(&backups).into_iter().flatten().filter_map(Result::ok);
        let named = files.filter(|file| file.file_name().to_string_lossy().starts_with("keywright-"));
        named.map(|file| file.path()).next()
    };
    until(|| made().is_some());
    shop.stop();
    let elsewhere = Installation::empty();
    copy_master_key(&shop, &elsewhere);
    let restored = restore(&elsewhere, &made().unwrap(), &[]);
    assert!(restored.status.success(), "{restored:?}");
}

#[test]
fn what_waited_in_a_backup_does_not_leave_twice() {
    let relay = Relay::start();
    let environment =
        vec![("KEYWRIGHT_SMTP_URL", relay.url()), ("KEYWRIGHT_MAIL_FROM", "keys@halo.example".to_owned())];
    let issue = |shop: &Installation, email: &str| {
        let issued = shop.run(&["issue", "studio-pro", "--email", email, "--send-email"]);
        assert!(issued.status.success(), "{issued:?}");
    };
    let mut shop = Installation::with(environment.clone());
    assert!(shop.run(&["apply", sample().to_str().unwrap()]).status.success());
    issue(&shop, "before@example.com");
    let file = back_up(&shop, "one.backup");
    shop.serve();
    until(|| relay.mails().len() == 1);
    shop.stop();

    let mut restored = Installation::with(environment);
    copy_master_key(&shop, &restored);
    assert!(restore(&restored, &file, &[]).status.success());
    issue(&restored, "after@example.com");
    restored.serve();
    let doctor = restored.run(&["doctor"]);
    assert!(doctor.stdout.contains("nothing leaves"), "{doctor:?}");
    let released = restored.run(&["outgoing", "release"]);
    assert!(released.stdout.contains("1 mail waited before and stays held"), "{released:?}");
    until(|| relay.mails().len() == 2);
    let to: Vec<String> = relay.mails().iter().map(ToString::to_string).collect();
    assert!(to[0].contains("before@example.com") && to[1].contains("after@example.com"), "{to:?}");
    // Once somebody has looked, what is held may leave after all.
    assert!(restored.run(&["mail", "release"]).status.success());
    until(|| relay.mails().len() == 3);
    assert!(restored.run(&["outgoing", "release"]).stdout.contains("nothing was held"));
}
