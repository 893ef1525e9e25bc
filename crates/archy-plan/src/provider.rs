//! Which installed app fills a requirement.

use std::collections::{BTreeMap, BTreeSet};

use archy_manifest::model::{DependsOn, Probe, Requirement, RequirementTarget, Service};
use archy_manifest::{Manifest, names};
use archy_types::{AppId, Health};
use semver::{Version, VersionReq};

use crate::desired::{DesiredApp, DesiredState};
use crate::observed::{ActiveState, ContainerState, Observed};

/// An installed app that a requirement points at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate<'a> {
    pub(crate) app: &'a DesiredApp,
    /// Its version lies in the wanted range, or no range is asked.
    pub(crate) fits: bool,
    /// The version that was compared: of the role that it fills, else its own.
    pub(crate) version: &'a str,
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
                let version = &app.manifest.version;
                Some(Candidate { app, fits: fits(range, Some(version)), version })
            }
            RequirementTarget::App(_) => None,
            RequirementTarget::Role(role) => {
                let role = app.manifest.provides.iter().find(|provided| provided.role == *role)?;
                let version = role.version.as_deref().unwrap_or(&app.manifest.version);
                Some(Candidate { app, fits: fits(range, role.version.as_deref()), version })
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

/// Units that come before this app's, for ordering: of the apps that it needs, and of those that
/// start earlier at boot. An app that needs this one in turn is left out: systemd would break such a
/// circle at a place of its own choice.
pub(crate) fn after_units(app: &DesiredApp, all: &[DesiredApp]) -> Vec<String> {
    let mut units = BTreeSet::new();
    for requirement in &app.manifest.requires {
        let found = candidates(&app.manifest.id, requirement, all);
        let Some(provider) = found.first().map(|candidate| candidate.app) else { continue };
        if !needs(provider, &app.manifest.id, all, &mut BTreeSet::new()) {
            units.extend(lasting_units(provider));
        }
    }
    let levels = boot_levels(all);
    let own = levels.get(&app.manifest.id).copied().unwrap_or(app.manifest.boot_priority);
    let earlier = all.iter().filter(|other| {
        other.state == DesiredState::Running
            && !other.is_watched()
            && other.manifest.id != app.manifest.id
            && levels.get(&other.manifest.id).is_some_and(|level| *level < own)
    });
    units.extend(earlier.flat_map(lasting_units));
    units.into_iter().collect()
}

/// Units of an app's services that go on running.
fn lasting_units(app: &DesiredApp) -> impl Iterator<Item = String> {
    let services = app.manifest.services.iter().filter(|(_, service)| !service.oneshot);
    services.map(|(name, _)| format!("{}.service", names::container(&app.manifest, name)))
}

/// When each app starts at boot, smaller earlier: as its manifest says, but not after one that needs
/// it, directly or through others. So no app ever waits for one that waits for it.
#[must_use]
pub fn boot_levels(all: &[DesiredApp]) -> BTreeMap<AppId, u8> {
    let staying = || all.iter().filter(|app| !app.is_leaving());
    let mut levels: BTreeMap<AppId, u8> =
        staying().map(|app| (app.manifest.id.clone(), app.manifest.boot_priority)).collect();
    let links: Vec<(&AppId, &AppId)> = staying()
        .flat_map(|app| {
            let id = &app.manifest.id;
            let wanted = app.manifest.requires.iter();
            let found = wanted.filter_map(move |wanted| best(id, wanted, all));
            found.map(move |provider| (id, &provider.manifest.id))
        })
        .collect();
    // each round carries a level one link further; a chain is no longer than there are apps
    for _ in 0..all.len() {
        let mut changed = false;
        for (app, provider) in links.iter().copied() {
            let (Some(needed_at), Some(level)) =
                (levels.get(app).copied(), levels.get_mut(provider))
            else {
                continue;
            };
            changed |= needed_at < *level;
            *level = needed_at.min(*level);
        }
        if !changed {
            break;
        }
    }
    levels
}

/// The app that fills a requirement best.
fn best<'a>(of: &AppId, wanted: &Requirement, all: &'a [DesiredApp]) -> Option<&'a DesiredApp> {
    candidates(of, wanted, all).first().map(|candidate| candidate.app)
}

/// Why a condition that an app puts on one that it needs does not hold, in words; nothing when it
/// does, or when the requirement has no condition but that the other runs. A version that it was not
/// made for counts as such a condition: it would only be started into a loop.
pub(crate) fn unmet(
    of: &AppId,
    wanted: &Requirement,
    observed: &Observed,
    all: &[DesiredApp],
) -> Option<String> {
    if wanted.optional {
        return None;
    }
    let found = *candidates(of, wanted, all).first()?;
    let (provider, id) = (found.app, &found.app.manifest.id);
    if !found.fits {
        let (range, version) = (wanted.version.as_deref().unwrap_or("*"), found.version);
        return Some(format!("It needs {id} {range}; installed is {version}."));
    }
    if !matches!(wanted.condition, DependsOn::Healthy | DependsOn::Ready) {
        return None;
    }
    if provider.state != DesiredState::Running {
        return Some(format!("It needs {id}, which is stopped."));
    }
    if provider.is_watched() {
        let up = crate::adopt::runs(provider, observed);
        return (!up).then(|| format!("It needs {id}, which does not run."));
    }
    let units = observed.units.get()?;
    let containers = observed.containers.get()?;
    let lasting = provider.manifest.services.iter().filter(|(_, service)| !service.oneshot);
    for (name, service) in lasting {
        let container = names::container(&provider.manifest, name);
        let unit = units.get(&format!("{container}.service"));
        let chief = Some(&container) == chief_container(provider).as_ref();
        if chief && unit.is_none_or(|unit| unit.active != ActiveState::Active) {
            return Some(format!("It needs {id}, which does not run."));
        }
        let seen = containers.get(&container);
        let fails = |wanted: bool, word: &str| {
            wanted.then(|| format!("It needs {id}, of which {name} is not {word} yet."))
        };
        let found = match wanted.condition {
            DependsOn::Ready => {
                let known = observed.hooked.get(id).and_then(|known| known.get(&container));
                let settled = seen.is_some_and(|seen| known == Some(&seen.id));
                fails(!service.ready.is_empty() && !settled, "ready")
            }
            _ => fails(chief && !is_healthy(service, seen), "healthy"),
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

/// True for the container of a unit that is active, as far as its health check tells.
fn is_healthy(service: &Service, seen: Option<&ContainerState>) -> bool {
    let Some(check) = &service.health else { return true };
    match seen.map_or(Health::Unknown, |seen| seen.health) {
        Health::Healthy => true,
        // the unit counts as active since the app answered; Podman's first check comes after it
        Health::Starting => !matches!(check.probe, Probe::Exec(_)),
        Health::Unhealthy | Health::Unknown => false,
    }
}

/// True when an app that should run waits until this one is ready.
pub(crate) fn is_awaited(app: &DesiredApp, all: &[DesiredApp]) -> bool {
    all.iter().filter(|other| other.state == DesiredState::Running).any(|other| {
        other.manifest.requires.iter().any(|wanted| {
            wanted.condition == DependsOn::Ready
                && !wanted.optional
                && best(&other.manifest.id, wanted, all)
                    .is_some_and(|provider| provider.manifest.id == app.manifest.id)
        })
    })
}

/// The circle of apps that need each other which `app` is in, from it to it again. What an app can do
/// without makes none.
pub(crate) fn cycle<'a>(
    app: &'a DesiredApp,
    all: &'a [DesiredApp],
) -> Option<Vec<(&'a AppId, Option<&'a str>)>> {
    let mut path = vec![(&app.manifest.id, None)];
    let mut seen = BTreeSet::new();
    leads_back(app, &app.manifest.id, all, &mut seen, &mut path).then_some(path)
}

/// Follows what `at` needs until `home`; the path is the way there, each app with the role that it
/// was found by.
fn leads_back<'a>(
    at: &'a DesiredApp,
    home: &AppId,
    all: &'a [DesiredApp],
    seen: &mut BTreeSet<&'a AppId>,
    path: &mut Vec<(&'a AppId, Option<&'a str>)>,
) -> bool {
    if !seen.insert(&at.manifest.id) {
        return false;
    }
    for wanted in at.manifest.requires.iter().filter(|wanted| !wanted.optional) {
        let Some(next) = best(&at.manifest.id, wanted, all) else { continue };
        let role = match &wanted.target {
            RequirementTarget::Role(role) => Some(role.as_str()),
            RequirementTarget::App(_) => None,
        };
        path.push((&next.manifest.id, role));
        if next.manifest.id == *home || leads_back(next, home, all, seen, path) {
            return true;
        }
        path.pop();
    }
    false
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
