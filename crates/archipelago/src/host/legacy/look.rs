//! One look at containers that Archipelago did not make: only at those that matter.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use archy_engine::ports::{HostResult, Interest};
use archy_manifest::Manifest;
use archy_plan::adopt::{Foreign, ForeignContainer, Inspected, wanted};
use archy_plan::observed::ContainerState;
use archy_quadlet::render::LABEL_APP;
use archy_types::{Secret, Timestamp};

use super::super::{LOOK_DEADLINE, SystemHost, error};
use crate::clock;

/// Ticks of a second in `/proc/<pid>/stat`: the same on every Linux that Debian has.
const TICKS: i64 = 100;

type Files = HostResult<BTreeMap<String, String>>;

impl SystemHost {
    /// What matters of containers that Archipelago did not make; nothing when none do.
    pub(in super::super) async fn foreign(
        &self,
        interest: &Interest,
        containers: &HostResult<BTreeMap<String, ContainerState>>,
        unit_files: &Files,
    ) -> Foreign {
        let mut foreign = Foreign::default();
        if interest.adopted.is_empty() && interest.candidates.is_empty() {
            return foreign;
        }
        foreign.booted = booted();
        foreign.daemon_since = Some(self.since);
        self.kept(interest, &mut foreign);
        let all = match containers {
            Ok(all) => all,
            Err(failure) => {
                foreign.unknown = Some(error::cause(failure));
                return foreign;
            }
        };
        for (name, manifest) in names(interest, all) {
            match self.look_at(&name, manifest, unit_files).await {
                Ok(Some(found)) => _ = foreign.containers.insert(name, found),
                Ok(None) => {}
                Err(failure) => foreign.unknown = Some(error::cause(&failure)),
            }
        }
        foreign
    }

    /// Files and notes of adopted apps.
    fn kept(&self, interest: &Interest, foreign: &mut Foreign) {
        for app in &interest.adopted {
            let id = &app.manifest.id;
            let parts = app.adopted.iter().flat_map(|adopted| adopted.parts.values());
            for file in parts.filter_map(|part| part.file.as_ref()) {
                if file.exists() {
                    foreign.files.insert(file.clone());
                }
                if self.aside(id, file).is_some_and(|aside| aside.exists()) {
                    foreign.files_aside.insert(file.clone());
                }
            }
        }
        let adopted = interest.adopted.iter().map(|app| &app.manifest);
        for manifest in adopted.chain(&interest.candidates) {
            let copied = self.copied(&manifest.id);
            if !copied.is_empty() {
                foreign.copied.insert(manifest.id.clone(), copied);
            }
        }
    }

    async fn look_at(
        &self,
        name: &str,
        manifest: &Manifest,
        unit_files: &Files,
    ) -> HostResult<Option<ForeignContainer>> {
        let podman = self.podman.within(LOOK_DEADLINE);
        let found = podman.describe_container(name).await.map_err(|e| error::podman(&e))?;
        let Some(seen) = found.as_ref().and_then(Inspected::parse) else { return Ok(None) };
        let env = podman.image_env(&seen.image_id).await.map_err(|e| error::podman(&e))?;
        let env = env.iter().filter_map(|text| text.split_once('='));
        // a unit that was generated for a container that was there before is told by its name alone
        let unit = seen.labels.get("PODMAN_SYSTEMD_UNIT").cloned();
        let unit = unit.unwrap_or_else(|| format!("container-{}.service", seen.name));
        Ok(Some(ForeignContainer {
            is_dead: is_dead(&seen),
            monitor_cgroup: cgroup(seen.monitor_pid),
            unit_file: self.file_of(&unit, unit_files),
            image_env: env.map(|(key, value)| (key.to_owned(), Secret::new(value))).collect(),
            written_inside: written(&seen, manifest),
            seen,
        }))
    }

    /// The service user's own file that a unit comes from.
    fn file_of(&self, unit: &str, unit_files: &Files) -> Option<PathBuf> {
        let named = |name: &&String| {
            name.ends_with(".container")
                && archy_quadlet::unit_of(name).is_some_and(|of| of == unit)
        };
        let quadlet = unit_files.as_ref().ok().and_then(|files| files.keys().find(named));
        if let Some(name) = quadlet {
            return Some(self.config.quadlet_dir.join(name));
        }
        let plain = self.user_units()?.join(unit);
        plain.is_file().then_some(plain)
    }
}

/// Names to look at, with the manifests that they matter to.
fn names<'a>(
    interest: &'a Interest,
    all: &BTreeMap<String, ContainerState>,
) -> BTreeMap<String, &'a Manifest> {
    let mut names: BTreeMap<String, &Manifest> = BTreeMap::new();
    for app in &interest.adopted {
        for name in app.adopted.iter().flat_map(|adopted| adopted.containers()) {
            // what has our label under an old name is our own
            let foreign = |seen: &ContainerState| !seen.labels.contains_key(LABEL_APP);
            if all.get(&name).is_some_and(foreign) {
                names.insert(name, &app.manifest);
            }
        }
    }
    for manifest in &interest.candidates {
        for name in wanted(manifest, all) {
            names.entry(name).or_insert(manifest);
        }
    }
    names
}

/// What Podman tells to run, and of which nothing is left: it was killed with what watched over it.
pub(super) fn is_dead(seen: &Inspected) -> bool {
    let watched = std::fs::read_to_string(format!("/proc/{}/comm", seen.monitor_pid));
    let runs = std::path::Path::new(&format!("/proc/{}", seen.pid)).exists();
    seen.state == "running"
        && !watched.is_ok_and(|name| name.trim() == "conmon")
        // another process may have its number by now
        && (!runs || seen.cgroup.is_none())
}

/// The cgroup of a process in the unified hierarchy.
fn cgroup(pid: u32) -> Option<String> {
    if pid == 0 {
        return None;
    }
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("0::")).map(str::to_owned)
}

/// Paths that the manifest mounts and that the container wrote in itself.
fn written(seen: &Inspected, manifest: &Manifest) -> BTreeSet<String> {
    let Some(upper) = &seen.upper_dir else { return BTreeSet::new() };
    let mounts = manifest.services.values().flat_map(|service| &service.mounts);
    let there = |target: &&str| {
        std::path::Path::new(upper).join(target.trim_start_matches('/')).symlink_metadata().is_ok()
    };
    mounts.map(|mount| mount.target.as_str()).filter(there).map(str::to_owned).collect()
}

/// When this host began to run: its first process tells, also in a namespace.
fn booted() -> Option<Timestamp> {
    let stat = std::fs::read_to_string("/proc/1/stat").ok()?;
    // the second field, a name in parentheses, may hold spaces
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks: i64 = fields.split_whitespace().nth(19)?.parse().ok()?;
    let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
    let (whole, part) = uptime.split_whitespace().next()?.split_once('.')?;
    let hundredths = whole.parse::<i64>().ok()? * 100 + part.parse::<i64>().ok()?;
    let age = hundredths * 10 - ticks * 1000 / TICKS;
    Some(clock::now().plus_millis(-age))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_began_before_now() {
        let began = booted().unwrap();
        assert!(began <= clock::now() && began.0 > 0, "{began:?}");
    }
}
