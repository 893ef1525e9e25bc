//! `health`, `server.*`, `container-list`, `system.*`, `node.*`.

use archy_api::container::ContainerEntry;
use archy_api::gate::{GateStatus, SetAccessParams};
use archy_api::health::HealthResult;
use archy_api::node::{AppCounts, NodeStatus};
use archy_api::rpc::NoParams;
use archy_api::server::{GetStateResult, SetNameParams, SetNameResult};
use archy_api::system::{HostnameResult, SystemInfo, SystemStats};
use archy_engine::{AppView, ServiceView};
use archy_types::{AppState, UserError};

use super::table::{Answer, Call};
use crate::app::{App, VERSION};
use crate::app_gate;
use crate::state::map;
use crate::system;

/// Longest name of a node, in characters.
const MAX_NAME: usize = 64;

pub(super) async fn health(app: &App, _: &Call, _: NoParams) -> Answer<HealthResult> {
    let seen = app.backends.engine.snapshot().observed_at.0 > 0;
    Ok(HealthResult {
        status: if seen { "ok" } else { "starting" }.to_owned(),
        crash_recovery_complete: app.recovery_complete().await,
        uptime_seconds: app.uptime_secs(),
        version: VERSION.to_owned(),
    })
}

/// The state; calls on their own take the serialized form and never come here.
pub(super) async fn get_state(app: &App, _: &Call, _: NoParams) -> Answer<GetStateResult> {
    let result = serde_json::from_slice(&app.hub.now().result);
    Ok(result.map_err(|error| UserError::new("internal", error.to_string()))?)
}

pub(super) async fn set_name(app: &App, _: &Call, params: SetNameParams) -> Answer<SetNameResult> {
    let name = check_name(&params.name)?;
    app.set_name(name).await?;
    Ok(SetNameResult { name: name.to_owned() })
}

/// The name of a node for people.
pub(super) fn check_name(name: &str) -> Result<&str, UserError> {
    let name = name.trim();
    let length = name.chars().count();
    if length == 0 || length > MAX_NAME || name.chars().any(char::is_control) {
        let message = format!("Invalid name: it must have 1 to {MAX_NAME} characters.");
        return Err(UserError::new("name-invalid", message).hint("Leave out control characters."));
    }
    Ok(name)
}

pub(super) async fn containers(app: &App, _: &Call, _: NoParams) -> Answer<Vec<ContainerEntry>> {
    let snapshot = app.backends.engine.snapshot();
    let of = |view: &AppView| {
        let entries: Vec<_> =
            view.services.iter().map(|service| container(view, service)).collect();
        entries
    };
    Ok(snapshot.apps.values().flat_map(|view| of(view)).collect())
}

fn container(view: &AppView, service: &ServiceView) -> ContainerEntry {
    let state = match service.unit_state.as_str() {
        "active" | "reloading" => "running",
        "activating" => "starting",
        "deactivating" => "stopping",
        "failed" => "failed",
        "inactive" if service.exit_status.is_some_and(|status| status != 0) => "exited",
        "inactive" => "stopped",
        _ => "unknown",
    };
    ContainerEntry {
        name: service.container.clone(),
        app: view.manifest.id.to_string(),
        service: service.name.to_string(),
        state: state.to_owned(),
        health: service.health,
        image: map::image(&view.manifest, service),
        ports: view.ports.iter().filter(|p| p.service == service.name).map(map::port).collect(),
        started: service.active_since.map(|at| at.0),
        restarts: service.restarts,
    }
}

pub(super) async fn system_info(app: &App, _: &Call, _: NoParams) -> Answer<SystemInfo> {
    let facts = app.backends.system.facts().await;
    Ok(system::info(app, facts).await)
}

pub(super) async fn hostname(app: &App, _: &Call, _: NoParams) -> Answer<HostnameResult> {
    let hostname = app.hostname.clone();
    Ok(HostnameResult { mdns: format!("{hostname}.local"), hostname })
}

pub(super) async fn stats(app: &App, _: &Call, _: NoParams) -> Answer<SystemStats> {
    Ok(app.stats.get(&app.config.paths.data_dir).await?)
}

pub(super) async fn status(app: &App, _: &Call, _: NoParams) -> Answer<NodeStatus> {
    let published = app.hub.now();
    let snapshot = app.backends.engine.snapshot();
    let mut apps = AppCounts::default();
    for view in snapshot.apps.values() {
        apps.installed += 1;
        match view.report.state {
            AppState::Running => apps.running += 1,
            AppState::Unhealthy => {
                apps.running += 1;
                apps.unhealthy += 1;
            }
            AppState::Stopped => apps.stopped += 1,
            AppState::Failed => apps.failed += 1,
            _ => {}
        }
    }
    Ok(NodeStatus {
        name: app.hub.name(),
        hostname: app.hostname.clone(),
        version: VERSION.to_owned(),
        uptime_seconds: app.uptime_secs(),
        is_setup: app.users.owner().await?.is_some(),
        apps,
        seq: published.seq,
        observed_at: snapshot.observed_at.0,
    })
}

pub(super) async fn gate_status(app: &App, _: &Call, _: NoParams) -> Answer<GateStatus> {
    Ok(app_gate::status(app))
}

pub(super) async fn set_access(app: &App, _: &Call, params: SetAccessParams) -> Answer<GateStatus> {
    Ok(app_gate::set_access(app, params).await?)
}
