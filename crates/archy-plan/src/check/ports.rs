//! Host ports.

use std::collections::{BTreeMap, BTreeSet};

use archy_manifest::model::{NetworkMode, Protocol};

use super::{grave, installed};
use crate::desired::{DesiredApp, DesiredState};
use crate::intent::Intent;
use crate::scene::{Part, Scene};
use crate::step::{Check, Severity};

type HostPort = (u16, Protocol);

/// What the kernel lets programs without rights listen on where the host does not say it.
const USUAL_LOWEST: u16 = 1024;

/// Ports that others have or that need rights, with a free one in the mend.
pub(super) fn check(scene: &Scene<'_>, starting: &[&Part<'_>]) -> Vec<Check> {
    let opening: BTreeSet<HostPort> =
        starting.iter().flat_map(|part| published(scene.app, part)).collect();
    let mut wanted: Vec<HostPort> = opening.iter().copied().collect();
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
    let lowest = scene.observed.lowest_port.get().copied().unwrap_or(USUAL_LOWEST);
    for port in wanted {
        // what a container holds and goes on holding, it was once given
        if port.0 < lowest && (opening.contains(&port) || !held.contains(&port)) {
            let finding = privileged(scene, port, lowest, used);
            let refused = finding.severity == Severity::Error;
            found.push(finding);
            if refused {
                continue;
            }
        }
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
        found.push(taken(port, severity, &whose, lowest, used));
    }
    found
}

/// A port that programs without rights may not listen on, as far as that is known.
fn privileged(
    scene: &Scene<'_>,
    (port, protocol): HostPort,
    lowest: u16,
    used: impl Fn(&HostPort) -> bool,
) -> Check {
    let shown = format!("{port}/{}", word(protocol));
    if let Some(cause) = scene.observed.lowest_port.why_not() {
        let message = format!("Whether port {shown} needs rights is not known: {}", cause.text);
        return super::check(Severity::Note, "not-checked", message);
    }
    let message = format!(
        "Port {shown} needs rights that apps do not have: the lowest port they get on this host \
         is {lowest}."
    );
    let allow = format!(
        "let root allow it on this host: `sysctl -w net.ipv4.ip_unprivileged_port_start={port}`, \
         and the same in a file below /etc/sysctl.d to keep it."
    );
    let mend = match next_free(port, lowest, |candidate| used(&(candidate, protocol))) {
        Some(free) => format!("Choose another port, for example {free}, which is free; or {allow}"),
        None => format!("Choose another port; or {allow}"),
    };
    super::check(Severity::Error, "port-privileged", message).mend(mend)
}

fn taken(
    (port, protocol): HostPort,
    severity: Severity,
    whose: &str,
    lowest: u16,
    used: impl Fn(&HostPort) -> bool,
) -> Check {
    let message = format!("Port {port}/{} is taken: {whose}.", word(protocol));
    let finding = super::check(severity, "port-taken", message);
    match next_free(port, lowest, |candidate| used(&(candidate, protocol))) {
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

/// The next port above that nobody has; for a low port one above 8000, which needs no right.
fn next_free(port: u16, lowest: u16, used: impl Fn(u16) -> bool) -> Option<u16> {
    let low = port < lowest.max(USUAL_LOWEST);
    let from = if low { lowest.max(port.saturating_add(8000)) } else { port.checked_add(1)? };
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
        if archy_quadlet::unit_of(name).is_some_and(|unit| facts.runs(app, &unit)) {
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
