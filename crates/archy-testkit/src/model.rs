//! The state of a host in memory: units, containers, files, and faults that were put in.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use archy_manifest::model::Protocol;
use archy_plan::observed::{ActiveState, ContainerState, FileState, UnitState};
use archy_quadlet::unit_of;
use archy_types::{AppId, Generation, Health, Timestamp, UserError};

/// Something that goes wrong until it is taken out again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Podman does not answer: every question about containers is unknown, every wish fails.
    PodmanAway,
    /// Podman answers nothing: every question about containers is unknown, no wish ever ends.
    PodmanHangs,
    /// systemd does not answer.
    SystemdAway,
    /// Pulls fail.
    PullFails,
    /// Pulls fail with these words of the registry.
    PullRefused(String),
    /// Pulls never end.
    PullHangs,
    /// This unit's container ends at once until the start limit is hit.
    Crashes(String),
    /// This unit does not stop.
    WillNotStop(String),
    /// No space is left for files.
    DiskFull,
    /// Containers of this image end at once; they ruin the app's data before.
    BadImage(String),
    /// Containers of this image start and are not healthy; they ruin the app's data.
    SickImage(String),
    /// Podman's generator rejects this unit file.
    GeneratorRejects(String),
    /// Commands of hooks that begin with this word end with 3; requests to this path get a 500.
    HookFails(String),
    /// Commands of hooks that begin with this word, and requests to this path, never end.
    HookHangs(String),
    /// Ready conditions of this container do not hold.
    NotReady(String),
    /// Snapshots never end.
    SnapshotHangs,
}

/// A snapshot of an app's data.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// When it was taken.
    pub taken: Timestamp,
    /// The wish for which it was put back last.
    pub restored: Option<Generation>,
    /// What containers had written.
    pub data: BTreeMap<String, String>,
    /// Files below the data directory.
    pub files: Option<BTreeMap<String, FileState>>,
}

/// A host in memory.
#[derive(Debug, Clone, Default)]
pub struct Model {
    /// How long a look takes; what happens meanwhile is not in it.
    pub look_takes: std::time::Duration,
    /// Looks so far.
    pub looks: u64,
    /// How long the next write of unit files takes; then they are there, and it fails.
    pub late_write: Option<Duration>,
    /// Containers whose logs went with data.
    pub purged_logs: BTreeSet<String>,
    /// Files in the Quadlet directory.
    pub unit_files: BTreeMap<String, String>,
    /// What the manager has read of them.
    pub loaded: BTreeMap<String, String>,
    /// Units.
    pub units: BTreeMap<String, UnitState>,
    /// Containers.
    pub containers: BTreeMap<String, ContainerState>,
    /// Images that are present.
    pub images: BTreeSet<String>,
    /// Images that a pull finds.
    pub registry: BTreeSet<String>,
    /// Volumes.
    pub volumes: BTreeSet<String>,
    /// Networks.
    pub networks: BTreeSet<String>,
    /// Podman secrets and the hash of their content.
    pub podman_secrets: BTreeMap<String, String>,
    /// Secret files and the hash of their content.
    pub secret_files: BTreeMap<String, String>,
    /// Files of apps.
    pub app_files: BTreeMap<AppId, BTreeMap<String, FileState>>,
    /// Host ports that containers hold, by container.
    pub ports: BTreeMap<String, BTreeSet<(u16, Protocol)>>,
    /// The text that a container's unit had when it was made.
    pub made_from: BTreeMap<String, String>,
    /// What containers wrote, by volume or directory.
    pub data: BTreeMap<String, String>,
    /// Snapshots of apps, by the generation they were taken before.
    pub snapshots: BTreeMap<AppId, BTreeMap<Generation, Snapshot>>,
    /// Free bytes on the disk of the data, when they matter.
    pub disk_free: Option<u64>,
    /// Bytes of apps' data, when they matter.
    pub data_sizes: BTreeMap<AppId, u64>,
    /// Bytes of images, where they matter.
    pub image_sizes: BTreeMap<String, u64>,
    /// Ports that something foreign listens on.
    pub foreign_ports: BTreeSet<(u16, Protocol)>,
    /// How long the next look takes to arrive; what it tells is what was there when it began.
    pub slow_look: Option<Duration>,
    /// What a look tells of containers that Archipelago did not make.
    pub foreign: archy_plan::Foreign,
    /// What goes wrong.
    pub faults: BTreeSet<Fault>,
    /// Every call that changed something, in order.
    pub calls: Vec<String>,
    /// Containers made so far, for their ids.
    pub made: u64,
}

/// The container that a Quadlet file describes.
struct Spec {
    name: String,
    image: String,
    labels: BTreeMap<String, String>,
    networks: Vec<String>,
    volumes: Vec<String>,
}

impl Model {
    /// True when the fault is in.
    #[must_use]
    pub fn broken(&self, fault: &Fault) -> bool {
        self.faults.contains(fault)
    }

    /// Reads the unit files, as a daemon-reload does.
    pub fn reload(&mut self) {
        self.loaded = self.unit_files.clone();
        let known: BTreeSet<String> = self.loaded.keys().filter_map(|file| unit_of(file)).collect();
        self.units.retain(|unit, state| known.contains(unit) || runs(state.active));
        for unit in known {
            self.units.entry(unit).or_insert_with(inactive);
        }
    }

    /// Starts a unit.
    ///
    /// # Errors
    /// What systemd would say.
    pub fn start(&mut self, unit: &str, now: Timestamp) -> Result<(), UserError> {
        let Some((_, text)) =
            self.loaded.iter().find(|(file, _)| unit_of(file).as_deref() == Some(unit))
        else {
            return Err(UserError::new("unit-missing", format!("Unit {unit} not found.")));
        };
        let text = text.clone();
        self.start_as(unit, &text, now)
    }

    /// Starts a unit as this text describes it.
    ///
    /// # Errors
    /// What systemd would say.
    pub(crate) fn start_as(
        &mut self,
        unit: &str,
        text: &str,
        now: Timestamp,
    ) -> Result<(), UserError> {
        if self.units.get(unit).is_some_and(|state| state.active == ActiveState::Active) {
            return Ok(());
        }
        if !text.contains("[Container]") {
            self.set_active(unit, now);
            return Ok(());
        }
        let spec = parse(text);
        if !self.images.contains(&spec.image) && !spec.image.starts_with("localhost/") {
            self.set_failed(unit, "exit-code", now);
            return Err(UserError::new("unit-failed", format!("{unit}: image not known")));
        }
        let bad = self.broken(&Fault::BadImage(spec.image.clone()));
        let sick = self.broken(&Fault::SickImage(spec.image.clone()));
        if let Some(app) = spec.labels.get("io.archipelago.app").filter(|_| bad || sick) {
            self.overwrite(app, &format!("ruined by {}", spec.image));
        }
        if bad || self.broken(&Fault::Crashes(unit.to_owned())) {
            self.set_failed(unit, "start-limit-hit", now);
            return Err(UserError::new("unit-failed", format!("{unit}: start-limit-hit")));
        }
        self.networks.extend(spec.networks.iter().cloned());
        self.volumes.extend(spec.volumes.iter().cloned());
        self.made += 1;
        let container = ContainerState {
            labels: spec.labels,
            state: "running".to_owned(),
            health: if sick { Health::Unhealthy } else { Health::Healthy },
            health_output: None,
            exit_code: None,
            id: format!("{:064x}", self.made),
            started_at: Some(now),
        };
        self.containers.insert(spec.name, container);
        self.set_active(unit, now);
        Ok(())
    }

    /// What a program in a container does to all of its app's data.
    pub(crate) fn write_data(&mut self, container: &str, text: &str) {
        let labels = self.containers.get(container).map(|container| &container.labels);
        let app = labels.and_then(|labels| labels.get("io.archipelago.app")).cloned();
        if let Some(app) = app {
            self.overwrite(&app, text);
        }
    }

    fn overwrite(&mut self, app: &str, text: &str) {
        let own = [format!("directory {app}/"), format!("volume {app}-")];
        let places = self.data.iter_mut();
        for (_, data) in places.filter(|(place, _)| own.iter().any(|own| place.starts_with(own))) {
            text.clone_into(data);
        }
    }

    /// Stops a unit; its container goes with it.
    ///
    /// # Errors
    /// What systemd would say.
    pub fn stop(&mut self, unit: &str, now: Timestamp) -> Result<(), UserError> {
        if self.broken(&Fault::WillNotStop(unit.to_owned())) {
            return Err(UserError::new("stop-timeout", format!("{unit} did not stop.")));
        }
        if let Some((_, text)) =
            self.loaded.iter().find(|(file, _)| unit_of(file).as_deref() == Some(unit))
        {
            let name = parse(text).name;
            self.containers.remove(&name);
        }
        if let Some(state) = self.units.get_mut(unit) {
            state.active = ActiveState::Inactive;
            state.sub = "dead".to_owned();
            state.result = "success".to_owned();
            state.inactive_since = Some(now);
        }
        Ok(())
    }

    fn set_active(&mut self, unit: &str, now: Timestamp) {
        let mut state = inactive();
        state.active = ActiveState::Active;
        state.sub = "running".to_owned();
        state.active_since = Some(now);
        self.units.insert(unit.to_owned(), state);
    }

    /// Puts a unit into the failed state.
    pub fn set_failed(&mut self, unit: &str, result: &str, now: Timestamp) {
        let mut state = inactive();
        state.active = ActiveState::Failed;
        state.sub = "failed".to_owned();
        state.result = result.to_owned();
        state.exit_status = Some(1);
        state.inactive_since = Some(now);
        self.units.insert(unit.to_owned(), state);
    }
}

/// The manager forgets a unit without a file once it does not run.
const fn runs(active: ActiveState) -> bool {
    !matches!(active, ActiveState::Inactive | ActiveState::Failed)
}

fn inactive() -> UnitState {
    UnitState {
        load: "loaded".to_owned(),
        active: ActiveState::Inactive,
        sub: "dead".to_owned(),
        result: "success".to_owned(),
        exit_status: None,
        restarts: 0,
        active_since: None,
        inactive_since: None,
        last_words: None,
    }
}

fn parse(text: &str) -> Spec {
    let values = |key: &str| {
        let prefix = format!("{key}=");
        text.lines()
            .filter_map(|line| line.strip_prefix(&prefix).map(str::to_owned))
            .collect::<Vec<_>>()
    };
    let labels = values("Label")
        .iter()
        .filter_map(|label| {
            let (key, value) = label.trim_matches('"').split_once('=')?;
            Some((key.to_owned(), value.to_owned()))
        })
        .collect();
    let reference = |value: &String, suffix: &str| {
        let name = value.split(':').next().unwrap_or_default();
        name.strip_suffix(suffix).map(str::to_owned)
    };
    Spec {
        name: values("ContainerName").pop().unwrap_or_default(),
        image: values("Image").pop().unwrap_or_default(),
        labels,
        networks: values("Network").iter().filter_map(|v| reference(v, ".network")).collect(),
        volumes: values("Volume").iter().filter_map(|v| reference(v, ".volume")).collect(),
    }
}
