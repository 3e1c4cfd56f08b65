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
            b"BIF" | b"CLP" | b"DJF" | b"GNF" | b"JPY" | b"KMF" | b"KRW" | b"MGA" | b"PYG" | b"RWF" | b"VND"
            | b"VUV" | b"XAF" | b"XOF" | b"XPF" => 0,
            b"BHD" | b"IQD" | b"JOD" | b"KWD" | b"LYD" | b"OMR" | b"TND" => 3,
            _ => 2,
        }
    }

    /// What amounts that are charged are multiples of, in the smallest unit. The last digit of three decimal places is 0, and
    /// of ISK and UGX only whole units are charged, though amounts have two places (Stripe's rules for currencies).
    #[must_use]
    pub fn step(self) -> i64 {
        match &self.0 {
            b"ISK" | b"UGX" => 100,
            _ if self.decimals() == 3 => 10,
            _ => 1,
        }
    }

    /// Whether buyers can be charged in it at all: a code that nobody knows is a typing error.
    #[must_use]
    pub fn is_charged(self) -> bool {
        CHARGED.split_ascii_whitespace().any(|code| code == self.code())
    }
}

/// The currencies in which Stripe charges buyers.
const CHARGED: &str = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BWP BYN BZD CAD CDF \
    CHF CLP CNY COP CRC CVE CZK DJF DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS \
    INR ISK JMD JOD JPY KES KGS KHR KMF KRW KWD KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MUR MVR MWK MXN \
    MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SEK SGD SHP SLE SOS \
    SRD STD SZL THB TJS TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW";

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

    /// So many ten-thousandths of it, rounded half up to the smallest amount that is charged (D07). Meant for amounts that are
    /// not negative.
    #[must_use]
    pub fn share(self, ten_thousandths: u16) -> Self {
        let exact = i128::from(self.minor) * i128::from(ten_thousandths);
        let step = i128::from(self.currency.step());
        let minor = (exact + 5_000 * step).div_euclid(10_000 * step) * step;
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

    #[test]
    fn a_share_is_an_amount_that_is_charged() {
        for (code, minor, fee) in [
            ("KWD", 9_990, 50),
            ("KWD", 990, 0),
            ("KWD", 1_000, 10),
            ("TND", 123_450, 620),
            ("ISK", 500_000, 2_500),
            ("ISK", 10_000, 100),
            ("ISK", 9_900, 0),
            ("UGX", 3_000_000, 15_000),
            ("JPY", 4_900, 25),
            ("HUF", 4_900, 25),
        ] {
            assert_eq!(Money::new(minor, Currency::parse(code)).share(50).minor, fee, "{minor} {code}");
        }
    }

    #[test]
    fn nobody_is_charged_in_a_currency_that_there_is_not() {
        for (code, expected) in
            [("eur", true), ("USD", true), ("ZMW", true), ("AED", true), ("ERU", false), ("XXX", false), ("", false)]
        {
            assert_eq!(Currency::parse(code).is_charged(), expected, "{code}");
        }
        let codes: Vec<&str> = CHARGED.split_ascii_whitespace().collect();
        assert!(codes.iter().all(|code| Currency::parse(code).code() == *code) && codes.is_sorted());
    }

    proptest::proptest! {
        #[test]
        fn a_share_is_never_half_a_unit_away(
            units in 0..=i64::MAX / 100,
            share in 0u16..=10_000,
            code in proptest::sample::select(vec!["JPY", "EUR", "KWD", "ISK"]),
        ) {
            let currency = Currency::parse(code);
            let money = Money::new(units * currency.step(), currency);
            let twice = 2 * 10_000 * i128::from(money.share(share).minor);
            let exact = 2 * i128::from(money.minor) * i128::from(share);
            // Half of what is charged at least goes up, and nothing more.
            let half = 10_000 * i128::from(currency.step());
            proptest::prop_assert!(-half < twice - exact && twice - exact <= half);
            proptest::prop_assert_eq!(money.share(share).minor % currency.step(), 0);
            proptest::prop_assert!(money.share(share).minor <= money.minor);
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
            (500, "UGX", "5.00 UGX"),
            (0, "", "0.00"),
        ] {
            assert_eq!(Money::new(minor, Currency::parse(code)).to_string(), text);
        }
    }
}
