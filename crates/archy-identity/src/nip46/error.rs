//! What goes wrong with a linked signer. Clients know the first words of the messages.

use archy_types::UserError;

/// Longest reason of a signer that is shown, in characters.
const MAX_REASON: usize = 120;

/// Why a linked signer did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// No relay can be reached.
    #[error("linked signer is offline: {0}")]
    Offline(String),
    /// It says no.
    #[error("linked signer denied the request: {0}")]
    Denied(String),
    /// It says nothing.
    #[error("linked signer did not answer in time")]
    Silent,
    /// It says something that cannot be right.
    #[error("linked signer sent a bad response: {0}")]
    Bad(&'static str),
    /// It does not want the link.
    #[error("the linked signer refused the connection: {0}")]
    Refused(String),
    /// It wants its owner to open a page first.
    #[error("linked signer sent a bad response: it asks to open a page, which is not supported")]
    AuthUrl,
    /// There are as many sessions and requests as there may be.
    #[error("linked signer is offline: too many requests wait")]
    Full,
}

impl LinkError {
    /// A request that was denied while the link was made.
    pub(crate) fn refused(self) -> Self {
        match self {
            Self::Denied(reason) => Self::Refused(reason),
            other => other,
        }
    }

    /// A denial with the signer's own words, made fit to be shown.
    pub(crate) fn denied(reason: &str) -> Self {
        let reason: String = reason.chars().filter(|c| !c.is_control()).take(MAX_REASON).collect();
        Self::Denied(reason)
    }

    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Offline(_) => "linked-signer-offline",
            Self::Denied(_) => "linked-signer-denied",
            Self::Silent => "linked-signer-silent",
            Self::Bad(_) => "linked-signer-bad-response",
            Self::Refused(_) => "linked-signer-refused",
            Self::AuthUrl => "linked-signer-auth-url",
            Self::Full => "linked-signer-busy",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Offline(_) => "Look whether the node reaches the relays of the link.",
            Self::Denied(_) => "Allow it in the signer and try again.",
            Self::Silent => "Open the signer, allow the request, and try again.",
            Self::Bad(_) => "Update the signer, or link it anew.",
            Self::Refused(_) => "Make a new link in the signer: each works once.",
            Self::AuthUrl => "Use a signer that asks in its own window.",
            Self::Full => "Wait until some are answered.",
        }
    }
}

impl From<LinkError> for UserError {
    fn from(error: LinkError) -> Self {
        Self::new(error.code(), error.to_string()).hint(error.hint())
    }
}
