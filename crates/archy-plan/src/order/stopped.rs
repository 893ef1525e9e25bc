//! Stopped by the owner: deployed, but nothing runs and nothing starts at boot.

use archy_manifest::model::HookPoint;

use super::moves::{self, Moves};
use super::running::{self, Reload};
use super::{Steps, prepare};
use crate::check;
use crate::intent::Intent;
use crate::scene::Scene;
use crate::step::{Plan, Severity};

const REASON: &str = "the owner stopped it";

pub(super) fn plan(scene: &Scene<'_>, plan: &mut Plan) {
    // a foreign thing of the same name is passed over: a stop must always work
    let taken = check::names_taken(scene);
    plan.checks = taken.iter().map(|taken| taken.check(Severity::Warning)).collect();
    plan.checks.extend(check::not_enforced(scene));
    plan.checks.extend(check::update(scene, &[]));
    let mut steps = Steps::default();
    if scene.intent == Intent::Update {
        // whatever may fail does so before anything changed
        plan.checks.extend(check::before_pull(scene));
        prepare::steps(scene, &mut steps);
    }
    let alive = scene.parts.iter().filter(|part| part.phase.is_alive());
    let mut units: Vec<String> = alive.map(|part| part.file.unit.clone()).collect();
    if !units.is_empty() {
        steps.hook(scene, HookPoint::PreStop, REASON);
    }
    units.extend(moves::orphan_units(scene));
    let moves = Moves { recreated: moves::recreated_networks(scene), ..Moves::default() };
    units.extend(moves::recreated_units(scene, &moves));
    units.sort_unstable();
    units.dedup();
    steps.stop(scene.facts, units, REASON);
    for part in scene.parts.iter().filter(|part| !part.phase.is_alive()) {
        if scene.has_container(part) {
            let name = part.container.clone();
            steps.remove_container(scene, name, "no unit holds it any more");
        }
    }
    if !scene.restores() {
        steps.due(scene);
    }
    running::remove(scene, &moves, &mut steps);
    let foreign = |file: &str| taken.iter().any(|taken| taken.is_file(file));
    running::write_units(scene, &[], Reload::WithNextLook, foreign, &mut steps);
    if scene.restores() {
        steps.due(scene);
    }
    steps.prune(scene);
    steps.merge_reloads();
    plan.steps = steps.0;
}
