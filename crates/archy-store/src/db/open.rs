//! Opens connections, and finds out whether a file is a whole database before it is touched.

use std::fs;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::{copy, last_good_beside, migrations};
use crate::error::StoreError;

/// How long a connection waits for another one's lock.
const BUSY: Duration = Duration::from_secs(5);

/// Makes a file with mode 0600 if it is not there, and narrows the mode of one that is.
pub(crate) fn create_private(path: &Path) -> Result<(), StoreError> {
    let io = |error| StoreError::io(path, &error);
    let file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(io)?;
    if file.metadata().map_err(io)?.permissions().mode() & 0o777 != 0o600 {
        file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(io)?;
    }
    Ok(())
}

/// Opens the writing connection: checks the file, migrates it, sets durability.
///
/// A file that is not a whole database is left exactly as it is.
pub(crate) fn open_writer(path: &Path) -> Result<Connection, StoreError> {
    let sql = |error: rusqlite::Error| StoreError::sqlite(path, &error);
    let corrupt = |reason: String| StoreError::Corrupt {
        path: path.to_owned(),
        reason,
        last_good: last_good_beside(path),
    };
    let size = fs::metadata(path).map(|meta| meta.len()).ok();
    if size.unwrap_or(0) == 0 && last_good_beside(path).is_some() {
        return Err(corrupt("it is missing or empty although a copy of it is there".into()));
    }
    create_private(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(sql)?;
    connection.busy_timeout(BUSY).map_err(sql)?;
    let no_checkpoint = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
    connection.set_db_config(no_checkpoint, true).map_err(sql)?;
    if let Some(reason) = check(&connection).map_err(sql)? {
        return Err(corrupt(reason));
    }
    let version = migrations::version(&connection).map_err(sql)?;
    if version > migrations::LATEST {
        let path = path.to_owned();
        return Err(StoreError::TooNew { path, found: version, known: migrations::LATEST });
    }
    connection.set_db_config(no_checkpoint, false).map_err(sql)?;
    set_durability(&connection).map_err(sql)?;
    if version > 0 && version < migrations::LATEST {
        let before = path.with_file_name(format!("state.before-migration-{version}.db"));
        copy::copy_to(&connection, &before)?;
        tracing::info!(version, to = migrations::LATEST, copy = %before.display(), "migrating the store");
    }
    migrations::migrate(&mut connection).map_err(sql)?;
    Ok(connection)
}

/// Opens a connection that can only read.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let sql = |error: rusqlite::Error| StoreError::sqlite(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(sql)?;
    connection.busy_timeout(BUSY).map_err(sql)?;
    connection.pragma_update(None, "query_only", true).map_err(sql)?;
    Ok(connection)
}

/// Runs the quick integrity check: nothing when the database is whole, else the first fault.
pub(crate) fn check(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let answer: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok((answer != "ok").then_some(answer))
}

fn set_durability(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA journal_mode=WAL", [], |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "journal_size_limit", 4 * 1024 * 1024)?;
    Ok(())
}
