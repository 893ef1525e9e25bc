//! `node.*`: what needs no identity.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// Result of `node.status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct NodeStatus {
    /// Name for people.
    pub name: String,
    /// Name of the host.
    pub hostname: String,
    /// Version of the daemon.
    pub version: String,
    /// Seconds since the daemon began.
    pub uptime_seconds: u64,
    /// A password is set.
    pub is_setup: bool,
    /// Apps by state.
    pub apps: AppCounts,
    /// Sequence number of the state.
    pub seq: u64,
    /// When the host was last seen in full (milliseconds since 1970).
    pub observed_at: i64,
}

/// How many apps are in which state.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct AppCounts {
    /// All.
    pub installed: u32,
    /// Running, healthy or not.
    pub running: u32,
    /// Stopped because somebody asked.
    pub stopped: u32,
    /// Failed.
    pub failed: u32,
    /// Unhealthy; also counted as running.
    pub unhealthy: u32,
}
