//! An app in containers that Archipelago did not make: watched as they are, moved to its own, or
//! brought back.

use archy_quadlet::Deployment;

use super::{MARGIN_SECS, STOP_SECS_UNSAID, Steps, empty, host_unknown, leaving, plan_own};
use crate::adopt::{
    Adopted, AdoptedPart, LegacyPhase, Stage, aside_name, differences, file_in_place, in_place,
    phase,
};
use crate::desired::{DesiredApp, DesiredState};
use crate::intent::Intent;
use crate::observed::{Known, Observed};
use crate::scene::{Facts, Scene};
use crate::step::{Check, LegacyStep, Plan, Severity, Step};

/// Seconds that the start of a foreign unit may take.
const START_SECS: u32 = 120;
/// Seconds that the stop of a foreign unit may take.
const STOP_SECS: u32 = 120;

/// The plan of an app that was adopted, unless nothing of what was adopted matters any more.
pub(super) fn plan(
    app: &DesiredApp,
    deployment: &Deployment,
    observed: &Observed,
    all: &[DesiredApp],
    intent: Intent,
) -> Option<Plan> {
    let adopted = app.adopted.as_ref()?;
    let unseen = observed.foreign.unknown.as_ref().filter(|_| !app.is_leaving());
    match adopted.stage {
        Stage::Watched => Some(watched(app, adopted, observed, all, intent)),
        Stage::Migrated { .. } | Stage::Committed { .. } if unseen.is_some() => {
            let mut plan = empty(app);
            plan.checks.extend(unseen.map(host_unknown));
            Some(plan)
        }
        Stage::Migrated { wish, .. } if !app.is_leaving() => {
            let facts = Facts::of(observed, &app.manifest.id).ok()?;
            let begun = facts.files_of(&app.manifest.id).next().is_some();
            let left = adopted.parts.values().any(|part| in_place(part, observed));
            // once units of our own are there, what has the old names is somebody else's
            (left && !begun)
                .then(|| migration(app, (adopted, wish), deployment, (observed, all, intent)))
        }
        Stage::Migrated { .. } => None,
        Stage::Committed { .. } => committed(app, adopted, deployment, observed, all, intent),
    }
}

/// The containers are started and stopped through what they were made by, and nothing else.
fn watched(
    app: &DesiredApp,
    adopted: &Adopted,
    observed: &Observed,
    all: &[DesiredApp],
    intent: Intent,
) -> Plan {
    let mut plan = empty(app);
    let facts = match Facts::of(observed, &app.manifest.id) {
        Ok(facts) => facts,
        Err(cause) => {
            plan.checks.push(host_unknown(cause));
            return plan;
        }
    };
    if let Some(cause) = &observed.foreign.unknown {
        plan.checks.push(host_unknown(cause));
        return plan;
    }
    // what a migration that is taken back has left of our own
    let gone = DesiredApp { state: DesiredState::Removed, data_due: None, ..app.clone() };
    let nothing = Deployment::default();
    let scene = Scene::new(&gone, &nothing, observed, facts, all, intent);
    leaving::plan(&scene, &mut plan);
    let mut steps = Steps(std::mem::take(&mut plan.steps));
    let parts: Vec<(&AdoptedPart, LegacyPhase)> =
        in_order(app, adopted).into_iter().map(|part| (part, phase(app, part, observed))).collect();
    put_back(&parts, &mut steps);
    stop(app, &parts, intent, &mut steps);
    start(app, &parts, intent, &mut steps);
    if app.is_leaving() {
        plan.checks.extend(left_behind(&parts));
    } else {
        plan.checks.extend(missing(&parts, intent));
        plan.checks.extend(going_back(adopted, observed, intent));
    }
    plan.steps = steps.0;
    plan
}

/// Parts so that what others depend on comes first.
fn in_order<'a>(app: &DesiredApp, adopted: &'a Adopted) -> Vec<&'a AdoptedPart> {
    let mut waiting: Vec<_> = app
        .manifest
        .services
        .iter()
        .filter_map(|(name, service)| Some((name, service, adopted.parts.get(name)?)))
        .collect();
    let mut done = Vec::new();
    let mut names = Vec::new();
    while !waiting.is_empty() {
        let free = waiting.iter().position(|(_, service, _)| {
            let known = |name: &archy_types::ServiceName| {
                names.contains(&name.clone()) || !adopted.parts.contains_key(name)
            };
            service.depends_on.keys().all(known)
        });
        let (name, _, part) = waiting.remove(free.unwrap_or(0));
        names.push(name.clone());
        done.push(part);
    }
    done
}

fn put_back(parts: &[(&AdoptedPart, LegacyPhase)], steps: &mut Steps) {
    const REASON: &str = "the migration is taken back";
    let mut reload = false;
    for (part, _) in parts.iter().filter(|(_, phase)| *phase == LegacyPhase::Aside) {
        if !part.goes_when_stopped {
            let (from, to) = (aside_name(&part.container), part.container.clone());
            steps.legacy(LegacyStep::Rename { id: part.id.clone(), from, to }, REASON);
        }
        if let Some(path) = &part.file {
            steps.legacy(LegacyStep::PutFileBack { path: path.clone() }, REASON);
            reload = true;
        }
    }
    if reload {
        steps.push(Step::Reload, "unit files were put back");
    }
}

fn stop(
    app: &DesiredApp,
    parts: &[(&AdoptedPart, LegacyPhase)],
    intent: Intent,
    steps: &mut Steps,
) {
    let reason = match app.state {
        DesiredState::Running if intent == Intent::Restart => "a restart was asked for",
        DesiredState::Running => return,
        DesiredState::Stopped => "the owner stopped it",
        DesiredState::Removed | DesiredState::Purged => "the app is uninstalled",
    };
    let alive = |phase: LegacyPhase| matches!(phase, LegacyPhase::Up | LegacyPhase::Moving);
    let alive = parts.iter().rev().filter(|(_, phase)| alive(*phase)).map(|(part, _)| *part);
    stop_parts(alive, reason, steps);
}

fn stop_parts<'a>(
    parts: impl Iterator<Item = &'a AdoptedPart>,
    reason: &'static str,
    steps: &mut Steps,
) {
    let (by_unit, plain): (Vec<_>, Vec<_>) = parts.partition(|part| part.unit.is_some());
    let units: Vec<String> = by_unit.iter().filter_map(|part| part.unit.clone()).collect();
    if !units.is_empty() {
        let grace = by_unit.iter().map(|part| part.grace_secs);
        let deadline_secs = grace.fold(STOP_SECS, u32::saturating_add);
        steps.push(Step::StopUnits { units, deadline_secs }, reason);
    }
    let names: Vec<String> = plain.iter().map(|part| part.container.clone()).collect();
    if !names.is_empty() {
        let grace = plain.iter().map(|part| part.grace_secs);
        let deadline_secs = grace.fold(MARGIN_SECS, u32::saturating_add);
        steps.legacy(LegacyStep::StopContainers { names, deadline_secs }, reason);
    }
}

fn start(
    app: &DesiredApp,
    parts: &[(&AdoptedPart, LegacyPhase)],
    intent: Intent,
    steps: &mut Steps,
) {
    if app.state != DesiredState::Running {
        return;
    }
    let asked = intent != Intent::Converge;
    let starts = |phase: LegacyPhase| match phase {
        LegacyPhase::Down | LegacyPhase::Aside => true,
        LegacyPhase::StoppedOutside | LegacyPhase::Failed => asked,
        LegacyPhase::Up | LegacyPhase::Moving => intent == Intent::Restart,
        LegacyPhase::Gone | LegacyPhase::Unknown => false,
    };
    let starting: Vec<&AdoptedPart> =
        parts.iter().filter(|(_, phase)| starts(*phase)).map(|(part, _)| *part).collect();
    let units: Vec<String> = starting.iter().filter_map(|part| part.unit.clone()).collect();
    let reason = if asked { "the owner asked for a start" } else { "it does not run" };
    if !units.is_empty() {
        steps.push(Step::StartUnits { units, deadline_secs: START_SECS }, reason);
    }
    let plain = starting.iter().filter(|part| part.unit.is_none());
    let names: Vec<String> = plain.map(|part| part.container.clone()).collect();
    if !names.is_empty() {
        let step = LegacyStep::StartContainers { names, deadline_secs: START_SECS };
        let died = starting.iter().any(|part| part.dies_with_daemon);
        let reason = if died && !asked { "it stopped with the daemon" } else { reason };
        steps.legacy(step, reason);
    }
}

fn missing(parts: &[(&AdoptedPart, LegacyPhase)], intent: Intent) -> Vec<Check> {
    let gone = parts.iter().filter(|(_, phase)| *phase == LegacyPhase::Gone);
    gone.map(|(part, _)| Check {
        severity: match intent {
            Intent::Converge => Severity::Warning,
            _ => Severity::Error,
        },
        code: archy_types::Code::new("adopted-gone"),
        message: format!("The container {}, which was adopted, is not there.", part.container),
        mend: Some(
            "Run it the way it was made and adopt it anew, or uninstall the app here (data stays) \
             and install it."
                .to_owned(),
        ),
    })
    .collect()
}

/// What an uninstall leaves to its owner.
fn left_behind(parts: &[(&AdoptedPart, LegacyPhase)]) -> Option<Check> {
    let there = parts.iter().filter(|(_, phase)| *phase != LegacyPhase::Gone);
    let names: Vec<&str> = there.map(|(part, _)| part.container.as_str()).collect();
    (!names.is_empty()).then(|| Check {
        severity: Severity::Warning,
        code: archy_types::Code::new("adopted-left"),
        message: format!(
            "What was adopted is stopped and left as it is, with its data: {}.",
            names.join(", ")
        ),
        mend: Some("Remove it the way it was made, when it is not needed.".to_owned()),
    })
}

/// What was written since the migration stays where it is.
fn going_back(adopted: &Adopted, observed: &Observed, intent: Intent) -> Vec<Check> {
    let back = adopted.parts.values().any(|part| !in_place(part, observed));
    if intent == Intent::Converge || !back {
        return Vec::new();
    }
    let moves = adopted.data_moves();
    moves
        .into_iter()
        .map(|data| Check {
            severity: Severity::Warning,
            code: archy_types::Code::new("data-since-left"),
            message: format!(
                "The app goes back to the data in {}; what was written since the migration stays \
                 in {}.",
                data.from, data.to
            ),
            mend: None,
        })
        .collect()
}

/// Steps that free the way for Archipelago's own containers, then those of an ordinary start as it
/// will be planned when the way is free.
fn migration(
    app: &DesiredApp,
    (adopted, wish): (&Adopted, archy_types::Generation),
    deployment: &Deployment,
    (observed, all, intent): (&Observed, &[DesiredApp], Intent),
) -> Plan {
    let free = without(app, adopted, observed);
    let mut plan = plan_own(app, deployment, &free, all, intent);
    if plan.refusal().is_some() || plan.unknown().is_some() {
        plan.steps.clear();
        return plan;
    }
    plan.checks.splice(0..0, differences(app, adopted, observed));
    let pulls = |planned: &crate::step::PlannedStep| matches!(planned.step, Step::PullImage { .. });
    // what may fail while everything still runs comes first
    let (first, rest): (Vec<_>, Vec<_>) = plan.steps.into_iter().partition(pulls);
    let mut steps = Steps(first);
    migrate(app, adopted, wish, observed, &mut steps);
    steps.0.extend(rest);
    plan.steps = steps.0;
    plan
}

fn migrate(
    app: &DesiredApp,
    adopted: &Adopted,
    wish: archy_types::Generation,
    observed: &Observed,
    steps: &mut Steps,
) {
    const REASON: &str = "the app is migrated";
    let there =
        |name: &str| observed.secret_files.get().is_some_and(|files| files.contains_key(name));
    for secret in adopted.taken_secrets().into_iter().filter(|secret| !there(&secret.name)) {
        let (name, source) = (secret.name.clone(), secret.source.clone());
        steps.legacy(LegacyStep::TakeSecret { name, source }, "its data may depend on it");
    }
    let alive: Vec<&AdoptedPart> = adopted
        .parts
        .values()
        .filter(|part| matches!(phase(app, part, observed), LegacyPhase::Up | LegacyPhase::Moving))
        .collect();
    // what ran since has written since: units start at boot
    let rests = alive.is_empty();
    let ran_since = |at: archy_types::Timestamp| {
        !rests || observed.foreign.booted.is_some_and(|booted| booted >= at)
    };
    stop_parts(alive.into_iter(), REASON, steps);
    let copied = observed.foreign.copied.get(&app.manifest.id);
    for data in adopted.data_moves() {
        let done = |copied: &crate::adopt::Copied| {
            copied.data == *data && copied.wish == wish && !ran_since(copied.at)
        };
        if !copied.is_some_and(|all| all.iter().any(done)) {
            let step = LegacyStep::CopyData { data: data.clone(), wish };
            steps.legacy(step, "the manifest has it there");
        }
    }
    let mut reload = false;
    for part in adopted.parts.values() {
        let seen = observed.containers.get().and_then(|all| all.get(&part.container));
        if !part.goes_when_stopped && seen.is_some_and(|seen| seen.id == part.id) {
            let (from, to) = (part.container.clone(), aside_name(&part.container));
            steps.legacy(LegacyStep::Rename { id: part.id.clone(), from, to }, "it is kept aside");
        }
        if let Some(path) = part.file.as_ref().filter(|_| file_in_place(part, observed)) {
            steps.legacy(LegacyStep::SetFileAside { path: path.clone() }, "it is kept aside");
            reload = true;
        }
    }
    if reload {
        steps.push(Step::Reload, "unit files were set aside");
    }
    // the host is looked at again before anything of our own is made
    steps.legacy(LegacyStep::Done, "the way is free");
}

/// The host as it is once what was adopted is aside and its data is in its place.
fn without(app: &DesiredApp, adopted: &Adopted, observed: &Observed) -> Observed {
    let mut free = observed.clone();
    let id = &app.manifest.id;
    for part in adopted.parts.values() {
        if let Known::Yes(containers) = &mut free.containers {
            containers.remove(&part.container);
        }
        if let (Known::Yes(units), Some(unit)) = (&mut free.units, &part.unit) {
            units.remove(unit);
        }
        let file = part.file.as_ref().and_then(|file| file.file_name()?.to_str());
        if let (Known::Yes(files), Some(file)) = (&mut free.unit_files, file) {
            files.remove(file);
        }
        if let (Known::Yes(ports), Some(found)) =
            (&mut free.listening, observed.foreign.containers.get(&part.container))
        {
            for port in &found.seen.ports {
                ports.remove(&(port.host, port.protocol));
            }
        }
    }
    if let Known::Yes(files) = &mut free.app_files {
        let files = files.entry(id.clone()).or_default();
        for data in adopted.data_moves() {
            if let crate::adopt::DataPlace::AppDir { path } = &data.to {
                files.insert(path.clone(), crate::observed::FileState::Directory);
                files.insert(String::new(), crate::observed::FileState::Directory);
            }
        }
    }
    if let Known::Yes(secrets) = &mut free.secret_files {
        for secret in adopted.taken_secrets() {
            secrets.entry(secret.name.clone()).or_insert_with(|| "taken".to_owned());
        }
    }
    free
}

/// The way back was given up: what was kept aside goes, its data excepted.
fn committed(
    app: &DesiredApp,
    adopted: &Adopted,
    deployment: &Deployment,
    observed: &Observed,
    all: &[DesiredApp],
    intent: Intent,
) -> Option<Plan> {
    let aside: Vec<String> = adopted
        .parts
        .values()
        .filter(|part| {
            phase(app, part, observed) == LegacyPhase::Aside && part.unit.is_none() || {
                let name = aside_name(&part.container);
                let seen = observed.containers.get().and_then(|all| all.get(&name));
                seen.is_some_and(|seen| seen.id == part.id)
            }
        })
        .map(|part| aside_name(&part.container))
        .collect();
    if aside.is_empty() {
        return None;
    }
    let mut plan = plan_own(app, deployment, observed, all, intent);
    if plan.refusal().is_none() && plan.unknown().is_none() {
        let mut steps = Steps(std::mem::take(&mut plan.steps));
        for name in aside {
            let step =
                Step::RemoveContainer { name, deadline_secs: STOP_SECS_UNSAID + MARGIN_SECS };
            steps.push(step, "the migration is final");
        }
        plan.steps = steps.0;
    }
    Some(plan)
}

impl Steps {
    fn legacy(&mut self, step: LegacyStep, reason: impl Into<String>) {
        self.push(Step::Legacy(step), reason);
    }
}
