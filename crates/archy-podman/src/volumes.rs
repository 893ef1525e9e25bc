//! Named volumes.

use std::collections::BTreeMap;

use archy_types::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    Podman, PodmanError,
    call::Call,
    wire::{nullable, time},
};

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Volume {
    /// Name.
    pub name: String,
    /// `local`, or a plugin.
    #[serde(default)]
    pub driver: String,
    /// Path on the host.
    #[serde(default)]
    pub mountpoint: String,
    /// When it was made.
    #[serde(default, deserialize_with = "time")]
    pub created_at: Option<Timestamp>,
    /// Labels.
    #[serde(default, deserialize_with = "nullable")]
    pub labels: BTreeMap<String, String>,
    /// Options of the driver.
    #[serde(default, deserialize_with = "nullable")]
    pub options: BTreeMap<String, String>,
    /// Made for one container, without a name of its own.
    #[serde(default)]
    pub anonymous: bool,
}

/// A volume to be made.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct VolumeSpec {
    /// Name.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
}

// === impl Podman ===

impl Podman {
    /// All volumes that carry every one of `labels`.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn volumes(&self, labels: &[&str]) -> Result<Vec<Volume>, PodmanError> {
        self.json(&Call::get(&["volumes", "json"]).labels(labels)).await
    }

    /// A volume by name; `None` when there is none.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn volume(&self, name: &str) -> Result<Option<Volume>, PodmanError> {
        self.json_if_exists(&Call::get(&["volumes", name, "json"])).await
    }

    /// Whether there is a volume of this name.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn volume_exists(&self, name: &str) -> Result<bool, PodmanError> {
        self.done_if_exists(&Call::get(&["volumes", name, "exists"])).await
    }

    /// Makes a volume.
    ///
    /// # Errors
    /// Those of every call; a conflict when the name is taken.
    pub async fn create_volume(&self, spec: &VolumeSpec) -> Result<Volume, PodmanError> {
        self.json(&Call::post(&["volumes", "create"]).json(spec)?).await
    }

    /// Removes a volume with all that is in it; never one that a container uses. False when it
    /// was not there.
    ///
    /// # Errors
    /// Those of every call; a conflict when a container uses it.
    pub async fn remove_volume(&self, name: &str) -> Result<bool, PodmanError> {
        self.done_if_exists(&Call::delete(&["volumes", name])).await
    }
}
