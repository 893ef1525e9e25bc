//! Places below an app's directory. A container can put a symbolic link anywhere below what it
//! mounts, at any moment: so each component is opened by itself from the one above it, never by
//! its whole path, and links are not followed.

use std::io::Read as _;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use archy_plan::observed::FileState;
use archy_store::files as store;
use archy_types::{AppId, Digest, UserError};
use rustix::fs::{CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::{SystemHost, error};
use archy_engine::ports::HostResult;

/// Largest file of an app whose content is read.
const MAX_READ: u64 = 1 << 20;

/// What is at a place.
#[derive(Debug)]
pub(super) enum Found {
    Nothing,
    /// The directory above it belongs to an app's user, who lets nobody look.
    Closed,
    Link,
    Thing(OwnedFd),
}

/// A directory that was reached without a link, and a name in it.
#[derive(Debug)]
pub(super) struct Place {
    directory: OwnedFd,
    name: String,
    /// The whole path, for people.
    shown: PathBuf,
}

/// Opens an app's own directory. What is above it is the owner's: links are followed there.
fn open(base: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, base, flags, Mode::empty())
}

/// Opens what has this name; of a link the link itself.
fn child(directory: &OwnedFd, name: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, Mode::empty())
}

fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Reaches exactly the open file by a path of this process.
fn path_of(open: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd()))
}

/// Reads an open plain file; nothing when it is another thing, too large or closed to us.
fn read(open: &OwnedFd) -> Option<Vec<u8>> {
    let stat = rustix::fs::fstat(open).ok()?;
    if kind(&stat) != FileType::RegularFile {
        return None;
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path_of(open)).ok()?;
    file.take(MAX_READ + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= MAX_READ).then_some(bytes)
}

/// What is at `path` below an app's own directory; links are never followed.
pub(super) fn look(base: &Path, path: &str) -> Option<FileState> {
    let state = |hash: &str| Some(FileState::File { hash: hash.to_owned() });
    let mut here = open(base).ok()?;
    for name in path.split('/').filter(|name| !name.is_empty()) {
        here = match child(&here, name) {
            Ok(found) => found,
            Err(Errno::NOENT | Errno::NOTDIR) => return None,
            // it belongs to the app's own user
            Err(_) => return state("unreadable"),
        };
        let stat = rustix::fs::fstat(&here).ok()?;
        if kind(&stat) == FileType::Symlink {
            return state("symlink");
        }
    }
    let stat = rustix::fs::fstat(&here).ok()?;
    match kind(&stat) {
        FileType::Directory => Some(FileState::Directory),
        _ if u64::try_from(stat.st_size).is_ok_and(|size| size > MAX_READ) => state("too-large"),
        _ => read(&here).map_or_else(
            || state("unreadable"),
            |bytes| Some(FileState::File { hash: Digest::of(&bytes).hex() }),
        ),
    }
}

fn link(shown: &Path) -> UserError {
    let text = format!("{} is a symbolic link; it is not followed.", shown.display());
    UserError::new("path-symlink", text).hint(
        "The app put it there. Look at where it leads, remove it, and try again; if you did not \
         expect it, do not trust the app.",
    )
}

fn io(shown: &Path, source: impl Into<std::io::Error>) -> UserError {
    error::file(&store::FileError::Io { path: shown.to_owned(), source: source.into() })
}

/// The directory itself, or why it is none.
fn directory(open: OwnedFd, shown: &Path) -> Result<OwnedFd, UserError> {
    let stat = rustix::fs::fstat(&open).map_err(|errno| io(shown, errno))?;
    match kind(&stat) {
        FileType::Directory => Ok(open),
        FileType::Symlink => Err(link(shown)),
        _ => Err(io(shown, Errno::NOTDIR)),
    }
}

/// Belongs to this user, and not to one of its subordinate ids.
fn ours(open: &OwnedFd) -> bool {
    rustix::fs::fstat(open).is_ok_and(|stat| stat.st_uid == rustix::process::geteuid().as_raw())
}

/// Writes a file, in parts that a crash cannot tear. False when we may not write there.
fn write(place: &Place, bytes: &[u8], mode: u32) -> Result<bool, UserError> {
    let target = path_of(&place.directory).join(&place.name);
    match store::write_atomic(&target, bytes, mode) {
        Ok(()) => Ok(true),
        Err(store::FileError::Io { source, .. })
            if source.kind() == std::io::ErrorKind::PermissionDenied =>
        {
            Ok(false)
        }
        Err(store::FileError::Io { source, .. }) => Err(io(&place.shown, source)),
        Err(failure) => Err(error::file(&failure)),
    }
}

impl Place {
    /// What is there now.
    pub(super) fn find(&self) -> Result<Found, UserError> {
        match child(&self.directory, &self.name) {
            Ok(found) => {
                let stat = rustix::fs::fstat(&found).map_err(|errno| io(&self.shown, errno))?;
                let link = kind(&stat) == FileType::Symlink;
                Ok(if link { Found::Link } else { Found::Thing(found) })
            }
            Err(Errno::NOENT) => Ok(Found::Nothing),
            Err(Errno::ACCESS) => Ok(Found::Closed),
            Err(errno) => Err(io(&self.shown, errno)),
        }
    }

    /// The same, where a link is an error.
    pub(super) fn find_plain(&self) -> Result<Found, UserError> {
        match self.find()? {
            Found::Link => Err(link(&self.shown)),
            found => Ok(found),
        }
    }

    pub(super) fn shown(&self) -> &Path {
        &self.shown
    }
}

impl Found {
    /// Its content, when it is a plain file that can be read.
    pub(super) fn read(&self) -> Option<Vec<u8>> {
        match self {
            Self::Thing(open) => read(open),
            _ => None,
        }
    }

    pub(super) const fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }
}

impl SystemHost {
    /// Opens a directory of an app, and makes what is missing of its path.
    pub(super) async fn enter(&self, app: &AppId, path: &str) -> HostResult<OwnedFd> {
        let mut shown = self.app_path(app, "")?;
        let base = shown.clone();
        let opened = move |_: &Self| {
            std::fs::create_dir_all(&base).map_err(|source| io(&base, source))?;
            open(&base).map_err(|errno| io(&base, errno))
        };
        let mut here = self.blocking(opened).await?;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            shown.push(name);
            here = self.step_into(here, name, &shown).await?;
        }
        Ok(here)
    }

    async fn step_into(&self, here: OwnedFd, name: &str, shown: &Path) -> HostResult<OwnedFd> {
        let failed = |errno: Errno| error::fatal(io(shown, errno));
        match child(&here, name) {
            Ok(found) => return directory(found, shown).map_err(error::fatal),
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(failed(errno)),
        }
        let made = match ours(&here) {
            true => rustix::fs::mkdirat(&here, name, Mode::from_raw_mode(0o755)),
            false => Err(Errno::ACCESS),
        };
        match made {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(Errno::ACCESS | Errno::PERM) => {
                let made = self.unshare.make_directory(here.as_fd(), name).await;
                made.map_err(|e| error::unshare(&e))?;
            }
            Err(errno) => return Err(failed(errno)),
        }
        let made = child(&here, name).map_err(failed)?;
        directory(made, shown).map_err(error::fatal)
    }

    /// The place of a file, with the directories above it.
    pub(super) async fn place(&self, app: &AppId, path: &str) -> HostResult<Place> {
        let shown = self.app_path(app, path)?;
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let directory = self.enter(app, parent).await?;
        Ok(Place { directory, name: name.to_owned(), shown })
    }

    /// Writes a file whole. It gets the owner of its directory, so that the app's user can read
    /// it; a link at its place is replaced.
    pub(super) async fn put(&self, place: Place, bytes: Vec<u8>, mode: u32) -> HostResult<()> {
        let direct = move |_: &Self| {
            let written = ours(&place.directory) && write(&place, &bytes, mode)?;
            Ok((!written).then_some((place, bytes)))
        };
        match self.blocking(direct).await? {
            None => Ok(()),
            Some((place, bytes)) => self.put_by_namespace(place, bytes, mode).await,
        }
    }

    /// The directory is an app's user's: only the user namespace may write there.
    async fn put_by_namespace(&self, place: Place, bytes: Vec<u8>, mode: u32) -> HostResult<()> {
        let staged = self.staging(&place.shown);
        let target = staged.clone();
        self.blocking(move |host| {
            host.make_staging()?;
            store::write_atomic(&target, &bytes, mode).map_err(|e| error::file(&e))
        })
        .await?;
        let moved = self.unshare.move_into(&staged, place.directory.as_fd(), &place.name).await;
        if let Err(failure) = moved {
            self.blocking(move |_| Ok(_ = std::fs::remove_file(&staged))).await?;
            return Err(error::unshare(&failure));
        }
        Ok(())
    }

    /// Where something waits to be moved; always the same for the same path, so that what a crash
    /// left is replaced.
    pub(super) fn staging(&self, shown: &Path) -> PathBuf {
        let name = Digest::of(shown.as_os_str().as_encoded_bytes()).hex();
        self.config.data_dir.join(".staging").join(name)
    }

    /// Only this user can look into it: containers mount nothing of it.
    pub(super) fn make_staging(&self) -> Result<(), UserError> {
        let dir = self.config.data_dir.join(".staging");
        store::private_dir(&dir).map_err(|e| error::file(&e))
    }
}

#[cfg(test)]
mod tests;
