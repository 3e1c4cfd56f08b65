//! `keywright simulate clock +400d`: a vendor sees a whole year of test mode before going live.

use clap::Args;
use domain::{ambient::Clock, time::after};
use engine::{rulings::By, tenants::DEFAULT_TENANT};
use jiff::SignedDuration;

use crate::{
    clock::SystemClock,
    options::DataOptions,
    output::{counted, say},
    server,
    simulator::tell::program,
};

/// By how much time passes.
#[derive(Debug, Args)]
pub(crate) struct TestClock {
    /// `+400d`, `+12h`, `+30m`, or `reset`: time is real time again.
    #[arg(value_parser = movement)]
    by: Movement,

    /// Whose clock.
    #[arg(long, default_value = DEFAULT_TENANT)]
    tenant: String,

    #[command(flatten)]
    data: DataOptions,
}

/// How the clock is moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Movement {
    On(SignedDuration),
    Back,
}

impl TestClock {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let engine = server::open(&self.data).await?.engine;
        let tenant = engine.tenant(&self.tenant).await?;
        let tenant = tenant.ok_or_else(|| anyhow::anyhow!("there is no tenant `{}`", self.tenant))?;
        let by = By { actor: "cli".to_owned(), note: None };
        let moment = |ahead| after(SystemClock.now(), ahead).strftime("%Y-%m-%d %H:%M UTC").to_string();
        match self.by {
            Movement::On(span) => {
                let ahead = engine.advance_test_clock(tenant, span, &by).await?;
                say!("In test mode it is {} now, {} ahead.", moment(ahead), told(ahead));
                say!("A running server takes notice within a second.");
                // Scenarios are played for the default tenant.
                let whose = match self.tenant.as_str() {
                    DEFAULT_TENANT => {
                        say!("What `simulate` plays happens then.");
                        String::new()
                    }
                    other => format!(" --tenant {other}"),
                };
                say!("Back to real time:  {} simulate clock reset{whose}{}", program(), self.data.as_option());
            }
            Movement::Back => {
                engine.reset_test_clock(tenant, &by).await?;
                say!("In test mode it is real time again: {}.", moment(SignedDuration::ZERO));
                say!(
                    "What expired by the clock alone works again within a second. What was mailed meanwhile is mailed."
                );
            }
        }
        Ok(())
    }
}

/// Days, hours and minutes, as many as there are.
fn told(ahead: SignedDuration) -> String {
    let minutes = ahead.as_mins();
    let parts = [(minutes / (24 * 60), "day"), (minutes / 60 % 24, "hour"), (minutes % 60, "minute")];
    let some: Vec<String> =
        parts.into_iter().filter(|(count, _)| *count > 0).map(|(count, noun)| counted(count, noun)).collect();
    if some.is_empty() { "no time".to_owned() } else { some.join(" ") }
}

/// A number of days, hours or minutes, or the way back.
fn movement(text: &str) -> Result<Movement, String> {
    let wrong = || format!("`{text}` is no time; write it like +400d, +12h or +30m, or write reset");
    if text == "reset" {
        return Ok(Movement::Back);
    }
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
    minutes.map(SignedDuration::from_mins).map(Movement::On).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_it_is_ahead_is_said_to_the_minute() {
        for (minutes, said) in [
            (400 * 1_440, "400 days"),
            (1_440, "1 day"),
            (365 * 1_440 - 1, "364 days 23 hours 59 minutes"),
            (61, "1 hour 1 minute"),
            (0, "no time"),
        ] {
            assert_eq!(told(SignedDuration::from_mins(minutes)), said);
        }
    }

    #[test]
    fn time_passes_by_days_hours_or_minutes_or_is_real_again() {
        for (text, hours) in [("+400d", 9_600), ("12h", 12), ("+120m", 2), ("+0d", 0)] {
            assert_eq!(movement(text), Ok(Movement::On(SignedDuration::from_hours(hours))), "{text}");
        }
        assert_eq!(movement("reset"), Ok(Movement::Back));
        for text in ["", "+", "d", "+4", "-4d", "+4w", "+99999999999999999999d", "+9999999999999999d", "ä", "+reset"] {
            assert!(movement(text).unwrap_err().contains("write it like +400d"), "{text}");
        }
    }
}
