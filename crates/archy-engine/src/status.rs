//! What the engine publishes: one snapshot of all apps, with a sequence number.

use std::collections::BTreeMap;
use std::sync::Arc;

use archy_manifest::Manifest;
use archy_manifest::model::{PortAuth, Protocol};
use archy_plan::adopt::{Adopted, Origin, Stage};
use archy_plan::{Check, DesiredState};
use archy_types::{
    Actor, AppId, Digest, Generation, Health, OperationId, ServiceName, StatusReport, Timestamp,
};

/// All apps as last known. Never emptied because a look at the host failed (invariant 8).
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Grows by one with every change.
    pub seq: u64,
    /// When the host was last seen in full; its age is shown when it is old.
    pub observed_at: Timestamp,
    /// Why the last look failed, if it did.
    pub stale_because: Option<archy_types::Cause>,
    /// Apps by id: installed ones and ones being installed.
    pub apps: BTreeMap<AppId, Arc<AppView>>,
}

/// One app as last known.
#[derive(Debug, Clone, PartialEq)]
pub struct AppView {
    /// The manifest of the accepted desired state.
    pub manifest: Arc<Manifest>,
    /// Digest of its text.
    pub digest: Digest,
    /// Generation of the desired state.
    pub generation: Generation,
    /// What the owner wants.
    pub desired: DesiredState,
    /// Who asked for that.
    pub actor: Actor,
    /// State with cause, since, next step, repair, deadline.
    pub report: StatusReport,
    /// Worst health of its services.
    pub health: Health,
    /// Its services in manifest order.
    pub services: Vec<ServiceView>,
    /// Published ports as they really are.
    pub ports: Vec<PortView>,
    /// The operation at work on it, or the last one if it failed.
    pub operation: Option<OperationView>,
    /// Findings of the last plan that still hold (for example a budget that is not enforced).
    pub notes: Vec<Check>,
    /// What it took over, unless it is wholly Archipelago's.
    pub adopted: Option<AdoptedView>,
}

/// What an app took over that Archipelago did not make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdoptedView {
    /// What made the containers.
    pub origin: Origin,
    /// When they were adopted.
    pub since: Timestamp,
    /// How far it is.
    pub stage: Stage,
    /// They stop when the daemon stops.
    pub dies_with_daemon: bool,
}

impl From<&Adopted> for AdoptedView {
    fn from(adopted: &Adopted) -> Self {
        Self {
            origin: adopted.origin,
            since: adopted.since,
            stage: adopted.stage,
            dies_with_daemon: adopted.is_watched() && adopted.dies_with_daemon(),
        }
    }
}

/// One service as last known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceView {
    /// Name in the manifest.
    pub name: ServiceName,
    /// Container name, also its unit without suffix.
    pub container: String,
    /// Active state in systemd's words (`active`, `failed`, …), `unknown` if it was not seen.
    pub unit_state: String,
    /// Health.
    pub health: Health,
    /// Last words of a failing health check.
    pub health_output: Option<String>,
    /// Automatic restarts since the last start by hand.
    pub restarts: u32,
    /// Exit status, when it ended.
    pub exit_status: Option<i32>,
    /// When it became active.
    pub active_since: Option<Timestamp>,
}

/// A published port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortView {
    /// Service.
    pub service: ServiceName,
    /// Port on the host.
    pub host: u16,
    /// Port in the container.
    pub container: u16,
    /// Protocol.
    pub protocol: Protocol,
    /// Declared policy.
    pub auth: Option<PortAuth>,
    /// Published on loopback only.
    pub loopback_only: bool,
}

/// An operation under way or just ended.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationView {
    /// Id in the journal.
    pub id: OperationId,
    /// `install`, `update`, `rollback`, `start`, `stop`, `restart`, `uninstall`, `config`, `recover`, `adopt`, `migrate`, …
    pub kind: String,
    /// Who asked.
    pub actor: Actor,
    /// When it began.
    pub started: Timestamp,
    /// Step at work, counted from 1, and how many there are.
    pub step: (u32, u32),
    /// The step in words.
    pub text: String,
    /// Progress of the step, 0 to 100, when it is known.
    pub percent: Option<u8>,
    /// Bytes of the step that arrived, and how many there are so far.
    pub bytes: Option<[u64; 2]>,
    /// When the plan at work ends at the latest.
    pub deadline: Timestamp,
    /// What it failed with.
    pub error: Option<archy_types::UserError>,
}

impl From<archy_plan::ServiceAssessment> for ServiceView {
    fn from(seen: archy_plan::ServiceAssessment) -> Self {
        Self {
            name: seen.name,
            container: seen.container,
            unit_state: seen.unit_state,
            health: seen.health,
            health_output: seen.health_output,
            restarts: seen.restarts,
            exit_status: seen.exit_status,
            active_since: seen.active_since,
        }
    }
}
