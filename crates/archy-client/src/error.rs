//! What can go wrong with a call.

use std::io;

use archy_api::ErrorObject;
use archy_api::rpc::ManifestFinding;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The daemon's address is of no use.
    #[error("{0}")]
    Address(String),
    /// Nobody answers there, or the connection broke.
    #[error("the daemon at {target} cannot be reached")]
    Unreachable {
        /// Socket or host.
        target: String,
        /// Why.
        source: io::Error,
    },
    /// The daemon wants a session, or the session lacks a right.
    #[error("{0}")]
    Unauthorized(Box<ErrorObject>),
    /// The daemon refused, or the work failed.
    #[error("{0}")]
    Rejected(Box<ErrorObject>),
    /// The answer is not what the protocol says.
    #[error("the daemon's answer is not understood: {0}")]
    Protocol(String),
    /// No answer within the deadline.
    #[error("no answer to {what} within {seconds} s")]
    Timeout {
        /// Method or stream.
        what: String,
        /// Deadline.
        seconds: u64,
    },
}

impl ClientError {
    /// An error of the daemon, by its number.
    pub(crate) fn from_object(error: ErrorObject) -> Self {
        match error.code {
            archy_api::rpc::UNAUTHORIZED | archy_api::rpc::FORBIDDEN => {
                Self::Unauthorized(Box::new(error))
            }
            _ => Self::Rejected(Box::new(error)),
        }
    }

    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Address(_) => "address-invalid",
            Self::Unreachable { .. } => "daemon-unreachable",
            Self::Unauthorized(error) | Self::Rejected(error) => error.stable_code(),
            Self::Protocol(_) => "protocol",
            Self::Timeout { .. } => "timeout",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Address(_) => Some("Give https://<host> and the node's ca.crt."),
            Self::Unreachable { source, .. } => Some(match source.kind() {
                io::ErrorKind::PermissionDenied => {
                    "Run it as the daemon's user or as root: the socket is not open to others."
                }
                _ => "`systemctl status archipelago` shows whether the daemon runs.",
            }),
            Self::Unauthorized(error) | Self::Rejected(error) => {
                let data = error.data.as_ref()?;
                let known = || archy_api::errors::find(data.code.as_str()).map(|info| info.hint);
                data.hint.as_deref().or_else(known)
            }
            Self::Protocol(_) => Some("Client and daemon may be of different versions."),
            Self::Timeout { .. } => Some("`archy doctor` looks for causes."),
        }
    }

    /// Findings about a manifest, when the daemon refused one.
    #[must_use]
    pub fn findings(&self) -> &[ManifestFinding] {
        match self {
            Self::Rejected(error) => error.data.as_ref().map_or(&[], |data| &data.findings),
            _ => &[],
        }
    }
}
