//! The console among many licenses: how soon its pages are there.

use std::time::Instant;

use anyhow::Context;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{Seller, issue, seconds_since_1970, settle};
use crate::{
    Run, events,
    load::{self, Load},
    report::Report,
    server::{Keywright, OWNER, PASSWORD},
};

/// How often each page is visited.
const VISITS: usize = 200;

/// A page's name, and its address at each visit.
type Page<'k> = (&'static str, Box<dyn Fn(usize) -> String + 'k>);

/// One person's browser.
struct Browser {
    stream: TcpStream,
    host: String,
    cookie: String,
}

impl Browser {
    async fn sign_in(keywright: &Keywright) -> anyhow::Result<Self> {
        let address = keywright.process.address;
        let mut browser =
            Self { stream: TcpStream::connect(address).await?, host: address.to_string(), cookie: String::new() };
        browser.stream.set_nodelay(true)?;
        let form = format!("email={}&password={PASSWORD}", OWNER.replace('@', "%40"));
        let origin = format!("origin: http://{}\r\ncontent-type: application/x-www-form-urlencoded\r\n", browser.host);
        let answer = browser.call("POST", "/sign-in", &origin, &form).await?;
        let kept = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")?.split(';').next());
        browser.cookie = kept.with_context(|| format!("nobody is signed in: {answer}"))?.to_owned();
        Ok(browser)
    }

    /// One call, with the whole of its answer.
    async fn call(&mut self, method: &str, path: &str, head: &str, body: &str) -> anyhow::Result<String> {
        let call = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\ncookie: {}\r\ncontent-length: {}\r\n{head}\r\n{body}",
            self.host,
            self.cookie,
            body.len()
        );
        self.stream.write_all(call.as_bytes()).await?;
        let mut buffer = Vec::with_capacity(64 * 1_024);
        while load::body(&buffer)?.is_none() {
            anyhow::ensure!(self.stream.read_buf(&mut buffer).await? > 0, "the server closed the connection");
        }
        let answer = String::from_utf8(buffer)?;
        let is_there = answer.starts_with("HTTP/1.1 200") || answer.starts_with("HTTP/1.1 303");
        anyhow::ensure!(is_there, "{path}: {answer}");
        Ok(answer)
    }
}

/// Sells to many buyers, and issues the rest of the licenses, so that there is much of everything; returns the keys of
/// those that were issued. One sale is of a price that nobody knows.
async fn fill(keywright: &Keywright, options: &Run) -> anyhow::Result<Vec<String>> {
    Seller::new(keywright).sell(options.orders.min(options.licenses)).await?;
    let unknown = events::delivery(&events::checkout("u", 0, None), seconds_since_1970()?);
    TcpStream::connect(keywright.process.address).await?.write_all(&unknown).await?;
    let keys = issue(keywright, options.licenses).await?;
    settle(keywright).await?;
    Ok(keys)
}

/// The first link on a page of a section to one of the things that it lists.
async fn first(browser: &mut Browser, section: &str, prefix: &str) -> anyhow::Result<String> {
    let list = browser.call("GET", &at(section), "", "").await?;
    let mut links = list.split("href=\"").filter_map(|rest| rest.split('"').next());
    let start = format!("{}/{prefix}_", at(section));
    Ok(links.find(|path| path.starts_with(&start)).with_context(|| format!("{section} lists nothing"))?.to_owned())
}

fn at(path: &str) -> String {
    format!("/console/default/test/{path}")
}

/// Every kind of page, with its address at each visit.
async fn addresses<'k>(browser: &mut Browser, keys: &'k [String]) -> anyhow::Result<Vec<Page<'k>>> {
    let mut pages: Vec<Page<'k>> = vec![("home", Box::new(|_| "/console/default/test".to_owned()))];
    for (name, path) in [
        ("attention", "attention"),
        ("licenses", "licenses"),
        ("licenses, filtered", "licenses?state=frozen&within=30"),
        ("customers", "customers"),
        ("orders", "orders"),
        ("inbound events", "inbound"),
        ("mails", "mails"),
        ("audit log", "audit"),
        ("deliveries", "deliveries"),
        ("reconcile", "reconcile"),
        ("products", "products"),
        ("prices", "prices"),
        ("developers", "developers"),
        ("request log", "developers/requests"),
        ("settings", "settings"),
    ] {
        pages.push((name, Box::new(move |_| at(path))));
    }
    for (name, section, prefix) in [
        ("a license", "licenses", "lic"),
        ("a customer", "customers", "cus"),
        ("an order", "orders", "ord"),
        ("an inbound event", "inbound", "in"),
    ] {
        let path = first(browser, section, prefix).await?;
        pages.push((name, Box::new(move |_| path.clone())));
    }
    let key = |number: usize| keys[number.wrapping_mul(7_919) % keys.len()].as_str();
    pages.push(("search by key", Box::new(move |number| at(&format!("search?q={}", key(number))))));
    let end = move |number| key(number).rsplit('-').next().unwrap_or_default();
    pages.push(("search by the end of a key", Box::new(move |number| at(&format!("search?q={}", end(number))))));
    pages.push(("search for what is not there", Box::new(|number| at(&format!("search?q=device-{number}")))));
    Ok(pages)
}

/// Every kind of page, visited again and again by one person.
pub(super) async fn pages(keywright: &Keywright, options: &Run, report: &mut Report) -> anyhow::Result<()> {
    let keys = fill(keywright, options).await?;
    let mut browser = Browser::sign_in(keywright).await?;
    for (name, path) in addresses(&mut browser, &keys).await? {
        let mut load = Load::default();
        for number in 0..VISITS {
            let sent = Instant::now();
            browser.call("GET", &path(number), "", "").await?;
            load.latencies.push(sent.elapsed());
        }
        let millis = |share| load.percentile(share).as_secs_f64() * 1_000.0;
        let what = format!("console: {name}, among {} licenses", options.licenses);
        report.add(what, format!("p50 {:.1} ms, p95 {:.1} ms", millis(0.5), millis(0.95)), "p95 under 50 ms");
    }
    Ok(())
}
