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
/// How often it is looked whether all has arrived.
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// Starts a server that tells these receivers of every license.
async fn telling(binary: &Path, report: &Report, bad: usize) -> anyhow::Result<(Keywright, Vec<Good>)> {
    let mut good = Vec::with_capacity(GOOD);
    for _ in 0..GOOD {
        good.push(Good::serve().await?);
    }
    let receivers = good.iter().map(|good| good.address).chain(receivers::bad(bad).await?).collect();
    let keywright = server::keywright(binary, report.database, &Neighbours { receivers, ..Neighbours::default() })?;
    Ok((keywright, good))
}

/// As many deliveries as go, each license to each of ten receivers.
pub(super) async fn throughput(options: &Run, report: &mut Report, echo: f64) -> anyhow::Result<()> {
    let (keywright, good) = telling(&options.binary, report, 0).await?;
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

/// Twenty licenses a second, told to ten receivers that take them and a hundred that do not.
pub(super) async fn crowd(options: &Run, report: &mut Report) -> anyhow::Result<()> {
    const PER_SECOND: usize = 20;
    const WARM_UP: usize = 200;
    let (keywright, good) = telling(&options.binary, report, BAD).await?;
    let now = seconds_since_1970()?;
    let call = |number| Arc::new(events::delivery(&events::checkout("w", number, Some("pro")), now));
    let count = WARM_UP + PER_SECOND * options.crowd_seconds as usize;
    let made: Arc<Vec<_>> = Arc::new((0..count).map(call).collect());
    let warm = Arc::clone(&made);
    press(keywright.process.address, steady(PER_SECOND, WARM_UP), move |number| Arc::clone(&warm[number])).await?;
    all_arrived(&good, WARM_UP).await?;
    let before = keywright.process.resident_mebibytes()?;
    let begun = Instant::now();
    let posted = press(keywright.process.address, steady(PER_SECOND, count - WARM_UP), move |number| {
        Arc::clone(&made[WARM_UP + number])
    });
    let posted = posted.await?;
    all_arrived(&good, count).await?;
    let after = keywright.process.resident_mebibytes()?;
    let mut latencies_of_all = Vec::with_capacity(GOOD * count);
    for receiver in &good {
        let measured = receiver.arrived().into_iter().filter(|(number, _)| *number >= WARM_UP);
        latencies_of_all.extend(measured.map(|(number, at)| {
            let due = begun + Duration::from_secs_f64((number - WARM_UP) as f64 / PER_SECOND as f64);
            at.saturating_duration_since(due)
        }));
    }
    let load = Load { latencies: latencies_of_all, ..posted };
    let what = format!("event to {GOOD} receivers, beside {BAD} that take nothing, at {PER_SECOND}/s");
    report.add(what, latencies(&load), "p99 under 2 s");
    let grown = format!("{before} MiB, {after} MiB after {} s", options.crowd_seconds);
    report.add("memory meanwhile", grown, "32 MiB more");
    Ok(())
}

async fn all_arrived(good: &[Good], count: usize) -> anyhow::Result<()> {
    let begun = Instant::now();
    while let Some(lacking) = good.iter().map(Good::count).find(|arrived| *arrived < count) {
        anyhow::ensure!(begun.elapsed() < PATIENCE, "only {lacking} of {count} arrived");
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    Ok(())
}
