//! The clock, read at the edge only.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use archy_types::Timestamp;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Now, by the wall clock.
#[must_use]
pub fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "this is the edge that reads the clock")]
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Milliseconds of a clock that never goes back.
#[must_use]
pub fn steady_millis() -> u64 {
    u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX)
}
