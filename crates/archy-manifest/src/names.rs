//! Names derived from an app's id: containers, units, networks, volumes.

use archy_types::{AppId, ServiceName};

use crate::model::Manifest;

/// The network that apps join to reach each other by container name.
pub const SHARED_NETWORK: &str = "archy-net";

/// Name of a service's container and unit (without suffix): the app's id for its only or its
/// `main` service, else `<id>-<service>`.
#[must_use]
pub fn container(manifest: &Manifest, service: &ServiceName) -> String {
    if manifest.services.len() == 1 || service.as_str() == "main" {
        manifest.id.to_string()
    } else {
        format!("{}-{service}", manifest.id)
    }
}

/// Name of the app's own network.
#[must_use]
pub fn network(app: &AppId) -> String {
    app.to_string()
}

/// Name of an app's named volume.
#[must_use]
pub fn volume(app: &AppId, volume: &str) -> String {
    format!("{app}-{volume}")
}
