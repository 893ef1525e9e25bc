//! One app's desired and observed state side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use archy_manifest::model::{FileTemplate, MountSource, Service};
use archy_manifest::names;
use archy_quadlet::render::{
    LABEL_APP, LABEL_ENV_HASH, LABEL_GENERATION, LABEL_MANIFEST, LABEL_SERVICE, LABEL_SHARED,
};
use archy_quadlet::{Deployment, UnitFile, UnitRole};
use archy_types::{AppId, Cause, ServiceName};

use crate::desired::{DesiredApp, DesiredState};
use crate::drift::{self, Drift, FileDrift};
use crate::intent::Intent;
use crate::observed::{ContainerState, FileState, Observed, UnitState};
use crate::phase::{Phase, is_alive};
use crate::step::Step;

/// The facts without which nothing may be changed, all of them known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) unit_files: &'a BTreeMap<String, String>,
    pub(crate) units: &'a BTreeMap<String, UnitState>,
    pub(crate) containers: &'a BTreeMap<String, ContainerState>,
    pub(crate) images: &'a BTreeSet<String>,
    pub(crate) volumes: &'a BTreeSet<String>,
    pub(crate) networks: &'a BTreeSet<String>,
    pub(crate) podman_secrets: &'a BTreeMap<String, String>,
    pub(crate) secret_files: &'a BTreeMap<String, String>,
    pub(crate) app_files: Option<&'a BTreeMap<String, FileState>>,
}

impl<'a> Facts<'a> {
    /// The facts about one app, or why one of them is not known.
    pub(crate) fn of(observed: &'a Observed, app: &AppId) -> Result<Self, &'a Cause> {
        macro_rules! known {
            ($field:ident) => {
                match &observed.$field {
                    crate::observed::Known::Yes(fact) => fact,
                    crate::observed::Known::No(cause) => return Err(cause),
                }
            };
        }
        Ok(Self {
            unit_files: known!(unit_files),
            units: known!(units),
            containers: known!(containers),
            images: known!(images),
            volumes: known!(volumes),
            networks: known!(networks),
            podman_secrets: known!(podman_secrets),
            secret_files: known!(secret_files),
            app_files: known!(app_files).get(app),
        })
    }

    /// Unit files labelled with the app: name and text.
    pub(crate) fn files_of(self, app: &'a AppId) -> impl Iterator<Item = (&'a str, &'a str)> {
        files_of(self.unit_files, app)
    }

    /// True when systemd runs the unit. Of a unit that was not looked at (its file may be gone) the
    /// app's container tells.
    pub(crate) fn runs(self, app: &AppId, unit: &str) -> bool {
        match self.units.get(unit) {
            Some(unit) => is_alive(Some(unit)),
            None => self
                .containers
                .get(unit.trim_end_matches(".service"))
                .is_some_and(|container| is_of(container, app) && container.state == "running"),
        }
    }

    /// Containers labelled with the app.
    pub(crate) fn containers_of(
        self,
        app: &'a AppId,
    ) -> impl Iterator<Item = (&'a str, &'a ContainerState)> {
        with_prefix(self.containers, app).filter(move |(_, state)| is_of(state, app))
    }
}

/// Unit files labelled with the app: name and text.
pub(crate) fn files_of<'a>(
    files: &'a BTreeMap<String, String>,
    app: &'a AppId,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    with_prefix(files, app)
        .filter(move |(_, text)| owner(text) == Some(app.as_str()))
        .map(|(name, text)| (name, text.as_str()))
}

/// Entries named like the app, or beginning with its id and another character. All names of an app
/// do, so that a look at one app does not go through everything of all others.
fn with_prefix<'a, T>(
    map: &'a BTreeMap<String, T>,
    app: &'a AppId,
) -> impl Iterator<Item = (&'a str, &'a T)> {
    let id = app.as_str();
    map.range::<str, _>((Bound::Included(id), Bound::Unbounded))
        .take_while(move |(name, _)| name.starts_with(id))
        .filter(move |(name, _)| matches!(name.as_bytes().get(id.len()), None | Some(b'.' | b'-')))
        .map(|(name, value)| (name.as_str(), value))
}

/// True when the container's label names the app.
pub(crate) fn is_of(container: &ContainerState, app: &AppId) -> bool {
    container.labels.get(LABEL_APP).is_some_and(|label| label == app.as_str())
}

/// The app that a unit file's label names.
pub(crate) fn owner(text: &str) -> Option<&str> {
    label(text, LABEL_APP)
}

/// True for the file of something that belongs to no single app.
pub(crate) fn is_shared(text: &str) -> bool {
    label(text, LABEL_SHARED).is_some()
}

/// Value of a label in the text of a unit file.
pub(crate) fn label<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let lines = text.lines().filter(|line| line.starts_with("Label="));
    lines.into_iter().find_map(|line| {
        let at = line.find(key)?;
        let value = line[at + key.len()..].strip_prefix('=')?;
        Some(&value[..value.find([' ', '"', '\'']).unwrap_or(value.len())])
    })
}

/// Generations in the app's container files as they are on disk; 0 where none can be read.
pub(crate) fn generations<'a>(
    files: &'a BTreeMap<String, String>,
    app: &'a AppId,
) -> impl Iterator<Item = u64> {
    let own = with_prefix(files, app).filter(move |(name, text)| {
        name.ends_with(".container") && owner(text) == Some(app.as_str())
    });
    own.map(|(_, text)| {
        label(text, LABEL_GENERATION).and_then(|made_for| made_for.parse().ok()).unwrap_or(0)
    })
}

/// Value of a key in the text of a unit file.
pub(crate) fn key<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
}

/// Seconds that a key such as `TimeoutStopSec=` gives, where it is a plain number.
pub(crate) fn seconds(text: &str, name: &str) -> Option<u32> {
    let value = key(text, name)?;
    value.strip_suffix('s').unwrap_or(value).parse().ok()
}

/// A service as it is wanted and as it was seen.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    pub(crate) name: &'a ServiceName,
    pub(crate) service: &'a Service,
    pub(crate) file: &'a UnitFile,
    pub(crate) container: String,
    pub(crate) unit: Option<&'a UnitState>,
    pub(crate) phase: Phase,
    pub(crate) masked: bool,
    pub(crate) drift: Drift,
}

impl Part<'_> {
    /// True when the file is mounted into the service.
    pub(crate) fn reads(&self, file: &FileTemplate) -> bool {
        self.service.mounts.iter().any(|mount| match &mount.source {
            MountSource::File(path) => *path == file.path,
            MountSource::AppDir { path, .. } => {
                let inside = |rest: &str| rest.is_empty() || rest.starts_with('/');
                path.is_empty()
                    || file.path.strip_prefix(path.trim_end_matches('/')).is_some_and(inside)
            }
            _ => false,
        })
    }
}

/// One app's desired and observed state side by side.
#[derive(Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) app: &'a DesiredApp,
    pub(crate) deployment: &'a Deployment,
    pub(crate) observed: &'a Observed,
    pub(crate) facts: Facts<'a>,
    pub(crate) all: &'a [DesiredApp],
    pub(crate) intent: Intent,
    pub(crate) parts: Vec<Part<'a>>,
    /// What has to happen to the data before anything of the app runs.
    pub(crate) due: Option<Step>,
}

impl<'a> Scene<'a> {
    pub(crate) fn new(
        app: &'a DesiredApp,
        deployment: &'a Deployment,
        observed: &'a Observed,
        facts: Facts<'a>,
        all: &'a [DesiredApp],
        intent: Intent,
    ) -> Self {
        let parts = Vec::new();
        let mut scene = Self { app, deployment, observed, facts, all, intent, parts, due: None };
        scene.parts = deployment.files.iter().filter_map(|file| scene.part(file)).collect();
        scene.stopped_with_the_rest();
        scene
    }

    fn part(&self, file: &'a UnitFile) -> Option<Part<'a>> {
        let UnitRole::Container(name) = &file.role else { return None };
        let service = self.app.manifest.services.get(name)?;
        let unit = self.facts.units.get(&file.unit);
        let kind = |variable: &str| drift::of_variable(service, variable);
        let old = self.facts.unit_files.get(&file.file_name).map(String::as_str);
        Some(Part {
            name,
            service,
            file,
            container: names::container(&self.app.manifest, name),
            unit,
            phase: match unit {
                None if self.facts.runs(&self.app.manifest.id, &file.unit) => Phase::Up,
                unit => Phase::of(unit, service.oneshot, self.app.since),
            },
            masked: unit.is_some_and(|unit| unit.load == "masked"),
            drift: drift::unit_file(old, &file.text, kind),
        })
    }

    /// A service that ran to completion goes on no account of its own once everything else of the
    /// app was stopped from outside.
    fn stopped_with_the_rest(&mut self) {
        let mut others = self.parts.iter().filter(|part| !part.service.oneshot).peekable();
        if others.peek().is_none() || !others.all(|part| part.phase == Phase::StoppedOutside) {
            return;
        }
        for part in &mut self.parts {
            if part.service.oneshot && part.phase == Phase::Down && part.drift != Drift::Missing {
                part.phase = Phase::StoppedOutside;
            }
        }
    }

    /// Somebody else made this volume, and the app did not take it over.
    pub(crate) fn is_strange_volume(&self, name: &str) -> bool {
        let taken_over = self.app.adopted.as_ref().is_some_and(|all| all.has_volume(name));
        !taken_over && self.observed.strangers.volumes.contains(name)
    }

    /// The containers that the app took over are on this network.
    pub(crate) fn took_over_network(&self, name: &str) -> bool {
        self.app.adopted.as_ref().is_some_and(|all| all.has_network(name))
    }

    /// The data is still to be put back.
    pub(crate) const fn restores(&self) -> bool {
        matches!(self.due, Some(Step::RestoreSnapshot { .. }))
    }

    /// Files that are not of a container.
    pub(crate) fn supports(&self) -> impl Iterator<Item = &'a UnitFile> {
        let files = self.deployment.files.iter();
        files.filter(|file| !matches!(file.role, UnitRole::Container(_)))
    }

    /// The text that a unit file of this name has now.
    pub(crate) fn old_text(&self, file_name: &str) -> Option<&'a str> {
        self.facts.unit_files.get(file_name).map(String::as_str)
    }

    /// How a file that is not of a container differs.
    pub(crate) fn support_drift(&self, file: &UnitFile) -> Drift {
        drift::unit_file(self.old_text(&file.file_name), &file.text, |_| Drift::Real)
    }

    /// How a file made from a template differs.
    ///
    /// A setting counts although the content cannot be compared, or although addresses of the node
    /// may be what differs: a container that reads the file and was made for an older wish of the
    /// owner has not seen the setting.
    pub(crate) fn file_drift(&self, file: &FileTemplate) -> FileDrift {
        let seen = self.facts.app_files.and_then(|files| files.get(&file.path));
        match drift::file(self.app, &self.observed.host.values, file, seen) {
            FileDrift::Later | FileDrift::AtStart if self.has_older_reader(file) => {
                FileDrift::Changed
            }
            FileDrift::Later if self.intent.installs() || !self.is_read(file) => FileDrift::Changed,
            drift => drift,
        }
    }

    fn is_read(&self, file: &FileTemplate) -> bool {
        self.parts.iter().any(|part| part.reads(file))
    }

    fn has_older_reader(&self, file: &FileTemplate) -> bool {
        let wanted = self.app.generation.to_string();
        drift::has_setting(file)
            && self.parts.iter().any(|part| {
                let counts = part.phase.is_alive() || part.phase == Phase::Failed;
                counts
                    && !part.masked
                    && part.reads(file)
                    && self.generation(part).is_some_and(|made_for| made_for != wanted)
            })
    }

    /// The generation that a part's container was made for; without a container (it ran to
    /// completion, or failed) its unit file tells.
    fn generation(&self, part: &Part<'_>) -> Option<&'a str> {
        match self.facts.containers.get(&part.container) {
            Some(container) => container.labels.get(LABEL_GENERATION).map(String::as_str),
            None => label(self.old_text(&part.file.file_name)?, LABEL_GENERATION),
        }
    }

    /// Labelled unit files that the deployment does not name.
    pub(crate) fn orphan_files(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let deployment = self.deployment;
        self.facts
            .files_of(&self.app.manifest.id)
            .filter(|(name, _)| !deployment.files.iter().any(|file| file.file_name == *name))
    }

    /// Labelled containers that the deployment does not name.
    pub(crate) fn orphan_containers(&self) -> impl Iterator<Item = &'a str> {
        let names = self.facts.containers_of(&self.app.manifest.id).map(|(name, _)| name);
        let renamed = self.renamed_containers();
        names.filter(move |name| {
            !self.parts.iter().any(|part| part.container == *name)
                && !renamed.iter().any(|(from, _)| from == name)
        })
    }

    /// Containers that somebody gave another name while their unit runs: that name, and the unit's.
    /// None of an app that should not run: there they go like every other.
    pub(crate) fn renamed_containers(&self) -> Vec<(&'a str, String)> {
        let runs = self.app.state == DesiredState::Running;
        let up = self.parts.iter().filter(|part| runs && part.phase == Phase::Up);
        up.filter_map(|part| Some((self.renamed(part)?, part.container.clone()))).collect()
    }

    /// The name that somebody gave to the container of a part.
    pub(crate) fn renamed(&self, part: &Part<'_>) -> Option<&'a str> {
        let containers = self.facts.containers;
        if containers.contains_key(&part.container) {
            return None;
        }
        let is_its = |state: &ContainerState| {
            let service = state.labels.get(LABEL_SERVICE);
            is_of(state, &self.app.manifest.id)
                && service.is_some_and(|service| service == part.name.as_str())
        };
        containers.iter().find(|(_, state)| is_its(state)).map(|(name, _)| name.as_str())
    }

    /// True when the app's own container of this part is there.
    pub(crate) fn has_container(&self, part: &Part<'_>) -> bool {
        let container = self.facts.containers.get(&part.container);
        container.is_some_and(|container| is_of(container, &self.app.manifest.id))
    }

    /// True when the running container was made from other units than the wanted ones, where its
    /// unit file is gone and cannot tell.
    pub(crate) fn is_outdated(&self, part: &Part<'_>) -> bool {
        let Some(container) = self.facts.containers.get(&part.container) else { return false };
        [LABEL_MANIFEST, LABEL_ENV_HASH].iter().any(|key| {
            container.labels.get(*key).map(String::as_str) != label(&part.file.text, key)
        })
    }
}
