//! How moments, amounts and states are shown.

use std::{collections::BTreeSet, fmt};

use domain::{
    license::{LicenseState, Standing},
    money::{Currency, Money},
};
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};

/// A moment: as people say it, with the whole of it behind.
pub(crate) struct When {
    at: Timestamp,
    now: Timestamp,
}

impl When {
    pub(crate) const fn new(at: Timestamp, now: Timestamp) -> Self {
        Self { at, now }
    }

    /// A stored moment.
    pub(crate) fn stored(micros: i64, now: Timestamp) -> Self {
        Self { at: Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MIN), now }
    }

    /// For machines.
    pub(crate) fn iso(&self) -> String {
        self.at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// The whole of it.
    pub(crate) fn full(&self) -> String {
        self.at.strftime("%-d %B %Y, %H:%M:%S UTC").to_string()
    }

    /// `12 Mar 14:02`, with its year if that is another one.
    pub(crate) fn short(&self) -> String {
        let year = |at: Timestamp| at.to_zoned(TimeZone::UTC).year();
        let format = if year(self.at) == year(self.now) { "%-d %b %H:%M" } else { "%-d %b %Y" };
        self.at.strftime(format).to_string()
    }
}

/// When a day begins that somebody names, in UTC; none: they name none. Otherwise what a day looks like.
pub(crate) fn day_named(text: &str) -> Result<Option<Timestamp>, String> {
    let begins = |text: &str| {
        let wrong = |_| format!("{text} is not a day; one looks like 2026-12-24.");
        let day: Date = text.parse().map_err(wrong)?;
        Ok(day.to_zoned(TimeZone::UTC).map_err(wrong)?.timestamp())
    };
    Some(text.trim()).filter(|text| !text.is_empty()).map(begins).transpose()
}

/// The same, when that day ends.
pub(crate) fn end_of_day_named(text: &str) -> Result<Option<Timestamp>, String> {
    Ok(day_named(text)?.map(|at| domain::time::after(at, SignedDuration::from_hours(24))))
}

/// A browser as people call it, from what it calls itself. What is not known is shown as it is.
pub(crate) fn browser_name(agent: &str) -> String {
    // Most say that they are several; the more special name stands first here.
    const BROWSERS: [(&str, &str); 8] = [
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser/", "Samsung Internet"),
        ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox"),
        ("CriOS/", "Chrome"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ];
    const SYSTEMS: [(&str, &str); 7] = [
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("CrOS", "ChromeOS"),
        ("Windows", "Windows"),
        ("Macintosh", "macOS"),
        ("Linux", "Linux"),
    ];
    let find =
        |names: &[(&str, &'static str)]| names.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| *name);
    match (find(&BROWSERS), find(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(name), None) | (None, Some(name)) => name.to_owned(),
        (None, None) => agent.to_owned(),
    }
}

impl fmt::Display for When {
    /// How long ago, or in how long.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(i64, &str); 5] =
            [(365 * 86_400, "year"), (30 * 86_400, "month"), (86_400, "day"), (3_600, "hour"), (60, "minute")];
        let seconds = self.at.as_second() - self.now.as_second();
        let Some((count, unit)) =
            UNITS.iter().map(|(length, unit)| (seconds.abs() / length, unit)).find(|(count, _)| *count > 0)
        else {
            return formatter.write_str(if seconds > 0 { "in a moment" } else { "just now" });
        };
        let ending = plural(&count, "", "s");
        match seconds > 0 {
            true => write!(formatter, "in {count} {unit}{ending}"),
            false => write!(formatter, "{count} {unit}{ending} ago"),
        }
    }
}

/// A text that begins a sentence.
pub(crate) fn capitalised(text: &str) -> String {
    let mut text = text.to_owned();
    text.get_mut(..1).into_iter().for_each(str::make_ascii_uppercase);
    text
}

/// A word for one, or for several.
pub(crate) fn plural<'w, N: PartialEq + From<u8>>(count: &N, one: &'w str, several: &'w str) -> &'w str {
    if *count == N::from(1) { one } else { several }
}

/// How many, with the word for them.
pub(crate) fn counted<N: fmt::Display + PartialEq + From<u8>>(count: N, one: &str, several: &str) -> String {
    format!("{count} {}", plural(&count, one, several))
}

/// An amount as people write it.
pub(crate) fn money(money: Money) -> String {
    if money.currency == Currency::NONE { String::new() } else { money.to_string() }
}

/// How many there may be.
pub(crate) fn any_number(limit: Option<u32>) -> String {
    limit.map_or_else(|| "any number".to_owned(), |limit| limit.to_string())
}

/// Words with commas between them.
pub(crate) fn words_or_none(words: &BTreeSet<String>) -> String {
    let listed = words.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    if listed.is_empty() { "none".to_owned() } else { listed }
}

/// What went wrong, as a sentence.
pub(crate) fn sentence(problem: &impl fmt::Display) -> String {
    let mut text = capitalised(&problem.to_string());
    if !text.ends_with('.') {
        text.push('.');
    }
    text
}

/// A state as a coloured word: what it is called, its kind of colour, and its icon.
pub(crate) struct Pill {
    pub(crate) word: &'static str,
    pub(crate) tone: &'static str,
    pub(crate) icon: &'static str,
}

/// The state of a license.
pub(crate) fn pill(standing: &Standing) -> Pill {
    state_pill(standing.state, standing.at_risk)
}

/// A state, and whether it is about to end for want of a payment.
pub(crate) const fn state_pill(state: LicenseState, at_risk: bool) -> Pill {
    match state {
        LicenseState::Active if at_risk => Pill { word: "at risk", tone: "warn", icon: "clock" },
        LicenseState::Active => Pill { word: "active", tone: "good", icon: "check" },
        LicenseState::Frozen => Pill { word: "frozen", tone: "cold", icon: "pause" },
        LicenseState::Expired => Pill { word: "expired", tone: "quiet", icon: "clock" },
        LicenseState::Revoked => Pill { word: "revoked", tone: "bad", icon: "stop" },
    }
}

/// The outcome of something that is on its way: an event, a mail, a delivery.
pub(crate) fn progress(status: &str) -> Pill {
    let (word, tone, icon) = match status {
        "done" => ("done", "good", "check"),
        "received" => ("received", "quiet", "clock"),
        "waiting" => ("waiting", "warn", "clock"),
        "ready" => ("ready", "quiet", "clock"),
        "held" => ("held", "warn", "pause"),
        "ignored" => ("set aside", "quiet", "stop"),
        "pending" => ("pending", "quiet", "clock"),
        "sent" => ("sent", "good", "check"),
        "delivered" => ("delivered", "good", "check"),
        "failed" => ("failed", "bad", "stop"),
        "dead" => ("given up", "bad", "stop"),
        "cancelled" => ("cancelled", "quiet", "stop"),
        "caught" => ("caught", "quiet", "mail"),
        "superseded" => ("not so any more", "quiet", "stop"),
        "withdrawn" => ("withdrawn", "quiet", "stop"),
        _ => ("other", "quiet", "clock"),
    };
    Pill { word, tone, icon }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_told_as_people_do() {
        let now: Timestamp = "2026-11-26T12:00:00Z".parse().unwrap();
        for (at, told, short) in [
            ("2026-11-26T11:59:30Z", "just now", "26 Nov 11:59"),
            ("2026-11-26T12:00:30Z", "in a moment", "26 Nov 12:00"),
            ("2026-11-26T11:59:00Z", "1 minute ago", "26 Nov 11:59"),
            ("2026-11-26T09:00:00Z", "3 hours ago", "26 Nov 09:00"),
            ("2026-11-28T12:00:00Z", "in 2 days", "28 Nov 12:00"),
            ("2025-03-12T14:02:00Z", "1 year ago", "12 Mar 2025"),
        ] {
            let when = When::new(at.parse().unwrap(), now);
            assert_eq!((when.to_string().as_str(), when.short().as_str()), (told, short), "{at}");
        }
    }
}
