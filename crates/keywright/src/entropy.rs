//! The one place that reads the machine's randomness: it seeds one generator per thread.

use std::cell::RefCell;

use domain::{Entropy, ambient::EntropySource};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

/// Randomness for keys and ids.
pub(crate) struct SystemEntropy;

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
}
