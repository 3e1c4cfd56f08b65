//! Which addresses are not ordinary places on the public internet, and why.
//!
//! The tables follow the IANA special-purpose address registries (RFC 6890 and the RFCs named beside the rows)
//! with three differences. Of IPv6 only `2000::/3` is allocated to the public (RFC 4291, IANA), so whatever lies
//! outside is special without being listed. Addresses that *carry* an IPv4 address are refused whole, whatever
//! they carry: where such a packet ends up is decided by a translator that nobody here knows. And the addresses
//! under which clouds offer metadata and credentials are named, because no list of allowed networks may open them.

use std::net::{IpAddr, Ipv6Addr};

use crate::network::Network;

/// What makes an address special.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Special {
    /// "This host", `0.0.0.0/8` and `::`; many systems connect it to themselves (RFC 1122).
    Unspecified,
    /// The machine itself.
    Loopback,
    /// Private use (RFC 1918).
    Private,
    /// One link only (RFC 3927, RFC 4291).
    LinkLocal,
    /// Shared between a carrier and its customers, `100.64.0.0/10` (RFC 6598).
    Shared,
    /// Set aside for protocols, `192.0.0.0/24` and `2001::/23` (RFC 6890, RFC 2928).
    Protocol,
    /// For examples in texts (RFC 5737, RFC 3849, RFC 9637).
    Documentation,
    /// For benchmarks of network devices (RFC 2544, RFC 5180).
    Benchmarking,
    /// Groups of machines (RFC 5771, RFC 4291).
    Multicast,
    /// All machines of a link (RFC 919).
    Broadcast,
    /// Never given out: `240.0.0.0/4` (RFC 1112), IPv6 outside `2000::/3`.
    Reserved,
    /// Metadata and credentials of a cloud: AWS, Azure, Google, Alibaba, Oracle, Tencent.
    Metadata,
    /// Unique local IPv6 (RFC 4193).
    UniqueLocal,
    /// Site-local IPv6, deprecated (RFC 3879).
    SiteLocal,
    /// IPv6 that goes nowhere, `100::/64` (RFC 6666).
    Discard,
    /// Segment routing identifiers, `5f00::/16` (RFC 9602).
    SegmentRouting,
    /// Cryptographic identifiers that are not locations (RFC 4843, RFC 7343).
    Orchid,
    /// An IPv4 address written as IPv6: mapped or translated (RFC 4291, RFC 2765).
    Mapped,
    /// An IPv4-compatible IPv6 address, deprecated (RFC 4291).
    Compatible,
    /// An IPv4 address behind a translator (RFC 6052, RFC 8215).
    Nat64,
    /// An IPv4 address behind a 6to4 tunnel, or the way into it (RFC 3056, RFC 7526).
    SixToFour,
    /// An IPv4 address behind a Teredo tunnel (RFC 4380).
    Teredo,
    /// An IPv4 address behind an ISATAP interface (RFC 5214).
    Isatap,
}

impl Special {
    /// Whether the address stays refused even if the operator lists its network as allowed.
    ///
    /// True for what nobody can mean as the receiver of a request: groups, "this host", carriers of IPv4
    /// addresses (they would open every network behind them) and the credentials of the machine.
    pub fn is_never_allowed(self) -> bool {
        use Special::{
            Broadcast, Compatible, Isatap, Mapped, Metadata, Multicast, Nat64, SixToFour, Teredo, Unspecified,
        };
        matches!(
            self,
            Unspecified | Multicast | Broadcast | Metadata | Mapped | Compatible | Nat64 | SixToFour | Teredo | Isatap
        )
    }

    /// What kind of address it is, as the end of the sentence "10.0.0.5 is ...".
    pub fn description(self) -> &'static str {
        match self {
            Special::Unspecified => "the unspecified address, which means this machine",
            Special::Loopback => "a loopback address (this machine)",
            Special::Private => "a private address",
            Special::LinkLocal => "a link-local address",
            Special::Shared => "an address shared behind a carrier's NAT",
            Special::Protocol => "an address set aside for protocols",
            Special::Documentation => "an address for documentation",
            Special::Benchmarking => "an address for benchmarks",
            Special::Multicast => "a multicast address",
            Special::Broadcast => "the broadcast address",
            Special::Reserved => "a reserved address",
            Special::Metadata => "the address of a cloud's metadata service",
            Special::UniqueLocal => "a unique local (private) address",
            Special::SiteLocal => "a site-local (private) address",
            Special::Discard => "an address that discards everything",
            Special::SegmentRouting => "a segment routing identifier",
            Special::Orchid => "a cryptographic identifier and not a location",
            Special::Mapped => "an IPv4 address written as IPv6",
            Special::Compatible => "an IPv4-compatible IPv6 address",
            Special::Nat64 => "an IPv4 address behind a NAT64 translator",
            Special::SixToFour => "an IPv4 address behind a 6to4 tunnel",
            Special::Teredo => "an IPv4 address behind a Teredo tunnel",
            Special::Isatap => "an IPv4 address behind an ISATAP interface",
        }
    }
}

/// IPv4 rows; the first that contains an address decides.
const V4: &[(Network, Special)] = &[
    // Metadata: AWS and most others, AWS container credentials, Tencent, Alibaba, Azure (a public address that
    // Azure's hosts answer themselves), Oracle.
    (Network::v4([169, 254, 169, 0], 24), Special::Metadata),
    (Network::v4([169, 254, 170, 0], 24), Special::Metadata),
    (Network::v4([169, 254, 0, 23], 32), Special::Metadata),
    (Network::v4([100, 100, 100, 200], 32), Special::Metadata),
    (Network::v4([168, 63, 129, 16], 32), Special::Metadata),
    (Network::v4([192, 0, 0, 192], 32), Special::Metadata),
    (Network::v4([0, 0, 0, 0], 8), Special::Unspecified),
    (Network::v4([10, 0, 0, 0], 8), Special::Private),
    (Network::v4([100, 64, 0, 0], 10), Special::Shared),
    (Network::v4([127, 0, 0, 0], 8), Special::Loopback),
    (Network::v4([169, 254, 0, 0], 16), Special::LinkLocal),
    (Network::v4([172, 16, 0, 0], 12), Special::Private),
    (Network::v4([192, 0, 0, 0], 24), Special::Protocol),
    (Network::v4([192, 0, 2, 0], 24), Special::Documentation),
    (Network::v4([192, 88, 99, 0], 24), Special::SixToFour),
    (Network::v4([192, 168, 0, 0], 16), Special::Private),
    (Network::v4([198, 18, 0, 0], 15), Special::Benchmarking),
    (Network::v4([198, 51, 100, 0], 24), Special::Documentation),
    (Network::v4([203, 0, 113, 0], 24), Special::Documentation),
    (Network::v4([224, 0, 0, 0], 4), Special::Multicast),
    (Network::v4([255, 255, 255, 255], 32), Special::Broadcast),
    (Network::v4([240, 0, 0, 0], 4), Special::Reserved),
];

/// IPv6 rows; the first that contains an address decides.
const V6: &[(Network, Special)] = &[
    // Metadata: AWS keeps fd00:ec2::/32 for its local services, Google answers under fd20:ce::254.
    (Network::v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0], 32), Special::Metadata),
    (Network::v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128), Special::Metadata),
    (Network::v6([0; 8], 128), Special::Unspecified),
    (Network::v6([0, 0, 0, 0, 0, 0, 0, 1], 128), Special::Loopback),
    (Network::v6([0; 8], 96), Special::Compatible),
    (Network::v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96), Special::Mapped),
    (Network::v6([0, 0, 0, 0, 0xffff, 0, 0, 0], 96), Special::Mapped),
    (Network::v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96), Special::Nat64),
    (Network::v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), Special::Nat64),
    (Network::v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64), Special::Discard),
    (Network::v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32), Special::Teredo),
    (Network::v6([0x2001, 2, 0, 0, 0, 0, 0, 0], 48), Special::Benchmarking),
    (Network::v6([0x2001, 0x10, 0, 0, 0, 0, 0, 0], 28), Special::Orchid),
    (Network::v6([0x2001, 0x20, 0, 0, 0, 0, 0, 0], 28), Special::Orchid),
    (Network::v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), Special::Protocol),
    (Network::v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), Special::Documentation),
    (Network::v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), Special::SixToFour),
    (Network::v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), Special::Documentation),
    (Network::v6([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16), Special::SegmentRouting),
    (Network::v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), Special::UniqueLocal),
    (Network::v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), Special::LinkLocal),
    (Network::v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10), Special::SiteLocal),
    (Network::v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), Special::Multicast),
];

/// The part of IPv6 that registries give out to the public (RFC 4291 section 2.4, IANA).
const V6_PUBLIC: Network = Network::v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// What is special about `address`; `None` for an ordinary public one.
pub fn special(address: IpAddr) -> Option<Special> {
    let rows = if address.is_ipv4() { V4 } else { V6 };
    let listed = rows.iter().find(|(network, _)| network.contains(address)).map(|(_, special)| *special);
    match address {
        IpAddr::V4(_) => listed,
        IpAddr::V6(v6) if is_isatap(v6) => listed.filter(|row| row.is_never_allowed()).or(Some(Special::Isatap)),
        IpAddr::V6(_) if listed.is_none() && !V6_PUBLIC.contains(address) => Some(Special::Reserved),
        IpAddr::V6(_) => listed,
    }
}

/// Whether the interface identifier is `[02]00:5efe:<IPv4>`, under any prefix (RFC 5214 section 6.1).
fn is_isatap(address: Ipv6Addr) -> bool {
    matches!(address.segments(), [_, _, _, _, 0 | 0x200, 0x5efe, _, _])
}
