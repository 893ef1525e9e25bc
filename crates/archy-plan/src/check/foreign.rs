//! Names that somebody else has.

use archy_manifest::model::ImageSource;
use archy_manifest::names;
use archy_quadlet::{FileKind, UnitRole};

use super::{check, grave, installed};
use crate::desired::DesiredApp;
use crate::phase::is_alive;
use crate::scene::{self, Part, Scene, is_of};
use crate::step::{Check, Severity};

/// Something foreign that has a name the app needs.
#[derive(Debug)]
pub(crate) struct Taken {
    what: &'static str,
    name: String,
    /// The app that it belongs to, when it carries another app's label.
    owner: Option<String>,
}

impl Taken {
    /// The finding.
    pub(crate) fn check(&self, severity: Severity) -> Check {
        let whose = match &self.owner {
            Some(app) => format!("belongs to the app {app}"),
            None => "was not made by Archipelago".to_owned(),
        };
        let message = format!("The {} {} {whose}; it is not touched.", self.what, self.name);
        check(severity, "name-taken", message)
            .mend(format!("Rename or remove the {} {}, then try again.", self.what, self.name))
    }

    /// True for the unit file of this name.
    pub(crate) fn is_file(&self, file_name: &str) -> bool {
        self.what == "unit file" && self.name == file_name
    }
}

/// Foreign containers, unit files, units, networks and volumes with names that the app needs.
pub(crate) fn names_taken(scene: &Scene<'_>) -> Vec<Taken> {
    let mut taken = Vec::new();
    for part in &scene.parts {
        container(scene, part, &mut taken);
    }
    for file in scene.supports() {
        if let Some(text) = scene.old_text(&file.file_name) {
            let shared = matches!(file.role, UnitRole::Network { shared: true, .. });
            let ours = if shared {
                scene::is_shared(text)
            } else {
                scene::owner(text) == Some(scene.app.manifest.id.as_str())
            };
            if !ours {
                let owner = scene::owner(text).map(str::to_owned);
                taken.push(Taken { what: "unit file", name: file.file_name.clone(), owner });
            }
        }
        let strangers = &scene.observed.strangers;
        let (what, name) = match &file.role {
            UnitRole::Network { name, shared: false }
                if strangers.networks.contains(name) && !scene.took_over_network(name) =>
            {
                ("network", name)
            }
            UnitRole::Volume(name) if scene.is_strange_volume(name) => ("volume", name),
            _ => continue,
        };
        taken.push(Taken { what, name: name.clone(), owner: None });
    }
    taken
}

fn container(scene: &Scene<'_>, part: &Part<'_>, taken: &mut Vec<Taken>) {
    let id = &scene.app.manifest.id;
    let container = scene.facts.containers.get(&part.container);
    if let Some(container) = container.filter(|container| !is_of(container, id)) {
        let owner = container.labels.get(archy_quadlet::render::LABEL_APP).cloned();
        let name = part.container.clone();
        taken.push(Taken { what: "container", name, owner });
    }
    let ours =
        container.is_some_and(|container| is_of(container, id)) || scene.renamed(part).is_some();
    match scene.old_text(&part.file.file_name) {
        // a file of ours may have lost its label to an editor; its container still tells
        Some(text) if !ours && scene::owner(text) != Some(id.as_str()) => {
            let owner = scene::owner(text).map(str::to_owned);
            let name = part.file.file_name.clone();
            taken.push(Taken { what: "unit file", name, owner });
        }
        None if !ours
            && !part.service.oneshot
            && is_alive(part.unit)
            && !part.phase.is_moving() =>
        {
            taken.push(Taken { what: "unit", name: part.file.unit.clone(), owner: None });
        }
        _ => {}
    }
}

/// Units and volumes that another app makes under the same name.
pub(super) fn clashes(scene: &Scene<'_>) -> Vec<Check> {
    let own = made_names(scene.app);
    let mut found = Vec::new();
    for other in installed(scene.all, scene.app) {
        // names of an app begin with its id
        let (a, b) = (scene.app.manifest.id.as_str(), other.manifest.id.as_str());
        if !a.starts_with(b) && !b.starts_with(a) {
            continue;
        }
        for name in made_names(other).into_iter().filter(|name| own.contains(name)) {
            let message = format!("{} and {} would both make {name}.", scene.app.manifest.id, b);
            found.push(check(grave(scene.intent), "name-clash", message).mend(
                "Uninstall one of them; a service or volume must be renamed in its manifest.",
            ));
        }
    }
    found
}

/// Units, and volumes as the units that make them.
fn made_names(app: &DesiredApp) -> Vec<String> {
    let manifest = &*app.manifest;
    let mut made = vec![FileKind::Network.unit(&names::network(&manifest.id))];
    for (name, service) in &manifest.services {
        let container = names::container(manifest, name);
        if matches!(service.source, ImageSource::Build { .. }) {
            made.push(FileKind::Build.unit(&container));
        }
        made.push(FileKind::Container.unit(&container));
    }
    let volumes = manifest.volumes.keys();
    made.extend(volumes.map(|volume| FileKind::Volume.unit(&names::volume(&manifest.id, volume))));
    made
}
