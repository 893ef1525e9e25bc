//! What a look tells of containers that Archipelago did not make, of those that matter.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use archy_types::{AppId, Cause, Digest, Generation, Secret, Timestamp};

use super::inspect::Inspected;

/// Foreign containers and what belongs to them, of adopted apps and of apps to be adopted.
#[derive(Debug, Default, Clone)]
pub struct Foreign {
    /// Containers by name.
    pub containers: BTreeMap<String, ForeignContainer>,
    /// Files that run them, of those in the records, that are in their place.
    pub files: BTreeSet<PathBuf>,
    /// Such files that are kept aside.
    pub files_aside: BTreeSet<PathBuf>,
    /// Data that was copied for migrations, by app.
    pub copied: BTreeMap<AppId, Vec<Copied>>,
    /// When this host began to run.
    pub booted: Option<Timestamp>,
    /// When this daemon began to run.
    pub daemon_since: Option<Timestamp>,
    /// Why the containers could not be looked at.
    pub unknown: Option<Cause>,
}

/// A foreign container.
#[derive(Debug, Clone)]
pub struct ForeignContainer {
    /// What Podman tells of it.
    pub seen: Inspected,
    /// Its processes are gone, and so is what watched over it: Podman goes on telling that it runs.
    pub is_dead: bool,
    /// Cgroup of the program that watches over it, as long as that runs.
    pub monitor_cgroup: Option<String>,
    /// The file that its unit comes from, when it is the service user's own.
    pub unit_file: Option<PathBuf>,
    /// Environment that comes with its image.
    pub image_env: BTreeMap<String, Secret>,
    /// Paths in it that were written in the container itself, of those that its app's manifest
    /// mounts.
    pub written_inside: BTreeSet<String>,
}

/// Data that was copied for a migration.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Copied {
    /// What was copied.
    #[serde(flatten)]
    pub data: super::record::DataMove,
    /// The generation that asked for it.
    pub wish: Generation,
    /// Digest over what was read and over what was written: they were the same.
    pub digest: Digest,
    /// Bytes that the copy takes.
    pub bytes: u64,
    /// When.
    pub at: Timestamp,
}
