//! The cache directory: everything a task makes outside the checkout, and the locks that keep two runs apart.
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::sh;

/// Why the cache directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// Neither of the variables that name it is set.
    #[error("no place for the cache: neither ARCHY_CACHE, XDG_CACHE_HOME nor HOME is set")]
    Nowhere,
    /// The file system refused.
    #[error("{doing} {}", .path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which path.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl CacheError {
    /// Stable code of this kind of failure.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Nowhere => "cache.nowhere",
            Self::Io { .. } => "cache.io",
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Nowhere => "set ARCHY_CACHE to a directory on a local disk (ext4, xfs, btrfs)",
            Self::Io { .. } => "set ARCHY_CACHE to a writable directory with some 6 GB of room",
        }
    }
}

/// Names the path in an error of the file system.
pub fn at<'a>(
    doing: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> CacheError + use<'a> {
    move |source| CacheError::Io { doing, path: path.to_owned(), source }
}

/// The cache directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// The cache of this user: `$ARCHY_CACHE`, `$XDG_CACHE_HOME/archipelago` or `~/.cache/archipelago`.
    ///
    /// # Errors
    /// When no place is named or it cannot be made.
    pub fn locate() -> Result<Self, CacheError> {
        let named = sh::env("ARCHY_CACHE").map(PathBuf::from);
        let xdg = || sh::env("XDG_CACHE_HOME").map(|dir| Path::new(&dir).join("archipelago"));
        let home = || sh::env("HOME").map(|dir| Path::new(&dir).join(".cache/archipelago"));
        let root = named.or_else(xdg).or_else(home).ok_or(CacheError::Nowhere)?;
        Self::open(root)
    }

    /// A cache at a given place, made when missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(root: PathBuf) -> Result<Self, CacheError> {
        fs::create_dir_all(&root).map_err(at("cannot make", &root))?;
        let root = root.canonicalize().map_err(at("cannot find", &root))?;
        Ok(Self { root })
    }

    /// The directory itself, absolute and without symbolic links.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A directory in the cache, made when missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn dir(&self, name: &str) -> Result<PathBuf, CacheError> {
        let dir = self.root.join(name);
        fs::create_dir_all(&dir).map_err(at("cannot make", &dir))?;
        Ok(dir)
    }

    /// Takes one of the cache's locks, waiting for its holder.
    ///
    /// # Errors
    /// When the lock file cannot be made.
    pub fn lock(&self, name: &str) -> Result<Lock, CacheError> {
        Lock::take(&self.dir("locks")?.join(name))
    }
}

/// A lock between processes, free again when dropped or when its process dies.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock of this file, waiting for its holder and saying so.
    ///
    /// # Errors
    /// When the file cannot be made or locked.
    pub fn take(path: &Path) -> Result<Self, CacheError> {
        let file = File::options().create(true).append(true).open(path);
        let file = file.map_err(at("cannot open the lock", path))?;
        match file.try_lock() {
            Ok(()) => return Ok(Self { file }),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(source)) => return Err(at("cannot lock", path)(source)),
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let started = std::time::Instant::now();
        let taken = sh::wait_until(std::time::Duration::from_secs(1), || file.try_lock().ok());
        if taken.is_none() {
            sh::say(&format!("  … waiting for another run to let go of `{name}`"));
            file.lock().map_err(at("cannot lock", path))?;
            sh::say(&format!("  ✓ got `{name}` ({:.1} s)", started.elapsed().as_secs_f64()));
        }
        Ok(Self { file })
    }

    /// Inode of the locked file, for locks whose file may be removed by a holder.
    pub fn inode(&self) -> Option<u64> {
        self.file.metadata().ok().map(|meta| meta.ino())
    }
}

/// Writes a file as a whole: readers see the old content or the new, never a part.
///
/// # Errors
/// When it cannot be written.
pub fn write_whole(path: &Path, content: &[u8]) -> Result<(), CacheError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".tmp-{}", std::process::id()));
    let part = path.with_file_name(name);
    fs::write(&part, content).map_err(at("cannot write", &part))?;
    fs::rename(&part, path).map_err(at("cannot write", path))
}

/// A short name for a recipe: the first 16 hex digits of the SHA-256 over its parts.
pub fn recipe_hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hasher.update(part);
    }
    let mut text = hex::encode(hasher.finalize());
    text.truncate(16);
    text
}
