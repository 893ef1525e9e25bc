//! The engine's only owner of state: a loop over one closed list of events.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64};
use std::time::Duration;

use archy_plan::observed::ActiveState;
use archy_plan::{DesiredApp, DesiredState, Observed};
use archy_types::{Actor, AppId, OperationId, StatusReport, Timestamp, UserError};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, sleep_until};

use crate::endings::{ReturnOwed, Unnoted};
use crate::event::Event;
use crate::handle::{Command, Handle};
use crate::leap::Leap;
use crate::operation::{Job, OperationKind, Order};
use crate::ports::{Clock, Ending, Host, Ledger, Previous};
use crate::render::Rendered;
use crate::status::{AppView, OperationView, Snapshot};
use crate::worker::{Outcome, Worker, World};

/// How many times longer the rest after a look is while workers are at work.
const WORKERS_REST: u32 = 5;

/// How many times later a hint causes a look while workers are at work: they tell when there is
/// something to see, and what they do makes hints all the time.
const WORKERS_DELAY: u32 = 10;

/// Units on their way up from which on looks rest as if workers were at work: the host boots, and
/// looking at it slows that down.
const MANY_RISE: usize = 3;

/// Longest rest after a look because of that: then nobody waits much longer for what the last unit
/// came to.
const RISING_REST: Duration = Duration::from_secs(2);

/// Times of the loop.
#[derive(Debug, Clone, Copy)]
pub struct Tuning {
    /// Between two level passes.
    pub pass_interval: Duration,
    /// From a hint of the host to the look at it; hints in between are merged.
    pub hint_delay: Duration,
    /// Rest after a look before a hint may cause the next, as a multiple of what the look took: a
    /// host at work makes many hints, and looking at it slows the work down.
    pub hint_rest: u32,
    /// Pause after a first failed repair; doubled for each further one.
    pub backoff: Duration,
    /// Longest pause between repairs.
    pub backoff_max: Duration,
    /// How long an update can be taken back.
    pub keep_previous: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            pass_interval: Duration::from_secs(30),
            hint_delay: Duration::from_millis(100),
            hint_rest: 4,
            backoff: Duration::from_secs(5),
            backoff_max: Duration::from_secs(600),
            keep_previous: Duration::from_secs(7 * 86_400),
        }
    }
}

/// What is kept of one app.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) desired: DesiredApp,
    pub(crate) rendered: Option<Rendered>,
    pub(crate) work: Option<Work>,
    pub(crate) queue: VecDeque<Job>,
    /// The last operation, if it failed.
    pub(crate) failed: Option<OperationView>,
    pub(crate) report: Option<StatusReport>,
    pub(crate) view: Option<Arc<AppView>>,
    /// Findings of the last plan.
    pub(crate) notes: Vec<archy_plan::Check>,
    /// Why the last repair was refused, as long as nothing was asked for since.
    pub(crate) refused: Option<archy_plan::Check>,
    /// The last look that was begun before the last operation ended.
    pub(crate) stale_look: Option<u64>,
    /// What was shown when the last operation ended, until what came of it is seen.
    pub(crate) unsettled: Option<StatusReport>,
    pub(crate) repairs_failed: u32,
    pub(crate) repair_not_before: Option<Instant>,
    /// The same moment by the wall clock, for people.
    pub(crate) repair_at: Option<Timestamp>,
    /// What it was before its last update.
    pub(crate) previous: Option<Previous>,
}

/// A worker at work.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) job: Job,
    pub(crate) view: OperationView,
    pub(crate) order: watch::Sender<Order>,
    /// The step at work must not be left, or it goes back already.
    pub(crate) held: Arc<AtomicBool>,
}

impl Entry {
    pub(crate) fn new(desired: DesiredApp) -> Self {
        Self {
            desired,
            rendered: None,
            work: None,
            queue: VecDeque::new(),
            failed: None,
            report: None,
            view: None,
            notes: Vec::new(),
            refused: None,
            stale_look: None,
            unsettled: None,
            repairs_failed: 0,
            repair_not_before: None,
            repair_at: None,
            previous: None,
        }
    }

    /// An update or a rollback is at work or waits.
    pub(crate) fn in_transaction(&self) -> bool {
        let work = self.work.iter().map(|work| &work.job);
        work.chain(&self.queue).any(|job| job.kind.is_transaction())
    }

    pub(crate) fn busy(&self) -> bool {
        self.work.is_some() || !self.queue.is_empty()
    }
}

/// The engine's task.
#[derive(Debug)]
pub struct Engine<H, L, C> {
    pub(crate) world: World<H, L, C>,
    pub(crate) tuning: Tuning,
    pub(crate) apps: BTreeMap<AppId, Entry>,
    pub(crate) all: Arc<Vec<DesiredApp>>,
    pub(crate) observed: Option<Arc<Observed>>,
    pub(crate) snapshot: watch::Sender<Arc<Snapshot>>,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) last_pass: Arc<AtomicI64>,
    pub(crate) leap: Leap,
    inbox: mpsc::Receiver<Event>,
    commands: mpsc::Receiver<Command>,
    hints: mpsc::Receiver<()>,
    workers: JoinSet<(AppId, OperationId, Outcome)>,
    /// Ends that the journal does not hold yet.
    pub(crate) unnoted: Vec<Unnoted>,
    /// Operations that an earlier run of the daemon began: what they stopped is not known.
    resumed: HashSet<OperationId>,
    worker_apps: HashMap<Id, (AppId, OperationId)>,
    observing: bool,
    /// Looks that were begun; the number of the one under way.
    pub(crate) looks: u64,
    look_again: bool,
    look_began: Instant,
    /// Something changed since the last look began.
    changed: bool,
    /// No hint causes a look before this.
    rest_until: Instant,
    next_pass: Instant,
}

/// Makes the engine from what the ledger holds; operations that did not end are taken up again.
///
/// # Errors
/// The ledger cannot be read.
pub async fn start<H: Host, L: Ledger, C: Clock>(
    host: Arc<H>,
    ledger: Arc<L>,
    clock: Arc<C>,
    hints: mpsc::Receiver<()>,
    tuning: Tuning,
) -> Result<(Handle, Engine<H, L, C>), UserError> {
    let (command_sender, commands) = mpsc::channel(64);
    let (events, inbox) = mpsc::channel(1024);
    let (snapshot, snapshots) = watch::channel(Arc::new(Snapshot::default()));
    let leap = Leap::new(clock.now(), Instant::now());
    let mut engine = Engine {
        // a power cut may have come between a unit file and its reload
        world: World {
            host,
            ledger,
            clock,
            unread: Arc::new(Mutex::new(true)),
            hooked: Arc::default(),
            unsaved: Arc::default(),
        },
        tuning,
        apps: BTreeMap::new(),
        all: Arc::default(),
        observed: None,
        snapshot,
        events,
        last_pass: Arc::default(),
        leap,
        inbox,
        commands,
        hints,
        workers: JoinSet::new(),
        unnoted: Vec::new(),
        resumed: HashSet::new(),
        worker_apps: HashMap::new(),
        observing: false,
        looks: 0,
        look_again: false,
        look_began: Instant::now(),
        changed: true,
        rest_until: Instant::now(),
        next_pass: Instant::now(),
    };
    engine.load().await?;
    engine.show_what_is_known();
    Ok((Handle { commands: command_sender, snapshot: snapshots }, engine))
}

impl<H: Host, L: Ledger, C: Clock> Engine<H, L, C> {
    async fn load(&mut self) -> Result<(), UserError> {
        for app in self.world.ledger.load().await? {
            self.apps.insert(app.manifest.id.clone(), Entry::new(app));
        }
        for previous in self.world.ledger.previous().await? {
            if let Some(entry) = self.apps.get_mut(&previous.app.manifest.id) {
                entry.previous = Some(previous);
            }
        }
        *self.world.hooked.lock().await = self.world.ledger.hooked().await?;
        self.apps_changed();
        let mut open = self.world.ledger.open_operations().await?;
        while let Some(operation) = open.pop() {
            let newest = self.apps.get_mut(&operation.app).filter(|entry| entry.queue.is_empty());
            let Some(entry) = newest else {
                self.unnoted.push(Unnoted::superseded(operation.app, operation.id));
                continue;
            };
            let kind = match OperationKind::parse(&operation.kind) {
                // what it stopped before the crash looks like stopped past the engine
                OperationKind::Recover if entry.desired.state == DesiredState::Running => {
                    OperationKind::Start
                }
                kind => kind,
            };
            self.resumed.insert(operation.id);
            entry.queue.push_back(Job {
                app: entry.desired.clone(),
                operation: operation.id,
                kind,
                actor: operation.actor,
                started: operation.started,
                fresh: kind == OperationKind::Install && entry.desired.generation.0 == 1,
                look: None,
                back: operation.back,
            });
        }
        self.note_endings().await;
        let waiting: Vec<AppId> = self.apps.keys().cloned().collect();
        for app in waiting {
            self.start_next(&app);
        }
        Ok(())
    }

    /// Publishes the apps that are installed before the first look at the host: a list is never empty
    /// only because nobody has looked yet.
    fn show_what_is_known(&mut self) {
        let apps: Vec<AppId> = self.apps.keys().cloned().collect();
        for app in &apps {
            self.refresh(app);
        }
        self.publish();
    }

    /// When the loop last ended a pass, in milliseconds since 1970; nought before the first.
    #[must_use]
    pub fn last_pass(&self) -> Arc<AtomicI64> {
        self.last_pass.clone()
    }

    /// Runs until the handle asks for the end or every handle is gone.
    pub async fn run(mut self) {
        self.publish();
        while let Some(event) = self.next_event().await {
            match event {
                Event::Command(Command::Shutdown(done)) => {
                    self.workers.abort_all();
                    // nobody waits any more: nothing to tell
                    _ = done.send(());
                    return;
                }
                other => self.handle(other).await,
            }
        }
    }

    async fn next_event(&mut self) -> Option<Event> {
        tokio::select! {
            // in a fixed order, so that the same events have the same course
            biased;
            Some(ended) = self.workers.join_next_with_id() => Some(self.ended(ended)),
            command = self.commands.recv() => command.map(Event::Command),
            Some(event) = self.inbox.recv() => Some(event),
            () = sleep_until(self.next_pass) => Some(Event::PassDue),
            Some(()) = self.hints.recv() => Some(Event::Hint),
        }
    }

    fn ended(
        &mut self,
        ended: Result<(Id, (AppId, OperationId, Outcome)), tokio::task::JoinError>,
    ) -> Event {
        match ended {
            Ok((id, (app, operation, outcome))) => {
                self.worker_apps.remove(&id);
                Event::Ended(app, operation, outcome)
            }
            Err(error) => {
                tracing::error!(%error, "a worker broke down");
                let failure = UserError::new("internal", "The operation broke down.")
                    .hint("Try again; the log of the daemon says more.");
                match self.worker_apps.remove(&error.id()) {
                    Some((app, operation)) => {
                        let ending = Ending::Failed(failure);
                        let outcome = Outcome { ending, owes_start: true, return_owed: None };
                        Event::Ended(app, operation, outcome)
                    }
                    None => Event::Hint,
                }
            }
        }
    }

    async fn handle(&mut self, event: Event) {
        match event {
            Event::Command(Command::Submit(request, reply)) => self.submit(request, reply).await,
            Event::Command(Command::Plan(request, reply)) => self.answer_plan(request, reply),
            Event::Command(Command::Cancel(cancel, reply)) => {
                // the asker went away: nobody is left to tell
                drop(reply.send(self.cancel(cancel)));
            }
            Event::Command(Command::Adoptable(manifests, reply)) => {
                self.answer_adoptable(manifests, reply);
            }
            Event::Command(Command::Shutdown(_)) => {}
            Event::Command(Command::Poke) | Event::PassDue | Event::Moved => self.look(),
            Event::Hint => {
                self.changed = true;
                let share = if self.workers.is_empty() { 1 } else { WORKERS_DELAY };
                let due = Instant::now() + self.tuning.hint_delay * share;
                let due = due.max(self.rest_until);
                self.next_pass = self.next_pass.min(due);
            }
            Event::Observed(observed) => self.pass(observed).await,
            Event::Checked(checked) => self.accept_checked(*checked).await,
            Event::Progress(app, view) => self.progress(&app, view),
            Event::TurnBack(turn) => self.turn_back(*turn).await,
            Event::Pruned(app) => self.pruned(&app).await,
            Event::Ended(app, operation, outcome) => self.finished(&app, operation, outcome).await,
        }
    }

    /// Starts a look at the host unless one is under way; then another follows it.
    pub(crate) fn look(&mut self) {
        self.next_pass = Instant::now() + self.tuning.pass_interval;
        if self.observing {
            self.look_again = true;
            return;
        }
        self.observing = true;
        self.look_began = Instant::now();
        self.changed = false;
        self.looks += 1;
        let (world, events, all) = (self.world.clone(), self.events.clone(), self.all.clone());
        let interest = crate::ports::Interest::of(self.all.iter(), &[]);
        tokio::spawn(async move {
            if let Err(failure) = world.read_units().await {
                tracing::warn!(%failure, "the units could not be read anew");
            }
            let observed = world.observe(interest, &all).await;
            // the engine is gone: nobody is left to tell
            drop(events.send(Event::Observed(Box::new(observed))).await);
        });
    }

    /// The last look, when units and containers are still as it saw them. Files may have changed.
    pub(crate) fn current_look(&self) -> Option<Arc<Observed>> {
        let current = !self.observing && !self.changed && self.workers.is_empty();
        self.observed.clone().filter(|_| current)
    }

    /// A look is done; true when another was asked for meanwhile.
    pub(crate) fn looked(&mut self, observed: &Observed) -> bool {
        self.observing = false;
        let usual = self.look_began.elapsed() * self.tuning.hint_rest;
        let rest = if !self.workers.is_empty() {
            // workers tell when there is something to see
            usual * WORKERS_REST
        } else if rising(observed) >= MANY_RISE {
            usual.max(RISING_REST.min(usual * WORKERS_REST))
        } else {
            usual
        };
        self.rest_until = Instant::now() + rest;
        std::mem::take(&mut self.look_again)
    }

    fn is_newest(&self, app: &AppId, job: &Job) -> bool {
        let newest = self.apps.get(app).map(|entry| entry.desired.generation);
        newest == Some(job.app.generation)
    }

    /// Starts the next waiting operation of an app, if none is at work.
    pub(crate) fn start_next(&mut self, app: &AppId) {
        let all = self.all.clone();
        let Some(entry) = self.apps.get_mut(app).filter(|entry| entry.work.is_none()) else {
            return;
        };
        let waits = |job: &Job| {
            job.actor == Actor::System
                && entry.repair_not_before.is_some_and(|at| at > Instant::now())
        };
        if entry.queue.front().is_some_and(waits) {
            return;
        }
        let Some(job) = entry.queue.pop_front() else { return };
        let (order, watching) = watch::channel(Order::GoOn);
        let held = Arc::new(AtomicBool::new(job.back.is_some()));
        let view = first_view(&job);
        let (id, operation) = (app.clone(), job.operation);
        tracing::info!(app = %id, operation = %operation, kind = job.kind.as_str(), "operation begins");
        let worker = Worker {
            world: self.world.clone(),
            job: job.clone(),
            all,
            order: watching,
            held: held.clone(),
            backs_out: false,
            events: self.events.clone(),
            owes_start: self.resumed.remove(&job.operation) || job.makes_up(),
            goes_back: false,
            data_of: None,
            return_owed: None,
        };
        entry.failed = None;
        entry.refused = None;
        entry.work = Some(Work { job: Job { look: None, ..job }, view, order, held });
        let key = (id.clone(), operation);
        let handle = self.workers.spawn(async move { (id, operation, worker.run().await) });
        self.worker_apps.insert(handle.id(), key);
    }

    async fn finished(&mut self, app: &AppId, operation: OperationId, outcome: Outcome) {
        let Outcome { ending, owes_start, return_owed } = outcome;
        log_ending(app, operation, &ending);
        let work = self.apps.get_mut(app).and_then(|entry| entry.work.take());
        let job = work.as_ref().map(|work| work.job.clone());
        let return_owed =
            job.zip(return_owed).map(|(job, failure)| Box::new(ReturnOwed { job, failure }));
        let (id, end) = (app.clone(), ending.clone());
        self.unnoted.push(Unnoted { app: id, operation, ending: end, owes_start, return_owed });
        let Some(work) = work else { return };
        let Some(entry) = self.apps.get_mut(app) else { return };
        let gone = match &ending {
            Ending::Done => work.job.removes(),
            Ending::RolledBack(_) => work.job.fresh,
            Ending::Cancelled(_) => work.job.fresh || work.job.removes(),
            Ending::Failed(_) | Ending::Superseded => false,
        };
        entry.stale_look = Some(self.looks);
        entry.unsettled = entry.view.as_ref().map(|view| view.report.clone());
        note_outcome(entry, &work, &ending, &self.tuning, self.world.clock.now());
        self.note_endings().await;
        if gone && self.is_newest(app, &work.job) {
            self.forget(app).await;
        }
        self.start_next(app);
        self.refresh(app);
        self.publish();
        self.look();
    }

    fn progress(&mut self, app: &AppId, view: OperationView) {
        let Some(entry) = self.apps.get_mut(app) else { return };
        if let Some(work) = entry.work.as_mut().filter(|work| work.view.id == view.id) {
            work.view = view;
            self.refresh(app);
            self.publish();
        }
    }

    /// Call after every change of the set of apps or of a desired state.
    pub(crate) fn apps_changed(&mut self) {
        self.all = Arc::new(self.apps.values().map(|entry| entry.desired.clone()).collect());
    }
}

/// How many units are on their way up.
fn rising(observed: &Observed) -> usize {
    let units = observed.units.get().into_iter().flat_map(|units| units.values());
    units.filter(|unit| unit.active == ActiveState::Activating).count()
}

fn first_view(job: &Job) -> OperationView {
    OperationView {
        id: job.operation,
        kind: job.kind.as_str().to_owned(),
        actor: job.actor.clone(),
        started: job.started,
        step: (0, 0),
        text: "Looking at the host".to_owned(),
        percent: None,
        bytes: None,
        deadline: job.started.plus_millis(120_000),
        error: None,
    }
}

fn log_ending(app: &AppId, operation: OperationId, ending: &Ending) {
    match ending {
        Ending::Done => tracing::info!(%app, %operation, "operation done"),
        Ending::Superseded => tracing::info!(%app, %operation, "operation superseded"),
        Ending::Cancelled(error) => tracing::info!(%app, %operation, %error, "operation cancelled"),
        Ending::Failed(error) => {
            tracing::warn!(%app, %operation, code = %error.code, %error, "operation failed")
        }
        Ending::RolledBack(error) => {
            tracing::warn!(%app, %operation, code = %error.code, %error, "operation rolled back")
        }
    }
}

fn note_outcome(entry: &mut Entry, work: &Work, ending: &Ending, tuning: &Tuning, now: Timestamp) {
    match ending {
        Ending::Done | Ending::Superseded | Ending::Cancelled(_) => {
            entry.failed = None;
            entry.repairs_failed = 0;
            entry.repair_not_before = None;
            entry.repair_at = None;
        }
        Ending::Failed(error) | Ending::RolledBack(error) => {
            let pause = tuning.backoff * 2_u32.saturating_pow(entry.repairs_failed.min(16));
            entry.repairs_failed += 1;
            let pause = pause.min(tuning.backoff_max);
            entry.repair_not_before = Some(Instant::now() + pause);
            let millis = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
            entry.repair_at = Some(now.plus_millis(millis));
            entry.failed = Some(OperationView { error: Some(error.clone()), ..work.view.clone() });
        }
    }
}

/// Keeps the type of a reply in one place.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, UserError>>;
