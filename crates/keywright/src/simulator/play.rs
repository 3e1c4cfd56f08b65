//! Playing: events are sent, and what the server makes of them is told at the same time.

use std::time::Instant;

use super::{
    account::Event,
    send::Manner,
    stage::Stage,
    watch::{Progress, Watcher},
};

use crate::output::say;

/// What a play came to.
pub(crate) struct Played {
    /// What changed, in lines.
    pub(crate) told: usize,
    /// Licenses and mails of the sale.
    pub(crate) licenses: usize,
    pub(crate) mails: usize,
    /// The keys that were issued.
    pub(crate) keys: Vec<String>,
    /// When the first event was posted.
    pub(crate) since: Instant,
}

/// Sends the events of the sale that began with this checkout, and tells what follows.
pub(crate) async fn play(stage: &Stage, session: &str, events: &[Event], manner: Manner) -> anyhow::Result<Played> {
    let mut watcher = Watcher::new(&stage.engine, &stage.connection, session, stage.sender.route()).await?;
    let copies = if manner.copies > 1 { format!(", each {} times", manner.copies) } else { String::new() };
    let order = if manner.shuffled { ", in any order" } else { "" };
    let speed = if manner.at_once > 1 { format!(", {} at once", manner.at_once) } else { String::new() };
    let count = events.len();
    let noun = if count == 1 { "event" } else { "events" };
    say!("→ POST {}  {count} signed {noun}{copies}{order}{speed}", stage.sender.route());
    let progress = Progress::new(Instant::now());
    let posting = async {
        stage.sender.send(events, manner, |posted| progress.posted(posted)).await;
        progress.is_over.set(true);
    };
    let ((), told) = tokio::join!(posting, watcher.follow(&progress));
    let told = told?;
    anyhow::ensure!(!progress.is_in_vain(), "the server took none of the events");
    let (licenses, mails) = watcher.totals();
    Ok(Played { told, licenses, mails, keys: watcher.keys, since: progress.since })
}
