//! The store's handle: opening, closing, copying, setting a damaged file aside.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use archy_types::Timestamp;
use rusqlite::Connection;

use crate::copies;
use crate::db::{self, After, Fault, Readers, Worth, Writer, WriterOptions};
use crate::error::StoreError;

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// The store's own directory; made with mode 0700, narrowed to it if it is wider.
    pub dir: PathBuf,
    /// Threads that read.
    pub readers: usize,
    /// Time without a write after which changes get into the last good copy.
    pub last_good_idle: Duration,
}

impl Options {
    /// Two readers, a last good copy after a quiet minute.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), readers: 2, last_good_idle: Duration::from_secs(60) }
    }
}

/// A node's durable state. Clones share it; the last one to go waits for the writes under way.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

/// Fields are dropped in this order: the writer closes last and checkpoints, then the lock goes.
#[derive(Debug)]
struct Inner {
    readers: Readers,
    writer: Writer,
    dir: PathBuf,
    _lock: Option<File>,
}

impl Store {
    /// Opens or makes the store in `options.dir`. Blocks: checks the whole file and migrates it.
    ///
    /// Also writes again any copy of an installed manifest that is missing or differs.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for a file that is not whole (left as it is: see [`set_aside`] and
    /// [`Store::restore_last_good`]), [`StoreError::Locked`], [`StoreError::TooNew`], and what the
    /// file system refuses.
    pub fn open(options: &Options) -> Result<Self, StoreError> {
        make_private_dir(&options.dir)?;
        let lock = lock(&options.dir)?;
        let path: Arc<Path> = options.dir.join(db::FILE).into();
        let connection = db::open_writer(&path)?;
        make_private_dir(&options.dir.join(copies::DIR))?;
        copies::heal(&connection, &options.dir).map_err(|fault| fault.of(&path))?;
        let writer_options = WriterOptions { last_good_idle: options.last_good_idle, refuse: None };
        let writer = Writer::start(connection, path.clone(), writer_options)?;
        let readers = Readers::start(path, options.readers)?;
        let dir = options.dir.clone();
        Ok(Self { inner: Arc::new(Inner { readers, writer, dir, _lock: Some(lock) }) })
    }

    /// Opens a copy of a database that cannot be written (its disk is full or read-only) below
    /// `scratch`, which is emptied first. Everything can be read; every write is refused with
    /// `reason`. Blocks.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_unwritable(
        options: &Options,
        scratch: &Path,
        reason: StoreError,
    ) -> Result<Self, StoreError> {
        let lock = lock_unwritable(&options.dir)?;
        let io = |error| StoreError::io(scratch, &error);
        match fs::remove_dir_all(scratch) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io(error)),
            _ => make_private_dir(scratch)?,
        }
        for name in [db::FILE, WAL] {
            match fs::copy(options.dir.join(name), scratch.join(name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(io(error));
                }
                _ => {}
            }
        }
        let path: Arc<Path> = scratch.join(db::FILE).into();
        let connection = db::open_writer(&path)?;
        let idle = options.last_good_idle;
        let writer_options = WriterOptions { last_good_idle: idle, refuse: Some(reason) };
        let writer = Writer::start(connection, path.clone(), writer_options)?;
        let readers = Readers::start(path, options.readers)?;
        let dir = options.dir.clone();
        Ok(Self { inner: Arc::new(Inner { readers, writer, dir, _lock: lock }) })
    }

    /// Why every write is refused, for a store of [`Store::open_unwritable`].
    #[must_use]
    pub fn unwritable(&self) -> Option<StoreError> {
        self.inner.writer.refuses()
    }

    /// Why the last write did not reach the disk, until one does.
    #[must_use]
    pub fn write_fault(&self) -> Option<StoreError> {
        self.inner.writer.fault()
    }

    /// Runs the quick integrity check: nothing when the database is whole, else the first fault.
    ///
    /// # Errors
    /// Failures to read.
    pub async fn check(&self) -> Result<Option<String>, StoreError> {
        self.read(|connection| Ok(db::check(connection)?)).await
    }

    /// Notes a moment, so that a clock that jumps is noticed: a write that would not be missed.
    ///
    /// # Errors
    /// Failures to write.
    pub async fn note_moment(&self, key: &str, at: Timestamp) -> Result<(), StoreError> {
        let key = key.to_owned();
        self.write_minor(move |connection| {
            let sql = "INSERT OR REPLACE INTO settings (key, value) VALUES (?, ?)";
            connection.prepare_cached(sql)?.execute(rusqlite::params![key, at.0.to_string()])?;
            Ok(())
        })
        .await
    }

    /// When the last good copy was made, if there is one.
    #[must_use]
    pub fn last_good_made(&self) -> Option<Timestamp> {
        let copy = self.inner.dir.join(db::LAST_GOOD);
        let made = fs::metadata(copy).ok()?.modified().ok()?;
        let since = made.duration_since(std::time::UNIX_EPOCH).ok()?;
        i64::try_from(since.as_millis()).ok().map(Timestamp)
    }

    /// The store's directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// Where the copy of an app's installed manifest lies.
    #[must_use]
    pub fn manifest_copy(&self, app: &archy_types::AppId) -> PathBuf {
        copies::manifest_path(&self.inner.dir, app)
    }

    /// Writes a whole, checked copy of the database to `target` while it is in use (one file, mode
    /// 0600). An existing `target` is replaced only by a whole one.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`] and other refusals of the file system.
    pub async fn backup_to(&self, target: impl Into<PathBuf>) -> Result<(), StoreError> {
        self.inner.writer.copy_to(target.into()).await
    }

    /// Renews the last good copy now; it also happens by itself after quiet time and on closing.
    ///
    /// # Errors
    /// As [`Store::backup_to`].
    pub async fn keep_last_good(&self) -> Result<(), StoreError> {
        self.backup_to(self.inner.dir.join(db::LAST_GOOD)).await
    }

    /// Puts the last good copy in the place of a damaged database, which is kept beside it.
    ///
    /// Returns where the damaged files went (the database's new name).
    ///
    /// # Errors
    /// [`StoreError::NotFound`] without a copy, [`StoreError::Locked`] while the store is open.
    pub fn restore_last_good(dir: &Path, now: Timestamp) -> Result<PathBuf, StoreError> {
        let _lock = lock(dir)?;
        let database = dir.join(db::FILE);
        let copy = db::last_good_beside(&database).ok_or_else(|| StoreError::NotFound {
            what: format!("a last good copy of {}", database.display()),
        })?;
        let bytes = fs::read(&copy).map_err(|error| StoreError::io(&copy, &error))?;
        let aside = move_aside(dir, now, &[db::FILE, WAL, SHM])?;
        crate::files::write_atomic(&database, &bytes, 0o600)
            .map_err(|error| error.into_store(&database))?;
        Ok(aside)
    }

    pub(crate) async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.inner.writer.write(job, Worth::Copy, None).await
    }

    pub(crate) async fn write_minor<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.inner.writer.write(job, Worth::Minor, None).await
    }

    pub(crate) async fn write_then<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
        after: After<T>,
    ) -> Result<T, StoreError> {
        self.inner.writer.write(job, Worth::Copy, Some(after)).await
    }

    pub(crate) async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.inner.readers.read(job).await
    }
}

const WAL: &str = "state.db-wal";
const SHM: &str = "state.db-shm";

/// Moves the database, its WAL and its last good copy aside, so that the next open starts anew.
///
/// Nothing is deleted. Returns the database's new name.
///
/// # Errors
/// [`StoreError::Locked`] while the store is open, and what the file system refuses.
pub fn set_aside(dir: &Path, now: Timestamp) -> Result<PathBuf, StoreError> {
    let _lock = lock(dir)?;
    move_aside(dir, now, &[db::FILE, WAL, SHM, db::LAST_GOOD])
}

fn move_aside(dir: &Path, now: Timestamp, names: &[&str]) -> Result<PathBuf, StoreError> {
    let mut number = 0;
    let aside = loop {
        let suffix = if number == 0 { String::new() } else { format!("-{number}") };
        let candidate = dir.join(format!("aside-{}{suffix}", now.0));
        match fs::DirBuilder::new().mode(0o700).create(&candidate) {
            Ok(()) => break candidate,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(StoreError::io(&candidate, &error)),
        }
    };
    for name in names {
        let from = dir.join(name);
        match fs::rename(&from, aside.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::io(&from, &error));
            }
            _ => {}
        }
    }
    crate::files::sync_parent(&aside).map_err(|error| StoreError::io(&aside, &error))?;
    Ok(aside.join(db::FILE))
}

fn make_private_dir(dir: &Path) -> Result<(), StoreError> {
    crate::files::private_dir(dir).map_err(|error| error.into_store(dir))
}

/// True when a database with something in it, or a copy of one, lies in `dir`.
#[must_use]
pub fn is_there(dir: &Path) -> bool {
    let has = |name: &str| fs::metadata(dir.join(name)).is_ok_and(|meta| meta.len() > 0);
    has(db::FILE) || has(db::LAST_GOOD)
}

/// Writes and syncs a file in `dir` and removes it: nothing when the disk takes it.
///
/// # Errors
/// [`StoreError::DiskFull`], [`StoreError::ReadOnly`] and other refusals of the file system.
pub fn try_write(dir: &Path) -> Result<(), StoreError> {
    let path = dir.join(".write-test");
    let written = File::create(&path).and_then(|mut file| {
        std::io::Write::write_all(&mut file, &[0; 256 * 1024])?;
        file.sync_all()
    });
    let removed = fs::remove_file(&path);
    written.and(removed).map_err(|error| StoreError::io(&path, &error))
}

/// The lock where its file cannot be written; none where it cannot even be made.
fn lock_unwritable(dir: &Path) -> Result<Option<File>, StoreError> {
    let path = dir.join(db::LOCK);
    let Ok(file) = File::open(&path) else { return Ok(None) };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path }),
        Err(TryLockError::Error(error)) => Err(StoreError::io(&path, &error)),
    }
}

fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join(db::LOCK);
    let io = |error| StoreError::io(&path, &error);
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(io)?;
    file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path }),
        Err(TryLockError::Error(error)) => Err(io(error)),
    }
}
