//! What an app was before its last update, so that it can be taken back.

use archy_types::{AppId, Cause, Generation, OperationId, Timestamp};
use rusqlite::{Connection, params};

use crate::apps::{self, AppRecord};
use crate::copies;
use crate::db::Fault;
use crate::error::StoreError;
use crate::journal;
use crate::rows::{self, Reader};
use crate::store::Store;

/// What becomes of the state from before an update when another one is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaced {
    /// It is kept as it is, if there is one.
    AsItIs,
    /// The state that is replaced takes its place: an update.
    Keep,
    /// It is forgotten: the way back was taken.
    Forget,
}

/// What an app was before its last update.
#[derive(Debug, Clone, PartialEq)]
pub struct PreviousRecord {
    /// Its record.
    pub record: AppRecord,
    /// Generation of the update.
    pub replaced_by: Generation,
    /// When the update was accepted.
    pub replaced: Timestamp,
}

impl Store {
    /// What apps were before their last updates, as far as it is kept, by id.
    ///
    /// # Errors
    /// [`StoreError::BadRecord`] and failures to read.
    pub async fn previous(&self) -> Result<Vec<PreviousRecord>, StoreError> {
        self.read(|connection| {
            rows::all(connection, "SELECT * FROM previous ORDER BY id", [], |row| {
                let reader = Reader { row, table: "previous", key: row.get("id")? };
                let by: i64 = reader.get("replaced_by")?;
                let by = u64::try_from(by).map_err(|error| reader.bad("replaced_by", &error))?;
                Ok(PreviousRecord {
                    record: apps::read_record(&reader)?,
                    replaced_by: Generation(by),
                    replaced: Timestamp(reader.get("replaced")?),
                })
            })
        })
        .await
    }

    /// Forgets what an app was before its last update.
    ///
    /// # Errors
    /// Failures to write.
    pub async fn forget_previous(&self, app: &AppId) -> Result<(), StoreError> {
        let app = app.clone();
        self.write(move |connection| forget(connection, &app)).await
    }

    /// Turns an operation that has not ended back: the record of before it becomes the desired state
    /// again, and the journal says why the operation goes back. All or none.
    ///
    /// # Errors
    /// As [`Store::put_app`], and those of the journal.
    pub async fn turn_back(
        &self,
        record: AppRecord,
        operation: OperationId,
        cause: Cause,
    ) -> Result<(), StoreError> {
        let dir = self.dir().to_owned();
        let kept = record.clone();
        self.write_then(
            move |connection| {
                let text = apps::put(connection, &record)?;
                forget(connection, &record.app)?;
                journal::goes_back(connection, operation, &cause)?;
                Ok(text)
            },
            Box::new(move |text: &Vec<u8>| copies::write(&dir, &kept, text)),
        )
        .await
        .map(drop)
    }
}

/// Keeps or forgets before `record` takes the place of what is stored.
pub(crate) fn replace(
    connection: &Connection,
    record: &AppRecord,
    replaced: Replaced,
    at: Timestamp,
) -> Result<(), Fault> {
    match replaced {
        Replaced::AsItIs => Ok(()),
        Replaced::Forget => forget(connection, &record.app),
        Replaced::Keep => {
            let by = i64::try_from(record.generation.0).unwrap_or(i64::MAX);
            let sql = "INSERT OR REPLACE INTO previous
                       SELECT id, generation, manifest, desired, actor, since, settings, ports,
                           pinned_version, package_dir, data_due, ?, ?, adopted FROM apps WHERE id = ?";
            let values = params![by, at.0, record.app.as_str()];
            connection.prepare_cached(sql)?.execute(values)?;
            Ok(())
        }
    }
}

pub(crate) fn forget(connection: &Connection, app: &AppId) -> Result<(), Fault> {
    connection.execute("DELETE FROM previous WHERE id = ?", [app.as_str()])?;
    Ok(())
}
