//! Randomness that is the same on every run.

use domain::Entropy;
use sha2::{Digest, Sha256};

/// The blocks SHA-256(name ‖ 0), SHA-256(name ‖ 1), ... with the counter as eight big-endian bytes.
pub(crate) struct Seeded {
    name: &'static str,
    counter: u64,
}

impl Seeded {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, counter: 0 }
    }
}

impl Entropy for Seeded {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let block = Sha256::new().chain_update(self.name).chain_update(self.counter.to_be_bytes()).finalize();
            chunk.copy_from_slice(&block[..chunk.len()]);
            self.counter += 1;
        }
    }
}
