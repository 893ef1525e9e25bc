//! What rendering takes and gives.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use archy_manifest::Manifest;
use archy_manifest::template::Placeholder;
use archy_types::{Digest, Generation, PodmanVersion, ServiceName};

/// Facts about the host that shape the units. All are observed by adapters and passed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFacts {
    /// Podman's version.
    pub podman: PodmanVersion,
    /// Cgroup controllers delegated to the user manager (`memory`, `cpu`, `pids`).
    pub controllers: Vec<String>,
    /// Data directory of the platform, for example `/var/lib/archipelago`.
    pub data_dir: PathBuf,
    /// Path of the `archy-health` binary on the host.
    pub health_probe: PathBuf,
    /// Values of the placeholders known now; a missing one that is used is an error.
    pub values: BTreeMap<Placeholder, String>,
}

/// Everything that shapes an app's units.
#[derive(Debug, Clone)]
pub struct RenderInput<'a> {
    /// The manifest.
    pub manifest: &'a Manifest,
    /// Digest of its text.
    pub digest: Digest,
    /// Generation of the desired state.
    pub generation: Generation,
    /// Starts at boot.
    pub enabled: bool,
    /// Facts about the host.
    pub host: &'a HostFacts,
    /// Values of settings by key (owner's choice, else default).
    pub config: BTreeMap<String, serde_json::Value>,
    /// Host ports chosen instead of the manifest's, by the manifest's port and protocol.
    pub port_overrides: BTreeMap<(u16, archy_manifest::model::Protocol), u16>,
    /// Keyed hash of the secrets' contents, put on every unit that uses one.
    pub secrets_hash: Option<String>,
    /// Directory of the app's package (build contexts, read-only files), if it has one.
    pub package_dir: Option<PathBuf>,
    /// Digests of what is in the build contexts of services, in hex, as far as they are known.
    pub contexts: BTreeMap<ServiceName, String>,
    /// Services with a build whose image the owner made instead, as `localhost/<container>:local`.
    pub local_images: BTreeSet<ServiceName>,
    /// Units of other apps that this app needs, for ordering (`After=` only).
    pub after_units: Vec<String>,
}

/// What a unit file is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnitRole {
    /// A container of a service.
    Container(ServiceName),
    /// A network; `shared` when it belongs to no single app.
    Network {
        /// Name of the network in Podman.
        name: String,
        /// Belongs to no single app.
        shared: bool,
    },
    /// A volume, by its name in Podman.
    Volume(String),
    /// An image build of a service.
    Build(ServiceName),
}

/// One file in the user's Quadlet directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitFile {
    /// File name, for example `blog-db.container`.
    pub file_name: String,
    /// The systemd unit that Podman's generator makes of it, for example `blog-db.service`.
    pub unit: String,
    /// What it is for.
    pub role: UnitRole,
    /// Exact text.
    pub text: String,
}

/// A budget that this host cannot enforce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotEnforced {
    /// Service.
    pub service: ServiceName,
    /// Controller that is not delegated.
    pub controller: &'static str,
}

/// The deployed form of an app.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Deployment {
    /// Files, in the order of start: networks, volumes, builds, containers by dependency.
    pub files: Vec<UnitFile>,
    /// Budgets that are left out on this host.
    pub not_enforced: Vec<NotEnforced>,
    /// Image reference of each service as the unit names it (built ones are `localhost/…`).
    pub images: BTreeMap<ServiceName, String>,
    /// Secrets that variables are put together in; the units name them, the node makes them.
    pub composed: Vec<crate::render::Composed>,
}
