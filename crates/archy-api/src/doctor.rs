//! `system.doctor`, `system.mend`, `system.support`: what is wrong with a node, and how it is mended.

use archy_types::UserError;
use archy_types::doctor::{Check, Level};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// Result of `system.doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct DoctorReport {
    /// When the checks were made (milliseconds since 1970).
    pub at: i64,
    /// The checks, by area.
    pub checks: Vec<Check>,
}

impl DoctorReport {
    /// How many checks ended like this.
    #[must_use]
    pub fn count(&self, level: Level) -> usize {
        self.checks.iter().filter(|check| check.level == level).count()
    }
}

/// Parameters of `system.mend`.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct MendParams {
    /// Mends as `fix` of the checks names them; all of them when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixes: Option<Vec<String>>,
}

/// Result of `system.mend`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct MendResult {
    /// What was done, in order.
    pub mends: Vec<Mended>,
}

/// A mend that was applied, or was not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct Mended {
    /// Its name.
    pub fix: String,
    /// What was done, in words.
    pub text: String,
    /// Why it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<UserError>,
}

/// Parameters of `system.support`.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct SupportParams {
    /// Lines of each log; 500 when absent, at most 5,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<u32>,
    /// Also without the host's names, addresses and paths of homes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anonymous: Option<bool>,
}

/// Result of `system.support`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct SupportResult {
    /// Files of the bundle; secrets are struck out of them.
    pub files: Vec<SupportFile>,
}

/// A file of a support bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct SupportFile {
    /// Its name, with `/` between directories.
    pub name: String,
    /// What is in it, in a few words.
    pub about: String,
    /// Its text.
    pub text: String,
    /// It was cut: the beginning is missing.
    pub cut: bool,
}
