//! Which units are stopped and which are started.

use archy_manifest::model::{DependsOn, ImageSource, Mount, MountSource};
use archy_quadlet::render::LABEL_CONTEXT;
use archy_quadlet::{UnitFile, UnitRole};
use archy_types::ServiceName;

use crate::check::installed;
use crate::data;
use crate::desired::DesiredState;
use crate::drift::{Drift, FileDrift};
use crate::intent::Intent;
use crate::phase::{Phase, is_alive};
use crate::provider;
use crate::scene::{self, Part, Scene};
use crate::secrets;

/// What is stopped and started, as indexes of the scene's parts.
#[derive(Debug, Default)]
pub(super) struct Moves<'a> {
    /// Parts to stop, with the reason.
    pub(super) stop: Vec<(usize, &'static str)>,
    /// Parts to start, with the reason.
    pub(super) start: Vec<(usize, &'static str)>,
    /// Networks of the app that are made anew, since their definition changed.
    pub(super) recreated: Vec<(&'a UnitFile, &'a str)>,
    /// Units that stand for a network or volume which is gone.
    pub(super) lost: Vec<&'a UnitFile>,
    /// Builds to run.
    pub(super) builds: Vec<&'a UnitFile>,
}

impl<'a> Moves<'a> {
    /// Decides for an app that should run.
    pub(super) fn decide(scene: &Scene<'a>) -> Self {
        let mut moves = Self {
            recreated: recreated_networks(scene),
            lost: lost_supports(scene),
            builds: builds(scene),
            ..Self::default()
        };
        for (index, part) in scene.parts.iter().enumerate() {
            if let Some(reason) = moves.stop_reason(scene, part) {
                moves.stop.push((index, reason));
            }
        }
        moves.stop_dependants(scene);
        for (index, part) in scene.parts.iter().enumerate() {
            if let Some(reason) = moves.start_reason(scene, index, part) {
                moves.start.push((index, reason));
            }
        }
        moves.wait_for_others(scene);
        if scene.intent == Intent::Converge {
            let mut held = moves.hold_back_dependants(scene);
            moves.pull_in(scene);
            // what is pulled in may be all that one of those waited for
            while let Some(at) = held.iter().position(|(index, _)| !moves.waits(scene, *index)) {
                moves.start.push(held.swap_remove(at));
                moves.pull_in(scene);
            }
        }
        moves
    }

    pub(super) fn stops(&self, index: usize) -> bool {
        self.stop.iter().any(|(stopped, _)| *stopped == index)
    }

    pub(super) fn starts(&self, index: usize) -> bool {
        self.start.iter().any(|(started, _)| *started == index)
    }

    fn stop_reason(&self, scene: &Scene<'_>, part: &Part<'_>) -> Option<&'static str> {
        if part.masked || !part.phase.is_alive() {
            return None;
        }
        if let Some(due) = &scene.due {
            return Some(data::reason(due));
        }
        if scene.intent == Intent::Restart {
            return Some("a restart was asked for");
        }
        if !self.recreated.is_empty() {
            return Some("its network is made anew");
        }
        if !self.lost.is_empty() {
            return Some("its network or volume is gone");
        }
        self.change(scene, part)
    }

    /// Why a running container is not what it should be.
    fn change(&self, scene: &Scene<'_>, part: &Part<'_>) -> Option<&'static str> {
        let install = scene.intent.installs();
        match part.drift {
            Drift::Real => return Some("its definition changed"),
            Drift::Later | Drift::Figure if install => return Some("its environment changed"),
            Drift::Missing if scene.has_container(part) && scene.is_outdated(part) => {
                return Some("its definition changed");
            }
            _ => {}
        }
        let built = self.builds.iter().find(|unit| unit.role == UnitRole::Build(part.name.clone()));
        if built.is_some_and(|unit| install || scene.support_drift(unit) == Drift::Real) {
            return Some("its image is built anew");
        }
        if has_lost_directory(scene, part) {
            return Some("a directory of it is gone");
        }
        reads_changed_file(scene, part).then_some("a file that it reads changed")
    }

    /// What requires a unit that is stopped is stopped with it by systemd.
    fn stop_dependants(&mut self, scene: &Scene<'_>) {
        loop {
            let next = scene.parts.iter().enumerate().find(|(index, part)| {
                !self.stops(*index)
                    && !part.masked
                    && part.phase.is_alive()
                    && part.service.depends_on.iter().any(|(name, condition)| {
                        *condition == DependsOn::Completed
                            && index_of(scene, name).is_some_and(|other| self.stops(other))
                    })
            });
            let Some((index, _)) = next else { return };
            self.stop.push((index, "a service that it requires is stopped"));
        }
    }

    fn start_reason(
        &self,
        scene: &Scene<'_>,
        index: usize,
        part: &Part<'_>,
    ) -> Option<&'static str> {
        if part.masked {
            return None;
        }
        if self.stops(index) {
            return Some("it was stopped for a change");
        }
        // what was stopped for the sake of the data was not stopped by its owner
        let asked = scene.intent != Intent::Converge || scene.due.is_some();
        match part.phase {
            Phase::Up => None,
            Phase::Down => Some("it does not run"),
            Phase::Rising => asked.then_some("it is on its way and is waited for"),
            Phase::Falling => asked.then_some("it was being stopped"),
            Phase::StoppedOutside => asked.then_some("the owner asked for a start"),
            Phase::Failed if asked => Some("it failed, and the owner asked for a start"),
            Phase::Failed if !self.lost.is_empty() => Some("its network or volume was gone"),
            Phase::Failed if lacks(scene, part) => Some("it failed without what is made anew now"),
            Phase::Failed => self.change(scene, part).map(|_| "it failed, and has changed since"),
        }
    }

    /// Leaves alone what is down as long as an app that this one needs is not as healthy or ready as it
    /// wants it. What runs is never stopped for that, and what this plan stops comes back.
    fn wait_for_others(&mut self, scene: &Scene<'_>) {
        if !matches!(scene.intent, Intent::Converge | Intent::Start) {
            return;
        }
        let (id, wanted) = (&scene.app.manifest.id, &scene.app.manifest.requires);
        let mut unmet = wanted
            .iter()
            .filter_map(|wanted| provider::unmet(id, wanted, scene.observed, scene.all));
        if unmet.next().is_some() {
            let stopped: Vec<usize> = self.stop.iter().map(|(index, _)| *index).collect();
            self.start.retain(|(index, _)| stopped.contains(index));
        }
    }

    /// Leaves alone what waits for a service that is not going to run, and gives it.
    fn hold_back_dependants(&mut self, scene: &Scene<'_>) -> Vec<(usize, &'static str)> {
        let mut held = Vec::new();
        loop {
            let blocked = self
                .start
                .iter()
                .position(|(index, _)| self.waits(scene, *index) && !self.stops(*index));
            let Some(at) = blocked else { return held };
            held.push(self.start.swap_remove(at));
        }
    }

    /// True when it depends on a service that neither runs nor is started.
    fn waits(&self, scene: &Scene<'_>, index: usize) -> bool {
        scene.parts[index].service.depends_on.keys().any(|name| {
            index_of(scene, name)
                .is_some_and(|other| scene.parts[other].phase != Phase::Up && !self.starts(other))
        })
    }
}

impl Moves<'_> {
    /// What comes back after a change brings up what it depends on: systemd would do so anyway.
    fn pull_in(&mut self, scene: &Scene<'_>) {
        loop {
            let missing = self.start.iter().find_map(|(index, _)| {
                scene.parts[*index].service.depends_on.keys().find_map(|name| {
                    let other = index_of(scene, name)?;
                    let part = &scene.parts[other];
                    let up = part.phase == Phase::Up || part.masked || self.starts(other);
                    (!up).then_some(other)
                })
            });
            let Some(other) = missing else { return };
            self.start.push((other, "a service that is restarted depends on it"));
        }
    }
}

/// True when something is gone that a container cannot be started without, for example after a
/// power cut, and that this plan brings back.
fn lacks(scene: &Scene<'_>, part: &Part<'_>) -> bool {
    let image = scene.deployment.images.get(part.name);
    let pulled = matches!(part.service.source, ImageSource::Image(_));
    let no_image = image.is_some_and(|image| pulled && !scene.facts.images.contains(image));
    let service = part.service;
    let mut handed = service.secret_env.values().chain(service.secret_files.keys());
    let gone = |name: &String| {
        scene.facts.secret_files.contains_key(name)
            && !scene.facts.podman_secrets.contains_key(name)
    };
    let lost = !service.derived_env.is_empty()
        && scene.deployment.composed.iter().any(|c| {
            secrets::composed_hash(c, scene.facts.secret_files).is_some()
                && !scene.facts.podman_secrets.contains_key(&c.name)
        });
    no_image
        || lost
        || handed.any(gone)
        || part.service.mounts.iter().any(|mount| is_gone(scene, mount))
}

fn is_gone(scene: &Scene<'_>, mount: &Mount) -> bool {
    let there = |path: &str| scene.facts.app_files.is_some_and(|files| files.contains_key(path));
    match &mount.source {
        MountSource::AppDir { path, .. } if path.is_empty() => false,
        MountSource::AppDir { path, .. } | MountSource::File(path) => !there(path),
        _ => false,
    }
}

/// A running container goes on with the directory that was removed, and with nothing that it writes
/// there; one that is made anew is another one.
fn has_lost_directory(scene: &Scene<'_>, part: &Part<'_>) -> bool {
    let Some(files) = scene.facts.app_files else { return false };
    part.service.mounts.iter().any(|mount| match &mount.source {
        MountSource::AppDir { path, .. } => !files.contains_key(path),
        _ => false,
    })
}

fn index_of(scene: &Scene<'_>, name: &ServiceName) -> Option<usize> {
    scene.parts.iter().position(|part| part.name == name)
}

/// True when a file whose content changed is mounted into the service.
fn reads_changed_file(scene: &Scene<'_>, part: &Part<'_>) -> bool {
    scene
        .app
        .manifest
        .files
        .iter()
        .any(|file| part.reads(file) && scene.file_drift(file) == FileDrift::Changed)
}

/// Networks of the app alone that are there with another definition.
pub(super) fn recreated_networks<'a>(scene: &Scene<'a>) -> Vec<(&'a UnitFile, &'a str)> {
    scene
        .supports()
        .filter_map(|file| match &file.role {
            UnitRole::Network { name, shared: false }
                if scene.facts.networks.contains(name)
                    && scene.support_drift(file) == Drift::Real =>
            {
                Some((file, name.as_str()))
            }
            _ => None,
        })
        .collect()
}

/// Units of networks that are made anew, as far as they are active.
pub(super) fn recreated_units(scene: &Scene<'_>, moves: &Moves<'_>) -> Vec<String> {
    let files = moves.recreated.iter().map(|(file, _)| file);
    let alive = files.filter(|file| is_alive(scene.facts.units.get(&file.unit)));
    alive.map(|file| file.unit.clone()).collect()
}

/// Active units whose network or volume is gone. A pass acts on them only once a container is down:
/// a look is not taken in one moment, and a running container has what it needs.
fn lost_supports<'a>(scene: &Scene<'a>) -> Vec<&'a UnitFile> {
    let down = |part: &Part<'_>| !part.masked && !part.phase.is_alive();
    if scene.intent == Intent::Converge && !scene.parts.iter().any(down) {
        return Vec::new();
    }
    let lost = |file: &&UnitFile| {
        let gone = match &file.role {
            UnitRole::Network { name, shared } => {
                !(scene.facts.networks.contains(name) || *shared && others_share(scene))
            }
            UnitRole::Volume(name) => !scene.facts.volumes.contains(name),
            _ => false,
        };
        gone && is_alive(scene.facts.units.get(&file.unit))
    };
    scene.supports().filter(lost).collect()
}

/// True when a container of another app lives on the shared network: stopping the network's unit
/// would stop that container too.
fn others_share(scene: &Scene<'_>) -> bool {
    let others = installed(scene.all, scene.app);
    others.filter(|other| other.state == DesiredState::Running).any(|other| {
        other.manifest.services.iter().any(|(name, service)| {
            let container = archy_manifest::names::container(&other.manifest, name);
            service.network == archy_manifest::model::NetworkMode::Shared
                && is_alive(scene.facts.units.get(&format!("{container}.service")))
        })
    })
}

/// Builds that have to run: the image is missing; or what is in its context is not known, and its
/// definition changed or an install asks.
fn builds<'a>(scene: &Scene<'a>) -> Vec<&'a UnitFile> {
    let wanted = |file: &&UnitFile| {
        let UnitRole::Build(name) = &file.role else { return false };
        let Some(service) = scene.app.manifest.services.get(name) else { return false };
        let image = scene.deployment.images.get(name);
        // another manifest or context is another image
        let known = scene::label(&file.text, LABEL_CONTEXT).is_some();
        let changed = || scene.intent.installs() || scene.support_drift(file) == Drift::Real;
        matches!(service.source, ImageSource::Build { .. })
            && (image.is_none_or(|image| !scene.facts.images.contains(image))
                || !known && changed())
    };
    scene.supports().filter(wanted).collect()
}

/// Units of labelled files that the deployment does not name, and of labelled containers.
pub(super) fn orphan_units(scene: &Scene<'_>) -> Vec<String> {
    let files = scene.orphan_files().filter_map(|(name, _)| archy_quadlet::unit_of(name));
    let containers = scene.orphan_containers().map(|name| format!("{name}.service"));
    let ours = |unit: &String| !scene.deployment.files.iter().any(|file| file.unit == *unit);
    files
        .chain(containers)
        .filter(ours)
        .filter(|unit| scene.facts.runs(&scene.app.manifest.id, unit))
        .collect()
}
