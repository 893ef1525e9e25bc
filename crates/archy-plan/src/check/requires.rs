//! Apps that an app needs.

use archy_manifest::model::{Requirement, RequirementTarget};

use super::installed;
use crate::desired::DesiredState;
use crate::intent::Intent;
use crate::provider::{self, candidates};
use crate::scene::Scene;
use crate::step::{Check, Severity};

/// One finding for each requirement that is not met.
pub(super) fn check(scene: &Scene<'_>) -> Vec<Check> {
    let requires = &scene.app.manifest.requires;
    let mut found: Vec<Check> =
        requires.iter().filter_map(|requirement| one(scene, requirement)).collect();
    found.extend(cycle(scene));
    found
}

/// Apps that wait for each other never start. One that is there already goes on as it is.
fn cycle(scene: &Scene<'_>) -> Option<Check> {
    let path = provider::cycle(scene.app, scene.all)?;
    let severity = if scene.intent.installs() { Severity::Error } else { Severity::Warning };
    let shown: Vec<String> = path
        .iter()
        .map(|(id, role)| match role {
            Some(role) => format!("{id} ({role})"),
            None => id.to_string(),
        })
        .collect();
    let message = format!("The apps need each other in a circle: {}.", shown.join(" → "));
    Some(super::check(severity, "dependency-cycle", message).mend(
        "One of them must do without: mark its requirement `optional: true` in its manifest, or \
         install another app for the role.",
    ))
}

fn one(scene: &Scene<'_>, requirement: &Requirement) -> Option<Check> {
    let found = candidates(&scene.app.manifest.id, requirement, scene.all);
    let grave = match (requirement.optional, scene.intent) {
        (true, _) => Severity::Note,
        (false, Intent::Install | Intent::Update) => Severity::Error,
        (false, _) => Severity::Warning,
    };
    let name = &scene.app.manifest.name;
    let Some(best) = found.first() else { return Some(missing(scene, requirement, grave)) };
    let other = &best.app.manifest;
    if !best.fits {
        let range = requirement.version.as_deref().unwrap_or("*");
        let message = format!(
            "{name} needs {} {range}; installed: {}.",
            words(&requirement.target),
            list(
                found
                    .iter()
                    .map(|found| { format!("{} {}", found.app.manifest.id, found.version) })
            )
        );
        return Some(
            super::check(grave, "dependency-version", message)
                .mend(format!("Update {} first.", other.id)),
        );
    }
    if best.app.state == DesiredState::Stopped {
        let severity = if requirement.optional { Severity::Note } else { Severity::Warning };
        let message = format!("{name} needs {}, which is stopped.", other.id);
        return Some(
            super::check(severity, "dependency-stopped", message)
                .mend(format!("Start {}.", other.id)),
        );
    }
    if scene.intent == Intent::Converge {
        // the state of the app says it
        return None;
    }
    let message = provider::unmet(&scene.app.manifest.id, requirement, scene.observed, scene.all)?;
    Some(super::check(Severity::Warning, "dependency-waits", message))
}

fn missing(scene: &Scene<'_>, requirement: &Requirement, severity: Severity) -> Check {
    let name = &scene.app.manifest.name;
    let verb = if requirement.optional { "can use" } else { "needs" };
    let message = format!("{name} {verb} {}, which is not installed.", words(&requirement.target));
    let mend = match &requirement.target {
        RequirementTarget::App(id) => format!("Install {id} first."),
        RequirementTarget::Role(role) => {
            let known = roles(scene);
            if known.is_empty() {
                format!("Install an app that provides {role} first.")
            } else {
                format!("Install an app that provides {role} first; roles provided here: {known}.")
            }
        }
    };
    super::check(severity, "dependency-missing", message).mend(mend)
}

/// Roles that installed apps provide.
fn roles(scene: &Scene<'_>) -> String {
    let mut roles: Vec<&str> = installed(scene.all, scene.app)
        .flat_map(|app| &app.manifest.provides)
        .map(|role| role.role.as_str())
        .collect();
    roles.sort_unstable();
    roles.dedup();
    roles.join(", ")
}

fn words(target: &RequirementTarget) -> String {
    match target {
        RequirementTarget::App(id) => format!("the app {id}"),
        RequirementTarget::Role(role) => format!("an app for {role}"),
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}
