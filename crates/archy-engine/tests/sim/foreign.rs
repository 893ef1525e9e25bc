//! What was on the node before Archipelago was: it is there, and as the owner wished it.

use archy_engine::Snapshot;
use archy_plan::DesiredApp;
use archy_plan::adopt::aside_name;
use archy_plan::observed::ContainerState;
use archy_testkit::sim::{Foreigner, Kind};
use archy_testkit::{Model, Sim};
use archy_types::AppState;

use crate::invariants::{belongs, labelled};
use crate::node::{Hold, Node, Wish};

/// A container with what it was at first.
#[derive(Debug)]
pub(crate) struct Laid {
    pub(crate) foreigner: Foreigner,
    first: ContainerState,
    file: Option<String>,
}

impl Laid {
    pub(crate) fn lay(sim: &Sim, foreigner: Foreigner) -> Self {
        sim.lay(foreigner.clone());
        let first = sim.foreigners()[&foreigner.name].clone();
        let file = sim.model().unit_files.get(&file_name(&foreigner)).cloned();
        Self { foreigner, first, file }
    }

    /// It is there under this name.
    fn is_at(&self, model: &Model, name: &str) -> bool {
        model.containers.get(name).is_some_and(|seen| seen.id == self.first.id)
    }

    /// Adopted, it is the container that it was all the time.
    pub(crate) fn is_untouched(&self, node: &Node) -> bool {
        let now = node.sim.foreigners();
        now.get(&self.foreigner.name)
            .is_some_and(|now| now.id == self.first.id && now.started_at == self.first.started_at)
    }
}

fn file_name(foreigner: &Foreigner) -> String {
    format!("{}.container", foreigner.name)
}

/// What does not hold of containers that Archipelago did not make.
pub(crate) fn broken(node: &Node) -> Vec<String> {
    let mut found = Vec::new();
    for laid in &node.laid {
        let app = &laid.foreigner.app;
        let books = node.sim.books();
        let desired = books.apps.get(app);
        let Some(wish) = Wish::of(desired) else { continue };
        let model = node.sim.model();
        let what = match laid.foreigner.kind {
            Kind::Run | Kind::InDaemon => container(&model, laid, &wish),
            Kind::Quadlet => file(&model, laid, &wish),
        };
        found.extend(what.into_iter().map(|text| format!("{app}: {text}")));
        if let Some(desired) = desired.filter(|desired| !desired.is_watched()) {
            found.extend(arrived(&model, laid, desired));
        }
    }
    found
}

fn container(model: &Model, laid: &Laid, wish: &Wish) -> Option<String> {
    let name = &laid.foreigner.name;
    let (here, aside) = (laid.is_at(model, name), laid.is_at(model, &aside_name(name)));
    let dead = model.foreign.containers.get(name).is_some_and(|found| found.is_dead);
    let runs = model.containers.get(name).is_some_and(|seen| seen.state == "running");
    let runs = here && runs && !dead;
    let good = match wish {
        // one that was given up for good may have been uninstalled since
        Wish::Absent => true,
        Wish::Present { hold: Hold::Watched, running, .. } => here && !aside && runs == *running,
        Wish::Present { hold: Hold::Migrated, .. } => aside && !here,
        Wish::Present { hold: Hold::Committed, .. } => !aside && !here,
        Wish::Present { hold: Hold::Own, .. } => !here,
    };
    (!good).then(|| {
        format!("wished {wish:?}, its old container is here: {here}, aside: {aside}, runs: {runs}")
    })
}

fn file(model: &Model, laid: &Laid, wish: &Wish) -> Option<String> {
    let name = &laid.foreigner.name;
    let here = model.unit_files.get(&file_name(&laid.foreigner)) == laid.file.as_ref();
    let aside = !model.foreign.files_aside.is_empty();
    let foreign = |seen: &ContainerState| {
        seen.state == "running" && !seen.labels.contains_key("io.archipelago.app")
    };
    let runs = model.containers.get(name).is_some_and(foreign);
    let good = match wish {
        Wish::Absent => here != aside,
        Wish::Present { hold: Hold::Watched, running, .. } => here && !aside && runs == *running,
        Wish::Present { .. } => aside && !here && !runs,
    };
    (!good).then(|| {
        format!("wished {wish:?}, its old file is here: {here}, aside: {aside}, runs: {runs}")
    })
}

/// Data that was copied has what the original has, and its secret is the one that it had.
fn arrived(model: &Model, laid: &Laid, desired: &DesiredApp) -> Vec<String> {
    let app = &desired.manifest.id;
    let mut found = Vec::new();
    if desired.adopted.is_none() {
        return found;
    }
    let original = model.data.get(&format!("path /srv/{app}"));
    let copy = model.data.get(&format!("directory {app}/files"));
    let good = match (original, copy) {
        (Some(original), Some(copy)) => copy.starts_with(original.as_str()),
        (None, _) => true,
        (Some(_), None) => false,
    };
    if !good {
        found.push(format!("{app}: {original:?} did not arrive: {copy:?}"));
    }
    let secret = model.secret_files.get(&format!("{app}-token"));
    if secret != Some(&laid.foreigner.env.1) {
        found.push(format!("{app}: its token is another one: {secret:?}"));
    }
    found
}

/// An app in containers that Archipelago did not make: nothing of its own is there.
pub(crate) fn watched(model: &Model, desired: &DesiredApp, snapshot: &Snapshot) -> Vec<String> {
    let app = &desired.manifest.id;
    let mut found = Vec::new();
    let files = model.unit_files.iter().chain(&model.loaded);
    let files = files.filter(|(_, text)| labelled(text, app));
    found.extend(files.map(|(name, _)| format!("our own {name} is left")));
    let ours = model.containers.iter().filter(|(_, seen)| {
        seen.labels.get("io.archipelago.app").is_some_and(|label| label == app.as_str())
    });
    found.extend(ours.map(|(name, _)| format!("our own container {name} is left")));
    let secrets = model.podman_secrets.keys().chain(&model.networks);
    let secrets = secrets.filter(|name| belongs(name, app));
    found.extend(secrets.map(|name| format!("our own secret or network {name} is left")));
    let state = snapshot.apps.get(app).map(|view| view.report.state);
    let expected = match desired.state {
        archy_plan::DesiredState::Running => AppState::Running,
        _ => AppState::Stopped,
    };
    if state != Some(expected) {
        found.push(format!("it is adopted and wished {:?}, and shown as {state:?}", desired.state));
    }
    found
}
