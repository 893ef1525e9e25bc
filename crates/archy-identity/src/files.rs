//! Files of this crate: each appears whole or not at all, with mode 0600 in a directory of 0700.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use archy_types::UserError;
use archy_types::durable::{self, FileOp, Staged};

/// Why a file could not be used. The path is named by its last part alone.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("{name} cannot be read: {reason}")]
    Read {
        /// Name of the file.
        name: String,
        /// What the system says.
        reason: String,
    },
    /// It cannot be written.
    #[error("{name} was not saved: {reason}")]
    Write {
        /// Name of the file.
        name: String,
        /// What the system says.
        reason: String,
    },
}

impl From<FileError> for UserError {
    fn from(error: FileError) -> Self {
        let (code, hint) = match &error {
            FileError::Read { .. } => (
                "identity-file-unreadable",
                "The service user must own the file and its directory.",
            ),
            FileError::Write { .. } => (
                "identity-file-unwritable",
                "Look at the free space and permissions of the data directory.",
            ),
        };
        Self::new(code, error.to_string()).hint(hint)
    }
}

fn name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

fn read_failed(path: &Path, reason: &dyn std::fmt::Display) -> FileError {
    FileError::Read { name: name(path), reason: reason.to_string() }
}

fn write_failed(path: &Path, reason: &dyn std::fmt::Display) -> FileError {
    FileError::Write { name: name(path), reason: reason.to_string() }
}

/// Makes a directory of mode 0700, or takes the rights of others away.
///
/// # Errors
/// The system's.
pub(crate) fn private_dir(path: &Path) -> Result<(), FileError> {
    let work = || -> std::io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        if std::fs::metadata(path)?.permissions().mode() & 0o777 != 0o700 {
            std::fs::set_permissions(path, Permissions::from_mode(0o700))?;
        }
        Ok(())
    };
    work().map_err(|error| write_failed(path, &error))
}

/// The content of a file, nothing when there is none.
///
/// # Errors
/// It is there and cannot be read, or has more than `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, FileError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(read_failed(path, &error)),
    };
    let mut content = Vec::new();
    file.take(limit + 1).read_to_end(&mut content).map_err(|error| read_failed(path, &error))?;
    if content.len() as u64 > limit {
        return Err(read_failed(path, &"it is too large"));
    }
    Ok(Some(content))
}

/// Writes a file, in the place of another if there is one.
///
/// # Errors
/// The system's; the old file is then as it was.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<(), FileError> {
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(path.file_name().unwrap_or_default());
    hidden.push(".new");
    let temporary = path.with_file_name(hidden);
    let ops = durable::replace(&[Staged { temporary: &temporary, target: path }]);
    ops.iter().try_for_each(|op| run(op, content)).map_err(|error| write_failed(path, &error))
}

/// Removes a file; one that is not there is no error.
///
/// # Errors
/// The system's.
pub(crate) fn remove(path: &Path) -> Result<(), FileError> {
    let ops = durable::remove(&[path]);
    ops.iter().try_for_each(|op| run(op, &[])).map_err(|error| write_failed(path, &error))
}

/// Names of the files in a directory that end like this, in order; hidden ones are left out.
///
/// # Errors
/// The directory cannot be read.
pub(crate) fn list(dir: &Path, suffix: &str) -> Result<Vec<PathBuf>, FileError> {
    let work = || -> std::io::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let path = entry?.path();
            let name = name(&path);
            if !name.starts_with('.') && name.ends_with(suffix) {
                found.push(path);
            }
        }
        found.sort();
        Ok(found)
    };
    work().map_err(|error| read_failed(dir, &error))
}

fn run(op: &FileOp, content: &[u8]) -> std::io::Result<()> {
    match op {
        FileOp::Write(path) => {
            gone(std::fs::remove_file(path))?;
            let mut file =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(content)
        }
        FileOp::Sync(path) => File::open(path)?.sync_all(),
        FileOp::Rename { from, to } => std::fs::rename(from, to),
        FileOp::Link { from, to } => std::fs::hard_link(from, to),
        FileOp::Remove(path) => gone(std::fs::remove_file(path)),
        FileOp::SyncDir(path) => File::open(path)?.sync_all(),
    }
}

fn gone(removed: std::io::Result<()>) -> std::io::Result<()> {
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
