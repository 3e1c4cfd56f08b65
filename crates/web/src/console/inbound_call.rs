//! The call that brought an event: its headers, what it was believed by, and how long it was on its way.

use domain::id::ConnectionId;
use engine::{connections::Connection, inbound::Call, webhook_secrets::fingerprint};
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret;
use store::rows::InboundEvent;

/// What is shown of a call.
#[derive(Default)]
pub(crate) struct Shown {
    /// Name and what is shown of it.
    pub(crate) headers: Vec<(String, String)>,
    /// What it was believed by, in words.
    pub(crate) believed_by: Option<String>,
    /// How long it was on its way.
    pub(crate) on_its_way: Option<String>,
}

impl Shown {
    /// That of an event. `keeper` is the connection that keeps the event, if it is there still.
    pub(crate) fn of(event: &InboundEvent, keeper: Option<&Connection>) -> Self {
        let at = |micros: i64| Timestamp::from_microsecond(micros).unwrap_or_default();
        let on_its_way = event.occurred_at.map(|happened| way(at(event.received_at).duration_since(at(happened))));
        let Some(call) = Call::of(event) else { return Self { on_its_way, ..Self::default() } };
        let known: Vec<String> = keeper.into_iter().flat_map(fingerprints).collect();
        Self {
            headers: call.headers.into_iter().collect(),
            believed_by: call.secret.map(|secret| believed_by(&secret, &known)),
            on_its_way,
        }
    }
}

fn fingerprints(connection: &Connection) -> impl Iterator<Item = String> {
    let (id, secrets): (ConnectionId, _) = (connection.id, connection.webhook_secrets.iter());
    secrets.map(move |secret| fingerprint(id, secret.expose_secret()))
}

/// Which of the secrets that are accepted now it was; those that were added later stand behind those before.
fn believed_by(secret: &str, known: &[String]) -> String {
    match (known.iter().position(|one| one == secret), known.len()) {
        (None, _) => format!("the signing secret {secret}, which its connection does not accept any more"),
        (Some(_), 1) => format!("the signing secret {secret}, the only one that is accepted"),
        (Some(0), count) => format!("the signing secret {secret}, the oldest of the {count} that are accepted"),
        (Some(place), count) if place + 1 == count => {
            format!("the signing secret {secret}, the newest of the {count} that are accepted")
        }
        (Some(place), count) => {
            format!("the signing secret {secret}, number {} of the {count} that are accepted", place + 1)
        }
    }
}

/// How long an event was on its way, by two clocks.
fn way(took: SignedDuration) -> String {
    let (seconds, millis) = (took.as_secs(), took.as_millis());
    match seconds {
        ..0 => format!(
            "none: by the provider's clock it happened {} s after it came",
            millis.unsigned_abs().div_ceil(1_000)
        ),
        0..10 => format!("{}.{} s after it happened", seconds, (millis % 1_000) / 100),
        10..120 => format!("{seconds} s after it happened"),
        120..7_200 => format!("{} minutes after it happened", seconds / 60),
        7_200..172_800 => format!("{} hours after it happened", seconds / 3_600),
        _ => format!("{} days after it happened", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_is_told_in_its_own_measure() {
        for (millis, told) in [
            (-1_200, "none: by the provider's clock it happened 2 s after it came"),
            (0, "0.0 s after it happened"),
            (1_250, "1.2 s after it happened"),
            (59_999, "59 s after it happened"),
            (180_000, "3 minutes after it happened"),
            (7_200_000, "2 hours after it happened"),
            (259_200_000, "3 days after it happened"),
        ] {
            assert_eq!(way(SignedDuration::from_millis(millis)), told, "{millis}");
        }
    }

    #[test]
    fn a_secret_is_told_by_its_place() {
        let known = ["a", "b", "c"].map(str::to_owned);
        for (secret, of, words) in [
            ("x", 3, "which its connection does not accept any more"),
            ("a", 1, "the only one that is accepted"),
            ("a", 3, "the oldest of the 3 that are accepted"),
            ("b", 3, "number 2 of the 3 that are accepted"),
            ("c", 3, "the newest of the 3 that are accepted"),
        ] {
            assert_eq!(believed_by(secret, &known[..of]), format!("the signing secret {secret}, {words}"));
        }
    }
}
