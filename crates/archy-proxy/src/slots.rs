//! How many connections there are at once, and how many of them from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

type Counts = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// Places for connections. Clones share them.
#[derive(Debug, Clone)]
pub struct Slots {
    all: Arc<Semaphore>,
    per_address: usize,
    by_address: Counts,
}

/// A place that is taken until this is dropped.
#[derive(Debug)]
pub struct Slot {
    _place: OwnedSemaphorePermit,
    counted: Option<(IpAddr, Counts)>,
}

impl Slots {
    /// So many places, and so many of them for one address other than loopback.
    #[must_use]
    pub fn new(connections: usize, per_address: usize) -> Self {
        let all = Arc::new(Semaphore::new(connections));
        Self { all, per_address, by_address: Arc::default() }
    }

    /// A place for a connection from an address, if there is one.
    #[must_use]
    pub fn take(&self, from: IpAddr) -> Option<Slot> {
        let place = self.all.clone().try_acquire_owned().ok()?;
        let from = from.to_canonical();
        if from.is_loopback() {
            return Some(Slot { _place: place, counted: None });
        }
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_address.entry(from).or_default();
        if *count >= self.per_address {
            return None;
        }
        *count += 1;
        drop(by_address);
        Some(Slot { _place: place, counted: Some((from, self.by_address.clone())) })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Some((ip, by_address)) = &self.counted else { return };
        let mut by_address = by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_address.get_mut(ip) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(ip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_does_not_take_all() {
        let slots = Slots::new(3, 2);
        let [one, other] = ["10.0.0.1", "10.0.0.2"].map(|ip| ip.parse().unwrap());
        let first = slots.take(one).unwrap();
        let _second = slots.take("::ffff:10.0.0.1".parse().unwrap()).unwrap();
        assert!(slots.take(one).is_none());
        let _third = slots.take(other).unwrap();
        assert!(slots.take(other).is_none(), "all are taken");
        drop(first);
        assert!(slots.take(one).is_some());
    }
}
