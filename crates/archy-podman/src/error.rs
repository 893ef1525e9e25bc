//! The one error of this adapter, with stable codes, hints and whether to try again.

use std::{io, path::PathBuf, time::Duration};

use archy_types::{PodmanVersion, UserError};
use thiserror::Error;

/// Why a call to Podman failed.
#[derive(Debug, Error)]
pub enum PodmanError {
    /// Nobody listens on the socket, or it may not be opened.
    #[error("Podman's socket {} cannot be reached", socket.display())]
    Unreachable {
        /// Path of the socket.
        socket: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The connection broke before the answer was complete.
    #[error("Podman broke off the answer to {op}")]
    Broken {
        /// Method and path of the call.
        op: String,
        /// What the HTTP layer said.
        #[source]
        source: hyper::Error,
    },
    /// The deadline passed. What was asked for may still happen.
    #[error("Podman did not answer {op} within {} ms", after.as_millis())]
    Timeout {
        /// Method and path of the call.
        op: String,
        /// The deadline that was given.
        after: Duration,
    },
    /// Podman answered with an error.
    #[error("Podman refused {op} ({status}): {message}")]
    Api {
        /// Method and path of the call.
        op: String,
        /// HTTP status.
        status: u16,
        /// Podman's words.
        message: String,
        /// Podman's root cause, when it differs from the message.
        cause: Option<String>,
    },
    /// The answer was longer than the limit.
    #[error("Podman's answer to {op} is longer than {limit} bytes")]
    TooLarge {
        /// Method and path of the call.
        op: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// The answer was not what the API promises.
    #[error("Podman's answer to {op} cannot be read: {why}")]
    Decode {
        /// Method and path of the call.
        op: String,
        /// What did not fit.
        why: String,
    },
    /// Podman is older than the project supports.
    #[error("Podman speaks API {found}; at least {floor} is needed")]
    TooOld {
        /// What the socket said.
        found: PodmanVersion,
        /// The oldest supported version.
        floor: PodmanVersion,
    },
    /// An image could not be pulled.
    #[error("image {reference} cannot be pulled: {message}")]
    Pull {
        /// The image that was asked for.
        reference: String,
        /// Podman's words.
        message: String,
    },
    /// The request cannot be written as HTTP.
    #[error("the request {op} is malformed: {why}")]
    Request {
        /// Method and path of the call.
        op: String,
        /// What does not fit.
        why: String,
    },
}

/// What registries and Podman say when trying again cannot help.
const PERMANENT_PULL: [&str; 9] = [
    "manifest unknown",
    "name unknown",
    "not found",
    "unauthorized",
    "authentication required",
    "access denied",
    "access to the resource is denied",
    "invalid reference",
    "no image found in",
];

/// What the kernel says of a full file system (ENOSPC, EDQUOT), as programs pass it on.
const FULL: [&str; 2] = ["no space left on device", "disk quota exceeded"];

/// True when a program's words say that the disk is full.
#[must_use]
pub fn says_full(text: &str) -> bool {
    let text = text.to_lowercase();
    FULL.iter().any(|words| text.contains(words))
}

/// Conflicts that Podman 5.4 answers with status 500 (`libpod/define/errors.go`).
const CONFLICTS: [&str; 4] = [
    "container state improper",
    "network is being used",
    "volume already exists",
    "secret name in use",
];

impl PodmanError {
    /// True when the same call may well succeed a little later with nothing changed.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            _ if self.is_disk_full() => false,
            Self::Unreachable { .. } | Self::Broken { .. } | Self::Timeout { .. } => true,
            Self::Api { status, .. } => matches!(status, 423 | 429 | 502..=504),
            Self::Pull { message, .. } => {
                let message = message.to_lowercase();
                !PERMANENT_PULL.iter().any(|p| message.contains(p))
            }
            Self::TooLarge { .. }
            | Self::Decode { .. }
            | Self::TooOld { .. }
            | Self::Request { .. } => false,
        }
    }

    /// True when Podman says that the disk is full: of images, of containers, or of what it writes
    /// for a while.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Pull { message, .. } => says_full(message),
            Self::Api { message, cause, .. } => {
                says_full(message) || cause.as_deref().is_some_and(says_full)
            }
            _ => false,
        }
    }

    /// True when Podman says that the thing does not exist.
    #[must_use]
    pub const fn is_not_found(&self) -> bool {
        matches!(self, Self::Api { status: 404, .. })
    }

    /// True when Podman says that the thing is in use, in the wrong state, or there already.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        let Self::Api { status, message, .. } = self else { return false };
        *status == 409 || (*status == 500 && CONFLICTS.iter().any(|c| message.ends_with(c)))
    }

    /// Stable code of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            _ if self.is_disk_full() => "disk-full",
            Self::Unreachable { .. } => "podman-unreachable",
            Self::Broken { .. } => "podman-broken-off",
            Self::Timeout { .. } => "podman-timeout",
            Self::Api { .. } => "podman-refused",
            Self::TooLarge { .. } => "podman-answer-too-large",
            Self::Decode { .. } => "podman-answer-unreadable",
            Self::TooOld { .. } => "podman-too-old",
            Self::Pull { .. } => "image-pull-failed",
            Self::Request { .. } => "podman-request-malformed",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            _ if self.is_disk_full() => {
                "Make room: `podman image prune` as the service user removes images without a name."
            }
            Self::Unreachable { .. } => {
                "Start the socket with `systemctl --user start podman.socket` as the service user."
            }
            Self::Broken { .. } => {
                "Podman ended mid-answer; see `journalctl --user -u podman.service`."
            }
            Self::Timeout { .. } => {
                "Podman is slow or hangs; see `journalctl --user -u podman.service` and the load."
            }
            Self::Api { .. } => "Podman's own words say what it would not do.",
            Self::TooLarge { .. } => "Something on this host produces far more than is expected.",
            Self::Decode { .. } | Self::Request { .. } => {
                "This is likely a fault of Archipelago; please report it with this message."
            }
            Self::TooOld { .. } => "Upgrade Podman; Debian 13 ships one that is new enough.",
            Self::Pull { .. } => {
                "Check the image's name and tag, the registry and the network connection."
            }
        }
    }

    /// The error in a user's words.
    #[must_use]
    pub fn to_user_error(&self) -> UserError {
        let mut message = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        UserError::new(self.code(), message).hint(self.hint())
    }
}
