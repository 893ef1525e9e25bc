//! The state document: `data` of `server.get-state`, and what a subscription patches.
//!
//! Keys are in `kebab-case`, as existing dashboards and scripts read them.

use std::collections::BTreeMap;

use archy_types::{Actor, AppState, Cause, Code, Health, StatusReport, UserError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// The state document.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "kebab-case")]
pub struct StateData {
    /// Apps by id: installed ones and ones being installed.
    pub package_data: BTreeMap<String, PackageData>,
    /// The node.
    #[serde(rename = "server_info")]
    pub server_info: ServerInfo,
    /// When the host was last seen in full (milliseconds since 1970).
    pub observed_at: i64,
    /// Why the last look at the host failed, if it did: the rest is then old, not wrong.
    pub stale_because: Option<Cause>,
    /// What the owner should know of the node as a whole, the gravest first: a full disk, a store
    /// that was rebuilt, a clock that jumped.
    #[serde(default)]
    pub notices: Vec<Notice>,
    /// How many entries of `notify.list` nobody has read.
    #[serde(default)]
    pub unread: u32,
}

/// Something that the owner should know of the node as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "kebab-case")]
#[ts(optional_fields)]
pub struct Notice {
    /// Weight: with an error nothing can be changed on the node.
    pub severity: Severity,
    /// Stable code, for example `disk-full`.
    pub code: Code,
    /// One sentence with the figures.
    pub text: String,
    /// Since when (milliseconds since 1970).
    pub since: i64,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

/// The node.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "kebab-case")]
#[ts(optional_fields)]
pub struct ServerInfo {
    /// The node's ed25519 key in hex, when it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pubkey: Option<String>,
    /// Name for people.
    pub name: String,
    /// Version of the daemon.
    pub version: String,
    /// Name of the host.
    pub hostname: String,
}

/// State in the words that existing clients know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "kebab-case")]
pub enum PackageState {
    /// An install is under way.
    Installing,
    /// Not ready yet.
    Starting,
    /// Runs; `health` says how well.
    Running,
    /// Something it needs is missing.
    Waiting,
    /// A stop is under way.
    Stopping,
    /// Stopped, because somebody asked.
    Stopped,
    /// Failed.
    Exited,
    /// An update is under way.
    Updating,
    /// An uninstall is under way.
    Removing,
    /// The host did not tell.
    Unknown,
}

impl From<AppState> for PackageState {
    fn from(state: AppState) -> Self {
        match state {
            AppState::Installing => Self::Installing,
            AppState::Starting => Self::Starting,
            // scripts wait for `running`; an unhealthy app runs
            AppState::Running | AppState::Unhealthy => Self::Running,
            AppState::Waiting => Self::Waiting,
            AppState::Stopping => Self::Stopping,
            AppState::Stopped => Self::Stopped,
            AppState::Failed => Self::Exited,
            AppState::Updating => Self::Updating,
            AppState::Removing => Self::Removing,
            AppState::Unknown => Self::Unknown,
        }
    }
}

/// Health as existing clients know it: `healthy`, `unhealthy`, or absent.
#[must_use]
pub const fn known_health(health: Health) -> Option<Health> {
    match health {
        Health::Healthy | Health::Unhealthy => Some(health),
        Health::Starting | Health::Unknown => None,
    }
}

/// One app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "kebab-case")]
#[ts(optional_fields)]
pub struct PackageData {
    /// State in old words; `status` says more.
    pub state: PackageState,
    /// `healthy`, `unhealthy`, or absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// Progress of the operation under way, or why the last install failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install_progress: Option<InstallProgress>,
    /// The app's card.
    pub manifest: ManifestCard,
    /// License, instructions, icon.
    pub static_files: StaticFiles,
    /// Where it answers.
    pub installed: Installed,
    /// State, cause, actor, since, next step, repair, deadline.
    pub status: StatusReport,
    /// What the owner wants: `running`, `stopped`, `removed`, `purged`.
    pub desired: String,
    /// Generation of the desired state.
    pub generation: u64,
    /// Digest of the manifest.
    pub digest: String,
    /// Services in manifest order.
    pub services: Vec<ServiceState>,
    /// Published ports as they really are.
    pub ports: Vec<PortState>,
    /// The operation at work on it, or the last one if it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<OperationState>,
    /// What to know, for example a budget that this host cannot enforce.
    pub notes: Vec<Finding>,
    /// What it took over that Archipelago did not make; absent when there is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted: Option<AdoptedState>,
}

/// Containers that an app took over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "kebab-case")]
pub struct AdoptedState {
    /// What made them: `podman-run`, `compose`, `quadlet`, `systemd-unit`.
    pub origin: String,
    /// When they were adopted (milliseconds since 1970).
    pub since: i64,
    /// `watched` as they were found, `migrated` with a way back, `committed` without.
    pub stage: String,
    /// Version of the migration that was done; null before it.
    pub migration: Option<u32>,
    /// They stop when the daemon stops, until they are migrated.
    pub dies_with_daemon: bool,
}

/// Progress in old words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "kebab-case")]
pub struct InstallProgress {
    /// The step in words, or the reason of a failure.
    pub message: String,
    /// Progress of the step, 0 to 100, when it is known.
    pub percent: Option<u8>,
    /// Step at work, from 1.
    pub step: u32,
    /// How many steps there are.
    pub steps: u32,
}

/// What a store shows of an app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "kebab-case")]
pub struct ManifestCard {
    /// The app.
    pub id: String,
    /// Name for people.
    pub title: String,
    /// Version of the app.
    pub version: String,
    /// What it is.
    pub description: Description,
    /// What is new.
    pub release_notes: String,
    /// License of the software, empty when not told.
    pub license: String,
    /// Repository of the package.
    pub wrapper_repo: String,
    /// Repository of the software.
    pub upstream_repo: String,
    /// Help.
    pub support_site: String,
    /// Home page.
    pub marketing_site: String,
    /// Donations.
    pub donation_url: Option<String>,
    /// Author, empty when not told.
    pub author: String,
    /// The app's address in the local network.
    pub website: String,
    /// Trust tier, for example `local`.
    pub tier: String,
    /// Category.
    pub category: Option<String>,
    /// Doors for people and programs, by name.
    pub interfaces: BTreeMap<String, InterfaceCard>,
}

/// What an app is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct Description {
    /// First sentence.
    pub short: String,
    /// All of it.
    pub long: String,
}

/// A door of an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "kebab-case")]
pub struct InterfaceCard {
    /// Label.
    pub name: String,
    /// Explanation.
    pub description: String,
    /// `ui`, `api` or `p2p`.
    #[serde(rename = "type")]
    pub kind: String,
    /// A page for people.
    pub ui: bool,
    /// Host port.
    pub port: u16,
    /// `http`, `https`, `tcp`, …
    pub protocol: String,
    /// Path.
    pub path: String,
    /// Opens inside the dashboard (`frame`) or beside it (`tab`).
    pub opens_in: String,
}

/// Files of an app's card: addresses or texts, empty when there are none.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "kebab-case")]
pub struct StaticFiles {
    /// License.
    pub license: String,
    /// Instructions.
    pub instructions: String,
    /// Icon.
    pub icon: String,
}

/// Where an app answers.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "kebab-case")]
pub struct Installed {
    /// Addresses by interface (`main` first).
    pub interface_addresses: BTreeMap<String, InterfaceAddresses>,
}

/// Addresses of one interface.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "kebab-case")]
#[ts(optional_fields)]
pub struct InterfaceAddresses {
    /// Address in Tor, empty when there is none.
    pub tor_address: String,
    /// Address in the local network.
    #[ts(optional = false)]
    pub lan_address: Option<String>,
    /// Declared policy of the address's port (`gated`, `open`, …); absent when undeclared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lan_port_auth: Option<String>,
}

/// A service of an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "kebab-case")]
pub struct ServiceState {
    /// Name in the manifest.
    pub name: String,
    /// Container name, also its unit without suffix.
    pub container: String,
    /// Image reference.
    pub image: String,
    /// Active state in systemd's words, `unknown` if it was not seen.
    pub unit_state: String,
    /// Health.
    pub health: Health,
    /// Last words of a failing health check.
    pub health_output: Option<String>,
    /// Automatic restarts since the last start by hand.
    pub restarts: u32,
    /// Exit status, when it ended.
    pub exit_status: Option<i32>,
    /// When it became active (milliseconds since 1970).
    pub active_since: Option<i64>,
}

/// Transport protocol.
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
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

/// A published port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "kebab-case")]
#[ts(optional_fields)]
pub struct PortState {
    /// Service.
    pub service: String,
    /// Port on the host.
    pub host: u16,
    /// Port in the container.
    pub container: u16,
    /// Protocol.
    pub protocol: Protocol,
    /// Declared policy (`gated`, `open`, `none`, `local`, `session`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<String>,
    /// Published on loopback only.
    pub loopback_only: bool,
}

/// An operation under way, or the last one if it failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "kebab-case")]
pub struct OperationState {
    /// Its number.
    pub id: i64,
    /// `install`, `start`, `stop`, `restart`, `uninstall`, `config`, `recover`.
    pub kind: String,
    /// Who asked.
    pub actor: Actor,
    /// When it began (milliseconds since 1970).
    pub started: i64,
    /// Step at work, from 1.
    pub step: u32,
    /// How many steps there are.
    pub steps: u32,
    /// The step in words.
    pub text: String,
    /// Progress of the step, 0 to 100, when it is known.
    pub percent: Option<u8>,
    /// Bytes of the step that arrived, and how many there are so far, when it downloads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub bytes: Option<[u64; 2]>,
    /// What it failed with; then it has ended.
    pub error: Option<UserError>,
}

/// Weight of a finding.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, TS,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Note,
    /// Works, with a loss that is named.
    Warning,
    /// Nothing may be done.
    Error,
}

/// A finding about an app or a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct Finding {
    /// Weight.
    pub severity: Severity,
    /// Stable code, for example `port-taken`.
    pub code: Code,
    /// One sentence with the figures.
    pub message: String,
    /// What to do about it.
    pub mend: Option<String>,
}
