//! Networks in CIDR notation (RFC 4632, RFC 4291 section 2.3).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A network such as `10.20.0.0/16` or `fd12:3456::/32`; a bare address is a network of one.
///
/// The two families never mix: `0.0.0.0/0` does not contain `::ffff:1.2.3.4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    base: IpAddr,
    prefix: u8,
}

/// Why a text is not a [`Network`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// The part before the slash is not an address.
    #[error("{text:?} is not a network: write an address and a prefix length, such as 10.20.0.0/16")]
    Address {
        /// What was given.
        text: String,
    },
    /// The part after the slash is not a number, or too large for the family.
    #[error("{text:?} is not a network: the prefix length must be a number from 0 to {max}")]
    Prefix {
        /// What was given.
        text: String,
        /// 32 for IPv4, 128 for IPv6.
        max: u8,
    },
    /// The address has bits set behind the prefix, which is more often a slip than intended.
    #[error("{text:?} is an address inside a network: write {network} for the network, or leave out the length")]
    HostBits {
        /// What was given.
        text: String,
        /// The network that the address lies in.
        network: Network,
    },
}

impl Network {
    /// An IPv4 network known when the program is compiled. `prefix` is at most 32.
    pub(crate) const fn v4(base: [u8; 4], prefix: u8) -> Network {
        let [a, b, c, d] = base;
        Network { base: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix }
    }

    /// An IPv6 network known when the program is compiled. `prefix` is at most 128.
    pub(crate) const fn v6(base: [u16; 8], prefix: u8) -> Network {
        let [a, b, c, d, e, f, g, h] = base;
        Network { base: IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h)), prefix }
    }

    /// Whether `address` lies in this network. An address of the other family never does.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let different = base.to_bits() ^ address.to_bits();
                different.checked_shr(32 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let different = base.to_bits() ^ address.to_bits();
                different.checked_shr(128 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }

    /// The same address with every bit behind the prefix cleared.
    fn masked(self) -> Network {
        let prefix = u32::from(self.prefix);
        let base = match self.base {
            IpAddr::V4(base) => {
                let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(base.to_bits() & mask))
            }
            IpAddr::V6(base) => {
                let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(base.to_bits() & mask))
            }
        };
        Network { base, prefix: self.prefix }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Network, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let base: IpAddr = address.parse().map_err(|_| NetworkError::Address { text: text.to_owned() })?;
        let max = if base.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => max,
            // Digits only: `u8` would also read "+8".
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits
                .parse()
                .ok()
                .filter(|prefix| *prefix <= max)
                .ok_or_else(|| NetworkError::Prefix { text: text.to_owned(), max })?,
            Some(_) => {
                return Err(NetworkError::Prefix { text: text.to_owned(), max });
            }
        };
        let network = Network { base, prefix };
        if network.masked() != network {
            return Err(NetworkError::HostBits { text: text.to_owned(), network: network.masked() });
        }
        Ok(network)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}
