//! The measurements.

mod console;
mod webhooks;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use anyhow::Context;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    Database, Part, Run, events,
    load::{self, Load, Pressure, post, press},
    provider,
    receivers::Good,
    relay::{self, Relay},
    report::Report,
    server::{self, Keywright, Neighbours},
};

/// Connections that press.
const CONNECTIONS: usize = 256;
/// A second of it.
const AS_MUCH_AS_GOES: Pressure = Pressure { connections: CONNECTIONS, seconds: 1, calls_max: usize::MAX, rate: None };
/// Licenses that checks choose from, where their number is not what is measured.
const LICENSES: usize = 10_000;
/// How long issued licenses and their mails are waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// Measures everything on one database.
pub(crate) async fn run(database: Database, options: &Run) -> anyhow::Result<Report> {
    let mut report = Report { database, figures: Vec::new() };
    let echo = server::echo()?;
    let yardstick = Yardstick { echo: echo.address, seconds: options.seconds };
    for part in &options.parts {
        let provider = if *part == Part::LookUps { Some(provider::serve().await?) } else { None };
        let relay = relay::serve().await?;
        let relay_address = (*part == Part::Mail).then_some(relay.address);
        // The pages of deliveries have some to show.
        let receiver = if *part == Part::Console { Some(Good::serve().await?.address) } else { None };
        let receivers = vec![receiver.into_iter().collect()];
        let neighbours = Neighbours { provider, relay: relay_address, receivers };
        let keywright = server::keywright(&options.binary, database, &neighbours)?;
        match part {
            Part::Intake => intake(&keywright, &mut report, &yardstick).await?,
            Part::Checks => checks(&keywright, &mut report, &yardstick).await?,
            Part::Growth => growth(&keywright, options, &mut report, &yardstick).await?,
            Part::Timers => timers(&keywright, options, &mut report).await?,
            Part::Fulfilment => {
                fulfilment(&keywright, &mut report, options.orders, "no look-up", Some("pro")).await?;
            }
            Part::Mail => mail(&keywright, &mut report, &relay).await?,
            Part::LookUps => fulfilment(&keywright, &mut report, options.orders / 4, "one look-up", None).await?,
            Part::Webhooks => webhooks::throughput(options, &mut report, yardstick.echo().await?).await?,
            Part::Console => console::pages(&keywright, options, &mut report).await?,
            Part::Crowd => webhooks::crowd(options, &mut report).await?,
        }
    }
    Ok(report)
}

/// A server and the calls it is pressed with: the next one by its number.
#[derive(Clone)]
struct Pressed {
    address: SocketAddr,
    call: Arc<dyn Fn(usize) -> Arc<Vec<u8>> + Send + Sync>,
    /// Calls of the seconds before.
    made: usize,
}

impl Pressed {
    fn new(address: SocketAddr, call: impl Fn(usize) -> Arc<Vec<u8>> + Send + Sync + 'static) -> Self {
        Self { address, call: Arc::new(call), made: 0 }
    }

    /// As many calls as go, for a second; returns how many that were.
    async fn second(&mut self) -> anyhow::Result<f64> {
        let (call, before) = (Arc::clone(&self.call), self.made);
        let load = press(self.address, AS_MUCH_AS_GOES, move |number| call(before + number)).await?;
        // A connection takes one number more than it sends.
        self.made += load.answered + CONNECTIONS;
        Ok(load.per_second())
    }
}

/// What a throughput is measured beside, and for how long.
struct Yardstick {
    echo: SocketAddr,
    seconds: u64,
}

impl Yardstick {
    /// The throughput of the echo, for a second.
    async fn echo(&self) -> anyhow::Result<f64> {
        let body = Arc::new(post("/echo", &[], "x".repeat(3_000).as_bytes()));
        Pressed::new(self.echo, move |_| Arc::clone(&body)).second().await
    }

    /// The throughput of `pressed` beside the echo.
    async fn beside(&self, pressed: Pressed) -> anyhow::Result<String> {
        let body = Arc::new(post("/echo", &[], "x".repeat(3_000).as_bytes()));
        self.compare(Pressed::new(self.echo, move |_| Arc::clone(&body)), pressed).await
    }

    /// A second at a time in turn: the machine's speed drifts, and both drift with it.
    async fn compare(&self, mut standard: Pressed, mut pressed: Pressed) -> anyhow::Result<String> {
        let (mut expected, mut answered) = (0.0, 0.0);
        for _ in 0..self.seconds {
            expected += standard.second().await?;
            answered += pressed.second().await?;
        }
        let (rounds, ratio) = (self.seconds as f64, answered / expected);
        Ok(format!("{:.0}/s, {ratio:.2} of {:.0}/s", answered / rounds, expected / rounds))
    }
}

/// Signed webhooks in, answered after their commit.
async fn intake(keywright: &Keywright, report: &mut Report, yardstick: &Yardstick) -> anyhow::Result<()> {
    const STEADY: usize = 1_000;
    let now = seconds_since_1970()?;
    let address = keywright.process.address;
    let call = move |run: &str, number| Arc::new(events::delivery(&events::irrelevant(run, number), now));
    // Made before: signing costs the machine as much as believing does.
    let made: Arc<Vec<_>> =
        Arc::new((0..50_000 * yardstick.seconds as usize).map(|number| call("a", number)).collect());
    let figure = yardstick.beside(Pressed::new(address, move |number| Arc::clone(&made[number % made.len()]))).await?;
    report.add("signed 3 KB webhook, committed, of echo", figure, "0.25 SQLite, 0.20 PostgreSQL");
    settle(keywright).await?;
    let made: Arc<Vec<_>> =
        Arc::new((0..STEADY * yardstick.seconds as usize).map(|number| call("b", number)).collect());
    let load = press(address, steady(STEADY, made.len()), move |number| Arc::clone(&made[number])).await?;
    report.add("the same at 1,000/s", latencies(&load), "p99 under 10 ms");
    Ok(())
}

/// License checks, always read from the database.
async fn checks(keywright: &Keywright, report: &mut Report, yardstick: &Yardstick) -> anyhow::Result<()> {
    const STEADY: usize = 5_000;
    let checks = checks_of(keywright, LICENSES).await?;
    let figure = yardstick.beside(checks.clone()).await?;
    report.add("license check, of echo", figure, "0.5 SQLite, 0.3 PostgreSQL");
    let calls_max = STEADY * yardstick.seconds as usize;
    let load = press(checks.address, steady(STEADY, calls_max), move |number| (checks.call)(number)).await?;
    report.add("the same at 5,000/s", latencies(&load), "p99 under 5 ms");
    Ok(())
}

/// License checks where there are many licenses, beside those of a server with few.
async fn growth(few: &Keywright, options: &Run, report: &mut Report, yardstick: &Yardstick) -> anyhow::Result<()> {
    let many = server::keywright(&options.binary, report.database, &Neighbours::default())?;
    let (few, crowd) = (checks_of(few, LICENSES).await?, checks_of(&many, options.licenses).await?);
    let figure = yardstick.compare(few, crowd.clone()).await?;
    report.add(format!("check among {} licenses, of {LICENSES}", options.licenses), figure, "0.8");
    report.add("the same, of echo", yardstick.beside(crowd).await?, "");
    Ok(())
}

/// Licenses that end in a year, each with an order of its own, beside few of them: what a server does while nothing
/// happens, and how fast it sells.
async fn timers(few: &Keywright, options: &Run, report: &mut Report) -> anyhow::Result<()> {
    const SOLD_AT_ONCE: usize = 2_000;
    let many = server::keywright(&options.binary, report.database, &Neighbours::default())?;
    let (mut few, mut many) = (Seller::new(few), Seller::new(&many));
    few.sell(LICENSES).await?;
    many.sell(options.licenses).await?;
    let (idle_few, idle_many) = tokio::try_join!(few.idle(options.seconds), many.idle(options.seconds))?;
    let what = format!("processor time while {} timers wait, of {LICENSES}", options.licenses);
    report.add(what, format!("{idle_many:.1} ms/s, {idle_few:.1} ms/s"), "no more");
    let resident = [&many, &few].map(|seller| seller.keywright.process.resident_mebibytes());
    let [resident_many, resident_few] = resident;
    report.add("memory then", format!("{} MiB, {} MiB", resident_many?, resident_few?), "64 MiB for 100,000 licenses");
    let (mut expected, mut sold) = (0.0, 0.0);
    for _ in 0..options.seconds {
        expected += few.sell(SOLD_AT_ONCE).await?;
        sold += many.sell(SOLD_AT_ONCE).await?;
    }
    report.add("paid event to license beside them, of few", format!("{:.2}", sold / expected), "");
    Ok(())
}

/// A server on which licenses of a year are bought.
struct Seller<'k> {
    keywright: &'k Keywright,
    sold: usize,
}

impl<'k> Seller<'k> {
    const fn new(keywright: &'k Keywright) -> Self {
        Self { keywright, sold: 0 }
    }

    /// Sells so many; returns how many a second that were.
    async fn sell(&mut self, count: usize) -> anyhow::Result<f64> {
        const AT_ONCE: usize = 50_000;
        let begun = Instant::now();
        let goal = self.sold + count;
        while self.sold < goal {
            let (orders, before, now) = ((goal - self.sold).min(AT_ONCE), self.sold, seconds_since_1970()?);
            let most = Pressure { connections: CONNECTIONS, seconds: 600, calls_max: orders, rate: None };
            let call =
                move |number| Arc::new(events::delivery(&events::checkout("y", before + number, Some("year")), now));
            press(self.keywright.process.address, most, call).await?;
            self.sold += orders;
            wait_for(self.keywright, self.sold).await?;
        }
        Ok(count as f64 / begun.elapsed().as_secs_f64())
    }

    /// The processor time, in milliseconds a second, that it uses while nothing happens.
    async fn idle(&self, seconds: u64) -> anyhow::Result<f64> {
        let before = self.keywright.process.processor_milliseconds()?;
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        Ok((self.keywright.process.processor_milliseconds()? - before) as f64 / seconds as f64)
    }
}

/// Issues licenses and returns checks that visit all of them, in an order that no cache likes.
async fn checks_of(keywright: &Keywright, licenses: usize) -> anyhow::Result<Pressed> {
    let call =
        |key: &String| Arc::new(json_post("/v1/check", None, &format!("{{\"key\":\"{key}\",\"product\":\"bench\"}}")));
    let made: Vec<_> = issue(keywright, licenses).await?.iter().map(call).collect();
    Ok(Pressed::new(keywright.process.address, move |number| {
        Arc::clone(&made[number.wrapping_mul(7_919) % made.len()])
    }))
}

fn steady(per_second: usize, calls_max: usize) -> Pressure {
    /// How much later than it is due the last call may be sent.
    const LATE_SECONDS: u64 = 60;
    let seconds = (calls_max / per_second) as u64 + LATE_SECONDS;
    Pressure { connections: CONNECTIONS, seconds, calls_max, rate: Some(per_second as f64) }
}

/// Paid events in, licenses out: sustained, and how soon one is visible.
async fn fulfilment(
    keywright: &Keywright,
    report: &mut Report,
    orders: usize,
    what: &str,
    plan: Option<&str>,
) -> anyhow::Result<()> {
    let now = seconds_since_1970()?;
    let address = keywright.process.address;
    let call = |run: &'static str| move |number| Arc::new(events::delivery(&events::checkout(run, number, plan), now));
    let made: Arc<Vec<Arc<Vec<u8>>>> = Arc::new((0..orders).map(call("c")).collect());
    let most = Pressure { connections: CONNECTIONS, seconds: 600, calls_max: orders, rate: None };
    let begun = Instant::now();
    let load = press(address, most, move |number| Arc::clone(&made[number])).await?;
    anyhow::ensure!(load.answered == orders, "{} of {orders} events were answered", load.answered);
    wait_for(keywright, orders).await?;
    let rate = orders as f64 / begun.elapsed().as_secs_f64();
    report.add(format!("paid event to license, {what}"), format!("{rate:.0}/s"), "5,000/s");
    let visible = visibility(keywright, plan, now).await?;
    report.add(format!("license visible at 200/s, {what}"), latencies(&visible), "p99 under 50 ms");
    Ok(())
}

/// Posts paid events at 200/s, and after each asks for its license until it is there. Each buyer has one connection and
/// asks every few milliseconds: asking costs the server as well.
async fn visibility(keywright: &Keywright, plan: Option<&str>, now: u64) -> anyhow::Result<Load> {
    const COUNT: usize = 1_000;
    const PER_SECOND: f64 = 200.0;
    const BETWEEN_LOOKS: Duration = Duration::from_millis(3);
    let begun = Instant::now();
    let mut watchers = tokio::task::JoinSet::new();
    for number in 0..COUNT {
        let call = events::delivery(&events::checkout("v", number, plan), now);
        let (address, key) = (keywright.process.address, keywright.api_key.clone());
        watchers.spawn(async move {
            let due = begun + Duration::from_secs_f64(number as f64 / PER_SECOND);
            tokio::time::sleep_until(due.into()).await;
            let mut stream = TcpStream::connect(address).await?;
            ask(&mut stream, &call).await?;
            let reference = format!("cs_test_v{number}");
            let lookup = json_post("/v1/licenses/lookup", Some(&key), &format!("{{\"reference\":\"{reference}\"}}"));
            while begun.elapsed() < PATIENCE {
                let answer = ask(&mut stream, &lookup).await?;
                if answer["data"].as_array().is_some_and(|licenses| !licenses.is_empty()) {
                    return Ok(due.elapsed());
                }
                tokio::time::sleep(BETWEEN_LOOKS).await;
            }
            anyhow::bail!("{reference} has no license")
        });
    }
    let mut load = Load::default();
    while let Some(watched) = watchers.join_next().await {
        load.latencies.push(watched??);
    }
    load.answered = COUNT;
    load.seconds = begun.elapsed().as_secs_f64();
    Ok(load)
}

/// Posts paid events at 200/s, and takes the time from when each was due until the relay accepted its mail.
async fn mail(keywright: &Keywright, report: &mut Report, relay: &Relay) -> anyhow::Result<()> {
    const COUNT: usize = 1_000;
    const PER_SECOND: usize = 200;
    const BETWEEN_LOOKS: Duration = Duration::from_millis(20);
    let now = seconds_since_1970()?;
    let call = |number| Arc::new(events::delivery(&events::checkout("m", number, Some("pro")), now));
    let made: Arc<Vec<_>> = Arc::new((0..COUNT).map(call).collect());
    let begun = Instant::now();
    let posted =
        press(keywright.process.address, steady(PER_SECOND, COUNT), move |number| Arc::clone(&made[number])).await?;
    while relay.accepted().len() < COUNT && begun.elapsed() < PATIENCE {
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    let accepted = relay.accepted();
    let latency = |number| {
        let due = begun + Duration::from_secs_f64(number as f64 / PER_SECOND as f64);
        let recipient = format!("buyer{number}@example.com");
        let moment = accepted.get(&recipient).with_context(|| format!("{recipient} has no mail"))?;
        anyhow::Ok(moment.duration_since(due))
    };
    let latencies_of_mails = (0..COUNT).map(latency).collect::<anyhow::Result<_>>()?;
    let load = Load { latencies: latencies_of_mails, ..posted };
    report.add("paid event to mail accepted by the relay, at 200/s", latencies(&load), "p99 under 1 s");
    Ok(())
}

/// Issues licenses by the API and returns their keys.
async fn issue(keywright: &Keywright, count: usize) -> anyhow::Result<Vec<String>> {
    const QUANTITY_MAX: usize = 1_000;
    let mut keys = Vec::with_capacity(count);
    while keys.len() < count {
        let quantity = (count - keys.len()).min(QUANTITY_MAX);
        let body = format!("{{\"plan\":\"pro\",\"quantity\":{quantity}}}");
        let call = json_post("/v1/issue", Some(&keywright.api_key), &body);
        let answer = ask_once(keywright.process.address, &call).await?;
        let licenses = answer["licenses"].as_array().with_context(|| answer.to_string())?;
        keys.extend(licenses.iter().filter_map(|license| license["key"].as_str().map(str::to_owned)));
    }
    Ok(keys)
}

/// Waits until that many licenses exist. Counting them costs the server as well, so it is asked rarely while many lack.
async fn wait_for(keywright: &Keywright, licenses: usize) -> anyhow::Result<()> {
    const LACKING_PER_MILLISECOND: usize = 20;
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let lacking = licenses.saturating_sub(count(keywright, "licenses_total").await?);
        if lacking == 0 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis((5 + lacking / LACKING_PER_MILLISECOND) as u64)).await;
    }
    anyhow::bail!("only {} of {licenses} licenses exist", count(keywright, "licenses_total").await?)
}

/// Waits until nothing waits to be worked on.
async fn settle(keywright: &Keywright) -> anyhow::Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE && count(keywright, "inbox_pending").await? > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

async fn count(keywright: &Keywright, name: &str) -> anyhow::Result<usize> {
    let head = format!("authorization: Bearer {}\r\n", keywright.api_key);
    let call = format!("GET /v1/status HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n{head}\r\n");
    let answer = ask_once(keywright.process.address, call.as_bytes()).await?;
    answer[name].as_u64().map(|count| count as usize).with_context(|| answer.to_string())
}

fn json_post(path: &str, api_key: Option<&str>, body: &str) -> Vec<u8> {
    let bearer = api_key.map(|key| format!("Bearer {key}"));
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
    post(path, &headers, body.as_bytes())
}

/// One call on a connection of its own.
async fn ask_once(address: SocketAddr, call: &[u8]) -> anyhow::Result<Value> {
    ask(&mut TcpStream::connect(address).await?, call).await
}

/// One call on a kept connection.
async fn ask(stream: &mut TcpStream, call: &[u8]) -> anyhow::Result<Value> {
    stream.write_all(call).await?;
    let mut buffer = Vec::new();
    loop {
        anyhow::ensure!(stream.read_buf(&mut buffer).await? > 0, "the server closed the connection");
        if let Some(body) = load::body(&buffer)? {
            return serde_json::from_slice(body).with_context(|| String::from_utf8_lossy(&buffer).into_owned());
        }
    }
}

fn latencies(load: &Load) -> String {
    let millis = |share| load.percentile(share).as_secs_f64() * 1_000.0;
    format!("p50 {:.1} ms, p99 {:.1} ms", millis(0.5), millis(0.99))
}

#[expect(clippy::disallowed_methods, reason = "signatures carry the time, and a benchmark has no other clock")]
fn seconds_since_1970() -> anyhow::Result<u64> {
    Ok(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs())
}
