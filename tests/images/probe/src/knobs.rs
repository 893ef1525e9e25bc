//! What the app was told at its start and since.
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// State shared by all requests.
pub struct Knobs {
    /// What `/version` says.
    pub version: String,
    sick: AtomicBool,
    started: Instant,
    ready_after: Duration,
}

impl Knobs {
    pub fn from_env() -> Self {
        Self {
            version: std::env::var("PROBE_VERSION").unwrap_or_else(|_| "0".into()),
            sick: AtomicBool::new(std::env::var("PROBE_SICK").is_ok_and(|value| value == "1")),
            started: Instant::now(),
            ready_after: Duration::from_secs(number("PROBE_READY_SECS")),
        }
    }

    pub fn sick(&self) -> bool {
        self.sick.load(Ordering::SeqCst)
    }

    pub fn set_sick(&self, sick: bool) {
        self.sick.store(sick, Ordering::SeqCst);
    }

    /// Seconds since the start.
    pub fn uptime(&self) -> u64 {
        self.started.elapsed().as_secs()
    }

    /// True once `PROBE_READY_SECS` have passed.
    pub fn ready(&self) -> bool {
        self.started.elapsed() >= self.ready_after
    }
}

/// A number of the environment, 0 when it is not set.
pub fn number(key: &str) -> u64 {
    std::env::var(key).ok().and_then(|value| value.parse().ok()).unwrap_or(0)
}

/// An exit code of the environment.
pub fn code(key: &str, default: i32) -> i32 {
    std::env::var(key).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}
