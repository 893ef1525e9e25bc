//! What is kept of an adoption, as part of the desired state.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use archy_types::{Generation, ServiceName, Timestamp};
use serde::{Deserialize, Serialize};

/// The version of the migration that this release does; one that is recorded is never done again.
pub const MIGRATION: u32 = 1;

/// What made a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// `podman run` or `podman create`.
    PodmanRun,
    /// Compose, by its labels.
    Compose,
    /// A Quadlet file that is not Archipelago's.
    Quadlet,
    /// A systemd unit that runs podman, such as `podman generate systemd` writes.
    SystemdUnit,
}

impl Origin {
    /// The word in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PodmanRun => "podman-run",
            Self::Compose => "compose",
            Self::Quadlet => "quadlet",
            Self::SystemdUnit => "systemd-unit",
        }
    }

    /// For people: what made it.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::PodmanRun => "podman run",
            Self::Compose => "compose",
            Self::Quadlet => "a Quadlet file of your own",
            Self::SystemdUnit => "a systemd unit of your own",
        }
    }
}

/// Containers that an app took over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adopted {
    /// What made the chief one.
    pub origin: Origin,
    /// When they were adopted.
    pub since: Timestamp,
    /// How far it is.
    pub stage: Stage,
    /// By service.
    pub parts: BTreeMap<ServiceName, AdoptedPart>,
}

/// How far the way from adopted to Archipelago's own is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "at", rename_all = "kebab-case")]
pub enum Stage {
    /// They run as they were found.
    Watched,
    /// They gave way to Archipelago's own containers, and are kept aside for the way back.
    Migrated {
        /// Version of the migration.
        version: u32,
        /// When.
        since: Timestamp,
        /// The generation that asked for it.
        wish: Generation,
    },
    /// The way back was given up: what was kept aside goes.
    Committed {
        /// Version of the migration.
        version: u32,
        /// When.
        since: Timestamp,
    },
}

/// One container that was taken over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdoptedPart {
    /// What made it.
    pub origin: Origin,
    /// Its name.
    pub container: String,
    /// Its id; of one that its unit makes anew at each start, the last that was seen.
    pub id: String,
    /// The systemd unit that runs it.
    #[serde(default)]
    pub unit: Option<String>,
    /// The file which that unit comes from, when it is the service user's own.
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// Podman removes it when it stops.
    #[serde(default)]
    pub goes_when_stopped: bool,
    /// It lives in the daemon's own cgroup, and dies with the daemon.
    #[serde(default)]
    pub dies_with_daemon: bool,
    /// Seconds between its stop signal and its end.
    pub grace_secs: u32,
    /// Volumes that it mounts, by name.
    #[serde(default)]
    pub volumes: BTreeSet<String>,
    /// Networks that it is on.
    #[serde(default)]
    pub networks: BTreeSet<String>,
    /// Data that a migration copies.
    #[serde(default)]
    pub moves: Vec<DataMove>,
    /// Secrets that a migration takes over.
    #[serde(default)]
    pub secrets: Vec<TakenSecret>,
}

/// Data that a migration copies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataMove {
    /// Where it is.
    pub from: DataPlace,
    /// Where the manifest has it.
    pub to: DataPlace,
}

/// A place of data.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "in", rename_all = "kebab-case")]
pub enum DataPlace {
    /// A path of the host.
    Path {
        /// Absolute.
        path: PathBuf,
    },
    /// A Podman volume.
    Volume {
        /// Name.
        name: String,
        /// Path in it; empty is all of it.
        #[serde(default)]
        below: String,
    },
    /// The app's data directory.
    AppDir {
        /// Path in it; empty is the directory itself.
        path: String,
    },
}

impl std::fmt::Display for DataPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path { path } => write!(f, "{}", path.display()),
            Self::Volume { name, below } if below.is_empty() => write!(f, "the volume {name}"),
            Self::Volume { name, below } => write!(f, "{below} in the volume {name}"),
            Self::AppDir { path } if path.is_empty() => f.write_str("the app's data directory"),
            Self::AppDir { path } => write!(f, "{path} in the app's data directory"),
        }
    }
}

/// A secret of the manifest whose value a running container already has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenSecret {
    /// The manifest's secret.
    pub name: String,
    /// Where its value is.
    pub source: SecretSource,
}

/// Where a secret's value is. The value itself is in no record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "in", rename_all = "kebab-case")]
pub enum SecretSource {
    /// A variable of a container.
    Variable {
        /// Id of the container.
        container: String,
        /// Name of the variable.
        variable: String,
    },
    /// A secret that Podman has.
    Podman {
        /// Its name.
        secret: String,
    },
}

/// The name that a container is kept aside under.
#[must_use]
pub fn aside_name(container: &str) -> String {
    format!("{container}-before-archipelago")
}

impl Adopted {
    /// Its containers run as they were found.
    #[must_use]
    pub const fn is_watched(&self) -> bool {
        matches!(self.stage, Stage::Watched)
    }

    /// The way back is open.
    #[must_use]
    pub const fn can_go_back(&self) -> bool {
        matches!(self.stage, Stage::Migrated { .. })
    }

    /// Some part dies with the daemon.
    #[must_use]
    pub fn dies_with_daemon(&self) -> bool {
        self.parts.values().any(|part| part.dies_with_daemon)
    }

    /// Names of the containers, in their places and aside.
    pub fn containers(&self) -> impl Iterator<Item = String> + '_ {
        let parts = self.parts.values().map(|part| part.container.as_str());
        parts.flat_map(|name| [name.to_owned(), aside_name(name)])
    }

    /// It mounts a volume of this name: the data in it is the app's own.
    #[must_use]
    pub fn has_volume(&self, name: &str) -> bool {
        self.parts.values().any(|part| part.volumes.contains(name))
    }

    /// It is on a network of this name.
    #[must_use]
    pub fn has_network(&self, name: &str) -> bool {
        self.parts.values().any(|part| part.networks.contains(name))
    }
}
