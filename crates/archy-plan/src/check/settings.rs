//! The owner's settings against the manifest.

use std::collections::BTreeMap;

use archy_manifest::Manifest;
use archy_manifest::model::{SecretKind, Setting};
use serde_json::Value;

use super::check;
use crate::scene::Scene;
use crate::secrets;
use crate::step::{Check, Severity};

/// Checks settings by key as they would be stored; `null` stands for the default. A value is never
/// quoted, since it may be a secret.
#[must_use]
pub fn check_settings(manifest: &Manifest, settings: &BTreeMap<String, Value>) -> Vec<Check> {
    let mut found = Vec::new();
    for (key, value) in settings.iter().filter(|(_, value)| !value.is_null()) {
        let Some(setting) = manifest.config.get(key) else {
            found.push(unknown(manifest, key));
            continue;
        };
        if let Err(rule) = setting.kind.check(value) {
            let message = format!("The setting {key} ({}) {rule}.", setting.label);
            found.push(error("setting-invalid", message, setting));
        }
    }
    for (key, setting) in &manifest.config {
        let chosen = settings.get(key).filter(|value| !value.is_null());
        if setting.required && chosen.or(setting.default.as_ref()).is_none() {
            let message = format!("The setting {key} ({}) needs a value.", setting.label);
            found.push(error("setting-missing", message, setting));
        }
    }
    found
}

fn error(code: &'static str, message: String, setting: &Setting) -> Check {
    let found = check(Severity::Error, code, message);
    match &setting.help {
        Some(help) => found.mend(help.clone()),
        None => found.mend("Change it in the app's settings."),
    }
}

fn unknown(manifest: &Manifest, key: &str) -> Check {
    let message = format!("{} has no setting {key}.", manifest.name);
    let known: Vec<&str> = manifest.config.keys().map(String::as_str).collect();
    let mend = if known.is_empty() {
        "It has no settings at all.".to_owned()
    } else {
        format!("Its settings: {}.", known.join(", "))
    };
    check(Severity::Error, "setting-unknown", message).mend(mend)
}

/// Secrets that the owner must supply, or that no app makes.
pub(super) fn secrets_supplied(scene: &Scene<'_>) -> Vec<Check> {
    let (app, files) = (scene.app, scene.facts.secret_files);
    let from_settings: Vec<String> = secrets::from_settings(app).collect();
    let mut found = Vec::new();
    for name in secrets::used(app).into_keys().filter(|name| !files.contains_key(name)) {
        let generated = app.manifest.secrets.get(&name);
        if generated.is_some_and(|kind| *kind != SecretKind::Supplied) {
            continue;
        }
        if from_settings.contains(&name) {
            let message = format!("The secret {name} of the app's settings is not written yet.");
            found.push(check(Severity::Warning, "secret-missing", message));
            continue;
        }
        // the plaintext of a bcrypt secret is made together with its hash
        let stem =
            name.strip_suffix(".pw").and_then(|stem| app.manifest.secrets.get_key_value(stem));
        if let Some((stem, SecretKind::Bcrypt)) = stem
            && !files.contains_key(stem)
        {
            continue;
        }
        let message = format!("The secret {name} is missing, and the node cannot make it.");
        found.push(
            check(Severity::Error, "secret-missing", message).mend(format!(
                "Put it into the node's directory of secrets under the name {name}."
            )),
        );
    }
    found
}
