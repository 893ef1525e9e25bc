//! From what was seen to the state that people see.
//!
//! Every state has a cause, since when, who asked, what happens next and one repair (invariant 7);
//! a transient one has a deadline, and becomes `failed` when that passes.

mod derive;

use archy_quadlet::{Deployment, UnitRole};
use archy_types::{Health, ServiceName, StatusReport, Timestamp};

use crate::desired::DesiredApp;
use crate::observed::{ActiveState, ContainerState, Observed, UnitState};
use derive::{Seen, Verdict};

/// Code of the cause of a transient state that did not end in time.
const OVERDUE: &str = "overdue";

/// An app's state as derived from one look at the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    /// State with cause, since, next step, repair, deadline.
    pub report: StatusReport,
    /// Worst health of its services.
    pub health: Health,
    /// Its services in the order of the manifest.
    pub services: Vec<ServiceAssessment>,
}

/// One service as seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAssessment {
    /// Name in the manifest.
    pub name: ServiceName,
    /// Container name, also its unit without suffix.
    pub container: String,
    /// Active state in systemd's words, `not-found` for a unit that systemd does not know,
    /// `unknown` if it was not seen.
    pub unit_state: String,
    /// Health.
    pub health: Health,
    /// Last words of a failing health check, or why it tells nothing.
    pub health_output: Option<String>,
    /// Automatic restarts since the last start by hand.
    pub restarts: u32,
    /// Exit status, when it ended.
    pub exit_status: Option<i32>,
    /// When it became active.
    pub active_since: Option<Timestamp>,
}

/// Derives an app's state. What is not known leaves the previous report as it is.
#[must_use]
pub fn assess(
    app: &DesiredApp,
    deployment: &Deployment,
    observed: &Observed,
    previous: Option<&StatusReport>,
    now: Timestamp,
) -> Assessment {
    assess_among(app, deployment, observed, &[], previous, now)
}

/// Like [`assess`], with the node's apps: an app that does not run well because one that it needs is
/// not there counts as waiting.
#[must_use]
pub fn assess_among(
    app: &DesiredApp,
    deployment: &Deployment,
    observed: &Observed,
    all: &[DesiredApp],
    previous: Option<&StatusReport>,
    now: Timestamp,
) -> Assessment {
    if let Some(adopted) = app.adopted.as_ref().filter(|adopted| adopted.is_watched()) {
        return crate::adopt::assess(app, adopted, observed, previous, now);
    }
    let services = services(app, deployment, observed);
    let health = worst(app, &services);
    let why = observed.states_unknown();
    let report = if why.is_some() || observed.shutting_down {
        previous.cloned().unwrap_or_else(|| derive::unknown(app, why, now))
    } else {
        let seen = Seen::new(app, deployment, observed, all, &services);
        settle(app, derive::verdict(&seen), previous, now)
    };
    Assessment { report, health, services }
}

/// Puts the verdict on the line of time: since when, until when.
fn settle(
    app: &DesiredApp,
    verdict: Verdict,
    previous: Option<&StatusReport>,
    now: Timestamp,
) -> StatusReport {
    let Verdict { state, cause, began, actor, next, repair, within_secs } = verdict;
    let same = |old: &&StatusReport| old.state == state && old.cause.code == cause.code;
    // nothing is late for a wish that came after it began
    let began = began.map(|at| if state.is_transient() { at.max(app.since) } else { at });
    let since = previous.filter(same).map_or_else(|| began.unwrap_or(now), |old| old.since);
    let report = StatusReport {
        state,
        cause,
        since,
        actor,
        next,
        repair,
        deadline: within_secs.map(|secs| since.plus_millis(i64::from(secs).saturating_mul(1000))),
    };
    if !state.is_transient() {
        return report;
    }
    // once it is overdue it stays so until it ends, or until somebody asks for something
    let known = previous.filter(|old| old.cause.code.as_str() == OVERDUE && old.since >= app.since);
    if let Some(known) = known {
        return known.clone();
    }
    match report.deadline {
        Some(deadline) if now > deadline => derive::overdue(&report, now),
        _ => report,
    }
}

fn services(
    app: &DesiredApp,
    deployment: &Deployment,
    observed: &Observed,
) -> Vec<ServiceAssessment> {
    app.manifest
        .services
        .keys()
        .map(|name| {
            let container = archy_manifest::names::container(&app.manifest, name);
            let role = UnitRole::Container(name.clone());
            let file = deployment.files.iter().find(|file| file.role == role);
            let unit =
                file.map_or_else(|| format!("{container}.service"), |file| file.unit.clone());
            let unit = observed.units.get().map(|units| units.get(&unit));
            let state = observed.containers.get().and_then(|seen| seen.get(&container));
            service(app, name, container, unit, state)
        })
        .collect()
}

fn service(
    app: &DesiredApp,
    name: &ServiceName,
    container: String,
    unit: Option<Option<&UnitState>>,
    state: Option<&ContainerState>,
) -> ServiceAssessment {
    let check = app.manifest.services.get(name).and_then(|service| service.health.as_ref());
    let unit_state = match unit {
        None => "unknown",
        Some(None) => "not-found",
        Some(Some(unit)) => word(unit.active),
    };
    let unit = unit.flatten();
    let asked_at_start =
        check.is_some_and(|check| !matches!(check.probe, archy_manifest::model::Probe::Exec(_)));
    let active = unit.is_some_and(|unit| unit.active == ActiveState::Active);
    let health = match state.filter(|_| check.is_some()).map_or(Health::Unknown, |s| s.health) {
        // the unit counts as active since the app answered; Podman's first check comes after it
        Health::Starting if asked_at_start && active => Health::Healthy,
        health => health,
    };
    ServiceAssessment {
        name: name.clone(),
        container,
        unit_state: unit_state.to_owned(),
        health,
        health_output: state
            .filter(|_| matches!(health, Health::Unhealthy | Health::Unknown))
            .and_then(|state| state.health_output.clone()),
        restarts: unit.map_or(0, |unit| unit.restarts),
        exit_status: unit
            .and_then(|unit| unit.exit_status)
            .or_else(|| state.and_then(|state| state.exit_code)),
        active_since: unit
            .filter(|unit| matches!(unit.active, ActiveState::Active | ActiveState::Reloading))
            .and_then(|unit| unit.active_since),
    }
}

const fn word(state: ActiveState) -> &'static str {
    match state {
        ActiveState::Active => "active",
        ActiveState::Reloading => "reloading",
        ActiveState::Inactive => "inactive",
        ActiveState::Failed => "failed",
        ActiveState::Activating => "activating",
        ActiveState::Deactivating => "deactivating",
    }
}

/// Worst health of the services that declare a check.
fn worst(app: &DesiredApp, services: &[ServiceAssessment]) -> Health {
    let weight = |health: Health| match health {
        Health::Healthy => 0,
        Health::Unknown => 1,
        Health::Starting => 2,
        Health::Unhealthy => 3,
    };
    let declared = services.iter().filter(|service| {
        app.manifest
            .services
            .get(&service.name)
            .is_some_and(|declared| declared.health.is_some() && !declared.oneshot)
    });
    declared
        .map(|service| service.health)
        .max_by_key(|health| weight(*health))
        .unwrap_or(Health::Unknown)
}
