//! `container-list`.

use archy_types::Health;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::state::PortState;

/// One container of an app, as last seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct ContainerEntry {
    /// Name of the container, also its unit without suffix.
    pub name: String,
    /// The app.
    pub app: String,
    /// The service in the app.
    pub service: String,
    /// `running`, `exited`, `starting`, `stopped`, `failed`, `unknown`.
    pub state: String,
    /// Health.
    pub health: Health,
    /// Image reference.
    pub image: String,
    /// Published ports.
    pub ports: Vec<PortState>,
    /// When it started (milliseconds since 1970).
    pub started: Option<i64>,
    /// Automatic restarts since the last start by hand.
    pub restarts: u32,
}
