//! One container: `app.container` and the entries of `app.services`.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::app::{Cert, File};
use super::hooks::JsonField;
use super::scalar::{Seconds, Size};
use crate::model::{DependsOn, SecretKind};

/// One container: exactly one of `image` and `build`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Container {
    /// Image, fully qualified, with a tag or a digest: `registry.example/owner/name:1.2`.
    pub image: Option<String>,
    /// Build context instead of an image.
    pub build: Option<Build>,
    /// Kept for older manifests; an image that is present is never pulled again.
    pub pull_policy: Option<String>,
    /// Runs once to completion before its dependants, instead of for ever. Default: false.
    pub oneshot: bool,
    /// Replaces the image's entry point.
    pub entrypoint: Option<Vec<String>>,
    /// Arguments after the image. Placeholders that are no secrets are filled in.
    #[schemars(extend("x-alias" = ["custom_args", "args"]))]
    pub command: Vec<String>,
    /// Environment: a mapping, or a list of `KEY=value`. Plain text, no placeholders.
    #[schemars(extend("x-alias" = ["environment"]))]
    pub env: Option<Env>,
    /// Environment from templates, after `env`: a mapping, or a list of `{key, template}`.
    pub derived_env: Option<DerivedEnv>,
    /// Environment from secrets: a mapping of variable to secret, or a list of `{key, secret_file}`.
    pub secret_env: Option<SecretEnv>,
    /// Secrets as files in the container: secret to absolute path.
    pub secret_files: IndexMap<String, String>,
    /// Network: `app` (the app's own; the default), `archy-net` (shared, reaches other apps by
    /// name), `pasta` (sees the client's address, reaches no other container) or `none`.
    pub network: Option<String>,
    /// More DNS names on its networks.
    #[schemars(extend("x-alias" = ["network_aliases"]))]
    pub aliases: Vec<String>,
    /// Published ports.
    pub ports: Vec<Port>,
    /// Mounts.
    pub volumes: Vec<Mount>,
    /// Devices from the allow-list, as host paths or as names of the Container Device Interface, for
    /// example `nvidia.com/gpu=all`.
    pub devices: Vec<String>,
    /// Health check, run inside the container.
    #[schemars(extend("x-alias" = ["health_check"]))]
    pub health: Option<Health>,
    /// Further conditions before it counts as ready.
    pub ready: Vec<Ready>,
    /// Other services of the app that come first, with what they must have reached.
    pub depends_on: IndexMap<String, DependsOn>,
    /// Budgets.
    pub resources: Option<Resources>,
    /// Rights.
    pub security: Option<Security>,
    /// `uid`, `uid:gid` or a name known in the image.
    pub user: Option<String>,
    /// Owner of the bind directories, `uid` or `uid:gid` in the container. Default: container root.
    #[schemars(extend("x-alias" = ["data_owner"]))]
    pub data_uid: Option<String>,
    /// Working directory in the container.
    pub working_dir: Option<String>,
    /// Runs an init as PID 1 that reaps children. Default: false.
    pub init: bool,
    /// Labels; `io.archipelago.*` is the platform's.
    pub labels: IndexMap<String, String>,
    /// Seconds between the stop signal and SIGKILL, 1 to 3600. Default: 30.
    pub stop_grace_secs: Option<Seconds>,
    /// Signal that asks it to stop, for example `SIGINT`. Default: the image's own.
    pub stop_signal: Option<String>,
    /// Secrets to generate once. Newer manifests write `app.secrets`.
    pub generated_secrets: Vec<GeneratedSecret>,
    /// Certificates to make once. Newer manifests write `app.certs`.
    pub generated_certs: Vec<Cert>,
    /// Files to write before it is created. Newer manifests write `app.files`.
    pub generated_files: Vec<File>,
}

/// A build context beside the manifest.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Build {
    /// Directory relative to the manifest. Default: `.`.
    pub context: Option<String>,
    /// Containerfile relative to the context. Default: `Containerfile`.
    #[schemars(extend("x-alias" = ["dockerfile"]))]
    pub containerfile: Option<String>,
    /// Build arguments.
    pub args: IndexMap<String, String>,
}

/// Environment variables.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Env {
    /// Entries `KEY=value`.
    List(Vec<String>),
    /// Variables with their values.
    Map(IndexMap<String, String>),
}

/// Environment variables from templates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum DerivedEnv {
    /// Entries with key and template.
    List(Vec<DerivedEnvEntry>),
    /// Variables with their templates.
    Map(IndexMap<String, String>),
}

/// One environment variable from a template.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("required" = ["key", "template"]))]
pub struct DerivedEnvEntry {
    /// Variable.
    pub key: String,
    /// Template, resolved at every start.
    pub template: String,
}

/// Environment variables from secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum SecretEnv {
    /// Entries with key and secret.
    List(Vec<SecretEnvEntry>),
    /// Variables with their secrets.
    Map(IndexMap<String, String>),
}

/// One environment variable from a secret.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("required" = ["key", "secret_file"]))]
pub struct SecretEnvEntry {
    /// Variable.
    pub key: String,
    /// Bare file name of the secret.
    pub secret_file: String,
}

/// A secret to generate once.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("required" = ["name", "kind"]))]
pub struct GeneratedSecret {
    /// Bare file name.
    pub name: String,
    /// Kind.
    pub kind: Option<SecretKind>,
}

/// A published port.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("required" = ["container"]))]
pub struct Port {
    /// Port on the host. Default: the same as `container`.
    #[schemars(range(min = 1))]
    pub host: Option<u16>,
    /// Port in the container.
    #[schemars(range(min = 1))]
    pub container: u16,
    /// Transport. Default: `tcp`.
    pub protocol: Option<Transport>,
    /// Address on the host. Default: loopback behind the gate, all addresses with `auth: none`.
    pub bind: Option<String>,
    /// Who may pass. Default: as `gated`, but counted as not declared.
    pub auth: Option<AuthMode>,
    /// Why it is not gated; asked for with `open` and `none`.
    pub auth_rationale: Option<String>,
}

/// Transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// Who may pass a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuthMode {
    /// Fronted by the gate, needs a dashboard session.
    Gated,
    /// Fronted by the gate (TLS too), not challenged.
    Open,
    /// Published by the container itself, plain.
    None,
    /// Loopback only.
    Local,
    /// Reserved.
    Session,
}

/// A mount.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("required" = ["target"]))]
pub struct Mount {
    /// What is mounted. Default: `bind`.
    #[serde(rename = "type")]
    pub kind: Option<MountType>,
    /// `bind`: a path in the app's data directory, relative or below `/var/lib/archipelago/<id>`;
    /// `volume`: a key of `named_volumes`; `file`: a path of `files`; `package`: a file beside the
    /// manifest; `role`: a role of `requires`; not for `tmpfs`.
    pub source: Option<String>,
    /// Absolute path in the container.
    pub target: String,
    /// `rw` or `ro`.
    pub options: Vec<String>,
    /// Without write access. Default: false; `package` and `role` are always read-only.
    pub read_only: Option<bool>,
    /// Owner in the container of a `bind` directory, `uid` or `uid:gid`. Default: `data_uid`.
    pub owner: Option<String>,
    /// Size limit of a `tmpfs`.
    pub size: Option<Size>,
    /// Octal mode of a `tmpfs`.
    pub mode: Option<String>,
}

/// What is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MountType {
    /// A directory of the app.
    Bind,
    /// A named volume.
    Volume,
    /// A file of `files`.
    File,
    /// A file of the app's package, read-only.
    Package,
    /// What the app that fills a required role gives out, read-only: its volume named like the role.
    Role,
    /// Memory.
    Tmpfs,
}

/// A health check. Without `type`: `exec` with a command, `http` with a path or an http endpoint,
/// else `tcp`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Health {
    /// What is asked.
    #[serde(rename = "type")]
    pub kind: Option<HealthType>,
    /// Older way to write the port: `http://localhost:<port in the container>`.
    pub endpoint: Option<String>,
    /// Port in the container.
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    /// Path with query for `http`; 2xx and 3xx are healthy. Default: `/`.
    pub path: Option<String>,
    /// Command for `exec`; exit code 0 is healthy. No shell unless written.
    pub command: Vec<String>,
    /// Time between checks, at least `2s`. Default: `30s`.
    pub interval: Option<Seconds>,
    /// Time for one check. Default: `5s`.
    pub timeout: Option<Seconds>,
    /// Failures in a row that make it unhealthy. Default: 3.
    pub retries: Option<u32>,
    /// Time after the start during which failures do not count. Default: `0s`.
    pub start_period: Option<Seconds>,
}

/// What a health check asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HealthType {
    /// An HTTP GET.
    Http,
    /// A TCP connection.
    Tcp,
    /// A command in the container.
    Exec,
}

/// A condition before a service counts as ready: exactly one of `http_json`, `log_line`, `file` and
/// `socket`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Ready {
    /// A field of a JSON document over HTTP, for example "initialblockdownload is false".
    pub http_json: Option<JsonField>,
    /// A line of the log that contains this text.
    pub log_line: Option<String>,
    /// A file in the container.
    pub file: Option<String>,
    /// A TCP port in the container that accepts.
    pub socket: Option<u16>,
    /// Time until it counts as failed; `0` means as long as it takes. Default: `5m`.
    pub timeout: Option<Seconds>,
    /// One sentence for people while it is waited for.
    pub message: Option<String>,
}

/// Budgets of one container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Resources {
    /// Memory. Default: `512Mi`.
    #[schemars(extend("x-alias" = ["memory_limit"]))]
    pub memory: Option<Size>,
    /// CPUs, for example `0.5`. Default: unlimited.
    #[schemars(extend("x-alias" = ["cpu_limit"]))]
    pub cpus: Option<f64>,
    /// Processes and threads. Default: 512.
    #[schemars(extend("x-alias" = ["pids_limit"]))]
    pub pids: Option<u32>,
    /// Log that is kept. Default: `10Mi`.
    pub log_size: Option<Size>,
    /// Shared memory (`/dev/shm`). Default: Podman's 64 MB.
    pub shm_size: Option<Size>,
    /// Ulimits by name, for example `nofile: 65536`.
    pub ulimits: IndexMap<String, Ulimit>,
}

/// A ulimit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Ulimit {
    /// Soft and hard limit alike.
    Both(u64),
    /// Soft and hard limit.
    Pair(UlimitPair),
}

/// Soft and hard limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("required" = ["soft", "hard"]))]
pub struct UlimitPair {
    /// Soft limit.
    pub soft: u64,
    /// Hard limit.
    pub hard: u64,
}

/// Rights of one container. All capabilities are dropped first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Security {
    /// Capabilities to add, with or without `CAP_`.
    pub capabilities: Vec<String>,
    /// Why it needs them; asked for with those that reach beyond the container.
    pub capabilities_rationale: Option<String>,
    /// Root file system without write access; `/tmp` is then memory. Default: false.
    pub readonly_root: bool,
    /// No new privileges. Default: true.
    pub no_new_privileges: Option<bool>,
    /// Kept for older manifests, for example `isolated`.
    pub network_policy: Option<String>,
}
