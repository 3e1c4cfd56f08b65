//! Playing: events are sent, and what the server makes of them is told at the same time.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use domain::id::OrderId;
use engine::rulings::By;
use jiff::Timestamp;

use super::{
    account::Event,
    send::Manner,
    stage::Stage,
    watch::{Progress, Watcher},
};

/// What a play came to.
pub(crate) struct Played {
    /// What changed, in lines.
    pub(crate) told: usize,
    /// Licenses and mails of the sale.
    pub(crate) licenses: usize,
    pub(crate) mails: usize,
    /// The keys that were issued.
    pub(crate) keys: Vec<String>,
    /// The order, if a person has to approve it before it has licenses.
    pub(crate) to_approve: Option<OrderId>,
    /// The price that waits to be mapped.
    pub(crate) unmapped: Option<String>,
    /// When the first event was posted.
    pub(crate) since: Instant,
}

impl Played {
    /// Nothing was sent.
    pub(crate) fn nothing() -> Self {
        Self {
            told: 0,
            licenses: 0,
            mails: 0,
            keys: Vec::new(),
            to_approve: None,
            unmapped: None,
            since: Instant::now(),
        }
    }
}

/// How often it is looked whether the server has read the list of events.
const LOOK: Duration = Duration::from_millis(20);
/// How long a server may take for it.
const CAUGHT_UP_MAX: Duration = Duration::from_secs(15);

/// None of the events of the sale is sent. The server is to find them in the provider's list, and what follows is told.
pub(crate) async fn play_lost(
    stage: &Stage,
    session: &str,
    events: &[Event],
    since: Timestamp,
) -> anyhow::Result<Played> {
    let (engine, connection) = (&stage.engine, &stage.connection);
    let mut watcher = watcher(stage, session).await?;
    stage.audience.remark(&format!(
        "→ {} events happen at the provider, and no webhook arrives; the server reads the list of events",
        events.len()
    ));
    let by = By { actor: stage.actor.clone(), note: None };
    let progress = Progress::new(Instant::now());
    engine.start_catching_up(stage.tenant, connection.id, Some(since), &by).await?;
    let finding = async {
        let found = find_lost(stage, events, &progress).await;
        progress.over();
        found
    };
    let (found, told) = tokio::join!(finding, watcher.follow(&progress));
    found?;
    Ok(played(watcher, told?, &progress))
}

/// Waits until the server has read the list to its end, and notes which of the events it found there.
async fn find_lost(stage: &Stage, events: &[Event], progress: &Progress) -> anyhow::Result<()> {
    let (store, connection) = (&stage.engine.store, stage.connection.id);
    let mut untold: Vec<&Event> = events.iter().collect();
    loop {
        let rows = store.backfills().await?;
        let row = rows.into_iter().find(|row| row.connection_id == connection.0).context("the reading has begun")?;
        let keys = untold.iter().map(|event| event.id.clone()).collect();
        let known = store.known_events(connection, keys).await?;
        untold.retain(|event| {
            let is_known = known.contains(&event.id);
            if is_known {
                progress.found(&event.id, &event.kind);
            }
            !is_known
        });
        // Without a next time the reading is over: a simulated list is read only when somebody asks for it.
        match &row.error {
            None if row.next_at.is_none() => return Ok(()),
            Some(problem) if row.next_at.is_none() => bail!("the server could not read the list of events: {problem}"),
            _ if progress.since.elapsed() > CAUGHT_UP_MAX => {
                let problem = row.error.as_deref().unwrap_or("it has not begun; is it an older release?");
                bail!("the server did not read the list of events: {problem}")
            }
            _ => tokio::time::sleep(LOOK).await,
        }
    }
}

/// Sends the events of the sale that began with this checkout, and tells what follows.
pub(crate) async fn play(stage: &Stage, session: &str, events: &[Event], manner: Manner) -> anyhow::Result<Played> {
    let mut watcher = watcher(stage, session).await?;
    let copies = if manner.copies > 1 { format!(", each {} times", manner.copies) } else { String::new() };
    let order = if manner.shuffled { ", in any order" } else { "" };
    let speed = if manner.at_once > 1 { format!(", {} at once", manner.at_once) } else { String::new() };
    let count = events.len();
    let noun = if count == 1 { "event" } else { "events" };
    let route = stage.sender.route();
    stage.audience.remark(&format!("→ POST {route}  {count} signed {noun}{copies}{order}{speed}"));
    let progress = Progress::new(Instant::now());
    let posting = async {
        stage.sender.send(events, manner, |posted| progress.posted(posted)).await;
        progress.over();
    };
    let ((), told) = tokio::join!(posting, watcher.follow(&progress));
    let told = told?;
    anyhow::ensure!(!progress.is_in_vain(), "the server took none of the events");
    Ok(played(watcher, told, &progress))
}

/// Follows the sale that began with this checkout, and says so to whoever looks on.
async fn watcher<'a>(stage: &'a Stage, session: &str) -> anyhow::Result<Watcher<'a>> {
    let name = stage.name_of(session)?;
    stage.audience.sale(session, &stage.connection, &name);
    Watcher::new(&stage.engine, &stage.connection, &name, &*stage.audience).await
}

fn played(watcher: Watcher<'_>, told: usize, progress: &Progress) -> Played {
    let (licenses, mails) = watcher.totals();
    let (to_approve, unmapped) = (watcher.to_approve(), watcher.unmapped());
    Played { told, licenses, mails, to_approve, unmapped, keys: watcher.keys, since: progress.since }
}
