//! Kinds of operations, and the job a worker runs.

use std::sync::Arc;

use archy_plan::{DesiredApp, DesiredState, Observed};
use archy_types::{Actor, OperationId, Timestamp, UserError};

/// Kind of an operation, as the journal and the API name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OperationKind {
    /// First install, or an installed app brought to other settings of its manifest.
    Install,
    /// An installed app brought to another manifest: one transaction, with a way back.
    Update,
    /// The state before the last update, brought back.
    Rollback,
    /// Start.
    Start,
    /// Stop.
    Stop,
    /// Restart.
    Restart,
    /// Uninstall, with or without data.
    Uninstall,
    /// Settings changed.
    Configure,
    /// Containers taken over as they are.
    Adopt,
    /// Containers that were taken over, made Archipelago's own.
    Migrate,
    /// What was there before a migration, brought back.
    MigrateBack,
    /// The way back from a migration given up.
    MigrateCommit,
    /// Drift healed by the engine itself.
    Recover,
}

impl OperationKind {
    const ALL: [Self; 13] = [
        Self::Install,
        Self::Update,
        Self::Rollback,
        Self::Start,
        Self::Stop,
        Self::Restart,
        Self::Uninstall,
        Self::Configure,
        Self::Adopt,
        Self::Migrate,
        Self::MigrateBack,
        Self::MigrateCommit,
        Self::Recover,
    ];

    /// The word in journal and API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Update => "update",
            Self::Rollback => "rollback",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Uninstall => "uninstall",
            Self::Configure => "configure",
            Self::Adopt => "adopt",
            Self::Migrate => "migrate",
            Self::MigrateBack => "migrate-back",
            Self::MigrateCommit => "migrate-commit",
            Self::Recover => "recover",
        }
    }

    /// The kind of a word; unknown words are healed like drift.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).unwrap_or(Self::Recover)
    }

    /// An operation of this kind does not wait for the one at work.
    pub(crate) const fn supersedes(self) -> bool {
        matches!(self, Self::Stop | Self::Uninstall)
    }

    /// It changes version and data together: nothing that changes either comes in between.
    pub(crate) const fn is_transaction(self) -> bool {
        matches!(self, Self::Update | Self::Rollback | Self::Migrate | Self::MigrateBack)
    }

    /// What an operation of this kind plans; `fresh` when the app was not there before.
    pub(crate) const fn intent(self, fresh: bool) -> archy_plan::Intent {
        match self {
            Self::Install if fresh => archy_plan::Intent::Install,
            Self::Install | Self::Update => archy_plan::Intent::Update,
            Self::Rollback => archy_plan::Intent::Rollback,
            Self::Start | Self::Configure | Self::Migrate | Self::MigrateBack => {
                archy_plan::Intent::Start
            }
            Self::Restart => archy_plan::Intent::Restart,
            Self::Stop | Self::Uninstall | Self::Adopt | Self::MigrateCommit | Self::Recover => {
                archy_plan::Intent::Converge
            }
        }
    }
}

/// What the engine tells the worker of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Order {
    /// Nothing.
    GoOn,
    /// Somebody cancels it: back to what was before it.
    Cancel(Actor),
    /// A newer wish takes its place: leave everything as it is.
    GiveWay,
}

/// One operation for one app, ready to run.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) app: DesiredApp,
    pub(crate) operation: OperationId,
    pub(crate) kind: OperationKind,
    pub(crate) actor: Actor,
    pub(crate) started: Timestamp,
    /// The app was not installed before this operation: a failure before anything ran is undone.
    pub(crate) fresh: bool,
    /// The look at the host that the request was checked with, when the work begins at once.
    pub(crate) look: Option<Arc<Observed>>,
    /// Why it goes back to what was before it, once it does.
    pub(crate) back: Option<UserError>,
}

impl Job {
    /// It starts what an earlier operation stopped and did not start again (see `endings`).
    pub(crate) fn makes_up(&self) -> bool {
        self.kind == OperationKind::Start && self.actor == Actor::System
    }

    /// It has a way back that somebody can ask for while it is at work.
    pub(crate) const fn can_be_cancelled(&self) -> bool {
        match self.kind {
            OperationKind::Install => self.fresh,
            OperationKind::Update | OperationKind::Migrate => true,
            _ => false,
        }
    }

    /// It brings an app that was not there before: its way back is that the app goes.
    pub(crate) fn brings_new(&self) -> bool {
        self.kind == OperationKind::Install && self.fresh
    }

    pub(crate) const fn removes(&self) -> bool {
        matches!(self.app.state, DesiredState::Removed | DesiredState::Purged)
    }
}
