//! Containers that Archipelago did not make, in simulation: laid on a node before anything else, and
//! started, stopped, renamed, copied from and brought back step by step.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use archy_engine::ports::{HostError, HostResult, Legacy};
use archy_manifest::model::Protocol;
use archy_plan::adopt::{
    Copied, DataMove, DataPlace, Foreign, ForeignContainer, Inspected, LegacyMount, LegacyPort,
    SecretSource,
};
use archy_plan::observed::{ContainerState, FileState};
use archy_plan::{DesiredApp, LegacyStep};
use archy_types::{AppId, Digest, Generation, Health, Secret, Timestamp, UserError};

use super::host::SimHost;
use super::{Class, Moment, Sim, State, program};
use crate::model::Model;

/// Where the owner has unit files.
const UNITS: &str = "/units";

/// How a container came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `podman run`.
    Run,
    /// As a child of an older daemon, with which it dies.
    InDaemon,
    /// A Quadlet file of the owner's, with the name that the app's own would have.
    Quadlet,
}

/// A container that Archipelago did not make.
#[derive(Debug, Clone)]
pub struct Foreigner {
    /// The app that it is.
    pub app: AppId,
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// Volume or path of the host, and path in the container.
    pub mounts: Vec<(String, String)>,
    /// Port on the host and in the container.
    pub port: (u16, u16),
    /// A variable with its value.
    pub env: (String, String),
    /// How it came to be.
    pub kind: Kind,
}

impl Foreigner {
    fn file(&self) -> Option<PathBuf> {
        let file = Path::new(UNITS).join(format!("{}.container", self.name));
        (self.kind == Kind::Quadlet).then_some(file)
    }

    /// The text of its unit file.
    fn text(&self) -> String {
        let mounts: Vec<String> =
            self.mounts.iter().map(|(from, to)| format!("Volume={from}:{to}\n")).collect();
        format!(
            "[Container]\nContainerName={}\nImage={}\nPublishPort={}:{}\n{}[Install]\nWantedBy=default.target\n",
            self.name,
            self.image,
            self.port.0,
            self.port.1,
            mounts.concat()
        )
    }

    fn labels(&self) -> BTreeMap<String, String> {
        let unit = (self.kind == Kind::Quadlet).then(|| format!("{}.service", self.name));
        unit.into_iter().map(|unit| ("PODMAN_SYSTEMD_UNIT".to_owned(), unit)).collect()
    }

    fn found(&self, id: &str) -> ForeignContainer {
        let mount = |(source, target): &(String, String)| LegacyMount {
            volume: (!source.starts_with('/')).then(|| source.clone()),
            source: source.clone(),
            target: target.clone(),
            writable: true,
        };
        let (host, container) = self.port;
        let (address, protocol) = (String::new(), Protocol::Tcp);
        let (variable, value) = &self.env;
        let monitor = "/system.slice/archipelago.service/monitor";
        ForeignContainer {
            seen: Inspected {
                id: id.to_owned(),
                name: self.name.clone(),
                image: self.image.clone(),
                image_id: String::new(),
                image_digest: String::new(),
                labels: self.labels(),
                state: "running".to_owned(),
                pid: 1,
                monitor_pid: 1,
                finished: None,
                mounts: self.mounts.iter().map(mount).collect(),
                ports: vec![LegacyPort { container, protocol, address, host }],
                env: [(variable.clone(), Secret::new(value.clone()))].into(),
                env_secrets: BTreeMap::new(),
                networks: BTreeSet::new(),
                shares_network: false,
                maps_ids: false,
                auto_remove: self.kind == Kind::Quadlet,
                grace_secs: 10,
                cgroup_manager: "systemd".to_owned(),
                cgroup: None,
                upper_dir: None,
            },
            is_dead: false,
            monitor_cgroup: (self.kind == Kind::InDaemon).then(|| monitor.to_owned()),
            unit_file: self.file(),
            image_env: BTreeMap::new(),
            written_inside: BTreeSet::new(),
        }
    }
}

impl Sim {
    /// Lays a container on the node that runs before the daemon ever did.
    pub fn lay(&self, foreigner: Foreigner) {
        let now = self.now();
        let mut state = self.state();
        let mut model = self.model();
        let name = foreigner.name.clone();
        model.images.insert(foreigner.image.clone());
        let volumes = foreigner.mounts.iter().filter(|(source, _)| !source.starts_with('/'));
        model.volumes.extend(volumes.map(|(name, _)| name.clone()));
        let text = foreigner.text();
        match foreigner.file() {
            Some(file) => {
                model.unit_files.insert(format!("{name}.container"), text.clone());
                model.foreign.files.insert(file);
                model.reload();
                // its image is there: it starts
                drop(model.start(&format!("{name}.service"), now));
            }
            None => {
                model.made += 1;
                let container = ContainerState {
                    labels: BTreeMap::new(),
                    state: "running".to_owned(),
                    health: Health::Unknown,
                    health_output: None,
                    exit_code: None,
                    id: format!("{:064x}", model.made),
                    started_at: Some(now),
                };
                model.containers.insert(name.clone(), container);
            }
        }
        program::run(&mut model, &text);
        state.foreigners.insert(name.clone(), foreigner);
        made(&state.foreigners, &mut model, &format!("{name}.service"), &text);
        state.writeback.all_synced();
    }

    /// Names of the containers that Archipelago did not make and that are there, with their states.
    #[must_use]
    pub fn foreigners(&self) -> BTreeMap<String, ContainerState> {
        let model = self.model();
        let foreign = model.containers.iter().filter(|(_, seen)| !program::is_ours(&seen.labels));
        foreign.map(|(name, seen)| (name.clone(), seen.clone())).collect()
    }
}

/// A container was made, maybe by a unit of the owner.
pub(super) fn made(
    foreigners: &BTreeMap<String, Foreigner>,
    model: &mut Model,
    unit: &str,
    text: &str,
) {
    let name = unit.trim_end_matches(".service");
    let Some(foreigner) = foreigners.get(name) else { return };
    if text != foreigner.text() {
        return;
    }
    if let Some(container) = model.containers.get_mut(name) {
        container.labels = foreigner.labels();
        let found = foreigner.found(&container.id);
        model.foreign.containers.insert(name.to_owned(), found);
    }
}

/// What is told of a container is as it is; of one that is gone, nothing.
pub(super) fn mirror(model: &mut Model, name: &str) {
    match model.containers.get(name) {
        None => _ = model.foreign.containers.remove(name),
        Some(container) => {
            if let Some(found) = model.foreign.containers.get_mut(name) {
                found.seen.state.clone_from(&container.state);
            }
        }
    }
}

/// What lived in the daemon's cgroup is dead, and Podman does not know.
pub(super) fn daemon_died(model: &mut Model) {
    for (name, found) in &mut model.foreign.containers {
        if found.monitor_cgroup.is_some() && found.seen.state == "running" {
            found.is_dead = true;
            model.ports.remove(name);
        }
    }
}

pub(super) fn power_off(model: &mut Model) {
    let names: Vec<String> = model.foreign.containers.keys().cloned().collect();
    for name in names {
        mirror(model, &name);
        if let Some(found) = model.foreign.containers.get_mut(&name) {
            found.is_dead = false;
            found.monitor_cgroup = None;
        }
    }
}

/// Unit files of the owner are where the disk has them after a cut.
pub(super) fn place_files(foreigners: &BTreeMap<String, Foreigner>, model: &mut Model) {
    for foreigner in foreigners.values() {
        let Some(path) = foreigner.file() else { continue };
        let name = format!("{}.container", foreigner.name);
        let ours = model.unit_files.get(&name).is_some_and(|text| *text != foreigner.text());
        if model.foreign.files_aside.contains(&path) {
            model.foreign.files.remove(&path);
            if !ours {
                model.unit_files.remove(&name);
            }
        } else {
            model.foreign.files.insert(path);
            model.unit_files.entry(name).or_insert_with(|| foreigner.text());
        }
    }
}

/// Our own unit file was written: in the place of one of the owner's, it must be aside for good.
pub(super) fn overwritten(sim: &Sim, name: &str) {
    let mut state = sim.state();
    let model = sim.model();
    let path = Path::new(UNITS).join(name);
    if model.foreign.files.contains(&path) {
        state.broken.push(format!("the owner's file {name} was overwritten"));
    }
    if model.foreign.files_aside.contains(&path) {
        state.writeback.on_disk(|disk| _ = disk.aside.insert(path.clone()));
    }
}

/// What a look tells.
pub(super) fn seen(state: &State, model: &Model) -> Foreign {
    let mut foreign = model.foreign.clone();
    foreign.daemon_since = state.daemon_since;
    foreign.containers.retain(|name, found| {
        model.containers.get(name).is_some_and(|seen| seen.id == found.seen.id)
    });
    foreign
}

/// Volumes that Archipelago did not make.
pub(super) fn volumes(state: &State, model: &Model) -> BTreeSet<String> {
    let mounts = state.foreigners.values().flat_map(|foreigner| &foreigner.mounts);
    mounts
        .map(|(source, _)| source)
        .filter(|source| model.volumes.contains(*source) && !state.own_volumes.contains(*source))
        .cloned()
        .collect()
}

fn fatal(code: &'static str, message: impl Into<String>) -> HostError {
    HostError { error: UserError::new(code, message), retryable: false }
}

impl Legacy for SimHost {
    async fn legacy(&self, app: &DesiredApp, step: &LegacyStep) -> HostResult<()> {
        let text = archy_plan::describe(&archy_plan::Step::Legacy(step.clone()));
        match step {
            LegacyStep::StartContainers { names, .. } => {
                for name in names {
                    self.one(name, start).await?;
                }
                Ok(())
            }
            LegacyStep::StopContainers { names, .. } => {
                for name in names {
                    self.one(name, stop).await?;
                }
                Ok(())
            }
            LegacyStep::Rename { id, to, .. } => {
                let (id, to, sim) = (id.clone(), to.clone(), self.sim.clone());
                self.call(Class::Podman, text, async move |_| rename(&mut sim.model(), &id, &to))
                    .await
            }
            LegacyStep::SetFileAside { path } => self.move_file(path, true, text).await,
            LegacyStep::PutFileBack { path } => self.move_file(path, false, text).await,
            LegacyStep::CopyData { data, wish } => {
                self.copy(&app.manifest.id, data, *wish, text).await
            }
            LegacyStep::TakeSecret { name, source } => {
                self.podman(&text).await?;
                let (name, source, sim) = (name.clone(), source.clone(), self.sim.clone());
                self.call(Class::File, text, async move |_| take(&mut sim.model(), name, &source))
                    .await
            }
            LegacyStep::Done => Ok(()),
        }
    }
}

impl SimHost {
    async fn one(
        &self,
        name: &str,
        act: fn(&mut State, &mut Model, &str, Timestamp) -> HostResult<()>,
    ) -> HostResult<()> {
        let (name, sim) = (name.to_owned(), self.sim.clone());
        self.call(Class::Podman, format!("start or stop container {name}"), async move |_| {
            let now = sim.now();
            let mut state = sim.state();
            let mut model = sim.model();
            act(&mut state, &mut model, &name, now)
        })
        .await
    }

    async fn move_file(&self, path: &Path, away: bool, text: String) -> HostResult<()> {
        let (path, sim) = (path.to_owned(), self.sim.clone());
        self.pass(Class::File, Moment::Before, &text).await?;
        self.call(Class::Other, text, async move |_| {
            let state = sim.state();
            let mut model = sim.model();
            if away {
                model.foreign.files_aside.insert(path);
            } else {
                model.foreign.files_aside.remove(&path);
            }
            place_files(&state.foreigners, &mut model);
            Ok(())
        })
        .await
    }

    /// Copies data as the daemon's host does it: noted as begun, exchanged, synced, noted as done.
    async fn copy(
        &self,
        app: &AppId,
        data: &DataMove,
        wish: Generation,
        text: String,
    ) -> HostResult<()> {
        let touch = self.touch(app, &text).await?;
        let (from, to) = (place(app, &data.from), place(app, &data.to));
        let Some(content) = self.sim.model().data.get(&from).cloned() else { return Ok(()) };
        let noted = |wish| {
            let mut model = self.sim.model();
            let all = model.foreign.copied.entry(app.clone()).or_default();
            let before = all.iter().any(|copied| copied.data.to == data.to);
            all.retain(|copied| copied.data.to != data.to);
            let (digest, at) = (Digest::of(content.as_bytes()), self.sim.now());
            all.push(Copied { data: data.clone(), wish, digest, bytes: 1, at });
            before
        };
        self.amid(&text).await;
        let there = self.sim.model().data.contains_key(&to);
        if !noted(Generation(0)) && there {
            return Err(fatal("migrate-data-in-the-way", format!("There is something in {to}.")));
        }
        self.amid(&text).await;
        self.unsynced();
        {
            let model = &mut *self.sim.model();
            model.data.insert(to.clone(), content.clone());
            make_place(&mut model.volumes, &mut model.app_files, app, &data.to);
        }
        self.amid(&text).await;
        self.sim.state().writeback.on_disk(|disk| {
            disk.data.insert(to.clone(), content.clone());
            make_place(&mut disk.volumes, &mut disk.files, app, &data.to);
        });
        noted(wish);
        self.sim.state().writeback.synced();
        drop(touch);
        self.pass(Class::File, Moment::After, &text).await
    }
}

/// The volume or directory that data is copied to.
fn make_place(
    volumes: &mut BTreeSet<String>,
    files: &mut BTreeMap<AppId, BTreeMap<String, FileState>>,
    app: &AppId,
    to: &DataPlace,
) {
    match to {
        DataPlace::Volume { name, .. } => _ = volumes.insert(name.clone()),
        DataPlace::AppDir { path } => {
            let files = files.entry(app.clone()).or_default();
            files.insert(String::new(), FileState::Directory);
            files.insert(path.clone(), FileState::Directory);
        }
        DataPlace::Path { .. } => {}
    }
}

fn place(app: &AppId, of: &DataPlace) -> String {
    match of {
        DataPlace::Path { path } => format!("path {}", path.display()),
        DataPlace::Volume { name, .. } => format!("volume {name}"),
        DataPlace::AppDir { path } => format!("directory {app}/{path}"),
    }
}

fn start(state: &mut State, model: &mut Model, name: &str, now: Timestamp) -> HostResult<()> {
    let foreigner = state.foreigners.get(name).cloned();
    let (Some(foreigner), Some(container)) = (foreigner, model.containers.get_mut(name)) else {
        return Err(fatal("not-found", format!("no container {name}")));
    };
    let dead = model.foreign.containers.get(name).is_some_and(|found| found.is_dead);
    if container.state == "running" && !dead {
        return Ok(());
    }
    "running".clone_into(&mut container.state);
    container.started_at = Some(now);
    if let Some(found) = model.foreign.containers.get_mut(name) {
        found.is_dead = false;
        found.monitor_cgroup = None;
    }
    mirror(model, name);
    state.writeback.before(model);
    model.made += 1;
    program::run(model, &foreigner.text());
    program::watch_data(state, Some(&foreigner.app), name);
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "as a start")]
fn stop(_: &mut State, model: &mut Model, name: &str, now: Timestamp) -> HostResult<()> {
    if let Some(container) = model.containers.get_mut(name) {
        "exited".clone_into(&mut container.state);
    }
    if let Some(found) = model.foreign.containers.get_mut(name) {
        found.is_dead = false;
        found.monitor_cgroup = None;
        found.seen.finished = Some(now);
    }
    mirror(model, name);
    model.ports.remove(name);
    Ok(())
}

fn rename(model: &mut Model, id: &str, to: &str) -> HostResult<()> {
    let found = model.containers.iter().find(|(_, container)| container.id == id);
    let Some(from) = found.map(|(name, _)| name.clone()) else {
        return Err(fatal("adopted-gone", "The container is gone."));
    };
    if from == to {
        return Ok(());
    }
    if model.containers.contains_key(to) {
        return Err(fatal("name-taken", format!("There is a container {to}.")));
    }
    let container = model.containers.remove(&from);
    model.containers.extend(container.map(|container| (to.to_owned(), container)));
    if let Some(mut found) = model.foreign.containers.remove(&from) {
        to.clone_into(&mut found.seen.name);
        model.foreign.containers.insert(to.to_owned(), found);
    }
    Ok(())
}

fn take(model: &mut Model, name: String, source: &SecretSource) -> HostResult<()> {
    let SecretSource::Variable { container, variable } = source else {
        return Err(fatal("migrate-secret-gone", "Podman has no such secret."));
    };
    let found = model.foreign.containers.values().find(|found| found.seen.id == *container);
    let value = found.and_then(|found| found.seen.env.get(variable));
    let Some(value) = value.map(|value| String::from_utf8_lossy(value.expose()).into_owned())
    else {
        return Err(fatal("migrate-secret-gone", "The container is gone."));
    };
    model.secret_files.entry(name).or_insert(value);
    Ok(())
}
