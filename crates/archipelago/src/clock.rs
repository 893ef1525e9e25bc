//! The clock, read at the edge only.

use std::sync::{LazyLock, OnceLock};
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

static ORIGIN: OnceLock<(Timestamp, u64)> = OnceLock::new();

/// Begins the steady calendar at the wall clock, or at the last moment that the node remembers if
/// that is later. Only the first call counts.
pub fn begin_steady(last_seen: Option<Timestamp>) {
    let start = last_seen.map_or_else(now, |seen| seen.max(now()));
    ORIGIN.get_or_init(|| (start, steady_millis()));
}

/// Now, by a calendar that follows no jump of the wall clock while the daemon runs: for sessions.
#[must_use]
pub fn steady_now() -> Timestamp {
    let (start, began) = *ORIGIN.get_or_init(|| (now(), steady_millis()));
    let passed = steady_millis().saturating_sub(began);
    start.plus_millis(i64::try_from(passed).unwrap_or(i64::MAX))
}

/// Milliseconds of a clock that never goes back.
#[must_use]
pub fn steady_millis() -> u64 {
    u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX)
}
