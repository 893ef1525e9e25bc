//! What is left alone, and what the host does not enforce.

use std::collections::BTreeMap;

use super::check;
use crate::drift::Drift;
use crate::phase::Phase;
use crate::scene::{Part, Scene};
use crate::step::{Check, Severity};

/// A unit that systemd is at work on.
pub(crate) fn in_transition(part: &Part<'_>) -> Check {
    let doing = if part.phase == Phase::Rising { "being started" } else { "being stopped" };
    let message = format!("{} is {doing}; nothing is changed until that is over.", part.file.unit);
    check(Severity::Note, "in-transition", message)
}

/// Services that a pass does not start, with the reason. `starts` tells which ones it does.
pub(crate) fn left_alone(scene: &Scene<'_>, starts: impl Fn(usize) -> bool) -> Vec<Check> {
    let mut found = Vec::new();
    let parts = scene.parts.iter().enumerate();
    for (_, part) in parts.filter(|(index, _)| !starts(*index)) {
        let unit = &part.file.unit;
        if part.masked {
            found.push(
                check(
                    Severity::Note,
                    "unit-masked",
                    format!("{unit} is masked; it is left alone."),
                )
                .mend(format!("systemctl --user unmask {unit}")),
            );
        } else if part.phase == Phase::StoppedOutside {
            let message = format!("{unit} was stopped past Archipelago; it stays stopped.");
            found.push(
                check(Severity::Note, "stopped-outside", message)
                    .mend(format!("Start {}.", scene.app.manifest.id)),
            );
        } else if part.phase == Phase::Failed {
            found.push(failed(scene, part));
        } else if part.drift == Drift::Later && part.phase.is_alive() {
            let message =
                format!("{} takes over addresses of the node at its next start.", part.name);
            found.push(
                check(Severity::Note, "environment-later", message)
                    .mend(format!("Restart {} to take them over now.", scene.app.manifest.id)),
            );
        }
    }
    found
}

fn failed(scene: &Scene<'_>, part: &Part<'_>) -> Check {
    let result = part.unit.map_or("failed", |unit| unit.result.as_str());
    let status = part.unit.and_then(|unit| unit.exit_status);
    let status = status.map(|status| format!(", exit status {status}")).unwrap_or_default();
    let message = format!("{} failed ({result}{status}) and has used up its restarts.", part.name);
    check(Severity::Note, "service-failed", message)
        .mend(format!("Look at its log, then restart {}.", scene.app.manifest.id))
}

/// Budgets that this host cannot enforce, one finding for each controller.
pub(crate) fn not_enforced(scene: &Scene<'_>) -> Vec<Check> {
    let mut missing: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for budget in &scene.deployment.not_enforced {
        missing.entry(budget.controller).or_default().push(budget.service.as_str());
    }
    let finding = |(controller, services): (&str, Vec<&str>)| {
        let message = format!(
            "The {controller} limit of {} is not enforced here: the host does not delegate the controller.",
            services.join(", ")
        );
        check(Severity::Note, "not-enforced", message)
    };
    missing.into_iter().map(finding).collect()
}
