//! Which addresses are special, and which of those an allow-list opens.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use net::{Client, Network, NetworkError, Reach, Special, special};
use proptest::prelude::*;
use url::Url;

use crate::support::{AMPLE, ip, networks, url};

/// First and last address of every range, and single addresses inside.
const SPECIAL: &[(&str, Special)] = &[
    ("0.0.0.0", Special::Unspecified),
    ("0.255.255.255", Special::Unspecified),
    ("10.0.0.0", Special::Private),
    ("10.255.255.255", Special::Private),
    ("100.64.0.0", Special::Shared),
    ("100.127.255.255", Special::Shared),
    ("100.100.100.200", Special::Metadata),
    ("127.0.0.0", Special::Loopback),
    ("127.0.0.1", Special::Loopback),
    ("127.255.255.255", Special::Loopback),
    ("168.63.129.16", Special::Metadata),
    ("169.254.0.0", Special::LinkLocal),
    ("169.254.169.254", Special::Metadata),
    ("169.254.170.2", Special::Metadata),
    ("169.254.170.23", Special::Metadata),
    ("169.254.255.255", Special::LinkLocal),
    ("172.16.0.0", Special::Private),
    ("172.31.255.255", Special::Private),
    ("192.0.0.0", Special::Protocol),
    ("192.0.0.192", Special::Metadata),
    ("192.0.0.255", Special::Protocol),
    ("192.0.2.1", Special::Documentation),
    ("192.88.99.1", Special::SixToFour),
    ("192.168.0.0", Special::Private),
    ("192.168.255.255", Special::Private),
    ("198.18.0.0", Special::Benchmarking),
    ("198.19.255.255", Special::Benchmarking),
    ("198.51.100.7", Special::Documentation),
    ("203.0.113.7", Special::Documentation),
    ("224.0.0.0", Special::Multicast),
    ("239.255.255.255", Special::Multicast),
    ("240.0.0.0", Special::Reserved),
    ("255.255.255.254", Special::Reserved),
    ("255.255.255.255", Special::Broadcast),
    ("::", Special::Unspecified),
    ("::1", Special::Loopback),
    ("::2", Special::Compatible),
    ("::8.8.8.8", Special::Compatible),
    ("::ffff:0.0.0.0", Special::Mapped),
    ("::ffff:127.0.0.1", Special::Mapped),
    ("::ffff:8.8.8.8", Special::Mapped),
    ("::ffff:0:8.8.8.8", Special::Mapped),
    ("::1:0:0:0", Special::Reserved),
    ("64:ff9b::", Special::Nat64),
    ("64:ff9b::8.8.8.8", Special::Nat64),
    ("64:ff9b:1::", Special::Nat64),
    ("64:ff9b:1:ffff:ffff:ffff:ffff:ffff", Special::Nat64),
    ("64:ff9b:2::", Special::Reserved),
    ("100::1", Special::Discard),
    ("100:0:0:1::1", Special::Reserved),
    ("1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Special::Reserved),
    ("2001::", Special::Teredo),
    ("2001:0:ffff:ffff:ffff:ffff:ffff:ffff", Special::Teredo),
    ("2001:1::1", Special::Protocol),
    ("2001:2::1", Special::Benchmarking),
    ("2001:10::1", Special::Orchid),
    ("2001:2f:ffff::1", Special::Orchid),
    ("2001:1ff:ffff::1", Special::Protocol),
    ("2001:db8::1", Special::Documentation),
    ("2002::", Special::SixToFour),
    ("2002:7f00:1::", Special::SixToFour),
    ("2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Special::SixToFour),
    ("2606:4700::5efe:127.0.0.1", Special::Isatap),
    ("2606:4700::200:5efe:8.8.8.8", Special::Isatap),
    ("3fff::1", Special::Documentation),
    ("3fff:fff::1", Special::Documentation),
    ("4000::", Special::Reserved),
    ("5f00::1", Special::SegmentRouting),
    ("fc00::1", Special::UniqueLocal),
    ("fd00:ec2::254", Special::Metadata),
    ("fd00:ec2::23", Special::Metadata),
    ("fd20:ce::254", Special::Metadata),
    ("fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Special::UniqueLocal),
    ("fe80::1", Special::LinkLocal),
    ("fe80::5efe:10.0.0.1", Special::Isatap),
    ("febf::1", Special::LinkLocal),
    ("fec0::1", Special::SiteLocal),
    ("feff::1", Special::SiteLocal),
    ("ff02::1", Special::Multicast),
];

/// The neighbours of every range, and some well-known public places.
const PUBLIC: &[&str] = &[
    "1.0.0.0",
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "168.63.129.17",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "191.255.255.255",
    "192.0.1.0",
    "192.0.3.0",
    "192.88.98.255",
    "192.88.100.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "203.0.112.255",
    "203.0.114.0",
    "223.255.255.255",
    "2000::1",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2001:db7:ffff::1",
    "2001:db9::1",
    "2003::1",
    "2606:4700:4700::1111",
    "2a00:1450:4001:800::200e",
    "3ffe:ffff::1",
    "3fff:1000::1",
];

/// Every family at once: what an operator writes who wants no guard at all.
const EVERYTHING: &[&str] = &["0.0.0.0/0", "::/0"];

fn https(address: IpAddr) -> Url {
    match address {
        IpAddr::V4(address) => url(&format!("https://{address}/")),
        IpAddr::V6(address) => url(&format!("https://[{address}]/")),
    }
}

fn refuses(reach: Reach, address: IpAddr) -> bool {
    Client::new(reach, AMPLE).expect("valid limits").check(&https(address)).is_err()
}

#[test]
fn special_addresses_are_known_by_their_kind_and_refused() {
    let client = Client::new(Reach::Public, AMPLE).expect("valid limits");
    for (text, kind) in SPECIAL {
        assert_eq!(special(ip(text)), Some(*kind), "{text}");
        let refusal = client.check(&https(ip(text))).expect_err(text).to_string();
        assert!(refusal.contains(kind.description()), "{text}: {refusal}");
    }
}

#[test]
fn public_addresses_are_ordinary() {
    let client = Client::new(Reach::Public, AMPLE).expect("valid limits");
    for text in PUBLIC {
        assert_eq!(special(ip(text)), None, "{text}");
        assert_eq!(client.check(&https(ip(text))), Ok(()), "{text}");
    }
}

#[test]
fn a_list_of_everything_still_does_not_open_what_is_never_allowed() {
    let client = Client::new(networks(EVERYTHING), AMPLE).expect("valid limits");
    for (text, kind) in SPECIAL {
        assert_eq!(client.check(&https(ip(text))).is_err(), kind.is_never_allowed(), "{text}");
    }
    for carrier_or_credentials in ["169.254.169.254", "fd00:ec2::254", "::ffff:8.8.8.8", "64:ff9b::a00:1", "0.0.0.0"] {
        assert!(client.check(&https(ip(carrier_or_credentials))).is_err(), "{carrier_or_credentials}");
    }
}

#[test]
fn a_listed_network_opens_itself_and_nothing_beside_it() {
    let client = Client::new(networks(&["10.20.0.0/16", "fd12:3456::/32"]), AMPLE).expect("valid limits");
    for open in ["10.20.0.0", "10.20.255.255", "fd12:3456:ffff::1", "8.8.8.8", "2606:4700:4700::1111"] {
        assert_eq!(client.check(&https(ip(open))), Ok(()), "{open}");
    }
    for closed in ["10.19.255.255", "10.21.0.0", "fd12:3457::1", "127.0.0.1", "::1", "::ffff:10.20.0.1"] {
        assert!(client.check(&https(ip(closed))).is_err(), "{closed}");
    }
}

#[test]
fn networks_are_read_strictly() {
    for good in ["10.0.0.0/8", "0.0.0.0/0", "::/0", "192.168.1.1/32", "fd00::/8", "::1/128"] {
        assert_eq!(good.parse::<Network>().expect(good).to_string(), good);
    }
    assert_eq!("10.1.2.3".parse::<Network>().expect("a bare address").to_string(), "10.1.2.3/32");
    for bad in ["", "/8", "10.0.0/8", "ten", "10.0.0.0/ 8", "fe80::%1/64", "0x0a.0.0.0/8", "[::]/0"] {
        assert!(bad.parse::<Network>().is_err(), "{bad:?}");
    }
    for prefix in ["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "10.0.0.0/-1", "::/129", "::/256", "::/1/2"] {
        assert!(matches!(prefix.parse::<Network>(), Err(NetworkError::Prefix { .. })), "{prefix:?}");
    }
    let slip = "10.1.2.3/8".parse::<Network>().expect_err("bits behind the prefix");
    assert!(slip.to_string().contains("10.0.0.0/8"), "{slip}");
}

/// An IPv4 address as the carriers write it.
fn carried(address: Ipv4Addr) -> Vec<Ipv6Addr> {
    let [a, b, c, d] = address.octets();
    let [high, low] = [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])];
    vec![
        address.to_ipv6_mapped(),
        Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
        Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
        Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
        Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, high, low),
        Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
        Ipv6Addr::new(0x2001, 0, 0x4136, 0xe378, 0x8000, 0x63bf, !high, !low),
        Ipv6Addr::new(0x2606, 0x4700, 0, 0, 0x200, 0x5efe, high, low),
    ]
}

proptest! {
    #[test]
    fn no_carrier_brings_an_address_past_the_guard(bits in any::<u32>()) {
        let address = Ipv4Addr::from_bits(bits);
        for form in carried(address) {
            // ::1 is both the carried 0.0.0.1 and the loopback address, which a list may open.
            prop_assume!(form != Ipv6Addr::LOCALHOST);
            prop_assert!(refuses(Reach::Public, form.into()), "{form}");
            prop_assert!(refuses(networks(EVERYTHING), form.into()), "{form}");
            prop_assert!(refuses(Reach::Loopback, form.into()), "{form}");
        }
    }

    #[test]
    fn special_ipv4_stays_refused_in_every_form(row in 0..SPECIAL.len(), offset in 0..=255_u32) {
        let (text, _) = SPECIAL[row];
        if let IpAddr::V4(first) = ip(text) {
            // Within the last octet every range of the table is whole, apart from single addresses.
            let near = Ipv4Addr::from_bits((first.to_bits() & !255) | offset);
            for address in [first, near].into_iter().filter(|address| special((*address).into()).is_some()) {
                prop_assert!(refuses(Reach::Public, address.into()), "{address}");
                for form in carried(address) {
                    prop_assert!(refuses(Reach::Public, form.into()), "{address} as {form}");
                }
            }
        }
    }

    #[test]
    fn a_network_contains_what_shares_its_prefix(bits in any::<u128>(), other in any::<u128>(), prefix in 0..=128_u32) {
        let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
        let network: Network = format!("{}/{prefix}", Ipv6Addr::from_bits(bits & mask)).parse().unwrap();
        prop_assert!(network.contains(Ipv6Addr::from_bits((bits & mask) | (other & !mask)).into()));
        let same = (bits ^ other) & mask == 0;
        prop_assert_eq!(network.contains(Ipv6Addr::from_bits(other).into()), same);
    }
}
