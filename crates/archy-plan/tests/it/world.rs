//! A modelled host: just enough of systemd, Podman and the file system to carry out plans, and
//! strict about what a real one would refuse.

use std::collections::{BTreeMap, BTreeSet};

use archy_manifest::model::Protocol;
use archy_manifest::template::Placeholder;
use archy_plan::observed::{ActiveState, ContainerState, FileState, SnapshotState, UnitState};
use archy_plan::{DesiredApp, Intent, Known, Observed, Plan, Step, Strangers, plan, render_app};
use archy_quadlet::HostFacts;
use archy_types::{AppId, Digest, Generation, Health, PodmanVersion, Timestamp};

/// How long a snapshot is kept, in milliseconds.
pub(crate) const KEPT: i64 = 100_000;
pub(crate) const OURS: &str = "io.archipelago.app";

#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) files: BTreeMap<String, String>,
    /// Unit files as systemd read them last.
    pub(crate) loaded: BTreeMap<String, String>,
    pub(crate) units: BTreeMap<String, UnitState>,
    pub(crate) containers: BTreeMap<String, ContainerState>,
    pub(crate) images: BTreeSet<String>,
    pub(crate) contexts: BTreeMap<archy_types::AppId, BTreeMap<archy_types::ServiceName, String>>,
    pub(crate) volumes: BTreeSet<String>,
    pub(crate) networks: BTreeSet<String>,
    pub(crate) strangers: Strangers,
    pub(crate) podman_secrets: BTreeMap<String, String>,
    pub(crate) secrets: BTreeMap<String, String>,
    pub(crate) app_files: BTreeMap<AppId, BTreeMap<String, FileState>>,
    pub(crate) listening: BTreeSet<(u16, Protocol)>,
    pub(crate) snapshots: BTreeMap<AppId, BTreeMap<Generation, SnapshotState>>,
    /// Containers in which hooks ran.
    pub(crate) hooked: BTreeMap<AppId, BTreeMap<String, String>>,
    pub(crate) host: HostFacts,
    pub(crate) clock: i64,
    pub(crate) made: u32,
}

pub(crate) fn unit(active: ActiveState, result: &str) -> UnitState {
    UnitState {
        load: "loaded".to_owned(),
        active,
        sub: String::new(),
        result: result.to_owned(),
        exit_status: None,
        restarts: 0,
        active_since: None,
        inactive_since: None,
        last_words: None,
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let values = [
            (Placeholder::HostIp, "192.0.2.1"),
            (Placeholder::HostMdns, "node.local"),
            (Placeholder::PublicHost, "node.example"),
        ];
        Self {
            files: BTreeMap::new(),
            loaded: BTreeMap::new(),
            units: BTreeMap::new(),
            containers: BTreeMap::new(),
            images: BTreeSet::new(),
            contexts: BTreeMap::new(),
            volumes: BTreeSet::new(),
            networks: BTreeSet::new(),
            strangers: Strangers::default(),
            podman_secrets: BTreeMap::new(),
            secrets: BTreeMap::new(),
            app_files: BTreeMap::new(),
            listening: BTreeSet::new(),
            snapshots: BTreeMap::new(),
            hooked: BTreeMap::new(),
            host: HostFacts {
                podman: PodmanVersion::FLOOR,
                controllers: ["memory", "cpu", "pids"].map(str::to_owned).to_vec(),
                data_dir: "/var/lib/archipelago".into(),
                health_probe: "/usr/libexec/archipelago/archy-health".into(),
                values: values.into_iter().map(|(key, text)| (key, text.to_owned())).collect(),
            },
            clock: 1000,
            made: 0,
        }
    }

    pub(crate) fn observe(&self) -> Observed {
        Observed {
            at: Timestamp(self.clock),
            host: self.host.clone(),
            unit_files: Known::Yes(self.files.clone()),
            units: Known::Yes(self.units.clone()),
            containers: Known::Yes(self.containers.clone()),
            images: Known::Yes(self.images.clone()),
            volumes: Known::Yes(self.volumes.clone()),
            networks: Known::Yes(self.networks.clone()),
            strangers: self.strangers.clone(),
            foreign: archy_plan::Foreign::default(),
            podman_secrets: Known::Yes(self.podman_secrets.clone()),
            secret_files: Known::Yes(self.secrets.clone()),
            app_files: Known::Yes(self.app_files.clone()),
            contexts: self.contexts.clone(),
            snapshots: Known::Yes(self.snapshots.clone()),
            left: archy_plan::observed::Left::default(),
            hooked: self.hooked.clone(),
            data_sizes: BTreeMap::new(),
            image_sizes: BTreeMap::new(),
            away_secs: BTreeMap::new(),
            listening: Known::Yes(self.listening.clone()),
            lowest_port: Known::Yes(1024),
            disk_free_bytes: Known::Yes(1 << 40),
            inodes_free: Known::Yes(1 << 20),
            memory_available_bytes: Known::Yes(1 << 40),
            architecture: "amd64".to_owned(),
            platform: "0.1.0".to_owned(),
            shutting_down: false,
        }
    }

    /// Plans for one app and carries it out as the engine does, until nothing is left or the plan
    /// is refused. Gives the plans.
    pub(crate) fn run(
        &mut self,
        app: &DesiredApp,
        all: &[DesiredApp],
        intent: Intent,
    ) -> Vec<Plan> {
        let mut plans = Vec::new();
        for _ in 0..5 {
            let next = plan(app, &self.observe(), all, intent);
            plans.push(next.clone());
            if next.refusal().is_some() || next.is_empty() {
                return plans;
            }
            let again = self.carry_out(app, &next);
            // the engine makes systemd read what was written before it looks again
            if self.loaded != self.files {
                self.reload();
            }
            if !again && !app.is_leaving() {
                return plans;
            }
        }
        panic!("no end: {}", plans.last().map(Plan::to_text).unwrap_or_default());
    }

    /// True when later steps wait for a new look, since secrets were made.
    pub(crate) fn carry_out(&mut self, app: &DesiredApp, plan: &Plan) -> bool {
        let mut made = false;
        for planned in &plan.steps {
            let makes = matches!(planned.step, Step::GenerateSecret { .. });
            if made && !makes {
                return true;
            }
            made |= makes;
            self.clock += 10;
            self.apply(app, &planned.step);
        }
        made
    }

    fn mine(&self, app: &DesiredApp, container: &str) -> bool {
        self.containers.get(container).is_none_or(|state| {
            state.labels.get(OURS).is_some_and(|label| label == app.manifest.id.as_str())
        })
    }

    fn snapshot(&mut self, app: &DesiredApp, step: &Step) {
        let labels = self.containers.values().filter_map(|container| container.labels.get(OURS));
        let idle = !labels.into_iter().any(|label| label == app.manifest.id.as_str());
        let snapshots = self.snapshots.entry(app.manifest.id.clone()).or_default();
        match step {
            Step::Snapshot { generation, .. } => {
                assert!(idle, "saved while it runs");
                let (taken, expires) = (Timestamp(self.clock), Timestamp(self.clock + KEPT));
                let state = SnapshotState { taken, expires, bytes: 1, restored: None };
                snapshots.insert(*generation, state);
            }
            Step::RestoreSnapshot { generation, wish } => {
                assert!(idle, "put back while it runs");
                let state = snapshots.get_mut(generation).expect("a snapshot to put back");
                assert_ne!(state.restored, Some(*wish), "put back twice");
                state.restored = Some(*wish);
            }
            Step::PruneSnapshots { generations } => {
                for generation in generations {
                    assert!(snapshots.remove(generation).is_some());
                }
            }
            _ => {}
        }
        self.snapshots.retain(|_, all| !all.is_empty());
    }

    pub(crate) fn apply(&mut self, app: &DesiredApp, step: &Step) {
        let id = &app.manifest.id;
        match step {
            Step::StopUnits { units, .. } => self.stop(app, units),
            Step::RemoveContainer { name, .. } => {
                assert!(self.mine(app, name), "foreign container {name}");
                self.containers.remove(name);
            }
            Step::RenameContainer { from, to } => {
                assert!(self.mine(app, from), "foreign container {from}");
                let container = self.containers.remove(from).expect("a container to rename");
                assert!(self.containers.insert(to.clone(), container).is_none());
            }
            Step::RemoveUnitFile { file_name } => {
                let text = self.files.remove(file_name).expect("a file to remove");
                assert!(text.contains(&format!("{OURS}={id}\n")), "foreign file {file_name}");
            }
            Step::RemoveNetwork { name } => {
                assert!(!self.strangers.networks.contains(name), "foreign network {name}");
                let users = self
                    .loaded
                    .iter()
                    .filter(|(_, text)| text.contains(&format!("Network={name}.network")));
                for (file, _) in users {
                    let unit = file.replace(".container", ".service");
                    assert!(!self.is_active(&unit), "{unit} still uses {name}");
                }
                self.networks.remove(name);
            }
            Step::PurgeVolume { name } => {
                assert!(!self.strangers.volumes.contains(name), "foreign volume {name}");
                assert!(self.volumes.remove(name));
            }
            Step::PurgeData => drop(self.app_files.remove(id)),
            Step::RemovePodmanSecret { name } => {
                self.podman_secrets.remove(name);
            }
            Step::PurgeSecret { name } => {
                self.secrets.remove(name);
            }
            Step::Reload => self.reload(),
            Step::StartUnits { units, .. } => self.start(app, units),
            step if archy_plan::settles(step) => {
                let running = archy_plan::running_containers(id, &self.observe());
                self.hooked.insert(id.clone(), running.expect("known containers"));
            }
            Step::RunHook { .. } => {}
            Step::Snapshot { .. } | Step::RestoreSnapshot { .. } | Step::PruneSnapshots { .. } => {
                self.snapshot(app, step);
            }
            _ => self.add(app, step),
        }
    }

    fn add(&mut self, app: &DesiredApp, step: &Step) {
        let files = self.app_files.entry(app.manifest.id.clone());
        match step {
            Step::MakeDirectory { path, .. } => {
                files.or_default().insert(path.clone(), FileState::Directory);
            }
            Step::GenerateSecret { name, .. } => {
                self.made += 1;
                let known = self.secrets.insert(name.clone(), format!("hash-{}", self.made));
                assert_eq!(known, None, "{name} was there");
            }
            Step::SyncPodmanSecret { name } => {
                let hash = self.secrets.get(name).expect("a secret to hand over").clone();
                self.podman_secrets.insert(name.clone(), hash);
            }
            Step::ComposePodmanSecret { name, hash, .. } => {
                self.podman_secrets.insert(name.clone(), hash.clone());
            }
            Step::MakeCert { index } => {
                let cert = &app.manifest.certs[*index];
                let file = || FileState::File { hash: String::new() };
                files.or_default().extend([(cert.crt.clone(), file()), (cert.key.clone(), file())]);
            }
            Step::WriteFile { path } => {
                let file = app.manifest.files.iter().find(|file| file.path == *path).expect("file");
                let text = file.content.resolve(|placeholder| {
                    Ok::<_, ()>(match placeholder {
                        Placeholder::Config(key) => match app.settings.get(key) {
                            Some(value) => value.as_str().unwrap_or_default().to_owned(),
                            None => app.manifest.config[key]
                                .default
                                .as_ref()
                                .and_then(|value| value.as_str())
                                .unwrap_or_default()
                                .to_owned(),
                        },
                        Placeholder::NetworkGateway => {
                            let networks = &self.networks;
                            assert!(!networks.is_empty(), "the gateway of which network?");
                            "10.0.0.1".to_owned()
                        }
                        Placeholder::Port(port) => app.host_port(*port).unwrap().to_string(),
                        other => {
                            let known = self.host.values.get(other).cloned();
                            known.unwrap_or_else(|| other.to_string())
                        }
                    })
                });
                let hash = Digest::of(text.unwrap().as_bytes()).hex();
                files.or_default().insert(path.clone(), FileState::File { hash });
            }
            _ => self.add_to_podman(step),
        }
    }

    fn add_to_podman(&mut self, step: &Step) {
        match step {
            Step::PullImage { reference, .. } => {
                assert!(self.images.insert(reference.clone()), "{reference} was there");
            }
            Step::WriteUnitFile { file_name, text, .. } => {
                self.files.insert(file_name.clone(), text.clone());
            }
            Step::BuildImage { unit, .. } => {
                assert!(!self.is_active(unit), "starting {unit} would do nothing");
                let file = unit.replace("-build.service", ".build");
                let text = self.loaded.get(&file).expect("a build file").clone();
                self.images.extend(values(&text, "ImageTag").map(str::to_owned));
                let now = Timestamp(self.clock);
                self.units.entry(unit.clone()).and_modify(|unit| {
                    unit.active = ActiveState::Active;
                    unit.active_since = Some(now);
                });
            }
            Step::Soak { .. } => {}
            other => panic!("not an addition: {other:?}"),
        }
    }

    pub(crate) fn is_active(&self, unit: &str) -> bool {
        self.units.get(unit).is_some_and(|unit| unit.active == ActiveState::Active)
    }

    fn stop(&mut self, app: &DesiredApp, units: &[String]) {
        let mut all: BTreeSet<String> = units.iter().cloned().collect();
        // what requires a stopped unit stops with it
        for (file, text) in &self.loaded {
            let required = values(text, "Network")
                .filter_map(|value| value.split(':').next()?.strip_suffix(".network"))
                .map(|name| format!("{name}-network.service"))
                .chain(values(text, "Requires").map(str::to_owned));
            for name in required {
                if all.contains(&name)
                    && let Some(stem) = file.strip_suffix(".container")
                {
                    all.insert(format!("{stem}.service"));
                }
            }
        }
        for name in all {
            let Some(unit) = self.units.get_mut(&name) else { continue };
            if unit.active == ActiveState::Inactive {
                continue;
            }
            unit.active = ActiveState::Inactive;
            unit.result = "success".to_owned();
            unit.inactive_since = Some(Timestamp(self.clock));
            let container = name.trim_end_matches(".service");
            assert!(self.mine(app, container), "stopped foreign {container}");
            self.containers.remove(container);
        }
    }

    pub(crate) fn reload(&mut self) {
        self.loaded = self.files.clone();
        let known: BTreeSet<String> =
            self.loaded.keys().filter_map(|name| archy_quadlet::unit_of(name)).collect();
        for name in &known {
            self.units
                .entry(name.clone())
                .and_modify(|unit| {
                    if unit.load == "not-found" {
                        unit.load = "loaded".to_owned();
                    }
                })
                .or_insert_with(|| unit(ActiveState::Inactive, "success"));
        }
        for (name, unit) in &mut self.units {
            if !known.contains(name) && unit.load == "loaded" && !name.starts_with("foreign") {
                unit.load = "not-found".to_owned();
            }
        }
        self.units
            .retain(|_, unit| unit.load != "not-found" || unit.active != ActiveState::Inactive);
    }

    fn start(&mut self, app: &DesiredApp, units: &[String]) {
        for name in units {
            if let Some(network) = name.strip_suffix("-network.service") {
                self.start_network(network);
            } else {
                self.start_container(app, name);
            }
        }
        for name in units {
            let text = self.loaded.get(&name.replace(".service", ".container"));
            for other in text.into_iter().flat_map(|text| values(text, "Requires")) {
                assert!(self.is_active(other), "{name} requires {other}");
            }
        }
    }

    fn start_network(&mut self, name: &str) {
        let unit = format!("{name}-network.service");
        assert!(self.loaded.contains_key(&format!("{name}.network")), "no {name}.network");
        if self.is_active(&unit) {
            return;
        }
        self.networks.insert(name.to_owned());
        let now = Timestamp(self.clock);
        self.units.entry(unit).and_modify(|unit| {
            unit.active = ActiveState::Active;
            unit.active_since = Some(now);
        });
    }

    fn start_container(&mut self, app: &DesiredApp, name: &str) {
        let container = name.trim_end_matches(".service").to_owned();
        let file = format!("{container}.container");
        let text = self.loaded.get(&file).unwrap_or_else(|| panic!("{name} is not loaded")).clone();
        let on_disk = self.files.get(&file).map(|text| weighty(text));
        assert_eq!(Some(weighty(&text)), on_disk, "{file} was not read again");
        let state = self.units.get(name).expect("unit").clone();
        assert_ne!(state.load, "masked", "{name} is masked");
        if state.active == ActiveState::Active {
            return;
        }
        assert!(self.mine(app, &container), "foreign container {container}");
        for image in values(&text, "Image") {
            assert!(self.images.contains(image), "{name}: image {image} is not there");
        }
        for network in values(&text, "Network") {
            let network = network.split(':').next().unwrap_or_default();
            if let Some(network) = network.strip_suffix(".network") {
                self.start_network(network);
                assert!(self.networks.contains(network), "{name}: no network {network}");
            }
        }
        for secret in values(&text, "Secret") {
            let secret = secret.split(',').next().unwrap_or_default();
            let handed = self.podman_secrets.get(secret);
            if secret.starts_with(&format!("{}-env-", app.manifest.id)) {
                assert!(handed.is_some(), "{name}: secret {secret} is not put together");
            } else {
                assert_eq!(handed, self.secrets.get(secret), "{name}: secret {secret}");
            }
        }
        for volume in values(&text, "Volume") {
            self.check_volume(app, name, volume);
        }
        let labels = values(&text, "Label")
            .filter_map(|label| label.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        let oneshot = text.contains("Type=oneshot");
        let now = Some(Timestamp(self.clock));
        let id = format!("id-{}", self.clock);
        let state = ContainerState {
            labels,
            state: "running".to_owned(),
            health: Health::Healthy,
            health_output: None,
            exit_code: None,
            id,
            started_at: now,
        };
        if !oneshot {
            self.containers.insert(container, state);
        }
        let fresh = UnitState { active_since: now, ..unit(ActiveState::Active, "success") };
        self.units.insert(name.to_owned(), fresh);
    }

    fn check_volume(&mut self, app: &DesiredApp, unit: &str, volume: &str) {
        let source = volume.split(':').next().unwrap_or_default();
        if let Some(name) = source.strip_suffix(".volume") {
            let support = format!("{name}-volume.service");
            if !self.is_active(&support) {
                self.volumes.insert(name.to_owned());
                let now = Timestamp(self.clock);
                self.units.entry(support).and_modify(|unit| {
                    unit.active = ActiveState::Active;
                    unit.active_since = Some(now);
                });
            }
            assert!(self.volumes.contains(name), "{unit}: no volume {name}");
        } else if let Some(path) =
            source.strip_prefix(&format!("/var/lib/archipelago/{}/", app.manifest.id))
        {
            let files = self.app_files.get(&app.manifest.id);
            assert!(files.is_some_and(|files| files.contains_key(path)), "{unit}: no {path}");
        }
    }

    /// True when the app is deployed as its units say, and everything in it runs.
    pub(crate) fn assert_running(&self, app: &DesiredApp, all: &[DesiredApp]) {
        let wanted = render_app(app, &self.observe(), all).unwrap();
        for file in &wanted.files {
            assert_eq!(self.files.get(&file.file_name), Some(&file.text));
            assert_eq!(self.loaded.get(&file.file_name), Some(&file.text));
            if file.file_name.ends_with(".container") {
                assert!(self.is_active(&file.unit), "{} runs", file.unit);
            }
        }
        assert!(self.orphans(app, |name| wanted.files.iter().any(|file| file.file_name == name)));
        for name in app.manifest.secrets.keys() {
            assert!(self.secrets.contains_key(name));
        }
    }

    /// True when no labelled file is left but those that may.
    pub(crate) fn orphans(&self, app: &DesiredApp, may: impl Fn(&str) -> bool) -> bool {
        let label = format!("{OURS}={}\n", app.manifest.id);
        self.files.iter().all(|(name, text)| may(name) || !text.contains(&label))
    }

    pub(crate) fn units_of(&self, app: &DesiredApp) -> Vec<String> {
        let names = app.manifest.services.keys();
        names
            .map(|name| {
                format!("{}.service", archy_manifest::names::container(&app.manifest, name))
            })
            .collect()
    }
}

fn values<'a>(text: &'a str, key: &'static str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| line.strip_prefix(key)?.strip_prefix('='))
}

/// Lines that a container depends on.
fn weighty(text: &str) -> Vec<&str> {
    let light = ["Label=io.archipelago.generation=", "[Install]", "WantedBy=", "After=", "#"];
    let lines = text.lines().filter(|line| !line.is_empty());
    lines.filter(|line| !light.iter().any(|start| line.starts_with(start))).collect()
}
