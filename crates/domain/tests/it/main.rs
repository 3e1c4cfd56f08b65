//! The rules of fulfilment, shown: what comes of an order, whatever order its facts arrive in.

mod decisions;
mod erased;
mod events;
mod expected;
mod facts;
mod failures;
mod happenings;
mod holdings;
mod laws;
mod lives;
mod permutations;
mod policies;
mod price_rules;
mod rules;
mod strangers;
mod telling;
mod terms;
mod verdicts;
mod world;
