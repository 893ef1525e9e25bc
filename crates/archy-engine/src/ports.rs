//! What the engine asks of the world, in its own words. The daemon implements these traits with
//! the adapters; tests implement them with a fake host.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use archy_manifest::Manifest;
use archy_manifest::model::{ImageSource, Owner, ReadyCheck, SecretKind, Service, SettingKind};
use archy_manifest::template::Template;
use archy_plan::{DesiredApp, LegacyStep, Observed, Plan};
use archy_types::{
    Actor, AppId, Cause, Generation, OperationId, ServiceName, Timestamp, UserError,
};

/// Why the host did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct HostError {
    /// For people.
    pub error: UserError,
    /// Trying again later may help (busy, timed out, unreachable).
    pub retryable: bool,
}

/// Result of asking the host.
pub type HostResult<T> = Result<T, HostError>;

/// What a look at the host should cover.
#[derive(Debug, Clone, Default)]
pub struct Interest {
    /// Apps with their manifests.
    pub apps: Vec<Arc<Manifest>>,
    /// Image references whose presence matters.
    pub images: Vec<String>,
    /// Apps whose data is measured, for a snapshot.
    pub measured: Vec<AppId>,
    /// Adopted apps, whose containers Archipelago did not make.
    pub adopted: Vec<DesiredApp>,
    /// Build contexts whose content matters: the app's service, and the directory.
    pub contexts: Vec<(AppId, ServiceName, PathBuf)>,
    /// Manifests whose containers are looked for among those that Archipelago did not make.
    pub candidates: Vec<Arc<Manifest>>,
    /// Manifests that apps had before and that are going now: what they named goes with them.
    pub former: Vec<Arc<Manifest>>,
}

impl Interest {
    /// What matters for `apps`, given all apps.
    #[must_use]
    pub fn of<'a>(apps: impl IntoIterator<Item = &'a DesiredApp>, all: &[DesiredApp]) -> Self {
        let mut interest = Self::default();
        for app in apps {
            interest.add(&app.manifest);
            interest.contexts.extend(contexts(app));
            if app.adopted.is_some() {
                interest.adopted.push(app.clone());
            }
        }
        for app in all {
            if !interest.apps.iter().any(|known| known.id == app.manifest.id) {
                interest.apps.push(app.manifest.clone());
                interest.contexts.extend(contexts(app));
            }
        }
        interest
    }

    /// The same, and containers that this manifest could adopt.
    #[must_use]
    pub fn candidate(mut self, manifest: &Arc<Manifest>) -> Self {
        self.candidates.push(manifest.clone());
        self
    }

    /// The same, and the room that a snapshot of the app takes.
    #[must_use]
    pub fn measure(mut self, app: &AppId) -> Self {
        self.measured.push(app.clone());
        self
    }

    fn add(&mut self, manifest: &Arc<Manifest>) {
        self.apps.push(manifest.clone());
        for service in manifest.services.values() {
            if let ImageSource::Image(reference) = &service.source {
                self.images.push(reference.clone());
            }
        }
    }
}

/// The build contexts of an app that has a package.
fn contexts(app: &DesiredApp) -> impl Iterator<Item = (AppId, ServiceName, PathBuf)> {
    let package = app.package_dir.as_deref().filter(|_| !app.is_leaving());
    let services = app.manifest.services.iter();
    services.filter_map(move |(name, service)| match &service.source {
        ImageSource::Build { context, .. } => {
            Some((app.manifest.id.clone(), name.clone(), package?.join(context)))
        }
        ImageSource::Image(_) => None,
    })
}

/// Names of all secret files that an app can use: its secrets with their plaintexts, and its
/// secret settings.
pub fn secret_names(manifest: &Manifest) -> impl Iterator<Item = String> {
    let generated = manifest.secrets.keys().flat_map(|name| [name.clone(), format!("{name}.pw")]);
    let settings = manifest.config.iter().filter(|(_, s)| s.kind == SettingKind::Secret);
    generated.chain(
        settings.map(|(key, _)| archy_quadlet::render::config_secret_name(&manifest.id, key)),
    )
}

/// Progress of a long step.
pub type ProgressSink = Arc<dyn Fn(Progress) + Send + Sync>;

/// One report of progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// What is going on.
    pub text: String,
    /// 0 to 100, when it is known.
    pub percent: Option<u8>,
    /// Bytes that arrived, and how many there are so far.
    pub bytes: Option<[u64; 2]>,
}

/// How a unit's start or stop ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitOutcome {
    /// The unit.
    pub unit: String,
    /// Nothing when it worked, else why not.
    pub failure: Option<UserError>,
}

/// Output of a command in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    /// Exit code.
    pub exit_code: i64,
    /// Output and errors, cut at 64 KiB.
    pub output: String,
}

/// An HTTP request of a hook to a published port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookRequest {
    /// Method.
    pub method: String,
    /// Port on the host, on loopback.
    pub port: u16,
    /// Path with query.
    pub path: String,
    /// Body.
    pub body: Option<String>,
}

/// Looks at the host.
pub trait Observe: Send + Sync + 'static {
    /// One look; every part has its own deadline and may be unknown.
    fn observe(&self, interest: &Interest) -> impl Future<Output = Observed> + Send;
    /// True when the condition holds now.
    fn check_ready(
        &self,
        app: &AppId,
        container: &str,
        service: &Service,
        host_port: Option<u16>,
        check: &ReadyCheck,
    ) -> impl Future<Output = HostResult<bool>> + Send;
    /// Last lines of a container's log, oldest first.
    fn log_tail(&self, container: &str, lines: usize) -> impl Future<Output = Vec<String>> + Send;
}

/// Containers and what belongs to them.
pub trait Containers: Send + Sync + 'static {
    /// Pulls an image.
    fn pull(
        &self,
        reference: &str,
        progress: ProgressSink,
        deadline: Duration,
    ) -> impl Future<Output = HostResult<()>> + Send;
    /// Removes a container; one that is not there is no error. It gets its own grace first, which
    /// the deadline is longer than.
    fn remove_container(
        &self,
        name: &str,
        deadline: Duration,
    ) -> impl Future<Output = HostResult<()>> + Send;
    /// Gives a container another name.
    fn rename_container(&self, from: &str, to: &str)
    -> impl Future<Output = HostResult<()>> + Send;
    /// Removes a network; one that is not there is no error.
    fn remove_network(&self, name: &str) -> impl Future<Output = HostResult<()>> + Send;
    /// Removes a volume with its data; one that is not there is no error.
    fn remove_volume(&self, name: &str) -> impl Future<Output = HostResult<()>> + Send;
    /// Hands the secret file of this name to Podman.
    fn sync_secret(&self, name: &str) -> impl Future<Output = HostResult<()>> + Send;
    /// Fills the secrets into a template, hands the result to Podman under a name of its own, and
    /// writes the hash beside it.
    fn compose_secret(
        &self,
        name: &str,
        template: &str,
        hash: &str,
    ) -> impl Future<Output = HostResult<()>> + Send;
    /// Takes a secret back from Podman.
    fn remove_secret(&self, name: &str) -> impl Future<Output = HostResult<()>> + Send;
    /// Runs a command in a container.
    fn exec(
        &self,
        container: &str,
        command: &[String],
        user: Option<&str>,
        deadline: Duration,
    ) -> impl Future<Output = HostResult<ExecOutput>> + Send;
    /// Copies a file of the allow-listed directory into a container.
    fn copy_in(
        &self,
        container: &str,
        src: &str,
        dest: &str,
    ) -> impl Future<Output = HostResult<()>> + Send;
    /// Makes a hook's request; gives status and body, cut at 64 KiB.
    fn http(
        &self,
        request: &HookRequest,
        deadline: Duration,
    ) -> impl Future<Output = HostResult<(u16, String)>> + Send;
}

/// Units of the user manager and their files.
pub trait Units: Send + Sync + 'static {
    /// Writes unit files, name and text, so that each is the old or the new one, whole, after a
    /// crash.
    fn write_unit_files(
        &self,
        files: &[(String, String)],
    ) -> impl Future<Output = HostResult<()>> + Send;
    /// Removes a unit file; one that is not there is no error.
    fn remove_unit_file(&self, file_name: &str) -> impl Future<Output = HostResult<()>> + Send;
    /// Runs Podman's generator in a dry run over these files; an error names what it rejects.
    fn check_unit_files(
        &self,
        files: &[(String, String)],
    ) -> impl Future<Output = HostResult<()>> + Send;
    /// Makes the manager read its files; merged with other requests of the same moment.
    fn reload(&self) -> impl Future<Output = HostResult<()>> + Send;
    /// Starts units in parallel, after taking back a failed state.
    fn start(
        &self,
        units: &[String],
        deadline: Duration,
    ) -> impl Future<Output = Vec<UnitOutcome>> + Send;
    /// Stops units in parallel; ones that are not there count as stopped.
    fn stop(
        &self,
        units: &[String],
        deadline: Duration,
    ) -> impl Future<Output = Vec<UnitOutcome>> + Send;
}

/// Files, directories, secrets and certificates.
pub trait Files: Send + Sync + 'static {
    /// Makes a directory below the app's data directory and gives it to its owner; the content
    /// of a directory that exists is never touched.
    fn make_directory(
        &self,
        app: &AppId,
        path: &str,
        owner: Option<Owner>,
    ) -> impl Future<Output = HostResult<()>> + Send;
    /// Generates a secret unless it exists.
    fn generate_secret(
        &self,
        name: &str,
        kind: SecretKind,
    ) -> impl Future<Output = HostResult<()>> + Send;
    /// Makes a self-signed certificate unless it exists.
    fn make_cert(
        &self,
        app: &AppId,
        crt: &str,
        key: &str,
        common_name: &str,
        sans: &[String],
    ) -> impl Future<Output = HostResult<()>> + Send;
    /// Fills in a template, secrets included, and writes it; `overwrite` false keeps what is there.
    fn write_file(
        &self,
        app: &DesiredApp,
        path: &str,
        content: &Template,
        overwrite: bool,
        mode: u32,
    ) -> impl Future<Output = HostResult<()>> + Send;
    /// Removes the app's data directory, and the logs of these containers.
    fn purge_data(
        &self,
        app: &AppId,
        containers: &[String],
    ) -> impl Future<Output = HostResult<()>> + Send;
    /// A text without the values of the app's secrets: what programs say may hold them, and errors
    /// go into journals.
    fn strike_secrets(&self, app: &Manifest, text: String) -> impl Future<Output = String> + Send;
    /// Removes a secret's files.
    fn purge_secret(&self, name: &str) -> impl Future<Output = HostResult<()>> + Send;
    /// Copies an app's data directory and these volumes aside under a generation. The snapshot is
    /// whole or not there; one of the same generation is replaced. Nothing of the app runs.
    fn take_snapshot(
        &self,
        app: &DesiredApp,
        generation: Generation,
        volumes: &[String],
    ) -> impl Future<Output = HostResult<()>> + Send;
    /// Puts a snapshot in the place of the data and notes for which wish. Each part is exchanged at
    /// once; may be repeated after a cut anywhere. Nothing of the app runs.
    fn restore_snapshot(
        &self,
        app: &AppId,
        generation: Generation,
        wish: Generation,
    ) -> impl Future<Output = HostResult<()>> + Send;
    /// Removes snapshots; ones that are not there are no error.
    fn remove_snapshots(
        &self,
        app: &AppId,
        generations: &[Generation],
    ) -> impl Future<Output = HostResult<()>> + Send;
}

/// Containers that Archipelago did not make.
pub trait Legacy: Send + Sync + 'static {
    /// Does one step with what an app took over. Each may be repeated after a cut anywhere.
    fn legacy(
        &self,
        app: &DesiredApp,
        step: &LegacyStep,
    ) -> impl Future<Output = HostResult<()>> + Send;
}

/// The host as a whole.
pub trait Host: Observe + Containers + Units + Files + Legacy {}

impl<T: Observe + Containers + Units + Files + Legacy> Host for T {}

/// How an operation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// It did what was asked.
    Done,
    /// It did not, and what it changed stays as the journal says.
    Failed(UserError),
    /// It did not, and the former state is back.
    RolledBack(UserError),
    /// A newer wish took its place.
    Superseded,
    /// Somebody cancelled it, as the message says, and the former state is back.
    Cancelled(UserError),
}

/// An operation that the journal holds as not ended.
#[derive(Debug, Clone)]
pub struct OpenOperation {
    /// Id.
    pub id: OperationId,
    /// App.
    pub app: AppId,
    /// Kind.
    pub kind: String,
    /// Who asked.
    pub actor: Actor,
    /// When.
    pub started: Timestamp,
    /// Why it goes back to what was before it, once it does.
    pub back: Option<UserError>,
}

/// What an app was before its last update.
#[derive(Debug, Clone)]
pub struct Previous {
    /// Its desired state then.
    pub app: DesiredApp,
    /// Generation of the update.
    pub replaced_by: Generation,
    /// When the update was accepted.
    pub replaced: Timestamp,
}

/// Desired state and journal.
pub trait Ledger: Send + Sync + 'static {
    /// All apps whose desired state is kept, removed ones excepted.
    fn load(&self) -> impl Future<Output = Result<Vec<DesiredApp>, UserError>> + Send;
    /// Stores a desired state (with the manifest's text when it is new) and opens an operation, in one
    /// transaction; refuses an older generation. An `update` keeps what it replaces (see
    /// [`Ledger::previous`]); a `rollback` forgets it.
    fn accept(
        &self,
        app: &DesiredApp,
        text: Option<&[u8]>,
        kind: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<OperationId, UserError>> + Send;
    /// Manifests that an app was ever accepted with, as far as they are kept.
    fn former(
        &self,
        app: &AppId,
    ) -> impl Future<Output = Result<Vec<Arc<Manifest>>, UserError>> + Send;
    /// What apps were before their last updates, as far as it is kept.
    fn previous(&self) -> impl Future<Output = Result<Vec<Previous>, UserError>> + Send;
    /// Forgets what an app was before its last update.
    fn forget_previous(&self, app: &AppId) -> impl Future<Output = Result<(), UserError>> + Send;
    /// Turns an open operation back, in one transaction: stores the desired state of before it under
    /// a new generation, forgets the previous one, and notes why in the journal.
    fn turn_back(
        &self,
        operation: OperationId,
        app: &DesiredApp,
        error: &UserError,
    ) -> impl Future<Output = Result<(), UserError>> + Send;
    /// Forgets an app after an uninstall; its history stays.
    fn forget(&self, app: &AppId) -> impl Future<Output = Result<(), UserError>> + Send;
    /// Opens an operation that changes no desired state (repair, recovery).
    fn open(
        &self,
        app: &AppId,
        kind: &str,
        actor: &Actor,
        now: Timestamp,
    ) -> impl Future<Output = Result<OperationId, UserError>> + Send;
    /// Notes a plan before its first step.
    fn planned(
        &self,
        operation: OperationId,
        plan: &Plan,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), UserError>> + Send;
    /// Notes a step before it is taken; the one before it is thereby noted as done.
    fn step(
        &self,
        operation: OperationId,
        seq: u32,
        text: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), UserError>> + Send;
    /// Notes what came of the step at work: what its programs said.
    fn said(
        &self,
        operation: OperationId,
        text: &str,
    ) -> impl Future<Output = Result<(), UserError>> + Send;
    /// Seconds that an app was away in its last operation that stopped and started it, as far as the
    /// journal tells ([`archy_plan::away`]).
    fn away_secs(&self, app: &AppId)
    -> impl Future<Output = Result<Option<u32>, UserError>> + Send;
    /// Containers that were ready and in which the hooks of a start have run: name to full id, by
    /// app.
    fn hooked(
        &self,
    ) -> impl Future<Output = Result<BTreeMap<AppId, BTreeMap<String, String>>, UserError>> + Send;
    /// Remembers such containers of an app, instead of those that were remembered. They are forgotten
    /// with the app.
    fn note_hooked(
        &self,
        app: &AppId,
        containers: &BTreeMap<String, String>,
    ) -> impl Future<Output = Result<(), UserError>> + Send;
    /// Ends an operation and its last step.
    fn finish(
        &self,
        operation: OperationId,
        ending: &Ending,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), UserError>> + Send;
    /// Operations that did not end, oldest first.
    fn open_operations(&self)
    -> impl Future<Output = Result<Vec<OpenOperation>, UserError>> + Send;
    /// Notes something that happened to an app.
    fn event(
        &self,
        app: &AppId,
        cause: &Cause,
        actor: &Actor,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), UserError>> + Send;
}

/// The clock.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;
}
