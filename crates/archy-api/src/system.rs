//! `system.*`: the host.

use archy_types::Cause;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// Result of `system.get-hostname`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct HostnameResult {
    /// Name of the host.
    pub hostname: String,
    /// Name in multicast DNS: the host's name with `.local`.
    pub mdns: String,
}

/// Result of `system.info`. A fact that could not be seen is null; `unknown` says why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct SystemInfo {
    /// Version of the daemon.
    pub version: String,
    /// Name of the host.
    pub hostname: String,
    /// Operating system in its own words (`PRETTY_NAME`).
    pub os: Option<String>,
    /// Version of the kernel.
    pub kernel: Option<String>,
    /// Architecture in OCI words (`amd64`).
    pub architecture: String,
    /// True on a node, false for a desktop's user mode.
    pub node_mode: bool,
    /// Primary IPv4 address.
    pub host_ip: Option<String>,
    /// Version of Podman.
    pub podman_version: Option<String>,
    /// The oldest Podman that is supported.
    pub podman_floor: String,
    /// Version of systemd.
    pub systemd_version: Option<String>,
    /// The service user.
    pub user: UserInfo,
    /// Cgroup controllers delegated to the user manager; limits of others are not enforced.
    pub cgroup_controllers: Option<Vec<String>>,
    /// Data directory.
    pub data_dir: String,
    /// Directory of the unit files.
    pub unit_dir: String,
    /// The daemon can write unit files.
    pub unit_dir_writable: bool,
    /// Size of the data directory's file system in bytes.
    pub disk_total_bytes: Option<u64>,
    /// Free bytes on it.
    pub disk_free_bytes: Option<u64>,
    /// Memory in bytes.
    pub memory_total_bytes: Option<u64>,
    /// Memory that programs can still get, in bytes.
    pub memory_available_bytes: Option<u64>,
    /// Addresses that the API is served on.
    pub api_addresses: Vec<String>,
    /// Why facts are missing.
    pub unknown: Vec<Cause>,
}

/// The user that apps run as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct UserInfo {
    /// Name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// The user manager runs without a login.
    pub lingering: Option<bool>,
    /// How many subordinate user ids it may use.
    pub subuids: Option<u64>,
    /// How many subordinate group ids it may use.
    pub subgids: Option<u64>,
}

/// Result of `system.stats`; at most 5 s old.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
pub struct SystemStats {
    /// When it was measured (milliseconds since 1970).
    pub at: i64,
    /// Part of all cores in use, 0 to 100; null until two samples exist.
    pub cpu_percent: Option<f64>,
    /// Number of cores.
    pub cpu_count: u32,
    /// Load averages over 1, 5 and 15 minutes.
    pub load: [f64; 3],
    /// Memory in bytes.
    pub memory_total_bytes: u64,
    /// Memory that programs can still get, in bytes.
    pub memory_available_bytes: u64,
    /// Size of the data directory's file system in bytes.
    pub disk_total_bytes: u64,
    /// Free bytes on it.
    pub disk_free_bytes: u64,
    /// Seconds since the host booted.
    pub uptime_seconds: u64,
}
