//! Settings for the owner's form.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One setting of the owner's form.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("required" = ["type"]))]
pub struct Setting {
    /// Type of the value.
    #[serde(rename = "type")]
    pub kind: Option<SettingType>,
    /// Label in the form. Default: the key.
    pub label: Option<String>,
    /// Help text.
    pub help: Option<String>,
    /// Value when the owner chose none. Not for `secret`.
    pub default: Option<serde_json::Value>,
    /// Must have a value before the app starts. Default: false.
    pub required: bool,
    /// Where the value goes.
    pub targets: Vec<SettingTarget>,
    /// Values of a `choice`.
    pub choices: Vec<String>,
    /// Least value of a `number`.
    pub min: Option<f64>,
    /// Greatest value of a `number`.
    pub max: Option<f64>,
    /// Whole numbers only. Default: false.
    pub integer: bool,
    /// Shortest length of a `text` in characters.
    pub min_length: Option<u32>,
    /// Longest length of a `text` in characters.
    pub max_length: Option<u32>,
    /// Pattern that a whole `text` must match: literal characters, `.`, classes such as `[a-z0-9_-]`
    /// and the repeats `?`, `*`, `+`; `\` takes the next character as it is.
    pub pattern: Option<String>,
}

/// Type of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SettingType {
    /// Text.
    Text,
    /// A number.
    Number,
    /// Yes or no; reaches the app as `true` or `false`.
    Boolean,
    /// One of `choices`.
    Choice,
    /// Text that is stored as a secret.
    Secret,
    /// A port on the host, 1 to 65535.
    Port,
    /// A path inside the app's data directory.
    Path,
}

/// Where a setting's value goes: one of `env` and `file`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SettingTarget {
    /// An environment variable of `service`.
    pub env: Option<String>,
    /// The service. Default: the only one, or `main`.
    pub service: Option<String>,
    /// Path of an entry of `files` whose content names the setting as `{{config:KEY}}`.
    pub file: Option<String>,
}
