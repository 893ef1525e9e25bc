//! Between rows and values.

use archy_types::AppId;
use rusqlite::Row;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::db::Fault;
use crate::error::StoreError;

/// Reads columns of one row by name, and says which row it was when one cannot be read.
pub(crate) struct Reader<'r, 's> {
    pub(crate) row: &'r Row<'s>,
    pub(crate) table: &'static str,
    pub(crate) key: String,
}

impl Reader<'_, '_> {
    /// A column as SQLite has it.
    pub(crate) fn get<T: rusqlite::types::FromSql>(&self, column: &str) -> Result<T, Fault> {
        Ok(self.row.get(column)?)
    }

    /// A text column, parsed.
    pub(crate) fn parse<T: std::str::FromStr>(&self, column: &str) -> Result<T, Fault>
    where
        T::Err: std::fmt::Display,
    {
        let text: String = self.row.get(column)?;
        text.parse().map_err(|error: T::Err| self.bad(column, &error))
    }

    /// A JSON column.
    pub(crate) fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T, Fault> {
        let text: String = self.row.get(column)?;
        serde_json::from_str(&text).map_err(|error| self.bad(column, &error))
    }

    /// An app's id that may be NULL.
    pub(crate) fn app(&self, column: &str) -> Result<Option<AppId>, Fault> {
        let text: Option<String> = self.row.get(column)?;
        text.map(AppId::new).transpose().map_err(|error| self.bad(column, &error))
    }

    /// The row is not what it should be.
    pub(crate) fn bad(&self, column: &str, reason: &impl std::fmt::Display) -> Fault {
        let (table, key) = (self.table, self.key.clone());
        Fault::Store(StoreError::BadRecord { table, key, reason: format!("{column}: {reason}") })
    }
}

/// Runs a query and reads each row.
pub(crate) fn all<T>(
    connection: &rusqlite::Connection,
    sql: &str,
    params: impl rusqlite::Params,
    read: impl Fn(&Row<'_>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut values = Vec::new();
    while let Some(row) = rows.next()? {
        values.push(read(row)?);
    }
    Ok(values)
}

/// Runs a query that finds at most one row.
pub(crate) fn one<T>(
    connection: &rusqlite::Connection,
    sql: &str,
    params: impl rusqlite::Params,
    read: impl Fn(&Row<'_>) -> Result<T, Fault>,
) -> Result<Option<T>, Fault> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(read).transpose()
}

/// A value as JSON text.
pub(crate) fn to_json<T: Serialize>(what: &'static str, value: &T) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|error| {
        Fault::Store(StoreError::Refused { what, reason: format!("is not JSON: {error}") })
    })
}
