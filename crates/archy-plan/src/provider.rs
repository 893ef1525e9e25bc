//! Which installed app fills a requirement.

use std::collections::BTreeSet;

use archy_manifest::model::{Requirement, RequirementTarget};
use archy_manifest::{Manifest, names};
use archy_types::AppId;
use semver::{Version, VersionReq};

use crate::desired::{DesiredApp, DesiredState};

/// An installed app that a requirement points at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate<'a> {
    pub(crate) app: &'a DesiredApp,
    /// Its version lies in the wanted range, or no range is asked.
    pub(crate) fits: bool,
}

/// The version that people write, as far as three numbers can tell it: `28`, `v28.1`, `1.9.0-alpha`, `28.1.0.2`.
pub(crate) fn version(text: &str) -> Option<Version> {
    let text = text.trim().trim_start_matches(['v', 'V']);
    let (numbers, suffix) = match text.find(['-', '+']) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let numbers: Vec<&str> = numbers
        .split('.')
        .map(|part| match part.trim_start_matches('0') {
            "" => "0",
            rest => rest,
        })
        .take(3)
        .collect();
    archy_manifest::lenient_version(&format!("{}{suffix}", numbers.join(".")))
}

/// True when the version lies in the range; a range or version that cannot be read is no reason
/// to refuse.
fn fits(range: Option<&str>, found: Option<&str>) -> bool {
    let Some(range) = range.and_then(|range| VersionReq::parse(range).ok()) else { return true };
    let Some(mut found) = found.and_then(version) else { return true };
    // a pre-release of the platform's apps counts as that version
    found.pre = semver::Prerelease::EMPTY;
    range.matches(&found)
}

/// Installed apps that a requirement points at, the best first: right version, running, by id.
pub(crate) fn candidates<'a>(
    of: &AppId,
    requirement: &Requirement,
    all: &'a [DesiredApp],
) -> Vec<Candidate<'a>> {
    let range = requirement.version.as_deref();
    let mut found: Vec<Candidate<'a>> = all
        .iter()
        .filter(|app| !app.is_leaving() && app.manifest.id != *of)
        .filter_map(|app| match &requirement.target {
            RequirementTarget::App(id) if *id == app.manifest.id => {
                Some(Candidate { app, fits: fits(range, Some(&app.manifest.version)) })
            }
            RequirementTarget::App(_) => None,
            RequirementTarget::Role(role) => {
                let role = app.manifest.provides.iter().find(|provided| provided.role == *role)?;
                Some(Candidate { app, fits: fits(range, role.version.as_deref()) })
            }
        })
        .collect();
    found.sort_by_key(|candidate| {
        let running = candidate.app.state == DesiredState::Running;
        (!candidate.fits, !running, candidate.app.manifest.id.clone())
    });
    found
}

/// The app that fills a role for another app.
pub(crate) fn of_role<'a>(
    app: &DesiredApp,
    role: &str,
    all: &'a [DesiredApp],
) -> Option<&'a DesiredApp> {
    let target = RequirementTarget::Role(role.to_owned());
    let declared = app.manifest.requires.iter().find(|wanted| wanted.target == target);
    let wanted = declared.cloned().unwrap_or(Requirement {
        target,
        version: None,
        optional: true,
        condition: archy_manifest::model::DependsOn::Started,
    });
    candidates(&app.manifest.id, &wanted, all).first().map(|candidate| candidate.app)
}

/// Apps that run and need `app`, with no other running app to fill the need: those that suffer when
/// it goes. `running` are the manifests of what runs.
#[must_use]
pub fn dependants<'a>(app: &Manifest, running: &[&'a Manifest]) -> Vec<&'a AppId> {
    let fills = |provider: &Manifest, target: &RequirementTarget| match target {
        RequirementTarget::App(id) => *id == provider.id,
        RequirementTarget::Role(role) => provider.provides.iter().any(|has| has.role == *role),
    };
    let needs_it = |other: &&&Manifest| {
        other.id != app.id
            && other.requires.iter().filter(|wanted| !wanted.optional).any(|wanted| {
                let instead = running.iter().any(|stays| {
                    stays.id != app.id && stays.id != other.id && fills(stays, &wanted.target)
                });
                fills(app, &wanted.target) && !instead
            })
    };
    running.iter().filter(needs_it).map(|other| &other.id).collect()
}

/// Container that an app is reached at: of its `main` service, else of its first.
pub(crate) fn chief_container(app: &DesiredApp) -> Option<String> {
    let services = &app.manifest.services;
    let name = services.keys().find(|name| name.as_str() == "main");
    let name = name.or_else(|| services.keys().next())?;
    Some(names::container(&app.manifest, name))
}

/// Units of the apps that this app needs, for ordering. An app that needs this one in turn is left
/// out: systemd would break such a circle at a place of its own choice.
pub(crate) fn after_units(app: &DesiredApp, all: &[DesiredApp]) -> Vec<String> {
    let mut units = BTreeSet::new();
    for requirement in &app.manifest.requires {
        let found = candidates(&app.manifest.id, requirement, all);
        let Some(provider) = found.first().map(|candidate| candidate.app) else { continue };
        if needs(provider, &app.manifest.id, all, &mut BTreeSet::new()) {
            continue;
        }
        let services = provider.manifest.services.iter().filter(|(_, service)| !service.oneshot);
        units
            .extend(services.map(|(name, _)| {
                format!("{}.service", names::container(&provider.manifest, name))
            }));
    }
    units.into_iter().collect()
}

/// True when `app` needs `wanted`, also through others.
fn needs<'a>(
    app: &'a DesiredApp,
    wanted: &AppId,
    all: &'a [DesiredApp],
    seen: &mut BTreeSet<&'a AppId>,
) -> bool {
    if !seen.insert(&app.manifest.id) {
        return false;
    }
    app.manifest.requires.iter().any(|requirement| {
        candidates(&app.manifest.id, requirement, all).first().is_some_and(|candidate| {
            candidate.app.manifest.id == *wanted || needs(candidate.app, wanted, all, seen)
        })
    })
}
