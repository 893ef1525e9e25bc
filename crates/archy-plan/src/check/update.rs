//! Room for an update's snapshot, and how an update or its way back goes, in words.

use super::host::bytes;
use crate::data;
use crate::intent::Intent;
use crate::observed::Known;
use crate::scene::{self, Scene};
use crate::step::{Check, Severity, Step};

/// Bytes that stay free beside a snapshot.
const MARGIN: u64 = 256 << 20;

/// What matters for an update and for a rollback. `stopped` are the parts that it stops.
pub(crate) fn check(scene: &Scene<'_>, stopped: &[(usize, &'static str)]) -> Vec<Check> {
    let mut found = data::rollback_checks(scene, scene.due.as_ref());
    if let (Intent::Update, Some(Step::Snapshot { .. })) = (scene.intent, &scene.due) {
        found.extend(room(scene));
        found.extend(downtime(scene, stopped));
    }
    found
}

/// Bytes of a snapshot, where they were asked for and are known.
fn size<'a>(scene: &Scene<'a>) -> Option<&'a Known<u64>> {
    scene.observed.data_sizes.get(&scene.app.manifest.id)
}

fn room(scene: &Scene<'_>) -> Option<Check> {
    let needed = match size(scene)? {
        Known::Yes(size) => *size,
        Known::No(cause) => {
            let message = format!("How much room a snapshot takes is not known: {}", cause.text);
            return Some(super::check(Severity::Note, "not-checked", message));
        }
    };
    let free = *scene.observed.disk_free_bytes.get()?;
    if free >= needed.saturating_add(MARGIN) {
        return None;
    }
    let message = format!(
        "The data is saved before the update: {} are needed for it and {} to spare, {} are free.",
        bytes(needed),
        bytes(MARGIN),
        bytes(free)
    );
    Some(
        super::check(Severity::Error, "disk-snapshot", message)
            .mend("Free some disk space or add a disk; nothing was changed."),
    )
}

fn downtime(scene: &Scene<'_>, stopped: &[(usize, &'static str)]) -> Option<Check> {
    if stopped.is_empty() {
        return None;
    }
    let grace = stopped.iter().filter_map(|(index, _)| {
        let part = scene.parts.get(*index)?;
        scene::seconds(&part.file.text, "StopTimeout")
    });
    let saved = match size(scene) {
        Some(Known::Yes(0)) => "save its data without a copy".to_owned(),
        Some(Known::Yes(size)) => format!("copy {} of its data", bytes(*size)),
        _ => "save its data".to_owned(),
    };
    let message = format!(
        "The app is away while it is stopped (up to {} s), to {saved} and to start again; images \
         arrive before. It is watched for {} s and taken back if it does not hold out.",
        grace.max().unwrap_or(10),
        scene.app.manifest.update.soak_secs
    );
    Some(super::check(Severity::Note, "update-downtime", message))
}
