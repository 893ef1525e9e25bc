//! What happened to apps and to the node, for people to read later.

use archy_types::{AppId, Timestamp};
use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::db::Fault;
use crate::error::StoreError;
use crate::rows::{self, Reader};
use crate::store::Store;

/// Most events that one page has.
pub const PAGE: usize = 1000;

/// An event to keep.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// The app it is about; nothing for the node.
    pub app: Option<AppId>,
    /// When.
    pub at: Timestamp,
    /// A stable word, for example `unhealthy`.
    pub kind: String,
    /// One sentence for people.
    pub text: String,
    /// Details for programs; never a secret.
    pub fields: Map<String, Value>,
}

/// A kept event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventRecord {
    /// Its number: a later event has a greater one.
    pub seq: i64,
    /// The app it is about; nothing for the node.
    pub app: Option<AppId>,
    /// When.
    pub at: Timestamp,
    /// A stable word.
    pub kind: String,
    /// One sentence for people.
    pub text: String,
    /// Details for programs.
    pub fields: Map<String, Value>,
}

impl Store {
    /// Keeps events, all or none; returns the number of the last (0 for none).
    ///
    /// # Errors
    /// Failures to write.
    pub async fn add_events(&self, events: Vec<NewEvent>) -> Result<i64, StoreError> {
        self.write_minor(move |connection| {
            let sql = "INSERT INTO events (app, at, kind, text, fields) VALUES (?, ?, ?, ?, ?)";
            let mut insert = connection.prepare_cached(sql)?;
            let mut last = 0;
            for event in &events {
                last = insert.insert(params![
                    event.app.as_ref().map(AppId::as_str),
                    event.at.0,
                    event.kind,
                    event.text,
                    rows::to_json("the event's fields", &event.fields)?,
                ])?;
            }
            Ok(last)
        })
        .await
    }

    /// Events of one app or of all, newest first: at most `limit` (and [`PAGE`]) of those before
    /// number `before`.
    ///
    /// # Errors
    /// [`StoreError::BadRecord`] and failures to read.
    pub async fn events(
        &self,
        app: Option<&AppId>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<EventRecord>, StoreError> {
        let app = app.cloned();
        let before = before.unwrap_or(i64::MAX);
        let limit = i64::try_from(limit.min(PAGE)).unwrap_or(i64::MAX);
        self.read(move |connection| match app {
            Some(app) => {
                let sql =
                    "SELECT * FROM events WHERE app = ? AND seq < ? ORDER BY seq DESC LIMIT ?";
                rows::all(connection, sql, params![app.as_str(), before, limit], read_event)
            }
            None => {
                let sql = "SELECT * FROM events WHERE seq < ? ORDER BY seq DESC LIMIT ?";
                rows::all(connection, sql, params![before, limit], read_event)
            }
        })
        .await
    }

    /// Forgets all but the newest `keep` events; says how many.
    ///
    /// # Errors
    /// Failures to write.
    pub async fn prune_events(&self, keep: usize) -> Result<usize, StoreError> {
        let keep = i64::try_from(keep).unwrap_or(i64::MAX);
        self.write_minor(move |connection| {
            let sql = "DELETE FROM events WHERE seq NOT IN (
                           SELECT seq FROM events ORDER BY seq DESC LIMIT ?)";
            Ok(connection.execute(sql, [keep])?)
        })
        .await
    }
}

fn read_event(row: &Row<'_>) -> Result<EventRecord, Fault> {
    let seq: i64 = row.get("seq")?;
    let reader = Reader { row, table: "events", key: seq.to_string() };
    Ok(EventRecord {
        seq,
        app: reader.app("app")?,
        at: Timestamp(reader.get("at")?),
        kind: reader.get("kind")?,
        text: reader.get("text")?,
        fields: reader.json("fields")?,
    })
}
