//! The plan: ordered steps with their reasons, and what was checked.

use std::path::PathBuf;

use archy_manifest::model::{Owner, SecretKind};
use archy_types::{AppId, Code, Digest, Generation, ServiceName, UserError};
use serde::{Deserialize, Serialize};

use crate::adopt::{DataMove, SecretSource};

/// Code of the note that the host could not be seen.
pub(crate) const HOST_UNKNOWN: &str = "host-unknown";

/// What will be done for one app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The app.
    pub app: AppId,
    /// Generation of the desired state that it was made for.
    pub generation: Generation,
    /// Digest of the manifest.
    pub manifest: Digest,
    /// Steps in order: removing comes before adding.
    pub steps: Vec<PlannedStep>,
    /// What was checked; an error means that nothing may be done.
    pub checks: Vec<Check>,
}

impl Plan {
    /// Nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The first check that forbids doing it.
    #[must_use]
    pub fn refusal(&self) -> Option<&Check> {
        self.checks.iter().find(|check| check.severity == Severity::Error)
    }

    /// What says that the host could not be seen: that there are no steps then means nothing.
    #[must_use]
    pub fn unknown(&self) -> Option<&Check> {
        self.checks.iter().find(|check| check.code.as_str() == HOST_UNKNOWN)
    }
}

/// A step with the reason for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// What is done.
    #[serde(flatten)]
    pub step: Step,
    /// Why, in one sentence.
    pub reason: String,
}

/// One step. Closed: the executor has one function per variant and no choices left.
/// No variant holds a secret's value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum Step {
    /// Runs the steps of a hook.
    RunHook {
        /// When.
        point: archy_manifest::model::HookPoint,
    },
    /// Stops units, in parallel; each may take its grace.
    StopUnits {
        /// Units.
        units: Vec<String>,
        /// Seconds until this step counts as failed: above every unit's own stop deadline.
        deadline_secs: u32,
    },
    /// Removes a container that no unit holds any more.
    RemoveContainer {
        /// Name.
        name: String,
        /// Seconds until this step counts as failed: above the container's own grace, which it gets
        /// before it is ended.
        #[serde(default = "remove_secs_unsaid")]
        deadline_secs: u32,
    },
    /// Gives a running container the name back that its unit gave it.
    RenameContainer {
        /// Its name now.
        from: String,
        /// The name that its unit gave it.
        to: String,
    },
    /// Removes a unit file.
    RemoveUnitFile {
        /// File name.
        file_name: String,
    },
    /// Removes a network of Podman.
    RemoveNetwork {
        /// Name.
        name: String,
    },
    /// Removes a volume of Podman with its data; only after a purge.
    PurgeVolume {
        /// Name.
        name: String,
    },
    /// Removes an app's data directory; only after a purge.
    PurgeData,
    /// Removes a podman secret (the file stays unless purged).
    RemovePodmanSecret {
        /// Name.
        name: String,
    },
    /// Removes a secret's file; only after a purge.
    PurgeSecret {
        /// Name.
        name: String,
    },
    /// Makes a directory below the app's data directory.
    MakeDirectory {
        /// Path relative to the app's data directory; empty is the directory itself.
        path: String,
        /// Owner in the container.
        owner: Option<Owner>,
    },
    /// Generates a secret once. The engine looks again after these steps, since unit texts hold
    /// a hash of the secrets.
    GenerateSecret {
        /// File name.
        name: String,
        /// Kind.
        kind: SecretKind,
    },
    /// Hands a secret to Podman.
    SyncPodmanSecret {
        /// Name.
        name: String,
    },
    /// Puts a secret together from others and hands it to Podman.
    ComposePodmanSecret {
        /// Name.
        name: String,
        /// The template, in which only secrets are left to fill in.
        template: String,
        /// What is written beside it: changes with the template and with what it is made of.
        hash: String,
    },
    /// Makes a self-signed certificate once.
    MakeCert {
        /// Index in the manifest's list.
        index: usize,
    },
    /// Writes a file from its template.
    WriteFile {
        /// Path relative to the app's data directory.
        path: String,
    },
    /// Pulls an image.
    PullImage {
        /// Service.
        service: ServiceName,
        /// Reference.
        reference: String,
    },
    /// Writes a unit file.
    WriteUnitFile {
        /// File name.
        file_name: String,
        /// Exact text.
        text: String,
        /// Difference from the file that is there (unified), when there is one.
        diff: Option<String>,
    },
    /// Makes the user manager read the unit files.
    Reload,
    /// Builds an image by its unit.
    BuildImage {
        /// Service.
        service: ServiceName,
        /// Unit.
        unit: String,
        /// Seconds.
        deadline_secs: u32,
    },
    /// Starts units in parallel (systemd orders them).
    StartUnits {
        /// Units.
        units: Vec<String>,
        /// Seconds until this step counts as failed.
        deadline_secs: u32,
    },
    /// Waits until the app's ready conditions hold.
    AwaitReady {
        /// Seconds.
        deadline_secs: u32,
    },
    /// Copies the app's data directory and volumes aside; nothing of the app runs meanwhile.
    Snapshot {
        /// The generation that the snapshot is taken before.
        generation: Generation,
        /// Named volumes that are in it.
        volumes: Vec<String>,
    },
    /// Puts a snapshot back in the place of the data; nothing of the app runs meanwhile.
    RestoreSnapshot {
        /// The generation that the snapshot was taken before.
        generation: Generation,
        /// The generation that asked for it.
        wish: Generation,
    },
    /// Watches for so long that a new version stays healthy.
    Soak {
        /// Seconds.
        secs: u32,
    },
    /// Removes snapshots that are not kept any longer.
    PruneSnapshots {
        /// The generations that they were taken before.
        generations: Vec<Generation>,
    },
    /// Does something with containers that Archipelago did not make and that the app took over.
    Legacy(LegacyStep),
}

/// The deadline of a removal in journals that do not say it.
const fn remove_secs_unsaid() -> u32 {
    660
}

/// What is done with containers that Archipelago did not make.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "legacy", rename_all = "kebab-case")]
pub enum LegacyStep {
    /// Starts containers as they are, one after the other.
    StartContainers {
        /// Names.
        names: Vec<String>,
        /// Seconds.
        deadline_secs: u32,
    },
    /// Stops containers as they are.
    StopContainers {
        /// Names.
        names: Vec<String>,
        /// Seconds; longer than their grace.
        deadline_secs: u32,
    },
    /// Gives a container another name: aside, or back. Done when it has it.
    Rename {
        /// Its id.
        id: String,
        /// Its name.
        from: String,
        /// Its new name.
        to: String,
    },
    /// Keeps a unit file of the owner aside.
    SetFileAside {
        /// Its path.
        path: PathBuf,
    },
    /// Puts a unit file of the owner back where it was.
    PutFileBack {
        /// Its path.
        path: PathBuf,
    },
    /// Copies data to where the manifest has it, and compares. The original stays. May be repeated.
    CopyData {
        /// From where to where.
        data: DataMove,
        /// The generation that asked for it.
        wish: Generation,
    },
    /// Keeps the value of a secret that a container has, unless there is one already.
    TakeSecret {
        /// Name of the manifest's secret.
        name: String,
        /// Where its value is.
        source: SecretSource,
    },
    /// Nothing of what was adopted is in the way any more: the host is looked at again.
    Done,
}

/// Weight of a check's finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Note,
    /// Works, with a loss that is named.
    Warning,
    /// Nothing may be done.
    Error,
}

/// One finding before anything is touched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Weight.
    pub severity: Severity,
    /// Stable code, for example `port-taken`.
    pub code: Code,
    /// One sentence with the figures.
    pub message: String,
    /// What to do about it.
    pub mend: Option<String>,
}

impl From<&Check> for UserError {
    /// A refusal in a user's words.
    fn from(check: &Check) -> Self {
        Self { code: check.code.clone(), message: check.message.clone(), hint: check.mend.clone() }
    }
}
