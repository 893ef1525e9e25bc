//! A full disk is named as the cause, with figures: what is free where it was written, and what was
//! to be written.

use std::path::Path;

use archy_engine::ports::HostError;
use archy_podman::{PodmanError, says_full};
use archy_types::{UserError, doctor};

use super::{LOOK_DEADLINE, SystemHost, error, facts};

/// Code of the error.
const CODE: &str = "disk-full";
/// What to do about it.
const HINT: &str = "Make room: `podman image prune` as the service user, `archy uninstall --purge` \
                    of what is not needed, or a larger disk; then try again.";

/// Adds figures to an error if it says that the disk is full: of the file system of `place`, which
/// need not be there, and of what was to be written there.
pub(super) fn figures(mut error: UserError, place: &Path, needed: Option<String>) -> UserError {
    if error.code.as_str() != CODE {
        return error;
    }
    let free = place.ancestors().find_map(facts::figures);
    let needed = needed.map(|needed| format!("{needed}."));
    let more: Vec<String> = free.map(|free| format!("{free}.")).into_iter().chain(needed).collect();
    if !more.is_empty() {
        error.message = format!("{}. {}", error.message.trim_end_matches('.'), more.join(" "));
    }
    error.hint(HINT)
}

/// How much of an image had arrived.
pub(super) fn arrived(done: u64, total: u64) -> Option<String> {
    let (done, total) = ((total > 0).then(|| doctor::size(done))?, doctor::size(total));
    Some(format!("Its layers are {total} or more, packed, of which {done} had arrived"))
}

/// Gives an error the code of a full disk if its words say so.
pub(super) fn name(error: UserError) -> UserError {
    match says_full(&error.message) {
        true => UserError::new(CODE, error.message).hint(HINT),
        false => error,
    }
}

impl SystemHost {
    /// An error of Podman's; a full disk with figures of where Podman keeps images and containers.
    pub(super) async fn podman_failure(
        &self,
        failure: &PodmanError,
        needed: Option<String>,
    ) -> HostError {
        let HostError { error, retryable } = error::podman(failure);
        if !failure.is_disk_full() {
            return HostError { error, retryable };
        }
        let info = self.podman.within(LOOK_DEADLINE).info().await;
        let place = info.map_or_else(|_| self.config.data_dir.clone(), |it| it.graph_root.into());
        HostError { error: figures(error, &place, needed), retryable }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::testing::host;

    #[test]
    fn only_a_full_disk_gets_figures() {
        let root = tempfile::tempdir().unwrap();
        let place = root.path().join("not/there/yet");
        let full = UserError::new(CODE, "cp: no space left.");
        let seen = figures(full, &place, Some("It takes 5 MiB".to_owned()));
        assert!(seen.message.starts_with("cp: no space left. "), "{}", seen.message);
        let free = format!(" are free on {}.", root.path().display());
        assert!(seen.message.contains(&free), "{}", seen.message);
        assert!(seen.message.ends_with("It takes 5 MiB."), "{}", seen.message);
        assert!(seen.hint.unwrap().contains("--purge"));
        let other = UserError::new("podman-timeout", "slow");
        assert_eq!(figures(other.clone(), &place, None), other);
    }

    #[test]
    fn what_a_programs_words_say() {
        let said =
            UserError::new("unit-failed", "Its last words: write /a: No space left on device");
        assert_eq!(name(said).code.as_str(), CODE);
        let other = UserError::new("unit-failed", "it ended");
        assert_eq!(name(other.clone()), other);
    }

    #[tokio::test]
    async fn a_pull_names_what_is_free_and_what_it_wanted() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("data")).unwrap();
        let host = host(root.path());
        let failure = PodmanError::Pull {
            reference: "r.example/a:1".to_owned(),
            message: "writing blob: write /x: no space left on device".to_owned(),
        };
        let seen = host.podman_failure(&failure, arrived(3 << 20, 9 << 20)).await;
        assert_eq!((seen.error.code.as_str(), seen.retryable), (CODE, false));
        let message = seen.error.message;
        assert!(message.contains("image r.example/a:1 cannot be pulled"), "{message}");
        assert!(message.contains("data."), "{message}");
        assert!(message.contains("9 MiB or more, packed, of which 3 MiB had arrived"), "{message}");
        assert_eq!(arrived(0, 0), None);
    }
}
