//! Log lines, by call (`package.logs`) and as a stream.
//!
//! `GET /rpc/v1/logs?app=<id>[&service=<name>][&lines=<n>][&since=<ms>][&follow=1]` answers with
//! `application/x-ndjson`: one [`LogFrame`] per line, oldest first. An empty line is a sign of life
//! (at least every 15 s while following). A refusal before the stream begins is a JSON-RPC answer
//! with HTTP status 401, 403, 404 or 400; later failures are a [`LogFrame::Error`] that ends it.
//! Access is that of `package.logs`.

use archy_types::UserError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// Lines that are sent when none are asked for.
pub const DEFAULT_LINES: u32 = 100;
/// The most lines that one call may ask for.
pub const MAX_LINES: u32 = 10_000;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct LogLine {
    /// When (milliseconds since 1970); nought when the source did not tell.
    pub ts: i64,
    /// Service in the app.
    pub service: String,
    /// `stdout`, `stderr`, or `system` for words of the unit itself.
    pub stream: LogSource,
    /// The text without its newline; bytes that are not UTF-8 are replaced.
    pub line: String,
}

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "lowercase")]
pub enum LogSource {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// The service manager.
    System,
}

/// One line of the stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(untagged)]
pub enum LogFrame {
    /// A log line.
    Line(LogLine),
    /// The stream ends here.
    Error {
        /// Why.
        error: UserError,
    },
}

/// The query of the stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogQuery {
    /// The app.
    pub app: String,
    /// Only this service.
    #[serde(default)]
    pub service: Option<String>,
    /// So many of the last lines first; [`DEFAULT_LINES`] when absent.
    #[serde(default)]
    pub lines: Option<u32>,
    /// Only lines since (milliseconds since 1970).
    #[serde(default)]
    pub since: Option<i64>,
    /// `1` goes on with new lines.
    #[serde(default)]
    pub follow: u8,
}

/// Parameters of `package.logs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct LogsParams {
    /// The app.
    pub id: String,
    /// Only this service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// So many of the last lines: 100 when absent, at most 10,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<u32>,
    /// Only lines since (milliseconds since 1970).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
}

/// Result of `package.logs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct LogsResult {
    /// Lines, oldest first.
    pub lines: Vec<LogLine>,
}

/// How grave a line of the daemon's is.
#[derive(
    Debug,
    Default,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    TS,
)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Something does not work.
    Error,
    /// Something works with a loss.
    Warning,
    /// What happens.
    #[default]
    Info,
    /// For those who look for a fault.
    Debug,
}

/// The most lines of the daemon's log that one call may ask for.
pub const MAX_NODE_LINES: u32 = 5_000;

/// Parameters of `system.logs`.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct NodeLogsParams {
    /// So many of the last lines: 100 when absent, at most 5,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<u32>,
    /// Only lines since (milliseconds since 1970).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
    /// Only these and graver ones; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<LogLevel>,
}

/// One line of the daemon's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct NodeLogLine {
    /// When (milliseconds since 1970).
    pub ts: i64,
    /// How grave.
    pub level: LogLevel,
    /// Part of the daemon.
    pub part: String,
    /// The text; secrets are struck out.
    pub line: String,
}

/// Result of `system.logs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct NodeLogsResult {
    /// Lines, oldest first.
    pub lines: Vec<NodeLogLine>,
}
