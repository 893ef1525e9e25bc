//! The environment of a container.
//!
//! Plain `env` first, then the owner's settings, then templates; a later value of a variable takes
//! the earlier one's place. A variable that comes from a secret has no plain value: only the
//! secret's name is in the unit.

use archy_manifest::model::{MountSource, Service, SettingKind, SettingTarget};
use archy_manifest::template::{Placeholder, Template};
use archy_types::ServiceName;
use indexmap::IndexMap;

use super::config_secret_name;
use crate::error::RenderError;
use crate::input::RenderInput;

/// Variables of a service with their values.
pub(super) fn plain(
    input: &RenderInput<'_>,
    name: &ServiceName,
    service: &Service,
) -> Result<IndexMap<String, String>, RenderError> {
    let mut env = service.env.clone();
    for (key, setting) in &input.manifest.config {
        if setting.kind == SettingKind::Secret {
            continue;
        }
        for variable in targets(&setting.targets, name) {
            if let Some(value) = setting_value(input, key)? {
                env.insert(variable.to_owned(), value);
            }
        }
    }
    for (variable, template) in &service.derived_env {
        env.insert(variable.clone(), derived(input, name, variable, template)?);
    }
    for variable in secret_variables(input, name, service).keys() {
        env.shift_remove(variable);
    }
    Ok(env)
}

/// Variables that come from secrets: variable to name of the Podman secret.
pub(super) fn secret_variables(
    input: &RenderInput<'_>,
    name: &ServiceName,
    service: &Service,
) -> IndexMap<String, String> {
    let mut variables = service.secret_env.clone();
    for (key, setting) in &input.manifest.config {
        // A secret setting that nobody has set has no secret to refer to.
        if setting.kind == SettingKind::Secret && input.config.contains_key(key) {
            let secret = config_secret_name(&input.manifest.id, key);
            for variable in targets(&setting.targets, name) {
                variables.insert(variable.to_owned(), secret.clone());
            }
        }
    }
    variables
}

/// True when the content of a secret reaches the container, as a variable or in a file.
pub(super) fn uses_secrets(input: &RenderInput<'_>, name: &ServiceName, service: &Service) -> bool {
    let in_file = |path: &str| {
        let files = input.manifest.files.iter().filter(|file| covers(path, &file.path));
        files
            .flat_map(|file| file.content.placeholders())
            .any(|placeholder| matches!(placeholder, Placeholder::Secret(_)))
    };
    !secret_variables(input, name, service).is_empty()
        || !service.secret_files.is_empty()
        || service.mounts.iter().any(|mount| match &mount.source {
            MountSource::File(path) => in_file(path),
            MountSource::AppDir { path, .. } => in_file(path),
            _ => false,
        })
}

/// True when mounting `mounted` shows the file `path` (both relative to the data directory).
fn covers(mounted: &str, path: &str) -> bool {
    let inside = |rest: &str| rest.is_empty() || rest.starts_with('/');
    mounted.is_empty() || path.strip_prefix(mounted.trim_end_matches('/')).is_some_and(inside)
}

fn targets<'a>(
    targets: &'a [SettingTarget],
    name: &'a ServiceName,
) -> impl Iterator<Item = &'a str> {
    targets.iter().filter_map(move |target| match target {
        SettingTarget::Env { service, variable } if service == name => Some(variable.as_str()),
        _ => None,
    })
}

/// The text of a setting: the owner's choice, else the default; nothing when it has neither.
fn setting_value(input: &RenderInput<'_>, key: &str) -> Result<Option<String>, RenderError> {
    let setting = input.manifest.config.get(key);
    let default = || setting.and_then(|setting| setting.default.as_ref());
    match input.config.get(key).filter(|value| !value.is_null()).or_else(default) {
        None | Some(serde_json::Value::Null) if setting.is_some_and(|s| s.required) => {
            Err(RenderError::SettingMissing { key: key.to_owned() })
        }
        None | Some(serde_json::Value::Null) => Ok(None),
        Some(serde_json::Value::String(text)) => Ok(Some(text.clone())),
        Some(serde_json::Value::Bool(yes)) => Ok(Some(yes.to_string())),
        Some(serde_json::Value::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => Err(RenderError::Setting { key: key.to_owned() }),
    }
}

fn derived(
    input: &RenderInput<'_>,
    name: &ServiceName,
    variable: &str,
    template: &Template,
) -> Result<String, RenderError> {
    let unknown = |placeholder: &Placeholder| RenderError::Placeholder {
        service: name.clone(),
        variable: variable.to_owned(),
        placeholder: placeholder.clone(),
    };
    let files_only = |placeholder: &Placeholder| RenderError::FilesOnly {
        service: name.clone(),
        variable: variable.to_owned(),
        placeholder: placeholder.clone(),
    };
    template.resolve(|placeholder| match placeholder {
        Placeholder::Secret(_) | Placeholder::NetworkGateway => Err(files_only(placeholder)),
        Placeholder::Config(key) => match input.manifest.config.get(key) {
            None => Err(unknown(placeholder)),
            Some(setting) if setting.kind == SettingKind::Secret => Err(files_only(placeholder)),
            Some(_) => Ok(setting_value(input, key)?.unwrap_or_default()),
        },
        known => input.host.values.get(known).cloned().ok_or_else(|| unknown(placeholder)),
    })
}
