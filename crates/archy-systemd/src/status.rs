//! What systemd says of a unit and of itself.

use archy_types::Timestamp;

/// Active state of a unit (systemd(1), "Units").
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ActiveState {
    /// Started.
    Active,
    /// Reloading its configuration.
    Reloading,
    /// Not started.
    #[default]
    Inactive,
    /// Failed.
    Failed,
    /// Being started.
    Activating,
    /// Being stopped.
    Deactivating,
    /// In maintenance, or a word newer than this program.
    Other,
}

/// State of the manager (systemctl(1), "is-system-running").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SystemState {
    /// Starting up.
    Starting,
    /// Up.
    Running,
    /// Up, with failed units.
    Degraded,
    /// Shutting down: conclude nothing from stopped units.
    Stopping,
    /// Another word.
    Other,
}

/// A unit in detail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitStatus {
    /// Name.
    pub unit: String,
    /// `loaded`, `not-found`, `masked`, `bad-setting`, ….
    pub load: String,
    /// Active state.
    pub active: ActiveState,
    /// Sub state: `running`, `exited`, `auto-restart`, `dead`, ….
    pub sub: String,
    /// When it last became active, in this boot.
    pub active_since: Option<Timestamp>,
    /// When it last became inactive, in this boot.
    pub inactive_since: Option<Timestamp>,
    /// Result of a service's last run: `success`, `exit-code`, `timeout`, `start-limit-hit`, ….
    pub result: String,
    /// How a service's main process last ended: 1 exited, 2 killed, 3 dumped; 0 it never did.
    pub exit_code: i32,
    /// Its exit status or the signal's number.
    pub exit_status: i32,
    /// Automatic restarts since the last start by hand.
    pub restarts: u32,
}

/// What a unit uses. `None` where nothing is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UnitUsage {
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// Processor time since its start, in nanoseconds.
    pub cpu_nanos: Option<u64>,
}

// === impl ActiveState ===

impl ActiveState {
    /// Reads systemd's word.
    pub(crate) fn parse(word: &str) -> Self {
        match word {
            "active" => Self::Active,
            "reloading" | "refreshing" => Self::Reloading,
            "inactive" => Self::Inactive,
            "failed" => Self::Failed,
            "activating" => Self::Activating,
            "deactivating" => Self::Deactivating,
            _ => Self::Other,
        }
    }

    /// The state of a unit for which a job is queued: one that is about to be started is being
    /// started, although nothing of it runs yet, as after a boot.
    pub(crate) fn with_job(self, job: &str) -> Self {
        match (self, job) {
            (Self::Inactive | Self::Failed, "start" | "restart") => Self::Activating,
            (state, _) => state,
        }
    }
}

// === impl SystemState ===

impl SystemState {
    /// Reads systemd's word.
    pub(crate) fn parse(word: &str) -> Self {
        match word {
            "initializing" | "starting" => Self::Starting,
            "running" => Self::Running,
            "degraded" => Self::Degraded,
            "stopping" => Self::Stopping,
            _ => Self::Other,
        }
    }
}

/// Microseconds since 1970, 0 is never.
pub(crate) fn micros(value: u64) -> Option<Timestamp> {
    i64::try_from(value / 1000).ok().filter(|ms| *ms > 0).map(Timestamp)
}

/// systemd's "not set" is the largest number.
pub(crate) const fn counted(value: u64) -> Option<u64> {
    if value == u64::MAX { None } else { Some(value) }
}
