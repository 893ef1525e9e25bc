//! What a migration changes, named before it begins. No value of a variable is in it.

use std::collections::BTreeSet;

use archy_manifest::model::{ImageSource, MountSource, PortAuth, Service};
use archy_types::Code;

use super::facts::ForeignContainer;
use super::record::{Adopted, aside_name};
use crate::desired::DesiredApp;
use crate::observed::Observed;
use crate::step::{Check, Severity};

/// Variables that every container has by itself.
const USUAL: [&str; 6] = ["PATH", "HOME", "HOSTNAME", "TERM", "container", "PODMAN_SYSTEMD_UNIT"];

fn found(severity: Severity, code: &'static str, message: String) -> Check {
    Check { severity, code: Code::new(code), message, mend: None }
}

/// What is another after the migration, and what goes with it.
pub(crate) fn differences(app: &DesiredApp, adopted: &Adopted, observed: &Observed) -> Vec<Check> {
    let mut checks = Vec::new();
    for (name, service) in &app.manifest.services {
        let Some(part) = adopted.parts.get(name) else { continue };
        let at = [part.container.clone(), aside_name(&part.container)];
        let seen = at.iter().find_map(|name| observed.foreign.containers.get(name));
        let Some(seen) = seen.filter(|seen| part.is(seen)) else { continue };
        image(service, seen, &mut checks);
        mounts(service, seen, &mut checks);
        ports(app, service, seen, &mut checks);
        environment(app, service, seen, &mut checks);
    }
    for data in adopted.data_moves() {
        let message = format!(
            "What is in {} is copied to {} while the app is stopped; the original stays.",
            data.from, data.to
        );
        checks.push(found(Severity::Note, "migrate-copies", message));
    }
    for secret in adopted.taken_secrets() {
        let there =
            observed.secret_files.get().is_some_and(|files| files.contains_key(&secret.name));
        let (severity, message) = match there {
            true => (
                Severity::Warning,
                format!(
                    "The secret {} is there already and stays; the container has its own.",
                    secret.name
                ),
            ),
            false => (
                Severity::Note,
                format!("The secret {} is taken over from the container.", secret.name),
            ),
        };
        checks.push(found(severity, "migrate-secret", message));
    }
    checks
}

fn image(service: &Service, seen: &ForeignContainer, checks: &mut Vec<Check>) {
    let ImageSource::Image(wanted) = &service.source else {
        let message = format!(
            "{} runs {}; the manifest builds its own image.",
            seen.seen.name, seen.seen.image
        );
        checks.push(found(Severity::Warning, "migrate-image", message));
        return;
    };
    let pinned = wanted.split_once('@').is_some_and(|(_, digest)| digest == seen.seen.image_digest);
    if !pinned && *wanted != seen.seen.image {
        let message =
            format!("{} runs {}; the manifest names {wanted}.", seen.seen.name, seen.seen.image);
        checks.push(found(Severity::Warning, "migrate-image", message));
    }
}

fn mounts(service: &Service, seen: &ForeignContainer, checks: &mut Vec<Check>) {
    let below = |target: &str, mount: &str| {
        target
            .strip_prefix(mount.trim_end_matches('/'))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    for mount in &seen.seen.mounts {
        let kept = service.mounts.iter().any(|wanted| below(&wanted.target, &mount.target));
        let from = mount
            .volume
            .as_ref()
            .map_or_else(|| mount.source.clone(), |name| format!("the volume {name}"));
        if !kept {
            let message = format!(
                "{} is mounted at {}, which the manifest does not name: the app no longer sees it.",
                from, mount.target
            );
            checks.push(found(Severity::Warning, "migrate-mount", message));
        }
    }
    for wanted in &service.mounts {
        let written = matches!(wanted.source, MountSource::File(_) | MountSource::Package(_));
        if written && seen.seen.mounts.iter().any(|mount| mount.target == wanted.target) {
            let message =
                format!("{} comes from the manifest instead of the owner's file.", wanted.target);
            checks.push(found(Severity::Warning, "migrate-file", message));
        }
    }
}

fn ports(app: &DesiredApp, service: &Service, seen: &ForeignContainer, checks: &mut Vec<Check>) {
    for old in &seen.seen.ports {
        let same = service
            .ports
            .iter()
            .filter(|port| port.container == old.container && port.protocol == old.protocol);
        let mut kept = same.filter(|port| {
            let chosen = app.port_overrides.get(&(port.host, port.protocol));
            chosen.copied().unwrap_or(port.host) == old.host
        });
        let Some(port) = kept.next() else {
            let message =
                format!("Port {} is no longer published: the manifest does not name it.", old.host);
            checks.push(found(Severity::Warning, "migrate-port", message));
            continue;
        };
        let public = old.address.is_empty() || old.address == "::";
        let loopback =
            port.bind.map_or(port.auth != Some(PortAuth::None), |bind| bind.is_loopback());
        if public && loopback {
            let message = format!(
                "Port {} was open on all addresses; the manifest has it on this machine's own only.",
                old.host
            );
            checks.push(found(Severity::Warning, "migrate-port", message));
        }
    }
    for port in &service.ports {
        let there = seen
            .seen
            .ports
            .iter()
            .any(|old| old.container == port.container && old.protocol == port.protocol);
        if !there {
            let message = format!("Port {} is published in addition.", port.host);
            checks.push(found(Severity::Note, "migrate-port", message));
        }
    }
}

fn environment(
    app: &DesiredApp,
    service: &Service,
    seen: &ForeignContainer,
    checks: &mut Vec<Check>,
) {
    let derived = service.derived_env.keys().chain(service.secret_env.keys());
    let targets = app.manifest.config.values().flat_map(|setting| &setting.targets);
    let settings = targets.filter_map(|target| match target {
        archy_manifest::model::SettingTarget::Env { variable, .. } => Some(variable),
        archy_manifest::model::SettingTarget::File(_) => None,
    });
    let named: BTreeSet<&str> = derived.chain(settings).map(String::as_str).chain(USUAL).collect();
    let masked: BTreeSet<&str> = seen.seen.env_secrets.values().map(String::as_str).collect();
    let own = seen.seen.env.iter().filter(|(name, value)| {
        seen.image_env.get(*name) != Some(*value) && !masked.contains(name.as_str())
    });
    let (mut lost, mut changed) = (Vec::new(), Vec::new());
    for (name, value) in own {
        match service.env.get(name) {
            Some(wanted) if wanted.as_bytes() == value.expose() => {}
            Some(_) => changed.push(name.as_str()),
            None if named.contains(name.as_str()) => {}
            None => lost.push(name.as_str()),
        }
    }
    lost.extend(
        seen.seen
            .env_secrets
            .keys()
            .map(String::as_str)
            .filter(|name| !named.contains(name) && !service.env.contains_key(*name)),
    );
    let name = &seen.seen.name;
    if !lost.is_empty() {
        let message = format!(
            "{name} has variables that the manifest does not name, and that go: {}.",
            lost.join(", ")
        );
        checks.push(found(Severity::Warning, "migrate-env", message));
    }
    if !changed.is_empty() {
        let message = format!(
            "{name} gets the manifest's values of these variables: {}.",
            changed.join(", ")
        );
        checks.push(found(Severity::Warning, "migrate-env", message));
    }
}
