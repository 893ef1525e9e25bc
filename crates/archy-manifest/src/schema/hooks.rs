//! Steps around an app's life.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scalar::Seconds;

/// Steps around the app's life. Each point holds a list that runs in order; the first failed step
/// fails the operation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Hooks {
    /// After the first start of an install; idempotent steps also on every fresh container.
    pub post_install: Vec<Step>,
    /// Before each start. Containers of the app do not run yet.
    pub pre_start: Vec<Step>,
    /// After each start, when ready.
    pub post_start: Vec<Step>,
    /// Before each stop.
    pub pre_stop: Vec<Step>,
    /// Before an update, with the old version running.
    pub pre_update: Vec<Step>,
    /// After an update, with the new version running.
    pub post_update: Vec<Step>,
    /// Before a backup, for example a database dump.
    pub pre_backup: Vec<Step>,
    /// After a backup.
    pub post_backup: Vec<Step>,
    /// After a restore.
    pub post_restore: Vec<Step>,
}

/// One step: exactly one of `exec`, `copy_from_host`, `http` and `wait_for`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Step {
    /// Runs a command in a container.
    pub exec: Option<ExecStep>,
    /// Copies a file of the platform's payload directory into a container.
    pub copy_from_host: Option<CopyFromHost>,
    /// Makes an HTTP request to a published port.
    pub http: Option<HttpStep>,
    /// Waits for a condition.
    pub wait_for: Option<WaitFor>,
    /// Time it may take. Default: `60s`.
    pub timeout: Option<Seconds>,
    /// May run again on every fresh container. Say it for `exec` and `http`; the others are
    /// idempotent.
    pub idempotent: Option<bool>,
}

/// A command: a list, or a mapping with the service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ExecStep {
    /// Command and arguments, in the only or the `main` service.
    Command(Vec<String>),
    /// Command with its service.
    Full(Exec),
}

/// A command in a service's container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("required" = ["command"]))]
pub struct Exec {
    /// Service. Default: the only one, or `main`.
    pub service: Option<String>,
    /// Command and arguments; no shell.
    pub command: Vec<String>,
    /// User in the container.
    pub user: Option<String>,
}

/// A file to copy.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("required" = ["src", "dest"]))]
pub struct CopyFromHost {
    /// Service. Default: the only one, or `main`.
    pub service: Option<String>,
    /// Path relative to the platform's payload directory, for example `web-ui/nostr-provider.js`.
    pub src: String,
    /// Absolute path in the container.
    pub dest: String,
}

/// An HTTP request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("required" = ["port", "path"]))]
pub struct HttpStep {
    /// Service. Default: the only one, or `main`.
    pub service: Option<String>,
    /// Method. Default: `GET`.
    pub method: Option<String>,
    /// Port in the container; it must be published.
    pub port: u16,
    /// Path with query.
    pub path: String,
    /// Body; a template.
    pub body: Option<String>,
    /// Expected status. Default: any 2xx.
    pub expect: Option<u16>,
}

/// A condition: exactly one of `http_json`, `log_line`, `file` and `socket`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct WaitFor {
    /// Service. Default: the only one, or `main`.
    pub service: Option<String>,
    /// A field of a JSON document over HTTP.
    pub http_json: Option<JsonField>,
    /// A line of the log that contains this text.
    pub log_line: Option<String>,
    /// A file in the container.
    pub file: Option<String>,
    /// A TCP port in the container that accepts.
    pub socket: Option<u16>,
}

/// A field of a JSON document over HTTP.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("required" = ["port", "pointer", "equals"]))]
pub struct JsonField {
    /// Port in the container; it must be published.
    pub port: u16,
    /// Path with query. Default: `/`.
    pub path: Option<String>,
    /// JSON pointer (RFC 6901), for example `/result/initialblockdownload`.
    pub pointer: String,
    /// Value that the field must have.
    pub equals: serde_json::Value,
}
