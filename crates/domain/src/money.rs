//! Money is compared, summed and shown; no rate or tax is ever computed (E35). Of a sale only the platform's share is.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An ISO 4217 code, three upper-case letters; `XXX` where no currency is involved.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// No currency: a checkout that cost nothing may name none.
    pub const NONE: Self = Self(*b"XXX");

    /// Reads a code in any case; what is not three letters is no currency.
    #[must_use]
    pub fn parse(code: &str) -> Self {
        match code.as_bytes() {
            [a, b, c] if code.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
                Self([a.to_ascii_uppercase(), b.to_ascii_uppercase(), c.to_ascii_uppercase()])
            }
            _ => Self::NONE,
        }
    }

    /// The code in upper case.
    #[must_use]
    pub fn code(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or("XXX")
    }

    /// How many decimal places the smallest unit stands for (ISO 4217, as payment providers charge it).
    #[must_use]
    pub fn decimals(self) -> u32 {
        match &self.0 {
            b"BIF" | b"CLP" | b"DJF" | b"GNF" | b"JPY" | b"KMF" | b"KRW" | b"MGA" | b"PYG" | b"RWF" | b"UGX"
            | b"VND" | b"VUV" | b"XAF" | b"XOF" | b"XPF" => 0,
            b"BHD" | b"IQD" | b"JOD" | b"KWD" | b"LYD" | b"OMR" | b"TND" => 3,
            _ => 2,
        }
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::parse(&std::borrow::Cow::<str>::deserialize(deserializer)?))
    }
}

/// An amount in the smallest unit of its currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Money {
    /// Cents, yen, fils.
    pub minor: i64,
    /// Of which currency.
    pub currency: Currency,
}

impl Money {
    /// Nothing, in no currency.
    pub const ZERO: Self = Self { minor: 0, currency: Currency::NONE };

    /// So many ten-thousandths of it, rounded half up to the smallest unit (D07). Meant for amounts that are not negative.
    #[must_use]
    pub fn share(self, ten_thousandths: u16) -> Self {
        let exact = i128::from(self.minor) * i128::from(ten_thousandths);
        let minor = (exact + 5_000).div_euclid(10_000);
        Self { minor: i64::try_from(minor).unwrap_or(i64::MAX), ..self }
    }

    /// An amount in the smallest unit.
    #[must_use]
    pub const fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = self.currency.decimals() as usize;
        let unit = 10u64.pow(self.currency.decimals());
        let (sign, minor) = (if self.minor < 0 { "-" } else { "" }, self.minor.unsigned_abs());
        write!(f, "{sign}{}", minor / unit)?;
        if decimals > 0 {
            write!(f, ".{:0decimals$}", minor % unit)?;
        }
        if self.currency == Currency::NONE { Ok(()) } else { write!(f, " {}", self.currency.code()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_percent_is_rounded_half_up() {
        for (minor, fee) in
            [(0, 0), (1, 0), (99, 0), (100, 1), (299, 1), (300, 2), (4_900, 25), (4_901, 25), (10_000, 50)]
        {
            assert_eq!(Money::new(minor, Currency::parse("EUR")).share(50).minor, fee, "{minor}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_share_is_never_half_a_unit_away(minor in 0..=i64::MAX, share in 0u16..=10_000) {
            let money = Money::new(minor, Currency::parse("JPY"));
            let twice = 2 * 10_000 * i128::from(money.share(share).minor);
            let exact = 2 * i128::from(minor) * i128::from(share);
            // Half of a unit goes up, and nothing more.
            proptest::prop_assert!(-10_000 < twice - exact && twice - exact <= 10_000);
            proptest::prop_assert!(money.share(share).minor <= minor);
            proptest::prop_assert_eq!(money.share(share).currency, money.currency);
        }
    }

    #[test]
    fn amounts_read_as_people_write_them() {
        for (minor, code, text) in [
            (4900, "eur", "49.00 EUR"),
            (5, "USD", "0.05 USD"),
            (-150, "USD", "-1.50 USD"),
            (1000, "jpy", "1000 JPY"),
            (1234, "KWD", "1.234 KWD"),
            (0, "", "0.00"),
        ] {
            assert_eq!(Money::new(minor, Currency::parse(code)).to_string(), text);
        }
    }
}
