//! Numbered steps from an empty file to today's schema; `PRAGMA user_version` is the number of the
//! last one that ran.
//!
//! A released step is never edited. A new one gets the next number, its own file, and a test that
//! starts from a file of the version before it.

mod m0001_desired_and_journal;
mod m0002_history_sessions_settings;
mod m0003_previous_state;
mod m0004_adopted;

use rusqlite::{Connection, TransactionBehavior};

/// The steps in order; step `n` (from 1) leads to version `n`.
pub(crate) const STEPS: &[&str] = &[
    m0001_desired_and_journal::SQL,
    m0002_history_sessions_settings::SQL,
    m0003_previous_state::SQL,
    m0004_adopted::SQL,
];

/// The version this release writes.
pub(crate) const LATEST: u32 = 4;
const _: () = assert!(STEPS.len() == LATEST as usize);

/// Version of a database; 0 for an empty one.
pub(crate) fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Brings a database to [`LATEST`].
pub(crate) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    run(connection, STEPS)
}

/// Runs the steps that a database has not had, each in its own transaction with its number.
pub(crate) fn run(connection: &mut Connection, steps: &[&str]) -> rusqlite::Result<()> {
    let done = version(connection)?;
    for (number, step) in (1u32..).zip(steps).filter(|(number, _)| *number > done) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(())
}
