//! The console among many licenses: how soon its pages are there.

use std::{
    collections::{HashSet, VecDeque},
    time::Instant,
};

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
const VISITS: usize = 50;
/// The first page of the one vendor, in test mode.
const HOME: &str = "/console/default/test";
/// Steps of an address behind which stands the name of one of many, so that all of them are one kind of page.
const NAMED: [&str; 9] =
    ["signing-keys", "simulator", "products", "plans", "brand", "templates", "events", "versions", "reference"];

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

/// What an address is a page of: one license stands for all, and one filter of a list.
fn kind(address: &str) -> String {
    let (path, query) = address.split_once('?').map_or((address, ""), |(path, _)| (path, "?\u{2026}"));
    let mut before = "";
    let steps = path.trim_start_matches(HOME).split('/').map(|step| {
        let is_id = step.split_once('_').is_some_and(|(prefix, rest)| prefix.len() <= 5 && rest.len() == 26);
        let is_name = NAMED.contains(&before) && step != "new";
        before = step;
        if is_id || is_name { "\u{2022}" } else { step }
    });
    steps.collect::<Vec<_>>().join("/").trim_start_matches('/').to_owned() + query
}

/// Where a page leads to, in test mode.
fn links(page: &str) -> impl Iterator<Item = String> + '_ {
    let links = page.split("href=\"").skip(1).filter_map(|rest| rest.split(['"', '#']).next());
    let within = links.filter(|path| path.starts_with(HOME) || path.starts_with("/account"));
    within.map(|path| path.replace("&amp;", "&"))
}

/// How long the visits of a page took, whose address may be another one at each.
async fn visit(browser: &mut Browser, address: impl Fn(usize) -> String) -> anyhow::Result<Load> {
    let mut load = Load::default();
    for number in 0..VISITS {
        let address = address(number);
        let sent = Instant::now();
        browser.call("GET", &address, "", "").await?;
        load.latencies.push(sent.elapsed());
    }
    Ok(load)
}

/// Every kind of page that a link leads to from the first page on, visited again and again by one person.
async fn walk(browser: &mut Browser) -> anyhow::Result<Vec<(String, Load)>> {
    let mut ahead = VecDeque::from([HOME.to_owned()]);
    let mut known = HashSet::from([kind(HOME)]);
    let mut loads = Vec::new();
    while let Some(address) = ahead.pop_front() {
        let page = browser.call("GET", &address, "", "").await?;
        ahead.extend(links(&page).filter(|link| known.insert(kind(link))));
        let name = match kind(&address) {
            name if name.is_empty() => "home".to_owned(),
            name => name,
        };
        loads.push((name, visit(browser, |_| address.clone()).await?));
    }
    Ok(loads)
}

/// How soon all pages are there, and what is searched for: the slowest stand first.
pub(super) async fn pages(keywright: &Keywright, options: &Run, report: &mut Report) -> anyhow::Result<()> {
    let keys = fill(keywright, options).await?;
    let mut browser = Browser::sign_in(keywright).await?;
    let mut loads = walk(&mut browser).await?;
    let key = |number: usize| keys[number.wrapping_mul(7_919) % keys.len()].as_str();
    let end = |number| key(number).rsplit('-').next().unwrap_or_default();
    let search = |what: &str| format!("{HOME}/search?q={what}");
    for (name, load) in [
        ("search for a key", visit(&mut browser, |number| search(key(number))).await?),
        ("search for the end of a key", visit(&mut browser, |number| search(end(number))).await?),
        ("search for what is not there", visit(&mut browser, |number| search(&format!("device-{number}"))).await?),
    ] {
        loads.push((name.to_owned(), load));
    }
    loads.sort_by_key(|(_, load)| std::cmp::Reverse(load.percentile(0.95)));
    for (name, load) in &loads {
        let millis = |share| load.percentile(share).as_secs_f64() * 1_000.0;
        let what = format!("console: {name}, among {} licenses", options.licenses);
        report.add(what, format!("p50 {:.1} ms, p95 {:.1} ms", millis(0.5), millis(0.95)), "p95 under 50 ms");
    }
    Ok(())
}
