//! Unit files: written whole or not at all.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use archy_types::durable::{self, FileOp, Staged};
use thiserror::Error;

/// Longest unit file that is read.
const MAX_FILE: u64 = 1 << 20;

/// A directory of unit files.
#[derive(Debug, Clone)]
pub struct UnitDir {
    path: PathBuf,
}

/// Why unit files could not be read or written.
#[derive(Debug, Error)]
pub enum FilesError {
    /// The name has a slash, begins with a dot, or is empty.
    #[error("{0:?} is not the name of a unit file")]
    Name(String),
    /// The system said no.
    #[error("{what} {} failed", path.display())]
    Io {
        /// `writing`, `removing`, `reading`, ….
        what: &'static str,
        /// Which file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

// === impl FilesError ===

impl FilesError {
    /// Stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Name(_) => "unit-file-name",
            Self::Io { .. } => "unit-file-io",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Name(_) => "This is likely a fault of Archipelago; please report it.",
            Self::Io { .. } => "Check free space, and that the directory is the service user's.",
        }
    }
}

// === impl UnitDir ===

impl UnitDir {
    /// The directory at this path, which is made with the first file.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The directory's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes files, each of which is old or new after a crash, never in between; when this
    /// returns, they are on the disk. Equal files are left alone. One writer at a time.
    ///
    /// # Errors
    /// A name that is none, or the system's. Files before the failing one may be written.
    pub async fn write(&self, files: Vec<(String, String)>) -> Result<(), FilesError> {
        self.blocking(move |dir| dir.write_blocking(&files)).await
    }

    /// Removes files; those that are not there are no error. Durable when this returns.
    ///
    /// # Errors
    /// A name that is none, or the system's.
    pub async fn remove(&self, names: Vec<String>) -> Result<(), FilesError> {
        self.blocking(move |dir| dir.remove_blocking(&names)).await
    }

    /// All files by name, hidden ones left out; none when there is no directory. Bytes that are
    /// not UTF-8 are replaced.
    ///
    /// # Errors
    /// The system's.
    pub async fn read(&self) -> Result<BTreeMap<String, String>, FilesError> {
        self.blocking(|dir| dir.read_blocking()).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(Self) -> Result<T, FilesError> + Send + 'static,
    ) -> Result<T, FilesError> {
        let dir = self.clone();
        match tokio::task::spawn_blocking(move || work(dir)).await {
            Ok(result) => result,
            Err(error) => Err(io_error("using", &self.path)(io::Error::other(error))),
        }
    }

    fn write_blocking(&self, files: &[(String, String)]) -> Result<(), FilesError> {
        for (name, _) in files {
            check_name(name)?;
        }
        self.make()?;
        let mut staged = Vec::new();
        for (name, text) in files {
            let target = self.path.join(name);
            if !is_same(&target, text) {
                // the generator reads known extensions only, so it never sees this name
                staged.push((self.path.join(format!(".{name}.tmp")), target, text.as_str()));
            }
        }
        let names = staged.iter().map(|(temporary, target, _)| Staged { temporary, target });
        let text_of = |path: &Path| {
            staged.iter().find(|(temporary, ..)| temporary == path).map_or("", |(.., text)| text)
        };
        let ops = durable::replace(&names.collect::<Vec<_>>());
        ops.iter().try_for_each(|op| perform(op, text_of))
    }

    /// Makes the directory, for good: what is written in it is no safer than its own name.
    fn make(&self) -> Result<(), FilesError> {
        if self.path.is_dir() {
            return Ok(());
        }
        fs::create_dir_all(&self.path).map_err(io_error("making", &self.path))?;
        sync(&durable::parent(&self.path))
    }

    fn remove_blocking(&self, names: &[String]) -> Result<(), FilesError> {
        for name in names {
            check_name(name)?;
        }
        let targets = names.iter().map(|name| self.path.join(name));
        let there: Vec<PathBuf> = targets.filter(|path| path.symlink_metadata().is_ok()).collect();
        let there: Vec<&Path> = there.iter().map(PathBuf::as_path).collect();
        durable::remove(&there).iter().try_for_each(|op| perform(op, |_| ""))
    }

    fn read_blocking(&self) -> Result<BTreeMap<String, String>, FilesError> {
        let mut all = BTreeMap::new();
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(all),
            Err(e) => return Err(io_error("reading", &self.path)(e)),
        };
        for entry in entries {
            let entry = entry.map_err(io_error("reading", &self.path))?;
            let path = entry.path();
            let Ok(name) = entry.file_name().into_string() else { continue };
            if name.starts_with('.') || !path.is_file() {
                continue;
            }
            match read_limited(&path) {
                Ok(text) => drop(all.insert(name, text)),
                // removed since the directory was read
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(io_error("reading", &path)(e)),
            }
        }
        Ok(all)
    }
}

/// Carries out one operation on files.
fn perform<'a>(op: &FileOp, text_of: impl Fn(&Path) -> &'a str) -> Result<(), FilesError> {
    match op {
        FileOp::Write(path) => write(path, text_of(path)).map_err(io_error("writing", path)),
        FileOp::Sync(path) | FileOp::SyncDir(path) => sync(path),
        FileOp::Rename { from, to } => fs::rename(from, to).map_err(io_error("replacing", to)),
        FileOp::Link { from, to } => fs::hard_link(from, to).map_err(io_error("making", to)),
        FileOp::Remove(path) => match fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(io_error("removing", path)(e)),
            _ => Ok(()),
        },
    }
}

/// Brings a file's content, or the names in a directory, to the disk.
fn sync(path: &Path) -> Result<(), FilesError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(io_error("syncing", path))
}

/// The cgroup controllers that are delegated to a cgroup: the words of its `cgroup.controllers`.
/// For a user manager that is
/// `/sys/fs/cgroup/user.slice/user-<uid>.slice/user@<uid>.service`.
///
/// # Errors
/// The file cannot be read, for example because the host has no cgroup v2.
pub fn delegated_controllers(cgroup: &Path) -> Result<Vec<String>, FilesError> {
    let path = cgroup.join("cgroup.controllers");
    let text = fs::read_to_string(&path).map_err(io_error("reading", &path))?;
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

fn io_error(what: &'static str, path: &Path) -> impl Fn(io::Error) -> FilesError {
    move |source| FilesError::Io { what, path: path.to_path_buf(), source }
}

fn check_name(name: &str) -> Result<(), FilesError> {
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0', '\n']) {
        return Err(FilesError::Name(name.to_owned()));
    }
    Ok(())
}

fn is_same(target: &Path, text: &str) -> bool {
    fs::read(target).is_ok_and(|old| old == text.as_bytes())
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(path)?;
    file.write_all(text.as_bytes())
}

fn read_limited(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "longer than 1 MiB"));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests;
