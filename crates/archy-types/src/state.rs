//! What an app is doing, why, since when, and what happens next.

use serde::{Deserialize, Serialize};

use crate::{Code, Timestamp};

/// State of an app as people see it. Transient ones carry a deadline in their report.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema, ts_rs::TS,
)]
#[serde(rename_all = "kebab-case")]
pub enum AppState {
    /// An install is under way.
    Installing,
    /// Units are being started, or are not ready yet.
    Starting,
    /// All services run and are ready.
    Running,
    /// Services run, at least one is not healthy.
    Unhealthy,
    /// Something it needs is missing: a dependency, a mount, the network.
    Waiting,
    /// A stop is under way.
    Stopping,
    /// Stopped, because somebody asked.
    Stopped,
    /// Ended by itself or failed, and automatic restarts are used up.
    Failed,
    /// An update is under way.
    Updating,
    /// An uninstall is under way.
    Removing,
    /// The host did not tell; the cause says why.
    Unknown,
}

impl AppState {
    /// True for states that must end by themselves.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(
            self,
            Self::Installing | Self::Starting | Self::Stopping | Self::Updating | Self::Removing
        )
    }
}

/// Health of a service or an app.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema, ts_rs::TS,
)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// The check passes.
    Healthy,
    /// The check fails.
    Unhealthy,
    /// The check has not passed yet, within its start period.
    Starting,
    /// No check is declared, or it could not be run.
    Unknown,
}

/// Who asked for a change.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema, ts_rs::TS,
)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "name")]
pub enum Actor {
    /// A person, by the door they came through (`cli`, `dashboard`, a device's name).
    User(String),
    /// Archipelago itself: recovery, repair, a schedule.
    System,
    /// Somebody who went past Archipelago, for example with `systemctl --user`.
    Outside,
}

/// Why something is as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema, ts_rs::TS)]
pub struct Cause {
    /// Stable code.
    pub code: Code,
    /// One sentence for people.
    pub text: String,
}

impl Cause {
    /// A cause with a code known at compile time.
    #[must_use]
    pub fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self { code: Code::new(code), text: text.into() }
    }
}

/// What Archipelago does next by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema, ts_rs::TS)]
pub struct NextStep {
    /// One sentence for people.
    pub text: String,
    /// When, if it is known (milliseconds since 1970).
    #[schemars(with = "Option<i64>")]
    #[ts(type = "number | null")]
    pub at: Option<Timestamp>,
}

/// The one action that would repair it: a method of the API and its label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema, ts_rs::TS)]
pub struct Repair {
    /// Label of the button.
    pub label: String,
    /// Method of the API that does it, for example `package.restart`.
    pub method: String,
}

/// State with all that belongs to it (invariant 7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema, ts_rs::TS)]
pub struct StatusReport {
    /// The state.
    pub state: AppState,
    /// Why.
    pub cause: Cause,
    /// Since when (milliseconds since 1970).
    #[schemars(with = "i64")]
    #[ts(type = "number")]
    pub since: Timestamp,
    /// Who asked.
    pub actor: Actor,
    /// What happens next by itself, if anything.
    pub next: Option<NextStep>,
    /// One action that would repair it, if it needs repair.
    pub repair: Option<Repair>,
    /// When a transient state ends at the latest (milliseconds since 1970).
    #[schemars(with = "Option<i64>")]
    #[ts(type = "number | null")]
    pub deadline: Option<Timestamp>,
}
