//! Kinds of operations, and the job a worker runs.

use archy_plan::{DesiredApp, DesiredState};
use archy_types::{Actor, OperationId, Timestamp};

/// Kind of an operation, as the journal and the API name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OperationKind {
    /// First install, or an installed app brought to another manifest.
    Install,
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
    /// Drift healed by the engine itself.
    Recover,
}

impl OperationKind {
    const ALL: [Self; 7] = [
        Self::Install,
        Self::Start,
        Self::Stop,
        Self::Restart,
        Self::Uninstall,
        Self::Configure,
        Self::Recover,
    ];

    /// The word in journal and API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Uninstall => "uninstall",
            Self::Configure => "configure",
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

    /// What an operation of this kind plans; `fresh` when the app was not there before.
    pub(crate) const fn intent(self, fresh: bool) -> archy_plan::Intent {
        match self {
            Self::Install if fresh => archy_plan::Intent::Install,
            Self::Install => archy_plan::Intent::Update,
            Self::Start | Self::Configure => archy_plan::Intent::Start,
            Self::Restart => archy_plan::Intent::Restart,
            Self::Stop | Self::Uninstall | Self::Recover => archy_plan::Intent::Converge,
        }
    }
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
}

impl Job {
    pub(crate) const fn removes(&self) -> bool {
        matches!(self.app.state, DesiredState::Removed | DesiredState::Purged)
    }
}
