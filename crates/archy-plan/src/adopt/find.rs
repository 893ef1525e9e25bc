//! Which containers of a node are an app's: by name, by compose's labels, by the unit that runs them.

use std::collections::{BTreeMap, BTreeSet};

use archy_manifest::model::Protocol;
use archy_manifest::{Manifest, names};
use archy_quadlet::FileKind;
use archy_quadlet::render::LABEL_APP;
use archy_types::{AppId, ServiceName, Timestamp, UserError};

use super::facts::{Foreign, ForeignContainer};
use super::record::{Adopted, AdoptedPart, Origin, Stage};
use crate::desired::{DesiredApp, DesiredState};
use crate::observed::{ContainerState, Observed};

/// Labels by which compose's containers name their project and service.
const PROJECT: [&str; 2] = ["com.docker.compose.project", "io.podman.compose.project"];
const SERVICE: [&str; 2] = ["com.docker.compose.service", "io.podman.compose.service"];
/// Label by which Podman tells the unit that runs a container.
const UNIT: &str = "PODMAN_SYSTEMD_UNIT";
/// The unit of the daemon itself: what lives in its cgroup dies with it.
const DAEMON_UNIT: &str = "archipelago.service";

type Labels = BTreeMap<String, String>;

fn label<'a>(labels: &'a Labels, keys: &[&str]) -> Option<&'a str> {
    keys.iter().find_map(|key| labels.get(*key)).map(String::as_str)
}

/// Compose's project and service.
fn compose(labels: &Labels) -> Option<(&str, &str)> {
    Some((label(labels, &PROJECT)?, label(labels, &SERVICE)?))
}

/// The unit that runs a container; compose names one that mostly does not exist.
fn unit(labels: &Labels) -> Option<&str> {
    labels.get(UNIT).map(String::as_str).filter(|_| compose(labels).is_none())
}

/// The service that a container is, if it is one of this app.
fn service<'a>(manifest: &'a Manifest, name: &str, labels: &Labels) -> Option<&'a ServiceName> {
    let id = manifest.id.as_str();
    let ours = |service: &ServiceName| names::container(manifest, service);
    if let Some((project, service)) = compose(labels) {
        let by_label = |known: &&ServiceName| {
            known.as_str() == service || (service == id && ours(known) == id)
        };
        return manifest.services.keys().find(by_label).filter(|_| project == id);
    }
    manifest.services.keys().find(|service| {
        let ours = ours(service);
        ours == name || unit(labels) == Some(FileKind::Container.unit(&ours).as_str())
    })
}

/// Names of the foreign containers that matter to a manifest.
#[must_use]
pub fn wanted(
    manifest: &Manifest,
    containers: &BTreeMap<String, ContainerState>,
) -> BTreeSet<String> {
    let foreign = containers.iter().filter(|(_, seen)| !seen.labels.contains_key(LABEL_APP));
    let of_app = foreign.filter(|(name, seen)| service(manifest, name, &seen.labels).is_some());
    of_app.map(|(name, _)| name.clone()).collect()
}

/// An app whose containers are there and were not made by Archipelago.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The app.
    pub app: AppId,
    /// Its containers by service.
    pub containers: BTreeMap<ServiceName, String>,
    /// What made the chief one.
    pub origin: Origin,
    /// Some part dies with the daemon.
    pub dies_with_daemon: bool,
    /// Why it cannot be adopted as it is.
    pub refusal: Option<UserError>,
}

/// What an app's containers are that Archipelago did not make; nothing when there are none.
#[must_use]
pub fn candidate(manifest: &Manifest, observed: &Observed) -> Option<Candidate> {
    let found = matched(manifest, &observed.foreign);
    let (_, chief) = found.iter().find(|(name, _)| is_chief(manifest, name)).or(found.first())?;
    let refusal = find(manifest, observed).err();
    Some(Candidate {
        app: manifest.id.clone(),
        containers: found
            .iter()
            .map(|(service, found)| ((*service).clone(), found.seen.name.clone()))
            .collect(),
        origin: origin(chief),
        dies_with_daemon: found.iter().any(|(_, found)| dies_with_daemon(found)),
        refusal,
    })
}

fn is_chief(manifest: &Manifest, service: &ServiceName) -> bool {
    names::container(manifest, service) == manifest.id.as_str()
}

/// Containers of an app with their services, by name.
fn matched<'a>(
    manifest: &'a Manifest,
    foreign: &'a Foreign,
) -> Vec<(&'a ServiceName, &'a ForeignContainer)> {
    let containers = foreign.containers.values();
    let ours = containers.filter(|found| !found.seen.labels.contains_key(LABEL_APP));
    ours.filter_map(|found| Some((service(manifest, &found.seen.name, &found.seen.labels)?, found)))
        .collect()
}

/// Matches a manifest's services with containers that Archipelago did not make.
///
/// # Errors
/// There is none, more than one for a service, or one is missing.
pub fn find(manifest: &Manifest, observed: &Observed) -> Result<Adopted, UserError> {
    let id = &manifest.id;
    if let Some(cause) = &observed.foreign.unknown {
        return Err(UserError::new("host-unknown", cause.text.clone())
            .hint("Try again when Podman answers; `archy doctor` looks closer."));
    }
    let found = matched(manifest, &observed.foreign);
    if found.is_empty() {
        return Err(no_match(manifest));
    }
    let mut parts = BTreeMap::new();
    for (service, container) in &found {
        let part = part(container)?;
        if let Some(other) = parts.insert((*service).clone(), part) {
            let message = format!(
                "Both {} and {} could be the service {service} of {id}.",
                other.container, container.seen.name
            );
            return Err(UserError::new("adopt-ambiguous", message)
                .hint("Rename or remove the one that it is not, then try again."));
        }
    }
    let missing = manifest
        .services
        .iter()
        .filter(|(name, service)| !service.oneshot && !parts.contains_key(*name));
    let missing: Vec<&str> = missing.map(|(name, _)| name.as_str()).collect();
    if !missing.is_empty() {
        let message =
            format!("{id} has no container for {} that could be adopted.", missing.join(", "));
        return Err(UserError::new("adopt-incomplete", message).hint(
            "Every service of the manifest that stays up needs its container; name them as the \
             manifest does, or write the manifest for what is there.",
        ));
    }
    let chief = parts.iter().find(|(name, _)| is_chief(manifest, name));
    let origin = chief.or(parts.iter().next()).map_or(Origin::PodmanRun, |(_, part)| part.origin);
    Ok(Adopted { origin, since: Timestamp(0), stage: Stage::Watched, parts })
}

fn no_match(manifest: &Manifest) -> UserError {
    let id = &manifest.id;
    let names: Vec<String> =
        manifest.services.keys().map(|service| names::container(manifest, service)).collect();
    UserError::new("adopt-no-match", format!("Not found: no container of this node is {id}.")).hint(
        format!(
            "What counts are the names ({}), or compose's project {id} with the services of the \
             manifest. `archy adopt` lists what fits.",
            names.join(", ")
        ),
    )
}

/// The unit that runs a container: by its label, or by the file that was found for its name.
fn unit_of(container: &ForeignContainer) -> Option<&str> {
    let file = container.unit_file.as_ref().and_then(|file| file.file_name()?.to_str());
    unit(&container.seen.labels).or(file.filter(|name| name.ends_with(".service")))
}

fn origin(container: &ForeignContainer) -> Origin {
    let labels = &container.seen.labels;
    if compose(labels).is_some() {
        return Origin::Compose;
    }
    let Some(unit) = unit_of(container) else { return Origin::PodmanRun };
    let quadlet = container
        .unit_file
        .as_ref()
        .is_some_and(|file| file.extension().is_some_and(|extension| extension == "container"));
    // without its file a name tells: `podman generate systemd` writes a prefix
    if quadlet || (container.unit_file.is_none() && !unit.starts_with("container-")) {
        Origin::Quadlet
    } else {
        Origin::SystemdUnit
    }
}

/// It lives, or lived, in the daemon's own cgroup: an older daemon started it as its child.
fn dies_with_daemon(container: &ForeignContainer) -> bool {
    let below = |cgroup: &String| cgroup.split('/').any(|part| part == DAEMON_UNIT);
    let mut cgroups = container.monitor_cgroup.iter().chain(&container.seen.cgroup).peekable();
    match cgroups.peek() {
        Some(_) => cgroups.any(below),
        // one that ended tells no cgroup, but that systemd did not manage it
        None => container.seen.cgroup_manager == "cgroupfs",
    }
}

fn part(container: &ForeignContainer) -> Result<AdoptedPart, UserError> {
    let seen = &container.seen;
    let origin = origin(container);
    let by_unit = matches!(origin, Origin::Quadlet | Origin::SystemdUnit);
    if seen.auto_remove && !by_unit {
        let name = &seen.name;
        let message = format!("Podman removes {name} as soon as it stops (`--rm`).");
        return Err(UserError::new("adopt-auto-remove", message).hint(
            "Nothing would be left to go back to: run it again without `--rm`, then try again.",
        ));
    }
    Ok(AdoptedPart {
        origin,
        container: seen.name.clone(),
        id: seen.id.clone(),
        unit: unit_of(container).filter(|_| by_unit).map(str::to_owned),
        file: container.unit_file.clone().filter(|_| by_unit),
        goes_when_stopped: seen.auto_remove,
        dies_with_daemon: dies_with_daemon(container),
        grace_secs: seen.grace_secs,
        volumes: seen.mounts.iter().filter_map(|mount| mount.volume.clone()).collect(),
        networks: seen.networks.clone(),
        moves: Vec::new(),
        secrets: Vec::new(),
    })
}

impl DesiredApp {
    /// The app as it is with what was found: it goes on with the ports that it has, and rests if it
    /// rests.
    ///
    /// # Errors
    /// As [`find`].
    pub fn adopting(mut self, observed: &Observed) -> Result<Self, UserError> {
        let mut adopted = find(&self.manifest, observed)?;
        adopted.since = self.since;
        let running = |part: &AdoptedPart| {
            let found = observed.foreign.containers.get(&part.container);
            // what died with an older daemon was not stopped by its owner
            found.is_some_and(|found| found.seen.state == "running") || part.dies_with_daemon
        };
        self.state = match adopted.parts.values().any(running) {
            true => DesiredState::Running,
            false => DesiredState::Stopped,
        };
        self.port_overrides = ports(&self.manifest, &adopted, &observed.foreign);
        self.adopted = Some(adopted);
        Ok(self)
    }

    /// It runs in containers that Archipelago did not make.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.adopted.as_ref().is_some_and(Adopted::is_watched)
    }
}

/// Host ports that are not the manifest's: what is published stays as it is.
fn ports(
    manifest: &Manifest,
    adopted: &Adopted,
    foreign: &Foreign,
) -> BTreeMap<(u16, Protocol), u16> {
    let mut chosen = BTreeMap::new();
    for (name, service) in &manifest.services {
        let part = adopted.parts.get(name);
        let Some(found) = part.and_then(|part| foreign.containers.get(&part.container)) else {
            continue;
        };
        for port in &service.ports {
            let same =
                found.seen.ports.iter().filter(|seen| {
                    seen.container == port.container && seen.protocol == port.protocol
                });
            let mut hosts = same.map(|seen| seen.host).peekable();
            let first = hosts.peek().copied();
            if let Some(first) = first.filter(|_| !hosts.any(|host| host == port.host)) {
                chosen.insert((port.host, port.protocol), first);
            }
        }
    }
    chosen
}
