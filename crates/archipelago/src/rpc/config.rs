//! `package.config.*`: an app's settings.

use std::collections::BTreeMap;

use archy_api::package::SettingKind as ApiKind;
use archy_api::package::{AcceptedResult, AppParams, ConfigResult, SetConfigParams, Setting};
use archy_engine::RequestKind;
use archy_manifest::Manifest;
use archy_manifest::model::{self, SettingKind};
use archy_types::UserError;
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
    let kind = RequestKind::Configure { app: view.manifest.id.clone(), settings: params.settings };
    accept(app, call, &params.id, kind, ("config", "configuring")).await
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
