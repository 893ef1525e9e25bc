//! Runs one operation of one app: look, plan, note, do, until there is nothing left to do.
//!
//! Safe to kill at any line: the next run starts from a look at the host.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use archy_plan::{DesiredApp, DesiredState, Intent, LegacyStep, Observed, Plan, PlannedStep, Step};
use archy_types::{Actor, AppId, Timestamp, UserError};
use tokio::sync::{Mutex, OwnedMutexGuard, mpsc, watch};

use crate::cancel;
use crate::endings::Failure;
use crate::event::Event;
use crate::execute::{self, Context, batches, bounded, step_deadline};
use crate::fresh::{self, Settling};
use crate::hooks::Said;
use crate::operation::{Job, OperationKind, Order};
use crate::ports::{Clock, Ending, Host, Interest, Ledger, Progress, ProgressSink};
use crate::status::OperationView;

/// Rounds of look, plan, do before an operation counts as not converging.
const ROUNDS: u32 = 5;

/// The outside world, shared by the engine's task and its workers.
#[derive(Debug)]
pub(crate) struct World<H, L, C> {
    pub(crate) host: Arc<H>,
    pub(crate) ledger: Arc<L>,
    pub(crate) clock: Arc<C>,
    /// Unit files were changed that systemd may not have read.
    pub(crate) unread: Arc<Mutex<bool>>,
    /// Containers that were ready and in which the hooks of a start have run: name to id, by app.
    pub(crate) hooked: Arc<Mutex<Hooked>>,
    /// Apps of which the ledger does not hold that yet.
    pub(crate) unsaved: Arc<Mutex<BTreeSet<AppId>>>,
}

/// Containers by name with their full id, by app.
pub(crate) type Hooked = BTreeMap<AppId, BTreeMap<String, String>>;

impl<H: Host, L, C> World<H, L, C> {
    /// Makes systemd read its unit files if it may not know them, or waits for the one who does: a
    /// file that it has not read looks as if all was well, and a start would run the old one.
    pub(crate) async fn read_units(&self) -> Result<(), UserError> {
        let mut unread = self.unread.lock().await;
        if *unread {
            self.host.reload().await.map_err(|failure| failure.error)?;
            *unread = false;
        }
        Ok(())
    }
}

impl<H: Host, L: Ledger, C> World<H, L, C> {
    /// A look at the host that also covers what earlier manifests named of those apps that go.
    pub(crate) async fn observe(&self, mut interest: Interest, apps: &[DesiredApp]) -> Observed {
        let mut former = BTreeMap::new();
        for app in apps.iter().filter(|app| app.is_leaving()) {
            let id = &app.manifest.id;
            match self.ledger.former(id).await {
                Ok(manifests) => drop(former.insert(id.clone(), manifests)),
                // a removal always works
                Err(error) => tracing::warn!(app = %id, %error, "earlier manifests are not known"),
            }
        }
        interest.former = former.values().flatten().cloned().collect();
        let mut observed = self.host.observe(&interest).await;
        observed.left.former = former;
        observed.hooked = self.hooked.lock().await.clone();
        observed
    }
}

impl<H, L, C> World<H, L, C> {
    /// Call before a step: what it changes is not read. For a step that reads, the mark is held until
    /// [`World::end_step`], so that whoever needs it waits.
    async fn begin_step(&self, step: &Step) -> Option<OwnedMutexGuard<bool>> {
        let reads = *step == Step::Reload;
        if !reads && !changes_units(step) {
            return None;
        }
        let mut unread = self.unread.clone().lock_owned().await;
        *unread = true;
        reads.then_some(unread)
    }

    /// Call after the step, however it ended. A look may have made systemd read while files were still
    /// being changed, so what was changed counts as not read again.
    async fn end_step(&self, step: &Step, held: Option<OwnedMutexGuard<bool>>, done: bool) {
        match held {
            Some(mut unread) => *unread = !done,
            None if changes_units(step) => *self.unread.lock().await = true,
            None => {}
        }
    }
}

impl<H, L, C> Clone for World<H, L, C> {
    fn clone(&self) -> Self {
        Self {
            host: self.host.clone(),
            ledger: self.ledger.clone(),
            clock: self.clock.clone(),
            unread: self.unread.clone(),
            hooked: self.hooked.clone(),
            unsaved: self.unsaved.clone(),
        }
    }
}

/// One run of a worker.
#[derive(Debug)]
pub(crate) struct Worker<H, L, C> {
    pub(crate) world: World<H, L, C>,
    pub(crate) job: Job,
    /// All apps, for names, ports and dependencies.
    pub(crate) all: Arc<Vec<DesiredApp>>,
    /// What the engine tells while it is at work.
    pub(crate) order: watch::Receiver<Order>,
    /// True while it must not be cancelled.
    pub(crate) held: Arc<AtomicBool>,
    /// It was cancelled, or is over otherwise: cancelling it has no meaning any more.
    pub(crate) backs_out: bool,
    pub(crate) events: mpsc::Sender<Event>,
    /// It has begun to stop units, and not yet to start them again.
    pub(crate) owes_start: bool,
    /// Its update failed, and it goes back to what was before it.
    pub(crate) goes_back: bool,
    /// When the data was saved that it goes back to.
    pub(crate) data_of: Option<Timestamp>,
    /// What it failed with, when it could not be journaled that it goes back.
    pub(crate) return_owed: Option<Failure>,
}

/// How a worker ended; the engine notes it.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) ending: Ending,
    /// What it stopped for a change is still to be started.
    pub(crate) owes_start: bool,
    /// It is still to go back, for this failure.
    pub(crate) return_owed: Option<Failure>,
}

/// Why a round ended early.
pub(crate) enum Stop {
    Failed(UserError),
    Superseded,
    Cancelled(Actor),
}

impl<H: Host, L: Ledger, C: Clock> Worker<H, L, C> {
    /// Runs the operation to its end and says how it ended.
    pub(crate) async fn run(mut self) -> Outcome {
        let started_anything = AtomicU32::new(0);
        let done = match self.job.back.take() {
            Some(told) => Ok(self.return_to_before(told).await),
            None => match self.note_owed().await {
                Ok(()) => {
                    let app = self.job.app.clone();
                    self.converge(&app, &started_anything).await.map(|()| Ending::Done)
                }
                Err(error) => Err(Stop::Failed(error)),
            },
        };
        let mut ending = match done {
            Ok(ending) => ending,
            Err(Stop::Superseded) => Ending::Superseded,
            Err(Stop::Cancelled(actor)) => self.cancel(&actor).await,
            Err(Stop::Failed(error))
                if matches!(self.job.kind, OperationKind::Update | OperationKind::Migrate) =>
            {
                self.turn_back(error).await
            }
            Err(Stop::Failed(error)) => Ending::Failed(error),
        };
        let untouched = started_anything.load(Ordering::Relaxed) == 0;
        if let (true, true, Ending::Failed(error)) = (self.job.fresh, untouched, &ending) {
            ending = self.back_out(error.clone()).await;
        }
        let ending = cancel::told(ending);
        let owes_start = self.owes_start
            && self.job.app.state == DesiredState::Running
            && matches!(ending, Ending::Failed(_));
        Outcome { ending, owes_start, return_owed: self.return_owed }
    }

    /// Takes back an install that failed before anything ran: nothing is left behind.
    async fn back_out(&mut self, error: UserError) -> Ending {
        self.backs_out = true;
        let app = DesiredApp { state: DesiredState::Removed, ..self.job.app.clone() };
        match self.converge(&app, &AtomicU32::new(0)).await {
            Ok(()) => Ending::RolledBack(error),
            Err(_) => Ending::Failed(error),
        }
    }

    pub(crate) async fn converge(
        &mut self,
        app: &DesiredApp,
        started: &AtomicU32,
    ) -> Result<(), Stop> {
        let intent = match self.goes_back {
            true => Intent::Rollback,
            false => self.job.kind.intent(self.job.fresh),
        };
        let mut seq = 0;
        for _ in 0..ROUNDS {
            self.world.read_units().await.map_err(Stop::Failed)?;
            // what it stopped itself looks as if the owner had stopped it past the engine
            let intent = match intent {
                Intent::Converge if self.owes_start && !app.is_leaving() => Intent::Start,
                intent => intent,
            };
            let (plan, observed) = self.look(app, intent).await;
            self.data_of = self.data_of.or_else(|| crate::transaction::data_of(app, &observed));
            if let Some(check) = plan.refusal() {
                return Err(Stop::Failed(check.into()));
            }
            if plan.is_empty() {
                return match plan.unknown() {
                    // an empty plan says nothing here: passes go on when the host tells again
                    Some(check) => Err(Stop::Failed(check.into())),
                    None => Ok(()),
                };
            }
            let again = self.carry_out(app, &plan, &observed, &mut seq, started).await?;
            // a removal is over when nothing is left; whatever drifts later is healed by passes
            if !again && !app.is_leaving() {
                return Ok(());
            }
        }
        Err(Stop::Failed(
            UserError::new("not-converging", "The host keeps changing back what was done.")
                .hint("`archy plan` shows what differs."),
        ))
    }

    async fn look(&mut self, app: &DesiredApp, intent: Intent) -> (Plan, Arc<Observed>) {
        let observed = match self.job.look.take() {
            Some(mut observed) => {
                // what is owed was noted after that look
                Arc::make_mut(&mut observed).hooked = self.world.hooked.lock().await.clone();
                observed
            }
            None => {
                let interest = Interest::of([app], &self.all);
                Arc::new(self.world.observe(interest, std::slice::from_ref(app)).await)
            }
        };
        (archy_plan::plan(app, &observed, &self.all, intent), observed)
    }

    /// Does the steps in order. True when the host must be looked at again, since later steps
    /// depend on secrets that were just made.
    async fn carry_out(
        &mut self,
        app: &DesiredApp,
        plan: &Plan,
        observed: &Observed,
        seq: &mut u32,
        started: &AtomicU32,
    ) -> Result<bool, Stop> {
        let world = self.world.clone();
        let World { host, ledger, clock, .. } = world.clone();
        let operation = self.job.operation;
        let now_planned = until_next_look(plan);
        ledger.planned(operation, &now_planned, clock.now()).await.map_err(Stop::Failed)?;
        let mut unchecked = !starts_from_written(plan);
        if !unchecked {
            self.check_units(plan).await?;
        }
        // a repair that nobody asked for runs nothing that may run only once
        let first = self.job.kind != OperationKind::Recover
            && archy_plan::owes_first(&app.manifest.id, observed);
        let (all, said) = (self.all.clone(), Said::default());
        let cx = Context { host: &*host, app, observed, all: &all, first, said };
        let mut settling = Settling::of(&now_planned);
        // steps of earlier rounds count as well
        let total = seq.saturating_add(u32::try_from(plan.steps.len()).unwrap_or(u32::MAX));
        let steps = plan.steps.iter().map(|planned| &planned.step);
        let deadline = steps.map(|step| step_deadline(&app.manifest, step)).sum();
        let deadline = after(clock.now(), deadline);
        for batch in batches(&now_planned.steps) {
            let Some(planned) = batch.first() else { continue };
            if unchecked && matches!(planned.step, Step::WriteUnitFile { .. }) {
                self.check_units(plan).await?;
                unchecked = false;
            }
            let text = execute::describe(batch);
            *seq = seq.saturating_add(u32::try_from(batch.len()).unwrap_or(u32::MAX));
            ledger.step(operation, *seq, &text, clock.now()).await.map_err(Stop::Failed)?;
            let progress = self.progress((*seq, total), &text, deadline);
            progress(Progress { text, percent: None, bytes: None });
            if matches!(planned.step, Step::StartUnits { .. }) {
                started.fetch_add(1, Ordering::Relaxed);
            }
            let starts = matches!(planned.step, Step::StartUnits { .. });
            self.owes_start = (self.owes_start && !starts) || stops(&planned.step);
            settling.before(&world, app, &planned.step).await;
            let held = world.begin_step(&planned.step).await;
            let done = self.or_superseded(&planned.step, bounded(&cx, batch, progress)).await;
            world.end_step(&planned.step, held, done.is_ok()).await;
            let done = if self.passes_over(app, &planned.step) {
                fresh::pass_over(&cx, done)
            } else {
                done
            };
            world.note_said(operation, &cx).await;
            done?;
            settling.after(&world, app).await;
            if matches!(planned.step, Step::Legacy(LegacyStep::StartContainers { .. })) {
                // no unit tells that one of these has failed
                self.owes_start = false;
            }
            if matches!(planned.step, Step::PruneSnapshots { .. }) {
                // a pass tries again what a full queue loses
                drop(self.events.try_send(Event::Pruned(app.manifest.id.clone())));
            }
            if matches!(planned.step, Step::StartUnits { .. } | Step::StopUnits { .. }) {
                // a full queue has looks enough in it
                drop(self.events.try_send(Event::Moved));
            }
        }
        Ok(now_planned.steps.len() < plan.steps.len())
    }

    /// Runs Podman's own generator over the files before the first is written: it drops a bad file
    /// silently when it counts.
    async fn check_units(&self, plan: &Plan) -> Result<(), Stop> {
        let files = execute::unit_files(&plan.steps);
        if files.is_empty() {
            return Ok(());
        }
        let checked = self.world.host.check_unit_files(&files).await;
        checked.map_err(|failure| Stop::Failed(failure.error))
    }

    /// Waits for a step, but lets go of one that only waits when a newer wish has come.
    async fn or_superseded(
        &mut self,
        step: &Step,
        work: impl Future<Output = Result<(), UserError>>,
    ) -> Result<(), Stop> {
        let cancellable = self.can_be_cancelled();
        if let Some(stop) = stop(&self.order.borrow(), cancellable) {
            return Err(stop);
        }
        self.held.store(!cancellable || cancel::is_unsafe(step), Ordering::Relaxed);
        if !may_be_left(step) {
            return work.await.map_err(Stop::Failed);
        }
        tokio::select! {
            biased;
            done = work => done.map_err(Stop::Failed),
            Ok(order) = self.order.wait_for(|order| stop(order, cancellable).is_some()) => {
                Err(stop(&order, cancellable).unwrap_or(Stop::Superseded))
            }
        }
    }

    fn progress(&self, step: (u32, u32), text: &str, deadline: Timestamp) -> ProgressSink {
        let (events, job) = (self.events.clone(), self.job.clone());
        let step_text = text.to_owned();
        Arc::new(move |progress: Progress| {
            let text = if progress.text == step_text {
                step_text.clone()
            } else {
                format!("{step_text}: {}", progress.text)
            };
            let view = OperationView {
                id: job.operation,
                kind: job.kind.as_str().to_owned(),
                actor: job.actor.clone(),
                started: job.started,
                step,
                text,
                percent: progress.percent,
                bytes: progress.bytes,
                deadline,
                error: None,
            };
            // a full queue loses a report of progress, never its end
            drop(events.try_send(Event::Progress(job.app.manifest.id.clone(), view)));
        })
    }
}

/// What an order means for an operation at work.
fn stop(order: &Order, cancellable: bool) -> Option<Stop> {
    match order {
        Order::GiveWay => Some(Stop::Superseded),
        Order::Cancel(actor) => cancellable.then(|| Stop::Cancelled(actor.clone())),
        Order::GoOn => None,
    }
}

/// The part of a plan that is done before the host must be looked at again: all of it, or up to its
/// secrets, or up to data that is put back.
fn until_next_look(plan: &Plan) -> Plan {
    let makes = |planned: &PlannedStep| matches!(planned.step, Step::GenerateSecret { .. });
    let first = plan.steps.iter().position(makes);
    let secrets = first.map_or(plan.steps.len(), |first| {
        let others = plan.steps.iter().skip(first).position(|planned| !makes(planned));
        others.map_or(plan.steps.len(), |others| first + others)
    });
    let restores = |planned: &PlannedStep| matches!(planned.step, Step::RestoreSnapshot { .. });
    let restored = plan.steps.iter().position(restores).map_or(plan.steps.len(), |at| at + 1);
    let free = |planned: &PlannedStep| planned.step == Step::Legacy(LegacyStep::Done);
    let free = plan.steps.iter().position(free).map_or(plan.steps.len(), |at| at + 1);
    // what was adopted gives way before anything of our own is made
    let end = if free < plan.steps.len() { free } else { secrets.min(restored) };
    Plan { steps: plan.steps.iter().take(end).cloned().collect(), ..plan.clone() }
}

/// Steps after which systemd does not know its unit files until it reads them.
const fn changes_units(step: &Step) -> bool {
    matches!(
        step,
        Step::WriteUnitFile { .. }
            | Step::RemoveUnitFile { .. }
            | Step::Legacy(LegacyStep::SetFileAside { .. } | LegacyStep::PutFileBack { .. })
    )
}

/// True when containers are started from files that the plan writes: then these are checked before
/// anything is done, else when it is their turn.
fn starts_from_written(plan: &Plan) -> bool {
    let starts = |planned: &PlannedStep| matches!(planned.step, Step::StartUnits { .. });
    let writes = |planned: &PlannedStep| matches!(planned.step, Step::WriteUnitFile { .. });
    plan.steps.iter().position(writes) < plan.steps.iter().rposition(starts)
}

const fn stops(step: &Step) -> bool {
    matches!(step, Step::StopUnits { .. } | Step::Legacy(LegacyStep::StopContainers { .. }))
}

/// Steps that only wait for somebody else, and that a resumed operation can take up again.
const fn may_be_left(step: &Step) -> bool {
    matches!(
        step,
        Step::PullImage { .. }
            | Step::BuildImage { .. }
            | Step::StartUnits { .. }
            | Step::AwaitReady { .. }
            | Step::Soak { .. }
            | Step::RunHook { .. }
    )
}

fn after(now: Timestamp, wait: std::time::Duration) -> Timestamp {
    now.plus_millis(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX))
}
