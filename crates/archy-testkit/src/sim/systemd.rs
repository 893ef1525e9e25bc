//! A user manager in simulation: jobs that take time and go on without the daemon, units that pull
//! in others, a boot that starts what is enabled.

use std::pin::Pin;
use std::time::Duration;

use archy_engine::ports::Clock as _;
use archy_manifest::model::Protocol;
use archy_plan::observed::{ActiveState, UnitState};
use archy_quadlet::unit_of;
use archy_types::UserError;
use tokio::time::{Instant, sleep};

use super::rng::Rng;
use super::{Sim, State};
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

fn is_active(model: &Model, unit: &str) -> bool {
    model.units.get(unit).is_some_and(|state| state.active == ActiveState::Active)
}

/// The text that the manager has read of a unit.
fn text_of<'a>(model: &'a Model, unit: &str) -> Option<&'a str> {
    let found = model.loaded.iter().find(|(file, _)| unit_of(file).as_deref() == Some(unit));
    found.map(|(_, text)| text.as_str())
}

fn values<'a>(text: &'a str, key: &str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| line.strip_prefix(key)?.strip_prefix('='))
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
                if model.units.get(&unit).is_some_and(is_moving) {
                    (true, 0)
                } else {
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
    state.writeback.before(&model);
    if text.contains("[Container]")
        && let Some(lack) = lacking(&model, text)
    {
        model.set_failed(unit, "exit-code", now);
        return Err(failed(unit, &lack));
    }
    if let Some(state) = model.units.get_mut(unit) {
        state.active = ActiveState::Inactive;
    }
    model.start_as(unit, text, now)?;
    model.networks.extend(values(text, "NetworkName").map(str::to_owned));
    model.volumes.extend(values(text, "VolumeName").map(str::to_owned));
    if text.contains("[Container]") {
        run_container(&mut model, text);
    }
    Ok(())
}

/// What Podman would refuse a container for.
fn lacking(model: &Model, text: &str) -> Option<String> {
    let secrets = values(text, "Secret").filter_map(|value| value.split(',').next());
    let mut missing = secrets.filter(|name| !model.podman_secrets.contains_key(*name));
    if let Some(name) = missing.next() {
        return Some(format!("no such secret {name}"));
    }
    for source in values(text, "Volume").filter_map(|value| value.split(':').next()) {
        let Some(path) = source.strip_prefix("/var/lib/archipelago/") else { continue };
        let (app, path) = path.split_once('/').unwrap_or((path, ""));
        let files = model.app_files.iter().find(|(id, _)| id.as_str() == app);
        if !files.is_some_and(|(_, files)| files.contains_key(path)) {
            return Some(format!("{source} is not there"));
        }
    }
    let name = values(text, "ContainerName").next().unwrap_or_default();
    let held = model.ports.iter().filter(|(owner, _)| *owner != name);
    let held: Vec<_> = held.flat_map(|(_, ports)| ports).collect();
    let taken = |port: &(u16, Protocol)| held.contains(&port) || model.foreign_ports.contains(port);
    let taken = published(text).into_iter().find(taken);
    taken.map(|(port, _)| format!("port {port} is in use"))
}

fn published(text: &str) -> Vec<(u16, Protocol)> {
    let host = |value: &str| {
        let (value, protocol) = match value.split_once('/') {
            Some((value, "udp")) => (value, Protocol::Udp),
            Some((value, _)) => (value, Protocol::Tcp),
            None => (value, Protocol::Tcp),
        };
        Some((value.rsplit(':').nth(1)?.parse().ok()?, protocol))
    };
    values(text, "PublishPort").filter_map(host).collect()
}

/// A container that runs holds its ports and writes data where there is none yet.
fn run_container(model: &mut Model, text: &str) {
    let Some(name) = values(text, "ContainerName").next().map(str::to_owned) else { return };
    model.made_from.insert(name.clone(), text.to_owned());
    let nonce = model.made;
    for value in values(text, "Volume") {
        let mut parts = value.split(':');
        let Some(source) = parts.next() else { continue };
        let place = match source.strip_suffix(".volume") {
            Some(volume) => format!("volume {volume}"),
            None if value.ends_with(":ro") || !source.starts_with("/var/lib/archipelago/") => {
                continue;
            }
            None => format!("directory {}", source.trim_start_matches("/var/lib/archipelago/")),
        };
        model.data.entry(place).or_insert_with(|| format!("written by container {nonce}"));
    }
    if text.contains("Type=oneshot") {
        model.containers.remove(&name);
    } else {
        model.ports.insert(name, published(text).into_iter().collect());
    }
}

/// Stops a unit, and before it what requires it.
pub(super) fn stop(sim: &Sim, unit: String, boot: u64) -> Job<'_> {
    Box::pin(async move {
        let dependants: Vec<String> = {
            let model = sim.model();
            let requires = |text: &String| needs(text).0.contains(&unit);
            let all = model.loaded.iter().filter(|(_, text)| requires(text));
            let alive = |unit: &String| is_active(&model, unit);
            all.filter_map(|(file, _)| unit_of(file)).filter(alive).collect()
        };
        for other in dependants {
            stop(sim, other, boot).await?;
        }
        let Some(job) = begin_stop(sim, &unit) else { return joined(sim, &unit).await };
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
        model.set_failed(unit, "timeout", now);
        return Err(failed(unit, "it had to be killed"));
    }
    state.writeback.before(&model);
    model.stop(unit, now)?;
    // systemd runs `podman rm` as the unit said when it was started
    model.containers.remove(&name);
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
    });
    entry.active = active;
    sub.clone_into(&mut entry.sub);
    "success".clone_into(&mut entry.result);
}

/// Nothing runs any more; some containers are left behind as Podman last wrote them.
pub(super) fn power_off(model: &mut Model, rng: &mut Rng) {
    model.units.clear();
    model.ports.clear();
    let left = rng.percent(50);
    model.containers.retain(|_, container| {
        container.state = "exited".to_owned();
        left
    });
    model.loaded.clear();
    model.reload();
}

/// Starts what is enabled.
pub(super) fn boot(sim: &Sim, state: &State) {
    let boot = state.boot;
    let enabled: Vec<String> = {
        let model = sim.model();
        let enabled = |text: &String| text.contains("WantedBy=default.target");
        let units = model.loaded.iter().filter(|(_, text)| enabled(text));
        units.filter_map(|(file, _)| unit_of(file)).collect()
    };
    for unit in enabled {
        let sim = sim.clone();
        // nobody waits for the jobs of a boot
        tokio::spawn(async move { drop(start(&sim, unit, boot).await) });
    }
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
