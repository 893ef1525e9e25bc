//! `package.explain`: everything that tells why an app is as it is.

use archy_api::explain::{ExplainResult, Need, Predecessor, Probe, RepairAction, ServiceExplained};
use archy_api::logs::LogLine;
use archy_api::package::{AppParams, OperationRecord};
use archy_engine::{AppView, ServiceView, Snapshot};
use archy_manifest::model::{
    self, DependsOn, HealthCheck, Requirement, RequirementTarget, Service,
};
use archy_store::Phase;
use archy_types::{AppState, Cause, Health, Repair, UserError};
use futures_util::future::join_all;

use super::package::{installed, record};
use super::rights;
use super::table::{Answer, Call};
use crate::app::App;
use crate::state::map;
use crate::survey::LastProbe;

/// Operations that are searched for one that failed.
const SEARCHED: usize = 50;
/// Lines of the log that are shown when something is wrong.
const LOG_LINES: usize = 15;

pub(super) async fn explain(app: &App, _: &Call, params: AppParams) -> Answer<ExplainResult> {
    let view = installed(app, &params.id)?;
    let snapshot = app.backends.engine.snapshot();
    let probes = view
        .services
        .iter()
        .map(|service| async { app.backends.survey.probe(&service.container).await });
    let probes = join_all(probes).await;
    let services = view.services.iter().zip(probes);
    let services = services.map(|(seen, probe)| service(&view, seen, probe)).collect();
    let log = if is_wrong(&view) { log(app, &view).await } else { Vec::new() };
    let report = &view.report;
    let operation = map::package(&view, &map::Links::default()).operation;
    Ok(ExplainResult {
        package_id: params.id.clone(),
        title: view.manifest.name.clone(),
        version: view.manifest.version.clone(),
        desired: map::desired(view.desired).to_owned(),
        state: report.state,
        cause: report.cause.clone(),
        since: report.since.0,
        actor: report.actor.clone(),
        health: view.health,
        next: report.next.clone(),
        deadline: report.deadline.map(|at| at.0),
        repair: report.repair.as_ref().map(|repair| action(&params.id, repair)),
        operation: operation.filter(|operation| operation.error.is_none()),
        services,
        needs: view.manifest.requires.iter().map(|wanted| need(&snapshot, wanted)).collect(),
        rights: rights::of(&view.manifest),
        needed_by: needed_by(&snapshot, &view),
        notes: view.notes.iter().map(map::finding).collect(),
        last_failed: last_failed(app, &view).await?,
        log,
        stale_because: snapshot.stale_because.clone(),
        observed_at: snapshot.observed_at.0,
    })
}

const fn is_wrong(view: &AppView) -> bool {
    matches!(view.report.state, AppState::Failed | AppState::Unhealthy | AppState::Unknown)
        || matches!(view.health, Health::Unhealthy)
}

/// The repair with its command line.
fn action(app: &str, repair: &Repair) -> RepairAction {
    let command = match repair.method.strip_prefix("package.") {
        Some(verb @ ("start" | "stop" | "restart" | "uninstall" | "update" | "rollback")) => {
            format!("archy {verb} {app}")
        }
        Some("config.set") => format!("archy config set {app}"),
        _ => format!("archy status {app}"),
    };
    RepairAction { label: repair.label.clone(), method: repair.method.clone(), command }
}

fn service(
    view: &AppView,
    seen: &ServiceView,
    probe: Result<Option<LastProbe>, UserError>,
) -> ServiceExplained {
    let declared = view.manifest.services.get(&seen.name);
    let health = declared.and_then(|service| service.health.as_ref());
    let (probe, unknown) = match probe {
        Ok(probe) => (probe, None),
        Err(error) => (None, Some(Cause { code: error.code, text: error.message })),
    };
    ServiceExplained {
        name: seen.name.to_string(),
        container: seen.container.clone(),
        unit_state: seen.unit_state.clone(),
        active_since: seen.active_since.map(|at| at.0),
        oneshot: declared.is_some_and(|service| service.oneshot),
        health: seen.health,
        check: health.map(asks),
        out_of_memory: probe.as_ref().is_some_and(|probe| probe.out_of_memory),
        probe: probe.zip(health).and_then(|(probe, health)| self::probe(seen, &probe, health)),
        probe_unknown: unknown.filter(|_| health.is_some()),
        restarts: seen.restarts,
        exit_status: seen.exit_status,
        after: declared.map(|service| after(view, service)).unwrap_or_default(),
    }
}

/// What a health check asks, in words.
fn asks(health: &HealthCheck) -> String {
    match &health.probe {
        model::Probe::Http { port, path } => format!("http {port}{path}"),
        model::Probe::Tcp { port } => format!("tcp {port}"),
        model::Probe::Exec(words) => format!("exec {}", words.join(" ")),
    }
}

fn probe(seen: &ServiceView, probe: &LastProbe, health: &HealthCheck) -> Option<Probe> {
    let at = probe.at?;
    let runs = matches!(seen.unit_state.as_str(), "active" | "activating" | "reloading");
    let line = probe.output.trim().lines().last().map(str::trim).filter(|line| !line.is_empty());
    Some(Probe {
        at: Some(at.0),
        passed: probe.exit_code == 0,
        exit_code: probe.exit_code,
        output: line.map(str::to_owned),
        failing: probe.failing,
        limit: health.retries,
        next_at: runs.then(|| at.plus_millis(i64::from(health.interval_secs) * 1000).0),
    })
}

/// Services of the same app that come first, and whether they are so far.
fn after(view: &AppView, service: &Service) -> Vec<Predecessor> {
    let one = |(name, condition): (&archy_types::ServiceName, &DependsOn)| {
        let other = view.services.iter().find(|other| other.name == *name);
        let active = other.is_some_and(|other| other.unit_state == "active");
        let (word, met) = match condition {
            DependsOn::Started => ("started", active),
            DependsOn::Healthy => {
                ("healthy", active && other.is_some_and(|other| other.health == Health::Healthy))
            }
            DependsOn::Completed => ("completed", active),
            DependsOn::Ready => ("ready", active),
        };
        Predecessor { service: name.to_string(), condition: word.to_owned(), met }
    };
    service.depends_on.iter().map(one).collect()
}

/// What an app needs of another one, against the apps that are there.
fn need(snapshot: &Snapshot, wanted: &Requirement) -> Need {
    let fills = |view: &AppView| match &wanted.target {
        RequirementTarget::App(id) => *id == view.manifest.id,
        RequirementTarget::Role(role) => view.manifest.provides.iter().any(|it| it.role == *role),
    };
    let what = match &wanted.target {
        RequirementTarget::App(id) => id.to_string(),
        RequirementTarget::Role(role) => format!("an app for {role}"),
    };
    let mut all = snapshot.apps.values().filter(|view| fills(view));
    let runs = |view: &AppView| view.report.state == AppState::Running;
    let found = all.clone().find(|view| runs(view)).or_else(|| all.next());
    let (met, text) = match found {
        None => (false, "not installed".to_owned()),
        Some(view) if runs(view) => (true, "runs".to_owned()),
        Some(view) => (false, view.report.cause.text.clone()),
    };
    let app = found.map(|view| view.manifest.id.to_string());
    Need { what, app, optional: wanted.optional, met, text }
}

fn needed_by(snapshot: &Snapshot, view: &AppView) -> Vec<String> {
    let needs = |other: &&std::sync::Arc<AppView>| {
        other.manifest.requires.iter().any(|wanted| match &wanted.target {
            RequirementTarget::App(id) => *id == view.manifest.id,
            RequirementTarget::Role(role) => {
                view.manifest.provides.iter().any(|it| it.role == *role)
            }
        })
    };
    let others = snapshot.apps.values().filter(|other| other.manifest.id != view.manifest.id);
    others.filter(needs).map(|other| other.manifest.id.to_string()).collect()
}

async fn last_failed(app: &App, view: &AppView) -> Result<Option<OperationRecord>, UserError> {
    let rows = app.store.history(Some(&view.manifest.id), None, SEARCHED).await?;
    let failed =
        rows.into_iter().find(|row| matches!(row.phase, Phase::Failed | Phase::RolledBack));
    Ok(failed.map(|row| record(row, false)))
}

/// The last lines of its services, in the order of time; what cannot be read is left out.
async fn log(app: &App, view: &AppView) -> Vec<LogLine> {
    let logs = &app.backends.logs;
    let tails = view.services.iter().map(|service| logs.tail(&service.container, LOG_LINES, None));
    let mut all = Vec::new();
    for (service, entries) in view.services.iter().zip(join_all(tails).await) {
        all.extend(entries.unwrap_or_default().into_iter().map(|entry| LogLine {
            ts: entry.at.0,
            service: service.name.to_string(),
            stream: entry.stream,
            line: entry.line,
        }));
    }
    all.sort_by_key(|line| line.ts);
    all.split_off(all.len().saturating_sub(LOG_LINES))
}
