//! What became of phases, and who is to blame for what failed.

use serde::{Deserialize, Serialize};

use crate::chaos::Kind;
use crate::phase::{PHASES, Phase};

/// Who is to blame for a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blame {
    /// The platform.
    Product,
    /// The app: its software, or what its manifest says.
    App,
    /// The preparation of the node: it is away, full, or its registry does not answer.
    Node,
}

impl Blame {
    /// The word in reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Product => "product",
            Self::App => "app",
            Self::Node => "node",
        }
    }
}

/// Why a phase failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The node or its driver did not do what it was told.
    #[error("{0}")]
    NodeAway(String),
    /// The daemon did not answer in time.
    #[error("the daemon does not answer: {0}")]
    DaemonAway(String),
    /// The daemon refused a request.
    #[error("refused ({code}): {message}")]
    Refused {
        /// Code of the refusal.
        code: String,
        /// Its words.
        message: String,
    },
    /// An operation failed.
    #[error("the {kind} failed ({code}): {message}")]
    Operation {
        /// Kind of the operation.
        kind: String,
        /// Code of the failure.
        code: String,
        /// Its words.
        message: String,
        /// A container of the app ended by itself or is unhealthy.
        app_sick: bool,
    },
    /// The app did not become as wished in time.
    #[error("not {wished} in time: {seen}")]
    NotSettled {
        /// What was wished.
        wished: String,
        /// What is seen instead.
        seen: String,
        /// A container of the app ended by itself or is unhealthy.
        app_sick: bool,
    },
    /// A door of the app does not answer although its services run.
    #[error("{door} does not answer: {detail}")]
    NotReachable {
        /// The interface.
        door: String,
        /// What happened instead.
        detail: String,
    },
    /// Data that was written is not there or not whole.
    #[error("data is lost or damaged in {place}: {detail}")]
    DataLost {
        /// Volume or directory.
        place: String,
        /// What is wrong.
        detail: String,
    },
    /// Secrets or ports are not those of before.
    #[error("{what} changed: {detail}")]
    Changed {
        /// What.
        what: &'static str,
        /// From what to what.
        detail: String,
    },
    /// Something is left of an app that is gone.
    #[error("left behind: {}", .0.join(", "))]
    Residue(Vec<String>),
    /// Containers were touched that had to be left alone.
    #[error("containers were touched: {0}")]
    Disturbed(String),
    /// A step of the app's own test failed.
    #[error("test step `{step}`: {detail}")]
    Step {
        /// The step.
        step: String,
        /// What happened instead.
        detail: String,
    },
}

/// Codes of refusals and failures that the node's preparation is to blame for.
const NODE_CODES: &[&str] = &[
    "disk-full",
    "disk-low",
    "inodes-low",
    "space-low",
    "memory-low",
    "pull-timeout",
    "registry-unreachable",
    "image-unavailable",
    "port-taken",
    "name-taken",
];
/// Codes that the manifest is to blame for.
const APP_CODES: &[&str] = &["manifest-invalid", "id-reserved", "hook-failed", "hook-http"];

fn blame_of_code(code: &str, app_sick: bool) -> Blame {
    match code {
        _ if NODE_CODES.contains(&code) => Blame::Node,
        _ if app_sick || APP_CODES.contains(&code) => Blame::App,
        _ => Blame::Product,
    }
}

impl Fault {
    /// Who is to blame.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::NodeAway(_) => Blame::Node,
            Self::Refused { code, .. } => blame_of_code(code, false),
            Self::Operation { code, app_sick, .. } => blame_of_code(code, *app_sick),
            Self::NotSettled { app_sick: true, .. }
            | Self::NotReachable { .. }
            | Self::Step { .. } => Blame::App,
            Self::DaemonAway(_)
            | Self::NotSettled { .. }
            | Self::DataLost { .. }
            | Self::Changed { .. }
            | Self::Residue(_)
            | Self::Disturbed(_) => Blame::Product,
        }
    }

    /// Stable code of this kind of failure.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NodeAway(_) => "node-away",
            Self::DaemonAway(_) => "daemon-away",
            Self::Refused { .. } => "refused",
            Self::Operation { .. } => "operation-failed",
            Self::NotSettled { .. } => "not-settled",
            Self::NotReachable { .. } => "not-reachable",
            Self::DataLost { .. } => "data-lost",
            Self::Changed { .. } => "changed",
            Self::Residue(_) => "residue",
            Self::Disturbed(_) => "disturbed",
            Self::Step { .. } => "test-step",
        }
    }

    /// The failure as an outcome.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        Outcome::Failed {
            code: self.code().to_owned(),
            cause: self.to_string(),
            blame: self.blame(),
        }
    }
}

/// What became of a phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Outcome {
    /// It held.
    Passed,
    /// It did not hold.
    Failed {
        /// Stable code.
        code: String,
        /// What happened.
        cause: String,
        /// Who is to blame.
        blame: Blame,
    },
    /// It was not tried although it should be: the result is not complete.
    Skipped {
        /// Why.
        reason: String,
    },
    /// It does not apply to this app: nothing is missing.
    Inapplicable {
        /// Why.
        reason: String,
    },
}

impl Outcome {
    /// The word in reports.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed { .. } => "failed",
            Self::Skipped { .. } => "skipped",
            Self::Inapplicable { .. } => "n/a",
        }
    }

    /// What is to be said about it; empty when it passed.
    #[must_use]
    pub fn remark(&self) -> String {
        match self {
            Self::Passed => String::new(),
            Self::Failed { cause, blame, .. } => format!("[{}] {cause}", blame.word()),
            Self::Skipped { reason } | Self::Inapplicable { reason } => reason.clone(),
        }
    }
}

/// One phase of one app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseResult {
    /// The phase.
    pub phase: Phase,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// How long it took with all checks, in milliseconds.
    pub millis: u64,
    /// How often it had to be asked for; more than once only after a harm.
    pub requests: u32,
    /// What is good to know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A harm as it happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HarmRecord {
    /// The phase that it happened in.
    pub phase: Phase,
    /// What was done.
    pub kind: Kind,
    /// To which app; nothing when to the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// Milliseconds after the phase's begin.
    pub after_millis: u64,
    /// What it hit, or why it hit nothing.
    pub note: String,
    /// It hit something.
    pub bit: bool,
}

/// One life of one app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// Which, from 1.
    pub iteration: u32,
    /// When it began (milliseconds since 1970).
    pub started: i64,
    /// When it ended.
    pub ended: i64,
    /// Phases in order.
    pub phases: Vec<PhaseResult>,
    /// Harms that could have hit it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub harms: Vec<HarmRecord>,
}

/// The verdict over lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every phase passed.
    Passed,
    /// Nothing failed, but something could not be tried.
    Incomplete,
    /// Something failed.
    Failed,
}

impl Verdict {
    /// The word in reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
        }
    }

    /// The worse of two.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Failed, _) | (_, Self::Failed) => Self::Failed,
            (Self::Incomplete, _) | (_, Self::Incomplete) => Self::Incomplete,
            _ => Self::Passed,
        }
    }
}

impl Life {
    /// Its verdict: a phase that is missing was not tried.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let complete = self.phases.len() == PHASES.len();
        let start = if complete { Verdict::Passed } else { Verdict::Incomplete };
        self.phases.iter().fold(start, |verdict, result| {
            verdict.and(match result.outcome {
                Outcome::Passed | Outcome::Inapplicable { .. } => Verdict::Passed,
                Outcome::Skipped { .. } => Verdict::Incomplete,
                Outcome::Failed { .. } => Verdict::Failed,
            })
        })
    }

    /// Failed phases.
    pub fn failures(&self) -> impl Iterator<Item = (&PhaseResult, Blame)> {
        self.phases.iter().filter_map(|result| match result.outcome {
            Outcome::Failed { blame, .. } => Some((result, blame)),
            _ => None,
        })
    }
}

/// The verdict over several lives; none is no result.
#[must_use]
pub fn verdict(lives: &[Life]) -> Verdict {
    let start = if lives.is_empty() { Verdict::Incomplete } else { Verdict::Passed };
    lives.iter().fold(start, |verdict, life| verdict.and(life.verdict()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(outcome: Outcome) -> Life {
        let phase = |info: &crate::phase::PhaseInfo| PhaseResult {
            phase: info.phase,
            outcome: if info.phase == Phase::Reboot { outcome.clone() } else { Outcome::Passed },
            millis: 1,
            requests: 1,
            notes: Vec::new(),
        };
        let phases = PHASES.iter().map(phase).collect();
        Life { iteration: 1, started: 0, ended: 1, phases, harms: Vec::new() }
    }

    #[test]
    fn what_was_not_tried_is_never_passed() {
        let skipped = Outcome::Skipped { reason: "this node is not rebooted".into() };
        assert_eq!(life(Outcome::Passed).verdict(), Verdict::Passed);
        assert_eq!(life(skipped).verdict(), Verdict::Incomplete);
        let inapplicable = Outcome::Inapplicable { reason: "no settings".into() };
        assert_eq!(life(inapplicable).verdict(), Verdict::Passed);
        let failed = Fault::NodeAway("gone".into()).outcome();
        assert_eq!(life(failed).verdict(), Verdict::Failed);
        let mut short = life(Outcome::Passed);
        short.phases.pop();
        assert_eq!(short.verdict(), Verdict::Incomplete);
        assert_eq!(verdict(&[]), Verdict::Incomplete);
    }

    #[test]
    fn blame() {
        let operation = |code: &str, app_sick| Fault::Operation {
            kind: "install".into(),
            code: code.into(),
            message: String::new(),
            app_sick,
        };
        let refused = |code: &str| Fault::Refused { code: code.into(), message: String::new() };
        for (fault, blame) in [
            (Fault::NodeAway(String::new()), Blame::Node),
            (Fault::DaemonAway(String::new()), Blame::Product),
            (operation("pull-timeout", true), Blame::Node),
            (operation("unit-failed", true), Blame::App),
            (operation("unit-failed", false), Blame::Product),
            (refused("manifest-invalid"), Blame::App),
            (refused("port-taken"), Blame::Node),
            (refused("internal"), Blame::Product),
            (Fault::Residue(vec!["a".into()]), Blame::Product),
            (Fault::Step { step: "s".into(), detail: "d".into() }, Blame::App),
        ] {
            assert_eq!(fault.blame(), blame, "{fault}");
        }
    }
}
