//! What concerns several services: ports and doors, nested directories, dependencies in a circle.

use std::collections::BTreeSet;

use archy_manifest::model::DependsOn;
use archy_manifest::schema::{AuthMode, Interface, InterfaceType, MountType, Port, Transport};

use crate::draft::Draft;

/// The door for people.
#[derive(Debug, Clone, Default)]
pub(crate) struct Door {
    /// Service in the source.
    pub(crate) service: String,
    /// Port in the container.
    pub(crate) container: u16,
    /// Port on the host.
    pub(crate) host: u16,
    /// Path of the UI.
    pub(crate) path: Option<String>,
    /// `https` when the app speaks TLS itself.
    pub(crate) protocol: Option<String>,
    /// Open to anyone, with the reason.
    pub(crate) open: Option<String>,
}

/// Publishes the door and settles what is left between services.
pub(crate) fn settle(draft: &mut Draft<'_>, door: Option<Door>) {
    if let Some(door) = &door {
        publish(draft, door);
    }
    ports(draft, door.as_ref());
    nested(draft);
    dependencies(draft);
    health(draft);
    if let Some(door) = door {
        interface(draft, &door);
    } else if !draft.app.services.is_empty() {
        draft.find("unpublished-ui", "", "no door for people was found");
    }
}

fn publish(draft: &mut Draft<'_>, door: &Door) {
    let name = draft.names.get(&door.service).cloned().unwrap_or_else(|| door.service.clone());
    let Some(container) = draft.app.services.get_mut(&name) else { return };
    if container.network.as_deref() == Some("none") {
        container.network = None;
    }
    let auth = if door.open.is_some() { AuthMode::Open } else { AuthMode::Gated };
    let tcp = |port: &&mut Port| port.protocol != Some(Transport::Udp);
    let known = container
        .ports
        .iter_mut()
        .filter(tcp)
        .find(|port| port.container == door.container && port.host == Some(door.host));
    match known {
        Some(port) => {
            port.auth = Some(auth);
            port.auth_rationale.clone_from(&door.open);
            port.bind = None;
        }
        None => container.ports.insert(
            0,
            Port {
                host: Some(door.host),
                container: door.container,
                auth: Some(auth),
                auth_rationale: door.open.clone(),
                ..Port::default()
            },
        ),
    }
}

/// Every port has a policy, and no host port is wanted twice.
fn ports(draft: &mut Draft<'_>, door: Option<&Door>) {
    let mut taken: BTreeSet<(u16, bool)> = BTreeSet::new();
    // the door keeps its port
    taken.extend(door.map(|door| (door.host, false)));
    let mut findings: Vec<(&'static str, String)> = Vec::new();
    for container in draft.app.services.values_mut() {
        let mut kept = Vec::new();
        for mut port in std::mem::take(&mut container.ports) {
            let udp = port.protocol == Some(Transport::Udp);
            let host = port.host.unwrap_or(port.container);
            let is_door = door
                .is_some_and(|door| !udp && door.host == host && door.container == port.container);
            if !is_door && taken.contains(&(host, udp)) {
                let free =
                    (host..=u16::MAX).chain(20_000..host).find(|n| !taken.contains(&(*n, udp)));
                let Some(free) = free else { continue };
                findings.push((
                    "changed-port",
                    format!("{host} is taken; {free} is used for {}", port.container),
                ));
                port.host = Some(free);
            }
            let host = port.host.unwrap_or(port.container);
            taken.insert((host, udp));
            if port.auth.is_none() {
                port.auth = Some(AuthMode::None);
                let text =
                    "Published by the source to the local network, with no sign-in in front.";
                port.auth_rationale = Some(text.to_owned());
            }
            if host < 1024 && port.auth != Some(AuthMode::Local) {
                findings
                    .push(("low-port", format!("{host} for {} in the container", port.container)));
            }
            kept.push(port);
        }
        container.ports = kept;
    }
    for (code, message) in findings {
        draft.find(code, "ports", message);
    }
}

/// Directories inside directories that a container can write to get places of their own.
fn nested(draft: &mut Draft<'_>) {
    let mut all: Vec<(String, bool)> = Vec::new();
    for container in draft.app.services.values() {
        for mount in container.volumes.iter().filter(|m| m.kind == Some(MountType::Bind)) {
            let source = mount.source.clone().unwrap_or_default();
            let writable = mount.read_only != Some(true);
            match all.iter_mut().find(|(known, _)| *known == source) {
                Some((_, known)) => *known |= writable,
                None => all.push((source, writable)),
            }
        }
    }
    let inside = |inner: &str, outer: &str| {
        outer.is_empty() && !inner.is_empty()
            || inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'))
    };
    let mut moved: Vec<(String, String)> = Vec::new();
    for (source, _) in &all {
        let nested = all.iter().any(|(outer, writable)| *writable && inside(source, outer));
        if nested {
            moved.push((source.clone(), format!("nested/{}", source.replace('/', "-"))));
        }
    }
    for container in draft.app.services.values_mut() {
        for mount in &mut container.volumes {
            if mount.kind != Some(MountType::Bind) {
                continue;
            }
            let new = moved.iter().find(|(old, _)| Some(old) == mount.source.as_ref());
            if let Some((_, new)) = new {
                mount.source = Some(new.clone());
            }
        }
    }
    for (old, new) in moved {
        let message = format!("{old} lies in another mounted directory; it becomes {new}");
        draft.find("nested-data", "volumes", message);
    }
}

/// Dependencies that nothing can meet are let go.
fn dependencies(draft: &mut Draft<'_>) {
    let names: Vec<String> = draft.app.services.keys().cloned().collect();
    let healthy: Vec<String> = draft
        .app
        .services
        .iter()
        .filter(|(_, container)| container.health.is_some())
        .map(|(name, _)| name.clone())
        .collect();
    let mut lost: Vec<String> = Vec::new();
    for (name, container) in &mut draft.app.services {
        container.depends_on.retain(|target, condition| {
            if *condition == DependsOn::Healthy && !healthy.contains(target) {
                *condition = DependsOn::Started;
            }
            let keep = names.contains(target) && target != name;
            if !keep {
                lost.push(format!("{name} → {target}"));
            }
            keep
        });
    }
    while let Some((from, to)) = circle(draft) {
        lost.push(format!("{from} → {to}"));
        if let Some(container) = draft.app.services.get_mut(&from) {
            container.depends_on.shift_remove(&to);
        }
    }
    for edge in lost {
        draft.find("dependency", "depends_on", format!("{edge} is left out"));
    }
}

/// An edge that closes a circle.
fn circle(draft: &Draft<'_>) -> Option<(String, String)> {
    let services = &draft.app.services;
    let mut free: BTreeSet<&str> = BTreeSet::new();
    loop {
        let before = free.len();
        for (name, container) in services {
            if container.depends_on.keys().all(|target| free.contains(target.as_str())) {
                free.insert(name);
            }
        }
        if free.len() == before {
            break;
        }
    }
    // follow the dependencies of what is left until one comes again
    let mut at = services.keys().find(|name| !free.contains(name.as_str()))?;
    let mut trail: Vec<&String> = Vec::new();
    loop {
        if trail.contains(&at) {
            let last = trail.last()?;
            return Some(((*last).clone(), at.clone()));
        }
        trail.push(at);
        at = services.get(at)?.depends_on.keys().find(|name| !free.contains(name.as_str()))?;
    }
}

/// A service that runs once has no health.
fn health(draft: &mut Draft<'_>) {
    for container in draft.app.services.values_mut() {
        if container.health.as_ref().is_some_and(|health| health.command.is_empty()) {
            container.health = None;
        }
    }
}

fn interface(draft: &mut Draft<'_>, door: &Door) {
    let path = door.path.clone().map(|path| {
        let path = path.replace(char::is_whitespace, "");
        if path.starts_with('/') { path } else { format!("/{path}") }
    });
    let interface = Interface {
        name: None,
        description: None,
        kind: Some(InterfaceType::Ui),
        port: door.host,
        protocol: Some(door.protocol.clone().unwrap_or_else(|| "http".to_owned())),
        path: path.filter(|path| path != "/"),
        open: None,
        ..Interface::default()
    };
    draft.app.interfaces.insert("main".to_owned(), interface);
}
