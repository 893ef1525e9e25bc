//! What the RPC layer may hold of the engine.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use archy_manifest::Manifest;
use archy_manifest::model::Protocol;
use archy_plan::Plan;
use archy_plan::adopt::Candidate;
use archy_types::{Actor, AppId, Digest, Generation, OperationId, UserError};
use tokio::sync::{mpsc, oneshot, watch};

use crate::status::Snapshot;

/// A wish of a user.
#[derive(Debug, Clone)]
pub struct Request {
    /// Who asks.
    pub actor: Actor,
    /// What is asked.
    pub kind: RequestKind,
}

/// What an installed app is brought to by an update.
#[derive(Debug, Clone)]
pub struct Replacement {
    /// The manifest, already parsed and without errors.
    pub manifest: Arc<Manifest>,
    /// Its text, kept by digest.
    pub text: Arc<[u8]>,
    /// Digest of the text.
    pub digest: Digest,
    /// Directory of the app's package (build contexts, files).
    pub package_dir: Option<PathBuf>,
    /// Settings that the owner chose.
    pub settings: BTreeMap<String, serde_json::Value>,
    /// Host ports chosen instead of the manifest's.
    pub port_overrides: BTreeMap<(u16, Protocol), u16>,
}

/// What can be asked.
#[derive(Debug, Clone)]
pub enum RequestKind {
    /// Install an app, or bring an installed one to this manifest; it runs afterwards.
    Install {
        /// The manifest, already parsed and without errors.
        manifest: Arc<Manifest>,
        /// Its text, kept by digest.
        text: Arc<[u8]>,
        /// Digest of the text.
        digest: Digest,
        /// Directory of the app's package (build contexts, files).
        package_dir: Option<PathBuf>,
        /// Settings that the owner chose.
        settings: BTreeMap<String, serde_json::Value>,
        /// Host ports chosen instead of the manifest's.
        port_overrides: BTreeMap<(u16, Protocol), u16>,
    },
    /// Bring an installed app to this manifest; it runs or rests afterwards as before.
    Update {
        /// What it is brought to.
        to: Box<Replacement>,
        /// The manifest whose wider rights the owner consented to.
        consent: Option<Digest>,
    },
    /// Bring back what the app was before its last update.
    Rollback {
        /// The app.
        app: AppId,
        /// With the data as it is now, instead of that from before the update.
        keep_data: bool,
    },
    /// Take over containers that Archipelago did not make, as they are.
    Adopt {
        /// The manifest that they fit.
        to: Box<Replacement>,
    },
    /// Make adopted containers Archipelago's own.
    Migrate {
        /// The app.
        app: AppId,
        /// Also when that changes what the manifest does not name.
        accept: bool,
    },
    /// Bring back the containers that were there before the migration.
    MigrateBack(AppId),
    /// Give up the way back: what was kept aside goes.
    MigrateCommit(AppId),
    /// Start an app that is stopped; what is missing is made anew.
    Start(AppId),
    /// Stop it; it stays stopped.
    Stop(AppId),
    /// Stop and start it with environment and files resolved afresh.
    Restart(AppId),
    /// Uninstall it; with `purge` also its data, volumes and secrets.
    Uninstall {
        /// The app.
        app: AppId,
        /// Also its data.
        purge: bool,
    },
    /// Remove what an app left that was uninstalled before: its data, volumes and secrets.
    PurgeLeft {
        /// What it was.
        left: Box<Replacement>,
        /// Its generation when it was removed.
        generation: Generation,
    },
    /// Change settings and restart if needed; `null` puts a setting back to its default.
    Configure {
        /// The app.
        app: AppId,
        /// Settings by key.
        settings: BTreeMap<String, serde_json::Value>,
    },
}

/// A wish that an operation at work ends and what was before it comes back.
#[derive(Debug, Clone)]
pub struct Cancel {
    /// Who asks.
    pub actor: Actor,
    /// The app.
    pub app: AppId,
    /// The operation, if only this one is meant.
    pub operation: Option<OperationId>,
}

/// Answer to an accepted request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// An operation was journaled and begins now or waits its turn.
    Operation(OperationId),
    /// It is already so.
    AlreadySo,
}

/// A message to the engine's task.
#[derive(Debug)]
pub enum Command {
    /// Do it.
    Submit(Request, oneshot::Sender<Result<Accepted, UserError>>),
    /// Say what would be done.
    Plan(Request, oneshot::Sender<Result<Plan, UserError>>),
    /// End the operation at work and go back.
    Cancel(Cancel, oneshot::Sender<Result<OperationId, UserError>>),
    /// Say which of these apps have containers that could be adopted.
    Adoptable(Vec<Arc<Manifest>>, oneshot::Sender<Result<Vec<Candidate>, UserError>>),
    /// Look at the host now.
    Poke,
    /// Finish what is at a safe point and end.
    Shutdown(oneshot::Sender<()>),
}

/// Handle of the engine: cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) snapshot: watch::Receiver<Arc<Snapshot>>,
}

impl Handle {
    /// A handle on other ends than the engine's task: for tests of what stands in front of it.
    #[must_use]
    pub const fn from_parts(
        commands: mpsc::Sender<Command>,
        snapshot: watch::Receiver<Arc<Snapshot>>,
    ) -> Self {
        Self { commands, snapshot }
    }

    /// Asks for a change. Returns as soon as it is journaled.
    ///
    /// # Errors
    /// The request was refused; nothing was changed.
    pub async fn submit(&self, request: Request) -> Result<Accepted, UserError> {
        self.ask(|reply| Command::Submit(request, reply)).await?
    }

    /// Says what a request would do, without doing it.
    ///
    /// # Errors
    /// No plan can be made; for example the app is not known.
    pub async fn plan(&self, request: Request) -> Result<Plan, UserError> {
        self.ask(|reply| Command::Plan(request, reply)).await?
    }

    /// Cancels the operation at work on an app; gives the operation that goes back now.
    ///
    /// # Errors
    /// Nothing is at work, or it cannot be cancelled now; it goes on.
    pub async fn cancel(&self, cancel: Cancel) -> Result<OperationId, UserError> {
        self.ask(|reply| Command::Cancel(cancel, reply)).await?
    }

    /// Says which of these apps have containers that could be adopted.
    ///
    /// # Errors
    /// The host does not tell.
    pub async fn adoptable(
        &self,
        manifests: Vec<Arc<Manifest>>,
    ) -> Result<Vec<Candidate>, UserError> {
        self.ask(|reply| Command::Adoptable(manifests, reply)).await?
    }

    /// The last snapshot, at once.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.borrow().clone()
    }

    /// A receiver that sees every new snapshot.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshot.clone()
    }

    /// Asks for a fresh look at the host; does not wait for it.
    pub fn poke(&self) {
        // a full queue means that the engine looks soon anyway
        drop(self.commands.try_send(Command::Poke));
    }

    /// Ends the engine at a safe point.
    pub async fn shutdown(&self) {
        let (reply, done) = oneshot::channel();
        if self.commands.send(Command::Shutdown(reply)).await.is_ok() {
            drop(done.await);
        }
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, UserError> {
        let (reply, answer) = oneshot::channel();
        let gone = || {
            UserError::new("engine-stopped", "The engine is shutting down.")
                .hint("Try again when the daemon is back.")
        };
        self.commands.send(command(reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())
    }
}
