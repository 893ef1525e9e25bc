//! Files that belong to ids of a container: changed from inside the user namespace.
//!
//! The only place of this crate that runs a program. An unprivileged user may not give a file to
//! one of its subordinate ids, nor remove what such an id owns; in Podman's user namespace it may,
//! and the socket has no call for it. Arguments only, never a shell.

use std::{
    io,
    path::{Component, Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use thiserror::Error;
use tokio::{io::AsyncReadExt as _, process::Command};

/// How much of an error output is kept.
const MAX_STDERR: u64 = 4 << 10;

/// Runs single commands in Podman's user namespace.
#[derive(Debug, Clone)]
pub struct Unshare {
    podman: PathBuf,
    deadline: Duration,
}

/// Why a command in the user namespace failed.
#[derive(Debug, Error)]
pub enum UnshareError {
    /// The path is not absolute, has `..`, or is a root.
    #[error("{} is not an absolute path below a directory", .0.display())]
    Path(PathBuf),
    /// Podman cannot be started.
    #[error("{} cannot be started", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The deadline passed; the command was killed.
    #[error("`podman unshare {verb}` of {} took longer than {} ms", path.display(), after.as_millis())]
    Timeout {
        /// `chown` or `rm`.
        verb: &'static str,
        /// What it was about.
        path: PathBuf,
        /// The deadline that was given.
        after: Duration,
    },
    /// The command failed.
    #[error("`podman unshare {verb}` of {} failed ({status}): {stderr}", path.display())]
    Failed {
        /// `chown` or `rm`.
        verb: &'static str,
        /// What it was about.
        path: PathBuf,
        /// How it ended.
        status: ExitStatus,
        /// Its error output, cut.
        stderr: String,
    },
}

// === impl UnshareError ===

impl UnshareError {
    /// Stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Path(_) => "unshare-path",
            Self::Start { .. } => "unshare-start",
            Self::Timeout { .. } => "unshare-timeout",
            Self::Failed { .. } => "unshare-failed",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Path(_) => "Give an absolute path without `..`.",
            Self::Start { .. } => "Install Podman.",
            Self::Timeout { .. } => "The disk is slow or the directory is large; try again.",
            Self::Failed { .. } => {
                "Check that the service user has ranges in /etc/subuid and /etc/subgid."
            }
        }
    }
}

// === impl Unshare ===

impl Unshare {
    /// With this `podman` program and a deadline for each command.
    #[must_use]
    pub fn new(podman: impl Into<PathBuf>, deadline: Duration) -> Self {
        Self { podman: podman.into(), deadline }
    }

    /// Gives a path to ids as containers see them (0 is the user itself). Does not follow a
    /// symbolic link; with `recursive` everything below it too.
    ///
    /// # Errors
    /// A path that is not absolute, a failed command, or the deadline.
    pub async fn chown(
        &self,
        path: &Path,
        owner: (u32, u32),
        recursive: bool,
    ) -> Result<(), UnshareError> {
        let ids = format!("{}:{}", owner.0, owner.1);
        let flags = if recursive { "-hR" } else { "-h" };
        self.run("chown", &[flags, &ids], path).await
    }

    /// Removes a path and everything below it, whichever subordinate id owns it. A path that is
    /// not there is no error.
    ///
    /// # Errors
    /// Those of [`Self::chown`].
    pub async fn remove_all(&self, path: &Path) -> Result<(), UnshareError> {
        self.run("rm", &["-rf", "--one-file-system"], path).await
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the libpod API has no call that works in the user namespace"
    )]
    async fn run(
        &self,
        verb: &'static str,
        arguments: &[&str],
        path: &Path,
    ) -> Result<(), UnshareError> {
        check(path)?;
        let start = |source| UnshareError::Start { program: self.podman.clone(), source };
        let mut child = Command::new(&self.podman)
            .args(["unshare", verb])
            .args(arguments)
            .arg("--")
            .arg(path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(start)?;
        let errors = child.stderr.take();
        let work = async {
            let mut stderr = Vec::new();
            if let Some(mut pipe) = errors {
                (&mut pipe).take(MAX_STDERR).read_to_end(&mut stderr).await?;
                // what is over the limit is read and dropped, so that the child can go on
                tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await?;
            }
            Ok((child.wait().await?, stderr))
        };
        let (status, stderr) = match tokio::time::timeout(self.deadline, work).await {
            Ok(done) => done.map_err(start)?,
            Err(_) => {
                let (path, after) = (path.to_path_buf(), self.deadline);
                return Err(UnshareError::Timeout { verb, path, after });
            }
        };
        if status.success() {
            return Ok(());
        }
        let stderr = String::from_utf8_lossy(&stderr).trim().to_owned();
        Err(UnshareError::Failed { verb, path: path.to_path_buf(), status, stderr })
    }
}

/// Absolute, no `..`, and not the root or something right below it.
fn check(path: &Path) -> Result<(), UnshareError> {
    let plain = path.components().all(|c| matches!(c, Component::RootDir | Component::Normal(_)));
    if path.is_absolute() && plain && path.components().count() > 2 {
        return Ok(());
    }
    Err(UnshareError::Path(path.to_path_buf()))
}

#[cfg(test)]
mod tests;
