//! Room for an update's snapshot, and how an update or its way back goes, in words.

use std::collections::{BTreeMap, BTreeSet};

use super::host::{self, bytes};
use crate::data;
use crate::intent::Intent;
use crate::observed::Known;
use crate::scene::{self, Part, Scene};
use crate::step::{Check, Severity, Step};

/// Code of the note on what an update lets arrive.
const CODE_ARRIVES: &str = "update-arrives";

/// Bytes that stay free beside a snapshot.
const MARGIN: u64 = 256 << 20;

/// What matters for an update and for a rollback. `stopped` are the parts that it stops.
pub(crate) fn check(scene: &Scene<'_>, stopped: &[(usize, &'static str)]) -> Vec<Check> {
    let mut found = data::rollback_checks(scene, scene.due.as_ref());
    if scene.intent == Intent::Update {
        found.extend(arrivals(scene));
    }
    if let (Intent::Update, Some(Step::Snapshot { .. })) = (scene.intent, &scene.due) {
        found.extend(room(scene));
        found.extend(downtime(scene, stopped));
    }
    found
}

/// What arrives before anything is stopped. A registry tells sizes only layer by layer, with the pull;
/// the images that are replaced say what to expect.
fn arrivals(scene: &Scene<'_>) -> Option<Check> {
    let parts: Vec<&Part<'_>> = host::arriving(scene).collect();
    let names: Vec<&str> = parts
        .iter()
        .filter_map(|part| Some(scene.deployment.images.get(part.name)?.as_str()))
        .collect();
    let names: BTreeSet<&str> = names.into_iter().collect();
    if names.is_empty() {
        return None;
    }
    let old = |part: &&Part<'_>| {
        let reference = scene::key(scene.old_text(&part.file.file_name)?, "Image")?;
        Some((reference.to_owned(), *scene.observed.image_sizes.get(reference)?))
    };
    let replaced: BTreeMap<String, u64> = parts.iter().filter_map(old).collect();
    let list = names.iter().copied().collect::<Vec<_>>().join(", ");
    if replaced.is_empty() {
        let message = format!("First arrives {list}, of a size that is not known before.");
        return Some(super::check(Severity::Note, CODE_ARRIVES, message));
    }
    let expected = replaced.values().fold(0_u64, |sum, size| sum.saturating_add(*size));
    let message = format!(
        "First arrives {list}, of a size that is not known before. What it replaces takes {}.",
        bytes(expected)
    );
    let saved = size(scene).and_then(Known::get).copied().unwrap_or(0);
    let needed = expected.saturating_add(saved).saturating_add(MARGIN);
    let free = scene.observed.disk_free_bytes.get().copied().filter(|free| *free < needed);
    let Some(free) = free else { return Some(super::check(Severity::Note, CODE_ARRIVES, message)) };
    let message = format!("{message} {} are free, which may not be enough.", bytes(free));
    Some(
        super::check(Severity::Warning, CODE_ARRIVES, message)
            .mend("Free some disk space first; an update that finds none changes nothing."),
    )
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
    let last = match scene.observed.away_secs.get(&scene.app.manifest.id) {
        Some(secs) => format!("the last time that took {secs} s"),
        None => "how long that takes is not known yet".to_owned(),
    };
    let message = format!(
        "The app is away while it is stopped (up to {} s), to {saved} and to start again: {last}. \
         Images arrive before. It is watched for {} s and taken back if it does not hold out.",
        grace.max().unwrap_or(10),
        scene.app.manifest.update.soak_secs
    );
    Some(super::check(Severity::Note, "update-downtime", message))
}
