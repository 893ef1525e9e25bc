//! What the journal holds.

use std::fmt;

use archy_types::{Actor, AppId, Cause, OperationId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident ($what:literal) { $($(#[$item_doc:meta])* $item:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name { $($(#[$item_doc])* $item,)* }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$item,)*];

            /// The word in the store.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$item => $word,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                Self::ALL
                    .iter()
                    .copied()
                    .find(|it| it.as_str() == text)
                    .ok_or_else(|| format!("{text:?} is not {}", $what))
            }
        }
    };
}

words! {
    /// How far an operation is.
    Phase ("a phase") {
        /// Journaled, not begun.
        Queued = "queued",
        /// Under way.
        Running = "running",
        /// Ended as asked.
        Done = "done",
        /// Ended otherwise.
        Failed = "failed",
        /// Failed and undone.
        RolledBack = "rolled-back",
        /// Given up before or while it ran, because somebody asked.
        Cancelled = "cancelled",
    }
}

impl Phase {
    /// True when nothing follows it.
    #[must_use]
    pub const fn is_end(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

words! {
    /// How far a step is.
    StepState ("a step's state") {
        /// Planned, not begun.
        Pending = "pending",
        /// Begun: its effect may have happened.
        Running = "running",
        /// Its effect has happened.
        Done = "done",
        /// It failed; the outcome says why.
        Failed = "failed",
        /// It was not needed, or its operation was planned again or ended before it.
        Skipped = "skipped",
    }
}

/// An operation to journal.
#[derive(Debug, Clone, PartialEq)]
pub struct NewOperation {
    /// The app it is about, if it is about one.
    pub app: Option<AppId>,
    /// What is done, for example `install`.
    pub kind: String,
    /// Who asked.
    pub actor: Actor,
    /// What was asked; never a secret.
    pub params: Value,
    /// When it was asked.
    pub created: Timestamp,
}

/// A journaled operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// Its number: a later operation has a greater one.
    pub id: OperationId,
    /// The app it is about, if it is about one.
    pub app: Option<AppId>,
    /// What is done.
    pub kind: String,
    /// Who asked.
    pub actor: Actor,
    /// How far it is.
    pub phase: Phase,
    /// When it was queued.
    pub created: Timestamp,
    /// When it began.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub finished: Option<Timestamp>,
    /// Why it ended as it did.
    pub cause: Option<Cause>,
    /// What was asked.
    pub params: Value,
    /// The newest plan; null before the first.
    pub plan: Value,
    /// Its steps in order.
    pub steps: Vec<Step>,
}

/// A step of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its place, from 1.
    pub seq: u32,
    /// What it does, for people.
    pub description: String,
    /// How far it is.
    pub state: StepState,
    /// When it (last) began.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub finished: Option<Timestamp>,
    /// What came of it, or why it failed.
    pub outcome: Option<String>,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepResult {
    /// Well, with what came of it.
    Done(Option<String>),
    /// Badly, with the reason.
    Failed(String),
    /// Not at all, with the reason.
    Skipped(String),
}

impl StepResult {
    pub(super) fn parts(&self) -> (StepState, Option<&str>) {
        match self {
            Self::Done(outcome) => (StepState::Done, outcome.as_deref()),
            Self::Failed(reason) => (StepState::Failed, Some(reason)),
            Self::Skipped(reason) => (StepState::Skipped, Some(reason)),
        }
    }
}
