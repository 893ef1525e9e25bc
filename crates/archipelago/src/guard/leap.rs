//! A wall clock that jumps, seen beside one that never does.

use std::sync::{Mutex, PoisonError};

use archy_types::Timestamp;

/// What the clocks may drift apart between two looks, in milliseconds.
const DRIFT: i64 = 60_000;
/// How long nothing that is due by the wall clock is given up after it went ahead, in milliseconds.
const DOUBTED: u64 = 24 * 3600 * 1000;
/// A node that was off for longer may as well have a wrong clock, in milliseconds.
const LONG_OFF: i64 = 24 * 3600 * 1000;

/// The two clocks at the last look.
#[derive(Debug, Clone, Copy)]
pub struct Leap {
    wall: Timestamp,
    steady: u64,
}

impl Leap {
    /// Begins to look.
    #[must_use]
    pub const fn new(wall: Timestamp, steady: u64) -> Self {
        Self { wall, steady }
    }

    /// By how many milliseconds the wall clock jumped since the last look, if it did.
    pub fn look(&mut self, wall: Timestamp, steady: u64) -> Option<i64> {
        let passed = i64::try_from(steady.saturating_sub(self.steady)).unwrap_or(i64::MAX);
        let jumped = wall.0.saturating_sub(self.wall.0).saturating_sub(passed);
        *self = Self { wall, steady };
        (jumped.abs() > DRIFT).then_some(jumped)
    }
}

/// Whether the wall clock is to be trusted with what cannot be taken back: removing the way back of
/// an update because its time is over.
#[derive(Debug, Default)]
pub struct Doubt {
    inner: Mutex<Option<Leapt>>,
}

/// A jump that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leapt {
    /// By how many milliseconds.
    pub millis: i64,
    /// Until when it is doubted, by the steady clock.
    until: u64,
}

impl Doubt {
    /// A jump was seen. One that leads back to where the clock was ends the doubt.
    pub fn leapt(&self, millis: i64, steady: u64) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let before = inner.map_or(0, |leapt| leapt.millis);
        let sum = before.saturating_add(millis);
        let until = steady.saturating_add(DOUBTED);
        *inner = (sum.abs() > DRIFT).then_some(Leapt { millis: sum, until });
    }

    /// The node begins: a clock far ahead of the last moment that it remembers is doubted, too.
    pub fn begin(&self, now: Timestamp, last_seen: Option<Timestamp>, steady: u64) {
        let Some(ahead) = last_seen.map(|seen| now.0.saturating_sub(seen.0)) else { return };
        if !(-DRIFT..=LONG_OFF).contains(&ahead) {
            self.leapt(ahead, steady);
        }
    }

    /// The jump that is doubted at this moment of the steady clock.
    #[must_use]
    pub fn at(&self, steady: u64) -> Option<Leapt> {
        let inner = *self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.filter(|leapt| steady < leapt.until)
    }
}
