//! `keywright reconcile`.

use std::{sync::Arc, time::Duration};

use clap::Args;
use engine::{
    Engine,
    doctor::discrepancies::{Discrepancy, Window},
    reconcile::{Reading, WINDOW},
    rulings::By,
    tenants::DEFAULT_TENANT,
};
use jiff::{Timestamp, civil, tz::TimeZone};
use store::lists::Whose;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    options::DataOptions,
    output::{counted, say},
    server,
};

/// Rows that are read at once.
const PAGE: usize = 100;
/// How often it is looked whether everything is caught up.
const LOOK: Duration = Duration::from_millis(250);
/// How often while nothing goes on. A look-up that fails is tried again by the server.
const LOOKS_MAX: u32 = 120;

/// Tells what is paid without a license, and what is active although its payment went back. Fails if anything is found.
#[derive(Debug, Args)]
pub(crate) struct Reconcile {
    /// Orders about which something was told then or later: 2026-11-01, or 2026-11-01T12:00:00Z. [default: 30 days ago]
    #[arg(long, value_parser = moment)]
    since: Option<Timestamp>,

    /// Orders that came in before that.
    #[arg(long, value_parser = moment)]
    until: Option<Timestamp>,

    /// Reads the providers' own lists of events first, at least since then, so that what no webhook has brought is known.
    #[arg(long)]
    catch_up: bool,

    /// Orders of the test mode.
    #[arg(long)]
    test: bool,

    /// The tenant's slug.
    #[arg(long, default_value = DEFAULT_TENANT)]
    tenant: String,

    #[command(flatten)]
    data: DataOptions,
}

impl Reconcile {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let engine = server::open(&self.data).await?.engine;
        let tenant = engine.tenant(&self.tenant).await?;
        let tenant = tenant.ok_or_else(|| anyhow::anyhow!("there is no tenant `{}`", self.tenant))?;
        let whose = Whose { tenant, livemode: !self.test };
        let behind = if self.catch_up { self.catch_up(&engine, whose).await? } else { 0 };
        let found = self.report(&engine, whose).await?;
        anyhow::ensure!(found + behind == 0, "discrepancies: {found}; connections that are not caught up: {behind}");
        match self.test {
            true => say!("test money and licenses agree"),
            false => say!("live money and licenses agree; --test looks at test mode"),
        }
        Ok(())
    }

    /// Prints what was found, and returns how much.
    async fn report(&self, engine: &Engine, whose: Whose) -> anyhow::Result<usize> {
        let since = self.since.unwrap_or_else(|| domain::time::after(engine.now(), -WINDOW));
        let window = Window { since, until: self.until.unwrap_or(Timestamp::MAX), connection: None };
        let (mut after, mut count) = (None, 0);
        loop {
            let page = engine.discrepancies(whose, &window, after, PAGE).await?;
            count += page.rows.len();
            page.rows.iter().for_each(print);
            after = page.next;
            if after.is_none() {
                return Ok(count);
            }
        }
    }

    /// Reads the lists of all connections to their end, and works on what they bring. Returns how many were not read.
    async fn catch_up(&self, engine: &Arc<Engine>, whose: Whose) -> anyhow::Result<usize> {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        engine.start(&tasks, &stop);
        let ended = self.read_lists(engine, whose).await;
        stop.cancel();
        tasks.close();
        tasks.wait().await;
        ended
    }

    async fn read_lists(&self, engine: &Engine, whose: Whose) -> anyhow::Result<usize> {
        let by = By { actor: "cli".to_owned(), note: None };
        for (connection, reading) in engine.readings(whose).await? {
            if let Reading::NotAllowed(permission) = reading {
                let code = &connection.code;
                say!("{code}: not asked, since it has no API key or the level `none`; the key needs `{permission}`");
            }
        }
        let mut reading = engine.read_lists(whose, None, self.since, &by).await?;
        let (mut behind, mut pending, mut idle) = (0, 0, 0);
        while idle < LOOKS_MAX {
            let mut has_read = false;
            while engine.catch_up().await? {
                has_read = true;
            }
            for (connection, state) in engine.readings(whose).await? {
                if !reading.contains(&connection.id) {
                    continue;
                }
                let code = &connection.code;
                match state {
                    Reading::Failed { problem, .. } => {
                        say!("{code}: not caught up: {problem}");
                        behind += 1;
                    }
                    Reading::Read { found, .. } => {
                        say!("{code}: caught up; {} had come by no webhook", counted(found, "event"));
                    }
                    _ => continue,
                }
                reading.retain(|id| *id != connection.id);
            }
            let before = std::mem::replace(&mut pending, engine.store.status(Some(whose)).await?.inbox_pending);
            if reading.is_empty() && pending == 0 {
                break;
            }
            idle = if has_read || pending != before { 0 } else { idle + 1 };
            tokio::time::sleep(LOOK).await;
        }
        Ok(behind + reading.len())
    }
}

fn print(found: &Discrepancy) {
    let reference = found.references.first().map_or("-", String::as_str);
    let subject = found.license.map_or_else(|| found.order.to_string(), |license| license.to_string());
    let email = found.email.as_deref().unwrap_or("-");
    say!("{:<20}  {subject}  {reference}  {email}", found.kind.as_str());
    say!("  {}", found.problem);
}

/// A day, from its beginning in UTC; or a moment.
fn moment(text: &str) -> Result<Timestamp, String> {
    let day = || text.parse::<civil::Date>().ok()?.to_zoned(TimeZone::UTC).ok().map(|day| day.timestamp());
    let moment = text.parse().ok().or_else(day);
    moment.ok_or_else(|| "it is written as 2026-11-01 or as 2026-11-01T12:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_day_or_a_time() {
        for (text, moment_there) in [
            ("2026-11-01", Some("2026-11-01T00:00:00Z")),
            ("2026-11-01T12:30:00Z", Some("2026-11-01T12:30:00Z")),
            ("2026-11-01T12:30:00+02:00", Some("2026-11-01T10:30:00Z")),
            ("yesterday", None),
            ("2026-13-01", None),
        ] {
            assert_eq!(moment(text).ok().map(|at| at.to_string()).as_deref(), moment_there, "{text}");
        }
    }
}
