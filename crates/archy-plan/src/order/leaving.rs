//! Uninstall: everything that carries the app's label goes; data only with a purge.

use std::collections::BTreeSet;

use archy_manifest::model::HookPoint;
use archy_manifest::{Manifest, names};

use super::Steps;
use crate::adopt::SecretSource;
use crate::data;
use crate::desired::{DesiredApp, DesiredState};
use crate::observed::Observed;
use crate::phase::is_alive;
use crate::scene::{self, Facts, Scene};
use crate::secrets;
use crate::step::{Plan, PlannedStep, Step};

const REASON: &str = "the app is uninstalled";
const PURGE: &str = "the app is uninstalled with its data";

pub(super) fn plan(scene: &Scene<'_>, plan: &mut Plan) {
    let mut steps = Steps::default();
    let (facts, manifest) = (scene.facts, &*scene.app.manifest);
    let mut units = live_units(facts, manifest);
    if !units.is_empty() {
        steps.hook(scene, HookPoint::PreStop, REASON);
    }
    units.extend(queued_units(facts, manifest));
    units.sort_unstable();
    units.dedup();
    steps.stop(facts, units, REASON);
    for (name, _) in facts.containers_of(&manifest.id) {
        steps.remove_container(scene, name.to_owned(), REASON);
    }
    let mut reload = false;
    for (name, _) in facts.files_of(&manifest.id) {
        steps.push(Step::RemoveUnitFile { file_name: name.to_owned() }, REASON);
        reload = true;
    }
    if reload {
        steps.push(Step::Reload, "unit files were removed");
    }
    for name in networks(scene) {
        steps.push(Step::RemoveNetwork { name }, REASON);
    }
    podman_secrets(scene, &mut steps);
    if scene.app.state == DesiredState::Purged {
        purge(scene, &mut steps);
    }
    plan.steps = steps.0;
}

/// What can be done without Podman: units are stopped by systemd, and their files go, so that nothing
/// starts again. Nothing, unless units and files are known.
pub(super) fn without_podman(app: &DesiredApp, observed: &Observed) -> Vec<PlannedStep> {
    let mut steps = Steps::default();
    let (Some(files), Some(units)) = (observed.unit_files.get(), observed.units.get()) else {
        return steps.0;
    };
    let own: Vec<(&str, &str)> = scene::files_of(files, &app.manifest.id).collect();
    let enabled = own.iter().any(|(_, text)| scene::key(text, "WantedBy").is_some());
    let mut stop: Vec<String> =
        own.iter().filter_map(|(name, _)| archy_quadlet::unit_of(name)).collect();
    // where one starts at boot, all that it pulls in may wait in the queue
    stop.retain(|unit| enabled || is_alive(units.get(unit)));
    stop.sort_unstable();
    if !stop.is_empty() {
        steps.stop_units(files, stop, REASON);
    }
    for (name, _) in &own {
        steps.push(Step::RemoveUnitFile { file_name: (*name).to_owned() }, REASON);
    }
    if !own.is_empty() {
        steps.push(Step::Reload, "unit files were removed");
    }
    steps.0
}

/// Units of the app that systemd runs: of its labelled files, of the names in its manifest where the
/// container is its own, and of its other containers.
pub(super) fn live_units(facts: Facts<'_>, manifest: &Manifest) -> Vec<String> {
    let mut units: BTreeSet<String> =
        facts.files_of(&manifest.id).filter_map(|(name, _)| archy_quadlet::unit_of(name)).collect();
    let containers = facts.containers_of(&manifest.id);
    units.extend(containers.map(|(name, _)| format!("{name}.service")));
    units.retain(|unit| facts.runs(&manifest.id, unit));
    units.into_iter().collect()
}

/// Units that systemd may be about to start, as it does at boot: where one is enabled, all that it
/// pulls in may wait in the queue. What starts once its file is gone would stay for ever.
fn queued_units(facts: Facts<'_>, manifest: &Manifest) -> Vec<String> {
    let files = || facts.files_of(&manifest.id);
    let enabled = |text: &str| scene::key(text, "WantedBy").is_some();
    if !files().any(|(_, text)| enabled(text)) {
        return Vec::new();
    }
    files().filter_map(|(name, _)| archy_quadlet::unit_of(name)).collect()
}

/// The app's own networks: of its labelled files, and the one named like it.
fn networks(scene: &Scene<'_>) -> BTreeSet<String> {
    let (facts, id) = (scene.facts, &scene.app.manifest.id);
    let named = facts
        .files_of(id)
        .filter(|(name, _)| name.ends_with(".network"))
        .filter_map(|(_, text)| scene::key(text, "NetworkName").map(str::to_owned));
    let mut found: BTreeSet<String> = named.chain([names::network(id)]).collect();
    let strangers = &scene.observed.strangers.networks;
    found.retain(|name| {
        name != names::SHARED_NETWORK && facts.networks.contains(name) && !strangers.contains(name)
    });
    found
}

/// Manifests that the app had before.
fn former<'a>(scene: &Scene<'a>) -> impl Iterator<Item = &'a Manifest> {
    let former = scene.observed.left.former.get(&scene.app.manifest.id);
    former.into_iter().flatten().map(|manifest| &**manifest)
}

/// Secrets that this app used and no other app of the node concerns itself with.
fn own_secrets(scene: &Scene<'_>) -> BTreeSet<String> {
    let app = scene.app;
    let declared = app.manifest.secrets.keys().cloned();
    let former = former(scene).flat_map(secrets::named);
    let mut secrets: BTreeSet<String> =
        declared.chain(secrets::used(app).into_keys()).chain(former).collect();
    secrets.retain(|name| {
        let others = scene.all.iter().filter(|other| other.manifest.id != app.manifest.id);
        !others
            .filter(|other| other.state != DesiredState::Purged)
            .any(|other| secrets::concerns(other, name))
    });
    secrets
}

fn podman_secrets(scene: &Scene<'_>, steps: &mut Steps) {
    for name in own_secrets(scene) {
        // one without a hash was not handed over by Archipelago
        let handed = scene.facts.podman_secrets.get(&name).is_some_and(|hash| !hash.is_empty());
        if handed && !is_needed_outside(scene, &name) {
            steps.push(Step::RemovePodmanSecret { name }, REASON);
        }
    }
    for name in scene.facts.podman_secrets.keys() {
        if secrets::is_composed(&scene.app.manifest.id, name) {
            steps.push(Step::RemovePodmanSecret { name: name.clone() }, REASON);
        }
    }
}

/// A container that was taken over, and is there or kept aside, has this secret of Podman.
fn is_needed_outside(scene: &Scene<'_>, name: &str) -> bool {
    let parts = scene.app.adopted.iter().flat_map(|adopted| adopted.parts.values());
    parts
        .flat_map(|part| &part.secrets)
        .any(|taken| matches!(&taken.source, SecretSource::Podman { secret } if secret == name))
}

fn purge(scene: &Scene<'_>, steps: &mut Steps) {
    let (facts, manifest) = (scene.facts, &*scene.app.manifest);
    let manifests = former(scene).chain([manifest]);
    let volumes: BTreeSet<String> = manifests
        .flat_map(|one| one.volumes.keys().map(|volume| names::volume(&one.id, volume)))
        .collect();
    for name in volumes {
        let stranger = scene.is_strange_volume(&name);
        if facts.volumes.contains(&name) && !stranger {
            steps.push(Step::PurgeVolume { name }, PURGE);
        }
    }
    // what ran has logs, whether it has data or not
    if facts.app_files.is_some_and(|files| !files.is_empty()) || !steps.0.is_empty() {
        steps.push(Step::PurgeData, PURGE);
    }
    if let Some(step) = data::all_snapshots(scene) {
        steps.push(step, PURGE);
    }
    for name in own_secrets(scene) {
        if facts.secret_files.contains_key(&name) {
            steps.push(Step::PurgeSecret { name }, PURGE);
        }
    }
}
