//! What may fail while everything still runs: secrets to be made, images to arrive.

use archy_manifest::model::ImageSource;

use super::Steps;
use crate::scene::Scene;
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
