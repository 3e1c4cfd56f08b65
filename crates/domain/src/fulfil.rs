//! From an order to its licenses.
//!
//! [`resolve`] decides what each price gives and keeps it decided, [`want`] lists what ought to exist, [`fill`] says
//! which license holds which unit, [`judge`] says in which state it is, and [`reconcile`] makes it so.
//! Where a refund becomes a revoked license: `judge::payment_loss`.

mod fill;
mod judge;
mod reconcile;
mod resolve;
mod ruled;
mod want;

pub use fill::{Filling, fill};
pub use judge::{Judged, judge};
pub use reconcile::{Admission, Change, KeyTrouble, Offered, Settled, Settling, reconcile};
pub use resolve::{Concern, resolve, resolve_again};
pub use ruled::decided_by_rules;
pub use want::{UNITS_MAX, Waiting, Wanted, want};
