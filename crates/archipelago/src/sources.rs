//! What the server asks of the host beside the engine: narrow traits that the glue implements.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use archy_engine::Handle;
use archy_engine::ports::ExecOutput;
use archy_plan::Known;
use archy_types::{AppId, Generation, Timestamp, UserError};
use futures_util::future::BoxFuture;

use crate::app_gate::Standing;
use crate::guard::Doubt;
use crate::identity::IdentityDesk;
use crate::logs::LogSource;
use crate::survey::SurveySource;

/// Runs commands in containers.
pub trait ExecSource: Send + Sync + 'static {
    /// Runs a command; its output is cut at 64 KiB.
    ///
    /// # Errors
    /// The container does not run, or the deadline passed.
    fn exec(
        &self,
        container: String,
        command: Vec<String>,
        user: Option<String>,
        deadline: Duration,
    ) -> BoxFuture<'_, Result<ExecOutput, UserError>>;
}

/// Facts about the host that only adapters see.
#[derive(Debug, Clone)]
pub struct SystemFacts {
    /// Podman's version.
    pub podman_version: Known<String>,
    /// systemd's version.
    pub systemd_version: Known<String>,
    /// The user manager runs without a login.
    pub lingering: Known<bool>,
    /// Controllers delegated to the user manager.
    pub cgroup_controllers: Known<Vec<String>>,
}

/// A copy of an app's data from before an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotFact {
    /// Generation of the update.
    pub generation: Generation,
    /// When it was made.
    pub taken: Timestamp,
    /// Until when it is kept.
    pub expires: Timestamp,
    /// Bytes of the data.
    pub bytes: u64,
    /// Version that the update brought.
    pub before_version: String,
    /// It was put back before.
    pub restored: bool,
}

/// Tells about the host.
pub trait SystemSource: Send + Sync + 'static {
    /// The facts; each with its own deadline.
    fn facts(&self) -> BoxFuture<'_, SystemFacts>;

    /// Bytes of an app's data directory; nought when there is none.
    ///
    /// # Errors
    /// It cannot be measured, or the deadline passed.
    fn data_bytes<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Result<u64, UserError>>;

    /// The whole snapshots of an app's data.
    ///
    /// # Errors
    /// Their directory cannot be read.
    fn snapshots<'a>(
        &'a self,
        app: &'a AppId,
    ) -> BoxFuture<'a, Result<Vec<SnapshotFact>, UserError>>;
}

/// Everything behind the server.
#[derive(Clone)]
pub struct Backends {
    /// The engine.
    pub engine: Handle,
    /// Logs.
    pub logs: Arc<dyn LogSource>,
    /// Commands in containers.
    pub exec: Arc<dyn ExecSource>,
    /// The host.
    pub system: Arc<dyn SystemSource>,
    /// When the engine's loop last ended a pass (milliseconds since 1970; nought: not yet). The
    /// watchdog is only fed while this moves.
    pub last_pass: Arc<AtomicI64>,
    /// Whether the wall clock is to be trusted.
    pub doubt: Arc<Doubt>,
    /// Where the app gate stands.
    pub standing: Standing,
    /// Identities and the signer.
    pub identity: IdentityDesk,
    /// A closer look at the host, and mends.
    pub survey: Arc<dyn SurveySource>,
}

impl fmt::Debug for Backends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backends").field("last_pass", &self.last_pass).finish_non_exhaustive()
    }
}
