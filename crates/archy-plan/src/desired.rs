//! What is wanted of one app.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use archy_manifest::Manifest;
use archy_manifest::model::Protocol;
use archy_types::{Actor, Digest, Generation, Timestamp};
use serde::{Deserialize, Serialize};

use crate::adopt::Adopted;

/// What the owner wants of an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DesiredState {
    /// Installed and running.
    Running,
    /// Installed and stopped; nothing overrides it.
    Stopped,
    /// Uninstalled; data stays.
    Removed,
    /// Uninstalled with its data, because the owner said so in so many words.
    Purged,
}

/// What has to happen to an app's data before the app may run.
///
/// It stays in the desired state when it has happened: whether it has is observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum DataDue {
    /// A snapshot is taken before this generation is deployed.
    Snapshot {
        /// The generation that the update was accepted with, under which the snapshot is kept.
        generation: Generation,
    },
    /// A snapshot is put back.
    Restore {
        /// The generation under which the snapshot is kept.
        snapshot: Generation,
        /// The generation that asked for it: the same snapshot may be put back twice.
        wish: Generation,
    },
}

/// Desired state of one app, as the store holds it, with its manifest.
#[derive(Debug, Clone)]
pub struct DesiredApp {
    /// The manifest.
    pub manifest: Arc<Manifest>,
    /// Digest of its text.
    pub digest: Digest,
    /// Generation of this desired state.
    pub generation: Generation,
    /// What is wanted.
    pub state: DesiredState,
    /// Who asked.
    pub actor: Actor,
    /// When.
    pub since: Timestamp,
    /// The owner's settings by key; defaults are not in here.
    pub settings: BTreeMap<String, serde_json::Value>,
    /// Host ports chosen instead of the manifest's.
    pub port_overrides: BTreeMap<(u16, Protocol), u16>,
    /// Directory of the app's package.
    pub package_dir: Option<PathBuf>,
    /// What has to happen to its data before it may run.
    pub data_due: Option<DataDue>,
    /// Containers that it took over; without them it is wholly Archipelago's.
    pub adopted: Option<Adopted>,
}

impl DesiredApp {
    /// The app is to go.
    #[must_use]
    pub const fn is_leaving(&self) -> bool {
        matches!(self.state, DesiredState::Removed | DesiredState::Purged)
    }

    /// The node's port that takes the place of one of the manifest's host ports, if it is published.
    #[must_use]
    pub fn host_port(&self, port: u16) -> Option<u16> {
        self.manifest.host_port(port, &self.port_overrides)
    }

    /// The host port that a container port of a service is published on, if it is.
    #[must_use]
    pub fn published_port(
        &self,
        service: &archy_types::ServiceName,
        container: u16,
    ) -> Option<u16> {
        let port = self
            .manifest
            .services
            .get(service)?
            .ports
            .iter()
            .find(|p| p.container == container && p.protocol == Protocol::Tcp)?;
        Some(self.port_overrides.get(&(port.host, port.protocol)).copied().unwrap_or(port.host))
    }
}
