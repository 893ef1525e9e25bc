//! `package.metrics`, `system.metrics`: figures over time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// How far back, and with it how fine.
#[derive(
    Debug, Default, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, TS,
)]
#[serde(rename_all = "lowercase")]
pub enum MetricsRange {
    /// The last hour, a value each 10 s.
    #[default]
    Hour,
    /// The last 24 hours, a value each 5 min.
    Day,
    /// The last 7 days, a value each 30 min.
    Week,
}

/// Parameters of `package.metrics`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct MetricsParams {
    /// The app.
    pub id: String,
    /// How far back; the last hour when absent.
    #[serde(default)]
    #[ts(optional, as = "Option<MetricsRange>")]
    pub range: MetricsRange,
}

/// Parameters of `system.metrics`.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct NodeMetricsParams {
    /// How far back; the last hour when absent.
    #[serde(default)]
    #[ts(optional, as = "Option<MetricsRange>")]
    pub range: MetricsRange,
}

/// Figures over time: all series have as many values, `step` apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
pub struct MetricsResult {
    /// When the first value begins (milliseconds since 1970).
    pub from: i64,
    /// Milliseconds from one value to the next; a value is the mean over that time.
    pub step: i64,
    /// The series that have at least one value.
    pub series: Vec<MetricSeries>,
}

/// What is measured.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, TS,
)]
#[serde(rename_all = "kebab-case")]
pub enum MetricKind {
    /// Percent of one core; of the node: percent of all cores.
    Cpu,
    /// Bytes in use, without files that are only kept in memory because there is room.
    Memory,
    /// Bytes on disk; of an app: its data directory, measured about once an hour.
    Disk,
    /// Bytes a second that came in.
    NetIn,
    /// Bytes a second that went out.
    NetOut,
    /// Degrees Celsius.
    Temperature,
}

/// One measure over time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
pub struct MetricSeries {
    /// What is measured.
    pub kind: MetricKind,
    /// Of what: a service, a file system's directory, a network interface, a sensor; empty for the
    /// app or the node as a whole.
    pub of: String,
    /// What it cannot exceed, where that is known: the memory's limit, the disk's size.
    pub limit: Option<f64>,
    /// Oldest first; null where nothing was measured.
    pub values: Vec<Option<f64>>,
}
