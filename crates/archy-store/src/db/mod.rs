//! The database underneath: opening, checking, migrating, copying, and the threads that own it.

mod copy;
pub(crate) mod migrations;
mod open;
mod threads;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub(crate) use open::{check, open_writer};
pub(crate) use threads::{After, Fault, Readers, Worth, Writer, WriterOptions};

/// File name of the database.
pub(crate) const FILE: &str = "state.db";
/// File name of the last copy that was whole.
pub(crate) const LAST_GOOD: &str = "state.last-good.db";
/// File name of the lock that keeps a second process out.
pub(crate) const LOCK: &str = "state.lock";

/// The last whole copy beside a database, if there is one.
pub(crate) fn last_good_beside(database: &Path) -> Option<PathBuf> {
    let copy = database.with_file_name(LAST_GOOD);
    copy.is_file().then_some(copy)
}
