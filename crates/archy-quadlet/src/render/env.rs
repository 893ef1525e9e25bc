//! The environment of a container.
//!
//! Plain `env` first, then the owner's settings, then templates; a later value of a variable takes
//! the earlier one's place. A variable that comes from a secret has no plain value: only the
//! secret's name is in the unit. A template that names a secret is filled in by the node, which
//! keeps the result as a secret of its own ([`Composed`]).

use archy_manifest::model::{MountSource, Service, SettingKind, SettingTarget};
use archy_manifest::template::{Part, Placeholder, Template};
use archy_types::{Digest, ServiceName};
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
        if !names_secret(input, template) {
            env.insert(variable.clone(), derived(input, name, variable, template)?);
        }
    }
    for variable in secret_variables(input, name, service)?.keys() {
        env.shift_remove(variable);
    }
    Ok(env)
}

/// A secret that the node puts together from others: the value of a variable whose template names a
/// secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composed {
    /// Name of the secret. Another template, or another value of a placeholder that is no secret,
    /// is another name, so that what is there under this name is never out of date by them.
    pub name: String,
    /// The value, in which only secrets are left to fill in, as `secret:NAME`.
    pub template: Template,
}

/// The secrets that an app's variables are put together in, each once.
///
/// # Errors
/// A placeholder without a value, or one that is possible in files only.
pub fn composed(input: &RenderInput<'_>) -> Result<Vec<Composed>, RenderError> {
    let mut all: Vec<Composed> = Vec::new();
    for (name, service) in &input.manifest.services {
        for (_, composed) in composed_of(input, name, service)? {
            if !all.contains(&composed) {
                all.push(composed);
            }
        }
    }
    Ok(all)
}

/// Variables of a service with the composed secret of each.
fn composed_of(
    input: &RenderInput<'_>,
    name: &ServiceName,
    service: &Service,
) -> Result<Vec<(String, Composed)>, RenderError> {
    let named = service.derived_env.iter().filter(|(_, template)| names_secret(input, template));
    named
        .map(|(variable, template)| {
            let mut parts = Vec::new();
            for part in template.parts() {
                parts.push(match part {
                    Part::Placeholder(Placeholder::Secret(_)) | Part::Text(_) => part.clone(),
                    Part::Placeholder(Placeholder::Config(key)) if is_secret(input, key) => {
                        match input.config.contains_key(key) {
                            true => Part::Placeholder(Placeholder::Secret(config_secret_name(
                                &input.manifest.id,
                                key,
                            ))),
                            false => Part::Text(String::new()),
                        }
                    }
                    Part::Placeholder(known) => Part::Text(filled(input, name, variable, known)?),
                });
            }
            let template = Template::from_parts(parts);
            let digest = Digest::of(template.to_string().as_bytes()).hex();
            let short = digest.get(..16).unwrap_or(&digest);
            let name = format!("{}-env-{short}", input.manifest.id);
            Ok((variable.clone(), Composed { name, template }))
        })
        .collect()
}

/// True for a template that holds the content of a secret.
fn names_secret(input: &RenderInput<'_>, template: &Template) -> bool {
    template.placeholders().any(|placeholder| match placeholder {
        Placeholder::Secret(_) => true,
        Placeholder::Config(key) => is_secret(input, key),
        _ => false,
    })
}

fn is_secret(input: &RenderInput<'_>, key: &str) -> bool {
    input.manifest.config.get(key).is_some_and(|setting| setting.kind == SettingKind::Secret)
}

/// Variables that come from secrets: variable to name of the Podman secret.
pub(super) fn secret_variables(
    input: &RenderInput<'_>,
    name: &ServiceName,
    service: &Service,
) -> Result<IndexMap<String, String>, RenderError> {
    let mut variables = service.secret_env.clone();
    for (variable, composed) in composed_of(input, name, service)? {
        variables.insert(variable, composed.name);
    }
    for (key, setting) in &input.manifest.config {
        // A secret setting that nobody has set has no secret to refer to.
        if setting.kind == SettingKind::Secret && input.config.contains_key(key) {
            let secret = config_secret_name(&input.manifest.id, key);
            for variable in targets(&setting.targets, name) {
                variables.insert(variable.to_owned(), secret.clone());
            }
        }
    }
    Ok(variables)
}

/// True when the content of a secret reaches the container, as a variable or in a file.
pub(super) fn uses_secrets(input: &RenderInput<'_>, name: &ServiceName, service: &Service) -> bool {
    let in_file = |path: &str| {
        let files = input.manifest.files.iter().filter(|file| covers(path, &file.path));
        files
            .flat_map(|file| file.content.placeholders())
            .any(|placeholder| matches!(placeholder, Placeholder::Secret(_)))
    };
    let settings = input.manifest.config.iter().any(|(key, setting)| {
        setting.kind == SettingKind::Secret
            && input.config.contains_key(key)
            && targets(&setting.targets, name).next().is_some()
    });
    settings
        || !service.secret_env.is_empty()
        || service.derived_env.values().any(|template| names_secret(input, template))
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
    template.resolve(|placeholder| filled(input, name, variable, placeholder))
}

/// The arguments of a container with their placeholders filled in. A text that is no template, such as
/// one with braces of the app's own, stays as it is.
pub(super) fn arguments(
    input: &RenderInput<'_>,
    name: &ServiceName,
    service: &Service,
) -> Result<Vec<String>, RenderError> {
    let one = |text: &String| match Template::parse(text) {
        Ok(template) if template.placeholders().next().is_some() => {
            template.resolve(|placeholder| filled(input, name, "command", placeholder))
        }
        _ => Ok(text.clone()),
    };
    service.args.iter().map(one).collect()
}

/// The value of a placeholder that is no secret.
fn filled(
    input: &RenderInput<'_>,
    name: &ServiceName,
    variable: &str,
    placeholder: &Placeholder,
) -> Result<String, RenderError> {
    let unknown = |placeholder: &Placeholder| RenderError::Placeholder {
        service: name.clone(),
        variable: variable.to_owned(),
        placeholder: placeholder.clone(),
    };
    match placeholder {
        Placeholder::Secret(_) | Placeholder::NetworkGateway => Err(RenderError::FilesOnly {
            service: name.clone(),
            variable: variable.to_owned(),
            placeholder: placeholder.clone(),
        }),
        Placeholder::Config(key) => match input.manifest.config.get(key) {
            None => Err(unknown(placeholder)),
            Some(setting) if setting.kind == SettingKind::Secret => Err(RenderError::FilesOnly {
                service: name.clone(),
                variable: variable.to_owned(),
                placeholder: placeholder.clone(),
            }),
            Some(_) => Ok(setting_value(input, key)?.unwrap_or_default()),
        },
        Placeholder::Port(port) => {
            let known = input.manifest.host_port(*port, &input.port_overrides);
            known.map(|port| port.to_string()).ok_or_else(|| unknown(placeholder))
        }
        known => input.host.values.get(known).cloned().ok_or_else(|| unknown(placeholder)),
    }
}
