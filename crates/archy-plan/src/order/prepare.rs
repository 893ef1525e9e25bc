//! What may fail while everything still runs: secrets to be made, images to arrive or to be built.

use archy_manifest::model::ImageSource;
use archy_quadlet::{UnitFile, UnitRole};

use super::moves::Moves;
use super::{MARGIN_SECS, Steps};
use crate::drift::Drift;
use crate::phase::is_alive;
use crate::scene::{self, Scene};
use crate::secrets;
use crate::step::Step;

pub(super) fn steps(scene: &Scene<'_>, steps: &mut Steps) {
    for (name, kind) in secrets::generated(scene.app) {
        if !scene.facts.secret_files.contains_key(name) {
            let name = name.clone();
            steps.push(Step::GenerateSecret { name, kind }, "the secret is not there");
        }
    }
    let mut pulled: Vec<&str> = Vec::new();
    for part in scene.parts.iter().filter(|part| !part.masked) {
        let Some(reference) = scene.deployment.images.get(part.name) else { continue };
        let pullable = matches!(part.service.source, ImageSource::Image(_));
        if pullable && !scene.facts.images.contains(reference) && !pulled.contains(&&**reference) {
            pulled.push(reference);
            steps.push(
                Step::PullImage { service: part.name.clone(), reference: reference.clone() },
                "the image is not there",
            );
        }
    }
}

/// An app that runs goes on running while its images are built.
pub(super) fn comes_first(scene: &Scene<'_>) -> bool {
    !scene.restores() && scene.parts.iter().any(|part| part.phase.is_alive())
}

/// Builds images while the app runs, where it does; gives the files of these builds.
pub(super) fn builds<'a>(
    scene: &Scene<'_>,
    moves: &Moves<'a>,
    steps: &mut Steps,
) -> Vec<&'a UnitFile> {
    if !comes_first(scene) {
        return Vec::new();
    }
    let changed = |file: &&&UnitFile| scene.support_drift(file) != Drift::Same;
    for file in moves.builds.iter().filter(changed) {
        steps.push(super::running::write(scene, file), "the unit file differs");
    }
    if moves.builds.iter().any(|file| changed(&file)) {
        steps.push(Step::Reload, "unit files were written");
    }
    let done = moves.builds.iter().filter(|file| is_alive(scene.facts.units.get(&file.unit)));
    let done: Vec<String> = done.map(|file| file.unit.clone()).collect();
    steps.stop(scene.facts, done, "its image is built anew");
    moves.builds.iter().for_each(|file| build(scene, file, steps));
    moves.builds.clone()
}

/// Runs one build.
pub(super) fn build(scene: &Scene<'_>, file: &UnitFile, steps: &mut Steps) {
    let UnitRole::Build(service) = &file.role else { return };
    let image = scene.deployment.images.get(service);
    let there = image.is_some_and(|image| scene.facts.images.contains(image));
    let deadline = scene::seconds(&file.text, "TimeoutStartSec").unwrap_or(3600);
    steps.push(
        Step::BuildImage {
            service: service.clone(),
            unit: file.unit.clone(),
            deadline_secs: deadline.saturating_add(MARGIN_SECS),
        },
        if there { "its sources may have changed" } else { "the image is not there" },
    );
}
