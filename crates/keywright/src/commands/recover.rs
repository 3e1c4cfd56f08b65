//! `keywright recover CODE --since …`.

use std::time::Duration;

use clap::Args;
use domain::id::{RecoveryId, WebhookEndpointId};
use engine::{
    rulings::By,
    webhooks::{self, PER_SECOND},
};
use jiff::{SignedDuration, Timestamp};
use store::deliveries::recovery;

use super::deliveries::{Whom, endpoint};
use crate::{
    options::DataOptions,
    output::{counted, say},
    server,
};

/// How often it is looked how far it has come.
const LOOK: Duration = Duration::from_millis(250);

/// Delivers to a webhook endpoint what happened since then and did not arrive: what was given up, held, or never written.
#[derive(Debug, Args)]
pub(crate) struct Recover {
    /// The endpoint's code.
    code: String,

    /// Since when: 2h, 3d, or 2026-11-25T00:00:00Z.
    #[arg(long, value_parser = since)]
    since: Since,

    /// Until when; unless given: until now.
    #[arg(long)]
    until: Option<Timestamp>,

    /// Also delivers what has arrived.
    #[arg(long)]
    everything: bool,

    /// How many events a second.
    #[arg(long, default_value_t = PER_SECOND)]
    per_second: u16,

    #[command(flatten)]
    whom: Whom,

    #[command(flatten)]
    data: DataOptions,
}

/// A moment, or how long ago it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Since {
    Ago(SignedDuration),
    At(Timestamp),
}

impl Recover {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let engine = server::open(&self.data).await?.engine;
        let whose = self.whom.whose(&engine).await?;
        let id = WebhookEndpointId(endpoint(&engine, whose, &self.code).await?.id);
        let since = match self.since {
            Since::At(at) => at,
            Since::Ago(ago) => domain::time::after(engine.now(), -ago),
        };
        let (until, everything, per_second) = (self.until, self.everything, self.per_second);
        let asked = webhooks::Recover { since, until, everything, per_second };
        let by = By { actor: "cli".to_owned(), note: None };
        let begun = engine.recover(whose, id, asked, &by).await?;
        say!("{} since {since}; it goes on if this command is ended", RecoveryId(begun.id));
        let mut shown = None;
        loop {
            engine.recover_turn().await?;
            let rows = engine.store.recoveries(id).await?;
            let Some(row) = rows.into_iter().find(|row| row.id == begun.id) else { break };
            if shown != Some(row.examined) {
                say!("{} of {} looked at, {} queued", row.examined, counted(row.events, "event"), row.queued);
                shown = Some(row.examined);
            }
            if row.status != recovery::RUNNING {
                say!("{}: the running server delivers them", row.status);
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }
}

/// `90m`, `2h` or `3d`; or a moment.
fn since(text: &str) -> Result<Since, String> {
    let ago = || {
        let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let minutes = match unit {
            "m" => 1,
            "h" => 60,
            "d" => 24 * 60,
            _ => return None,
        };
        Some(Since::Ago(SignedDuration::from_mins(number.parse::<u32>().ok()?.checked_mul(minutes)?.into())))
    };
    let at = || text.parse().ok().map(Since::At);
    ago().or_else(at).ok_or_else(|| "it is written as 90m, 2h, 3d or 2026-11-25T00:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_moment_or_how_long_ago_it_was() {
        for (text, minutes) in [("90m", Some(90)), ("2h", Some(120)), ("3d", Some(4_320)), ("2x", None), ("h", None)] {
            let expected = minutes.map(|minutes| Since::Ago(SignedDuration::from_mins(minutes)));
            assert_eq!(since(text).ok(), expected, "{text}");
        }
        assert!(matches!(since("2026-11-25T00:00:00Z"), Ok(Since::At(_))));
        assert!(since("yesterday").is_err() && since("").is_err() && since("ü").is_err());
    }
}
