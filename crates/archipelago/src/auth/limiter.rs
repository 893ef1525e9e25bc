//! Sliding-window limits per method and address, in bounded memory.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Addresses that are remembered at once; beyond that the longest silent one is forgotten.
const MAX_KEYS: usize = 4096;

/// So many calls in so long a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Calls.
    pub calls: u32,
    /// Window.
    pub window: Duration,
}

impl Limit {
    /// `calls` per `seconds`.
    #[must_use]
    pub const fn new(calls: u32, seconds: u64) -> Self {
        Self { calls, window: Duration::from_secs(seconds) }
    }
}

/// What is limited, and for whom.
type Key = (&'static str, Option<IpAddr>);

/// Remembers calls. Time is given by the caller as the milliseconds of any steady clock.
#[derive(Debug, Default)]
pub struct Limiter {
    calls: Mutex<HashMap<Key, VecDeque<u64>>>,
}

impl Limiter {
    /// Counts a call of `what` from an address (`None`: the unix socket).
    ///
    /// # Errors
    /// The limit is used up; after so long it may be tried again. Refused calls do not count.
    pub fn count(
        &self,
        what: &'static str,
        from: Option<IpAddr>,
        limit: Limit,
        now_millis: u64,
    ) -> Result<(), Duration> {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (what, from.map(network_of));
        if !calls.contains_key(&key) && calls.len() >= MAX_KEYS {
            let oldest = calls.iter().min_by_key(|(_, seen)| seen.back().copied()).map(|(k, _)| *k);
            oldest.map(|key| calls.remove(&key));
        }
        let window = u64::try_from(limit.window.as_millis()).unwrap_or(u64::MAX);
        let seen = calls.entry(key).or_default();
        while seen.front().is_some_and(|at| now_millis.saturating_sub(*at) >= window) {
            seen.pop_front();
        }
        if seen.len() < limit.calls as usize {
            seen.push_back(now_millis);
            return Ok(());
        }
        let first = seen.front().copied().unwrap_or(now_millis);
        Err(Duration::from_millis((first + window).saturating_sub(now_millis)))
    }

    /// Takes back the last call that was counted, since it was no guess after all.
    pub fn forgive(&self, what: &'static str, from: Option<IpAddr>) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = calls.get_mut(&(what, from.map(network_of))) {
            seen.pop_back();
        }
    }
}

/// An IPv6 customer has a whole /64, so that is what counts as one address.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let s = v6.segments();
            IpAddr::V6(Ipv6Addr::new(s[0], s[1], s[2], s[3], 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGIN: Limit = Limit::new(5, 60);

    #[test]
    fn the_sixth_call_waits_for_the_first_to_age() {
        let limiter = Limiter::default();
        let from = Some("10.0.0.1".parse().unwrap());
        for at in 0..5 {
            assert_eq!(limiter.count("login", from, LOGIN, at * 1000), Ok(()));
        }
        assert_eq!(limiter.count("login", from, LOGIN, 5000), Err(Duration::from_secs(55)));
        // another method and another address have their own count
        assert_eq!(limiter.count("other", from, LOGIN, 5000), Ok(()));
        let other = Some("10.0.0.2".parse().unwrap());
        assert_eq!(limiter.count("login", other, LOGIN, 5000), Ok(()));
        assert_eq!(limiter.count("login", from, LOGIN, 60_000), Ok(()));
        assert!(limiter.count("login", from, LOGIN, 60_001).is_err());
        limiter.forgive("login", from);
        assert_eq!(limiter.count("login", from, LOGIN, 60_001), Ok(()));
    }

    #[test]
    fn one_ipv6_network_is_one_address() {
        let limiter = Limiter::default();
        for host in 1..=5 {
            let from = Some(format!("2001:db8::{host}").parse().unwrap());
            assert_eq!(limiter.count("login", from, LOGIN, 0), Ok(()));
        }
        let from = Some("2001:db8::ffff".parse().unwrap());
        assert!(limiter.count("login", from, LOGIN, 0).is_err());
        let mapped = Some("::ffff:10.0.0.1".parse().unwrap());
        assert_eq!(limiter.count("login", mapped, LOGIN, 0), Ok(()));
    }

    #[test]
    fn memory_is_bounded() {
        let limiter = Limiter::default();
        for n in 0..(MAX_KEYS as u32 + 100) {
            let from = Some(IpAddr::from(n.to_be_bytes()));
            assert_eq!(limiter.count("login", from, LOGIN, u64::from(n)), Ok(()));
        }
        assert!(limiter.calls.lock().unwrap().len() <= MAX_KEYS);
    }
}
