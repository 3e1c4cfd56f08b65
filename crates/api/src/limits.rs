//! Limits that protect against guessing keys, and against accounts that are made in bulk. They are per process; those that
//! are a promise to a customer are counted in the database.

use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::atomic::{AtomicU64, Ordering},
};

use domain::id::TenantId;
use governor::{
    DefaultKeyedRateLimiter, NotUntil, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};

/// Unknown keys that one address may try in a minute.
const UNKNOWN_PER_ADDRESS: NonZeroU32 = NonZeroU32::new(30).unwrap();
/// Unknown keys that may be tried of one tenant in a minute.
const UNKNOWN_PER_TENANT: NonZeroU32 = NonZeroU32::new(600).unwrap();

/// Accounts that one address may make in an hour.
const SIGN_UPS_PER_ADDRESS: NonZeroU32 = NonZeroU32::new(5).unwrap();
/// Codes and pages of buyers that one address may try in a minute. Pages that open are not counted.
const BUYERS_TRIES_PER_ADDRESS: NonZeroU32 = NonZeroU32::new(60).unwrap();
/// Unknown keys after which quiet addresses are forgotten.
const TIDIED_EVERY: u64 = 4_096;

/// How often unknown keys may be tried.
pub struct Limits {
    by_address: DefaultKeyedRateLimiter<IpAddr>,
    by_tenant: DefaultKeyedRateLimiter<Option<TenantId>>,
    sign_ups: DefaultKeyedRateLimiter<IpAddr>,
    buyers_tries: DefaultKeyedRateLimiter<IpAddr>,
    counted: AtomicU64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            by_address: RateLimiter::keyed(Quota::per_minute(UNKNOWN_PER_ADDRESS)),
            by_tenant: RateLimiter::keyed(Quota::per_minute(UNKNOWN_PER_TENANT)),
            sign_ups: RateLimiter::keyed(Quota::per_hour(SIGN_UPS_PER_ADDRESS)),
            buyers_tries: RateLimiter::keyed(Quota::per_minute(BUYERS_TRIES_PER_ADDRESS)),
            counted: AtomicU64::new(0),
        }
    }
}

impl Limits {
    /// Counts an unknown key. Some: too many; that many seconds have to pass.
    #[must_use]
    pub fn unknown_key(&self, address: IpAddr, tenant: Option<TenantId>) -> Option<u64> {
        self.tidy();
        let by_address = self.by_address.check_key(&network(address)).err();
        let by_tenant = self.by_tenant.check_key(&tenant).err();
        by_address.or(by_tenant).map(|not_until| seconds_until(&not_until))
    }

    /// Counts a sign-up. Some: too many; that many seconds have to pass.
    #[must_use]
    pub fn sign_up(&self, address: IpAddr) -> Option<u64> {
        self.tidy();
        self.sign_ups.check_key(&network(address)).err().map(|not_until| seconds_until(&not_until))
    }

    /// Counts a code, a page that does not open, or an address that a buyer gives. Some: too many; that many seconds have to pass.
    #[must_use]
    pub fn buyers_try(&self, address: IpAddr) -> Option<u64> {
        self.tidy();
        self.buyers_tries.check_key(&network(address)).err().map(|not_until| seconds_until(&not_until))
    }

    /// Forgets addresses that have been quiet, once in a while.
    fn tidy(&self) {
        if self.counted.fetch_add(1, Ordering::Relaxed) % TIDIED_EVERY == TIDIED_EVERY - 1 {
            self.by_address.retain_recent();
            self.by_tenant.retain_recent();
            self.sign_ups.retain_recent();
            self.buyers_tries.retain_recent();
        }
    }
}

fn seconds_until(not_until: &NotUntil<<DefaultClock as Clock>::Instant>) -> u64 {
    not_until.wait_time_from(DefaultClock::default().now()).as_secs() + 1
}

/// Who shares a limit: an IPv4 address, or the /64 that an IPv6 customer has to himself.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn thirty_unknown_keys_a_minute_per_network() {
        let limits = Limits::default();
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        for number in 0..30 {
            let guesser = address(&format!("2001:db8::{number:x}"));
            assert_eq!(limits.unknown_key(guesser, None), None, "try {number}");
        }
        assert!(limits.unknown_key(address("2001:db8::ffff"), None).is_some(), "the same /64");
        assert_eq!(limits.unknown_key(address("2001:db8:0:1::1"), None), None, "another /64");
        assert_eq!(limits.unknown_key(address("192.0.2.1"), None), None, "another address");
        assert_eq!(limits.unknown_key(address("::ffff:192.0.2.2"), None), None, "a mapped address is its IPv4 one");
    }

    #[test]
    fn six_hundred_unknown_keys_a_minute_per_tenant() {
        let limits = Limits::default();
        let tenant = |number| Some(TenantId(uuid::Uuid::from_u128(number)));
        let address = |number: u32| IpAddr::from(Ipv4Addr::from(number));
        for number in 0..600 {
            assert_eq!(limits.unknown_key(address(number), tenant(1)), None, "try {number}");
        }
        assert!(limits.unknown_key(address(600), tenant(1)).is_some(), "whoever tries");
        assert_eq!(limits.unknown_key(address(601), tenant(2)), None, "another tenant");
        assert_eq!(limits.unknown_key(address(602), None), None, "keys of nobody who is known");
    }
}
