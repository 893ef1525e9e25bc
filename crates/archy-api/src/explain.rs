//! `package.explain`: everything that tells why an app is as it is.

use archy_types::{Actor, AppState, Cause, Health, NextStep};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::logs::LogLine;
use crate::package::{OperationRecord, Right};
use crate::state::{Finding, OperationState};

/// Result of `package.explain`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct ExplainResult {
    /// The app.
    pub package_id: String,
    /// Its name for people.
    pub title: String,
    /// Its version.
    pub version: String,
    /// What the owner wants: `running`, `stopped`, `removed`, `purged`.
    pub desired: String,
    /// State.
    pub state: AppState,
    /// Why.
    pub cause: Cause,
    /// Since when (milliseconds since 1970).
    pub since: i64,
    /// Who asked.
    pub actor: Actor,
    /// Worst health of its services.
    pub health: Health,
    /// What happens next by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<NextStep>,
    /// When a state that must end counts as failed (milliseconds since 1970).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<i64>,
    /// The one action that would repair it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repair: Option<RepairAction>,
    /// The operation at work on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<OperationState>,
    /// Its services in manifest order.
    pub services: Vec<ServiceExplained>,
    /// What it needs of other apps.
    pub needs: Vec<Need>,
    /// What it may do beyond what every app may.
    #[serde(default)]
    pub rights: Vec<Right>,
    /// Apps that need this one.
    pub needed_by: Vec<String>,
    /// Findings that hold now.
    pub notes: Vec<Finding>,
    /// The last operation that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failed: Option<OperationRecord>,
    /// The last lines of its log, when something is wrong with it.
    pub log: Vec<LogLine>,
    /// Why all of this is old, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_because: Option<Cause>,
    /// When the host was last seen in full (milliseconds since 1970).
    pub observed_at: i64,
}

/// An action that would repair it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct RepairAction {
    /// Label of the button.
    pub label: String,
    /// Method of the API.
    pub method: String,
    /// The same on the command line.
    pub command: String,
}

/// A service and why it is as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct ServiceExplained {
    /// Name in the manifest.
    pub name: String,
    /// Container.
    pub container: String,
    /// Active state in systemd's words.
    pub unit_state: String,
    /// When it became active (milliseconds since 1970).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_since: Option<i64>,
    /// It runs to its end before the others start.
    pub oneshot: bool,
    /// Health.
    pub health: Health,
    /// What its health check asks; absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    /// The last health check, if one was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<Probe>,
    /// Why the last health check is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe_unknown: Option<Cause>,
    /// Automatic restarts since the last start by hand.
    pub restarts: u32,
    /// Exit status, when it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_status: Option<i32>,
    /// The kernel ended it for want of memory.
    pub out_of_memory: bool,
    /// Services of the same app that come before it.
    pub after: Vec<Predecessor>,
}

/// A health check that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct Probe {
    /// When it ended (milliseconds since 1970).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<i64>,
    /// It passed.
    pub passed: bool,
    /// Its exit status.
    pub exit_code: i32,
    /// The last line that it wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Failed checks in a row, and how many end the container.
    pub failing: u32,
    /// So many failed checks in a row end the container.
    pub limit: u32,
    /// When the next one is due (milliseconds since 1970).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<i64>,
}

/// A service that another one of the app waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct Predecessor {
    /// The service.
    pub service: String,
    /// `started`, `healthy` or `completed`.
    pub condition: String,
    /// It is so far.
    pub met: bool,
}

/// What an app needs of another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct Need {
    /// What is needed: an app's id, or `an app for <role>`.
    pub what: String,
    /// The app that fills it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// It can do without.
    pub optional: bool,
    /// It is there and runs.
    pub met: bool,
    /// In words.
    pub text: String,
}
