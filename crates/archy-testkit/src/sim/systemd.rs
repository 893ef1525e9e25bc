//! A user manager in simulation: jobs that take time and go on without the daemon, units that pull
//! in others, a boot that starts what is enabled.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::time::Duration;

use archy_engine::ports::Clock as _;
use archy_plan::observed::{ActiveState, UnitState};
use archy_quadlet::unit_of;
use archy_types::UserError;
use tokio::time::{Instant, sleep};

use super::program::values;
use super::rng::Rng;
use super::{Sim, State, legacy, program};
use crate::model::Model;

/// Pause between two looks of a job at what it waits for.
const POLL: Duration = Duration::from_millis(100);
/// Seconds that a stop may take before systemd kills.
const STOP_LIMIT: Duration = Duration::from_secs(60);
/// Seconds that a start may take before it counts as failed.
const START_LIMIT: Duration = Duration::from_secs(135);

type Job<'a> = Pin<Box<dyn Future<Output = Result<(), UserError>> + Send + 'a>>;

pub(super) fn is_moving(unit: &UnitState) -> bool {
    matches!(unit.active, ActiveState::Activating | ActiveState::Deactivating)
}

fn moves(model: &Model, unit: &str) -> bool {
    model.units.get(unit).is_some_and(is_moving)
}

fn is_active(model: &Model, unit: &str) -> bool {
    model.units.get(unit).is_some_and(|state| state.active == ActiveState::Active)
}

/// The text that the manager has read of a unit.
fn text_of<'a>(model: &'a Model, unit: &str) -> Option<&'a str> {
    let found = model.loaded.iter().find(|(file, _)| unit_of(file).as_deref() == Some(unit));
    found.map(|(_, text)| text.as_str())
}

/// Units that a unit cannot do without, and ones that it wants.
fn needs(text: &str) -> (Vec<String>, Vec<String>) {
    let mut required: Vec<String> = values(text, "Requires").map(str::to_owned).collect();
    for (key, ending) in [("Network", ".network"), ("Volume", ".volume")] {
        let sources = values(text, key).filter_map(|value| value.split(':').next());
        let units = sources.filter(|source| source.ends_with(ending));
        required.extend(units.filter_map(unit_of));
    }
    (required, values(text, "Wants").map(str::to_owned).collect())
}

fn failed(unit: &str, why: &str) -> UserError {
    UserError::new("unit-failed", format!("{unit}: {why}"))
}

/// Starts a unit and what it needs, as a job of systemd.
pub(super) fn start(sim: &Sim, unit: String, boot: u64) -> Job<'_> {
    start_for(sim, unit, boot, None)
}

/// Starts a unit, as long as the job stands that pulls it in.
fn start_for(sim: &Sim, unit: String, boot: u64, parent: Option<(String, u64)>) -> Job<'_> {
    Box::pin(async move {
        loop {
            let (waits, job) = {
                let mut state = sim.state();
                if state.boot != boot {
                    return Err(failed(&unit, "the host went down"));
                }
                if parent.as_ref().is_some_and(|(by, job)| !state.owns(by, *job, boot)) {
                    return Err(failed(&unit, "the job was cancelled"));
                }
                let mut model = sim.model();
                if is_active(&model, &unit) {
                    return Ok(());
                }
                if text_of(&model, &unit).is_none() {
                    return Err(UserError::new("unit-missing", format!("{unit} not found.")));
                }
                let its_turn = state.queued.get(&unit).copied();
                if its_turn == Some(false) || (its_turn.is_none() && moves(&model, &unit)) {
                    (true, 0)
                } else {
                    state.queued.remove(&unit);
                    set(&mut model, &unit, ActiveState::Activating, "start");
                    (false, state.new_job(&unit))
                }
            };
            if !waits {
                return run_start(sim, &unit, boot, job).await;
            }
            sleep(POLL).await;
        }
    })
}

async fn run_start(sim: &Sim, unit: &str, boot: u64, job: u64) -> Result<(), UserError> {
    // as it was when the job began, whatever happens to the file
    let text = {
        let model = sim.model();
        text_of(&model, unit).unwrap_or_default().to_owned()
    };
    let (required, wanted) = needs(&text);
    let parent = || Some((unit.to_owned(), job));
    for other in wanted {
        // systemd goes on without what is only wanted
        _ = start_for(sim, other, boot, parent()).await;
    }
    for other in required {
        if start_for(sim, other.clone(), boot, parent()).await.is_err() {
            let mut state = sim.state();
            if state.owns(unit, job, boot) {
                // it was never active: no times are noted of it
                set(&mut sim.model(), unit, ActiveState::Inactive, "dead");
                state.jobs.remove(unit);
            }
            return Err(failed(unit, &format!("its dependency {other} failed")));
        }
    }
    sim.take_time(3000).await;
    let began = Instant::now();
    loop {
        {
            let mut state = sim.state();
            sim.expire(&mut state);
            if !state.owns(unit, job, boot) {
                return Err(failed(unit, "the job was cancelled"));
            }
            if state.hung_until.is_none() || began.elapsed() >= START_LIMIT {
                let first = act_start(sim, &mut state, unit, &text);
                if first.is_err() && restarts(sim, unit) {
                    // without a moment in which it has failed
                    set(&mut sim.model(), unit, ActiveState::Activating, "auto-restart");
                    let (sim, unit) = (sim.clone(), unit.to_owned());
                    tokio::spawn(async move { restart(&sim, &unit, (boot, job), &text).await });
                } else {
                    state.jobs.remove(unit);
                }
                return first;
            }
        }
        sleep(POLL * 20).await;
    }
}

/// True for a unit that ended with an error and is to be started again by systemd itself.
fn restarts(sim: &Sim, unit: &str) -> bool {
    let model = sim.model();
    model
        .units
        .get(unit)
        .is_some_and(|state| state.active == ActiveState::Failed && state.result == "exit-code")
}

/// `Restart=always`, with growing pauses and a start limit.
async fn restart(sim: &Sim, unit: &str, (boot, job): (u64, u64), text: &str) {
    for attempt in 1..10_u32 {
        {
            let state = sim.state();
            if !state.owns(unit, job, boot) {
                return;
            }
            set(&mut sim.model(), unit, ActiveState::Activating, "auto-restart");
        }
        sleep(Duration::from_secs(u64::from(attempt.min(6) * 5))).await;
        let mut state = sim.state();
        if !state.owns(unit, job, boot) {
            return;
        }
        if act_start(sim, &mut state, unit, text).is_ok() {
            state.jobs.remove(unit);
            return;
        }
    }
    let now = sim.clock.now();
    sim.model().set_failed(unit, "start-limit-hit", now);
    sim.state().jobs.remove(unit);
}

/// What the unit's program does in the end.
fn act_start(sim: &Sim, state: &mut State, unit: &str, text: &str) -> Result<(), UserError> {
    let now = sim.clock.now();
    let mut model = sim.model();
    if state.doomed.remove(unit) {
        model.set_failed(unit, "start-limit-hit", now);
        return Err(failed(unit, "it ended with 1"));
    }
    if state.hung_until.is_some() {
        model.set_failed(unit, "timeout", now);
        return Err(failed(unit, "timeout"));
    }
    if values(text, "Image").any(|image| state.broken_images.contains(image)) {
        model.set_failed(unit, "start-limit-hit", now);
        return Err(failed(unit, "exec format error"));
    }
    state.writeback.before(&model);
    if text.contains("[Container]")
        && let Some(lack) = program::lacking(&model, text)
    {
        model.set_failed(unit, "exit-code", now);
        return Err(failed(unit, &lack));
    }
    if text.contains("[Container]") {
        program::watch(state, &model, text);
    }
    if let Some(unit) = model.units.get_mut(unit) {
        unit.active = ActiveState::Inactive;
    }
    model.start_as(unit, text, now)?;
    model.networks.extend(values(text, "NetworkName").map(str::to_owned));
    for name in values(text, "VolumeName").map(str::to_owned) {
        if model.volumes.insert(name.clone()) {
            state.own_volumes.insert(name);
        }
    }
    if text.contains("[Container]") {
        program::run(&mut model, text);
        legacy::made(&state.foreigners, &mut model, unit, text);
    }
    Ok(())
}

/// Stops a unit, and before it what requires it.
pub(super) fn stop(sim: &Sim, unit: String, boot: u64) -> Job<'_> {
    Box::pin(async move {
        let dependants: Vec<String> = {
            let model = sim.model();
            let requires = |text: &String| needs(text).0.contains(&unit);
            let all = model.loaded.iter().filter(|(_, text)| requires(text));
            let alive = |unit: &String| is_active(&model, unit) || moves(&model, unit);
            all.filter_map(|(file, _)| unit_of(file)).filter(alive).collect()
        };
        // all of them are queued at once: what is on its way up pulls in nothing any more
        let begun = begin_stop(sim, &unit);
        let dependants: Vec<_> =
            dependants.into_iter().map(|other| stop(sim, other, boot)).collect();
        // one that had to be killed is down as well
        drop(futures_util::future::join_all(dependants).await);
        let Some(job) = begun else { return joined(sim, &unit).await };
        sim.take_time(2000).await;
        let began = Instant::now();
        loop {
            {
                let mut state = sim.state();
                sim.expire(&mut state);
                if !state.owns(&unit, job, boot) {
                    return Err(failed(&unit, "the job was cancelled"));
                }
                let late = began.elapsed() >= STOP_LIMIT;
                if state.hung_until.is_none() || late {
                    return act_stop(sim, &mut state, &unit, late);
                }
            }
            sleep(POLL * 20).await;
        }
    })
}

/// Puts a unit on its way down; nothing when it is down, or on its way already.
fn begin_stop(sim: &Sim, unit: &str) -> Option<u64> {
    let mut state = sim.state();
    let mut model = sim.model();
    let active = model.units.get(unit).map(|state| state.active)?;
    if matches!(active, ActiveState::Inactive | ActiveState::Failed | ActiveState::Deactivating) {
        return None;
    }
    if state.queued.remove(unit).is_some() {
        // nothing of it has begun
        set(&mut model, unit, ActiveState::Inactive, "dead");
        state.jobs.remove(unit);
        return None;
    }
    set(&mut model, unit, ActiveState::Deactivating, "stop");
    drop(model);
    Some(state.new_job(unit))
}

/// Waits for the stop that somebody else asked for.
async fn joined(sim: &Sim, unit: &str) -> Result<(), UserError> {
    let mut waited = false;
    loop {
        let active = sim.model().units.get(unit).map(|state| state.active);
        match active {
            Some(ActiveState::Deactivating) => {
                waited = true;
                sleep(POLL).await;
            }
            Some(ActiveState::Failed) if waited => return Err(failed(unit, "it had to be killed")),
            _ => return Ok(()),
        }
    }
}

fn act_stop(sim: &Sim, state: &mut State, unit: &str, late: bool) -> Result<(), UserError> {
    let now = sim.clock.now();
    state.jobs.remove(unit);
    let mut model = sim.model();
    let name = text_of(&model, unit)
        .and_then(|text| values(text, "ContainerName").next())
        .unwrap_or_else(|| unit.trim_end_matches(".service"))
        .to_owned();
    model.ports.remove(&name);
    if state.doomed.remove(unit) || late {
        // killed by systemd: Podman does not know of it
        if let Some(container) = model.containers.get_mut(&name) {
            container.state = "exited".to_owned();
        }
        legacy::mirror(&mut model, &name);
        model.set_failed(unit, "timeout", now);
        return Err(failed(unit, "it had to be killed"));
    }
    state.writeback.before(&model);
    model.stop(unit, now)?;
    // systemd runs `podman rm` as the unit said when it was started
    model.containers.remove(&name);
    legacy::mirror(&mut model, &name);
    Ok(())
}

fn set(model: &mut Model, unit: &str, active: ActiveState, sub: &str) {
    let entry = model.units.entry(unit.to_owned()).or_insert_with(|| UnitState {
        load: "loaded".to_owned(),
        active,
        sub: String::new(),
        result: "success".to_owned(),
        exit_status: None,
        restarts: 0,
        active_since: None,
        inactive_since: None,
        last_words: None,
    });
    entry.active = active;
    sub.clone_into(&mut entry.sub);
    "success".clone_into(&mut entry.result);
}

/// Nothing runs any more; some containers are left behind as Podman last wrote them. What was not
/// made to go when it stops stays.
pub(super) fn power_off(model: &mut Model, rng: &mut Rng) {
    model.units.clear();
    model.ports.clear();
    let left = rng.percent(50);
    let foreign = &model.foreign.containers;
    let stays = |name: &String| foreign.get(name).is_some_and(|found| !found.seen.auto_remove);
    model.containers.retain(|name, container| {
        container.state = "exited".to_owned();
        match program::is_ours(&container.labels) {
            true => left,
            false => stays(name),
        }
    });
    legacy::power_off(model);
    model.loaded.clear();
    model.reload();
}

/// Longest time from a boot to the start of what is enabled, in milliseconds: longer than the daemon
/// takes to its first look.
const QUEUE: u64 = 20_000;

/// Queues what is enabled, with all that it pulls in, and starts it when its turn comes.
pub(super) fn boot(sim: &Sim, state: &mut State) {
    let boot = state.boot;
    let units = {
        let mut model = sim.model();
        let units = pulled_in(&model);
        for unit in &units {
            set(&mut model, unit, ActiveState::Activating, "dead");
        }
        units
    };
    for unit in &units {
        state.queued.insert(unit.clone(), false);
        state.new_job(unit);
    }
    let wait = Duration::from_millis(state.rng.below(QUEUE));
    let sim = sim.clone();
    tokio::spawn(async move {
        sleep(wait).await;
        let mut state = sim.state();
        if state.boot != boot {
            return;
        }
        sim.line(&mut state, "systemd starts what is enabled");
        state.queued.values_mut().for_each(|its_turn| *its_turn = true);
        for unit in state.queued.keys().cloned() {
            let sim = sim.clone();
            // nobody waits for the jobs of a boot
            tokio::spawn(async move { drop(start_queued(&sim, unit, boot).await) });
        }
    });
}

/// Starts a unit that was queued, unless its job was cancelled or another one has pulled it in.
async fn start_queued(sim: &Sim, unit: String, boot: u64) -> Result<(), UserError> {
    let waits = {
        let state = sim.state();
        state.boot == boot && state.queued.contains_key(&unit)
    };
    if waits { start(sim, unit, boot).await } else { Ok(()) }
}

/// Units that are enabled, and all that they pull in.
fn pulled_in(model: &Model) -> BTreeSet<String> {
    let enabled = |text: &String| text.contains("WantedBy=default.target");
    let units = model.loaded.iter().filter(|(_, text)| enabled(text));
    let mut waiting: Vec<String> = units.filter_map(|(file, _)| unit_of(file)).collect();
    let mut found = BTreeSet::new();
    while let Some(unit) = waiting.pop() {
        let Some(text) = text_of(model, &unit) else { continue };
        let (required, wanted) = needs(text);
        if found.insert(unit) {
            waiting.extend(required.into_iter().chain(wanted));
        }
    }
    found
}

impl State {
    fn new_job(&mut self, unit: &str) -> u64 {
        self.job += 1;
        self.jobs.insert(unit.to_owned(), self.job);
        self.job
    }

    fn owns(&self, unit: &str, job: u64, boot: u64) -> bool {
        self.boot == boot && self.jobs.get(unit) == Some(&job)
    }
}
