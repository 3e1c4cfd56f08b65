//! Crockford's base32: digits and letters without I, L, O and U, so that nothing is read two ways.

use domain::Entropy;
use zeroize::Zeroizing;

/// The symbols in the order of their values, upper-case.
pub(crate) const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The value of an upper-case symbol, or nothing if it is not one of the 32.
pub(crate) fn value(symbol: u8) -> Option<u8> {
    let place = ALPHABET.iter().position(|known| *known == symbol)?;
    u8::try_from(place).ok()
}

/// `N` values below 32, each from one random byte: 256 is a multiple of 32, so none is more likely.
pub(crate) fn random<const N: usize>(entropy: &mut dyn Entropy) -> Zeroizing<[u8; N]> {
    let mut values = Zeroizing::new([0; N]);
    entropy.fill(&mut values[..]);
    values.iter_mut().for_each(|byte| *byte &= 31);
    values
}

/// The Luhn sum of values below 32, modulo 32: zero when the last one is the check character of the others.
///
/// From the right, every second value is doubled and its two digits of base 32 are added.
pub(crate) fn luhn_sum(values: &[u8]) -> u8 {
    let others = values.iter().rev().step_by(2).copied();
    let doubled = values.iter().rev().skip(1).step_by(2).map(|value| value * 2 / 32 + value * 2 % 32);
    others.chain(doubled).fold(0, |sum, value| (sum + value) % 32)
}
