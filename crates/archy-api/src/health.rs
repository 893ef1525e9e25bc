//! `health`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// Result of `health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct HealthResult {
    /// `ok`, or `starting` until the first look at the host is done.
    pub status: String,
    /// Operations that an earlier run left open are finished or rolled back.
    pub crash_recovery_complete: bool,
    /// Seconds since the daemon began.
    pub uptime_seconds: u64,
    /// Version of the daemon.
    pub version: String,
}
