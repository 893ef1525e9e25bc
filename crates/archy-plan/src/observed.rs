//! What was seen on the host. Every fact may be unknown, and then says why.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use archy_manifest::Manifest;
use archy_manifest::model::Protocol;
use archy_quadlet::HostFacts;
use archy_types::{AppId, Cause, Generation, Health, ServiceName, Timestamp};

use crate::adopt::Foreign;

/// A fact, or why it is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known<T> {
    /// It was seen.
    Yes(T),
    /// It could not be seen.
    No(Cause),
}

impl<T> Known<T> {
    /// The fact, if it is known.
    pub const fn get(&self) -> Option<&T> {
        match self {
            Self::Yes(fact) => Some(fact),
            Self::No(_) => None,
        }
    }

    /// Why it is not known.
    pub const fn why_not(&self) -> Option<&Cause> {
        match self {
            Self::Yes(_) => None,
            Self::No(cause) => Some(cause),
        }
    }
}

/// One look at the host.
#[derive(Debug, Clone)]
pub struct Observed {
    /// When the look began.
    pub at: Timestamp,
    /// Facts that shape units.
    pub host: HostFacts,
    /// Files in the user's Quadlet directory: name to text.
    pub unit_files: Known<BTreeMap<String, String>>,
    /// Units by full name (`blog.service`), of ours and of the same names.
    pub units: Known<BTreeMap<String, UnitState>>,
    /// Containers by name.
    pub containers: Known<BTreeMap<String, ContainerState>>,
    /// Images that are present: those that were asked for, by that reference, and all that were made
    /// here (`localhost/…`).
    pub images: Known<BTreeSet<String>>,
    /// Podman volumes by name.
    pub volumes: Known<BTreeSet<String>>,
    /// Podman networks by name.
    pub networks: Known<BTreeSet<String>>,
    /// Networks and volumes that Archipelago did not make.
    pub strangers: Strangers,
    /// Containers that Archipelago did not make, of the apps that they matter to.
    pub foreign: Foreign,
    /// Podman secrets: name to the keyed hash of the content that was handed over.
    pub podman_secrets: Known<BTreeMap<String, String>>,
    /// Secret files: name to the keyed hash of their content.
    pub secret_files: Known<BTreeMap<String, String>>,
    /// What exists below each app's data directory, of the paths the manifest names, relative to
    /// it; the directory itself is the empty path.
    pub app_files: Known<BTreeMap<AppId, BTreeMap<String, FileState>>>,
    /// Digests of what is in the build contexts of apps' services; one that cannot be read is left
    /// out.
    pub contexts: BTreeMap<AppId, BTreeMap<ServiceName, String>>,
    /// Whole snapshots of apps' data, by the generation they were taken before.
    /// An app without any has a rest of some, which is cleared.
    pub snapshots: Known<BTreeMap<AppId, BTreeMap<Generation, SnapshotState>>>,
    /// What goes with an app beyond what its manifest names.
    pub left: Left,
    /// Containers that were ready and in which the hooks of a start have run, by app: name to full
    /// id, as the ledger remembers them. The engine fills them in.
    pub hooked: BTreeMap<AppId, BTreeMap<String, String>>,
    /// Bytes that a snapshot of an app's data would take, of the apps it was asked for.
    pub data_sizes: BTreeMap<AppId, Known<u64>>,
    /// Bytes of images that are on the node, by reference as it was asked for; layers that others share
    /// are counted in each.
    pub image_sizes: BTreeMap<String, u64>,
    /// Seconds that apps were away when something stopped and started them last, as far as the journal
    /// tells. The engine fills them in before an update.
    pub away_secs: BTreeMap<AppId, u32>,
    /// Host ports that something listens on now; the daemon's own listeners are left out.
    pub listening: Known<BTreeSet<(u16, Protocol)>>,
    /// Lowest host port that a program without rights may listen on
    /// (`net.ipv4.ip_unprivileged_port_start`); it counts for IPv6 too.
    pub lowest_port: Known<u16>,
    /// Free bytes on the file system of the data directory.
    pub disk_free_bytes: Known<u64>,
    /// Files that can still be made there; as many as one likes where the file system has no limit.
    pub inodes_free: Known<u64>,
    /// Available memory in bytes.
    pub memory_available_bytes: Known<u64>,
    /// The host's architecture in OCI words (`amd64`).
    pub architecture: String,
    /// Version of the platform, for `min_platform`; empty when it does not matter.
    pub platform: String,
    /// The user manager is going down with the host: conclude nothing from stopped units.
    pub shutting_down: bool,
}

/// What earlier lives of apps may have left.
#[derive(Debug, Default, Clone)]
pub struct Left {
    /// Manifests that apps had before, of the apps that are going.
    pub former: BTreeMap<AppId, Vec<Arc<Manifest>>>,
    /// Snapshots without a readable note, which are good for nothing.
    pub snapshots: BTreeMap<AppId, BTreeSet<Generation>>,
}

/// A snapshot of an app's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotState {
    /// When it was taken.
    pub taken: Timestamp,
    /// Until when it is kept.
    pub expires: Timestamp,
    /// Bytes of the data in it.
    pub bytes: u64,
    /// The wish for which it was put back last.
    pub restored: Option<Generation>,
}

/// A path below an app's data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileState {
    /// A directory.
    Directory,
    /// A file with the digest of its content.
    File {
        /// SHA-256 of the content in hex. It is compared only for files whose template holds no
        /// secret; for the others it may be empty.
        hash: String,
    },
}

/// Networks and volumes without a label `io.archipelago.app` or `io.archipelago.shared`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Strangers {
    /// Networks by name.
    pub networks: BTreeSet<String>,
    /// Volumes by name.
    pub volumes: BTreeSet<String>,
}

/// State of a systemd unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitState {
    /// `loaded`, `not-found`, `masked`, …
    pub load: String,
    /// Active state.
    pub active: ActiveState,
    /// Sub state, for example `running`, `auto-restart`.
    pub sub: String,
    /// Result of the last run: `success`, `exit-code`, `timeout`, `start-limit-hit`, …, or
    /// [`UnitState::UNHEALTHY`] or [`UnitState::OUT_OF_MEMORY`].
    pub result: String,
    /// Exit status of the main process, when it ended.
    pub exit_status: Option<i32>,
    /// Automatic restarts since the last start by hand.
    pub restarts: u32,
    /// When it last became active, in this boot.
    pub active_since: Option<Timestamp>,
    /// When it last became inactive, in this boot.
    pub inactive_since: Option<Timestamp>,
    /// The last lines of its log, of a unit that failed or waits to be started again; cut, without
    /// the app's secrets.
    pub last_words: Option<String>,
}

impl UnitState {
    /// The result of a unit whose container Podman ended since its health check went on failing;
    /// systemd's own word for that depends on how it came to it.
    pub const UNHEALTHY: &'static str = "unhealthy";
    /// The result of a unit in which the kernel ended a process for want of memory; systemd says so
    /// itself only of units whose cgroup is not delegated.
    pub const OUT_OF_MEMORY: &'static str = "oom-kill";
}

/// Active state of a unit (systemd(1), "Units").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ActiveState {
    /// Started.
    Active,
    /// Reloading its configuration.
    Reloading,
    /// Not started.
    Inactive,
    /// Failed.
    Failed,
    /// Being started.
    Activating,
    /// Being stopped.
    Deactivating,
}

impl Observed {
    /// Why it tells no app's state: units or containers could not be listed.
    #[must_use]
    pub fn states_unknown(&self) -> Option<&Cause> {
        self.units.why_not().or_else(|| self.containers.why_not())
    }
}

/// State of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerState {
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// `running`, `created`, `exited`, …
    pub state: String,
    /// Health.
    pub health: Health,
    /// Output of the last health check where it failed, or why it could not be run (then the health
    /// is unknown); cut.
    pub health_output: Option<String>,
    /// Exit code, when it ended.
    pub exit_code: Option<i32>,
    /// Full id; a new one means a fresh container.
    pub id: String,
    /// When it started.
    pub started_at: Option<Timestamp>,
}
