//! From desired and observed state to ordered steps.
//!
//! What prepares (images, secrets) comes first, since it may fail while everything still runs; then
//! what is removed; then what is added.

mod adopted;
mod leaving;
mod moves;
mod prepare;
mod running;
mod stopped;

use std::collections::BTreeMap;

use archy_manifest::model::HookPoint;
use archy_quadlet::Deployment;
use archy_types::{Cause, UserError};

use crate::check;
use crate::data;
use crate::desired::{DesiredApp, DesiredState};
use crate::intent::Intent;
use crate::observed::Observed;
use crate::render::render_app;
use crate::scene::{self, Facts, Scene};
use crate::step::{Check, HOST_UNKNOWN, Plan, PlannedStep, Severity, Step};

/// Seconds that a unit whose file does not say it may take to stop.
const STOP_SECS_UNSAID: u32 = 120;
/// Grace of a container that neither a unit nor a manifest says anything of: as long as most have.
const GRACE_SECS_UNSAID: u32 = 600;
/// Seconds on top of all deadlines below, so that the one who knows best reports first.
const MARGIN_SECS: u32 = 30;

/// Makes the plan for one app: renders its units and compares them with what was seen.
///
/// Total: what cannot be rendered or is not known leads to a check, never to a destructive step.
#[must_use]
pub fn plan(app: &DesiredApp, observed: &Observed, all: &[DesiredApp], intent: Intent) -> Plan {
    if app.is_leaving() || app.is_watched() {
        return plan_with(app, &Deployment::default(), observed, all, intent);
    }
    match render_app(app, observed, all) {
        Ok(deployment) => plan_with(app, &deployment, observed, all, intent),
        Err(error) => unrendered(app, observed, &error),
    }
}

/// Makes the plan for one app with units that were rendered before.
#[must_use]
pub fn plan_with(
    app: &DesiredApp,
    deployment: &Deployment,
    observed: &Observed,
    all: &[DesiredApp],
    intent: Intent,
) -> Plan {
    if observed.shutting_down {
        return empty(app);
    }
    adopted::plan(app, deployment, observed, all, intent)
        .unwrap_or_else(|| plan_own(app, deployment, observed, all, intent))
}

/// The plan for containers that are Archipelago's own.
fn plan_own(
    app: &DesiredApp,
    deployment: &Deployment,
    observed: &Observed,
    all: &[DesiredApp],
    intent: Intent,
) -> Plan {
    let mut plan = empty(app);
    let facts = match Facts::of(observed, &app.manifest.id) {
        Ok(facts) => facts,
        Err(cause) if app.is_leaving() => {
            // a removal always works: what systemd holds goes without Podman
            plan.steps = leaving::without_podman(app, observed);
            plan.checks.push(removal_goes_on(cause));
            return plan;
        }
        Err(cause) => {
            plan.checks.push(host_unknown(cause));
            return plan;
        }
    };
    let mut scene = Scene::new(app, deployment, observed, facts, all, intent);
    scene.due = match data::due(&scene) {
        // a removal always works: it waits for no snapshot
        _ if app.is_leaving() => None,
        Ok(due) => due,
        Err(cause) => {
            plan.checks.push(host_unknown(&cause));
            return plan;
        }
    };
    match app.state {
        DesiredState::Running => running::plan(&scene, &mut plan),
        DesiredState::Stopped => stopped::plan(&scene, &mut plan),
        DesiredState::Removed | DesiredState::Purged => leaving::plan(&scene, &mut plan),
    }
    plan
}

fn empty(app: &DesiredApp) -> Plan {
    Plan {
        app: app.manifest.id.clone(),
        generation: app.generation,
        manifest: app.digest,
        steps: Vec::new(),
        checks: Vec::new(),
    }
}

fn host_unknown(cause: &Cause) -> Check {
    Check {
        severity: Severity::Note,
        code: archy_types::Code::new(HOST_UNKNOWN),
        message: format!("Nothing is changed as long as the host does not tell: {}", cause.text),
        mend: Some("It is asked again by itself; `archy doctor` looks closer.".to_owned()),
    }
}

/// As [`host_unknown`], of an app that goes: what can be removed is, and the rest when it is known.
fn removal_goes_on(cause: &Cause) -> Check {
    Check {
        message: format!(
            "What systemd runs of it is stopped and its units are removed; the rest goes once the \
             host tells: {}",
            cause.text
        ),
        mend: Some("It goes on by itself; `archy doctor` looks closer.".to_owned()),
        ..host_unknown(cause)
    }
}

/// A plan for an app whose units cannot be rendered: a stop is still possible.
fn unrendered(app: &DesiredApp, observed: &Observed, error: &UserError) -> Plan {
    let mut plan = empty(app);
    if observed.shutting_down {
        return plan;
    }
    if app.state == DesiredState::Running {
        plan.checks = check::check_settings(&app.manifest, &app.settings);
    }
    if !plan.checks.iter().any(|check| check.code == error.code) {
        plan.checks.push(Check {
            severity: match app.state {
                DesiredState::Running => Severity::Error,
                _ => Severity::Warning,
            },
            code: error.code.clone(),
            message: error.message.clone(),
            mend: error.hint.clone(),
        });
    }
    match Facts::of(observed, &app.manifest.id) {
        Ok(facts) if app.state == DesiredState::Stopped => {
            let mut steps = Steps::default();
            steps.stop(facts, leaving::live_units(facts, &app.manifest), "the owner stopped it");
            plan.steps = steps.0;
        }
        Ok(_) => {}
        Err(cause) => plan.checks.push(host_unknown(cause)),
    }
    plan
}

/// Steps being collected.
#[derive(Debug, Default)]
struct Steps(Vec<PlannedStep>);

impl Steps {
    fn push(&mut self, step: Step, reason: impl Into<String>) {
        self.0.push(PlannedStep { step, reason: reason.into() });
    }

    /// True when a reload is among them.
    fn reloads(&self) -> bool {
        self.0.iter().any(|planned| planned.step == Step::Reload)
    }

    /// One reload serves a whole plan: the last one.
    fn merge_reloads(&mut self) {
        let is_reload = |planned: &PlannedStep| planned.step == Step::Reload;
        let Some(last) = self.0.iter().rposition(is_reload) else { return };
        let mut index = 0;
        self.0.retain(|planned| {
            index += 1;
            !is_reload(planned) || index == last + 1
        });
    }

    /// What has to happen to the data while nothing runs.
    fn due(&mut self, scene: &Scene<'_>) {
        if let Some(step) = &scene.due {
            self.push(step.clone(), data::reason(step));
        }
    }

    /// Snapshots that are kept no longer, unless the data is still to be put back from one.
    fn prune(&mut self, scene: &Scene<'_>) {
        if !scene.restores()
            && let Some(step) = data::prunable(scene)
        {
            self.push(step, "they are kept no longer");
        }
    }

    /// A hook, if the manifest has it.
    fn hook(&mut self, scene: &Scene<'_>, point: HookPoint, reason: &str) {
        if scene.app.manifest.hooks.get(&point).is_some_and(|steps| !steps.is_empty()) {
            self.push(Step::RunHook { point }, reason);
        }
    }

    /// Removes a container; it gets its grace first.
    fn remove_container(&mut self, scene: &Scene<'_>, name: String, reason: &str) {
        let text = scene.facts.unit_files.get(&format!("{name}.container"));
        let said = text.and_then(|text| scene::seconds(text, "StopTimeout"));
        let services = &scene.app.manifest.services;
        let mut own = services.iter().filter(|(service, _)| {
            archy_manifest::names::container(&scene.app.manifest, service) == name
        });
        let declared = own.next().map(|(_, service)| service.stop_grace_secs);
        let grace = said.or(declared).unwrap_or(GRACE_SECS_UNSAID);
        let deadline_secs = grace.saturating_add(MARGIN_SECS);
        self.push(Step::RemoveContainer { name, deadline_secs }, reason);
    }

    /// Stops units; their order is systemd's, and may put one after the other.
    fn stop(&mut self, facts: Facts<'_>, units: Vec<String>, reason: impl Into<String>) {
        if units.is_empty() {
            return;
        }
        self.stop_units(facts.unit_files, units, reason);
    }

    fn stop_units(
        &mut self,
        files: &BTreeMap<String, String>,
        units: Vec<String>,
        reason: impl Into<String>,
    ) {
        let each = units.iter().map(|unit| {
            let file_name = format!("{}.container", unit.trim_end_matches(".service"));
            let text = files.get(&file_name);
            text.and_then(|text| scene::seconds(text, "TimeoutStopSec")).unwrap_or(STOP_SECS_UNSAID)
        });
        let deadline_secs = each.fold(MARGIN_SECS, u32::saturating_add);
        self.push(Step::StopUnits { units, deadline_secs }, reason);
    }
}
