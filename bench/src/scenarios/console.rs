//! The console among many licenses: how soon its pages are there.

use std::time::Instant;

use anyhow::Context;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::issue;
use crate::{
    Run,
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

/// Every kind of page, visited again and again by one person.
pub(super) async fn pages(keywright: &Keywright, options: &Run, report: &mut Report) -> anyhow::Result<()> {
    let keys = issue(keywright, options.licenses).await?;
    let mut browser = Browser::sign_in(keywright).await?;
    let list = browser.call("GET", "/console/default/test/licenses", "", "").await?;
    let license = list.split("href=\"").filter_map(|rest| rest.split('"').next()).find(|path| path.contains("/lic_"));
    let license = license.context("there is a license in the list")?.to_owned();
    let key = |number: usize| keys[number.wrapping_mul(7_919) % keys.len()].clone();
    let pages: [Page<'_>; 7] = [
        ("home", Box::new(|_| "/console/default/test".to_owned())),
        ("licenses", Box::new(|_| "/console/default/test/licenses".to_owned())),
        ("licenses, filtered", Box::new(|_| "/console/default/test/licenses?state=frozen&within=30".to_owned())),
        ("a license", Box::new(move |_| license.clone())),
        ("search by key", Box::new(|number| format!("/console/default/test/search?q={}", key(number)))),
        (
            "search by the end of a key",
            Box::new(|number| {
                let key = key(number);
                format!("/console/default/test/search?q={}", key.rsplit('-').next().unwrap_or_default())
            }),
        ),
        ("search for what is not there", Box::new(|number| format!("/console/default/test/search?q=device-{number}"))),
    ];
    for (name, path) in pages {
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
