//! Files that are whole or absent: atomic writing, secrets, self-signed certificates.
//!
//! Everything here blocks; async callers wrap it in `spawn_blocking`.

mod certs;
mod secrets;

#[cfg(test)]
mod tests;

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use archy_types::durable::{self, FileOp, Staged};
use archy_types::{Code, UserError};

pub use certs::ensure_cert;
pub use secrets::SecretStore;

use crate::error::StoreError;

/// Why a file was not written or read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A name that is no plain file name.
    #[error("{0:?} is not a name for a secret: use letters, digits, '.', '_' and '-'")]
    SecretName(String),
    /// A secret that is not there.
    #[error("there is no secret {0:?}")]
    SecretMissing(String),
    /// A supplied secret would replace another value.
    #[error("secret {0:?} has a value already")]
    SecretExists(String),
    /// A certificate lies there without its key.
    #[error("{} is there, but not its key {}", crt.display(), key.display())]
    CertWithoutKey {
        /// The certificate.
        crt: PathBuf,
        /// Where its key should be.
        key: PathBuf,
    },
    /// A key or certificate that cannot be made or read.
    #[error("certificate {}: {reason}", path.display())]
    Cert {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The system gave no random bytes, or a hash could not be computed.
    #[error("secret {name:?} cannot be made: {reason}")]
    Generate {
        /// The secret.
        name: String,
        /// The reason.
        reason: String,
    },
}

impl FileError {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "disk-full",
                io::ErrorKind::ReadOnlyFilesystem => "file-read-only",
                io::ErrorKind::PermissionDenied => "file-permission",
                io::ErrorKind::NotFound => "file-missing",
                _ => "file-io",
            },
            Self::SecretName(_) => "secret-name",
            Self::SecretMissing(_) => "secret-missing",
            Self::SecretExists(_) => "secret-exists",
            Self::CertWithoutKey { .. } => "cert-without-key",
            Self::Cert { .. } => "cert-failed",
            Self::Generate { .. } => "secret-failed",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self.code() {
            "disk-full" => "free some disk space; the old file is as it was",
            "file-read-only" => "the file system is mounted read-only; check the disk",
            "file-permission" => "check the owner and mode of the file and its directory",
            "secret-name" => "correct the manifest",
            "secret-missing" => "install the app again, or supply the value; data is not touched",
            "secret-exists" => "say that it is to be replaced",
            "cert-without-key" => {
                "put the key back, or move the certificate away to get a new pair"
            }
            "cert-failed" => "check the names of the certificate, and that its key is a PEM key",
            _ => "see the reason; nothing was changed",
        }
    }

    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    /// As a fault of the store's own files.
    pub(crate) fn into_store(self, path: &Path) -> StoreError {
        match self {
            Self::Io { path, source } => StoreError::io(&path, &source),
            other => StoreError::Io { path: path.to_owned(), reason: other.to_string() },
        }
    }
}

impl From<FileError> for UserError {
    fn from(error: FileError) -> Self {
        Self {
            code: Code::new(error.code()),
            message: error.to_string(),
            hint: Some(error.hint().to_owned()),
        }
    }
}

/// Writes a file so that after a crash either the old or the new one is there, whole (see
/// [`durable::replace`]). A symlink at `path` is replaced, not followed.
///
/// # Errors
/// [`FileError::Io`]; `path` is then as it was.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
    let temporary = temporary_name(path);
    let ops = durable::replace(&[Staged { temporary: &temporary, target: path }]);
    carry_out(&ops, &temporary, bytes, mode).map_err(FileError::io(path))
}

/// Like [`write_atomic`], but leaves a file that is there alone; says whether it wrote one.
///
/// # Errors
/// [`FileError::Io`].
pub fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<bool, FileError> {
    let temporary = temporary_name(path);
    let ops = durable::create(Staged { temporary: &temporary, target: path });
    match carry_out(&ops, &temporary, bytes, mode) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(FileError::io(path)(error)),
    }
}

/// Makes a directory (and what is above it) with mode 0700, and narrows one that is wider.
///
/// # Errors
/// [`FileError::Io`].
pub fn private_dir(dir: &Path) -> Result<(), FileError> {
    if !dir.is_dir() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(FileError::io(dir))?;
        // what is written in it is no safer than its own name
        sync_parent(dir).map_err(FileError::io(dir))?;
    }
    set_mode(dir, 0o700)
}

/// Makes what was renamed into or out of a file's directory last.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    fs::File::open(durable::parent(path))?.sync_all()
}

/// Sets a mode if it is another.
fn set_mode(path: &Path, mode: u32) -> Result<(), FileError> {
    let now = fs::metadata(path).map_err(FileError::io(path))?.permissions().mode();
    if now & 0o7777 == mode {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(FileError::io(path))
}

fn temporary_name(path: &Path) -> PathBuf {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    durable::parent(path).join(format!(".{name}.{}-{number}.tmp", std::process::id()))
}

/// Carries out the operations in order; when one fails, no temporary file is left.
fn carry_out(ops: &[FileOp], temporary: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let done = ops.iter().try_for_each(|op| perform(op, bytes, mode));
    if done.is_err() {
        remove_temporary(temporary);
    }
    done
}

fn perform(op: &FileOp, bytes: &[u8], mode: u32) -> io::Result<()> {
    match op {
        FileOp::Write(path) => {
            remove_stale(path)?;
            let options = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).clone();
            let mut file = options.open(path)?;
            file.write_all(bytes)?;
            file.set_permissions(fs::Permissions::from_mode(mode))
        }
        FileOp::Sync(path) | FileOp::SyncDir(path) => fs::File::open(path)?.sync_all(),
        FileOp::Rename { from, to } => fs::rename(from, to),
        FileOp::Link { from, to } => fs::hard_link(from, to),
        FileOp::Remove(path) => remove_stale(path),
    }
}

/// A file of this name can only be left from a crash of a process with the same id.
fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn remove_temporary(path: &Path) {
    if let Err(error) = remove_stale(path) {
        tracing::warn!(path = %path.display(), %error, "cannot remove a temporary file");
    }
}
