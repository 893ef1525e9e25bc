//! A closer look at the host than the engine's, for `system.doctor`, `package.explain` and the
//! support bundle; and the mends that lose nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use archy_engine::ports::Interest;
use archy_plan::{Known, Observed};
use archy_types::{AppId, Timestamp, UserError};
use futures_util::future::BoxFuture;

/// What Podman says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodmanFacts {
    /// Version.
    pub version: String,
    /// Storage driver: `overlay`, `vfs`, ….
    pub storage_driver: String,
    /// Directory of images and containers.
    pub graph_root: String,
    /// `v2`, or `v1` on old hosts.
    pub cgroup_version: String,
    /// `systemd` or `cgroupfs`.
    pub cgroup_manager: String,
    /// `pasta` or `slirp4netns`.
    pub network: String,
}

/// Something with a name that carries the label of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owned {
    /// Name.
    pub name: String,
    /// The app, as the label says.
    pub app: String,
    /// It runs (containers alone).
    pub running: bool,
}

/// Everything that carries the platform's labels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Belongings {
    /// Containers.
    pub containers: Vec<Owned>,
    /// Networks.
    pub networks: Vec<Owned>,
    /// Named volumes.
    pub volumes: Vec<Owned>,
    /// Names of podman secrets that the platform handed over.
    pub secrets: Vec<String>,
}

/// The user manager.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ManagerFacts {
    /// Its version.
    pub version: String,
    /// `running`, `degraded`, `starting`, `stopping`, ….
    pub state: String,
    /// Services that failed.
    pub failed: Vec<String>,
    /// How long the whole user manager may take to stop when the machine goes down; nothing when
    /// that cannot be told.
    pub shutdown_limit: Option<Duration>,
}

/// A closer look at the host.
#[derive(Debug, Clone)]
pub struct Survey {
    /// The engine's look.
    pub observed: Observed,
    /// Podman.
    pub podman: Known<PodmanFacts>,
    /// What carries the platform's labels.
    pub belongings: Known<Belongings>,
    /// The user manager.
    pub manager: Known<ManagerFacts>,
    /// The user manager runs without a login.
    pub lingering: Known<bool>,
}

/// The last health check of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LastProbe {
    /// When it ended; nothing when none was made yet.
    pub at: Option<Timestamp>,
    /// Its exit status.
    pub exit_code: i32,
    /// What it wrote.
    pub output: String,
    /// Failed checks in a row.
    pub failing: u32,
    /// The kernel ended the container for want of memory.
    pub out_of_memory: bool,
}

/// A mend that loses nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mend {
    /// Takes back a unit's failed state.
    ResetFailed(String),
    /// Makes the manager read its files.
    Reload,
    /// Removes a container that belongs to no app and does not run.
    RemoveContainer(String),
    /// Removes a network that belongs to no app and has no container.
    RemoveNetwork(String),
    /// Takes back a podman secret that no app uses; its file stays.
    RemoveSecret(String),
    /// Removes a unit file that belongs to no app.
    RemoveUnitFile(String),
    /// Makes the engine look, which brings an app's units back to what they should be.
    Converge(AppId),
}

/// Images that were built on this node.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct BuiltImages {
    /// References of those that are there. What the owner made is not among them.
    pub there: BTreeSet<String>,
    /// References that unit files name, as that of a container or of a build.
    pub deployed: BTreeSet<String>,
}

/// A line of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalLine {
    /// When.
    pub at: archy_types::Timestamp,
    /// Nought is the gravest (syslog(3)).
    pub priority: u8,
    /// Part of the program.
    pub target: String,
    /// What it says.
    pub text: String,
}

/// Looks closer, and mends.
pub trait SurveySource: Send + Sync + 'static {
    /// The look; each part has its own deadline.
    fn survey(&self, interest: Interest) -> BoxFuture<'_, Survey>;
    /// The last health check of a container; nothing when there is no such container.
    ///
    /// # Errors
    /// Podman does not answer.
    fn probe<'a>(
        &'a self,
        container: &'a str,
    ) -> BoxFuture<'a, Result<Option<LastProbe>, UserError>>;
    /// Applies a mend. [`Mend::Converge`] is the engine's, not the host's.
    ///
    /// # Errors
    /// What the host said.
    fn mend(&self, mend: Mend) -> BoxFuture<'_, Result<(), UserError>>;
    /// Images that were built for apps of this node, and those that unit files name.
    ///
    /// # Errors
    /// Podman or the unit files do not tell.
    fn built_images(&self) -> BoxFuture<'_, Result<BuiltImages, UserError>>;
    /// Removes an image that no container uses.
    ///
    /// # Errors
    /// A container uses it, or Podman does not answer.
    fn remove_image<'a>(&'a self, reference: &'a str) -> BoxFuture<'a, Result<(), UserError>>;
    /// The last lines of the journal: of the daemon, and of the user manager.
    fn journal(&self, lines: u32) -> BoxFuture<'_, Vec<(String, String)>>;
    /// The last lines of the daemon's own log, oldest first, of these only the ones since a moment
    /// and of a priority up to this one (syslog(3)). Secrets are still in them.
    ///
    /// # Errors
    /// The journal does not answer.
    fn daemon_log(
        &self,
        lines: u32,
        since: Option<archy_types::Timestamp>,
        priority: u8,
    ) -> BoxFuture<'_, Result<Vec<JournalLine>, UserError>>;
    /// Values of all secrets, to strike them out of texts.
    ///
    /// # Errors
    /// The directory cannot be read: nothing may leave the node then.
    fn secrets(&self) -> BoxFuture<'_, Result<Vec<archy_types::Secret>, UserError>>;
}
