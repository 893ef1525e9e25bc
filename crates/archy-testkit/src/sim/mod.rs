//! A whole node in simulation: a host with a disk that forgets, a systemd with jobs that take time,
//! a ledger, and something that goes wrong at exactly one boundary.
//!
//! Everything is decided by a seed and by tokio's paused time, so that a run can be repeated.
//!
//! * A **boundary** lies before, amid and after every call of the engine: of the host and of the
//!   ledger. Boundaries are counted; [`Sim::arm`] says at which of them a [`Harm`] happens.
//! * A **life** is one run of the daemon. After a crash no call of an old life ever returns.
//! * A **boot** ends with a power cut: units and containers stop, and what Podman and directories
//!   did since the last sync may be lost.

mod disk;
mod harm;
mod host;
mod ledger;
mod legacy;
mod program;
mod rng;
mod snapshots;
mod systemd;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use archy_engine::ports::Clock as _;
use archy_types::{AppId, Timestamp};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

pub use harm::{Class, Harm, Moment};
pub use host::SimHost;
pub use ledger::SimLedger;
pub use legacy::{Foreigner, Kind};
pub use rng::Rng;

use crate::clock::TestClock;
use crate::host::FakeHost;
use crate::ledger::{Books, MemoryLedger};
use crate::model::{Fault, Model};
use disk::Writeback;

/// Most lines of a trace.
const TRACE: usize = 4000;

/// A node in simulation. Cheap to clone; clones share it.
#[derive(Debug, Clone)]
pub struct Sim {
    state: Arc<Mutex<State>>,
    fake: FakeHost,
    books: MemoryLedger,
    clock: TestClock,
    deaths: watch::Sender<u64>,
}

/// What is shared of a simulation.
#[derive(Debug)]
struct State {
    rng: Rng,
    /// Runs of the daemon so far, which is the number of the one that lives.
    life: u64,
    /// Boots so far.
    boot: u64,
    armed: Option<Armed>,
    fired: Vec<Harm>,
    /// Faults that end by themselves.
    until: BTreeMap<Fault, Instant>,
    hung_until: Option<Instant>,
    /// Newest job of each unit.
    jobs: BTreeMap<String, u64>,
    job: u64,
    /// Units whose next job fails.
    doomed: BTreeSet<String>,
    /// Units that a boot has queued, and whether it is their turn.
    queued: BTreeMap<String, bool>,
    /// Apps whose data is being saved, put back or copied, with the run of the daemon that does it.
    touched: BTreeMap<AppId, u64>,
    /// Containers that Archipelago did not make, by the name that they were made under.
    foreigners: BTreeMap<String, Foreigner>,
    /// Volumes that were made by a unit of Archipelago's.
    own_volumes: BTreeSet<String>,
    /// Images whose containers do not even begin to run.
    broken_images: BTreeSet<String>,
    /// When this run of the daemon began.
    daemon_since: Option<Timestamp>,
    /// What must never happen, and did.
    broken: Vec<String>,
    writeback: Writeback,
    /// The ledger as it is on the disk.
    durable: Books,
    trace: Vec<String>,
}

/// A harm that waits for its boundary.
#[derive(Debug, Clone, Copy)]
struct Armed {
    harm: Harm,
    /// Boundaries that it lets pass.
    left: u64,
    /// How long it lasts, for harms that last.
    lasts: Duration,
}

/// What a boundary says to the call that reached it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    Go,
    /// The call never returns.
    Never,
    /// The call fails.
    Fail,
}

impl Sim {
    /// A node with an empty host.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let clock = TestClock::default();
        let (fake, _) = FakeHost::new(clock);
        let mut rng = Rng::new(seed);
        let writeback = Writeback::new(rng.percent(50));
        let state = State {
            rng,
            life: 1,
            boot: 1,
            armed: None,
            fired: Vec::new(),
            until: BTreeMap::new(),
            hung_until: None,
            jobs: BTreeMap::new(),
            job: 0,
            doomed: BTreeSet::new(),
            queued: BTreeMap::new(),
            touched: BTreeMap::new(),
            foreigners: BTreeMap::new(),
            own_volumes: BTreeSet::new(),
            broken_images: BTreeSet::new(),
            daemon_since: None,
            broken: Vec::new(),
            writeback,
            durable: Books::default(),
            trace: Vec::new(),
        };
        let (deaths, _) = watch::channel(0);
        Self {
            state: Arc::new(Mutex::new(state)),
            fake,
            books: MemoryLedger::default(),
            clock,
            deaths,
        }
    }

    /// Host, ledger and clock for a run of the daemon that begins now, and hints of the host.
    #[must_use]
    pub fn begin_life(&self) -> (SimHost, SimLedger, TestClock, mpsc::Receiver<()>) {
        let life = {
            let mut state = self.state();
            state.daemon_since = Some(self.clock.now());
            state.life
        };
        let (_, hints) = mpsc::channel(1);
        self.note(&format!("the daemon starts (run {life})"));
        (SimHost::new(self.clone(), life), SimLedger::new(self.clone(), life), self.clock, hints)
    }

    /// The host's model.
    pub fn model(&self) -> MutexGuard<'_, Model> {
        self.fake.model()
    }

    /// The ledger as the daemon sees it.
    pub fn books(&self) -> MutexGuard<'_, Books> {
        self.books.books()
    }

    /// Lets a harm happen at the boundary that comes after `left` others that it could hit.
    pub fn arm(&self, harm: Harm, left: u64, lasts: Duration) {
        self.state().armed = Some(Armed { harm, left, lasts });
    }

    /// What a look at the host would tell, without a boundary.
    #[must_use]
    pub fn observed(&self) -> archy_plan::Observed {
        let mut observed = self.fake.seen();
        if let archy_plan::Known::Yes(listening) = &mut observed.listening {
            listening.extend(self.model().ports.values().flatten().copied());
        }
        let state = self.state();
        let model = self.model();
        observed.foreign = legacy::seen(&state, &model);
        observed.strangers.volumes = legacy::volumes(&state, &model);
        drop(model);
        observed
    }

    /// From now on containers of these images do not even begin to run.
    pub fn break_images(&self, images: impl IntoIterator<Item = String>) {
        self.state().broken_images.extend(images);
    }

    /// Takes back a harm that has not happened; true if there was one.
    pub fn disarm(&self) -> bool {
        self.state().armed.take().is_some()
    }

    /// What has happened so far.
    #[must_use]
    pub fn fired(&self) -> Vec<Harm> {
        self.state().fired.clone()
    }

    /// Sees a new value with every crash.
    #[must_use]
    pub fn deaths(&self) -> watch::Receiver<u64> {
        self.deaths.subscribe()
    }

    /// True when no fault is in and no job of systemd is under way.
    #[must_use]
    pub fn is_calm(&self) -> bool {
        let mut state = self.state();
        self.expire(&mut state);
        let model = self.fake.model();
        state.until.is_empty()
            && state.hung_until.is_none()
            && !model.units.values().any(systemd::is_moving)
    }

    /// What must never happen, and did: a container that ran while its data was saved, put back or
    /// copied, data that was put back twice for one wish, something of the owner that was replaced.
    #[must_use]
    pub fn broken(&self) -> Vec<String> {
        self.state().broken.clone()
    }

    /// What happened, in order.
    #[must_use]
    pub fn trace(&self) -> Vec<String> {
        self.state().trace.clone()
    }

    /// Notes something in the trace.
    pub fn note(&self, text: &str) {
        let mut state = self.state();
        self.line(&mut state, text);
    }

    /// Now, on the node's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self, state: &mut State, text: &str) {
        if state.trace.len() < TRACE {
            let at = self.clock.now().0 - TestClock::START.0;
            state.trace.push(format!("{:>9}.{:03}  {text}", at / 1000, at % 1000));
        }
    }

    /// A pause of some milliseconds, as the dice say.
    async fn take_time(&self, most_millis: u64) {
        let millis = 1 + self.state().rng.below(most_millis);
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }

    /// Passes a boundary.
    fn gate(&self, life: u64, class: Class, moment: Moment, text: &str) -> Gate {
        let mut state = self.state();
        self.expire(&mut state);
        if life != state.life {
            return Gate::Never;
        }
        if moment == Moment::Before {
            self.line(&mut state, text);
        }
        let due = match &mut state.armed {
            Some(armed) if armed.harm.hits(class, moment) => {
                let due = armed.left == 0;
                armed.left = armed.left.saturating_sub(1);
                due.then_some(*armed)
            }
            _ => None,
        };
        if let Some(armed) = due {
            state.armed = None;
            state.fired.push(armed.harm);
            let text = format!("*** {} {moment:?} `{text}`", armed.harm.word());
            self.line(&mut state, &text);
            return self.fire(&mut state, armed);
        }
        if class == Class::Podman && state.hung_until.is_some() { Gate::Never } else { Gate::Go }
    }

    fn fire(&self, state: &mut State, armed: Armed) -> Gate {
        let end = Instant::now() + armed.lasts;
        match armed.harm {
            Harm::Kill => {
                state.life += 1;
                legacy::daemon_died(&mut self.model());
                self.deaths.send_modify(|deaths| *deaths += 1);
                Gate::Never
            }
            Harm::PowerCut => {
                state.life += 1;
                self.cut(state);
                self.deaths.send_modify(|deaths| *deaths += 1);
                Gate::Never
            }
            Harm::DiskFull => {
                self.model().faults.insert(Fault::DiskFull);
                state.until.insert(Fault::DiskFull, end);
                Gate::Go
            }
            Harm::PodmanHung => {
                self.model().faults.insert(Fault::PodmanAway);
                state.until.insert(Fault::PodmanAway, end);
                state.hung_until = Some(end);
                Gate::Never
            }
            Harm::PodmanError => {
                if !armed.lasts.is_zero() {
                    self.model().faults.insert(Fault::PodmanAway);
                    state.until.insert(Fault::PodmanAway, end);
                }
                Gate::Fail
            }
            Harm::JobFailed => Gate::Fail,
        }
    }

    /// Ends faults whose time is over.
    fn expire(&self, state: &mut State) {
        let now = Instant::now();
        if state.hung_until.is_some_and(|end| end <= now) {
            state.hung_until = None;
        }
        let over: Vec<Fault> =
            state.until.iter().filter(|(_, end)| **end <= now).map(|(f, _)| f.clone()).collect();
        for fault in over {
            state.until.remove(&fault);
            self.model().faults.remove(&fault);
            self.line(state, &format!("{fault:?} is over"));
        }
    }

    /// The host loses its power and boots again.
    fn cut(&self, state: &mut State) {
        state.boot += 1;
        state.until.clear();
        state.hung_until = None;
        state.jobs.clear();
        state.doomed.clear();
        state.queued.clear();
        let mut model = self.fake.model();
        // an image is as bad as before
        let stays = |fault: &Fault| matches!(fault, Fault::BadImage(_) | Fault::SickImage(_));
        model.faults.retain(stays);
        state.writeback.lose(&mut model, &mut state.rng);
        legacy::place_files(&state.foreigners, &mut model);
        *self.books.books() = state.durable.clone();
        systemd::power_off(&mut model, &mut state.rng);
        model.foreign.booted = Some(self.clock.now());
        drop(model);
        systemd::boot(self, state);
    }
}
