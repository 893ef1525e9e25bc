//! The way back from what is deployed to what is wanted, for a node whose store is lost: a desired
//! state is read out of an app's units, and counts only if it renders to the same units again.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use archy_manifest::Manifest;
use archy_manifest::model::{Protocol, SettingKind, SettingTarget};
use archy_quadlet::{DeployedApp, Unit, UnitRole, config_secret_name};
use archy_types::{Actor, Digest, ServiceName, Timestamp, UserError};
use serde_json::Value;

use crate::desired::{DesiredApp, DesiredState};
use crate::intent::Intent;
use crate::observed::Observed;
use crate::order::plan_with;
use crate::render::render_app;
use crate::step::Step;
use crate::text::describe;

/// What stands in the settings for a secret: the secret itself is a file.
const SECRET_IS_SET: &str = "kept as a secret";

/// What an app's units do not tell.
#[derive(Debug, Clone, Default)]
pub struct Beside {
    /// When its units were written.
    pub since: Timestamp,
    /// Directory of its package.
    pub package_dir: Option<PathBuf>,
}

/// Reads the desired state out of an app's units. `texts` are the unit files by name.
///
/// # Errors
/// `rebuild-…`: the units are not all of one generation and of this manifest, or cannot be read.
pub fn from_units(
    manifest: &Arc<Manifest>,
    digest: Digest,
    deployed: &DeployedApp,
    texts: &BTreeMap<String, String>,
    beside: Beside,
) -> Result<DesiredApp, UserError> {
    let id = &manifest.id;
    let containers =
        deployed.files.iter().filter(|file| matches!(file.role, UnitRole::Container(_)));
    let mixed = containers
        .clone()
        .any(|file| file.generation != deployed.generation || file.manifest != Some(digest));
    let Some(generation) = deployed.generation.filter(|_| !mixed) else {
        let text = format!("The units of {id} are not all of one generation and this manifest.");
        return Err(UserError::new("rebuild-mixed", text).hint("A change of it was cut short."));
    };
    let mut units = BTreeMap::new();
    for file in containers {
        let (UnitRole::Container(name), Some(text)) = (&file.role, texts.get(&file.file_name))
        else {
            continue;
        };
        let unit = Unit::parse(text).map_err(|error| {
            let text = format!("{} cannot be read: {error}.", file.file_name);
            UserError::new("rebuild-unreadable", text)
        })?;
        units.insert(name.clone(), unit);
    }
    let state = if deployed.enabled { DesiredState::Running } else { DesiredState::Stopped };
    Ok(DesiredApp {
        manifest: manifest.clone(),
        digest,
        generation,
        state,
        actor: Actor::System,
        since: beside.since,
        settings: settings(manifest, &units),
        port_overrides: ports(manifest, &units),
        package_dir: beside.package_dir,
        data_due: None,
        adopted: None,
    })
}

/// What a pass would change of an app with this desired state, in words: nothing when the desired
/// state is the one that its units and files were made from, so that what runs stays untouched.
///
/// # Errors
/// It cannot be rendered on this host.
pub fn would_change(
    app: &DesiredApp,
    observed: &Observed,
    all: &[DesiredApp],
) -> Result<Vec<String>, UserError> {
    let deployment = render_app(app, observed, all)?;
    let plan = plan_with(app, &deployment, observed, all, Intent::Converge);
    if let Some(unknown) = plan.unknown() {
        return Err(UserError::from(unknown));
    }
    let disturbs = |step: &&Step| {
        matches!(
            step,
            Step::WriteUnitFile { .. }
                | Step::RemoveUnitFile { .. }
                | Step::WriteFile { .. }
                | Step::StopUnits { .. }
                | Step::RemoveContainer { .. }
        )
    };
    let steps = plan.steps.iter().map(|planned| &planned.step);
    Ok(steps.filter(disturbs).map(describe).collect())
}

/// The owner's settings, as far as they reach variables of containers.
fn settings(manifest: &Manifest, units: &BTreeMap<ServiceName, Unit>) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for (key, setting) in &manifest.config {
        if setting.kind == SettingKind::Secret {
            let secret = config_secret_name(&manifest.id, key);
            if units.values().any(|unit| hands_over(unit, &secret)) {
                found.insert(key.clone(), Value::from(SECRET_IS_SET));
            }
            continue;
        }
        let value = setting.targets.iter().find_map(|target| match target {
            SettingTarget::Env { service, variable } => {
                units.get(service)?.assignment("Container", "Environment", variable)
            }
            SettingTarget::File(_) => None,
        });
        let value = value.and_then(|text| typed(&setting.kind, text));
        if let Some(value) = value.filter(|value| setting.default.as_ref() != Some(value)) {
            found.insert(key.clone(), value);
        }
    }
    found
}

/// True when a unit hands a podman secret to its container.
fn hands_over(unit: &Unit, secret: &str) -> bool {
    let words = unit.values("Container", "Secret").into_iter();
    let mut names = words.filter_map(|value| value.read_words().ok()).flatten();
    names.any(|word| word.split(',').next() == Some(secret))
}

/// A variable's text as the value of a setting that would give it.
fn typed(kind: &SettingKind, text: String) -> Option<Value> {
    match kind {
        SettingKind::Boolean => text.parse::<bool>().ok().map(Value::from),
        SettingKind::Number { .. } | SettingKind::Port => {
            let number: serde_json::Number = text.parse().ok()?;
            Some(Value::Number(number))
        }
        _ => Some(Value::from(text)),
    }
}

/// Host ports that are not the manifest's.
fn ports(
    manifest: &Manifest,
    units: &BTreeMap<ServiceName, Unit>,
) -> BTreeMap<(u16, Protocol), u16> {
    let mut moved = BTreeMap::new();
    for (name, service) in &manifest.services {
        let Some(unit) = units.get(name) else { continue };
        let published = unit.values("Container", "PublishPort").into_iter();
        let published = published.filter_map(|value| published_port(&value.read_raw()));
        for (port, (host, container)) in service.ports.iter().zip(published) {
            if port.container == container && port.host != host {
                moved.insert((port.host, port.protocol), host);
            }
        }
    }
    moved
}

/// Host and container port of `[address:]host:container[/udp]`.
fn published_port(text: &str) -> Option<(u16, u16)> {
    let text = text.split('/').next()?;
    let (rest, container) = text.rsplit_once(':')?;
    let host = rest.rsplit(':').next()?;
    Some((host.parse().ok()?, container.parse().ok()?))
}
