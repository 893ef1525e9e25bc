//! An older version in the place of a newer one.

use archy_manifest::Manifest;
use semver::{BuildMetadata, Prerelease, Version};

use super::check;
use crate::provider;
use crate::step::{Check, Severity};

/// Refuses `new` in the place of `old` when its version is lower and neither manifest allows the way
/// back: an app seldom reads the data of a later version.
///
/// Versions are compared by their first three numbers; one that cannot be read is no reason to
/// refuse.
#[must_use]
pub fn check_downgrade(old: &Manifest, new: &Manifest) -> Option<Check> {
    if old.update.downgrade || new.update.downgrade {
        return None;
    }
    if numbers(&new.version)? >= numbers(&old.version)? {
        return None;
    }
    let message = format!(
        "{} {} is installed; {} is older, and may not read the data of the newer version.",
        new.name, old.version, new.version
    );
    Some(check(Severity::Error, "downgrade-refused", message).mend(
        "Uninstall the app first (its data is kept), or set `update.downgrade: true` in the manifest.",
    ))
}

fn numbers(text: &str) -> Option<Version> {
    let version = provider::version(text)?;
    Some(Version { pre: Prerelease::EMPTY, build: BuildMetadata::EMPTY, ..version })
}
