//! The commands, one file each.

pub(crate) mod admin;
pub(crate) mod alert;
pub(crate) mod api_key;
pub(crate) mod apply;
pub(crate) mod approve;
pub(crate) mod backup;
pub(crate) mod check;
pub(crate) mod connect;
pub(crate) mod deliveries;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod import;
pub(crate) mod issue;
pub(crate) mod keys;
pub(crate) mod listen;
pub(crate) mod mail;
pub(crate) mod outgoing;
pub(crate) mod reconcile;
pub(crate) mod recover;
pub(crate) mod restore;
pub(crate) mod serve;
pub(crate) mod simulate;
pub(crate) mod tenant;
pub(crate) mod test_clock;
