//! Networks.

use std::collections::BTreeMap;

use archy_types::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    Podman, PodmanError,
    call::Call,
    wire::{nullable, time},
};

/// An address range of a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// In CIDR form.
    pub subnet: String,
    /// The host's address in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
}

/// A network.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Network {
    /// Name.
    pub name: String,
    /// Id, 64 hex digits.
    pub id: String,
    /// `bridge`, `macvlan`, ….
    #[serde(default)]
    pub driver: String,
    /// Name of the bridge.
    #[serde(default)]
    pub network_interface: String,
    /// When it was made.
    #[serde(default, deserialize_with = "time")]
    pub created: Option<Timestamp>,
    /// Address ranges.
    #[serde(default, deserialize_with = "nullable")]
    pub subnets: Vec<Subnet>,
    /// Has no way out.
    #[serde(default)]
    pub internal: bool,
    /// Names are resolved in it.
    #[serde(default)]
    pub dns_enabled: bool,
    /// Has IPv6.
    #[serde(default)]
    pub ipv6_enabled: bool,
    /// Labels.
    #[serde(default, deserialize_with = "nullable")]
    pub labels: BTreeMap<String, String>,
}

/// A network to be made; Podman chooses what is left out.
#[derive(Debug, Clone, Default, Serialize)]
pub struct NetworkSpec {
    /// Name.
    pub name: String,
    /// Address ranges; one is chosen when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subnets: Vec<Subnet>,
    /// Without a way out.
    pub internal: bool,
    /// Resolve names of containers.
    pub dns_enabled: bool,
    /// With IPv6.
    pub ipv6_enabled: bool,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

// === impl Podman ===

impl Podman {
    /// All networks that carry every one of `labels`.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn networks(&self, labels: &[&str]) -> Result<Vec<Network>, PodmanError> {
        self.json(&Call::get(&["networks", "json"]).labels(labels)).await
    }

    /// A network by name or id; `None` when there is none.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn network(&self, name: &str) -> Result<Option<Network>, PodmanError> {
        self.json_if_exists(&Call::get(&["networks", name, "json"])).await
    }

    /// Makes a bridge network.
    ///
    /// # Errors
    /// Those of every call; a conflict when the name is taken.
    pub async fn create_network(&self, spec: &NetworkSpec) -> Result<Network, PodmanError> {
        self.json(&Call::post(&["networks", "create"]).json(spec)?).await
    }

    /// Removes a network; never one with containers in it. False when it was not there.
    ///
    /// # Errors
    /// Those of every call; a conflict when it is in use.
    pub async fn remove_network(&self, name: &str) -> Result<bool, PodmanError> {
        self.done_if_exists(&Call::delete(&["networks", name])).await
    }
}
