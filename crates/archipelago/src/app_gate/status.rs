//! Where the gate stands, for people.

use archy_api::gate::{GateAccess, GatePort, GateStatus, SetAccessParams};
use archy_engine::AppView;
use archy_engine::status::PortView;
use archy_proxy::{Access, Listening};
use archy_types::UserError;

use super::rules::{self, Exceptions};
use crate::app::App;
use crate::state::map::auth_name;

/// What stands before the ports of installed apps.
#[must_use]
pub fn status(app: &App) -> GateStatus {
    let snapshot = app.backends.engine.snapshot();
    let standing = &app.backends.standing;
    let (listening, exceptions) = (standing.ports(), standing.exceptions.now());
    let enabled = app.config.listen.app_gate;
    let mut ports: Vec<GatePort> = rules::staying(&snapshot)
        .flat_map(|view| view.ports.iter().map(move |port| (view, port)))
        .map(|(view, seen)| port(view, seen, enabled, listening.get(&seen.host), &exceptions))
        .collect();
    ports.sort_by(|a, b| (&a.app, a.port).cmp(&(&b.app, b.port)));
    GateStatus {
        enabled,
        tls: app.hub.links_secure(),
        fully_enforced: enabled && !ports.iter().any(|port| port.unprotected),
        ports,
    }
}

/// Makes an exception for a port, or takes it back.
///
/// # Errors
/// `port-unknown`, `port-past-gate`, or the store cannot be written.
pub async fn set_access(app: &App, params: SetAccessParams) -> Result<GateStatus, UserError> {
    app.backends.standing.exceptions.set(app, params).await?;
    Ok(status(app))
}

fn port(
    view: &AppView,
    port: &PortView,
    enabled: bool,
    listening: Option<&Listening>,
    exceptions: &Exceptions,
) -> GatePort {
    let exception = exceptions.get(&(view.manifest.id.to_string(), port.host)).copied();
    let declared = rules::access(port.auth).filter(|_| enabled && rules::is_ours(port));
    let access = declared.map(|declared| exception.unwrap_or(declared));
    GatePort {
        app: view.manifest.id.to_string(),
        port: port.host,
        declared: port.auth.map(|auth| auth_name(auth).to_owned()),
        access: access.map(|access| match access {
            Access::Gated => GateAccess::Gated,
            Access::Open => GateAccess::Open,
        }),
        exception: declared.is_some() && exception.is_some(),
        unprotected: !port.loopback_only,
        addresses: listening.map(addresses).unwrap_or_default(),
        refused: listening.map(refused).unwrap_or_default(),
    }
}

fn addresses(listening: &Listening) -> Vec<String> {
    listening.addresses.iter().map(ToString::to_string).collect()
}

fn refused(listening: &Listening) -> Vec<String> {
    listening.refused.iter().map(|(address, why)| format!("{address}: {why}")).collect()
}
