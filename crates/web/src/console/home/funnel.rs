//! How events become licenses, and licenses mails.

use domain::counted::Counted;
use engine::figures::{Backlog, Figures};

use crate::console::{
    chart::count,
    place::{Place, to::Look},
};

/// The way of what is sold.
pub(super) struct Funnel {
    pub(super) stages: Vec<Stage>,
    /// How long half of the keys took, and nineteen of twenty.
    pub(super) pace: Option<(String, String)>,
}

/// One stage of it.
pub(super) struct Stage {
    pub(super) path: String,
    pub(super) count: String,
    pub(super) name: &'static str,
    /// What else is to be said, and whether it is bad.
    pub(super) notes: Vec<(String, bool)>,
}

pub(super) fn funnel(place: &Place<Look>, figures: &Figures, backlog: Backlog) -> Funnel {
    let total = |what| figures.total(what);
    let note = |number: i64, words: &str, is_bad| (number > 0).then(|| (format!("{} {words}", count(number)), is_bad));
    let (sent, caught) = (total(Counted::KeySent), total(Counted::KeyCaught));
    let is_caught = sent == 0 && caught > 0;
    let events = Stage {
        path: place.at("inbound"),
        count: count(total(Counted::EventReceived)),
        name: "events received",
        notes: note(backlog.events.cast_signed(), "waiting", false).into_iter().collect(),
    };
    let licenses = Stage {
        path: place.at("licenses"),
        count: count(total(Counted::Issued)),
        name: "licenses issued",
        notes: note(total(Counted::Renewed), "renewed", false).into_iter().collect(),
    };
    let mails = Stage {
        path: place.at(if is_caught { "mails?status=held" } else { "mails?status=sent" }),
        count: count(if is_caught { caught } else { sent }),
        name: if is_caught { "keys caught, not mailed" } else { "keys accepted by the mail relay" },
        notes: [
            is_caught.then(|| ("no sender is set up".to_owned(), false)),
            note(if is_caught { 0 } else { caught }, "caught without a sender", false),
            note(backlog.mails.cast_signed(), "waiting", false),
            note(total(Counted::MailFailed), "failed", true),
        ]
        .into_iter()
        .flatten()
        .collect(),
    };
    Funnel {
        stages: vec![events, licenses, mails],
        pace: figures
            .relayed_within(0.5)
            .zip(figures.relayed_within(0.95))
            .map(|(half, most)| (told(half), told(most))),
    }
}

/// Seconds as people say them, no more exact than they were counted.
fn told(seconds: f64) -> String {
    match seconds {
        _ if seconds < 0.95 => format!("{:.0} ms", (seconds * 100.0).ceil() * 10.0),
        _ if seconds < 9.5 => format!("{seconds:.1} s"),
        _ if seconds < 90.0 => format!("{seconds:.0} s"),
        _ if seconds < 5_400.0 => format!("{:.0} min", seconds / 60.0),
        _ if seconds < 172_800.0 => format!("{:.0} h", seconds / 3_600.0),
        _ => format!("{:.0} days", seconds / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_told_as_people_do() {
        for (seconds, text) in [
            (0.001, "10 ms"),
            (0.034, "40 ms"),
            (0.94, "940 ms"),
            (1.26, "1.3 s"),
            (12.3, "12 s"),
            (100.0, "2 min"),
            (7_000.0, "2 h"),
            (200_000.0, "2 days"),
        ] {
            assert_eq!(told(seconds), text, "{seconds}");
        }
    }
}
