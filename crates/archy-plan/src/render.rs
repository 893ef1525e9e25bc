//! From a desired app to its units.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use archy_manifest::model::{ImageSource, MountSource, SettingKind};
use archy_manifest::names;
use archy_manifest::template::{Placeholder, Template};
use archy_quadlet::render::{LABEL_CONTEXT, local_image};
use archy_quadlet::{Deployment, FileKind, HostFacts, RenderInput};
use archy_types::{ServiceName, UserError};

use crate::desired::{DesiredApp, DesiredState};
use crate::observed::Observed;
use crate::{provider, scene, secrets};

/// The role whose provider `{{BITCOIN_HOST}}` names.
const BITCOIN_ROLE: &str = "bitcoin";

/// Renders an app's units. `all` are the node's apps, for ordering and roles.
///
/// As long as a secret that the app uses is missing, the units carry `pending` instead of the hash
/// of the secrets.
///
/// # Errors
/// What this host or this manifest cannot have, for example a placeholder without a value.
pub fn render_app(
    app: &DesiredApp,
    observed: &Observed,
    all: &[DesiredApp],
) -> Result<Deployment, UserError> {
    if app.is_watched() {
        return Ok(Deployment::default());
    }
    let host = host_with_roles(app, &observed.host, all);
    let input = RenderInput {
        manifest: &app.manifest,
        digest: app.digest,
        generation: app.generation,
        enabled: app.state == DesiredState::Running,
        host: &host,
        config: config(app),
        port_overrides: app.port_overrides.clone(),
        secrets_hash: secrets::hash(app, observed),
        package_dir: app.package_dir.clone(),
        contexts: contexts(app, observed),
        local_images: local_images(app, observed),
        after_units: provider::after_units(app, all),
    };
    Ok(archy_quadlet::render(&input)?)
}

/// Digests of the app's build contexts. One that cannot be read counts as what the deployed unit was
/// made for: nothing is built anew for what is not known.
#[must_use]
pub fn contexts(app: &DesiredApp, observed: &Observed) -> BTreeMap<ServiceName, String> {
    let seen = observed.contexts.get(&app.manifest.id);
    let digest = |name: &ServiceName| {
        let deployed = || {
            let file = FileKind::Build.file(&names::container(&app.manifest, name));
            let text = observed.unit_files.get()?.get(&file)?;
            scene::label(text, LABEL_CONTEXT).map(str::to_owned)
        };
        seen.and_then(|seen| seen.get(name)).cloned().or_else(deployed)
    };
    built(app).filter_map(|name| Some((name.clone(), digest(name)?))).collect()
}

/// Services whose image the owner made in place of the one that is built.
#[must_use]
pub fn local_images(app: &DesiredApp, observed: &Observed) -> BTreeSet<ServiceName> {
    let there = |name: &&ServiceName| {
        let image = local_image(&names::container(&app.manifest, name));
        observed.images.get().is_some_and(|images| images.contains(&image))
    };
    built(app).filter(there).cloned().collect()
}

fn built(app: &DesiredApp) -> impl Iterator<Item = &ServiceName> {
    let services = app.manifest.services.iter();
    services
        .filter(|(_, service)| matches!(service.source, ImageSource::Build { .. }))
        .map(|(name, _)| name)
}

/// Settings by key: the owner's choice, else the default. Of a secret only that it is set.
pub(crate) fn config(app: &DesiredApp) -> BTreeMap<String, serde_json::Value> {
    let mut values = BTreeMap::new();
    for (key, setting) in &app.manifest.config {
        let chosen = app.settings.get(key).filter(|value| !value.is_null());
        if setting.kind == SettingKind::Secret {
            if chosen.is_some() {
                values.insert(key.clone(), serde_json::Value::Null);
            }
        } else if let Some(value) = chosen.or(setting.default.as_ref()) {
            values.insert(key.clone(), value.clone());
        }
    }
    values
}

/// The host's facts with the names of the apps that fill the roles this app's templates name.
fn host_with_roles<'a>(
    app: &DesiredApp,
    host: &'a HostFacts,
    all: &[DesiredApp],
) -> Cow<'a, HostFacts> {
    let services = || app.manifest.services.values();
    let arguments = services().flat_map(|service| &service.args);
    let arguments: Vec<Template> =
        arguments.filter_map(|text| Template::parse(text).ok()).collect();
    let templates = services().flat_map(|service| service.derived_env.values()).chain(&arguments);
    let mut named: BTreeSet<Placeholder> = templates
        .flat_map(Template::placeholders)
        .filter(|placeholder| {
            matches!(placeholder, Placeholder::RoleHost(_) | Placeholder::BitcoinHost)
        })
        .cloned()
        .collect();
    let mounts = services().flat_map(|service| &service.mounts);
    named.extend(mounts.filter_map(|mount| match &mount.source {
        MountSource::Role(role) => Some(Placeholder::RoleHost(role.clone())),
        _ => None,
    }));
    let mut host = Cow::Borrowed(host);
    for placeholder in &named {
        if let Some(container) = role_host(app, placeholder, &host, all) {
            host.to_mut().values.insert(placeholder.clone(), container);
        }
    }
    host
}

/// The container of the app that fills the role which a placeholder names; without one, the app that
/// the node's settings name for the role. Nothing for a placeholder that names no role.
#[must_use]
pub fn role_host(
    app: &DesiredApp,
    placeholder: &Placeholder,
    host: &HostFacts,
    all: &[DesiredApp],
) -> Option<String> {
    let role = match placeholder {
        Placeholder::RoleHost(role) => role,
        Placeholder::BitcoinHost => BITCOIN_ROLE,
        _ => return None,
    };
    let provider = provider::of_role(app, role, all).and_then(provider::chief_container);
    provider.or_else(|| host.values.get(&Placeholder::RoleHost(role.to_owned())).cloned())
}
