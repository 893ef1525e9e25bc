//! From a desired app to its units.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use archy_manifest::model::SettingKind;
use archy_manifest::template::Placeholder;
use archy_quadlet::{Deployment, HostFacts, RenderInput};
use archy_types::UserError;

use crate::desired::{DesiredApp, DesiredState};
use crate::observed::Observed;
use crate::{provider, secrets};

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
        after_units: provider::after_units(app, all),
    };
    Ok(archy_quadlet::render(&input)?)
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
    let templates = app.manifest.services.values().flat_map(|service| service.derived_env.values());
    let named: BTreeSet<&Placeholder> = templates
        .flat_map(archy_manifest::template::Template::placeholders)
        .filter(|placeholder| {
            matches!(placeholder, Placeholder::RoleHost(_) | Placeholder::BitcoinHost)
        })
        .collect();
    let mut host = Cow::Borrowed(host);
    for placeholder in named {
        let role = match placeholder {
            Placeholder::RoleHost(role) => role,
            _ => BITCOIN_ROLE,
        };
        let provider = provider::of_role(app, role, all).and_then(provider::chief_container);
        // without a provider, the app that the node's settings name for the role
        let default = || host.values.get(&Placeholder::RoleHost(role.to_owned())).cloned();
        if let Some(container) = provider.or_else(default) {
            host.to_mut().values.insert(placeholder.clone(), container);
        }
    }
    host
}
