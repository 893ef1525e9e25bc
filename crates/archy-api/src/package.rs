//! `package.*`: apps.

use std::collections::BTreeMap;

use archy_types::{Actor, Cause, UserError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use ts_rs::TS;

use crate::state::{Finding, Protocol};

/// Names an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct AppParams {
    /// The app.
    pub id: String,
}

/// Parameters of `package.install`. The manifest is `manifest`, else the one at `path`, else the
/// one that the node knows for `id`. An installed app is brought to it.
#[derive(Default, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct InstallParams {
    /// The app; must be the manifest's id.
    pub id: String,
    /// Image reference as existing clients send it: the manifest's image counts, this one only
    /// says which version is meant.
    #[serde(
        rename = "dockerImage",
        alias = "docker_image",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub docker_image: Option<String>,
    /// Text of the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// Directory on the node with the app's package (build contexts, files); a manifest file
    /// names its directory. Only over the unix socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Settings by key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<BTreeMap<String, Value>>,
    /// Host ports other than the manifest's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports: Option<Vec<PortChoice>>,
}

impl std::fmt::Debug for InstallParams {
    /// Settings may be secret: only their keys are shown; of the manifest only its length.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InstallParams")
            .field("id", &self.id)
            .field("docker_image", &self.docker_image)
            .field("manifest_bytes", &self.manifest.as_ref().map(String::len))
            .field("path", &self.path)
            .field("config", &self.config.as_ref().map(|map| map.keys().collect::<Vec<_>>()))
            .field("ports", &self.ports)
            .finish()
    }
}

/// Parameters of `package.update`: those of `package.install`, of an app that is installed.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
pub struct UpdateParams {
    /// To which manifest, with which settings.
    #[serde(flatten)]
    pub target: InstallParams,
    /// Digest of the manifest (`sha256:…`, as `package.plan` gives it) whose wider rights the owner
    /// consents to. Needed only when it may do more than the installed one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub consent: Option<String>,
}

/// Parameters of `package.rollback`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct RollbackParams {
    /// The app.
    pub id: String,
    /// With the data as it is now instead of that from before the update; only where the manifest
    /// allows an older version on it.
    #[serde(default)]
    #[ts(optional, as = "Option<bool>")]
    pub keep_data: bool,
}

/// Parameters of `package.cancel`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct CancelParams {
    /// The app.
    pub id: String,
    /// The operation, if only this one is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<i64>,
}

/// A host port chosen instead of the manifest's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct PortChoice {
    /// Host port in the manifest.
    pub declared: u16,
    /// Protocol; TCP when absent.
    #[serde(default)]
    #[ts(optional, as = "Option<Protocol>")]
    pub protocol: Protocol,
    /// Host port to use.
    pub host: u16,
}

/// Result of `package.install` and `package.update`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct InstallResult {
    /// The app.
    pub package_id: String,
    /// `installing`; of an update `updating`.
    pub status: String,
    /// The operation; null when the app is already so.
    pub operation: Option<i64>,
    /// What was asked for and not done: an image that is not the manifest's. Absent when there is
    /// nothing to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// Result of `package.start`, `stop`, `restart`, `rollback`, `cancel`, `uninstall` and `config.set`: the work goes on in
/// the background.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct AcceptedResult {
    /// The app.
    pub package_id: String,
    /// `starting`, `stopping`, `restarting`, `rolling-back`, `cancelling`, `removing`, `configuring`, or `unchanged`.
    pub status: String,
    /// The operation; null when it is already so.
    pub operation: Option<i64>,
    /// Who suffers from it: apps that need one which is stopped or removed. Absent when nobody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// Parameters of `package.uninstall`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct UninstallParams {
    /// The app.
    pub id: String,
    /// Also its data, volumes and secrets.
    #[serde(default)]
    #[ts(optional, as = "Option<bool>")]
    pub purge: bool,
}

/// Parameters of `package.adopt`. The manifest is `manifest`, else the one at `path`, else the one
/// that the node knows for `id`.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct AdoptParams {
    /// The app; must be the manifest's id.
    pub id: String,
    /// Text of the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// Manifest, or directory with one, on the node. Only over the unix socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// Result of `package.adoptable`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct AdoptableResult {
    /// Apps whose containers are there and were not made by Archipelago.
    pub apps: Vec<AdoptableApp>,
}

/// An app whose containers could be adopted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct AdoptableApp {
    /// The app.
    pub id: String,
    /// Its containers by service.
    pub containers: BTreeMap<String, String>,
    /// What made them: `podman-run`, `compose`, `quadlet`, `systemd-unit`.
    pub origin: String,
    /// They were started by an older daemon as its own children, and stop when the daemon stops.
    pub dies_with_daemon: bool,
    /// Why they cannot be adopted as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<UserError>,
}

/// Parameters of `package.migrate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct MigrateParams {
    /// The app.
    pub id: String,
    /// Also when it changes what the manifest does not name, as `package.plan` shows it.
    #[serde(default)]
    #[ts(optional, as = "Option<bool>")]
    pub accept: bool,
    /// `migrate` when absent.
    #[serde(default)]
    #[ts(optional, as = "Option<MigrateWay>")]
    pub way: MigrateWay,
}

/// Which way a migration goes.
#[derive(
    Debug, Default, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, TS,
)]
#[serde(rename_all = "kebab-case")]
pub enum MigrateWay {
    /// Adopted containers give way to Archipelago's own.
    #[default]
    Migrate,
    /// They are brought back.
    Rollback,
    /// The way back is given up: containers that were kept aside go.
    Commit,
}

/// What `package.plan` plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "kebab-case")]
pub enum PlanAction {
    /// `package.install`.
    Install,
    /// `package.start`.
    Start,
    /// `package.stop`.
    Stop,
    /// `package.restart`.
    Restart,
    /// `package.uninstall`.
    Uninstall,
    /// `package.config.set`.
    Configure,
    /// `package.update`.
    Update,
    /// `package.rollback`.
    Rollback,
    /// `package.adopt`.
    Adopt,
    /// `package.migrate`.
    Migrate,
    /// `package.migrate` with the way `rollback`.
    MigrateRollback,
}

/// Parameters of `package.plan`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
pub struct PlanParams {
    /// What would be done.
    pub action: PlanAction,
    /// To which app, and for an install or an update with which manifest.
    #[serde(flatten)]
    pub target: InstallParams,
    /// For an uninstall: also its data.
    #[serde(default)]
    #[ts(optional, as = "Option<bool>")]
    pub purge: bool,
    /// For a rollback: the data stays as it is.
    #[serde(default)]
    #[ts(optional, as = "Option<bool>")]
    pub keep_data: bool,
}

/// Result of `package.plan`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
pub struct PlanResult {
    /// The app.
    pub package_id: String,
    /// Generation of the desired state that it was made for.
    pub generation: u64,
    /// Digest of the manifest.
    pub manifest: String,
    /// No finding forbids it.
    pub allowed: bool,
    /// Steps in order; none means that it is already so.
    pub steps: Vec<PlanStep>,
    /// What was checked.
    pub checks: Vec<Finding>,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct PlanStep {
    /// Kind, for example `pull-image`, `write-unit-file`, `start-units`, `purge-volume`.
    pub kind: String,
    /// What is done, in words.
    pub text: String,
    /// Why.
    pub reason: String,
    /// What it is done to: a unit, file, image, volume, secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Unified difference of a text that changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
}

/// Parameters of `package.history`.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct HistoryParams {
    /// Only this app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// At most so many; 50 when absent, at most 500.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Only operations before this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<i64>,
    /// Also each one's plan, and what came of every step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full: Option<bool>,
}

/// Result of `package.history`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
pub struct HistoryResult {
    /// Operations, newest first.
    pub operations: Vec<OperationRecord>,
}

/// An operation of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
pub struct OperationRecord {
    /// Its number.
    pub id: i64,
    /// The app.
    pub package_id: String,
    /// `install`, `update`, `rollback`, `start`, `stop`, `restart`, `uninstall`, `config`, `recover`.
    pub kind: String,
    /// Who asked.
    pub actor: Actor,
    /// When it began (milliseconds since 1970).
    pub started: i64,
    /// When it ended; null while it is under way.
    pub ended: Option<i64>,
    /// How it ended.
    pub outcome: Outcome,
    /// What it failed with.
    pub error: Option<UserError>,
    /// What was done, in order.
    pub steps: Vec<String>,
    /// Its plan and what came of every step, when asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub details: Option<OperationDetails>,
}

/// An operation's plan and what came of it.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
pub struct OperationDetails {
    /// The newest plan, each step with its reason.
    pub plan: Vec<PlanStep>,
    /// Findings of the plan.
    pub checks: Vec<Finding>,
    /// Steps as they were taken.
    pub steps: Vec<StepRecord>,
    /// Why it ended as it did.
    pub cause: Option<Cause>,
}

/// A step of an operation as it was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct StepRecord {
    /// What it does.
    pub text: String,
    /// `pending`, `running`, `done`, `failed`, `skipped`.
    pub state: String,
    /// When it began (milliseconds since 1970).
    pub started: Option<i64>,
    /// When it ended.
    pub ended: Option<i64>,
    /// What came of it, or why it failed.
    pub outcome: Option<String>,
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Not yet.
    Running,
    /// It is done.
    Done,
    /// It failed.
    Failed,
    /// A newer wish replaced it.
    Superseded,
    /// Somebody cancelled it; the app is what it was before.
    Cancelled,
}

/// Result of `package.config.get`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
pub struct ConfigResult {
    /// The app.
    pub package_id: String,
    /// Settings in the manifest's order.
    pub settings: Vec<Setting>,
}

/// A setting with its value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct Setting {
    /// Key.
    pub key: String,
    /// Label.
    pub label: String,
    /// Explanation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Kind.
    pub kind: SettingKind,
    /// Value in force; always absent for a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// Default; always absent for a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// The owner chose a value.
    pub is_set: bool,
    /// Must have a value.
    pub required: bool,
    /// The possible values of a choice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[ts(optional, as = "Option<Vec<String>>")]
    pub choices: Vec<String>,
    /// Least number, or least length of a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// Greatest number, or greatest length of a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// Regular expression that a text must match as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
}

/// Kind of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "lowercase")]
pub enum SettingKind {
    /// A text.
    Text,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// One of `choices`.
    Choice,
    /// A text that is never shown.
    Secret,
    /// A port number.
    Port,
    /// A path.
    Path,
}

/// Parameters of `package.config.set`.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
pub struct SetConfigParams {
    /// The app.
    pub id: String,
    /// Values by key; null puts a setting back to its default. Others stay.
    #[serde(alias = "config")]
    pub settings: BTreeMap<String, Value>,
}

impl std::fmt::Debug for SetConfigParams {
    /// Values may be secret: only keys are shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SetConfigParams")
            .field("id", &self.id)
            .field("settings", &self.settings.keys().collect::<Vec<_>>())
            .finish()
    }
}

/// Parameters of `package.exec`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct ExecParams {
    /// The app.
    pub id: String,
    /// Service; the chief one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Program and arguments; no shell is involved.
    pub command: Vec<String>,
    /// User in the container; the container's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Deadline in seconds: 60 when absent, at most 3,600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_secs: Option<u32>,
}

/// Result of `package.exec`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct ExecResult {
    /// Exit code.
    pub exit_code: i64,
    /// Output and errors, cut at 64 KiB.
    pub output: String,
}

/// Result of `package.available`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct AvailableResult {
    /// Apps whose manifest the node has, by id.
    pub apps: Vec<AvailableApp>,
    /// Manifests that could not be read.
    pub broken: Vec<BrokenManifest>,
}

/// An app that can be installed by its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct AvailableApp {
    /// The app.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Version.
    pub version: String,
    /// Description.
    pub description: String,
    /// Category.
    pub category: Option<String>,
    /// `local` (side-loaded), `registry` or `bundled`.
    pub source: String,
    /// Name of the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub registry: Option<String>,
    /// The registry's catalog is past its date.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[ts(optional, as = "Option<bool>")]
    pub stale: bool,
    /// It is installed.
    pub installed: bool,
    /// Its picture: an address on the node or inside the text; empty when there is none.
    pub icon: String,
    /// Pictures of its pages: addresses on the node.
    pub screenshots: Vec<String>,
    /// What it needs of the node.
    pub needs: Needs,
    /// What it may do beyond what every app may.
    pub rights: Vec<Right>,
}

/// What an app needs of the node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct Needs {
    /// Most memory that its services may use together, in bytes.
    pub memory_bytes: u64,
    /// Free space on the disk that it asks for, in bytes.
    pub storage_bytes: Option<u64>,
    /// Architectures that it runs on (`amd64`, `arm64`); empty means any.
    pub architectures: Vec<String>,
    /// Apps and roles that must be there.
    pub apps: Vec<String>,
}

/// Something that an app may do beyond what every app may.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct Right {
    /// What kind of right it is.
    pub kind: RightKind,
    /// What it is about: the capability, device, port or role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
    /// Why, in its maker's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Kinds of rights.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, TS,
)]
#[serde(rename_all = "kebab-case")]
pub enum RightKind {
    /// Its processes may gain new privileges inside their container.
    NewPrivileges,
    /// A capability of the kernel.
    Capability,
    /// A device of the machine.
    Device,
    /// It stands on the node's own network addresses.
    HostNetwork,
    /// It reaches the other apps on the shared network.
    SharedNetwork,
    /// Everybody in the network passes one of its ports without signing in.
    OpenPort,
    /// It reads what the app that fills a role gives out.
    RoleData,
    /// It knows the public keys of the identities.
    IdentityKeys,
    /// Its pages may ask for signatures.
    Signer,
    /// It is told which user is there.
    Visitor,
}

/// A manifest on the node that is not valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct BrokenManifest {
    /// Name of its directory.
    pub name: String,
    /// What is wrong.
    pub error: UserError,
}

/// Result of `package.snapshots`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct SnapshotsResult {
    /// Copies of the app's data, newest first.
    pub snapshots: Vec<SnapshotRecord>,
    /// What `package.rollback` goes back to; null when there is nothing.
    pub previous: Option<PreviousVersion>,
}

/// A copy of an app's data, made before an update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct SnapshotRecord {
    /// Generation of the update that it was made before.
    pub generation: u64,
    /// When it was made (milliseconds since 1970).
    pub taken: i64,
    /// Until when it is kept (milliseconds since 1970).
    pub expires: i64,
    /// Bytes of the data.
    pub bytes: u64,
    /// Version that the data is of; null when that is not known any more.
    pub version: Option<String>,
    /// Version that the update brought.
    pub before_version: String,
    /// `package.rollback` puts it back.
    pub goes_back: bool,
    /// It was put back before.
    pub restored: bool,
}

/// What an app was before its last update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct PreviousVersion {
    /// Its version.
    pub version: String,
    /// When it was replaced (milliseconds since 1970).
    pub replaced: i64,
    /// Until when one can go back (milliseconds since 1970).
    pub until: i64,
}
