//! What a container that was taken over is doing.

use super::record::{AdoptedPart, aside_name};
use crate::desired::DesiredApp;
use crate::observed::{ContainerState, Observed};
use crate::phase::Phase;

/// What a container that was taken over is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LegacyPhase {
    /// It runs.
    Up,
    /// It is being started or stopped.
    Moving,
    /// It does not run, and nothing speaks against starting it.
    Down,
    /// Somebody stopped it, or it ended, since the owner last asked.
    StoppedOutside,
    /// Its unit failed.
    Failed,
    /// It is kept aside.
    Aside,
    /// It is not there.
    Gone,
    /// The host did not tell.
    Unknown,
}

/// The container under a name, when it has this id.
fn with_id<'a>(observed: &'a Observed, name: &str, id: &str) -> Option<&'a ContainerState> {
    observed.containers.get()?.get(name).filter(|seen| seen.id == id)
}

/// It is where it was found: its file, or its container.
pub(crate) fn in_place(part: &AdoptedPart, observed: &Observed) -> bool {
    let stays = !part.goes_when_stopped;
    file_in_place(part, observed)
        || (stays && with_id(observed, &part.container, &part.id).is_some())
}

/// Its file is there; one of our own has the same name once it was migrated.
pub(crate) fn file_in_place(part: &AdoptedPart, observed: &Observed) -> bool {
    let Some(file) = &part.file else { return false };
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let text = observed.unit_files.get().and_then(|files| files.get(name));
    let ours = text.is_some_and(|text| crate::scene::owner(text).is_some());
    !ours && observed.foreign.files.contains(file)
}

pub(crate) fn phase(app: &DesiredApp, part: &AdoptedPart, observed: &Observed) -> LegacyPhase {
    if observed.foreign.unknown.is_some() || observed.containers.get().is_none() {
        return LegacyPhase::Unknown;
    }
    match &part.unit {
        Some(unit) => of_unit(app, part, unit, observed),
        None => of_container(app, part, observed),
    }
}

fn of_unit(app: &DesiredApp, part: &AdoptedPart, unit: &str, observed: &Observed) -> LegacyPhase {
    let aside = part.file.as_ref().is_some_and(|file| observed.foreign.files_aside.contains(file));
    if aside && !in_place(part, observed) {
        return LegacyPhase::Aside;
    }
    let Some(units) = observed.units.get() else { return LegacyPhase::Unknown };
    let Some(unit) = units.get(unit).filter(|unit| unit.load != "not-found") else {
        return LegacyPhase::Gone;
    };
    match Phase::of(Some(unit), false, app.since) {
        Phase::Up => LegacyPhase::Up,
        Phase::Rising | Phase::Falling => LegacyPhase::Moving,
        Phase::Failed => LegacyPhase::Failed,
        Phase::StoppedOutside => LegacyPhase::StoppedOutside,
        Phase::Down => LegacyPhase::Down,
    }
}

fn of_container(app: &DesiredApp, part: &AdoptedPart, observed: &Observed) -> LegacyPhase {
    let Some(seen) = with_id(observed, &part.container, &part.id) else {
        return match with_id(observed, &aside_name(&part.container), &part.id) {
            Some(_) => LegacyPhase::Aside,
            None => LegacyPhase::Gone,
        };
    };
    let found = observed.foreign.containers.get(&part.container);
    let dead = found.is_some_and(|found| found.is_dead);
    match seen.state.as_str() {
        "running" if dead && part.dies_with_daemon => LegacyPhase::Down,
        "running" if dead => LegacyPhase::StoppedOutside,
        "running" | "paused" => LegacyPhase::Up,
        "stopping" | "removing" => LegacyPhase::Moving,
        // as Podman leaves after a boot what ran before it
        "created" | "configured" => LegacyPhase::Down,
        _ => ended(app, part, observed),
    }
}

/// A container that ended: was that the owner's wish?
fn ended(app: &DesiredApp, part: &AdoptedPart, observed: &Observed) -> LegacyPhase {
    let foreign = &observed.foreign;
    let Some(found) = foreign.containers.get(&part.container) else { return LegacyPhase::Unknown };
    let Some(finished) = found.seen.finished else { return LegacyPhase::Down };
    let before = |moment: Option<archy_types::Timestamp>| moment.is_some_and(|at| finished < at);
    let with_host = before(foreign.booted);
    let with_daemon = part.dies_with_daemon && before(foreign.daemon_since);
    if finished < app.since || with_host || with_daemon {
        return LegacyPhase::Down;
    }
    LegacyPhase::StoppedOutside
}

/// All containers that the app took over run.
pub(crate) fn runs(app: &DesiredApp, observed: &Observed) -> bool {
    let parts = app.adopted.iter().flat_map(|adopted| adopted.parts.values());
    parts.map(|part| phase(app, part, observed)).all(|phase| phase == LegacyPhase::Up)
}
