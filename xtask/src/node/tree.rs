//! Changes to a root file system that is not running: files, trees, the service user.
use std::fs;
use std::path::Path;

use super::error::NodeError;
use super::recipe;
use crate::cache::{CacheError, at};
use crate::sh::Cmd;

/// Adds the service user as an installer would: home, groups, subordinate ids, lingering.
///
/// # Errors
/// When useradd fails in the root file system.
pub(super) fn add_user(root: &Path) -> Result<(), NodeError> {
    let uid = recipe::UID.to_string();
    let useradd =
        Cmd::new("chroot").arg(root).args(["useradd", "-m", "-s", "/bin/bash", "-u", &uid]);
    useradd.args(["-G", recipe::GROUPS, recipe::USER]).run()?;
    for file in ["etc/subuid", "etc/subgid"] {
        put(&root.join(file), &format!("{}:100000:65536\n", recipe::USER))?;
    }
    put(&root.join("var/lib/systemd/linger").join(recipe::USER), "")?;
    Ok(())
}

/// Removes a directory tree; no failure when there is none.
///
/// # Errors
/// When it cannot be removed.
pub fn remove_tree(path: &Path) -> Result<(), CacheError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(at("cannot remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// Writes a file, making the directories above it.
///
/// # Errors
/// When it cannot be written.
pub fn put(path: &Path, content: &str) -> Result<(), CacheError> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(at("cannot make", dir))?;
    }
    // the path may be a link that means something else in the node than here
    let _none = fs::remove_file(path);
    fs::write(path, content).map_err(at("cannot write", path))
}
