//! Copies beside the database for the day it is lost: each installed manifest
//! (`manifests/<id>.yml`) and what its app should be (`manifests/<id>.json`).
//!
//! They are a help, written after the commit: failing to write one fails nothing else, and the next
//! open of the store tries again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use archy_types::AppId;
use rusqlite::Connection;

use crate::apps::AppRecord;
use crate::db::Fault;
use crate::rows::{self, Reader};
use crate::{apps, files};

/// Directory beside the database.
pub(crate) const DIR: &str = "manifests";

/// What lies beside the database of one app.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KeptCopy {
    /// Text of the manifest, if that is there.
    pub manifest: Option<Vec<u8>>,
    /// What the app should be, if that is there and can be read.
    pub record: Option<AppRecord>,
}

/// The copies in a store's directory, by app; none when there is no such directory.
///
/// # Errors
/// The directory cannot be read.
pub fn kept_copies(dir: &Path) -> std::io::Result<BTreeMap<AppId, KeptCopy>> {
    let mut found: BTreeMap<AppId, KeptCopy> = BTreeMap::new();
    let entries = match std::fs::read_dir(dir.join(DIR)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let path = entry?.path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let Ok(app) = AppId::new(stem) else { continue };
        let Ok(bytes) = std::fs::read(&path) else { continue };
        match ending {
            Some("yml") => found.entry(app).or_default().manifest = Some(bytes),
            Some("json") => {
                let record: Option<AppRecord> = serde_json::from_slice(&bytes).ok();
                let record = record.filter(|record| record.app == app);
                found.entry(app).or_default().record = record;
            }
            _ => {}
        }
    }
    Ok(found)
}

/// Where an app's manifest is copied to.
pub(crate) fn manifest_path(dir: &Path, app: &AppId) -> PathBuf {
    dir.join(DIR).join(format!("{app}.yml"))
}

/// Where an app's record is copied to.
pub(crate) fn record_path(dir: &Path, app: &AppId) -> PathBuf {
    dir.join(DIR).join(format!("{app}.json"))
}

fn read_record(dir: &Path, app: &AppId) -> Option<AppRecord> {
    serde_json::from_slice(&std::fs::read(record_path(dir, app)).ok()?).ok()
}

/// Writes the copies of one app.
pub(crate) fn write(dir: &Path, record: &AppRecord, text: &[u8]) {
    let app = &record.app;
    let json = serde_json::to_vec_pretty(record).unwrap_or_default();
    for (path, bytes) in [(manifest_path(dir, app), text), (record_path(dir, app), &json)] {
        if let Err(error) = files::write_atomic(&path, bytes, 0o600) {
            tracing::warn!(%app, code = error.code(), %error, "no copy of manifest or record");
        }
    }
}

/// Removes the copies of an app that is forgotten.
pub(crate) fn remove(dir: &Path, app: &AppId) {
    for path in [record_path(dir, app), manifest_path(dir, app)] {
        if let Err(error) = std::fs::remove_file(&path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "a copy stays behind");
        }
    }
}

/// Writes again each copy that is missing or differs.
pub(crate) fn heal(connection: &Connection, dir: &Path) -> Result<(), Fault> {
    let sql = "SELECT apps.*, text FROM apps JOIN manifests ON digest = manifest";
    let installed = rows::all(connection, sql, [], |row| {
        let reader = Reader { row, table: "apps", key: row.get("id")? };
        Ok((apps::read_record(&reader)?, reader.get::<Vec<u8>>("text")?))
    })?;
    for (record, text) in installed {
        // a database that was put back is older than its copies: they tell what it does not know
        if read_record(dir, &record.app).is_some_and(|kept| kept.generation > record.generation) {
            continue;
        }
        let same_text = std::fs::read(manifest_path(dir, &record.app)).ok().as_ref() == Some(&text);
        let kept = std::fs::read(record_path(dir, &record.app)).ok();
        let same_record = kept.as_deref() == serde_json::to_vec_pretty(&record).ok().as_deref();
        if !same_text || !same_record {
            write(dir, &record, &text);
        }
    }
    Ok(())
}
