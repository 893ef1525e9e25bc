//! Desired state: what each app should be, and the manifests it was accepted with.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use archy_types::{Actor, AppId, Digest, Generation, OperationId, Timestamp};
use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};

use crate::copies;
use crate::db::Fault;
use crate::error::StoreError;
use crate::journal::{self, NewOperation};
use crate::previous::{self, Replaced};
use crate::rows::{self, Reader};
use crate::store::Store;

/// What an app should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Desired {
    /// It runs.
    Running,
    /// It is installed and does not run, because somebody asked.
    Stopped,
    /// It is to be taken away, its data stays; the record goes when that is done.
    Removed,
    /// It is to be taken away with its data; the record goes when that is done.
    Purged,
}

impl Desired {
    /// The word in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Removed => "removed",
            Self::Purged => "purged",
        }
    }
}

impl fmt::Display for Desired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Desired {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Running, Self::Stopped, Self::Removed, Self::Purged]
            .into_iter()
            .find(|it| it.as_str() == text)
            .ok_or_else(|| format!("{text:?} is not a desired state"))
    }
}

/// Desired state of one app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppRecord {
    /// The app.
    pub app: AppId,
    /// How often its desired state was changed; each change must raise it.
    pub generation: Generation,
    /// The accepted manifest.
    pub manifest: Digest,
    /// What it should be.
    pub desired: Desired,
    /// Who set that.
    pub actor: Actor,
    /// Since when.
    pub since: Timestamp,
    /// The owner's settings (values of `config`), never secrets.
    pub settings: BTreeMap<String, serde_json::Value>,
    /// Host ports that the owner moved: what was declared (such as `8080/tcp`) to what it became.
    pub ports: BTreeMap<String, u16>,
    /// The version that the owner holds it at.
    pub pinned_version: Option<String>,
    /// Directory with the manifest's companions (build contexts, package files).
    pub package_dir: Option<PathBuf>,
    /// What is due to its data before it may run, as JSON.
    pub data_due: Option<serde_json::Value>,
    /// What it took over that Archipelago did not make, as JSON.
    #[serde(default)]
    pub adopted: Option<serde_json::Value>,
}

impl Store {
    /// Keeps a manifest's text under its digest; one that is there already is left alone.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`] and other failures to write.
    pub async fn accept_manifest(
        &self,
        text: impl Into<Vec<u8>>,
        at: Timestamp,
    ) -> Result<Digest, StoreError> {
        let text = text.into();
        self.write(move |connection| accept(connection, &text, at)).await
    }

    /// The text of an accepted manifest.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the text no longer has its digest.
    pub async fn manifest(&self, digest: Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.dir().join(crate::db::FILE);
        let text = self.read(move |connection| manifest_text(connection, digest)).await?;
        match text {
            Some(text) if Digest::of(&text) != digest => Err(StoreError::Corrupt {
                last_good: crate::db::last_good_beside(&path),
                path,
                reason: format!("the text of manifest {digest} has another digest"),
            }),
            text => Ok(text),
        }
    }

    /// The texts of all accepted manifests, the newest first.
    ///
    /// # Errors
    /// Failures to read.
    pub async fn manifests(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT text FROM manifests ORDER BY accepted DESC, digest";
            rows::all(connection, sql, [], |row| Ok(row.get(0)?))
        })
        .await
    }

    /// Forgets manifests that no app has or had before its last update, and that were accepted before `before`; says how many.
    ///
    /// # Errors
    /// Failures to write.
    pub async fn prune_manifests(&self, before: Timestamp) -> Result<usize, StoreError> {
        self.prune_manifests_but(before, BTreeSet::new()).await
    }

    /// The same, but for some manifests that stay.
    ///
    /// # Errors
    /// Failures to write.
    pub async fn prune_manifests_but(
        &self,
        before: Timestamp,
        kept: BTreeSet<Digest>,
    ) -> Result<usize, StoreError> {
        self.write(move |connection| {
            let sql = "SELECT digest FROM manifests WHERE accepted < ?
                       AND digest NOT IN (SELECT manifest FROM apps)
                       AND digest NOT IN (SELECT manifest FROM previous)";
            let old: Vec<String> = rows::all(connection, sql, [before.0], |row| Ok(row.get(0)?))?;
            let kept: BTreeSet<String> = kept.iter().map(ToString::to_string).collect();
            let mut gone = 0;
            for digest in old.iter().filter(|digest| !kept.contains(*digest)) {
                gone += connection.execute("DELETE FROM manifests WHERE digest = ?", [digest])?;
            }
            Ok(gone)
        })
        .await
    }

    /// Writes an app's desired state if its generation is newer than the stored one, and the copy
    /// of its manifest beside the store.
    ///
    /// # Errors
    /// [`StoreError::GenerationStale`] when somebody else was first,
    /// [`StoreError::ManifestUnknown`] before [`Store::accept_manifest`], failures to write.
    pub async fn put_app(&self, record: AppRecord) -> Result<(), StoreError> {
        let dir = self.dir().to_owned();
        let kept = record.clone();
        self.write_then(
            move |connection| put(connection, &record),
            Box::new(move |text: &Vec<u8>| copies::write(&dir, &kept, text)),
        )
        .await
        .map(drop)
    }

    /// Writes an app's desired state, its manifest's text if it is new, and the operation that is
    /// to bring it about, all or none; returns the operation.
    ///
    /// # Errors
    /// As [`Store::put_app`].
    pub async fn accept(
        &self,
        record: AppRecord,
        text: Option<Vec<u8>>,
        operation: NewOperation,
    ) -> Result<OperationId, StoreError> {
        self.accept_replacing(record, text, operation, Replaced::AsItIs).await
    }

    /// As [`Store::accept`], and says what becomes of the state that is kept from before an update.
    ///
    /// # Errors
    /// As [`Store::put_app`].
    pub async fn accept_replacing(
        &self,
        record: AppRecord,
        text: Option<Vec<u8>>,
        operation: NewOperation,
        replaced: Replaced,
    ) -> Result<OperationId, StoreError> {
        let dir = self.dir().to_owned();
        let kept = record.clone();
        self.write_then(
            move |connection| {
                if let Some(text) = text {
                    accept(connection, &text, operation.created)?;
                }
                previous::replace(connection, &record, replaced, operation.created)?;
                let text = put(connection, &record)?;
                Ok((journal::queue(connection, &operation)?, text))
            },
            Box::new(move |(_, text): &(OperationId, Vec<u8>)| copies::write(&dir, &kept, text)),
        )
        .await
        .map(|(id, _)| id)
    }

    /// One app's desired state.
    ///
    /// # Errors
    /// [`StoreError::BadRecord`] and failures to read.
    pub async fn app(&self, app: &AppId) -> Result<Option<AppRecord>, StoreError> {
        let app = app.clone();
        self.read(move |connection| {
            rows::one(connection, "SELECT * FROM apps WHERE id = ?", [app.as_str()], read_app)
        })
        .await
    }

    /// Desired state of all apps, by id.
    ///
    /// # Errors
    /// [`StoreError::BadRecord`] and failures to read.
    pub async fn apps(&self) -> Result<Vec<AppRecord>, StoreError> {
        self.read(|connection| {
            rows::all(connection, "SELECT * FROM apps ORDER BY id", [], read_app)
        })
        .await
    }

    /// What an app was that was uninstalled and left its data, and the text of its manifest; nothing
    /// when it is installed, was removed with its data, or was never there.
    ///
    /// # Errors
    /// Failures to read.
    pub async fn uninstalled(
        &self,
        app: &AppId,
    ) -> Result<Option<(AppRecord, Vec<u8>)>, StoreError> {
        let (app, dir) = (app.clone(), self.dir().to_owned());
        self.read(move |connection| {
            let installed = stored_generation(connection, &app)?.is_some();
            Ok(if installed { None } else { copies::uninstalled(&dir, &app) })
        })
        .await
    }

    /// Forgets an app whose removal is complete, with the copy of its manifest; of one that leaves
    /// its data see [`Store::uninstalled`]. Its history stays.
    /// Given a generation, only if that is the stored one.
    ///
    /// # Errors
    /// [`StoreError::GenerationStale`], [`StoreError::NotFound`], failures to write.
    pub async fn forget_app(
        &self,
        app: &AppId,
        generation: Option<Generation>,
    ) -> Result<(), StoreError> {
        let (app, gone, dir) = (app.clone(), app.clone(), self.dir().to_owned());
        self.write_then(
            move |connection| {
                let stored = stored_generation(connection, &app)?
                    .ok_or_else(|| StoreError::NotFound { what: format!("app {app}") })?;
                if let Some(given) = generation.filter(|given| *given != stored) {
                    return Err(StoreError::GenerationStale { app, stored, given }.into());
                }
                connection.execute("DELETE FROM apps WHERE id = ?", [app.as_str()])?;
                previous::forget(connection, &app)?;
                Ok(())
            },
            Box::new(move |()| copies::forget(&dir, &gone)),
        )
        .await
    }
}

fn accept(connection: &Connection, text: &[u8], at: Timestamp) -> Result<Digest, Fault> {
    let digest = Digest::of(text);
    let sql = "INSERT OR IGNORE INTO manifests (digest, text, accepted) VALUES (?, ?, ?)";
    connection.prepare_cached(sql)?.execute(params![digest.to_string(), text, at.0])?;
    Ok(digest)
}

pub(crate) fn put(connection: &Connection, record: &AppRecord) -> Result<Vec<u8>, Fault> {
    if let Some(stored) = stored_generation(connection, &record.app)?
        && record.generation <= stored
    {
        let (app, given) = (record.app.clone(), record.generation);
        return Err(StoreError::GenerationStale { app, stored, given }.into());
    }
    let text = manifest_text(connection, record.manifest)?
        .ok_or(StoreError::ManifestUnknown(record.manifest))?;
    let package_dir = record.package_dir.as_ref().map(|dir| {
        dir.to_str().ok_or_else(|| StoreError::Refused {
            what: "the package directory",
            reason: format!("{} is not UTF-8", dir.display()),
        })
    });
    let generation = i64::try_from(record.generation.0).map_err(|_| StoreError::Refused {
        what: "the generation",
        reason: format!("{} is too great", record.generation),
    })?;
    let sql = "INSERT INTO apps (id, generation, manifest, desired, actor, since, settings, ports,
                   pinned_version, package_dir, data_due, adopted)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
               ON CONFLICT (id) DO UPDATE SET generation = excluded.generation,
                   manifest = excluded.manifest, desired = excluded.desired,
                   actor = excluded.actor, since = excluded.since, settings = excluded.settings,
                   ports = excluded.ports, pinned_version = excluded.pinned_version,
                   package_dir = excluded.package_dir, data_due = excluded.data_due,
                   adopted = excluded.adopted";
    connection.prepare_cached(sql)?.execute(params![
        record.app.as_str(),
        generation,
        record.manifest.to_string(),
        record.desired.as_str(),
        rows::to_json("the actor", &record.actor)?,
        record.since.0,
        rows::to_json("the settings", &record.settings)?,
        rows::to_json("the ports", &record.ports)?,
        record.pinned_version,
        package_dir.transpose()?,
        record.data_due.as_ref().map(|due| rows::to_json("what is due", due)).transpose()?,
        record.adopted.as_ref().map(|it| rows::to_json("what was adopted", it)).transpose()?,
    ])?;
    Ok(text)
}

fn stored_generation(connection: &Connection, app: &AppId) -> Result<Option<Generation>, Fault> {
    let sql = "SELECT id, generation FROM apps WHERE id = ?";
    rows::one(connection, sql, [app.as_str()], |row| {
        read_generation(&Reader { row, table: "apps", key: row.get("id")? })
    })
}

fn read_generation(reader: &Reader<'_, '_>) -> Result<Generation, Fault> {
    let number: i64 = reader.get("generation")?;
    let number = u64::try_from(number).map_err(|error| reader.bad("generation", &error))?;
    Ok(Generation(number))
}

fn manifest_text(connection: &Connection, digest: Digest) -> Result<Option<Vec<u8>>, Fault> {
    let sql = "SELECT text FROM manifests WHERE digest = ?";
    rows::one(connection, sql, [digest.to_string()], |row| Ok(row.get(0)?))
}

fn read_app(row: &Row<'_>) -> Result<AppRecord, Fault> {
    read_record(&Reader { row, table: "apps", key: row.get("id")? })
}

/// A record out of a row that has the columns of one.
pub(crate) fn read_record(reader: &Reader<'_, '_>) -> Result<AppRecord, Fault> {
    let value = |column: &'static str| -> Result<Option<serde_json::Value>, Fault> {
        let text: Option<String> = reader.get(column)?;
        let value = text.map(|text| serde_json::from_str(&text)).transpose();
        value.map_err(|error| reader.bad(column, &error))
    };
    Ok(AppRecord {
        app: reader.parse("id")?,
        generation: read_generation(reader)?,
        manifest: reader.parse("manifest")?,
        desired: reader.parse("desired")?,
        actor: reader.json("actor")?,
        since: Timestamp(reader.get("since")?),
        settings: reader.json("settings")?,
        ports: reader.json("ports")?,
        pinned_version: reader.get("pinned_version")?,
        package_dir: reader.get::<Option<String>>("package_dir")?.map(PathBuf::from),
        data_due: value("data_due")?,
        adopted: value("adopted")?,
    })
}
