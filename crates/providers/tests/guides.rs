//! The set-up page of each provider in `docs/providers`, written from its `Info` (`UPDATE_DOCS=1`).

use std::{fmt::Write as _, fs, path::Path};

use jiff::Timestamp;
use providers::{
    Info, Level, PROVIDERS, Provider,
    calls::{MissingPermission, Uses},
    http::Answer,
};

/// The page.
fn page(provider: &dyn Provider) -> String {
    let info = provider.info();
    let Info { slug, name, guide, .. } = info;
    let mut page = format!("# {name}\n\n");
    let mut write = |text: &str| {
        page += text;
        page += "\n\n";
    };
    write(&format!(
        "How purchases at {name} become licenses, from nothing. The page is written from what the server itself knows of \
         {name} (`UPDATE_DOCS=1 cargo nextest run -p providers --test guides`)."
    ));
    write("## 1. Say what you sell");
    write(&format!(
        "A file, `shop.toml`, names the product, its plan, the connection and which price gives which plan:\n\n\
         ```toml\n{}```",
        configuration(info)
    ));
    write(guide.price);
    write("## 2. Make the webhook endpoint");
    write(&format!(
        "{} The address is\n\n    https://YOUR-SERVER/v1/webhooks/{slug}/default\n\nwhere `default` is the name of your \
         account on this server. The events to subscribe to:",
        guide.endpoint
    ));
    write(&info.events.iter().map(|event| format!("* `{event}`")).collect::<Vec<_>>().join("\n"));
    write(&format!(
        "{} Put it into the environment as `{}` and let `keywright apply shop.toml` read the file; as often as you like: \
         what is there already it leaves alone. While you exchange the secret, list the old and the new one: either is \
         believed.",
        guide.secret,
        secret_variable(slug)
    ));
    if let Some(api_key) = guide.api_key {
        write("## 3. Give it a key to the API");
        let has_stores = provider.has_stores();
        write(&format!(
            "{api_key} Then add to the connection:\n\n```toml\nlevel = \"read\"\napi_key = \"env:{}\"\n{}```",
            key_variable(slug),
            if has_stores { "store = \"12345\"\n" } else { "" }
        ));
        let permissions = permissions(provider);
        if !permissions.is_empty() {
            write("The permissions that it needs:");
            write(&permissions.join("\n"));
        }
    }
    if let Some(redirect) = guide.redirect {
        write(if guide.api_key.is_some() { "## 4. Let buyers come" } else { "## 3. Let buyers come" });
        write(&format!(
            "{redirect} The address is\n\n    https://YOUR-SERVER/redeem/{slug}/default\n\nand with several connections to \
             {name} it is `/redeem/{slug}/default/CODE`, with the code of the connection. Then add to the connection:\n\n\
             ```toml\noauth_client = {{ id = \"YOUR-CLIENT-ID\", secret = \"env:{}\" }}\n```",
            client_variable(slug)
        ));
    }
    write("## Try it");
    write(&format!(
        "    keywright serve\n    keywright simulate {slug} checkout\n\nplays a purchase against the running server, without \
         an account at {name}; `keywright simulate {slug} --help` lists what else can happen. Then make the first test \
         purchase there with `mode = \"test\"`, and go live with a second connection of `mode = \"live\"`."
    ));
    if !guide.notes.is_empty() {
        write("## What to know");
        write(&guide.notes.iter().map(|note| format!("* {note}")).collect::<Vec<_>>().join("\n"));
    }
    page.trim_end().to_owned() + "\n"
}

/// The file of the first step.
fn configuration(info: &Info) -> String {
    let mut file = String::from(
        "[[product]]\ncode = \"studio\"\nname = \"Studio\"\nkey_prefix = \"STUDIO\"\n\n[[plan]]\ncode = \"pro\"\n\
         product = \"studio\"\nname = \"Pro\"\nactivations = 2\n\n",
    );
    let (slug, variable) = (info.slug, secret_variable(info.slug));
    // Writing to a string cannot fail.
    let _ = writeln!(
        file,
        "[[connection]]\ncode = \"{slug}\"\nprovider = \"{slug}\"\nmode = \"test\"\nwebhook_secrets = [\"env:{variable}\"]\n\n\
         [[price_rule]]\nconnection = \"{slug}\"\nprice = \"{}\"\nplan = \"pro\"",
        info.guide.price_example
    );
    file
}

fn secret_variable(slug: &str) -> String {
    format!("{}_WEBHOOK_SECRET", slug.to_ascii_uppercase())
}

fn key_variable(slug: &str) -> String {
    format!("{}_API_KEY", slug.to_ascii_uppercase())
}

fn client_variable(slug: &str) -> String {
    format!("{}_CLIENT_SECRET", slug.to_ascii_uppercase())
}

/// What a key needs for each use, as the check of a key that may nothing tells it.
fn permissions(provider: &dyn Provider) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut known: Vec<String> = Vec::new();
    for (uses, when) in [
        (Uses { level: Level::Read, ..Uses::default() }, ""),
        (Uses { level: Level::Full, ..Uses::default() }, ", for `level = \"full\"`"),
        (Uses { write_back: true, ..Uses::default() }, ", for `write_back = true`"),
        (Uses { create_webhook: true, ..Uses::default() }, ", for `keywright connect`"),
        (Uses { sells: true, ..Uses::default() }, ", where a plan has a price"),
    ] {
        for MissingPermission { name, without, .. } in lacking(provider, uses) {
            if !known.contains(&name) {
                lines.push(format!("* *{name}*{when} — otherwise {without}"));
                known.push(name);
            }
        }
    }
    lines
}

fn lacking(provider: &dyn Provider, uses: Uses) -> Vec<MissingPermission> {
    let refused = |request| Answer { request, asked_at: Timestamp::UNIX_EPOCH, status: 403, body: "{}".to_owned() };
    let answers: Vec<Answer> = provider.preflight(uses).into_iter().map(refused).collect();
    provider.check_key(uses, &answers, false).missing
}

#[test]
fn every_provider_that_delivers_has_its_page() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/providers");
    for provider in PROVIDERS.iter().filter(|provider| !provider.info().events.is_empty()) {
        let info = provider.info();
        let (path, page) = (folder.join(format!("{}.md", info.slug)), page(*provider));
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::create_dir_all(&folder).expect("docs/providers can be made");
            fs::write(&path, &page).expect("the page can be written");
        }
        let written = fs::read_to_string(&path).expect("a page for each provider");
        assert_eq!(written, page, "{}: write it anew with UPDATE_DOCS=1", info.slug);
        for said in [info.guide.endpoint, info.guide.secret, info.guide.price, info.guide.price_example] {
            assert!(!said.trim().is_empty(), "{}: something of its guide is missing", info.slug);
        }
    }
}
