//! Hooks that a fresh container waits for.
//!
//! systemd makes a container anew at each start: after a crash, a reboot, a power cut. The ledger
//! remembers in which container, by id, the hooks of a start have run; one with another id still
//! waits for them.

use std::collections::BTreeMap;

use archy_manifest::model::{HookAction, HookPoint, HookStep};
use archy_types::{AppId, ServiceName};

use crate::observed::Observed;
use crate::phase::Phase;
use crate::provider;
use crate::scene::{Part, Scene};
use crate::step::Step;

/// True for a step after which a container counts as settled: it is ready, and the hooks of its start
/// have run.
#[must_use]
pub const fn settles(step: &Step) -> bool {
    match step {
        Step::AwaitReady { .. } => true,
        Step::RunHook { point } => runs_when_fresh(*point),
        _ => false,
    }
}

/// True for a hook that belongs to every fresh container.
pub(crate) const fn runs_when_fresh(point: HookPoint) -> bool {
    matches!(point, HookPoint::PostStart | HookPoint::PostInstall)
}

/// Key of what is remembered of an app whose first install has not come to its end: steps that may
/// run once are still owed. No container is named like that.
const OWED: &str = "";

/// What to remember of an app before its first install: what runs once is still to be run.
#[must_use]
pub fn owing() -> BTreeMap<String, String> {
    BTreeMap::from([(OWED.to_owned(), String::new())])
}

/// True while steps that may run only once have not run: the first install began and did not get
/// that far.
#[must_use]
pub fn owes_first(app: &AppId, observed: &Observed) -> bool {
    observed.hooked.get(app).is_some_and(|known| known.contains_key(OWED))
}

/// Names and full ids of an app's running containers, for the ledger to remember; nothing when
/// they are not known.
#[must_use]
pub fn running_containers(app: &AppId, observed: &Observed) -> Option<BTreeMap<String, String>> {
    let all = observed.containers.get()?;
    let own =
        all.iter().filter(|(_, state)| crate::scene::is_of(state, app) && state.state == "running");
    Some(own.map(|(name, state)| (name.clone(), state.id.clone())).collect())
}

/// True for a step that acts on a container that is not its first.
fn again(point: HookPoint, step: &HookStep) -> bool {
    let waits = matches!(step.action, HookAction::WaitFor { .. });
    !waits && (step.idempotent || point != HookPoint::PostInstall)
}

/// The hook has something to do in a container that is not the app's first, or that its first left
/// undone.
pub(crate) fn repeats(scene: &Scene<'_>, point: HookPoint) -> bool {
    let hook = scene.app.manifest.hooks.get(&point);
    let owed = owes_first(&scene.app.manifest.id, scene.observed);
    hook.is_some_and(|hook| hook.iter().any(|step| owed || again(point, step)))
}

/// Parts in whose container a hook has still to run. None as long as a service that it needs does
/// not run.
pub(crate) fn waiting<'a, 'b>(scene: &'a Scene<'b>, point: HookPoint) -> Vec<&'a Part<'b>> {
    let Some(hook) = scene.app.manifest.hooks.get(&point) else { return Vec::new() };
    let steps = hook.iter().filter(|step| again(point, step));
    let needed: Vec<&ServiceName> = steps.map(|step| service(&step.action)).collect();
    let parts: Vec<&Part<'_>> =
        scene.parts.iter().filter(|part| needed.contains(&part.name)).collect();
    if parts.iter().any(|part| part.phase != Phase::Up || !runs(scene, part)) {
        return Vec::new();
    }
    parts.into_iter().filter(|part| is_fresh(scene, part)).collect()
}

/// Parts that are not known to be ready, where another app waits for that.
pub(crate) fn unready<'a, 'b>(scene: &'a Scene<'b>) -> Vec<&'a Part<'b>> {
    if !provider::is_awaited(scene.app, scene.all) {
        return Vec::new();
    }
    let conditional = |part: &&Part<'_>| !part.service.ready.is_empty();
    let up = |part: &&Part<'_>| part.phase == Phase::Up && runs(scene, part);
    scene.parts.iter().filter(conditional).filter(up).filter(|part| is_fresh(scene, part)).collect()
}

fn service(action: &HookAction) -> &ServiceName {
    match action {
        HookAction::Exec { service, .. }
        | HookAction::CopyFromHost { service, .. }
        | HookAction::Http { service, .. }
        | HookAction::WaitFor { service, .. } => service,
    }
}

fn runs(scene: &Scene<'_>, part: &Part<'_>) -> bool {
    let container = scene.facts.containers.get(&part.container);
    scene.has_container(part) && container.is_some_and(|container| container.state == "running")
}

/// The hooks of a start have not run in this container.
fn is_fresh(scene: &Scene<'_>, part: &Part<'_>) -> bool {
    let seen = scene.facts.containers.get(&part.container).map(|container| &container.id);
    let known = scene.observed.hooked.get(&scene.app.manifest.id);
    known.and_then(|known| known.get(&part.container)) != seen
}
