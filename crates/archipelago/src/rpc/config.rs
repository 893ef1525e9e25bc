//! `package.config.*`: an app's settings.

use std::collections::BTreeMap;

use archy_api::package::SettingKind as ApiKind;
use archy_api::package::{AcceptedResult, AppParams, ConfigResult, SetConfigParams, Setting};
use archy_engine::RequestKind;
use archy_manifest::Manifest;
use archy_manifest::model::{self, SettingKind};
use archy_quadlet::render::config_secret_name;
use archy_store::files::{FileError, SecretStore};
use archy_types::{Secret, UserError};
use serde_json::Value;

use super::package::{accept, installed};
use super::table::{Answer, Call};
use crate::app::App;

pub(super) async fn get(app: &App, _: &Call, params: AppParams) -> Answer<ConfigResult> {
    let view = installed(app, &params.id)?;
    let record = app.store.app(&view.manifest.id).await.map_err(UserError::from)?;
    let chosen = record.map(|record| record.settings).unwrap_or_default();
    let settings = view.manifest.config.iter();
    Ok(ConfigResult {
        package_id: params.id,
        settings: settings.map(|(key, setting)| shown(key, setting, chosen.get(key))).collect(),
    })
}

pub(super) async fn set(app: &App, call: &Call, params: SetConfigParams) -> Answer<AcceptedResult> {
    let view = installed(app, &params.id)?;
    check(&view.manifest, &params.settings)?;
    let settings = keep_secrets(app, &view.manifest, params.settings).await?;
    let kind = RequestKind::Configure { app: view.manifest.id.clone(), settings };
    let accepted = accept(app, call, &params.id, kind, ("configure", "configuring")).await;
    // a secret that changed shows in no setting, only in the next look
    app.backends.engine.poke();
    accepted
}

/// What stands in the settings for a secret: the secret itself is a file.
const KEPT_AS_SECRET: &str = "kept as a secret";

/// Moves the values of secret settings to the secrets' directory, and leaves a mark in their place.
///
/// # Errors
/// A secret cannot be written.
pub(super) async fn keep_secrets(
    app: &App,
    manifest: &Manifest,
    mut settings: BTreeMap<String, Value>,
) -> Result<BTreeMap<String, Value>, UserError> {
    let mut kept = Vec::new();
    for (key, value) in &mut settings {
        let secret = manifest.config.get(key).is_some_and(|s| s.kind == SettingKind::Secret);
        if let (true, Some(text)) = (secret, value.as_str()) {
            kept.push((config_secret_name(&manifest.id, key), Secret::new(text)));
            *value = Value::from(KEPT_AS_SECRET);
        }
    }
    let dir = app.config.paths.secrets_dir.clone();
    let write = move || -> Result<(), FileError> {
        let store = SecretStore::open(dir)?;
        kept.iter().try_for_each(|(name, value)| store.supply(name, value, true))
    };
    match tokio::task::spawn_blocking(write).await {
        Ok(done) => done.map_err(UserError::from)?,
        Err(_) => return Err(UserError::new("internal", "A secret could not be kept.")),
    }
    Ok(settings)
}

/// Checks settings against the manifest; null is always allowed.
///
/// # Errors
/// `setting-unknown` or `setting-invalid`. No message holds a value.
pub(super) fn check(
    manifest: &Manifest,
    settings: &BTreeMap<String, Value>,
) -> Result<(), UserError> {
    let hint = || format!("`archy config get {}` lists its settings and limits.", manifest.id);
    for (key, value) in settings {
        let Some(setting) = manifest.config.get(key) else {
            let key = super::errors::cut(key, 64);
            let message = format!("Not found: {} has no setting {key:?}.", manifest.id);
            return Err(UserError::new("setting-unknown", message).hint(hint()));
        };
        if value.is_null() {
            continue;
        }
        if let Err(reason) = setting.kind.check(value) {
            let message = format!("Invalid value: the setting {key:?} {reason}.");
            return Err(UserError::new("setting-invalid", message).hint(hint()));
        }
    }
    Ok(())
}

fn shown(key: &str, setting: &model::Setting, chosen: Option<&Value>) -> Setting {
    let chosen = chosen.filter(|value| !value.is_null());
    let secret = matches!(setting.kind, SettingKind::Secret);
    let open = |value: Option<&Value>| value.filter(|_| !secret).cloned();
    let mut out = Setting {
        key: key.to_owned(),
        label: setting.label.clone(),
        help: setting.help.clone(),
        kind: ApiKind::Text,
        value: open(chosen.or(setting.default.as_ref())),
        default: open(setting.default.as_ref()),
        is_set: chosen.is_some(),
        required: setting.required,
        choices: Vec::new(),
        min: None,
        max: None,
        pattern: None,
    };
    match &setting.kind {
        SettingKind::Text { min_length, max_length, pattern } => {
            out.min = min_length.map(f64::from);
            out.max = max_length.map(f64::from);
            out.pattern.clone_from(pattern);
        }
        SettingKind::Number { min, max, .. } => {
            out.kind = ApiKind::Number;
            (out.min, out.max) = (*min, *max);
        }
        SettingKind::Boolean => out.kind = ApiKind::Boolean,
        SettingKind::Choice(choices) => {
            out.kind = ApiKind::Choice;
            out.choices.clone_from(choices);
        }
        SettingKind::Secret => out.kind = ApiKind::Secret,
        SettingKind::Port => out.kind = ApiKind::Port,
        SettingKind::Path => out.kind = ApiKind::Path,
    }
    out
}
