//! Logins and setups that are half done: in memory, for minutes, in bounded number.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use archy_types::UserError;
use sha2::{Digest as _, Sha256};

use super::totp::random;

/// Most of one kind at once; beyond that the oldest goes.
const MAX: usize = 256;

/// Things that wait under a token until they are taken up or too old.
pub struct Pending<T> {
    waiting: Mutex<HashMap<[u8; 32], Waiting<T>>>,
    /// How long each waits (milliseconds).
    lifetime: u64,
    /// How often each may be looked at.
    tries: u32,
}

struct Waiting<T> {
    what: T,
    since: u64,
    tries: u32,
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pending(…)")
    }
}

impl<T: Clone> Pending<T> {
    /// None yet; each waits for `lifetime_secs` and is tried at most `tries` times.
    #[must_use]
    pub fn new(lifetime_secs: u64, tries: u32) -> Self {
        Self { waiting: Mutex::default(), lifetime: lifetime_secs * 1000, tries }
    }

    /// Lets something wait under a token of its own.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn put(&self, what: T, now_millis: u64) -> Result<String, UserError> {
        let token = hex::encode(random::<32>()?);
        self.put_under(&token, what, now_millis);
        Ok(token)
    }

    /// Lets something wait under a key that is known already, in place of what waits there.
    pub fn put_under(&self, token: &str, what: T, now_millis: u64) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, one| now_millis.saturating_sub(one.since) < self.lifetime);
        if waiting.len() >= MAX {
            let oldest = waiting.iter().min_by_key(|(_, one)| one.since).map(|(key, _)| *key);
            oldest.map(|key| waiting.remove(&key));
        }
        waiting.insert(key(token), Waiting { what, since: now_millis, tries: 0 });
    }

    /// What waits under a token; each look uses up a try.
    #[must_use]
    pub fn look(&self, token: &str, now_millis: u64) -> Option<T> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let one = waiting.get_mut(&key(token))?;
        one.tries += 1;
        if one.tries > self.tries || now_millis.saturating_sub(one.since) >= self.lifetime {
            waiting.remove(&key(token));
            return None;
        }
        Some(one.what.clone())
    }

    /// What waits under a token; this is no try.
    #[must_use]
    pub fn peek(&self, token: &str, now_millis: u64) -> Option<T> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let one = waiting.get(&key(token))?;
        (now_millis.saturating_sub(one.since) < self.lifetime).then(|| one.what.clone())
    }

    /// Takes what waits under a token, for good; this is no try.
    #[must_use]
    pub fn take(&self, token: &str, now_millis: u64) -> Option<T> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let one = waiting.remove(&key(token))?;
        (now_millis.saturating_sub(one.since) < self.lifetime).then_some(one.what)
    }
}

fn key(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_taken_once_in_time_and_after_few_tries() {
        let pending = Pending::new(60, 3);
        let token = pending.put("ann", 1000).unwrap();
        assert_eq!(pending.look("other", 1000), None);
        assert_eq!(pending.look(&token, 60_999), Some("ann"));
        assert_eq!(pending.take(&token, 60_999), Some("ann"));
        assert_eq!(pending.take(&token, 60_999), None);
        let late = pending.put("ann", 0).unwrap();
        assert_eq!(pending.look(&late, 60_000), None);
        let guessed = pending.put("ann", 0).unwrap();
        let tries: Vec<_> = (0..4).map(|_| pending.look(&guessed, 1).is_some()).collect();
        assert_eq!(tries, [true, true, true, false]);
        let first = pending.put("first", 5).unwrap();
        let rest: Vec<_> = (0..MAX as u64).map(|n| pending.put("x", 6 + n).unwrap()).collect();
        assert_eq!(pending.look(&first, 300), None);
        assert!(pending.look(&rest[0], 300).is_some());
    }
}
