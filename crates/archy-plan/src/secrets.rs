//! Which secrets an app uses, and the hash over them that its units carry.

use std::collections::BTreeMap;

use archy_manifest::Manifest;
use archy_manifest::model::{SecretKind, SettingKind};
use archy_manifest::template::Placeholder;
use archy_quadlet::{Composed, config_secret_name};
use archy_types::{AppId, Digest};

use crate::desired::DesiredApp;
use crate::observed::Observed;

/// Stands for the hash while a secret is still to be made.
pub(crate) const PENDING: &str = "pending";

/// Names of the secrets whose content reaches a container, and whether it is handed to Podman
/// (else it is written into a file).
pub(crate) fn used(app: &DesiredApp) -> BTreeMap<String, bool> {
    let mut names = BTreeMap::new();
    for service in app.manifest.services.values() {
        let handed = service.secret_env.values().chain(service.secret_files.keys());
        names.extend(handed.map(|name| (name.clone(), true)));
    }
    names.extend(from_settings(app).map(|name| (name, true)));
    let derived = app.manifest.services.values().flat_map(|service| service.derived_env.values());
    for template in app.manifest.files.iter().map(|file| &file.content).chain(derived) {
        for placeholder in template.placeholders() {
            if let Placeholder::Secret(name) = placeholder {
                names.entry(name.clone()).or_insert(false);
            }
        }
    }
    names
}

/// What is written beside a composed secret in Podman: a hash over its template and the keyed hashes of
/// what it is put together from; nothing while one of them is missing.
pub(crate) fn composed_hash(
    composed: &Composed,
    files: &BTreeMap<String, String>,
) -> Option<String> {
    let mut text = composed.template.to_string();
    for placeholder in composed.template.placeholders() {
        if let Placeholder::Secret(name) = placeholder {
            text.push('\0');
            text.push_str(files.get(name)?);
        }
    }
    Some(Digest::of(text.as_bytes()).hex())
}

/// True for the name of a secret that was put together for this app.
pub(crate) fn is_composed(app: &AppId, name: &str) -> bool {
    let digest = name.strip_prefix(app.as_str()).and_then(|rest| rest.strip_prefix("-env-"));
    digest.is_some_and(|text| text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Secrets that hold the owner's settings of kind `secret`.
pub(crate) fn from_settings(app: &DesiredApp) -> impl Iterator<Item = String> {
    app.manifest
        .config
        .iter()
        .filter(|(key, setting)| {
            setting.kind == SettingKind::Secret
                && app.settings.get(*key).is_some_and(|value| !value.is_null())
        })
        .map(|(key, _)| config_secret_name(&app.manifest.id, key))
}

/// Secrets that are an app's of this manifest, whatever its settings are.
pub(crate) fn named(manifest: &Manifest) -> impl Iterator<Item = String> {
    let settings = manifest.config.iter().filter(|(_, it)| it.kind == SettingKind::Secret);
    let settings = settings.map(|(key, _)| config_secret_name(&manifest.id, key));
    manifest.secrets.keys().cloned().chain(settings)
}

/// True when the app declares the secret, uses it or would use it if it ran.
pub(crate) fn concerns(app: &DesiredApp, name: &str) -> bool {
    app.manifest.secrets.contains_key(name) || used(app).contains_key(name)
}

/// Declared secrets that are made by the node.
pub(crate) fn generated(app: &DesiredApp) -> impl Iterator<Item = (&String, SecretKind)> {
    app.manifest
        .secrets
        .iter()
        .filter(|(_, kind)| **kind != SecretKind::Supplied)
        .map(|(name, kind)| (name, *kind))
}

/// A hash over the keyed hashes of all secrets that the app uses; [`PENDING`] as long as one of
/// them is missing, nothing when it uses none.
pub(crate) fn hash(app: &DesiredApp, observed: &Observed) -> Option<String> {
    let names = used(app);
    if names.is_empty() {
        return None;
    }
    let pending = || Some(PENDING.to_owned());
    let Some(hashes) = observed.secret_files.get() else { return pending() };
    let mut text = String::new();
    for name in names.keys() {
        let Some(hash) = hashes.get(name) else { return pending() };
        text.push_str(name);
        text.push('\0');
        text.push_str(hash);
        text.push('\n');
    }
    Some(Digest::of(text.as_bytes()).hex())
}
