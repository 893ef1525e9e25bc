//! The state of an app whose containers Archipelago did not make.

use archy_types::{Actor, AppState, Cause, Health, NextStep, Repair, StatusReport, Timestamp};

use super::phase::{LegacyPhase, phase};
use super::record::{Adopted, AdoptedPart};
use crate::assess::{Assessment, ServiceAssessment};
use crate::desired::{DesiredApp, DesiredState};
use crate::observed::{ActiveState, Observed};

/// Seconds in which a stop or a start of such a container ends: two passes and the work.
const WITHIN_SECS: u32 = 300;

/// Derives the state of a watched app.
pub(crate) fn assess(
    app: &DesiredApp,
    adopted: &Adopted,
    observed: &Observed,
    previous: Option<&StatusReport>,
    now: Timestamp,
) -> Assessment {
    let services: Vec<ServiceAssessment> = app
        .manifest
        .services
        .keys()
        .filter_map(|name| Some(service(app, name, adopted.parts.get(name)?, observed)))
        .collect();
    let health = worst(&services);
    let fresh = report(app, adopted, observed, &services, now);
    let report = match previous {
        // nothing is concluded from silence
        Some(old) if fresh.state == AppState::Unknown => old.clone(),
        Some(old) if old.state == fresh.state && old.cause.code == fresh.cause.code => {
            StatusReport { since: old.since, deadline: old.deadline, ..fresh }
        }
        _ => fresh,
    };
    Assessment { report: overdue(report, now), health, services }
}

fn overdue(report: StatusReport, now: Timestamp) -> StatusReport {
    match report.deadline {
        Some(deadline) if deadline < now => StatusReport {
            state: AppState::Failed,
            cause: Cause::new("overdue", format!("It takes too long: {}", report.cause.text)),
            deadline: None,
            ..report
        },
        _ => report,
    }
}

fn service(
    app: &DesiredApp,
    name: &archy_types::ServiceName,
    part: &AdoptedPart,
    observed: &Observed,
) -> ServiceAssessment {
    let seen = observed.containers.get().and_then(|all| all.get(&part.container));
    let seen = seen.filter(|seen| seen.id == part.id || part.unit.is_some());
    let unit = part.unit.as_ref().and_then(|unit| observed.units.get()?.get(unit));
    let health = seen.map_or(Health::Unknown, |seen| seen.health);
    let state = match phase(app, part, observed) {
        LegacyPhase::Up => "active",
        LegacyPhase::Moving if unit.is_some_and(|u| u.active == ActiveState::Activating) => {
            "activating"
        }
        LegacyPhase::Moving => "deactivating",
        LegacyPhase::Failed => "failed",
        LegacyPhase::Down | LegacyPhase::StoppedOutside => "inactive",
        LegacyPhase::Aside | LegacyPhase::Gone => "not-found",
        LegacyPhase::Unknown => "unknown",
    };
    ServiceAssessment {
        name: name.clone(),
        container: part.container.clone(),
        unit_state: state.to_owned(),
        health,
        health_output: seen
            .filter(|_| health == Health::Unhealthy)
            .and_then(|seen| seen.health_output.clone()),
        restarts: unit.map_or(0, |unit| unit.restarts),
        exit_status: seen.and_then(|seen| seen.exit_code),
        active_since: seen.filter(|_| state == "active").and_then(|seen| seen.started_at),
    }
}

/// Worst health of those that tell one.
fn worst(services: &[ServiceAssessment]) -> Health {
    let told = services.iter().map(|service| service.health);
    told.max_by_key(|health| match health {
        Health::Unknown => 0,
        Health::Healthy => 1,
        Health::Starting => 2,
        Health::Unhealthy => 3,
    })
    .unwrap_or(Health::Unknown)
}

struct Words {
    state: AppState,
    code: &'static str,
    text: String,
    next: Option<&'static str>,
    repair: Option<(&'static str, &'static str)>,
    outside: bool,
}

fn report(
    app: &DesiredApp,
    adopted: &Adopted,
    observed: &Observed,
    services: &[ServiceAssessment],
    now: Timestamp,
) -> StatusReport {
    let Words { state, code, text, next, repair, outside } =
        words(app, adopted, observed, services);
    let since = services.iter().filter_map(|service| service.active_since).max();
    StatusReport {
        state,
        cause: Cause::new(code, text),
        since: since.filter(|_| state == AppState::Running).unwrap_or(now),
        actor: if outside { Actor::Outside } else { app.actor.clone() },
        next: next.map(|text| NextStep { text: text.to_owned(), at: None }),
        repair: repair
            .map(|(label, method)| Repair { label: label.to_owned(), method: method.to_owned() }),
        deadline: state.is_transient().then(|| now.plus_millis(i64::from(WITHIN_SECS) * 1000)),
    }
}

fn words(
    app: &DesiredApp,
    adopted: &Adopted,
    observed: &Observed,
    services: &[ServiceAssessment],
) -> Words {
    let phases: Vec<(&AdoptedPart, LegacyPhase)> =
        adopted.parts.values().map(|part| (part, phase(app, part, observed))).collect();
    let with = |wanted: LegacyPhase| {
        phases.iter().find(|(_, phase)| *phase == wanted).map(|(part, _)| &part.container)
    };
    let plain = |state, code, text: String| Words {
        state,
        code,
        text,
        next: None,
        repair: None,
        outside: false,
    };
    if with(LegacyPhase::Unknown).is_some() {
        return plain(AppState::Unknown, "not-seen-yet", "The host did not tell.".to_owned());
    }
    let alive = with(LegacyPhase::Up).or(with(LegacyPhase::Moving)).is_some();
    match app.state {
        DesiredState::Removed | DesiredState::Purged => Words {
            next: Some("Its containers are stopped and left to their owner."),
            repair: Some(("Uninstall again", "package.uninstall")),
            ..plain(AppState::Removing, "uninstall-asked", "It is being let go.".to_owned())
        },
        DesiredState::Stopped if alive => Words {
            next: Some("What does not stop within its grace is ended."),
            repair: Some(("Stop again", "package.stop")),
            ..plain(AppState::Stopping, "stop-asked", "It is being stopped.".to_owned())
        },
        DesiredState::Stopped => Words {
            repair: Some(("Start", "package.start")),
            ..plain(AppState::Stopped, "stop-asked", "It was stopped, and stays so.".to_owned())
        },
        DesiredState::Running => running(adopted, services, &with, alive),
    }
}

fn running<'a>(
    adopted: &Adopted,
    services: &[ServiceAssessment],
    with: &impl Fn(LegacyPhase) -> Option<&'a String>,
    alive: bool,
) -> Words {
    let words = |state, code, text: String, next, repair| Words {
        state,
        code,
        text,
        next,
        repair,
        outside: false,
    };
    if let Some(name) = with(LegacyPhase::Gone) {
        let text = format!("The container {name}, which was adopted, is not there any more.");
        let next = Some("Nothing by itself: it was not made by Archipelago.");
        let repair = Some(("Uninstall", "package.uninstall"));
        return words(AppState::Failed, "adopted-gone", text, next, repair);
    }
    if let Some(name) = with(LegacyPhase::Failed) {
        let text = format!("The unit of {name} failed.");
        let repair = Some(("Start", "package.start"));
        return words(AppState::Failed, "service-failed", text, None, repair);
    }
    if let Some(name) = with(LegacyPhase::StoppedOutside) {
        let text = format!("{name} was stopped past Archipelago, or ended.");
        let state = if alive { AppState::Unhealthy } else { AppState::Stopped };
        let next = Some("Nothing by itself: it stays stopped until somebody starts it.");
        let repair = Some(("Start", "package.start"));
        let stopped = words(state, "stopped-outside", text, next, repair);
        return Words { outside: true, ..stopped };
    }
    let waiting = [LegacyPhase::Aside, LegacyPhase::Down, LegacyPhase::Moving];
    if let Some(name) = waiting.into_iter().find_map(with) {
        let text = format!("{name} is being started.");
        let next = Some("The next pass starts what does not run.");
        let repair = Some(("Start", "package.start"));
        return words(AppState::Starting, "not-started", text, next, repair);
    }
    if let Some(sick) = services.iter().find(|service| service.health == Health::Unhealthy) {
        let text = format!("The health check of {} fails.", sick.container);
        let next = Some("Nothing by itself: what was adopted is not repaired.");
        let repair = Some(("Restart", "package.restart"));
        return words(AppState::Unhealthy, "health-failing", text, next, repair);
    }
    let made = adopted.origin.words();
    let migrate = Some(("Migrate", "package.migrate"));
    if adopted.dies_with_daemon() {
        let text = format!(
            "It runs as it was adopted from {made}, but stops whenever the daemon stops: migrate it."
        );
        let next = Some("It is started again when it stopped with the daemon.");
        return words(AppState::Running, "adopted-in-daemon", text, next, migrate);
    }
    let text = format!("It runs as it was adopted from {made}.");
    words(AppState::Running, "adopted", text, None, migrate)
}
