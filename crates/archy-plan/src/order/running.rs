//! An app that should run.

use std::collections::BTreeMap;

use archy_manifest::model::{FileTemplate, HookPoint, MountSource, Owner, UpdateStrategy};
use archy_manifest::names;
use archy_manifest::template::Placeholder;
use archy_quadlet::{UnitFile, UnitRole};

use super::moves::{self, Moves};
use super::{MARGIN_SECS, Steps, prepare};
use crate::check;
use crate::data;
use crate::desired::DataDue;
use crate::drift::{self, Drift, FileDrift};
use crate::hooks;
use crate::intent::Intent;
use crate::phase::is_alive;
use crate::scene::{self, Part, Scene};
use crate::secrets;
use crate::step::{Plan, Severity, Step};

/// Seconds that systemd gives a start whose unit does not say it (systemd-system.conf(5)).
const START_SECS_UNSAID: u32 = 90;
/// Seconds for a ready condition that may take as long as it takes: a week.
const READY_SECS_UNBOUNDED: u32 = 7 * 86_400;
/// Seconds to start the unit of a network.
const NETWORK_SECS: u32 = 120;

pub(super) fn plan(scene: &Scene<'_>, plan: &mut Plan) {
    let taken = check::names_taken(scene);
    if !taken.is_empty() {
        plan.checks = taken.iter().map(|taken| taken.check(Severity::Error)).collect();
        return;
    }
    let moving = |part: &&Part<'_>| !part.masked && part.phase.is_moving();
    if scene.intent == Intent::Converge
        && let Some(part) = scene.parts.iter().find(moving)
    {
        plan.checks = check::standing(scene);
        plan.checks.push(check::in_transition(part));
        return;
    }
    let moves = Moves::decide(scene);
    let starting: Vec<&Part<'_>> =
        moves.start.iter().map(|(index, _)| &scene.parts[*index]).collect();
    plan.checks = check::standing(scene);
    plan.checks.extend(check::left_alone(scene, |index| moves.starts(index)));
    plan.checks.extend(check::before_start(scene, &starting));
    plan.checks.extend(check::update(scene, &moves.stop));
    let mut steps = Steps::default();
    prepare::steps(scene, &mut steps);
    let early = prepare::builds(scene, &moves, &mut steps);
    let prepared = std::mem::take(&mut steps);
    let skip = |name: &str| early.iter().any(|file| file.file_name == name);
    stop(scene, &moves, &mut steps);
    if scene.restores() {
        // the units come first: were the host to go away in between, the other version would start
        // on data that was put back
        remove(scene, &moves, &mut steps);
        write_units(scene, &moves.start, Reload::Now, skip, &mut steps);
        steps.due(scene);
    } else {
        steps.due(scene);
        remove(scene, &moves, &mut steps);
    }
    rename(scene, &mut steps);
    data(scene, &mut steps);
    let anything = !moves.start.is_empty();
    files(scene, anything, false, &mut steps);
    let unread = starting.iter().any(|part| part.unit.is_none_or(|unit| unit.load == "not-found"));
    let late = anything && !unread && !steps.reloads() && writes_can_wait(scene);
    if !late && !scene.restores() {
        write_units(scene, &moves.start, Reload::Now, skip, &mut steps);
    }
    if unread && steps.0.last().is_none_or(|last| last.step != Step::Reload) {
        steps.push(Step::Reload, "systemd has not read a unit file yet");
    }
    gateway_files(scene, anything, &mut steps);
    if early.is_empty() {
        moves.builds.iter().for_each(|file| prepare::build(scene, file, &mut steps));
    }
    start(scene, &moves, &starting, &mut steps);
    if late {
        write_units(scene, &moves.start, Reload::WithNextLook, skip, &mut steps);
    }
    steps.prune(scene);
    if !scene.restores() {
        steps.merge_reloads();
    }
    plan.steps = prepared.0;
    plan.steps.append(&mut steps.0);
}

fn stop(scene: &Scene<'_>, moves: &Moves<'_>, steps: &mut Steps) {
    let mut units: Vec<String> =
        moves.stop.iter().map(|(index, _)| scene.parts[*index].file.unit.clone()).collect();
    let mut reasons: Vec<&str> = moves.stop.iter().map(|(_, reason)| *reason).collect();
    if !units.is_empty() {
        let reason = reasons.first().copied().unwrap_or_default();
        if scene.intent == Intent::Update {
            steps.hook(scene, HookPoint::PreUpdate, "the app is updated");
        }
        steps.hook(scene, HookPoint::PreStop, reason);
    }
    units.extend(moves.lost.iter().map(|file| file.unit.clone()));
    units.extend(moves::recreated_units(scene, moves));
    if !prepare::comes_first(scene) {
        let built = moves.builds.iter();
        let built = built.filter(|file| is_alive(scene.facts.units.get(&file.unit)));
        units.extend(built.map(|file| file.unit.clone()));
    }
    if !moves.lost.is_empty() {
        reasons.push("its network or volume is gone");
    }
    let orphans = moves::orphan_units(scene);
    if !orphans.is_empty() {
        reasons.push("the app has no such part any more");
        units.extend(orphans);
    }
    if reasons.is_empty() {
        reasons.push("its image is built anew");
    }
    units.sort_unstable();
    units.dedup();
    let mut seen: Vec<&str> = Vec::new();
    reasons.retain(|reason| {
        !seen.contains(reason) && {
            seen.push(reason);
            true
        }
    });
    steps.stop(scene.facts, units, reasons.join("; "));
    for (index, _) in &moves.start {
        let part = &scene.parts[*index];
        if !part.phase.is_alive() && scene.has_container(part) {
            let name = part.container.clone();
            steps.remove_container(scene, name, "no unit holds it any more");
        }
    }
}

/// Removes what the deployment does not name, and networks that are made anew.
pub(super) fn remove(scene: &Scene<'_>, moves: &Moves<'_>, steps: &mut Steps) {
    const REASON: &str = "the app has no such part any more";
    for name in scene.orphan_containers() {
        steps.remove_container(scene, name.to_owned(), REASON);
    }
    let orphans: Vec<(&str, &str)> = scene.orphan_files().collect();
    for (name, _) in &orphans {
        steps.push(Step::RemoveUnitFile { file_name: (*name).to_owned() }, REASON);
    }
    if !orphans.is_empty() {
        steps.push(Step::Reload, "unit files were removed");
    }
    let wanted = |network: &str| {
        scene
            .supports()
            .any(|file| matches!(&file.role, UnitRole::Network { name, .. } if name == network))
    };
    for (name, text) in orphans {
        let network = scene::key(text, "NetworkName").filter(|_| name.ends_with(".network"));
        let Some(network) = network else { continue };
        let stranger = scene.observed.strangers.networks.contains(network);
        let there = scene.facts.networks.contains(network);
        if there && !stranger && !wanted(network) && network != names::SHARED_NETWORK {
            steps.push(Step::RemoveNetwork { name: network.to_owned() }, REASON);
        }
    }
    for (_, name) in &moves.recreated {
        let name = (*name).to_owned();
        steps.push(Step::RemoveNetwork { name }, "its definition changed");
    }
}

/// Gives containers their names back; nothing of what runs in them notices.
fn rename(scene: &Scene<'_>, steps: &mut Steps) {
    for (from, to) in scene.renamed_containers() {
        let step = Step::RenameContainer { from: from.to_owned(), to };
        steps.push(step, "somebody renamed it while its unit runs");
    }
}

/// Directories, secrets for Podman, certificates.
fn data(scene: &Scene<'_>, steps: &mut Steps) {
    let app = scene.app;
    let there = |path: &str| {
        scene.facts.app_files.is_some_and(|files| {
            if path.is_empty() { !files.is_empty() } else { files.contains_key(path) }
        })
    };
    for (path, owner) in directories(scene) {
        if !there(path) {
            let step = Step::MakeDirectory { path: path.to_owned(), owner };
            steps.push(step, "the directory is not there");
        }
    }
    let made = |name: &str| {
        app.manifest
            .secrets
            .get(name)
            .is_some_and(|kind| *kind != archy_manifest::model::SecretKind::Supplied)
    };
    for (name, _) in secrets::used(app).into_iter().filter(|(_, handed)| *handed) {
        let reason =
            match (scene.facts.secret_files.get(&name), scene.facts.podman_secrets.get(&name)) {
                (None, _) if made(&name) => "the secret is made in this plan",
                (Some(_), None) => "Podman does not have it",
                (Some(file), Some(podman)) if file != podman => "its content changed",
                _ => continue,
            };
        steps.push(Step::SyncPodmanSecret { name }, reason);
    }
    for composed in &scene.deployment.composed {
        let Some(hash) = secrets::composed_hash(composed, scene.facts.secret_files) else {
            // what it is made of is made first, or is a finding
            continue;
        };
        let reason = match scene.facts.podman_secrets.get(&composed.name) {
            None => "Podman does not have it",
            Some(old) if *old != hash => "what it is made of changed",
            Some(_) => continue,
        };
        let (name, template) = (composed.name.clone(), composed.template.to_string());
        steps.push(Step::ComposePodmanSecret { name, template, hash }, reason);
    }
    for (index, cert) in app.manifest.certs.iter().enumerate() {
        if !there(&cert.crt) || !there(&cert.key) {
            steps.push(Step::MakeCert { index }, "the certificate is not there");
        }
    }
}

/// Directories that the app needs, parents first.
fn directories<'a>(scene: &Scene<'a>) -> BTreeMap<&'a str, Option<Owner>> {
    let manifest = &scene.app.manifest;
    let mut found: BTreeMap<&str, Option<Owner>> = BTreeMap::new();
    let mounts = manifest.services.values().flat_map(|service| &service.mounts);
    for mount in mounts {
        if let MountSource::AppDir { path, owner } = &mount.source {
            let known = found.entry(path).or_default();
            *known = known.or(*owner);
        }
    }
    if !found.is_empty() || !manifest.files.is_empty() || !manifest.certs.is_empty() {
        found.entry("").or_default();
    }
    found
}

fn needs_gateway(file: &FileTemplate) -> bool {
    file.content.placeholders().any(|placeholder| *placeholder == Placeholder::NetworkGateway)
}

/// Writes files from templates: those that name the network's gateway, or the others.
fn files(scene: &Scene<'_>, starting: bool, gateway: bool, steps: &mut Steps) {
    for file in scene.app.manifest.files.iter().filter(|file| needs_gateway(file) == gateway) {
        let reason = match scene.file_drift(file) {
            FileDrift::Missing => "the file is not there",
            FileDrift::Changed => "its content differs",
            FileDrift::Later if starting => "addresses of the node changed",
            FileDrift::AtStart if starting => "it is resolved anew at each start",
            FileDrift::Later | FileDrift::AtStart | FileDrift::Same => continue,
        };
        steps.push(Step::WriteFile { path: file.path.clone() }, reason);
    }
}

/// Files that name the network's gateway: the network comes first.
fn gateway_files(scene: &Scene<'_>, starting: bool, steps: &mut Steps) {
    let mut writes = Steps::default();
    files(scene, starting, true, &mut writes);
    if writes.0.is_empty() {
        return;
    }
    let missing = scene.supports().filter(|file| match &file.role {
        UnitRole::Network { name, .. } => !scene.facts.networks.contains(name),
        _ => false,
    });
    let units: Vec<String> = missing.map(|file| file.unit.clone()).collect();
    if !units.is_empty() {
        let step = Step::StartUnits { units, deadline_secs: NETWORK_SECS };
        steps.push(step, "a file names the network's gateway");
    }
    steps.0.append(&mut writes.0);
}

/// True when what differs in unit files does not matter to the containers that are started from
/// them: then nobody waits for it. The generation in a label matters to files with settings.
fn writes_can_wait(scene: &Scene<'_>) -> bool {
    let waits = |drift| matches!(drift, Drift::Same | Drift::Inert);
    scene.intent == Intent::Start
        && scene.parts.iter().all(|part| waits(part.drift))
        && scene.supports().all(|file| waits(scene.support_drift(file)))
        && !scene.app.manifest.files.iter().any(drift::has_setting)
}

/// When systemd reads unit files in which only inert lines changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reload {
    /// Containers are started from them.
    Now,
    /// Nothing is started from them any more: it is enough that they are read before the next look
    /// or start, which the engine sees to.
    WithNextLook,
}

/// Writes unit files that differ, and makes systemd read them. `starting` are parts to be started;
/// others keep values that are taken over at a start.
pub(super) fn write_units(
    scene: &Scene<'_>,
    starting: &[(usize, &'static str)],
    reload: Reload,
    skip: impl Fn(&str) -> bool,
    steps: &mut Steps,
) {
    let mut unread = false;
    for file in &scene.deployment.files {
        if skip(&file.file_name) {
            continue;
        }
        let part = scene.parts.iter().position(|part| part.file.file_name == file.file_name);
        let starts = part.is_some_and(|index| starting.iter().any(|(start, _)| *start == index));
        let seen = part.map(|index| &scene.parts[index]);
        if seen.is_some_and(|part| part.masked) {
            continue;
        }
        let drift = seen.map_or_else(|| scene.support_drift(file), |part| part.drift);
        let running = seen.is_some_and(|part| part.phase.is_alive());
        let reason = match drift {
            Drift::Same => continue,
            Drift::Figure if running && !starts => continue,
            Drift::Missing => "the unit file is not there",
            Drift::Inert => "labels or the start at boot changed; what runs is not touched",
            Drift::Figure => "figures of the node changed",
            Drift::Later if running && !starts => {
                "addresses of the node changed; the next start takes them over"
            }
            Drift::Later => "addresses of the node changed",
            Drift::Real => "the unit file differs",
        };
        steps.push(write(scene, file), reason);
        unread |= reload == Reload::Now || drift != Drift::Inert;
    }
    if unread {
        steps.push(Step::Reload, "unit files were written");
    }
}

pub(super) fn write(scene: &Scene<'_>, file: &UnitFile) -> Step {
    let old = scene.old_text(&file.file_name);
    Step::WriteUnitFile {
        file_name: file.file_name.clone(),
        text: file.text.clone(),
        diff: old.map(|old| drift::diff(&file.file_name, old, &file.text)),
    }
}

fn start(scene: &Scene<'_>, moves: &Moves<'_>, starting: &[&Part<'_>], steps: &mut Steps) {
    if !starting.is_empty() {
        steps.hook(scene, HookPoint::PreStart, "the app is started");
        let reason = start_words(scene, moves);
        for group in groups(scene, starting) {
            let units = group.iter().map(|part| part.file.unit.clone()).collect();
            let step = Step::StartUnits { units, deadline_secs: start_deadline(&group) };
            steps.push(step, reason.clone());
        }
    }
    hooks_after(scene, starting, steps);
    if scene.intent == Intent::Update {
        steps.hook(scene, HookPoint::PostUpdate, "the app is updated");
        let secs = scene.app.manifest.update.soak_secs;
        if secs > 0 && matches!(scene.app.data_due, Some(DataDue::Snapshot { .. })) {
            steps.push(Step::Soak { secs }, "a version that does not hold out is taken back");
        }
    }
}

/// Hooks after a start, also after one that systemd made by itself.
fn hooks_after(scene: &Scene<'_>, starting: &[&Part<'_>], steps: &mut Steps) {
    const FRESH: &str = "its containers are fresh";
    let starts = !starting.is_empty();
    let waiting = |point| if starts { Vec::new() } else { hooks::waiting(scene, point) };
    let (started, installed) = (waiting(HookPoint::PostStart), waiting(HookPoint::PostInstall));
    let unready = if starts { Vec::new() } else { hooks::unready(scene) };
    let fresh = starting.iter().chain(&started).chain(&installed).chain(&unready);
    let fresh: Vec<&Part<'_>> = fresh.copied().collect();
    if let Some(deadline_secs) = ready_deadline(&fresh) {
        let reason = "the app names conditions before it counts as ready";
        steps.push(Step::AwaitReady { deadline_secs }, reason);
    }
    if starts {
        steps.hook(scene, HookPoint::PostStart, "the app was started");
    } else if !started.is_empty() {
        steps.hook(scene, HookPoint::PostStart, FRESH);
    }
    // what may run again belongs to every fresh container
    let again = starts && hooks::repeats(scene, HookPoint::PostInstall);
    if scene.intent == Intent::Install {
        steps.hook(scene, HookPoint::PostInstall, "the app is installed");
    } else if again || !installed.is_empty() {
        steps.hook(scene, HookPoint::PostInstall, FRESH);
    }
    if scene.intent == Intent::Rollback && data::is_put_back(scene) {
        steps.hook(scene, HookPoint::PostRestore, "its data was put back");
    }
}

/// What is started together: everything, but in a rolling update one service after the other.
fn groups<'a, 'b>(scene: &Scene<'_>, starting: &[&'a Part<'b>]) -> Vec<Vec<&'a Part<'b>>> {
    let rolling = scene.app.manifest.update.strategy == UpdateStrategy::Rolling;
    if !rolling || scene.intent != Intent::Update {
        return vec![starting.to_vec()];
    }
    let mut left = starting.to_vec();
    let mut groups = Vec::new();
    while !left.is_empty() {
        // one whose dependencies are not among those left; in a circle, the first
        let free = left.iter().position(|part| {
            let needs = |other: &&&Part<'_>| part.service.depends_on.contains_key(other.name);
            !left.iter().filter(|other| other.name != part.name).any(|other| needs(&other))
        });
        groups.push(vec![left.remove(free.unwrap_or(0))]);
    }
    groups
}

fn start_words(scene: &Scene<'_>, moves: &Moves<'_>) -> String {
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (index, reason) in &moves.start {
        groups.entry(reason).or_default().push(scene.parts[*index].name.as_str());
    }
    if let (1, Some((reason, _))) = (groups.len(), groups.first_key_value()) {
        return (*reason).to_owned();
    }
    let words = groups.iter().map(|(reason, names)| format!("{}: {reason}", names.join(", ")));
    words.collect::<Vec<_>>().join("; ")
}

/// Seconds of the longest chain of starts that wait for each other.
fn start_deadline(starting: &[&Part<'_>]) -> u32 {
    let own: Vec<u32> = starting
        .iter()
        .map(|part| scene::seconds(&part.file.text, "TimeoutStartSec").unwrap_or(START_SECS_UNSAID))
        .collect();
    let mut until = own.clone();
    // each round settles at least one more link of a chain; a circle ends with the rounds
    for _ in 0..starting.len() {
        for (index, part) in starting.iter().enumerate() {
            let before = part.service.depends_on.keys().filter_map(|name| {
                let other = starting.iter().position(|other| other.name == name)?;
                (other != index).then_some(until[other])
            });
            let longest = before.max().unwrap_or(0);
            until[index] = longest.saturating_add(own[index]);
        }
    }
    until.into_iter().max().unwrap_or(0).saturating_add(MARGIN_SECS)
}

fn ready_deadline(starting: &[&Part<'_>]) -> Option<u32> {
    let conditions = starting.iter().flat_map(|part| &part.service.ready);
    conditions
        .map(|condition| match condition.timeout_secs {
            0 => READY_SECS_UNBOUNDED,
            seconds => seconds,
        })
        .max()
}
