//! What can go wrong with a registry, with stable codes and hints for owners.

use archy_fetch::FetchError;
use archy_types::{Code, UserError};

/// Why a registry was not used, or not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// The server cannot be reached, or answers with an error.
    #[error("the registry cannot be reached: {0}")]
    Unreachable(FetchError),
    /// A file came too slowly.
    #[error("{file} did not arrive within {seconds} s: the server is too slow, or holds it back")]
    Slow {
        /// The file.
        file: String,
        /// Time that was allowed.
        seconds: u64,
    },
    /// A file is larger than signed or allowed.
    #[error("{file} is larger than the {limit} bytes that it may have")]
    TooLarge {
        /// The file.
        file: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// A file that must be there is not.
    #[error("{0} is missing in the registry")]
    Missing(String),
    /// Too few valid signatures of the keys that count.
    #[error("{role} is not signed by its keys: {have} of the {need} signatures needed are valid")]
    Signature {
        /// The role.
        role: String,
        /// Valid signatures of different keys.
        have: usize,
        /// How many are needed.
        need: usize,
    },
    /// Older than what this node has seen.
    #[error("{role} went back from version {have} to {got}: somebody offers an old catalog as new")]
    Rollback {
        /// The role.
        role: String,
        /// The version that is known.
        have: u64,
        /// The version that came.
        got: u64,
    },
    /// Files that were never published together.
    #[error("{file} does not belong to the rest of the catalog: {reason}")]
    Mixed {
        /// The file.
        file: String,
        /// What differs.
        reason: String,
    },
    /// Past its date.
    #[error("the catalog is stale: {role} was good until {until}")]
    Expired {
        /// The role.
        role: String,
        /// Its date.
        until: String,
    },
    /// A target's bytes are not the signed ones.
    #[error("{name} is not what was signed: its {what} differs")]
    Target {
        /// Its name.
        name: String,
        /// Length or digest.
        what: &'static str,
    },
    /// A name that could lead out of a directory.
    #[error("{0:?} is no name for a file of a registry")]
    Name(String),
    /// It cannot be read.
    #[error("{what} cannot be read: {reason}")]
    Format {
        /// What.
        what: String,
        /// Why.
        reason: String,
    },
    /// No root of the registry has the fingerprint that was given.
    #[error("no root key set of this registry has the fingerprint {0}")]
    Fingerprint(String),
    /// Nothing is trusted here yet.
    #[error("this registry was never confirmed on this node")]
    NotTrusted,
    /// Reading or writing files failed.
    #[error("{path}: {reason}")]
    Io {
        /// The file.
        path: String,
        /// The system's words.
        reason: String,
    },
    /// A key cannot be used.
    #[error("{file} is no usable key: {reason}")]
    Key {
        /// Its file or id.
        file: String,
        /// Why.
        reason: String,
    },
    /// What was asked for cannot be done to this project.
    #[error("{0}")]
    Project(String),
}

impl RegistryError {
    /// Something that cannot be read.
    pub(crate) fn format(what: impl Into<String>, reason: impl ToString) -> Self {
        Self::Format { what: what.into(), reason: reason.to_string() }
    }

    /// Reading or writing a file failed.
    pub(crate) fn io(path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::Io { path: path.display().to_string(), reason: error.to_string() }
    }

    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "registry-unreachable",
            Self::Slow { .. } => "registry-slow",
            Self::TooLarge { .. } => "registry-too-large",
            Self::Missing(_) => "registry-missing-file",
            Self::Signature { .. } => "registry-signature",
            Self::Rollback { .. } => "registry-rollback",
            Self::Mixed { .. } => "registry-mixed",
            Self::Expired { .. } => "registry-stale",
            Self::Target { .. } => "registry-target",
            Self::Name(_) => "registry-name",
            Self::Format { .. } => "registry-format",
            Self::Fingerprint(_) => "registry-fingerprint",
            Self::NotTrusted => "registry-not-trusted",
            Self::Io { .. } => "registry-io",
            Self::Key { .. } => "registry-key",
            Self::Project(_) => "registry-project",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => {
                "Check the address and the network. The last good catalog stays in use."
            }
            Self::Slow { .. } => "Try again later. The last good catalog stays in use.",
            Self::TooLarge { .. } | Self::Missing(_) | Self::Format { .. } => {
                "Tell the registry's publisher. The last good catalog stays in use."
            }
            Self::Signature { .. } | Self::Target { .. } | Self::Name(_) => {
                "Nothing of it was used. Ask the publisher whether keys were changed; if not, the server or the way to it is not to be trusted."
            }
            Self::Rollback { .. } | Self::Mixed { .. } => {
                "Nothing of it was used. The server may be a stale mirror, or somebody interferes; ask the publisher."
            }
            Self::Expired { .. } => {
                "Ask the publisher for a fresh signature and check this node's clock. What is installed goes on running; new installs from here need your consent."
            }
            Self::Fingerprint(_) => {
                "Compare the fingerprint with the publisher's, letter by letter, from another place than this server."
            }
            Self::NotTrusted => "Add it with the fingerprint that the publisher tells.",
            Self::Io { .. } => "Check that there is room and that the directory may be written.",
            Self::Key { .. } => "Make a key with `archy registry key new FILE`.",
            Self::Project(_) => "See `archy registry --help` and docs/registry.md.",
        }
    }

    /// True when it comes from the network and may pass by itself.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Slow { .. })
    }
}

impl From<RegistryError> for UserError {
    fn from(error: RegistryError) -> Self {
        Self {
            code: Code::new(error.code()),
            message: error.to_string(),
            hint: Some(error.hint().to_owned()),
        }
    }
}
