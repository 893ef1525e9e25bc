//! `gate.*`: what stands before the ports of apps.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// Who may pass a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "lowercase")]
pub enum GateAccess {
    /// Those with a session of the dashboard.
    Gated,
    /// Everybody; the app asks for itself.
    Open,
}

/// Result of `gate.status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct GateStatus {
    /// The gate is switched on.
    pub enabled: bool,
    /// It has a certificate, so that it takes TLS.
    pub tls: bool,
    /// No port of an app is reached from the network past the gate.
    pub fully_enforced: bool,
    /// The ports of installed apps.
    pub ports: Vec<GatePort>,
}

/// One port of an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct GatePort {
    /// The app.
    pub app: String,
    /// The port on the node.
    pub port: u16,
    /// `auth` in the manifest; nothing when it does not say.
    pub declared: Option<String>,
    /// Who may pass; nothing when the gate does not stand there.
    pub access: Option<GateAccess>,
    /// The owner made an exception from the manifest.
    pub exception: bool,
    /// The app is reached from the network past the gate.
    pub unprotected: bool,
    /// Addresses that the gate takes connections on.
    pub addresses: Vec<String>,
    /// Why it cannot stand on others.
    pub refused: Vec<String>,
}

/// Parameters of `gate.set-access`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct SetAccessParams {
    /// The app.
    pub app: String,
    /// One of its ports on the node.
    pub port: u16,
    /// Who may pass; nothing: as the manifest says.
    pub access: Option<GateAccess>,
}
