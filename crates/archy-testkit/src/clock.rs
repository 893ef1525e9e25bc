//! A clock that follows tokio's, so that paused time moves it.

use archy_engine::ports::Clock;
use archy_types::Timestamp;
use tokio::time::Instant;

/// Starts at a fixed point and moves with tokio's clock.
#[derive(Debug, Clone, Copy)]
pub struct TestClock {
    origin: Instant,
}

impl TestClock {
    /// The moment at which the clock starts.
    pub const START: Timestamp = Timestamp(1_700_000_000_000);
}

impl Default for TestClock {
    fn default() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let passed = i64::try_from(self.origin.elapsed().as_millis()).unwrap_or(i64::MAX);
        Self::START.plus_millis(passed)
    }
}
