//! `keywright simulate clock +400d`: a vendor sees a whole year of test mode before going live.

use clap::Args;
use domain::{ambient::Clock, time::after};
use engine::{rulings::By, tenants::DEFAULT_TENANT};
use jiff::SignedDuration;

use crate::{clock::SystemClock, options::DataOptions, output::say, server};

/// By how much time passes.
#[derive(Debug, Args)]
pub(crate) struct TestClock {
    /// `+400d`, `+12h` or `+30m`. The clock of test mode never runs back.
    #[arg(value_parser = span)]
    by: SignedDuration,

    /// Whose clock.
    #[arg(long, default_value = DEFAULT_TENANT)]
    tenant: String,

    #[command(flatten)]
    data: DataOptions,
}

impl TestClock {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let engine = server::open(&self.data).await?.engine;
        let tenant = engine.tenant(&self.tenant).await?;
        let tenant = tenant.ok_or_else(|| anyhow::anyhow!("there is no tenant `{}`", self.tenant))?;
        let by = By { actor: "cli".to_owned(), note: None };
        let ahead = engine.advance_test_clock(tenant, self.by, &by).await?;
        let now = after(SystemClock.now(), ahead);
        say!("In test mode it is {} now, {} days ahead.", now.strftime("%Y-%m-%d %H:%M UTC"), ahead.as_hours() / 24);
        say!("A running server takes notice within a second.");
        Ok(())
    }
}

/// A number of days, hours or minutes.
fn span(text: &str) -> Result<SignedDuration, String> {
    let wrong = || format!("`{text}` is no time; write it like +400d, +12h or +30m");
    let number = text.strip_prefix('+').unwrap_or(text);
    let unit = number.chars().next_back().ok_or_else(wrong)?;
    let count: i64 = number[..number.len() - unit.len_utf8()].parse().map_err(|_| wrong())?;
    let minutes = match unit {
        'd' => 24 * 60,
        'h' => 60,
        'm' => 1,
        _ => return Err(wrong()),
    };
    let minutes = count.checked_mul(minutes).filter(|minutes| *minutes >= 0 && *minutes < i64::MAX / 60);
    minutes.map(SignedDuration::from_mins).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_days_hours_or_minutes() {
        for (text, hours) in [("+400d", 9_600), ("12h", 12), ("+120m", 2), ("+0d", 0)] {
            assert_eq!(span(text), Ok(SignedDuration::from_hours(hours)), "{text}");
        }
        for text in ["", "+", "d", "+4", "-4d", "+4w", "+99999999999999999999d", "+9999999999999999d", "ä"] {
            assert!(span(text).unwrap_err().contains("write it like +400d"), "{text}");
        }
    }
}
