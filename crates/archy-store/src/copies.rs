//! Copies beside the database for the day it is lost: each installed manifest
//! (`manifests/<id>.yml`) and what its app should be (`manifests/<id>.json`).
//!
//! An app that was uninstalled and left its data leaves them in `manifests/uninstalled`, so that the
//! data can still be named and removed.
//!
//! They are a help, written after the commit: failing to write one fails nothing else, and the next
//! open of the store tries again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use archy_types::{AppId, Digest};
use rusqlite::Connection;

use crate::apps::{AppRecord, Desired};
use crate::db::Fault;
use crate::rows::{self, Reader};
use crate::{apps, files};

/// Directory beside the database.
pub(crate) const DIR: &str = "manifests";

/// Directory in it, of apps that were uninstalled and left their data.
const UNINSTALLED: &str = "uninstalled";

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

fn uninstalled_paths(dir: &Path, app: &AppId) -> [PathBuf; 2] {
    ["json", "yml"].map(|ending| dir.join(DIR).join(UNINSTALLED).join(format!("{app}.{ending}")))
}

/// What an app was that was uninstalled and left its data, and the text of its manifest.
pub(crate) fn uninstalled(dir: &Path, app: &AppId) -> Option<(AppRecord, Vec<u8>)> {
    // a cut may have left them where they are as long as it is installed
    let installed = [record_path(dir, app), manifest_path(dir, app)];
    [uninstalled_paths(dir, app), installed].into_iter().find_map(|[record, text]| {
        let record: AppRecord = serde_json::from_slice(&std::fs::read(record).ok()?).ok()?;
        let text = std::fs::read(text).ok()?;
        let whole = record.app == *app && record.manifest == Digest::of(&text);
        (whole && record.desired == Desired::Removed).then_some((record, text))
    })
}

/// Takes the copies of an app away that is forgotten: what was uninstalled and left its data leaves
/// them too, unless the data was never Archipelago's own.
pub(crate) fn forget(dir: &Path, app: &AppId) {
    let record = read_record(dir, app);
    let desired = record.as_ref().map(|record| record.desired);
    if let Some(record) =
        record.filter(|r| desired == Some(Desired::Removed) && r.adopted.is_none())
        && let Ok(text) = std::fs::read(manifest_path(dir, app))
    {
        let json = serde_json::to_vec_pretty(&record).unwrap_or_default();
        let [record_path, text_path] = uninstalled_paths(dir, app);
        let kept = dir.join(DIR).join(UNINSTALLED);
        // the record last: it counts with its manifest only
        let written = files::private_dir(&kept)
            .and_then(|()| files::write_atomic(&text_path, &text, 0o600))
            .and_then(|()| files::write_atomic(&record_path, &json, 0o600));
        if let Err(error) = written {
            tracing::warn!(%app, code = error.code(), %error, "what it left is not noted");
        }
    }
    if desired == Some(Desired::Purged) {
        remove(&uninstalled_paths(dir, app));
    }
    remove(&[record_path(dir, app), manifest_path(dir, app)]);
}

fn remove(paths: &[PathBuf]) {
    for path in paths {
        if let Err(error) = std::fs::remove_file(path)
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
