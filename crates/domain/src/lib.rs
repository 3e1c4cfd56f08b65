//! The rules of Keywright, pure: no I/O, no clock, no randomness, no SQL, no provider's JSON.
//!
//! A sale is an [`order::Order`]; everything a provider says about it is a small order that joins it.
//! [`fulfil`] turns an order into licenses, [`activation`] decides what an app may do with one.

pub mod activation;
pub mod alert;
pub mod ambient;
pub mod backup;
pub mod counted;
pub mod decision;
pub mod denied;
pub mod event;
pub mod fact;
pub mod fulfil;
pub mod id;
pub mod join;
pub mod license;
pub mod mail;
pub mod member;
pub mod money;
pub mod order;
pub mod plan;
pub mod policy;
pub mod reason;
pub mod retry;
pub mod ruling;
pub mod silence;
pub mod tag;
pub mod text;
pub mod time;

pub use id::Entropy;
