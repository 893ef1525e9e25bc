//! Which state it is, and why.

use archy_manifest::model::Requirement;
use archy_quadlet::{Deployment, UnitFile, UnitRole};
use archy_types::{Actor, AppState, Cause, NextStep, Repair, StatusReport, Timestamp};

use super::{OVERDUE, ServiceAssessment};
use crate::desired::{DesiredApp, DesiredState};
use crate::observed::{Observed, UnitState};
use crate::phase::{Phase, is_alive};
use crate::{provider, scene};

mod ended;
mod health;

/// Seconds that a start takes at most where the unit does not say it.
const START_SECS: u32 = 90;
/// Seconds that a stop takes at most beyond an app's grace.
const STOP_MARGIN_SECS: u32 = 60;
/// Seconds in which a pass starts what is down: two level passes and the work of others.
const PASS_SECS: u32 = 120;

/// Milliseconds from one level pass to the next: what waits is looked at by then.
const LOOK_MILLIS: i64 = 30_000;

/// A state with all that belongs to it but the times.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) state: AppState,
    pub(super) cause: Cause,
    /// When it began, as the host tells.
    pub(super) began: Option<Timestamp>,
    pub(super) actor: Actor,
    pub(super) next: Option<NextStep>,
    pub(super) repair: Option<Repair>,
    /// Seconds until a transient state ends at the latest.
    pub(super) within_secs: Option<u32>,
}

/// One service with its unit.
#[derive(Debug)]
struct Part<'a> {
    service: &'a ServiceAssessment,
    file: Option<&'a UnitFile>,
    unit: Option<&'a UnitState>,
    phase: Phase,
    oneshot: bool,
    masked: bool,
}

/// What a verdict is derived from.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    app: &'a DesiredApp,
    observed: &'a Observed,
    all: &'a [DesiredApp],
    parts: Vec<Part<'a>>,
}

impl<'a> Seen<'a> {
    pub(super) fn new(
        app: &'a DesiredApp,
        deployment: &'a Deployment,
        observed: &'a Observed,
        all: &'a [DesiredApp],
        services: &'a [ServiceAssessment],
    ) -> Self {
        let part = |service: &'a ServiceAssessment| {
            let role = UnitRole::Container(service.name.clone());
            let file = deployment.files.iter().find(|file| file.role == role);
            let name = format!("{}.service", service.container);
            let name = file.map_or(name, |file| file.unit.clone());
            let unit = observed.units.get().and_then(|units| units.get(&name));
            let declared = app.manifest.services.get(&service.name);
            let oneshot = declared.is_some_and(|declared| declared.oneshot);
            Part {
                service,
                file,
                unit,
                phase: Phase::of(unit, oneshot, app.since),
                oneshot,
                masked: unit.is_some_and(|unit| unit.load == "masked"),
            }
        };
        Self { app, observed, all, parts: services.iter().map(part).collect() }
    }

    fn with(&self, phase: Phase) -> impl Iterator<Item = &Part<'a>> {
        self.parts.iter().filter(move |part| part.phase == phase)
    }

    fn verdict(&self, state: AppState, code: &'static str, text: impl Into<String>) -> Verdict {
        Verdict {
            state,
            cause: Cause::new(code, text),
            began: None,
            actor: self.app.actor.clone(),
            next: None,
            repair: None,
            within_secs: None,
        }
    }

    /// Seconds that all units together take to stop at most.
    fn stop_secs(&self) -> u32 {
        let grace = self.app.manifest.services.values().map(|service| service.stop_grace_secs);
        grace.fold(STOP_MARGIN_SECS, |sum, grace| sum.saturating_add(grace).saturating_add(30))
    }

    /// Seconds that all units together take to start at most.
    fn start_secs(&self) -> u32 {
        let own = self.parts.iter().map(|part| {
            let said = part.file.and_then(|file| scene::seconds(&file.text, "TimeoutStartSec"));
            said.unwrap_or(START_SECS)
        });
        own.fold(PASS_SECS, u32::saturating_add)
    }
}

impl Verdict {
    fn next(mut self, text: impl Into<String>) -> Self {
        self.next = Some(NextStep { text: text.into(), at: None });
        self
    }

    fn repair(mut self, label: &str, method: &str) -> Self {
        self.repair = Some(repair(label, method));
        self
    }

    fn within(mut self, secs: u32) -> Self {
        self.within_secs = Some(secs);
        self
    }

    fn began(mut self, at: Option<Timestamp>) -> Self {
        self.began = at;
        self
    }
}

fn repair(label: &str, method: &str) -> Repair {
    Repair { label: label.to_owned(), method: method.to_owned() }
}

/// The report of an app that nothing is known of.
pub(super) fn unknown(app: &DesiredApp, why: Option<&Cause>, now: Timestamp) -> StatusReport {
    let cause =
        why.cloned().unwrap_or_else(|| Cause::new("host-shutting-down", "The host is going down."));
    StatusReport {
        state: AppState::Unknown,
        cause,
        since: now,
        actor: app.actor.clone(),
        next: Some(NextStep { text: "The host is asked again.".to_owned(), at: None }),
        repair: Some(repair("Look again", "server.get-state")),
        deadline: None,
    }
}

/// A transient state that did not end in time.
pub(super) fn overdue(report: &StatusReport, now: Timestamp) -> StatusReport {
    let (what, repair) = match report.state {
        AppState::Stopping => ("Stopping", repair("Stop again", "package.stop")),
        AppState::Removing => ("Uninstalling", repair("Uninstall again", "package.uninstall")),
        _ => ("Starting", repair("Restart", "package.restart")),
    };
    let secs = now.seconds_since(report.since);
    StatusReport {
        state: AppState::Failed,
        cause: Cause::new(
            OVERDUE,
            format!("{what} is not over after {secs} s: {}", report.cause.text),
        ),
        since: now,
        actor: report.actor.clone(),
        next: report.next.clone(),
        repair: Some(repair),
        deadline: None,
    }
}

/// Derives the state of an app from facts that are known.
pub(super) fn verdict(seen: &Seen<'_>) -> Verdict {
    match seen.app.state {
        DesiredState::Removed | DesiredState::Purged => seen
            .verdict(AppState::Removing, "uninstall-asked", "It is being uninstalled.")
            .next("What is left of it is removed.")
            .repair("Uninstall again", "package.uninstall")
            .within(seen.stop_secs().saturating_add(300)),
        DesiredState::Stopped => stopped(seen),
        DesiredState::Running => running(seen),
    }
}

fn stopped(seen: &Seen<'_>) -> Verdict {
    let alive = seen.parts.iter().any(|part| part.phase.is_alive());
    if alive {
        return seen
            .verdict(AppState::Stopping, "stop-asked", "It is being stopped.")
            .next("What does not stop within its grace is ended.")
            .repair("Stop again", "package.stop")
            .within(seen.stop_secs().saturating_add(PASS_SECS));
    }
    // systemd forgets the end of a unit that nothing holds loaded; the wish is kept
    let ended = seen.parts.iter().filter_map(|part| part.unit?.inactive_since).max();
    seen.verdict(AppState::Stopped, "stop-asked", "It was stopped, and stays so.")
        .began(ended.or(Some(seen.app.since)))
        .repair("Start", "package.start")
}

fn running(seen: &Seen<'_>) -> Verdict {
    if seen.parts.is_empty() {
        return seen
            .verdict(AppState::Failed, "no-services", "The manifest has no services.")
            .repair("Uninstall", "package.uninstall");
    }
    let verdict = ended::failed(seen)
        .or_else(|| stopped_outside(seen))
        .or_else(|| masked(seen))
        .or_else(|| moving(seen))
        .or_else(|| down(seen))
        .or_else(|| health::failing(seen));
    let Some(verdict) = verdict else { return well(seen) };
    match waiting(seen) {
        Some(waiting) if verdict.actor != Actor::Outside => waiting,
        _ => verdict,
    }
}

fn stopped_outside(seen: &Seen<'_>) -> Option<Verdict> {
    let part = seen.with(Phase::StoppedOutside).next()?;
    let alive = seen.parts.iter().any(|part| !part.oneshot && part.phase.is_alive());
    let state = if alive { AppState::Unhealthy } else { AppState::Stopped };
    let text = format!("{} was stopped past Archipelago.", part.service.name);
    let began = part.unit.and_then(|unit| unit.inactive_since);
    let mut verdict = seen
        .verdict(state, "stopped-outside", text)
        .began(began)
        .next("Nothing by itself: it stays stopped until somebody starts it.")
        .repair("Start", "package.start");
    verdict.actor = Actor::Outside;
    Some(verdict)
}

fn masked(seen: &Seen<'_>) -> Option<Verdict> {
    let part = seen.parts.iter().find(|part| part.masked && !part.phase.is_alive())?;
    let alive = seen.parts.iter().any(|part| !part.oneshot && part.phase.is_alive());
    let state = if alive { AppState::Unhealthy } else { AppState::Stopped };
    let container = &part.service.container;
    let text = format!("{container}.service is masked; `systemctl --user unmask` takes that back.");
    let mut verdict = seen
        .verdict(state, "unit-masked", text)
        .next("Nothing by itself: a masked unit is left alone.")
        .repair("Start", "package.start");
    verdict.actor = Actor::Outside;
    Some(verdict)
}

fn moving(seen: &Seen<'_>) -> Option<Verdict> {
    if let Some(part) = seen.with(Phase::Falling).next() {
        let text = format!("{} is being stopped.", part.service.name);
        return Some(
            seen.verdict(AppState::Stopping, "unit-stopping", text)
                .next("Then it is looked at again.")
                .repair("Restart", "package.restart")
                .within(seen.stop_secs()),
        );
    }
    let part = seen.with(Phase::Rising).next()?;
    let unit = part.unit?;
    if unit.sub.starts_with("auto-restart") {
        return Some(ended::restarting(seen, part, unit));
    }
    Some(
        seen.verdict(
            AppState::Starting,
            "unit-starting",
            format!("{} is being started.", part.service.name),
        )
        .next("It counts as started when its health check passes.")
        .repair("Restart", "package.restart")
        .within(restart_secs(part).unwrap_or(0).max(seen.start_secs())),
    )
}

/// Seconds after which the start limit has ended a loop of restarts in which nothing ever runs.
fn restart_secs(part: &Part<'_>) -> Option<u32> {
    let said = |name: &str| scene::seconds(&part.file?.text, name);
    let cycle = said("TimeoutStartSec")?
        .saturating_add(said("TimeoutStopSec")?)
        .saturating_add(said("RestartMaxDelaySec")?);
    let starts = said("StartLimitBurst")?;
    Some(cycle.saturating_mul(starts).min(said("StartLimitIntervalSec")?).saturating_add(PASS_SECS))
}

fn down(seen: &Seen<'_>) -> Option<Verdict> {
    let part = seen.with(Phase::Down).next()?;
    Some(
        seen.verdict(
            AppState::Starting,
            "not-started",
            format!("{} does not run yet.", part.service.name),
        )
        .next("The next pass starts it.")
        .repair("Start", "package.start")
        .within(seen.start_secs()),
    )
}

fn well(seen: &Seen<'_>) -> Verdict {
    let text = match seen.parts.len() {
        1 => "It runs.".to_owned(),
        many => format!("All {many} services run."),
    };
    let since = seen.parts.iter().filter_map(|part| part.service.active_since).max();
    if let Some(untold) = health::untold(seen) {
        let text = format!("{text} {untold}");
        return seen.verdict(AppState::Running, "health-unknown", text).began(since);
    }
    seen.verdict(AppState::Running, "running", text).began(since)
}

/// Something that the app cannot do without is missing or stopped.
fn waiting(seen: &Seen<'_>) -> Option<Verdict> {
    if seen.all.is_empty() {
        return None;
    }
    let wanted = seen.app.manifest.requires.iter().filter(|wanted| !wanted.optional);
    let text = wanted.filter_map(|wanted| lacking(seen, wanted)).next()?;
    let mut verdict = seen
        .verdict(AppState::Waiting, "dependency-down", text)
        .repair("Restart", "package.restart");
    // a pass comes even when nothing tells of a change
    let at = Some(seen.observed.at.plus_millis(LOOK_MILLIS));
    let text = "It goes on by itself when that runs; it is looked at again.".to_owned();
    verdict.next = Some(NextStep { text, at });
    Some(verdict)
}

fn lacking(seen: &Seen<'_>, wanted: &Requirement) -> Option<String> {
    let found = provider::candidates(&seen.app.manifest.id, wanted, seen.all);
    let Some(best) = found.first() else {
        let target = match &wanted.target {
            archy_manifest::model::RequirementTarget::App(id) => id.to_string(),
            archy_manifest::model::RequirementTarget::Role(role) => format!("an app for {role}"),
        };
        return Some(format!("It needs {target}, which is not installed."));
    };
    let id = &best.app.manifest.id;
    if best.app.state != DesiredState::Running {
        return Some(format!("It needs {id}, which is stopped."));
    }
    if best.app.is_watched() {
        let up = crate::adopt::runs(best.app, seen.observed);
        return (!up).then(|| format!("It needs {id}, which does not run."));
    }
    let container = provider::chief_container(best.app)?;
    let units = seen.observed.units.get()?;
    let up = is_alive(units.get(&format!("{container}.service")));
    if !up {
        return Some(format!("It needs {id}, which does not run."));
    }
    provider::unmet(&seen.app.manifest.id, wanted, seen.observed, seen.all)
}
