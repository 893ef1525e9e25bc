//! A node's identities in a directory of their own.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use archy_identity::nip46::Meta;
use archy_identity::relay::{Env, Roots, Timings};
use archy_identity::{Dirs, Identities, Purpose, Signer};
use archy_types::Timestamp;
use tempfile::TempDir;

pub(crate) struct Stand {
    pub(crate) signer: Signer,
    pub(crate) env: Env,
    pub(crate) dir: TempDir,
}

#[expect(clippy::disallowed_methods, reason = "signers of other implementations look at the clock")]
pub(crate) fn now() -> Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp(i64::try_from(now.as_millis()).unwrap())
}

/// The usual timings, with short waits before something is tried again.
pub(crate) fn timings() -> Timings {
    Timings {
        retry_first: Duration::from_millis(20),
        retry_most: Duration::from_millis(100),
        session_connect: Duration::from_secs(20),
        ..Timings::default()
    }
}

pub(crate) fn env(timings: Timings) -> Env {
    Env { timings, roots: Roots::default(), clock: Arc::new(now) }
}

impl Stand {
    pub(crate) fn new(timings: Timings) -> Self {
        Self::at(tempfile::tempdir().unwrap(), timings)
    }

    pub(crate) fn at(dir: TempDir, timings: Timings) -> Self {
        let identities = Arc::new(Identities::open(Dirs::below(dir.path())).unwrap());
        let env = env(timings);
        Self { signer: Signer::new(identities, env.clone()), env, dir }
    }

    /// The daemon again, with what is on the disk.
    pub(crate) fn restart(self, timings: Timings) -> Self {
        Self::at(self.dir, timings)
    }
}

pub(crate) fn meta(name: &str) -> Meta {
    Meta { name: name.to_owned(), purpose: Purpose::Personal }
}
