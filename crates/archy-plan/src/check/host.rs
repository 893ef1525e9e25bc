//! Room on the host, its architecture, the platform's version.

use archy_manifest::model::ImageSource;

use crate::provider;
use crate::scene::{Part, Scene};
use crate::step::{Check, Severity};

/// Bytes that stay free beside what an app asks for.
const DISK_MARGIN: u64 = 1 << 30;
/// Files that can still be made beside what an app keeps: its image may have as many.
const INODE_MARGIN: u64 = 10_000;

pub(super) fn check(scene: &Scene<'_>, starting: &[&Part<'_>]) -> Vec<Check> {
    let mut found = room(scene);
    found.extend(memory(scene, starting));
    if scene.intent.installs() {
        found.extend(architecture(scene));
        found.extend(platform(scene));
    }
    found
}

/// Bytes and files on the disk.
pub(super) fn room(scene: &Scene<'_>) -> Vec<Check> {
    disk(scene).into_iter().chain(inodes(scene)).collect()
}

fn disk(scene: &Scene<'_>) -> Option<Check> {
    let free = match &scene.observed.disk_free_bytes {
        crate::observed::Known::Yes(free) => *free,
        crate::observed::Known::No(cause) => {
            let message = format!("How much disk space is free is not known: {}", cause.text);
            return Some(super::check(Severity::Note, "not-checked", message));
        }
    };
    let asked = scene.app.manifest.storage_bytes.filter(|_| !has_data(scene)).unwrap_or(0);
    let needed = asked.saturating_add(DISK_MARGIN);
    if free >= needed {
        return None;
    }
    // what arrives may fill the disk, with everything that is on it
    let severity = if is_fresh(scene) || (pulls(scene) && free < DISK_MARGIN) {
        Severity::Error
    } else {
        Severity::Warning
    };
    let message = format!(
        "{} of disk space are free; {} are needed ({} for the app, {} to spare).",
        bytes(free),
        bytes(needed),
        bytes(asked),
        bytes(DISK_MARGIN)
    );
    Some(super::check(severity, "disk-low", message).mend("Free some disk space or add a disk."))
}

/// A disk with room may be full of files.
fn inodes(scene: &Scene<'_>) -> Option<Check> {
    let free = match &scene.observed.inodes_free {
        crate::observed::Known::Yes(free) => *free,
        crate::observed::Known::No(cause) => {
            let message =
                format!("How many files still fit on the disk is not known: {}", cause.text);
            return Some(super::check(Severity::Note, "not-checked", message));
        }
    };
    if free >= INODE_MARGIN {
        return None;
    }
    let severity = if is_fresh(scene) { Severity::Error } else { Severity::Warning };
    let message = format!(
        "Only {free} more files fit on the disk (free inodes); {INODE_MARGIN} are needed to spare."
    );
    let mend = "Remove files that are not needed: many small ones fill a disk that has room.";
    Some(super::check(severity, "inodes-low", message).mend(mend))
}

/// The plan lets an image arrive.
fn pulls(scene: &Scene<'_>) -> bool {
    arriving(scene).next().is_some()
}

/// Parts whose image the plan lets arrive.
pub(super) fn arriving<'a, 'b>(scene: &'a Scene<'b>) -> impl Iterator<Item = &'a Part<'b>> {
    scene.parts.iter().filter(|part| !part.masked).filter(|part| {
        let image = scene.deployment.images.get(part.name);
        matches!(part.service.source, ImageSource::Image(_))
            && image.is_some_and(|image| !scene.facts.images.contains(image))
    })
}

/// An install of an app that has no data yet.
fn is_fresh(scene: &Scene<'_>) -> bool {
    scene.intent.installs() && !has_data(scene)
}

/// An app that has data asked for its room before.
fn has_data(scene: &Scene<'_>) -> bool {
    scene.facts.app_files.is_some_and(|files| !files.is_empty())
}

fn memory(scene: &Scene<'_>, starting: &[&Part<'_>]) -> Option<Check> {
    let available = *scene.observed.memory_available_bytes.get()?;
    let fresh = starting.iter().filter(|part| !part.phase.is_alive());
    let asked: u64 =
        fresh.fold(0, |sum, part| sum.saturating_add(part.service.resources.memory_bytes));
    if asked <= available {
        return None;
    }
    let message =
        format!("The app may use {} of memory; {} are available.", bytes(asked), bytes(available));
    Some(
        super::check(Severity::Warning, "memory-low", message)
            .mend("Stop another app, or expect this one to be slow or to be ended."),
    )
}

fn architecture(scene: &Scene<'_>) -> Option<Check> {
    let (wanted, host) = (&scene.app.manifest.architectures, &scene.observed.architecture);
    if wanted.is_empty() || host.is_empty() || wanted.contains(host) {
        return None;
    }
    let list = wanted.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let message = format!("The app runs on {list}; this node is {host}.");
    Some(
        super::check(Severity::Error, "architecture", message)
            .mend("Install it on another node, or ask its publisher for this architecture."),
    )
}

fn platform(scene: &Scene<'_>) -> Option<Check> {
    let wanted = scene.app.manifest.min_platform.as_deref()?;
    let host = scene.observed.platform.as_str();
    if provider::version(host)? >= provider::version(wanted)? {
        return None;
    }
    let message = format!("The app needs Archipelago {wanted} or later; this node has {host}.");
    Some(super::check(Severity::Error, "platform-too-old", message).mend("Update Archipelago."))
}

/// Bytes for people.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] =
        [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    for (size, unit) in UNITS {
        if bytes >= size {
            let tenths = u128::from(bytes) * 10 / u128::from(size);
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes} B")
}
