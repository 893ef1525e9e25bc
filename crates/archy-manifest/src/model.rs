//! The manifest as the rest of the project reads it: references checked, defaults filled in.

use std::collections::{BTreeMap, BTreeSet};

pub use archy_types::SecretKind;
use archy_types::{AppId, ServiceName};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::template::Template;

/// One app.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Id: a DNS label.
    pub id: AppId,
    /// Name for people.
    pub name: String,
    /// Version of the app, not of an image.
    pub version: String,
    /// One or more sentences for people.
    pub description: String,
    /// Category in the store, for example `nostr`.
    pub category: Option<String>,
    /// Where new versions of the software appear.
    pub upstream: Option<Upstream>,
    /// Containers in the order they were written; never empty.
    pub services: IndexMap<ServiceName, Service>,
    /// Named volumes (Podman volumes `<id>-<name>`).
    pub volumes: BTreeMap<String, NamedVolume>,
    /// Settings for the owner's form.
    pub config: IndexMap<String, Setting>,
    /// Secrets to generate once, by file name.
    pub secrets: BTreeMap<String, SecretKind>,
    /// Self-signed certificates to make once.
    pub certs: Vec<Cert>,
    /// Files to write before the containers are created.
    pub files: Vec<FileTemplate>,
    /// Steps around an app's life.
    pub hooks: BTreeMap<HookPoint, Vec<HookStep>>,
    /// Roles that this app fills for others.
    pub provides: Vec<Role>,
    /// Apps and roles that this app needs.
    pub requires: Vec<Requirement>,
    /// Free disk space that the app asks for, in bytes.
    pub storage_bytes: Option<u64>,
    /// Doors for people and programs, by name (`main` first).
    pub interfaces: IndexMap<String, Interface>,
    /// What a backup holds.
    pub backup: BackupPolicy,
    /// How an update goes.
    pub update: UpdatePolicy,
    /// OCI architectures (`amd64`, `arm64`); empty means any.
    pub architectures: BTreeSet<String>,
    /// Oldest platform version that can run it.
    pub min_platform: Option<String>,
    /// Boot order among apps: smaller starts earlier; 50 unless written.
    pub boot_priority: u8,
    /// Free-form data for stores: author, website, repo, license, tags, icon, screenshots.
    pub metadata: serde_json::Map<String, serde_json::Value>,
}

/// Where new versions appear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstream {
    /// For example `github`.
    pub kind: String,
    /// For example `owner/name`.
    pub repo: String,
}

/// One container.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// Image or build context.
    pub source: ImageSource,
    /// Runs once to completion before its dependants, instead of for ever.
    pub oneshot: bool,
    /// Replaces the image's entry point.
    pub entrypoint: Option<Vec<String>>,
    /// Arguments after the image.
    pub args: Vec<String>,
    /// Plain environment, in order.
    pub env: IndexMap<String, String>,
    /// Environment from templates, after `env`, in order.
    pub derived_env: IndexMap<String, Template>,
    /// Environment from secrets: variable to secret name.
    pub secret_env: IndexMap<String, String>,
    /// Secrets as files in the container: secret name to absolute path.
    pub secret_files: IndexMap<String, String>,
    /// The network.
    pub network: NetworkMode,
    /// More DNS names on its networks.
    pub aliases: Vec<String>,
    /// Published ports.
    pub ports: Vec<Port>,
    /// Mounts.
    pub mounts: Vec<Mount>,
    /// Devices from the allow-list, as host paths.
    pub devices: Vec<String>,
    /// Health check.
    pub health: Option<HealthCheck>,
    /// Further conditions before the service counts as ready.
    pub ready: Vec<ReadyCondition>,
    /// Other services of the app that come first.
    pub depends_on: IndexMap<ServiceName, DependsOn>,
    /// Budgets.
    pub resources: Resources,
    /// Rights.
    pub security: Security,
    /// `uid`, `uid:gid` or a name known in the image.
    pub user: Option<String>,
    /// Working directory in the container.
    pub working_dir: Option<String>,
    /// Runs an init as PID 1 that reaps children.
    pub init: bool,
    /// Labels on the container; `io.archipelago.*` is the platform's.
    pub labels: IndexMap<String, String>,
    /// Seconds between the stop signal and SIGKILL: 1 to 3600.
    pub stop_grace_secs: u32,
    /// Signal that asks it to stop, for example `SIGINT`; the image's own when absent.
    pub stop_signal: Option<String>,
}

/// Image or build context: exactly one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageSource {
    /// A fully qualified reference with a tag, a digest or both.
    Image(String),
    /// A build context inside the app's package.
    Build {
        /// Directory relative to the manifest.
        context: String,
        /// Containerfile relative to the context.
        containerfile: String,
        /// Build arguments.
        args: BTreeMap<String, String>,
    },
}

/// The network of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkMode {
    /// The app's own bridge network; the default.
    App,
    /// The shared bridge network `archy-net`, beside the app's own when it has several services.
    Shared,
    /// pasta: the client's address is seen; reaches no other container.
    Pasta,
    /// No network.
    None,
}

/// A published port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Port on the host.
    pub host: u16,
    /// Port in the container.
    pub container: u16,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Address on the host that it is published on; the policy of `auth` when absent.
    pub bind: Option<std::net::IpAddr>,
    /// Who may pass.
    pub auth: Option<PortAuth>,
    /// Why it is not gated.
    pub auth_rationale: Option<String>,
}

/// Transport protocol.
#[derive(
    Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

/// Who may pass a port (the app gate's policy).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PortAuth {
    /// Fronted by the gate, needs a dashboard session.
    Gated,
    /// Fronted by the gate, not challenged.
    Open,
    /// Published by the container itself, plain.
    None,
    /// Loopback only.
    Local,
    /// Reserved: the app uses the dashboard's session itself.
    Session,
}

/// A mount in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// What is mounted.
    pub source: MountSource,
    /// Absolute path in the container.
    pub target: String,
    /// Without write access.
    pub read_only: bool,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountSource {
    /// A directory of the app, relative to its data directory (empty: the directory itself).
    AppDir {
        /// Relative path.
        path: String,
        /// Owner in the container, set when the directory is made.
        owner: Option<Owner>,
    },
    /// A named volume.
    Volume(String),
    /// A file from `files`, by its path.
    File(String),
    /// A file of the app's package, relative to the manifest; always read-only.
    Package(String),
    /// The volume named like this role of the app that fills it; always read-only.
    Role(String),
    /// Memory.
    Tmpfs {
        /// Size limit in bytes.
        size_bytes: Option<u64>,
        /// Octal mode.
        mode: Option<u32>,
    },
}

/// Owner as numbers inside the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// A named volume.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct NamedVolume {
    /// Owner in the container, set when the volume is made.
    pub owner: Option<Owner>,
}

/// A health check, run inside the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is asked.
    pub probe: Probe,
    /// Seconds between checks: at least 2.
    pub interval_secs: u32,
    /// Seconds for one check.
    pub timeout_secs: u32,
    /// Failures in a row that make it unhealthy.
    pub retries: u32,
    /// Seconds after the start during which failures do not count.
    pub start_period_secs: u32,
}

/// What a health check asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// An HTTP GET that answers 2xx or 3xx.
    Http {
        /// Port in the container.
        port: u16,
        /// Path with query.
        path: String,
    },
    /// A TCP connection.
    Tcp {
        /// Port in the container.
        port: u16,
    },
    /// A command that exits 0.
    Exec(Vec<String>),
}

/// A condition before a service counts as ready, looked at by the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadyCondition {
    /// What is looked at.
    pub check: ReadyCheck,
    /// Seconds until it counts as failed; 0 means as long as it takes.
    pub timeout_secs: u32,
    /// One sentence for people while it is waited for.
    pub message: Option<String>,
}

/// What a ready condition looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadyCheck {
    /// A field of a JSON document over HTTP.
    HttpJson {
        /// Port in the container that is published on the host.
        port: u16,
        /// Path with query.
        path: String,
        /// JSON pointer (RFC 6901).
        pointer: String,
        /// Value that it must have.
        equals: serde_json::Value,
    },
    /// A line of the log that contains this text.
    LogLine(String),
    /// A file in the container.
    File(String),
    /// A TCP port in the container that accepts.
    Socket(u16),
}

/// Condition on another service of the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DependsOn {
    /// Its container runs.
    Started,
    /// Its health check passes.
    Healthy,
    /// It ran to completion with exit code 0.
    Completed,
    /// Its `ready` conditions hold; between apps only.
    Ready,
}

/// Budgets of one container.
#[derive(Debug, Clone, PartialEq)]
pub struct Resources {
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// CPUs, for example 0.5; unlimited when absent.
    pub cpus: Option<f64>,
    /// Processes and threads.
    pub pids: u32,
    /// Bytes of log that are kept.
    pub log_bytes: u64,
    /// Shared memory in bytes.
    pub shm_bytes: Option<u64>,
    /// Ulimits as `name` to (soft, hard).
    pub ulimits: BTreeMap<String, (u64, u64)>,
}

/// Rights of one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Security {
    /// Capabilities added after all are dropped, without `CAP_`.
    pub capabilities: BTreeSet<String>,
    /// Why it needs them.
    pub capabilities_rationale: Option<String>,
    /// Root file system without write access; `/tmp` is then memory.
    pub readonly_root: bool,
    /// No new privileges; true unless written.
    pub no_new_privileges: bool,
    /// As written, for example `isolated`.
    pub network_policy: Option<String>,
}

/// A self-signed certificate, made once.
#[derive(Debug, Clone, PartialEq)]
pub struct Cert {
    /// Certificate file, relative to the app's data directory.
    pub crt: String,
    /// Key file, relative to the app's data directory.
    pub key: String,
    /// Common name.
    pub common_name: Option<Template>,
    /// Subject alternative names.
    pub sans: Vec<Template>,
}

/// A file written before the containers are created.
#[derive(Debug, Clone, PartialEq)]
pub struct FileTemplate {
    /// Path relative to the app's data directory.
    pub path: String,
    /// Content.
    pub content: Template,
    /// Replaces an existing file; otherwise an existing one is kept.
    pub overwrite: bool,
    /// Octal mode; 0644 unless written, 0600 when it holds a secret.
    pub mode: u32,
}

/// When a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HookPoint {
    /// After the first start of an install.
    PostInstall,
    /// Before each start.
    PreStart,
    /// After each start, when ready.
    PostStart,
    /// Before each stop.
    PreStop,
    /// Before an update.
    PreUpdate,
    /// After an update.
    PostUpdate,
    /// Before a backup.
    PreBackup,
    /// After a backup.
    PostBackup,
    /// After a restore.
    PostRestore,
}

/// One step of a hook.
#[derive(Debug, Clone, PartialEq)]
pub struct HookStep {
    /// What it does.
    pub action: HookAction,
    /// Seconds it may take.
    pub timeout_secs: u32,
    /// May run again on every fresh container.
    pub idempotent: bool,
}

/// What a hook step does.
#[derive(Debug, Clone, PartialEq)]
pub enum HookAction {
    /// Runs a command in a service's container.
    Exec {
        /// Service.
        service: ServiceName,
        /// Command and arguments.
        command: Vec<String>,
        /// User in the container.
        user: Option<String>,
    },
    /// Copies a file of the platform's allow-listed directory into a container.
    CopyFromHost {
        /// Service.
        service: ServiceName,
        /// Path relative to the allow-listed directory.
        src: String,
        /// Absolute path in the container.
        dest: String,
    },
    /// Makes an HTTP request to a published port.
    Http {
        /// Service.
        service: ServiceName,
        /// `GET`, `POST`, …
        method: String,
        /// Port in the container.
        port: u16,
        /// Path with query.
        path: String,
        /// Body.
        body: Option<Template>,
        /// Expected status; any 2xx when absent.
        expect: Option<u16>,
    },
    /// Waits for a condition.
    WaitFor {
        /// Service.
        service: ServiceName,
        /// Condition.
        check: ReadyCheck,
    },
}

/// A role an app fills, for example `bitcoin` version 28.0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Name of the role.
    pub role: String,
    /// Its version.
    pub version: Option<String>,
}

/// Something an app needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// An app's id or a role.
    pub target: RequirementTarget,
    /// Version range (semver requirement).
    pub version: Option<String>,
    /// The app works without it.
    pub optional: bool,
    /// Condition that it waits for.
    pub condition: DependsOn,
}

/// An app or a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequirementTarget {
    /// An app by id.
    App(AppId),
    /// Any app that provides the role.
    Role(String),
}

/// A typed setting for the owner's form.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// Label in the form.
    pub label: String,
    /// Help text.
    pub help: Option<String>,
    /// Type with its limits.
    pub kind: SettingKind,
    /// Value when the owner chose none.
    pub default: Option<serde_json::Value>,
    /// Must have a value before the app starts.
    pub required: bool,
    /// Where the value goes.
    pub targets: Vec<SettingTarget>,
}

/// Type of a setting.
#[derive(Debug, Clone, PartialEq)]
pub enum SettingKind {
    /// Text.
    Text {
        /// Shortest length in characters.
        min_length: Option<u32>,
        /// Longest length in characters.
        max_length: Option<u32>,
        /// Anchored pattern: `a-z`-style classes only, see the reference.
        pattern: Option<String>,
    },
    /// Number.
    Number {
        /// Least value.
        min: Option<f64>,
        /// Greatest value.
        max: Option<f64>,
        /// Whole numbers only.
        integer: bool,
    },
    /// Yes or no.
    Boolean,
    /// One of several.
    Choice(Vec<String>),
    /// Text that is stored as a secret.
    Secret,
    /// A port on the host.
    Port,
    /// A path inside the app's data directory.
    Path,
}

/// Where a setting's value goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingTarget {
    /// An environment variable of a service.
    Env {
        /// Service.
        service: ServiceName,
        /// Variable.
        variable: String,
    },
    /// A file template that names it as `{{config:KEY}}`.
    File(String),
}

/// A door for people or programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Name for people.
    pub name: String,
    /// Description.
    pub description: Option<String>,
    /// What it is for.
    pub kind: InterfaceKind,
    /// Port on the host.
    pub port: u16,
    /// `http`, `https`, `tcp`, …
    pub protocol: String,
    /// Path of a UI.
    pub path: String,
    /// Where the dashboard opens it.
    pub open: OpenIn,
    /// The dashboard may frame its pages even where they forbid frames.
    pub allow_frame: bool,
    /// Its pages are given a signer.
    pub nostr: Option<NostrProvider>,
    /// Header by which the app is told who is there, in lower case.
    pub identity_header: Option<String>,
}

/// How pages are given a signer for Nostr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NostrProvider {
    /// As `window.nostr` (NIP-07).
    Signer,
    /// It logs people in by itself as well (NIP-98).
    Login,
}

/// What an interface is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InterfaceKind {
    /// For people.
    Ui,
    /// For programs.
    Api,
    /// For other nodes.
    P2p,
}

/// Where the dashboard opens a UI.
#[derive(
    Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum OpenIn {
    /// In a frame of the dashboard.
    #[default]
    Frame,
    /// In a tab.
    Tab,
}

/// What a backup holds.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct BackupPolicy {
    /// Paths and volumes that belong in; empty means all.
    pub include: Vec<String>,
    /// Patterns that stay out.
    pub exclude: Vec<String>,
}

/// How an update goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdatePolicy {
    /// Order of stop and start.
    pub strategy: UpdateStrategy,
    /// Seconds that the new version must stay healthy.
    pub soak_secs: u32,
    /// May go back to an older version.
    pub downgrade: bool,
}

/// Order of stop and start in an update.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpdateStrategy {
    /// Old stops, new starts.
    #[default]
    Recreate,
    /// Services one after the other.
    Rolling,
}
