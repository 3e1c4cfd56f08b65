//! A world for tests: a clock that is set by hand, randomness that repeats itself, and no way out.

mod identity;

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use domain::{
    Entropy,
    ambient::{Clock, EntropySource},
};
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use providers::http::Request;
use sha2::{Digest, Sha256};

use url::Url;

pub use self::identity::{NoProviders, Person, TestProvider};
use crate::{Dial, DialError, Dialled, connections::Connection, webhooks::CheckAddress};

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock(Mutex<Timestamp>);

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub const fn at(now: Timestamp) -> Self {
        Self(Mutex::new(now))
    }

    /// Moves on.
    pub fn advance(&self, by: SignedDuration) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = domain::time::after(*now, by);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Randomness that follows from a seed: every source it makes gives other bytes, the same in every run.
#[derive(Debug)]
pub struct SeededEntropy {
    seed: u64,
    sources: AtomicU64,
}

impl SeededEntropy {
    /// Everything follows from `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, sources: AtomicU64::new(0) }
    }
}

impl EntropySource for SeededEntropy {
    fn entropy(&self) -> Box<dyn Entropy> {
        Box::new(Blocks { seed: self.seed, source: self.sources.fetch_add(1, Ordering::Relaxed), count: 0 })
    }
}

/// SHA-256 over seed, source and a counter, block after block.
struct Blocks {
    seed: u64,
    source: u64,
    count: u64,
}

impl Entropy for Blocks {
    fn fill(&mut self, bytes: &mut [u8]) {
        for piece in bytes.chunks_mut(32) {
            let block = Sha256::digest([self.seed, self.source, self.count].map(u64::to_be_bytes).concat());
            piece.copy_from_slice(&block[..piece.len()]);
            self.count += 1;
        }
    }
}

/// Nothing goes out: every look-up fails as if there were no network.
#[derive(Debug)]
pub struct RefusingDialler;

impl Dial for RefusingDialler {
    fn dial<'a>(&'a self, _: &'a Connection, request: &'a Request) -> BoxFuture<'a, Result<Dialled, DialError>> {
        let problem = format!("the test has no network for {}", request.path);
        Box::pin(std::future::ready(Err(DialError(problem))))
    }
}

/// Webhooks may go to this machine and to names under `example`; every other address is refused.
#[derive(Debug)]
pub struct TestAddresses;

impl CheckAddress for TestAddresses {
    fn check<'a>(&'a self, url: &'a Url) -> BoxFuture<'a, Result<(), String>> {
        let host = url.host_str().unwrap_or_default();
        let is_allowed = host == "127.0.0.1" || host.ends_with(".example");
        let answer = if is_allowed { Ok(()) } else { Err(format!("the test may not call {host}")) };
        Box::pin(std::future::ready(answer))
    }

    fn check_header(&self, name: &str, _: &str) -> Result<(), String> {
        if name.eq_ignore_ascii_case("host") { Err(format!("the header `{name}` is reserved")) } else { Ok(()) }
    }
}
