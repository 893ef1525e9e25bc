//! Apps in a registry: manifests, icons, test results, and the catalog that lists them.

use archy_types::{AppId, Digest};
use serde_json::{Map, Value, json};

use super::Project;
use crate::error::RegistryError;
use crate::files;
use crate::names;
use crate::schema::{Moment, TARGETS, TargetFile, Targets};
use crate::store::MAX_FILE;
use crate::trust;

/// Files of an app.
#[derive(Debug, Clone, Default)]
pub struct AppFiles<'a> {
    /// Its manifest, YAML or JSON.
    pub manifest: &'a [u8],
    /// Its icon: `svg`, `png` or `webp`, and the bytes.
    pub icon: Option<(&'a str, &'a [u8])>,
    /// The gate's result (JSON).
    pub test: Option<&'a [u8]>,
}

/// An app that was added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// The app.
    pub id: AppId,
    /// Its version.
    pub version: String,
    /// The version that was there.
    pub before: Option<String>,
}

/// Largest icon.
const MAX_ICON: usize = 512 * 1024;
/// Largest test result.
const MAX_TEST: usize = 1024 * 1024;

impl Project {
    /// Adds apps to a role's catalog, each in place of its version before; the role's list of
    /// targets waits to be signed then.
    ///
    /// # Errors
    /// A manifest has errors, the publisher may not offer the app, or files cannot be written.
    pub fn add<'a>(
        &self,
        role: &str,
        apps: impl IntoIterator<Item = AppFiles<'a>>,
        now: Moment,
    ) -> Result<Vec<Added>, RegistryError> {
        let mut targets = self.targets(role)?;
        let mut catalog = self.catalog(role, &targets)?;
        let mut added = Vec::new();
        for files in apps {
            added.push(self.add_one(role, &files, &mut targets, &mut catalog)?);
        }
        self.put_catalog(role, targets, &catalog, now)?;
        Ok(added)
    }

    /// Takes an app out of a role's catalog.
    ///
    /// # Errors
    /// It is not in it, or files cannot be written.
    pub fn remove(&self, role: &str, app: &AppId, now: Moment) -> Result<(), RegistryError> {
        let mut targets = self.targets(role)?;
        let mut catalog = self.catalog(role, &targets)?;
        if catalog.remove(app.as_str()).is_none() {
            return Err(RegistryError::Project(format!("{role} does not offer {app}")));
        }
        let prefix = names::app_file(app.as_str(), "");
        targets.targets.retain(|name, _| !name.starts_with(&prefix));
        self.put_catalog(role, targets, &catalog, now)
    }

    fn add_one(
        &self,
        role: &str,
        files: &AppFiles<'_>,
        targets: &mut Targets,
        catalog: &mut Map<String, Value>,
    ) -> Result<Added, RegistryError> {
        let parsed = archy_manifest::parse(files.manifest);
        let Some(manifest) = parsed.manifest else {
            return Err(RegistryError::format("the manifest", parsed.diagnostics));
        };
        let id = manifest.id.clone();
        if role != TARGETS && !self.delegation(role)?.allows(&names::manifest(id.as_str())) {
            return Err(RegistryError::Project(format!("{role} may not offer {id}")));
        }
        let document = archy_manifest::yaml::to_json(files.manifest)
            .map_err(|error| RegistryError::format("the manifest", error))?;
        let text = serde_json::to_vec(&document)
            .map_err(|error| RegistryError::format("the manifest", error))?;
        let prefix = names::app_file(id.as_str(), "");
        targets.targets.retain(|name, _| !name.starts_with(&prefix));
        let custom = json!({"app": id, "version": manifest.version});
        let mut put = |name: String, bytes: &[u8]| -> Result<(), RegistryError> {
            let target = self.put_file(&name, bytes, Some(custom.clone()))?;
            targets.targets.insert(name, target);
            Ok(())
        };
        put(names::manifest(id.as_str()), &text)?;
        if let Some((kind, icon)) = files.icon {
            check_icon(kind, icon)?;
            put(names::app_file(id.as_str(), &format!("icon.{kind}")), icon)?;
        }
        if let Some(test) = files.test {
            check_test(test)?;
            put(names::app_file(id.as_str(), "test.json"), test)?;
        }
        let entry = json!({"version": manifest.version, "manifest": document});
        let before = catalog.insert(id.to_string(), entry);
        let before = before.and_then(|entry| Some(entry.get("version")?.as_str()?.to_owned()));
        Ok(Added { id, version: manifest.version, before })
    }

    /// Writes a target's file under its digest.
    pub(super) fn put_file(
        &self,
        name: &str,
        bytes: &[u8],
        custom: Option<Value>,
    ) -> Result<TargetFile, RegistryError> {
        names::check_target(name)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(RegistryError::TooLarge { file: name.to_owned(), limit: MAX_FILE });
        }
        let digest = Digest::of(bytes).hex();
        let path = self.public().join("targets").join(format!("{digest}.{name}"));
        if !path.exists() {
            files::write(&path, bytes)?;
        }
        let hashes = [("sha256".to_owned(), digest)].into();
        Ok(TargetFile { length: bytes.len() as u64, hashes, custom })
    }

    /// Apps of a role by id.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub fn catalog(
        &self,
        role: &str,
        targets: &Targets,
    ) -> Result<Map<String, Value>, RegistryError> {
        let name = names::catalog(role);
        let Some(target) = targets.targets.get(&name) else { return Ok(Map::new()) };
        let digest = trust::sha256(&target.hashes).cloned().unwrap_or_default();
        let path = self.public().join("targets").join(format!("{digest}.{name}"));
        let bytes = files::read(&path, MAX_FILE)?;
        trust::check_target(&name, target, &bytes)?;
        let document: Value =
            serde_json::from_slice(&bytes).map_err(|error| RegistryError::format(&name, error))?;
        Ok(document.get("apps").and_then(Value::as_object).cloned().unwrap_or_default())
    }

    fn put_catalog(
        &self,
        role: &str,
        mut targets: Targets,
        apps: &Map<String, Value>,
        now: Moment,
    ) -> Result<(), RegistryError> {
        let name = names::catalog(role);
        let text = serde_json::to_vec(&json!({ "apps": apps }))
            .map_err(|error| RegistryError::format(&name, error))?;
        let target = self.put_file(&name, &text, None)?;
        targets.targets.insert(name, target);
        self.put_targets(role, targets, now)
    }
}

fn check_icon(kind: &str, icon: &[u8]) -> Result<(), RegistryError> {
    if !["svg", "png", "webp"].contains(&kind) {
        return Err(RegistryError::format("the icon", format!("{kind:?} is no kind of icon")));
    }
    if icon.len() > MAX_ICON {
        let limit = MAX_ICON as u64;
        return Err(RegistryError::TooLarge { file: "the icon".to_owned(), limit });
    }
    Ok(())
}

fn check_test(test: &[u8]) -> Result<(), RegistryError> {
    if test.len() > MAX_TEST {
        let limit = MAX_TEST as u64;
        return Err(RegistryError::TooLarge { file: "the test result".to_owned(), limit });
    }
    let read: Result<serde::de::IgnoredAny, _> = serde_json::from_slice(test);
    read.map(drop).map_err(|error| RegistryError::format("the test result", error))
}
