//! What must hold once everything rests.

use std::collections::BTreeSet;

use archy_engine::Snapshot;
use archy_plan::observed::{ActiveState, ContainerState};
use archy_plan::{DesiredApp, DesiredState, Intent, Known};
use archy_testkit::{Model, Sim};
use archy_types::{AppId, AppState};

use crate::node::{Node, Wish};
use crate::shapes::{APPS, id};
use crate::{data, foreign};

/// Everything that does not hold.
pub(crate) fn broken(node: &Node) -> Vec<String> {
    let snapshot = node.handle.snapshot();
    let mut broken = Vec::new();
    for app in APPS.map(id) {
        let desired = node.sim.books().apps.get(&app).cloned();
        let model = node.sim.model();
        let found = match &desired {
            None => absent(&model, node, &app),
            Some(desired) if desired.is_watched() => foreign::watched(&model, desired, &snapshot),
            Some(desired) => present(&model, desired, &snapshot),
        };
        drop(model);
        broken.extend(found.into_iter().map(|text| format!("{app}: {text}")));
        if snapshot.apps.contains_key(&app) != desired.is_some() {
            broken.push(format!("{app}: status and ledger do not name the same apps"));
        }
        broken.extend(unwished(node, &app, desired.as_ref()));
    }
    broken.extend(journal(&node.sim));
    broken.extend(lost(node));
    broken.extend(data::wrong(node));
    broken.extend(foreign::broken(node));
    broken.extend(node.sim.broken());
    broken.extend(drifted(node));
    broken
}

/// Apps whose status names a failure and a repair for it.
pub(crate) fn failed(snapshot: &Snapshot) -> Vec<AppId> {
    let failed = |state: AppState| state == AppState::Failed;
    let views = snapshot.apps.iter().filter(|(_, view)| failed(view.report.state));
    views.map(|(app, _)| app.clone()).collect()
}

/// What does not come to rest.
pub(crate) fn unrest(node: &Node) -> String {
    let snapshot = node.handle.snapshot();
    let apps: Vec<String> = snapshot
        .apps
        .iter()
        .map(|(app, view)| format!("{app} {:?} ({})", view.report.state, view.report.cause.text))
        .collect();
    let books = node.sim.books();
    let open: Vec<String> = books
        .operations
        .iter()
        .zip(1..)
        .filter(|(entry, _)| entry.ending.is_none())
        .map(|(entry, id): (_, i64)| format!("operation {id} ({} of {})", entry.kind, entry.app))
        .collect();
    format!("{}; open: {}", apps.join(", "), open.join(", "))
}

/// The owner's wish is old or new, never something else.
fn unwished(node: &Node, app: &AppId, desired: Option<&DesiredApp>) -> Option<String> {
    let allowed = &node.wishes[app];
    match Wish::of(desired) {
        None => Some(format!("{app}: the removal is not over")),
        Some(wish) if allowed.contains(&wish) => None,
        Some(Wish::Present { version, running, title, hold })
            if allowed.contains(&Wish::Present { version, running, title: None, hold })
                && node.titles.contains(&(app.clone(), title.clone())) =>
        {
            None
        }
        Some(wish) => Some(format!("{app}: is wished {wish:?}, which is none of {allowed:?}")),
    }
}

pub(crate) fn labelled(text: &str, app: &AppId) -> bool {
    text.lines().any(|line| line == format!("Label=io.archipelago.app={app}"))
}

pub(crate) fn belongs(name: &str, app: &AppId) -> bool {
    name == app.as_str() || name.starts_with(&format!("{app}-"))
}

/// Nothing of an app that is not there.
fn absent(model: &Model, node: &Node, app: &AppId) -> Vec<String> {
    let mut found = Vec::new();
    let files = model.unit_files.iter().filter(|(_, text)| labelled(text, app));
    found.extend(files.map(|(name, _)| format!("the unit file {name} is left")));
    let loaded = model.loaded.iter().filter(|(_, text)| labelled(text, app));
    found.extend(loaded.map(|(name, _)| format!("systemd still knows {name}")));
    let live = model.units.iter().filter(|(unit, state)| {
        let idle = matches!(state.active, ActiveState::Inactive | ActiveState::Failed);
        !idle && belongs(unit.trim_end_matches(".service"), app) && !is_owners(model, unit)
    });
    found.extend(live.map(|(unit, _)| format!("the unit {unit} still runs")));
    let names = |kind: &str, names: Vec<&String>| {
        let left = names.into_iter().filter(|name| belongs(name, app));
        left.map(|name| format!("the {kind} {name} is left")).collect::<Vec<_>>()
    };
    found.extend(names("container", own_containers(model).collect()));
    found.extend(names("network", model.networks.iter().collect()));
    found.extend(names("podman secret", model.podman_secrets.keys().collect()));
    let held = model.ports.keys().filter(|name| !model.foreign.containers.contains_key(*name));
    found.extend(names("port of container", held.collect()));
    if node.emptied.contains(app) {
        // what was there before Archipelago is left to its owner
        let owners = |volume: &&String| {
            let mut mounts = node.laid.iter().flat_map(|laid| &laid.foreigner.mounts);
            mounts.any(|(source, _)| source == *volume)
        };
        found.extend(names("volume", model.volumes.iter().filter(|v| !owners(v)).collect()));
        found.extend(names("secret", model.secret_files.keys().collect()));
        if model.app_files.get(app).is_some_and(|files| !files.is_empty()) {
            found.push("its directory is left".to_owned());
        }
        if model.snapshots.contains_key(app) {
            found.push("a snapshot is left".to_owned());
        }
    }
    found
}

/// Containers that Archipelago made.
fn own_containers(model: &Model) -> impl Iterator<Item = &String> {
    let ours = |seen: &ContainerState| seen.labels.contains_key("io.archipelago.app");
    model.containers.iter().filter(move |(_, seen)| ours(seen)).map(|(name, _)| name)
}

/// True for the unit of a file that the owner wrote.
fn is_owners(model: &Model, unit: &str) -> bool {
    let file = format!("{}.container", unit.trim_end_matches(".service"));
    model.loaded.get(&file).is_some_and(|text| !text.contains("Label=io.archipelago.app="))
}

/// An app is wholly what its ledger says.
fn present(model: &Model, desired: &DesiredApp, snapshot: &Snapshot) -> Vec<String> {
    let app = &desired.manifest.id;
    let mut found = Vec::new();
    let Some(view) = snapshot.apps.get(app) else {
        return vec!["it is in the ledger, but has no status".to_owned()];
    };
    let report = &view.report;
    if report.cause.text.is_empty() {
        found.push("its status has no cause".to_owned());
    }
    let waits = report.state == AppState::Waiting;
    let expected = match desired.state {
        DesiredState::Running => report.state == AppState::Running || waits,
        DesiredState::Stopped => report.state == AppState::Stopped,
        DesiredState::Removed | DesiredState::Purged => false,
    };
    if !expected {
        found.push(format!("it is wished {:?}, and shown as {report:?}", desired.state));
    }
    for (name, service) in &desired.manifest.services {
        let container = archy_manifest::names::container(&desired.manifest, name);
        let unit = model.units.get(&format!("{container}.service"));
        let active = unit.is_some_and(|unit| unit.active == ActiveState::Active);
        let running = desired.state == DesiredState::Running;
        if active != running {
            found.push(format!("{container} is {:?}", unit.map(|unit| unit.active)));
        }
        let there = model.containers.get(&container);
        if there.is_some() != (running && !service.oneshot) {
            found.push(format!("container {container} is there: {}", there.is_some()));
        }
        let file = model.unit_files.get(&format!("{container}.container"));
        if let (true, Some(made_from)) = (running, model.made_from.get(&container))
            && file.map(|text| counts(text)) != Some(counts(made_from))
        {
            found.push(format!("{container} was made from another unit file"));
        }
    }
    found.extend(foreign_parts(model, desired));
    found.extend(written(model, desired));
    found
}

/// The lines of a unit that matter to a container that runs.
fn counts(text: &str) -> Vec<&str> {
    let inert = |line: &str| {
        [
            "Label=io.archipelago.generation",
            "Label=io.archipelago.manifest",
            "[Install]",
            "WantedBy=",
            "After=",
        ]
        .iter()
        .any(|start| line.starts_with(start))
    };
    text.lines().filter(|line| !line.is_empty() && !inert(line)).collect()
}

/// No part of another version is left.
fn foreign_parts(model: &Model, desired: &DesiredApp) -> Vec<String> {
    let app = &desired.manifest.id;
    let services = desired.manifest.services.keys();
    let own: BTreeSet<String> =
        services.map(|name| archy_manifest::names::container(&desired.manifest, name)).collect();
    let mut found = Vec::new();
    for name in own_containers(model).chain(model.ports.keys()) {
        if belongs(name, app) && !own.contains(name) {
            found.push(format!("container {name} of another version is left"));
        }
    }
    for (name, text) in &model.unit_files {
        let stem = name.trim_end_matches(".container");
        if labelled(text, app) && name.ends_with(".container") && !own.contains(stem) {
            found.push(format!("{name} of another version is left"));
        }
        let starts = text.contains("WantedBy=default.target");
        if own.contains(stem) && starts != (desired.state == DesiredState::Running) {
            found.push(format!("{name} starts at boot: {starts}"));
        }
        if model.loaded.get(name) != Some(text) {
            found.push(format!("systemd has not read {name}"));
        }
    }
    let used: BTreeSet<&String> = desired.manifest.secrets.keys().collect();
    for name in model.podman_secrets.keys().filter(|name| belongs(name, app)) {
        if !used.contains(name) {
            found.push(format!("podman secret {name} of another version is left"));
        }
    }
    found
}

/// Settings have reached files.
fn written(model: &Model, desired: &DesiredApp) -> Option<String> {
    let file = desired.manifest.files.first()?;
    let title = desired.settings.get("title").and_then(|value| value.as_str()).unwrap_or("Hello");
    let hash = archy_types::Digest::of(title.as_bytes()).hex();
    let wanted = archy_plan::observed::FileState::File { hash };
    let files = model.app_files.get(&desired.manifest.id)?;
    let good = files.get(&file.path) == Some(&wanted) || desired.state != DesiredState::Running;
    (!good).then(|| format!("{} does not say {title:?}", file.path))
}

fn journal(sim: &Sim) -> Vec<String> {
    let books = sim.books();
    let open = books.operations.iter().filter(|entry| entry.ending.is_none());
    open.map(|entry| format!("{}: {} is open in the journal", entry.app, entry.kind)).collect()
}

/// Secrets outlive everything but a purge.
fn lost(node: &Node) -> Vec<String> {
    let now = &node.sim.model().secret_files;
    let purged = |name: &str| node.purged.iter().any(|app| belongs(name, app));
    let gone =
        node.secrets.iter().filter(|(name, value)| !purged(name) && now.get(*name) != Some(*value));
    gone.map(|(name, value)| format!("the secret {name} was {value}, is {:?}", now.get(name)))
        .collect()
}

/// Nothing is left to do, as the plan sees it.
fn drifted(node: &Node) -> Vec<String> {
    let all: Vec<DesiredApp> = node.sim.books().apps.values().cloned().collect();
    let mut observed = node.sim.observed();
    observed.hooked = node.sim.books().hooked.clone();
    assert!(matches!(observed.containers, Known::Yes(_)), "no fault is in");
    let mut found = Vec::new();
    for app in &all {
        let plan = archy_plan::plan(app, &observed, &all, Intent::Converge);
        for planned in &plan.steps {
            let step = archy_plan::describe(&planned.step);
            found.push(format!("{}: still to do: {step}, since {}", plan.app, planned.reason));
        }
        if let Some(check) = plan.refusal() {
            found.push(format!("{}: refused: {}", plan.app, check.message));
        }
    }
    found
}
