//! The shell scripts that become PID 1, supervisor and registry, written to the cache where namespaces can read them.
use std::path::PathBuf;

use super::error::NodeError;
use crate::cache::{Cache, recipe_hash, write_whole};

const SCRIPTS: &[(&str, &str)] = &[
    ("boot.sh", include_str!("boot.sh")),
    ("supervise.sh", include_str!("supervise.sh")),
    ("enter.sh", include_str!("enter.sh")),
    ("registry.sh", include_str!("registry.sh")),
    ("chroot.sh", include_str!("chroot.sh")),
];

/// The directory that holds this version of the scripts; other checkouts may have others beside.
///
/// # Errors
/// When they cannot be written.
pub fn ensure(cache: &Cache) -> Result<PathBuf, NodeError> {
    let name = recipe_hash(SCRIPTS.iter().map(|(_, text)| text.as_bytes()));
    let dir = cache.dir("scripts")?.join(&name);
    if dir.is_dir() {
        return Ok(dir);
    }
    let dir = cache.dir(&format!("scripts/{name}"))?;
    for (file, text) in SCRIPTS {
        write_whole(&dir.join(file), text.as_bytes())?;
    }
    Ok(dir)
}
