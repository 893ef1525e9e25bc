//! Snapshots of apps' data in simulation: made aside and whole or not there, put back part by part
//! and noted, as the daemon's host does it. That nothing of the app runs meanwhile is watched.

use std::time::Duration;

use archy_engine::ports::{HostError, HostResult};
use archy_quadlet::render::LABEL_APP;
use archy_types::{AppId, Generation, UserError};

use super::host::{SimHost, refused};
use super::{Class, Gate, Moment, Sim, State};
use crate::model::{Fault, Model, Snapshot};

/// How long an answer of Podman is waited for.
const PODMAN_LIMIT: Duration = Duration::from_secs(60);

/// Data of an app that is being saved, put back or copied; it ends with the one who does it.
#[derive(Debug)]
pub(super) struct Touch {
    sim: Sim,
    app: AppId,
    life: u64,
}

impl Drop for Touch {
    fn drop(&mut self) {
        let mut state = self.sim.state();
        if state.touched.get(&self.app) == Some(&self.life) {
            state.touched.remove(&self.app);
        }
    }
}

fn fatal(code: &'static str, message: String) -> HostError {
    HostError { error: UserError::new(code, message), retryable: false }
}

/// A container of the app that runs, of our own or of those that it took over.
fn running<'a>(state: &State, model: &'a Model, app: &AppId) -> Option<&'a String> {
    let ours = model.containers.iter().find(|(_, seen)| {
        seen.state == "running" && seen.labels.get(LABEL_APP).is_some_and(|of| of == app.as_str())
    });
    let foreign = || {
        model.foreign.containers.iter().find(|(_, found)| {
            let of_app = state.foreigners.values().any(|foreigner| {
                foreigner.app == *app && found.seen.name.starts_with(&foreigner.name)
            });
            of_app && found.seen.state == "running" && !found.is_dead
        })
    };
    ours.map(|(name, _)| name).or_else(|| foreign().map(|(name, _)| name))
}

/// The place of an app's directory or of a volume.
fn is_in(part: &Part, place: &str) -> bool {
    match part {
        Part::Directory(app) => place.starts_with(&format!("directory {app}/")),
        Part::Volume(name) => place.strip_prefix("volume ") == Some(name),
    }
}

/// What a snapshot is made of.
#[derive(Debug)]
enum Part {
    Directory(AppId),
    Volume(String),
}

impl SimHost {
    /// Asks Podman for something that it answers at once, or not within its time.
    pub(super) async fn podman(&self, text: &str) -> HostResult<()> {
        match self.sim.gate(self.life, Class::Podman, Moment::Before, text) {
            Gate::Go => Ok(()),
            Gate::Never if self.sim.state().life == self.life => {
                tokio::time::sleep(PODMAN_LIMIT).await;
                Err(refused(text))
            }
            Gate::Never => std::future::pending().await,
            Gate::Fail => Err(refused(text)),
        }
    }

    /// Looks whether the app rests, and holds its data until what is given is dropped.
    pub(super) async fn touch(&self, app: &AppId, text: &str) -> HostResult<Touch> {
        self.podman(text).await?;
        self.pass(Class::File, Moment::Before, text).await?;
        let mut state = self.sim.state();
        let model = self.sim.model();
        if model.broken(&Fault::DiskFull) {
            return Err(fatal("disk-full", format!("No space is left: {text}.")));
        }
        if let Some(name) = running(&state, &model, app) {
            state.broken.push(format!("{name} ran at its beginning: {text}"));
            return Err(fatal("app-runs", format!("{name} runs.")));
        }
        state.touched.insert(app.clone(), self.life);
        Ok(Touch { sim: self.sim.clone(), app: app.clone(), life: self.life })
    }

    /// Some of it is done.
    pub(super) async fn amid(&self, text: &str) {
        self.sim.take_time(3000).await;
        if self.sim.gate(self.life, Class::File, Moment::Amid, text) != Gate::Go {
            std::future::pending::<()>().await;
        }
    }

    pub(super) async fn save(
        &self,
        app: &AppId,
        generation: Generation,
        volumes: &[String],
    ) -> HostResult<()> {
        let text = format!("snapshot {app} {generation}");
        let touch = self.touch(app, &text).await?;
        // one of the same generation goes before
        self.unsynced();
        if let Some(all) = self.sim.model().snapshots.get_mut(app) {
            all.remove(&generation);
        }
        let mut snapshot = Snapshot { taken: self.sim.now(), ..Snapshot::default() };
        let parts = volumes.iter().cloned().map(Part::Volume);
        for part in [Part::Directory(app.clone())].into_iter().chain(parts) {
            self.amid(&text).await;
            let model = self.sim.model();
            let found = model.data.iter().filter(|(place, _)| is_in(&part, place));
            snapshot.data.extend(found.map(|(place, data)| (place.clone(), data.clone())));
            if let Part::Directory(_) = part {
                snapshot.files = model.app_files.get(app).cloned();
            }
        }
        self.amid(&text).await;
        {
            let mut state = self.sim.state();
            self.sim
                .model()
                .snapshots
                .entry(app.clone())
                .or_default()
                .insert(generation, snapshot.clone());
            state.writeback.on_disk(|disk| {
                disk.snapshots.entry(app.clone()).or_default().insert(generation, snapshot.clone());
            });
            state.writeback.synced();
        }
        drop(touch);
        self.pass(Class::File, Moment::After, &text).await
    }

    pub(super) async fn put_back(
        &self,
        app: &AppId,
        generation: Generation,
        wish: Generation,
    ) -> HostResult<()> {
        let text = format!("restore {app} {generation} for {wish}");
        let touch = self.touch(app, &text).await?;
        let found =
            self.sim.model().snapshots.get(app).and_then(|all| all.get(&generation)).cloned();
        let Some(snapshot) = found else {
            return Err(fatal("snapshot-missing", "There is no such snapshot.".to_owned()));
        };
        if snapshot.restored == Some(wish) {
            self.sim.state().broken.push(format!("data was put back twice: {text}"));
        }
        let volumes = snapshot.data.keys().filter_map(|place| place.strip_prefix("volume "));
        let mut parts: Vec<Part> = volumes.map(|name| Part::Volume(name.to_owned())).collect();
        parts.extend(snapshot.files.is_some().then(|| Part::Directory(app.clone())));
        for part in &parts {
            self.amid(&text).await;
            self.unsynced();
            exchange(&mut self.sim.model(), part, app, &snapshot);
            self.amid(&text).await;
            self.sim.state().writeback.on_disk(|disk| {
                disk.data.retain(|place, _| !is_in(part, place));
                let own = snapshot.data.iter().filter(|(place, _)| is_in(part, place));
                disk.data.extend(own.map(|(place, data)| (place.clone(), data.clone())));
                match (part, &snapshot.files) {
                    (Part::Directory(_), Some(files)) => {
                        disk.files.insert(app.clone(), files.clone());
                    }
                    (Part::Volume(name), _) => _ = disk.volumes.insert(name.clone()),
                    (Part::Directory(_), None) => {}
                }
            });
        }
        {
            let mut state = self.sim.state();
            let noted = Snapshot { restored: Some(wish), ..snapshot };
            self.sim
                .model()
                .snapshots
                .entry(app.clone())
                .or_default()
                .insert(generation, noted.clone());
            state.writeback.on_disk(|disk| {
                disk.snapshots.entry(app.clone()).or_default().insert(generation, noted.clone());
            });
            state.writeback.synced();
        }
        drop(touch);
        self.pass(Class::File, Moment::After, &text).await
    }

    pub(super) async fn prune(&self, app: &AppId, generations: &[Generation]) -> HostResult<()> {
        let text = format!("prune {app}");
        self.podman(&text).await?;
        for generation in generations {
            self.amid(&text).await;
            self.unsynced();
            let mut model = self.sim.model();
            if let Some(all) = model.snapshots.get_mut(app) {
                all.remove(generation);
            }
            model.snapshots.retain(|_, all| !all.is_empty());
        }
        self.pass(Class::Other, Moment::After, &text).await
    }
}

/// Puts one part in the place of what is there.
fn exchange(model: &mut Model, part: &Part, app: &AppId, snapshot: &Snapshot) {
    model.data.retain(|place, _| !is_in(part, place));
    let own = snapshot.data.iter().filter(|(place, _)| is_in(part, place));
    model.data.extend(own.map(|(place, data)| (place.clone(), data.clone())));
    match (part, &snapshot.files) {
        (Part::Directory(_), Some(files)) => _ = model.app_files.insert(app.clone(), files.clone()),
        (Part::Volume(name), _) => _ = model.volumes.insert(name.clone()),
        (Part::Directory(_), None) => {}
    }
}
