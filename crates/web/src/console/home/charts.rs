//! What is charted on the first page.

use domain::{activation::VerdictCode, counted::Counted, time::after};
use engine::figures::{Ends, Figures, Step, WEEKS_AHEAD, Window};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use crate::console::{
    chart::{About, Axis, Bars, Chart, Column, Series, area, bars, count, heatmap},
    place::{Place, to::Look},
    words::plural,
};

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// Verdicts with the colour of each: those that let an app run first.
const VERDICTS: [(VerdictCode, &str); 12] = [
    (VerdictCode::Valid, "t-good"),
    (VerdictCode::Ending, "t-good pale"),
    (VerdictCode::RenewalAwaited, "t-warn pale"),
    (VerdictCode::PastDue, "t-warn"),
    (VerdictCode::NotActivated, "t-cold pale"),
    (VerdictCode::ActivationLimit, "t-cold"),
    (VerdictCode::ProductMismatch, "t-accent pale"),
    (VerdictCode::ChecksExceeded, "t-accent"),
    (VerdictCode::Expired, "t-quiet"),
    (VerdictCode::Frozen, "t-bad pale"),
    (VerdictCode::Revoked, "t-bad"),
    (VerdictCode::NotFound, "t-quiet"),
];

/// The charts of a window.
pub(super) fn of(figures: &Figures) -> Vec<Chart> {
    vec![checks(figures), licenses(figures), activations(figures), deliveries(figures)]
}

fn series(figures: &Figures, name: &str, tone: &'static str, what: &[Counted]) -> Series {
    let value = |step: &Step| what.iter().map(|what| step.of(*what)).sum();
    Series { name: name.to_owned(), tone, values: figures.steps.iter().map(value).collect() }
}

fn axis(figures: &Figures) -> Axis {
    let (step, label, every, unit) = match figures.window {
        Window::Day => ("%-d %b, %H:00", "%H:00", 6, "Hour (UTC)"),
        Window::Week => ("%a %-d %b, from %H:00", "%a", 4, "6 hours (UTC)"),
        Window::Month => ("%a %-d %b", "%-d %b", 6, "Day (UTC)"),
    };
    let format = |at: Timestamp, format: &str| at.strftime(format).to_string();
    Axis {
        steps: figures.steps.iter().map(|one| format(one.from, step)).collect(),
        labels: figures.steps.iter().step_by(every).map(|one| format(one.from, label)).collect(),
        unit,
    }
}

fn last(window: Window) -> &'static str {
    match window {
        Window::Day => "in the last 24 hours",
        Window::Week => "in the last 7 days",
        Window::Month => "in the last 30 days",
    }
}

/// `12 devices`, `1 device`.
pub(super) fn of_them(number: i64, one: &str) -> String {
    format!("{} {one}{}", count(number), plural(&number, "", "s"))
}

/// A share of a whole, as people say it.
pub(super) fn share(part: i64, whole: i64) -> String {
    let share = if whole > 0 { part as f64 * 100.0 / whole as f64 } else { 0.0 };
    match share {
        _ if part == 0 => "none".to_owned(),
        _ if part == whole => "all".to_owned(),
        // Neither nothing nor all is rounded to be so.
        _ => format!("{:.1} %", share.clamp(0.1, 99.9)),
    }
}

fn checks(figures: &Figures) -> Chart {
    let total = |is_valid: bool| {
        let codes = VerdictCode::ALL.into_iter().filter(|code| code.is_valid() || !is_valid);
        codes.map(|code| figures.total(Counted::Checked(code))).sum::<i64>()
    };
    let all = total(false);
    let elsewhere = match figures.total(Counted::DeniedElsewhere) {
        0 => String::new(),
        denials => format!(" {} came too many at once to be told of their licenses.", of_them(denials, "denial")),
    };
    let may_run = share(total(true), all);
    let about = About {
        id: "checks",
        title: "Checks by answer",
        sentence: format!("{} {}; {may_run} may run.{elsewhere}", of_them(all, "check"), last(figures.window)),
        empty: "No app has asked about a key yet.",
    };
    let of = |&(code, tone): &(VerdictCode, &'static str)| {
        series(figures, &code.as_str().replace('_', " "), tone, &[Counted::Checked(code)])
    };
    bars(about, axis(figures), VERDICTS.iter().map(of).collect(), Bars::Stacked)
}

fn licenses(figures: &Figures) -> Chart {
    let (new, ended) = (figures.total(Counted::Issued), figures.total(Counted::Ended));
    let about = About {
        id: "licenses",
        title: "New and ended licenses",
        sentence: format!("{} new and {} ended {}.", count(new), count(ended), last(figures.window)),
        empty: "No license came or went.",
    };
    let new = series(figures, "new", "t-accent", &[Counted::Issued]);
    let ended = series(figures, "ended", "t-quiet", &[Counted::Ended]);
    bars(about, axis(figures), vec![new, ended], Bars::Beside)
}

fn activations(figures: &Figures) -> Chart {
    let (new, refused) = (figures.total(Counted::Activated), figures.total(Counted::ActivationRefused));
    let refusals = match refused {
        0 => "nobody was refused for want of a slot".to_owned(),
        _ => format!("{} for want of a slot", of_them(refused, "refusal")),
    };
    let about = About {
        id: "activations",
        title: "New devices",
        sentence: format!("{} activated {}; {refusals}.", of_them(new, "device"), last(figures.window)),
        empty: "No new device was activated.",
    };
    area(about, axis(figures), series(figures, "devices", "t-accent", &[Counted::Activated]))
}

fn deliveries(figures: &Figures) -> Chart {
    let (taken, failed) = (figures.total(Counted::Delivered), figures.total(Counted::NotDelivered));
    let all = taken + failed;
    let about = About {
        id: "calls",
        title: "Webhook calls",
        sentence: format!("{} {}; {} failed.", of_them(all, "call"), last(figures.window), share(failed, all)),
        empty: "No webhook address was called.",
    };
    let taken = series(figures, "taken", "t-good", &[Counted::Delivered]);
    let failed = series(figures, "failed", "t-bad", &[Counted::NotDelivered]);
    bars(about, axis(figures), vec![taken, failed], Bars::Stacked)
}

/// When active licenses end, in weeks from Monday to Sunday.
pub(super) fn ends(place: &Place<Look>, ends: &Ends) -> Chart {
    let total: u64 = ends.days.iter().sum();
    let about = About {
        id: "ends",
        title: "Licenses that end",
        sentence: format!(
            "{} in the next {WEEKS_AHEAD} weeks, {} of them within 7 days. A week leads to all that end until then.",
            of_them(total.cast_signed(), "active license"),
            count(ends.days.iter().take(7).sum::<u64>().cast_signed()),
        ),
        empty: "No license ends in the next 12 weeks.",
    };
    let weekday = ends.from.to_zoned(TimeZone::UTC).weekday().to_monday_zero_offset();
    let column = |week: usize| week_of(place, ends, week as i64 * 7 - i64::from(weekday));
    heatmap(about, &DAYS, (0..WEEKS_AHEAD).map(column).collect(), ["Day", "Licenses that end"])
}

/// The week that begins so many days from today.
fn week_of(place: &Place<Look>, ends: &Ends, monday: i64) -> Column {
    let at = |day: i64| after(ends.from, SignedDuration::from_hours(24 * day));
    let cell = |day: i64| {
        let licenses = ends.days.get(usize::try_from(day).ok()?)?;
        Some((at(day).strftime("%a %-d %b %Y").to_string(), *licenses))
    };
    // The list goes by days from now.
    let within = monday + 7;
    Column {
        name: format!("Week of {}", at(monday).strftime("%-d %b")),
        label: at(monday).strftime("%-d %b").to_string(),
        path: place.at(&format!("licenses?state=active&within={within}")),
        cells: (monday..monday + 7).map(cell).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_nothing_or_all_only_where_it_is() {
        for (part, whole, told) in [
            (0, 0, "none"),
            (0, 9, "none"),
            (9, 9, "all"),
            (1, 3, "33.3 %"),
            (1, 100_000, "0.1 %"),
            (99_999, 100_000, "99.9 %"),
        ] {
            assert_eq!(share(part, whole), told, "{part} of {whole}");
        }
    }

    #[test]
    fn every_verdict_has_a_colour() {
        for code in VerdictCode::ALL {
            assert_eq!(VERDICTS.iter().filter(|(known, _)| *known == code).count(), 1, "{code:?}");
        }
    }
}
