//! A set of apps, together on one node, one life after the other.

use std::path::PathBuf;

use archy_types::UserError;

use crate::chaos::schedule;
use crate::document::{AppRecord, FORMAT, Payload};
use crate::identity::{Refusal, Seen, establish};
use crate::life::{Stage, Subject, allowed};
use crate::node::Node;
use crate::outcome::{Fault, verdict};
use crate::progress::{Progress, ProgressError};
use crate::spec::AppSpec;

/// What is to be run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The apps.
    pub specs: Vec<AppSpec>,
    /// How many lives of each.
    pub iterations: u32,
    /// Seed of harms; without one none are done.
    pub chaos: Option<u64>,
    /// Apps that are on the node already are tested, and stay.
    pub existing: bool,
    /// How many apps are worked on at once.
    pub parallel: usize,
    /// File with the progress; a run that it holds goes on.
    pub progress: Option<PathBuf>,
}

/// Why a run has no result.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// It may not run here.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The progress cannot be kept.
    #[error(transparent)]
    Progress(#[from] ProgressError),
    /// The node could not be made ready.
    #[error("the node cannot be made ready: {0}")]
    Node(#[from] Fault),
    /// There is nothing to test.
    #[error("there is no app to test")]
    NoApps,
    /// Two apps have one id.
    #[error("the app {0} is given twice")]
    Twice(String),
}

impl GateError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.code(),
            Self::Progress(_) => "gate-progress",
            Self::Node(_) => "gate-node",
            Self::NoApps => "gate-no-apps",
            Self::Twice(_) => "gate-app-twice",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.hint(),
            Self::Progress(_) => {
                "Give another file with --resume, or the apps, the seed and the node of that run."
            }
            Self::Node(_) => "Look at the node, or take a fresh one.",
            Self::NoApps => "Name apps, or a directory whose directories hold manifests.",
            Self::Twice(_) => "Name each app once.",
        }
    }
}

impl From<GateError> for UserError {
    fn from(error: GateError) -> Self {
        Self::new(error.code(), error.to_string()).hint(error.hint())
    }
}

/// Runs all iterations; gives what is to be signed, one payload for each app.
///
/// # Errors
/// It may not run on this node, or the progress cannot be kept. What fails in a life is no error.
pub async fn run<N: Node>(
    node: &N,
    plan: &Plan,
    tell: &dyn Fn(&str),
) -> Result<Vec<Payload>, GateError> {
    check(plan)?;
    let (record, info) = establish(node).await?;
    let found = match &plan.progress {
        Some(path) => Progress::open(path, &plan.specs, plan.chaos, &record)?,
        None => None,
    };
    let stage = Stage::new(node, info, plan.parallel, tell);
    let mut progress = match found {
        Some(progress) => {
            tell(&format!("going on after {} iterations", progress.done));
            progress
        }
        None => Progress::begin(&plan.specs, plan.chaos, record, crate::now_millis()),
    };
    let subjects = admit(&stage, plan, &progress, tell).await?;
    while progress.done < plan.iterations {
        let iteration = progress.done + 1;
        progress.under_way = Some(iteration);
        save(plan, &progress)?;
        tell(&format!("iteration {iteration} of {}", plan.iterations));
        iterate(&stage, plan, &subjects, iteration, &mut progress).await?;
        save(plan, &progress)?;
    }
    stage.leave(&subjects).await;
    Ok(payloads(plan, &progress))
}

fn check(plan: &Plan) -> Result<(), GateError> {
    if plan.specs.is_empty() {
        return Err(GateError::NoApps);
    }
    let mut seen = std::collections::BTreeSet::new();
    match plan.specs.iter().find(|spec| !seen.insert(spec.id())) {
        Some(twice) => Err(GateError::Twice(twice.id().to_owned())),
        None => Ok(()),
    }
}

/// The apps that may be tested here: what an interrupted iteration left is removed, what somebody else has there is
/// refused.
async fn admit<N: Node>(
    stage: &Stage<'_, N>,
    plan: &Plan,
    progress: &Progress,
    tell: &dyn Fn(&str),
) -> Result<Vec<Subject>, GateError> {
    let mut subjects = Vec::new();
    for spec in &plan.specs {
        let mut subject = Subject::new(spec.clone(), false);
        if progress.under_way.is_some() && !plan.existing {
            tell(&format!("  {}: removing what the interrupted iteration left", spec.id()));
            stage.sweep(&subject).await?;
        } else if let Some(what) = stage.existing(&subject).await? {
            if !plan.existing {
                return Err(Refusal::Existing { app: spec.id().to_owned(), what }.into());
            }
            subject.existing = true;
        }
        subjects.push(subject);
    }
    Ok(subjects)
}

async fn iterate<N: Node>(
    stage: &Stage<'_, N>,
    plan: &Plan,
    subjects: &[Subject],
    iteration: u32,
    progress: &mut Progress,
) -> Result<(), GateError> {
    let allows = allowed(stage.node);
    let harms = match plan.chaos {
        Some(seed) => schedule(seed, iteration, subjects.len(), allows),
        None => Vec::new(),
    };
    let lives = stage.live(subjects, iteration, &harms).await;
    let boot = Seen::ask(stage.node).await.map_err(Refusal::from)?.boot;
    for subject in subjects {
        let places = subject.places();
        if !places.is_empty() {
            progress.places.insert(subject.spec.id().to_owned(), places);
        }
    }
    let by_app = subjects.iter().map(|subject| subject.spec.id().to_owned()).zip(lives);
    progress.end(iteration, by_app.collect(), &boot);
    // a removal that failed stands in the result; the next iteration begins on a clean node all the same
    for subject in subjects.iter().filter(|subject| !subject.existing) {
        stage.sweep(subject).await?;
    }
    Ok(())
}

fn save(plan: &Plan, progress: &Progress) -> Result<(), GateError> {
    match &plan.progress {
        Some(path) => Ok(progress.save(path)?),
        None => Ok(()),
    }
}

fn payloads(plan: &Plan, progress: &Progress) -> Vec<Payload> {
    let of = |spec: &AppSpec| {
        let id = spec.id();
        let lives = progress.lives.get(id).cloned().unwrap_or_default();
        let steps = spec.own.write.len() + spec.own.verify.len();
        let others = plan.specs.iter().map(AppSpec::id).filter(|other| *other != id);
        Payload {
            format: FORMAT.to_owned(),
            app: AppRecord {
                id: id.to_owned(),
                version: spec.manifest.version.clone(),
                manifest: spec.digest.clone(),
                places: progress.places.get(id).cloned().unwrap_or_default(),
                steps: u32::try_from(steps).unwrap_or(u32::MAX),
            },
            node: progress.node.clone(),
            started: progress.started,
            ended: lives.last().map_or(progress.started, |life| life.ended),
            beside: others.map(str::to_owned).collect(),
            chaos: progress.chaos.map(|seed| seed.to_string()),
            verdict: verdict(&lives),
            lives,
        }
    };
    plan.specs.iter().map(of).collect()
}
