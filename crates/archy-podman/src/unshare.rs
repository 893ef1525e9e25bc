//! Files that belong to ids of a container: changed from inside the user namespace.
//!
//! The only place of this crate that runs a program. An unprivileged user may not give a file to
//! one of its subordinate ids, nor remove what such an id owns; in Podman's user namespace it may,
//! and the socket has no call for it. Arguments only, never a shell.

use std::{
    ffi::OsStr,
    io,
    os::fd::BorrowedFd,
    path::{Component, Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use thiserror::Error;
use tokio::{io::AsyncReadExt as _, process::Command};

use crate::error::says_full;

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
    /// The path is not absolute, has `..`, or is a root; or a name is no plain name.
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
        /// `chown`, `rm`, `mkdir`, `mv`, `cp`, `du`, `ls`, `sync` or `tar`.
        verb: &'static str,
        /// What it was about.
        path: PathBuf,
        /// The deadline that was given.
        after: Duration,
    },
    /// The command said something else than was asked for.
    #[error("`podman unshare {verb}` of {} gave no number", path.display())]
    Answer {
        /// `du`.
        verb: &'static str,
        /// What it was about.
        path: PathBuf,
    },
    /// The command failed.
    #[error("`podman unshare {verb}` of {} failed ({status}): {stderr}", path.display())]
    Failed {
        /// `chown`, `rm`, `mkdir`, `mv`, `cp`, `du`, `ls`, `sync` or `tar`.
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
    /// True when the command said that the disk is full.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Failed { stderr, .. } if says_full(stderr))
    }

    /// Stable code of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            _ if self.is_disk_full() => "disk-full",
            Self::Path(_) => "unshare-path",
            Self::Start { .. } => "unshare-start",
            Self::Timeout { .. } => "unshare-timeout",
            Self::Answer { .. } => "unshare-answer",
            Self::Failed { .. } => "unshare-failed",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            _ if self.is_disk_full() => "Make room on that disk, and try again.",
            Self::Path(_) => "Give an absolute path without `..`.",
            Self::Start { .. } | Self::Answer { .. } => "Install Podman and coreutils.",
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
        check(path)?;
        let ids = format!("{}:{}", owner.0, owner.1);
        let flags = if recursive { "-hR" } else { "-h" };
        self.run("chown", &[flags.as_ref(), ids.as_ref()], path, Stdio::null()).await
    }

    /// Gives an open directory to ids as containers see them, not what is in it.
    ///
    /// # Errors
    /// A failed command, or the deadline.
    pub async fn chown_directory(
        &self,
        directory: BorrowedFd<'_>,
        owner: (u32, u32),
    ) -> Result<(), UnshareError> {
        let ids = format!("{}:{}", owner.0, owner.1);
        let input = self.hand_over(directory)?;
        self.run("chown", &["-h".as_ref(), ids.as_ref()], &below("."), input).await
    }

    /// Makes a directory (mode 0755) in an open one whose owner is a subordinate id, and gives it
    /// to the same owner. A symbolic link that somebody puts in its place is not followed.
    ///
    /// # Errors
    /// A name that is no plain name, a failed command, or the deadline.
    pub async fn make_directory(
        &self,
        parent: BorrowedFd<'_>,
        name: &str,
    ) -> Result<(), UnshareError> {
        let made = inside(name)?;
        let input = self.hand_over(parent)?;
        self.run("mkdir", &["-m".as_ref(), "0755".as_ref()], &made, input).await?;
        self.chown_like(parent, &made).await
    }

    /// Moves a file of the user into an open directory, where it takes the place of what is there
    /// (a symbolic link is replaced, not followed), and gives it to the directory's owner first.
    /// Both must be on one file system for the change to be at once.
    ///
    /// # Errors
    /// A name that is no plain name, a `staged` that is not absolute, a failed command, or the
    /// deadline; the file is then still where it was.
    pub async fn move_into(
        &self,
        staged: &Path,
        directory: BorrowedFd<'_>,
        name: &str,
    ) -> Result<(), UnshareError> {
        check(staged)?;
        let target = inside(name)?;
        self.chown_like(directory, staged).await?;
        let input = self.hand_over(directory)?;
        self.run("mv", &["-fT".as_ref(), "--".as_ref(), staged.as_ref()], &target, input).await
    }

    /// Gives a path the owner of an open directory.
    async fn chown_like(&self, directory: BorrowedFd<'_>, path: &Path) -> Result<(), UnshareError> {
        let reference = format!("--reference={}", below(".").display());
        let input = self.hand_over(directory)?;
        self.run("chown", &["-h".as_ref(), reference.as_ref()], path, input).await
    }

    /// An open directory as a command's standard input: the path [`below`] it leads there whatever
    /// is renamed meanwhile.
    fn hand_over(&self, directory: BorrowedFd<'_>) -> Result<Stdio, UnshareError> {
        let start = |source| UnshareError::Start { program: self.podman.clone(), source };
        directory.try_clone_to_owned().map(Stdio::from).map_err(start)
    }

    /// The same with another deadline for each command.
    #[must_use]
    pub fn within(&self, deadline: Duration) -> Self {
        Self { podman: self.podman.clone(), deadline }
    }

    /// Copies a directory with all that is in it to a place that is not there yet: owners, modes,
    /// links, attributes and holes as they are, without using more room where the file system can
    /// share it.
    ///
    /// # Errors
    /// Those of [`Self::chown`]; what was copied before a failure stays.
    pub async fn copy_tree(&self, source: &Path, target: &Path) -> Result<(), UnshareError> {
        check(source)?;
        check(target)?;
        let flags = ["-a", "--reflink=auto", "-T", "--"].map(OsStr::new);
        let arguments: Vec<&OsStr> = flags.into_iter().chain([source.as_os_str()]).collect();
        self.run("cp", &arguments, target, Stdio::null()).await
    }

    /// Bytes that a directory with all that is in it takes.
    ///
    /// # Errors
    /// Those of [`Self::chown`], and an answer that is no number.
    pub async fn size_of(&self, path: &Path) -> Result<u64, UnshareError> {
        check(path)?;
        let flags = ["-s", "-x", "-B1"].map(OsStr::new);
        let out = self.output("du", &flags, path, Stdio::null()).await?;
        let number = out.split_whitespace().next().and_then(|number| number.parse().ok());
        number.ok_or_else(|| UnshareError::Answer { verb: "du", path: path.to_path_buf() })
    }

    /// Removes a path and everything below it, whichever subordinate id owns it. A path that is
    /// not there is no error.
    ///
    /// # Errors
    /// Those of [`Self::chown`].
    pub async fn remove_all(&self, path: &Path) -> Result<(), UnshareError> {
        check(path)?;
        let flags = ["-rf".as_ref(), "--one-file-system".as_ref()];
        self.run("rm", &flags, path, Stdio::null()).await
    }

    async fn run(
        &self,
        verb: &'static str,
        arguments: &[&OsStr],
        path: &Path,
        input: Stdio,
    ) -> Result<(), UnshareError> {
        self.output(verb, arguments, path, input).await.map(drop)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the libpod API has no call that works in the user namespace"
    )]
    async fn output(
        &self,
        verb: &'static str,
        arguments: &[&OsStr],
        path: &Path,
        input: Stdio,
    ) -> Result<String, UnshareError> {
        let start = |source| UnshareError::Start { program: self.podman.clone(), source };
        let mut child = Command::new(&self.podman)
            .args(["unshare", verb])
            // its words are read
            .env("LC_ALL", "C")
            .args(arguments)
            .args((!arguments.contains(&OsStr::new("--"))).then_some("--"))
            .arg(path)
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(start)?;
        let (errors, output) = (child.stderr.take(), child.stdout.take());
        let work = async {
            let (stderr, stdout) = tokio::join!(cut(errors), cut(output));
            Ok((child.wait().await?, stderr?, stdout?))
        };
        let (status, stderr, stdout) = match tokio::time::timeout(self.deadline, work).await {
            Ok(done) => done.map_err(start)?,
            Err(_) => {
                let (path, after) = (path.to_path_buf(), self.deadline);
                return Err(UnshareError::Timeout { verb, path, after });
            }
        };
        if status.success() {
            return Ok(String::from_utf8_lossy(&stdout).into_owned());
        }
        let stderr = String::from_utf8_lossy(&stderr).trim().to_owned();
        Err(UnshareError::Failed { verb, path: path.to_path_buf(), status, stderr })
    }
}

/// The beginning of what a command says. What is over the limit is read and dropped, so that the
/// command can go on.
async fn cut(pipe: Option<impl tokio::io::AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut said = Vec::new();
    if let Some(mut pipe) = pipe {
        (&mut pipe).take(MAX_STDERR).read_to_end(&mut said).await?;
        tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await?;
    }
    Ok(said)
}

/// A path below the directory that is a command's standard input.
fn below(name: &str) -> PathBuf {
    Path::new("/proc/self/fd/0").join(name)
}

/// The same for a plain name only.
fn inside(name: &str) -> Result<PathBuf, UnshareError> {
    let mut parts = Path::new(name).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(part)), None) if part == name => Ok(below(name)),
        _ => Err(UnshareError::Path(PathBuf::from(name))),
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

mod place;
mod tree;

#[cfg(test)]
mod tests;
