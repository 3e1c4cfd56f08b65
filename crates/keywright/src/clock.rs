//! The one place that reads the clock.

use domain::ambient::Clock;
use jiff::Timestamp;

/// The machine's clock.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the place that owns reading the clock")]
    fn now(&self) -> Timestamp {
        domain::time::stored(Timestamp::now())
    }
}
