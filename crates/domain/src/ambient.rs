//! What a shell may ask of the world, as interfaces: the time and randomness. The rules themselves use neither.

use jiff::Timestamp;

use crate::Entropy;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Now, in whole microseconds.
    fn now(&self) -> Timestamp;
}

/// Makes independent sources of randomness, one for each worker.
pub trait EntropySource: Send + Sync {
    /// A new source.
    fn entropy(&self) -> Box<dyn Entropy>;
}
