//! What is told to vendors' own systems: how much, and how soon beside systems that take nothing.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{CONNECTIONS, PATIENCE, latencies, seconds_since_1970, steady, wait_for};
use crate::{
    Run, events,
    load::{Load, Pressure, press},
    receivers::{self, Good},
    report::Report,
    server::{self, Keywright, Neighbours},
};

/// Receivers that take what they get.
const GOOD: usize = 10;
/// Receivers that take nothing.
const BAD: usize = 100;
/// Tenants among which they are spread: one may have fifty endpoints.
const TENANTS: usize = 3;
/// How often it is looked whether all has arrived.
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// Starts a server that tells these receivers of every license, spread among its tenants.
async fn telling(binary: &Path, report: &Report, tenants: usize, bad: usize) -> anyhow::Result<(Keywright, Vec<Good>)> {
    let mut good = Vec::with_capacity(GOOD);
    for _ in 0..GOOD {
        good.push(Good::serve().await?);
    }
    let mut receivers = vec![Vec::new(); tenants];
    let addresses = good.iter().map(|good| good.address).chain(receivers::bad(bad).await?);
    addresses.enumerate().for_each(|(number, address)| receivers[number % tenants].push(address));
    let keywright = server::keywright(binary, report.database, &Neighbours { receivers, ..Neighbours::default() })?;
    Ok((keywright, good))
}

/// As many deliveries as go, each license to each of ten receivers.
pub(super) async fn throughput(options: &Run, report: &mut Report, echo: f64) -> anyhow::Result<()> {
    let (keywright, good) = telling(&options.binary, report, 1, 0).await?;
    let (orders, now) = (options.orders / 4, seconds_since_1970()?);
    let made: Arc<Vec<_>> = Arc::new(
        (0..orders)
            .map(|number| Arc::new(events::delivery(&events::checkout("w", number, Some("pro")), now)))
            .collect(),
    );
    let most = Pressure { connections: CONNECTIONS, seconds: 600, calls_max: orders, rate: None };
    let begun = Instant::now();
    press(keywright.process.address, most, move |number| Arc::clone(&made[number])).await?;
    wait_for(&keywright, orders).await?;
    all_arrived(&good, orders).await?;
    let rate = (orders * GOOD) as f64 / begun.elapsed().as_secs_f64();
    let figure = format!("{rate:.0}/s, {:.2} of {echo:.0}/s", rate / echo);
    report.add(format!("deliveries to {GOOD} receivers, orders included, of echo"), figure, "2,000/s");
    Ok(())
}

/// Twenty events a second, each told to ten receivers that take them and a hundred that do not: every tenant sells
/// twenty licenses a second and tells its own receivers of them.
pub(super) async fn crowd(options: &Run, report: &mut Report) -> anyhow::Result<()> {
    const PER_SECOND: usize = 20;
    const WARM_UP: usize = 200;
    let (keywright, good) = telling(&options.binary, report, TENANTS, BAD).await?;
    let (address, opened, opened_at) = (keywright.process.address, Instant::now(), seconds_since_1970()?);
    // Signed when it is sent: a signature is good for five minutes.
    let call = move |number: usize| {
        let checkout = events::checkout("w", number / TENANTS, Some("pro"));
        let now = opened_at + opened.elapsed().as_secs();
        Arc::new(events::delivery_to(&server::tenant(number % TENANTS), &checkout, now))
    };
    let count = WARM_UP + PER_SECOND * options.crowd_seconds as usize;
    let steadily = |events: usize| steady(PER_SECOND * TENANTS, events * TENANTS);
    press(address, steadily(WARM_UP), call).await?;
    all_arrived(&good, WARM_UP).await?;
    let before = keywright.process.resident_mebibytes()?;
    let begun = Instant::now();
    let posted = press(address, steadily(count - WARM_UP), move |number| call(WARM_UP * TENANTS + number)).await?;
    all_arrived(&good, count).await?;
    let after = keywright.process.resident_mebibytes()?;
    let load = Load { latencies: latencies_since(begun, WARM_UP, PER_SECOND, &good), ..posted };
    let what = format!("event to {GOOD} receivers, beside {BAD} that take nothing, at {PER_SECOND}/s");
    report.add(what, latencies(&load), "p99 under 2 s");
    let grown = format!("{before} MiB, {after} MiB after {} s", options.crowd_seconds);
    report.add("memory meanwhile", grown, "32 MiB more");
    Ok(())
}

/// How long after it was due each event arrived, from number `first` on, which was due when it `begun`.
fn latencies_since(begun: Instant, first: usize, per_second: usize, good: &[Good]) -> Vec<Duration> {
    let arrived = good.iter().flat_map(Good::arrived).filter(|(number, _)| *number >= first);
    let latency = |(number, at): (usize, Instant)| {
        let due = begun + Duration::from_secs_f64((number - first) as f64 / per_second as f64);
        at.saturating_duration_since(due)
    };
    arrived.map(latency).collect()
}

async fn all_arrived(good: &[Good], count: usize) -> anyhow::Result<()> {
    let begun = Instant::now();
    while let Some(lacking) = good.iter().map(Good::count).find(|arrived| *arrived < count) {
        anyhow::ensure!(begun.elapsed() < PATIENCE, "only {lacking} of {count} arrived");
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    Ok(())
}
