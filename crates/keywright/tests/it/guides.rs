//! The set-up page of each provider, walked through step by step as somebody new would.

use std::{fs, path::Path};

use crate::process::{Installation, ask};

/// The pages, and the variable that each has its secret in.
const PAGES: [(&str, &str); 5] = [
    ("appsumo", "APPSUMO_WEBHOOK_SECRET"),
    ("generic", "GENERIC_WEBHOOK_SECRET"),
    ("lemonsqueezy", "LEMONSQUEEZY_WEBHOOK_SECRET"),
    ("paddle", "PADDLE_WEBHOOK_SECRET"),
    ("stripe", "STRIPE_WEBHOOK_SECRET"),
];

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/providers")
}

#[test]
fn every_page_is_walked_through() {
    let mut written: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    written.sort();
    assert_eq!(written, PAGES.map(|(slug, _)| slug));
    for (slug, variable) in PAGES {
        walk_through(slug, variable);
    }
}

fn walk_through(slug: &str, variable: &'static str) {
    let page = fs::read_to_string(folder().join(format!("{slug}.md"))).unwrap();
    assert!(page.contains(&format!("`{variable}`")), "{slug}: the page says where the secret goes");
    let mut shop = Installation::with(vec![(variable, format!("secret-of-{slug}-0123456789"))]);

    // 1. Say what you sell.
    let file = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a file");
    let path = shop.folder.path().join("shop.toml");
    fs::write(&path, file).unwrap();
    for expected in ["4 created", "4 unchanged"] {
        let applied = shop.run(&["apply", path.to_str().unwrap()]);
        assert!(applied.stdout.contains(expected), "{slug}: {applied:?}");
    }

    // 2. The address of the webhook endpoint is there, and believes nobody without the secret.
    shop.serve();
    let address = page.lines().find_map(|line| line.trim().strip_prefix("https://YOUR-SERVER")).expect("an address");
    let server = shop.address().strip_prefix("http://").unwrap().parse().unwrap();
    let call = format!("POST {address} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{{}}");
    let answer = ask(server, &call).expect("an answer");
    let status = answer.split_whitespace().nth(1).expect("a status");
    assert!(["400", "401"].contains(&status), "{slug}: {answer}");

    // Try it.
    assert!(page.contains(&format!("keywright simulate {slug} checkout")), "{slug}");
    let played = shop.simulate_at(slug, &["checkout"]);
    let keys = played.keys();
    assert_eq!(keys.len(), 1, "{slug}: {}", played.stdout);
    assert!(shop.run(&["check", &keys[0]]).status.success(), "{slug}");
    shop.verify();
}
