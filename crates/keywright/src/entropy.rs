//! The one place that reads the machine's randomness: it seeds one generator per thread.

use std::{
    cell::RefCell,
    sync::atomic::{AtomicU32, Ordering},
};

use domain::{Entropy, ambient::EntropySource};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

/// Randomness for keys and ids.
pub(crate) struct SystemEntropy;

/// Counts for the whole process: work moves from thread to thread, and what it makes is to sort as it was made.
static SERIAL: AtomicU32 = AtomicU32::new(0);

thread_local! {
    static GENERATOR: RefCell<ChaCha20Rng> = RefCell::new(seeded());
}

#[expect(clippy::disallowed_methods, reason = "this is the place that owns reading the machine's randomness")]
fn seeded() -> ChaCha20Rng {
    let mut seed = [0; 32];
    if let Err(error) = getrandom::fill(&mut seed) {
        // Without randomness every key could be guessed. There is nothing better than not to run.
        panic!("the operating system gives no randomness: {error}");
    }
    ChaCha20Rng::from_seed(seed)
}

impl EntropySource for SystemEntropy {
    fn entropy(&self) -> Box<dyn Entropy> {
        Box::new(ThreadEntropy)
    }
}

/// Draws from the generator of whatever thread it is used on.
pub(crate) struct ThreadEntropy;

impl Entropy for ThreadEntropy {
    fn fill(&mut self, bytes: &mut [u8]) {
        GENERATOR.with_borrow_mut(|generator| generator.fill_bytes(bytes));
    }

    fn serial(&mut self) -> Option<u32> {
        Some(SERIAL.fetch_add(1, Ordering::Relaxed))
    }
}
