//! Host ports.

use std::collections::{BTreeMap, BTreeSet};

use archy_manifest::model::{NetworkMode, Protocol};

use super::{grave, installed};
use crate::desired::{DesiredApp, DesiredState};
use crate::intent::Intent;
use crate::scene::{self, Part, Scene};
use crate::step::{Check, Severity};

type HostPort = (u16, Protocol);

/// Ports that others have, with a free one in the mend.
pub(super) fn check(scene: &Scene<'_>, starting: &[&Part<'_>]) -> Vec<Check> {
    let mut wanted: Vec<HostPort> =
        starting.iter().flat_map(|part| published(scene.app, part)).collect();
    if scene.intent.installs() {
        wanted = scene.parts.iter().flat_map(|part| published(scene.app, part)).collect();
    }
    wanted.sort_unstable();
    wanted.dedup();
    if wanted.is_empty() {
        return Vec::new();
    }
    let held = held(scene);
    let others = claimed(scene);
    let mut found = Vec::new();
    let listening = scene.observed.listening.get();
    if let Some(cause) = scene.observed.listening.why_not() {
        let message = format!("Whether its ports are free is not known: {}", cause.text);
        found.push(super::check(Severity::Note, "not-checked", message));
    }
    let own: BTreeSet<HostPort> =
        scene.parts.iter().flat_map(|part| published(scene.app, part)).collect();
    let used = |port: &HostPort| {
        own.contains(port)
            || others.contains_key(port)
            || listening.is_some_and(|ports| ports.contains(port))
    };
    for port in wanted {
        let (severity, whose) = match others.get(&port) {
            Some(other) if !held.contains(&port) => {
                let id = &other.manifest.id;
                let weight = match (other.state, scene.intent) {
                    (DesiredState::Running, intent) => grave(intent),
                    (_, Intent::Install | Intent::Update) => Severity::Error,
                    _ => Severity::Warning,
                };
                (weight, format!("the app {id} has it"))
            }
            _ if held.contains(&port) => continue,
            _ if listening.is_some_and(|ports| ports.contains(&port)) => {
                (Severity::Error, "something on this host listens on it".to_owned())
            }
            _ => continue,
        };
        found.push(taken(port, severity, &whose, used));
    }
    found
}

fn taken(
    (port, protocol): HostPort,
    severity: Severity,
    whose: &str,
    used: impl Fn(&HostPort) -> bool,
) -> Check {
    let message = format!("Port {port}/{} is taken: {whose}.", word(protocol));
    let finding = super::check(severity, "port-taken", message);
    match next_free(port, |candidate| used(&(candidate, protocol))) {
        Some(free) => finding.mend(format!(
            "Choose another port, for example {free}, which is free; or stop what uses {port}."
        )),
        None => finding.mend(format!("Stop what uses {port}.")),
    }
}

const fn word(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    }
}

/// The next port above that nobody has; for a privileged port one above 8000, which needs no right.
fn next_free(port: u16, used: impl Fn(u16) -> bool) -> Option<u16> {
    let from = if port < 1024 { 8000 + port } else { port.checked_add(1)? };
    (from..=u16::MAX).find(|candidate| !used(*candidate))
}

/// Host ports of a service as they are published.
fn published<'a>(app: &'a DesiredApp, part: &'a Part<'_>) -> impl Iterator<Item = HostPort> {
    let service = (part.service.network != NetworkMode::None).then_some(part.service);
    service.into_iter().flat_map(|service| &service.ports).map(|port| effective(app, port))
}

fn effective(app: &DesiredApp, port: &archy_manifest::model::Port) -> HostPort {
    let key = (port.host, port.protocol);
    (app.port_overrides.get(&key).copied().unwrap_or(port.host), port.protocol)
}

/// Ports that other installed apps publish.
fn claimed<'a>(scene: &Scene<'a>) -> BTreeMap<HostPort, &'a DesiredApp> {
    let mut ports = BTreeMap::new();
    for other in installed(scene.all, scene.app) {
        for service in other.manifest.services.values() {
            for port in &service.ports {
                let known = ports.entry(effective(other, port)).or_insert(other);
                if other.state == DesiredState::Running {
                    *known = other;
                }
            }
        }
    }
    ports
}

/// Ports that the app's own running containers hold: as their unit files say, and as the manifest
/// says where a file is gone or where nobody asks for other ports than those that were granted.
fn held(scene: &Scene<'_>) -> BTreeSet<HostPort> {
    let (facts, app) = (scene.facts, &scene.app.manifest.id);
    let mut ports = BTreeSet::new();
    for (name, text) in facts.files_of(app) {
        if scene::unit_of(name).is_some_and(|unit| facts.runs(app, &unit)) {
            ports.extend(text.lines().filter_map(publish_line));
        }
    }
    let running: BTreeSet<&str> = facts
        .containers_of(app)
        .filter(|(_, container)| container.state == "running")
        .map(|(name, _)| name)
        .collect();
    let alive = |part: &&Part<'_>| part.phase.is_alive() || running.contains(&*part.container);
    for part in scene.parts.iter().filter(alive) {
        let text = scene.old_text(&part.file.file_name);
        ports.extend(text.into_iter().flat_map(str::lines).filter_map(publish_line));
        if text.is_none() || !scene.intent.installs() {
            ports.extend(published(scene.app, part));
        }
    }
    // which ports a container of a former part has cannot be told without its file
    let fileless = |name: &str| scene.old_text(&format!("{name}.container")).is_none();
    if scene.orphan_containers().any(|name| running.contains(name) && fileless(name)) {
        ports.extend(scene.parts.iter().flat_map(|part| published(scene.app, part)));
    }
    ports
}

/// `PublishPort=[address:]host:container[/protocol]`.
fn publish_line(line: &str) -> Option<HostPort> {
    let value = line.strip_prefix("PublishPort=")?;
    let (value, protocol) = match value.strip_suffix("/udp") {
        Some(value) => (value, Protocol::Udp),
        None => (value.strip_suffix("/tcp").unwrap_or(value), Protocol::Tcp),
    };
    let (before, _) = value.rsplit_once(':')?;
    let host = before.rsplit_once(':').map_or(before, |(_, host)| host);
    Some((host.parse().ok()?, protocol))
}
