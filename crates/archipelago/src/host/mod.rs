//! The engine's ports, made of the adapters: the only place that sees both sides.

mod bus;
mod containers;
mod contexts;
mod endings;
mod error;
pub(crate) mod facts;
mod files;
mod full;
mod hints;
mod hook_file;
mod http;
mod ignore;
mod journal;
mod legacy;
mod listed;
mod listening;
mod observe;
mod place;
mod sick;
mod snapshots;
mod sources;
mod survey;
#[cfg(test)]
mod testing;
mod units;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use archy_manifest::template::Placeholder;
use archy_podman::{Podman, Unshare};
use archy_store::files::SecretStore;
use archy_types::{PodmanVersion, Timestamp, UserError};
use tokio::sync::mpsc;

use crate::app_gate::Standing;
use crate::guard::Doubt;
use crate::identity::IdentityDesk;
use bus::Bus;

/// How long one question about the host may take; beyond it the fact is unknown.
const LOOK_DEADLINE: Duration = Duration::from_secs(10);
/// How long one small change may take.
const CHANGE_DEADLINE: Duration = Duration::from_secs(60);
/// How long the removal of a container that no app has may take: it is stopped first, with its own
/// grace, which is not known.
const REMOVE_DEADLINE: Duration = Duration::from_secs(660);

/// Where things are on this host.
#[derive(Debug, Clone)]
pub struct HostConfig {
    /// Directory of apps' data.
    pub data_dir: PathBuf,
    /// Directory of secrets.
    pub secrets_dir: PathBuf,
    /// The user's Quadlet directory.
    pub quadlet_dir: PathBuf,
    /// Podman's socket.
    pub podman_socket: PathBuf,
    /// Address of the user's bus.
    pub bus_address: String,
    /// Podman's program, for its user namespace only.
    pub podman_program: PathBuf,
    /// Podman's user generator.
    pub generator: PathBuf,
    /// Directory for short-lived files.
    pub runtime_dir: PathBuf,
    /// Cgroup of the user manager, whose delegated controllers count.
    pub user_cgroup: PathBuf,
    /// The health probe on the host.
    pub health_probe: PathBuf,
    /// Directory that `copy_from_host` may copy from.
    pub hook_files_dir: PathBuf,
    /// Address of this host, when the owner set it.
    pub host_ip: Option<std::net::Ipv4Addr>,
    /// Public name of this host, when the owner set it.
    pub public_host: Option<String>,
    /// App that a template names for a role while no provider of it is installed.
    pub role_defaults: std::collections::BTreeMap<String, String>,
    /// How long the snapshot from before an update is kept.
    pub keep_snapshots: Duration,
}

/// The host, by its adapters. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SystemHost {
    config: Arc<HostConfig>,
    podman: Podman,
    bus: Bus,
    secrets: SecretStore,
    unshare: Unshare,
    version: Arc<OnceLock<PodmanVersion>>,
    doubt: Arc<Doubt>,
    standing: Standing,
    identity: Option<IdentityDesk>,
    sick: sick::Sick,
    journal: journal::Journal,
    endings: endings::Endings,
    contexts: contexts::Contexts,
    /// When this daemon began to run.
    since: Timestamp,
}

impl SystemHost {
    /// Connects the adapters. Neither Podman nor systemd need answer yet.
    ///
    /// # Errors
    /// The secrets directory cannot be used.
    pub fn new(config: HostConfig) -> Result<Self, UserError> {
        let secrets = SecretStore::open(&config.secrets_dir).map_err(|e| error::file(&e))?;
        Ok(Self {
            podman: Podman::new(&config.podman_socket),
            bus: Bus::new(&config.bus_address),
            unshare: Unshare::new(&config.podman_program, CHANGE_DEADLINE),
            secrets,
            config: Arc::new(config),
            version: Arc::default(),
            since: crate::clock::now(),
            doubt: Arc::default(),
            standing: Standing::default(),
            identity: None,
            sick: sick::Sick::default(),
            journal: journal::Journal::default(),
            endings: endings::Endings::default(),
            contexts: contexts::Contexts::default(),
        })
    }

    /// The same, with somebody who knows whether the wall clock is to be trusted.
    #[must_use]
    pub fn doubting(mut self, doubt: Arc<Doubt>) -> Self {
        self.doubt = doubt;
        self
    }

    /// The same, with an app gate whose sockets are nobody else's.
    #[must_use]
    pub fn gated(mut self, standing: Standing) -> Self {
        self.standing = standing;
        self
    }

    /// The same, with identities whose keys are handed to apps.
    #[must_use]
    pub fn identified(mut self, identity: IdentityDesk) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Values of the placeholders that this node knows.
    fn placeholder_values(&self) -> BTreeMap<Placeholder, String> {
        let mut values = facts::placeholder_values(&self.config);
        values.extend(self.identity.iter().flat_map(IdentityDesk::placeholder_values));
        values
    }

    /// Starts watching Podman and systemd for changes; each one is a hint to look.
    #[must_use]
    pub fn watch(&self) -> mpsc::Receiver<()> {
        let (sender, receiver) = mpsc::channel(1);
        hints::spawn(self.podman.clone(), self.bus.clone(), self.sick.clone(), sender);
        receiver
    }

    /// The Podman client, for logs and commands.
    #[must_use]
    pub const fn podman(&self) -> &Podman {
        &self.podman
    }

    /// The secrets of this node.
    #[must_use]
    pub const fn secrets(&self) -> &SecretStore {
        &self.secrets
    }
}
