//! What can go wrong with the store, with codes and hints.

use std::path::{Path, PathBuf};

use archy_types::{AppId, Code, Digest, Generation, OperationId, UserError};
use rusqlite::ffi::{self, ErrorCode};

use crate::journal::Phase;

/// Why the store refused or failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another connection held the database for longer than the busy timeout.
    #[error("the store is busy: {reason}")]
    Busy {
        /// SQLite's words.
        reason: String,
    },
    /// Another process has the store open.
    #[error("{} is in use by another process", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The file is not a whole database. It was left as it is.
    #[error("{} is damaged: {reason}", path.display())]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What the integrity check or SQLite said.
        reason: String,
        /// The last copy that was whole, if there is one.
        last_good: Option<PathBuf>,
    },
    /// A newer release wrote the database.
    #[error("{} has schema version {found}; this release knows versions up to {known}", path.display())]
    TooNew {
        /// The database.
        path: PathBuf,
        /// `PRAGMA user_version` of the file.
        found: u32,
        /// The newest version this release knows.
        known: u32,
    },
    /// No space is left; nothing was changed.
    #[error("no space is left for {}", path.display())]
    DiskFull {
        /// What was written.
        path: PathBuf,
    },
    /// The file or its file system cannot be written; nothing was changed.
    #[error("{} cannot be written: {reason}", path.display())]
    ReadOnly {
        /// What was written.
        path: PathBuf,
        /// The reason given.
        reason: String,
    },
    /// Somebody else changed the app in the meantime.
    #[error("generation {given} of {app} is stale: the store has {stored}")]
    GenerationStale {
        /// The app.
        app: AppId,
        /// Generation in the store.
        stored: Generation,
        /// Generation that was to be written.
        given: Generation,
    },
    /// A record names a manifest that was never accepted.
    #[error("manifest {0} is not in the store")]
    ManifestUnknown(Digest),
    /// No row has this key.
    #[error("{what} is not in the store")]
    NotFound {
        /// The kind of row and its key.
        what: String,
    },
    /// An operation cannot go from its phase to the asked one.
    #[error("{id} is {from}; it cannot become {to}")]
    PhaseRefused {
        /// The operation.
        id: OperationId,
        /// Its phase.
        from: Phase,
        /// The phase that was asked for.
        to: Phase,
    },
    /// A value that the store does not take.
    #[error("{what} {reason}")]
    Refused {
        /// What was given.
        what: &'static str,
        /// Why it is refused.
        reason: String,
    },
    /// A row does not read back as what it should be.
    #[error("a row of {table} ({key}) cannot be read: {reason}")]
    BadRecord {
        /// The table.
        table: &'static str,
        /// The row's key.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The operating system refused something else.
    #[error("{}: {reason}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// Any other fault that SQLite reported.
    #[error("the store failed: {reason}")]
    Sqlite {
        /// SQLite's words.
        reason: String,
    },
    /// The store was closed, or its thread has ended.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Busy { .. } => "store-busy",
            Self::Locked { .. } => "store-locked",
            Self::Corrupt { .. } => "store-corrupt",
            Self::TooNew { .. } => "store-too-new",
            Self::DiskFull { .. } => "disk-full",
            Self::ReadOnly { .. } => "store-read-only",
            Self::GenerationStale { .. } => "generation-stale",
            Self::ManifestUnknown(_) => "manifest-unknown",
            Self::NotFound { .. } => "store-not-found",
            Self::PhaseRefused { .. } => "operation-phase",
            Self::Refused { .. } => "store-refused",
            Self::BadRecord { .. } => "store-bad-record",
            Self::Io { .. } => "store-io",
            Self::Sqlite { .. } => "store-failed",
            Self::Closed => "store-closed",
        }
    }

    /// True when the disk is the reason, not what was asked.
    #[must_use]
    pub const fn is_of_the_disk(&self) -> bool {
        matches!(
            self,
            Self::DiskFull { .. } | Self::ReadOnly { .. } | Self::Io { .. } | Self::Corrupt { .. }
        )
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Busy { .. } => {
                "try again; if it stays so, look for a program that holds the database open".into()
            }
            Self::Locked { .. } => {
                "stop the other daemon, or choose another state directory".into()
            }
            Self::Corrupt { last_good: Some(copy), .. } => format!(
                "the file was left as it is; the last whole copy is {}, to be put in its place",
                copy.display()
            ),
            Self::Corrupt { last_good: None, .. } => {
                "the file was left as it is; there is no whole copy, so start anew and let the \
                 installed apps be found again from their units and manifests"
                    .into()
            }
            Self::TooNew { .. } => {
                "install the release that wrote it, or put back the copy made before its migration"
                    .into()
            }
            Self::DiskFull { .. } => "free some disk space; nothing was changed".into(),
            Self::ReadOnly { .. } => {
                "check the file's owner and mode, and that its file system is mounted writable"
                    .into()
            }
            Self::GenerationStale { .. } => {
                "read the app's state again and repeat the change".into()
            }
            Self::ManifestUnknown(_) => "accept the manifest first".into(),
            Self::NotFound { .. } => "check the name".into(),
            Self::PhaseRefused { .. } => "read the operation again; it has gone on".into(),
            Self::Refused { .. } => "correct the value".into(),
            Self::BadRecord { .. } => "this is a fault of the program; please report it".into(),
            Self::Io { .. } => "check the state directory's owner, mode and disk".into(),
            Self::Sqlite { .. } => "see the log for what came before".into(),
            Self::Closed => "restart the daemon".into(),
        }
    }

    /// From SQLite, with the file it was about.
    #[must_use]
    pub(crate) fn sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        let rusqlite::Error::SqliteFailure(failure, _) = error else {
            return Self::Sqlite { reason: error.to_string() };
        };
        let (path, reason) = (path.to_owned(), error.to_string());
        match failure.code {
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Busy { reason },
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
                let last_good = crate::db::last_good_beside(&path);
                Self::Corrupt { path, reason, last_good }
            }
            ErrorCode::DiskFull => Self::DiskFull { path },
            ErrorCode::SystemIoFailure if failure.extended_code == ffi::SQLITE_IOERR_SHMSIZE => {
                Self::DiskFull { path }
            }
            ErrorCode::ReadOnly | ErrorCode::PermissionDenied => Self::ReadOnly { path, reason },
            ErrorCode::SystemIoFailure | ErrorCode::CannotOpen => Self::Io { path, reason },
            _ => Self::Sqlite { reason },
        }
    }

    /// From the operating system, with the file it was about.
    #[must_use]
    pub(crate) fn io(path: &Path, error: &std::io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                Self::DiskFull { path }
            }
            std::io::ErrorKind::ReadOnlyFilesystem | std::io::ErrorKind::PermissionDenied => {
                Self::ReadOnly { path, reason: error.to_string() }
            }
            _ => Self::Io { path, reason: error.to_string() },
        }
    }
}

impl From<&StoreError> for UserError {
    fn from(error: &StoreError) -> Self {
        Self { code: Code::new(error.code()), message: error.to_string(), hint: Some(error.hint()) }
    }
}

impl From<StoreError> for UserError {
    fn from(error: StoreError) -> Self {
        Self::from(&error)
    }
}
