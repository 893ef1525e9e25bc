//! Unit files of the owner: kept aside while Archipelago's own units run in their place.

use std::path::{Path, PathBuf};

use archy_engine::ports::HostResult;
use archy_store::files as store;
use archy_types::{AppId, UserError};

use super::super::{SystemHost, error};

fn failed(path: &Path, source: std::io::Error) -> UserError {
    error::file(&store::FileError::Io { path: path.to_owned(), source })
}

/// Names of links to a unit in the directories of targets, one a line, beside the kept file.
fn links_note(aside: &Path) -> PathBuf {
    let name = aside.file_name().unwrap_or_default().to_string_lossy();
    aside.with_file_name(format!("{name}.links"))
}

/// Drop-ins belong to their unit by name.
fn drop_ins(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{name}.d"))
}

impl SystemHost {
    /// The service user's own directory of plain systemd units.
    pub(super) fn user_units(&self) -> Option<PathBuf> {
        Some(self.config.quadlet_dir.parent()?.parent()?.join("systemd/user"))
    }

    /// Where a unit file is kept; nothing for one that is not in the service user's directories.
    pub(super) fn aside(&self, app: &AppId, path: &Path) -> Option<PathBuf> {
        let own = path.parent() == Some(self.config.quadlet_dir.as_path())
            || path.parent() == self.user_units().as_deref();
        own.then(|| path.file_name())
            .flatten()
            .map(|name| self.adopted_dir(app).join("units").join(name))
    }

    fn own_file(&self, app: &AppId, path: &Path) -> HostResult<PathBuf> {
        self.aside(app, path).ok_or_else(|| {
            let message = format!("{} is not a unit file of the service user.", path.display());
            error::fatal(UserError::new("migrate-unit-foreign", message))
        })
    }

    /// Keeps a unit file aside, with its drop-ins and the links that enable it.
    pub(super) async fn set_aside(&self, app: &AppId, path: &Path) -> HostResult<()> {
        let (aside, path) = (self.own_file(app, path)?, path.to_owned());
        self.blocking(move |host| {
            if let Some(dir) = aside.parent() {
                store::private_dir(dir).map_err(|e| error::file(&e))?;
            }
            let links = host.links(&path)?;
            if !links.is_empty() {
                let lines: Vec<String> =
                    links.iter().map(|link| link.to_string_lossy().into_owned()).collect();
                let text = lines.join("\n");
                store::write_atomic(&links_note(&aside), text.as_bytes(), 0o600)
                    .map_err(|e| error::file(&e))?;
            }
            for link in links {
                std::fs::remove_file(&link).map_err(|source| failed(&link, source))?;
            }
            carry(&drop_ins(&path), &drop_ins(&aside))?;
            carry(&path, &aside)
        })
        .await
    }

    /// Puts a unit file back where it was.
    pub(super) async fn put_file_back(&self, app: &AppId, path: &Path) -> HostResult<()> {
        let (aside, path) = (self.own_file(app, path)?, path.to_owned());
        self.blocking(move |_| {
            carry(&drop_ins(&aside), &drop_ins(&path))?;
            carry(&aside, &path)?;
            let note = links_note(&aside);
            let lines = std::fs::read_to_string(&note).unwrap_or_default();
            for link in lines.lines().map(Path::new) {
                if link.symlink_metadata().is_ok() {
                    continue;
                }
                if let Some(dir) = link.parent() {
                    std::fs::create_dir_all(dir).map_err(|source| failed(dir, source))?;
                }
                std::os::unix::fs::symlink(&path, link).map_err(|source| failed(link, source))?;
            }
            // without its file it says nothing
            _ = std::fs::remove_file(&note);
            Ok(())
        })
        .await
    }

    /// Links in the directories of targets that enable a plain unit.
    fn links(&self, path: &Path) -> Result<Vec<PathBuf>, UserError> {
        let Some(dir) = self.user_units().filter(|dir| path.parent() == Some(dir)) else {
            return Ok(Vec::new());
        };
        let name = path.file_name().unwrap_or_default();
        let entries = std::fs::read_dir(&dir).map_err(|source| failed(&dir, source))?;
        let targets = entries.flatten().map(|entry| entry.path()).filter(|path| {
            path.extension().is_some_and(|kind| kind == "wants" || kind == "requires")
        });
        let links = targets.map(|target| target.join(name));
        Ok(links
            .filter(|link| link.symlink_metadata().is_ok_and(|meta| meta.is_symlink()))
            .collect())
    }
}

/// Moves a file or a directory of files, also to another file system; what is not there has been
/// moved already.
fn carry(from: &Path, to: &Path) -> Result<(), UserError> {
    match std::fs::rename(from, to) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() != std::io::ErrorKind::CrossesDevices => {
            return Err(failed(from, error));
        }
        Err(_) => {}
    }
    if from.is_dir() {
        store::private_dir(to).map_err(|e| error::file(&e))?;
        for entry in std::fs::read_dir(from).map_err(|source| failed(from, source))?.flatten() {
            carry(&entry.path(), &to.join(entry.file_name()))?;
        }
        return std::fs::remove_dir(from).map_err(|source| failed(from, source));
    }
    let bytes = std::fs::read(from).map_err(|source| failed(from, source))?;
    store::write_atomic(to, &bytes, 0o644).map_err(|e| error::file(&e))?;
    std::fs::remove_file(from).map_err(|source| failed(from, source))
}
