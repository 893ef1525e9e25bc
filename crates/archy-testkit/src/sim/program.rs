//! What a container does in simulation: what it cannot start without, the ports that it holds, and
//! the data that it writes.
//!
//! Data is the list of its writers, in order: each start of a container adds `<container>@<version>`.
//! So it tells which versions ran on it, and whether something was put back or lost.

use std::collections::BTreeMap;

use archy_manifest::model::Protocol;
use archy_quadlet::render::LABEL_APP;
use archy_types::AppId;

use super::State;
use crate::model::Model;

/// Where apps have their directories.
const DATA: &str = "/var/lib/archipelago/";

pub(super) fn values<'a>(text: &'a str, key: &str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| line.strip_prefix(key)?.strip_prefix('='))
}

fn name_of(text: &str) -> &str {
    values(text, "ContainerName").next().unwrap_or_default()
}

/// The app whose label a text or a container has.
fn app_of(text: &str) -> Option<AppId> {
    let label = values(text, "Label").find_map(|label| label.strip_prefix(LABEL_APP));
    AppId::new(label?.strip_prefix('=')?).ok()
}

/// True when a container is Archipelago's own.
pub(super) fn is_ours(labels: &BTreeMap<String, String>) -> bool {
    labels.contains_key(LABEL_APP)
}

/// Notes what must not happen when a container starts.
pub(super) fn watch(state: &mut State, model: &Model, text: &str) {
    let name = name_of(text);
    let ours = app_of(text);
    let there = model.containers.get(name);
    if ours.is_some() && there.is_some_and(|there| !is_ours(&there.labels)) {
        state.broken.push(format!("the owner's container {name} was replaced"));
    }
    let app = ours.or_else(|| state.foreigners.get(name).map(|found| found.app.clone()));
    watch_data(state, app.as_ref(), name);
}

/// Notes a start while the data of its app is at work on.
pub(super) fn watch_data(state: &mut State, app: Option<&AppId>, name: &str) {
    let touched = app.and_then(|app| state.touched.get(app));
    if touched == Some(&state.life) {
        state.broken.push(format!("{name} was started while its data was saved or put back"));
    }
}

/// What Podman would refuse a container for.
pub(super) fn lacking(model: &Model, text: &str) -> Option<String> {
    let secrets = values(text, "Secret").filter_map(|value| value.split(',').next());
    let mut missing = secrets.filter(|name| !model.podman_secrets.contains_key(*name));
    if let Some(name) = missing.next() {
        return Some(format!("no such secret {name}"));
    }
    for source in values(text, "Volume").filter_map(|value| value.split(':').next()) {
        let Some(path) = source.strip_prefix(DATA) else { continue };
        let (app, path) = path.split_once('/').unwrap_or((path, ""));
        let files = model.app_files.iter().find(|(id, _)| id.as_str() == app);
        if !files.is_some_and(|(_, files)| files.contains_key(path)) {
            return Some(format!("{source} is not there"));
        }
    }
    let name = name_of(text);
    let held = model.ports.iter().filter(|(owner, _)| *owner != name);
    let held: Vec<_> = held.flat_map(|(_, ports)| ports).collect();
    let taken = |port: &(u16, Protocol)| held.contains(&port) || model.foreign_ports.contains(port);
    let taken = published(text).into_iter().find(taken);
    taken.map(|(port, _)| format!("port {port} is in use"))
}

fn published(text: &str) -> Vec<(u16, Protocol)> {
    let host = |value: &str| {
        let (value, protocol) = match value.split_once('/') {
            Some((value, "udp")) => (value, Protocol::Udp),
            Some((value, _)) => (value, Protocol::Tcp),
            None => (value, Protocol::Tcp),
        };
        Some((value.rsplit(':').nth(1)?.parse().ok()?, protocol))
    };
    values(text, "PublishPort").filter_map(host).collect()
}

/// A container that runs holds its ports, and adds to its data.
pub(super) fn run(model: &mut Model, text: &str) {
    let name = name_of(text).to_owned();
    model.made_from.insert(name.clone(), text.to_owned());
    let image = values(text, "Image").next().unwrap_or_default();
    let version = image.rsplit_once(':').map_or("0", |(_, version)| version);
    let writer = format!("{}@{version}", model.made);
    for value in values(text, "Volume").filter(|value| !value.ends_with(":ro")) {
        let source = value.split(':').next().unwrap_or_default();
        write(model, place(source), &writer);
    }
    if text.contains("Type=oneshot") {
        model.containers.remove(&name);
    } else {
        model.ports.insert(name, published(text).into_iter().collect());
    }
}

/// The place of data that a unit mounts.
pub(super) fn place(source: &str) -> String {
    if let Some(volume) = source.strip_suffix(".volume") {
        return format!("volume {volume}");
    }
    match source.strip_prefix(DATA) {
        Some(path) => format!("directory {path}"),
        None if source.starts_with('/') => format!("path {source}"),
        None => format!("volume {source}"),
    }
}

/// A container wrote there.
pub(super) fn write(model: &mut Model, place: String, writer: &str) {
    let content = model.data.entry(place).or_default();
    if !content.is_empty() {
        content.push(' ');
    }
    content.push_str(writer);
}
