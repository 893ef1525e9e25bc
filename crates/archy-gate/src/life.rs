//! Lives of apps on a node: every phase is done, harmed if so wished, and checked.

mod act;
mod check;
mod harm;
mod places;
mod residue;
mod subject;
mod watch;
mod wish;

use std::future::Future;
use std::time::{Duration, Instant};

use archy_api::system::SystemInfo;
use archy_client::Client;
use futures_util::StreamExt as _;

pub use subject::Subject;

use crate::chaos::{Harm, Kind};
use crate::node::Node;
use crate::outcome::{Fault, HarmRecord, Life, Outcome, PhaseResult};
use crate::phase::{Capability, Ending, PHASES, Phase, PhaseInfo, Scope};

/// How long a call of the daemon may take.
const CALL: Duration = Duration::from_secs(60);

/// What all lives on a node share.
pub struct Stage<'a, N> {
    /// The node.
    pub(crate) node: &'a N,
    client: Client,
    watch: watch::Watch,
    /// What the daemon says of its host.
    pub(crate) info: SystemInfo,
    parallel: usize,
    tell: &'a dyn Fn(&str),
}

impl<N> std::fmt::Debug for Stage<'_, N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage").field("parallel", &self.parallel).finish_non_exhaustive()
    }
}

/// The end of one app's part of a phase.
#[derive(Debug, Default)]
pub(crate) struct Done {
    requests: u32,
    notes: Vec<String>,
    inapplicable: Option<String>,
}

impl Done {
    fn after(requests: u32) -> Self {
        Self { requests, ..Self::default() }
    }

    fn inapplicable(reason: &str) -> Self {
        Self { inapplicable: Some(reason.to_owned()), ..Self::default() }
    }
}

impl<'a, N: Node> Stage<'a, N> {
    /// A stage on a node; at most `parallel` apps are worked on at once. Must be made within a runtime.
    pub fn new(node: &'a N, info: SystemInfo, parallel: usize, tell: &'a dyn Fn(&str)) -> Self {
        let client = node.client().with_deadline(CALL);
        let watch = watch::Watch::open(client.clone());
        Self { node, client, watch, info, parallel: parallel.max(1), tell }
    }

    /// Lives one life of each app, all in step: a phase begins when the one before has ended for all.
    pub async fn live(&self, subjects: &[Subject], iteration: u32, harms: &[Harm]) -> Vec<Life> {
        let started = crate::now_millis();
        subjects.iter().for_each(Subject::begin);
        let mut records = Vec::new();
        for info in PHASES {
            let of_phase: Vec<&Harm> = harms.iter().filter(|h| h.phase == info.phase).collect();
            let began = Instant::now();
            let happened = self.phase(info, subjects, &of_phase).await;
            records.extend(happened);
            (self.tell)(&told(info, subjects, began.elapsed()));
        }
        let ended = crate::now_millis();
        let lives = subjects.iter().map(|subject| {
            let hits = |record: &&HarmRecord| {
                record.app.as_deref().is_none_or(|app| app == subject.spec.id())
            };
            let harms = records.iter().filter(hits).cloned().collect();
            Life { iteration, started, ended, phases: subject.results(), harms }
        });
        lives.collect()
    }

    /// Does one phase for all, with its harms, and checks it.
    async fn phase(
        &self,
        info: &PhaseInfo,
        subjects: &[Subject],
        harms: &[&Harm],
    ) -> Vec<HarmRecord> {
        let began = Instant::now();
        let rough = |subject: &Subject| {
            harms.iter().any(|harm| {
                !harm.kind.is_of_an_app() || subjects.get(harm.app).is_some_and(|s| s.is(subject))
            })
        };
        let acts = async {
            match info.scope {
                Scope::Node => self.of_node(info, subjects).await,
                Scope::App => {
                    let each = |subject| self.of_app(info, subject, rough(subject));
                    self.each(subjects, each).await
                }
            }
        };
        let harming = async {
            let mut records = Vec::new();
            for harm in harms {
                records.push(self.harm(harm, subjects, began).await);
            }
            records
        };
        let (acted, records) = tokio::join!(acts, harming);
        let harmed = !records.is_empty();
        // what comes last may have been a harm: nothing is checked or begun while the daemon is away
        let back = if harmed { self.daemon_is_back().await } else { Ok(()) };
        let back = &back;
        let ends = acted.into_iter().zip(subjects).map(|(acted, subject)| async move {
            let checked = match acted {
                Ok(done) if done.inapplicable.is_some() && !harmed => Ok(done),
                Ok(_) if back.is_err() => {
                    back.clone().map(|()| Done::default()).map_err(Stop::from)
                }
                Ok(done) => self.check(info, subject).await.map(|()| done),
                Err(end) => Err(end),
            };
            (subject, checked)
        });
        let ends: Vec<_> =
            futures_util::stream::iter(ends).buffer_unordered(self.parallel).collect().await;
        for (subject, end) in ends {
            self.note(info, subject, end, began.elapsed());
        }
        self.healed(&records, subjects, info).await;
        records
    }

    /// One phase of one app up to its checks.
    async fn of_app(&self, info: &PhaseInfo, subject: &Subject, rough: bool) -> Result<Done, Stop> {
        if let Some(reason) = subject.skips(info.phase) {
            return Err(Stop::Skip(reason));
        }
        Ok(self.act(info.phase, subject, rough).await?)
    }

    /// A phase of the node: the same happens to all apps.
    async fn of_node(&self, info: &PhaseInfo, subjects: &[Subject]) -> Vec<Result<Done, Stop>> {
        let all = |end: &dyn Fn() -> Result<Done, Stop>| {
            let of_one = |subject: &Subject| match subject.skips(info.phase) {
                Some(reason) => Err(Stop::Skip(reason)),
                None => end(),
            };
            subjects.iter().map(of_one).collect::<Vec<_>>()
        };
        let needs = info.needs.unwrap_or(Capability::DaemonRestart);
        if let Err(reason) = self.node.can(needs) {
            return all(&|| Err(Stop::Skip(reason.clone())));
        }
        match self.happen(needs, subjects).await {
            Ok(()) => all(&|| Ok(Done::after(1))),
            Err(Event::Incapable(reason)) => all(&|| Err(Stop::Skip(reason.clone()))),
            Err(Event::Fault(fault)) => all(&|| Err(Stop::Fault(fault.clone()))),
        }
    }

    async fn each<'s, T, F: Future<Output = T>>(
        &self,
        subjects: &'s [Subject],
        work: impl Fn(&'s Subject) -> F,
    ) -> Vec<T> {
        // in the order of the apps
        futures_util::stream::iter(subjects.iter().map(work))
            .buffered(self.parallel)
            .collect()
            .await
    }

    fn note(&self, info: &PhaseInfo, subject: &Subject, end: Result<Done, Stop>, took: Duration) {
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let (outcome, requests, mut notes) = match end {
            Ok(Done { inapplicable: Some(reason), notes, .. }) => {
                (Outcome::Inapplicable { reason }, 0, notes)
            }
            Ok(done) => (Outcome::Passed, done.requests, done.notes),
            Err(Stop::Skip(reason)) => (Outcome::Skipped { reason }, 0, Vec::new()),
            Err(Stop::Fault(fault)) => {
                (self.tell)(&format!("    {}: {}: {fault}", subject.spec.id(), info.name));
                subject.failed(info.phase, &fault);
                (fault.outcome(), 1, Vec::new())
            }
        };
        if requests > 1 {
            notes.push(format!("asked for {requests} times"));
        }
        subject.push(PhaseResult { phase: info.phase, outcome, millis, requests, notes });
    }
}

/// Why a phase has no success.
#[derive(Debug, Clone)]
pub(crate) enum Stop {
    /// It was not tried.
    Skip(String),
    /// It failed.
    Fault(Fault),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Why something did not happen to the node.
#[derive(Debug)]
pub(crate) enum Event {
    /// The driver cannot do it.
    Incapable(String),
    /// It failed.
    Fault(Fault),
}

impl From<Fault> for Event {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

fn told(info: &PhaseInfo, subjects: &[Subject], took: Duration) -> String {
    let of = |outcome: &str| {
        let last = subjects.iter().filter_map(Subject::last);
        last.filter(|result| result.phase == info.phase && result.outcome.word() == outcome).count()
    };
    let words: Vec<String> = ["passed", "failed", "skipped", "n/a"]
        .into_iter()
        .map(|word| (word, of(word)))
        .filter(|(_, count)| *count > 0)
        .map(|(word, count)| format!("{count} {word}"))
        .collect();
    format!("  {:<15} {} ({:.1} s)", info.name, words.join(", "), took.as_secs_f64())
}

/// Kinds of harm that a node allows.
pub fn allowed<N: Node>(node: &N) -> impl Fn(Kind) -> bool {
    let cuts = node.can(Capability::PowerCut).is_ok();
    move |kind| kind != Kind::CutPower || cuts
}

/// True when an app is to be deployed after a phase.
pub(crate) const fn deployed(ending: Ending) -> bool {
    matches!(ending, Ending::Running | Ending::Stopped)
}

/// Phases that an app which was on the node before does not go through.
pub(crate) const fn takes_away(phase: Phase) -> bool {
    matches!(phase, Phase::Uninstall | Phase::Purge)
}
