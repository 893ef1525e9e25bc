//! What the owner chose for the node: keys to JSON values.

use std::collections::BTreeMap;

use rusqlite::params;
use serde_json::Value;

use crate::error::StoreError;
use crate::rows::{self, Reader};
use crate::store::Store;

impl Store {
    /// One setting.
    ///
    /// # Errors
    /// [`StoreError::BadRecord`] and failures to read.
    pub async fn setting(&self, key: &str) -> Result<Option<Value>, StoreError> {
        let key = key.to_owned();
        self.read(move |connection| {
            rows::one(connection, "SELECT value FROM settings WHERE key = ?", [&key], |row| {
                Reader { row, table: "settings", key: key.clone() }.json("value")
            })
        })
        .await
    }

    /// All settings whose key begins with `prefix`.
    ///
    /// # Errors
    /// [`StoreError::BadRecord`] and failures to read.
    pub async fn settings(&self, prefix: &str) -> Result<BTreeMap<String, Value>, StoreError> {
        let prefix = prefix.to_owned();
        self.read(move |connection| {
            let sql = "SELECT * FROM settings WHERE substr(key, 1, length(?1)) = ?1 ORDER BY key";
            let found = rows::all(connection, sql, [prefix], |row| {
                let key: String = row.get("key")?;
                let reader = Reader { row, table: "settings", key: key.clone() };
                Ok((key, reader.json("value")?))
            })?;
            Ok(found.into_iter().collect())
        })
        .await
    }

    /// Sets settings, all or none; a null takes the setting away.
    ///
    /// # Errors
    /// Failures to write.
    pub async fn put_settings(&self, values: BTreeMap<String, Value>) -> Result<(), StoreError> {
        self.write(move |connection| {
            let sql = "INSERT OR REPLACE INTO settings (key, value) VALUES (?, ?)";
            for (key, value) in &values {
                if value.is_null() {
                    connection.execute("DELETE FROM settings WHERE key = ?", [key])?;
                } else {
                    let value = rows::to_json("the setting", value)?;
                    connection.prepare_cached(sql)?.execute(params![key, value])?;
                }
            }
            Ok(())
        })
        .await
    }

    /// Sets one setting; a null takes it away.
    ///
    /// # Errors
    /// Failures to write.
    pub async fn put_setting(&self, key: &str, value: Value) -> Result<(), StoreError> {
        self.put_settings(BTreeMap::from([(key.to_owned(), value)])).await
    }
}
