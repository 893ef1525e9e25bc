//! Adapters' errors in the engine's words.

use archy_engine::ports::HostError;
use archy_podman::{PodmanError, UnshareError};
use archy_store::files::FileError;
use archy_types::{Cause, UserError};

use super::full;

pub(super) fn podman(error: &PodmanError) -> HostError {
    HostError { retryable: error.retryable(), error: error.to_user_error() }
}

pub(super) fn unshare(error: &UnshareError) -> HostError {
    let user = UserError::new(error.code(), error.to_string()).hint(error.hint());
    let user = match error {
        UnshareError::Failed { path, .. } => full::figures(user, path, None),
        _ => user,
    };
    HostError { error: user, retryable: false }
}

pub(super) fn file(error: &FileError) -> UserError {
    let user = UserError::new(error.code(), error.to_string()).hint(error.hint());
    match error {
        FileError::Io { path, .. } => full::figures(user, path, None),
        _ => user,
    }
}

pub(super) fn fatal(error: UserError) -> HostError {
    HostError { error, retryable: false }
}

/// Why a fact is not known.
pub(super) fn cause(error: &HostError) -> Cause {
    Cause { code: error.error.code.clone(), text: error.error.message.clone() }
}
