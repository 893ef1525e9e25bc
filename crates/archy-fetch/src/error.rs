//! What can go wrong with a fetch, with codes and hints.

use archy_types::{Code, Digest, UserError};

/// Why nothing was fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The address is not one that can be fetched.
    #[error("{url} is not an address to fetch: {reason}")]
    Url {
        /// The address.
        url: String,
        /// The reason.
        reason: String,
    },
    /// The host does not answer or its name is not known.
    #[error("{host} cannot be reached: {reason}")]
    Connect {
        /// Host and port.
        host: String,
        /// The system's words.
        reason: String,
    },
    /// The other side is not who it says it is, or speaks no TLS.
    #[error("no secure connection to {host}: {reason}")]
    Tls {
        /// Host and port.
        host: String,
        /// The reason.
        reason: String,
    },
    /// The answer was not complete in time.
    #[error("{url} did not answer within {millis} ms")]
    Deadline {
        /// The address.
        url: String,
        /// The deadline in milliseconds.
        millis: u64,
    },
    /// The answer is larger than allowed.
    #[error("{url} sends more than {limit} bytes")]
    TooLarge {
        /// The address.
        url: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// One redirect after the other.
    #[error("{url} redirects more than {limit} times")]
    Redirects {
        /// The first address.
        url: String,
        /// The limit.
        limit: u8,
    },
    /// A redirect away from https.
    #[error("{url} redirects to {target}, which is not secure")]
    InsecureRedirect {
        /// The address.
        url: String,
        /// Where it redirects to.
        target: String,
    },
    /// An answer that is no success.
    #[error("{url} answers {status}")]
    Status {
        /// The address.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// Not what was expected.
    #[error("{url} has digest {found}, not {expected}")]
    Digest {
        /// The address.
        url: String,
        /// What was expected.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// The answer is no HTTP, or breaks off.
    #[error("{url}: {reason}")]
    Http {
        /// The address.
        url: String,
        /// The reason.
        reason: String,
    },
    /// The answer is not JSON.
    #[error("{url} does not answer with JSON: {reason}")]
    Json {
        /// The address.
        url: String,
        /// The reason.
        reason: String,
    },
}

impl FetchError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Url { .. } => "fetch-url",
            Self::Connect { .. } => "fetch-unreachable",
            Self::Tls { .. } => "fetch-tls",
            Self::Deadline { .. } => "fetch-deadline",
            Self::TooLarge { .. } => "fetch-too-large",
            Self::Redirects { .. } => "fetch-redirects",
            Self::InsecureRedirect { .. } => "fetch-insecure-redirect",
            Self::Status { .. } => "fetch-status",
            Self::Digest { .. } => "fetch-digest",
            Self::Http { .. } => "fetch-http",
            Self::Json { .. } => "fetch-json",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Url { .. } => "write a whole http:// or https:// address without a password",
            Self::Connect { .. } | Self::Deadline { .. } => {
                "check the network, and that the server is up; then try again"
            }
            Self::Tls { .. } => "check the clock of this node and the server's certificate",
            Self::TooLarge { .. } | Self::Digest { .. } => {
                "this is not what was published; nothing of it was used"
            }
            Self::Redirects { .. } | Self::InsecureRedirect { .. } => {
                "use the address that it leads to, if you trust it"
            }
            Self::Status { .. } => {
                "check the address; the server knows no such thing, or is broken"
            }
            Self::Http { .. } | Self::Json { .. } => "check that the address is the right one",
        }
    }

    /// Trying again later may help.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Deadline { .. } | Self::Http { .. } => true,
            Self::Status { status, .. } => matches!(*status, 408 | 429 | 500..=599),
            _ => false,
        }
    }
}

impl From<FetchError> for UserError {
    fn from(error: FetchError) -> Self {
        Self {
            code: Code::new(error.code()),
            message: error.to_string(),
            hint: Some(error.hint().to_owned()),
        }
    }
}
