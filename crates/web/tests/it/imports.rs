//! Licenses from a file in the console, and the vendor's own words for licenses.

use axum::{
    body::Body,
    http::{Method, header},
};
use domain::member::Role;
use engine::import::WAITING_MAX;

use crate::office::{Browser, Office, Page};

const LICENSES: &str = "/console/default/test/licenses";
const FILE: &str = "key,email,plan,shoe size\nOLD-1111-2222,ada@example.com,pro,38\nOLD-3333-4444,,gold,\n";

impl Browser<'_> {
    /// Sends a file as a browser does.
    async fn upload(&self, path: &str, file: &str, fields: &[(&str, &str)]) -> Page {
        let part = |name: &str, more: &str, text: &str| {
            format!("--edge\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n{text}\r\n")
        };
        let fields: String = fields.iter().map(|(name, value)| part(name, "", value)).collect();
        let body = format!("{}{fields}--edge--\r\n", part("file", "; filename=\"old.csv\"", file));
        let request = self.request(Method::POST, path).header(header::ORIGIN, "https://keys.example.com");
        let request = request.header(header::CONTENT_TYPE, "multipart/form-data; boundary=edge");
        self.send(request.body(Body::from(body)).unwrap()).await
    }
}

async fn over(office: &Office, browser: &Browser<'_>, path: &str) -> Page {
    while office.engine.bulk_turn().await.unwrap() {}
    loop {
        let page = browser.get(path).await;
        if !page.says("data-again") {
            return page;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_file_is_previewed_and_imported() {
    let office = Office::open().await;
    let admin = office.member(Role::Admin).await;
    let import = format!("{LICENSES}/import");
    assert!(admin.get(LICENSES).await.says(&format!("href=\"{import}\">Import")));
    assert!(admin.get(&import).await.says("enctype=\"multipart/form-data\""));
    for (file, wrong) in [
        ("", "Choose a file first."),
        ("email\nada@example.com\n", "The first line must name the columns, and one of them must be `key`."),
        ("key\n", "The file has no licenses in it."),
    ] {
        assert!(admin.upload(&import, file, &[]).await.says(wrong), "{file}");
    }
    let preview = admin.upload(&import, FILE, &[("plan", ""), ("note", "moving")]).await.leads_to().to_owned();
    let page = admin.get(&preview).await;
    for words in [
        "Import · 2 lines",
        "1 new",
        "1 refused",
        "There is no plan with the code or name that it has",
        "left out: shoe size",
    ] {
        assert!(page.says(words), "{words}: {}", page.text);
    }
    assert!(!page.says("OLD-1111"), "keys stay masked");
    let path = preview.split('?').next().unwrap();
    let new = admin.get(&format!("{path}?show=new")).await;
    assert!(new.says("…22") && new.says("Pro · ada@example.com"), "{}", new.text);
    assert!(admin.get(&format!("{path}/begin")).await.says("Import · 1 license"));
    let change = admin.post(&format!("{path}/begin"), "note=moving").await.leads_to().to_owned();
    let page = over(&office, &admin, &change).await;
    assert!(page.says("<dt>Imported</dt><dd>1</dd>") && page.says("line 3: there is no plan"), "{}", page.text);
    assert_eq!(admin.get(path).await.leads_to(), change, "it is watched there");
    assert!(admin.get(&format!("{LICENSES}?source=manual")).await.says("ada@example.com"));
    assert!(admin.get("/console/default/test/search?q=old+1111+2222").await.leads_to().starts_with(LICENSES));
    assert!(admin.get("/console/default/test/audit").await.says("Licenses imported"));
    // The same file once more.
    let again = admin.upload(&import, FILE, &[]).await.leads_to().split('?').next().unwrap().to_owned();
    assert!(admin.get(&format!("{again}?show=same")).await.says("is the same"));
    assert!(admin.get(&format!("{again}/begin")).await.says("Nothing in the file is new."));
    assert_eq!(
        admin.post(&format!("{again}/discard"), "").await.leads_to(),
        format!("{LICENSES}?said=import_discarded")
    );
    assert_eq!(admin.get(&again).await.status, 404);
    // Files wait only so long as a person keeps count of them, and an address carries on only what is shown.
    let wide = format!("key,plan{}\n", ",ü".repeat(150)) + "OLD-5555-6666,pro" + &",".repeat(150) + "\n";
    for _ in 0..WAITING_MAX {
        assert!(admin.upload(&import, &wide, &[]).await.leads_to().len() < 2_000);
    }
    assert!(admin.upload(&import, FILE, &[]).await.says("10 files wait to be imported already"));
}

#[tokio::test]
async fn who_may_not_imports_nothing() {
    let office = Office::open().await;
    let (admin, support) = (office.member(Role::Admin).await, office.member(Role::Support).await);
    let import = format!("{LICENSES}/import");
    assert_eq!(support.upload(&import, FILE, &[]).await.status, 403);
    assert!(!support.get(LICENSES).await.says(&import));
    let path = admin.upload(&import, FILE, &[]).await.leads_to().split('?').next().unwrap().to_owned();
    let stranger = office.stranger().await;
    for (browser, status) in [(&support, 403), (&stranger, 404)] {
        for page in [path.clone(), format!("{path}/begin"), format!("{path}/discard")] {
            assert_eq!(browser.get(&page).await.status, status, "{page}");
        }
        assert_eq!(browser.post(&format!("{path}/begin"), "").await.status, status);
    }
    let elsewhere = path.replace("/default/", "/other/");
    assert_eq!(stranger.get(&elsewhere).await.status, 404);
    assert_eq!(stranger.post(&format!("{elsewhere}/begin"), "").await.status, 404);
    assert_eq!(admin.get(&path.replace("/test/", "/live/")).await.status, 404);
}

#[tokio::test]
async fn tags_are_set_found_and_changed_for_many() {
    let office = Office::open().await;
    let (one, _) = office.license("pro", "ada@example.com").await;
    let (two, _) = office.license("year", "grace@example.com").await;
    let (support, viewer) = (office.member(Role::Support).await, office.member(Role::Viewer).await);
    assert_eq!(viewer.post(&format!("{one}/tags"), "tags=vip").await.status, 403);
    assert!(support.post(&format!("{one}/tags"), &format!("tags={}", "x".repeat(41))).await.says("is no tag"));
    support.post(&format!("{one}/tags"), "tags=VIP%2C+beta+tester&note=asked").await.leads_to();
    let page = viewer.get(&one).await;
    assert!(page.says("licenses?tag=beta%20tester\">beta tester</a>") && page.says(">vip</a>"), "{}", page.text);
    assert!(support.get(&format!("{one}/tags")).await.says("value=\"beta tester, vip\""));
    let found = async |query: &str| {
        let page = viewer.get(&format!("{LICENSES}?{query}")).await;
        [&one, &two].map(|path| page.says(&format!("href=\"{path}\"")))
    };
    assert_eq!(found("tag=vip").await, [true, false]);
    assert_eq!(found("tag=VIP&plan=year").await, [false, false]);
    assert!(viewer.get(&format!("{LICENSES}?tag=vip")).await.says("Tag: vip"));
    let id = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    let many = format!("{LICENSES}/changes/new?action=tag&id={}&id={}", id(&one), id(&two));
    let page = support.get(&many).await;
    assert!(page.says("2 licenses are chosen."), "{}", page.text);
    let seen = page.text.split_once("name=\"seen\" value=\"").unwrap().1.split('"').next().unwrap().to_owned();
    assert!(support.post(&many, &format!("seen={seen}&tag=a%2Cb")).await.says("is no tag"));
    let change = support.post(&many, &format!("seen={seen}&tag=Vip")).await.leads_to().to_owned();
    let page = over(&office, &support, &change).await;
    assert!(page.says("Add a tag “vip” · 2 licenses") && page.says("it has the tag already"), "{}", page.text);
    assert_eq!(found("tag=vip").await, [true, true]);
    support.post(&format!("{one}/tags"), "tags=").await.leads_to();
    assert_eq!(found("tag=vip").await, [false, true]);
    assert!(support.get(&one).await.says("License tags changed"));
}
