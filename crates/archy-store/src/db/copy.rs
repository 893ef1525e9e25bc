//! Whole copies of a live database through SQLite's online backup.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::Backup;

use super::open;
use crate::error::StoreError;

/// Pages copied in one go; -1 would be all at once.
const PAGES: i32 = 1024;

/// Copies a database to `target`, which is replaced only by a checked, synced, whole copy.
///
/// The copy is a single file with mode 0600, without WAL.
///
/// # Errors
/// What SQLite or the file system said; the old `target` is then as it was.
pub(crate) fn copy_to(source: &Connection, target: &Path) -> Result<(), StoreError> {
    let temporary = temporary_beside(target);
    let made = copy_into(source, &temporary).and_then(|()| {
        let io = |error| StoreError::io(target, &error);
        fs::File::open(&temporary).and_then(|file| file.sync_all()).map_err(io)?;
        fs::rename(&temporary, target).map_err(io)?;
        crate::files::sync_parent(target).map_err(io)
    });
    if made.is_err() {
        remove_if_there(&temporary);
    }
    made
}

fn copy_into(source: &Connection, target: &Path) -> Result<(), StoreError> {
    let sql = |error: rusqlite::Error| StoreError::sqlite(target, &error);
    remove_if_there(target);
    open::create_private(target)?;
    let mut copy = Connection::open(target).map_err(sql)?;
    Backup::new(source, &mut copy)
        .and_then(|backup| backup.run_to_completion(PAGES, Duration::ZERO, None))
        .map_err(sql)?;
    copy.query_row("PRAGMA journal_mode=DELETE", [], |_| Ok(())).map_err(sql)?;
    if let Some(reason) = open::check(&copy).map_err(sql)? {
        return Err(StoreError::Corrupt { path: target.to_owned(), reason, last_good: None });
    }
    copy.close().map_err(|(_, error)| sql(error))
}

fn temporary_beside(target: &Path) -> PathBuf {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    target.with_file_name(name)
}

fn remove_if_there(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "cannot remove a temporary file");
    }
}
