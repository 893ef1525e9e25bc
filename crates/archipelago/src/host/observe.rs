//! One look at the host: every part under its own deadline, every part may be unknown.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use archy_engine::ports::{HostError, HostResult, Interest, Observe, secret_names};
use archy_manifest::model::{MountSource, ReadyCheck, Service};
use archy_manifest::{Manifest, names};
use archy_plan::observed::{ActiveState, ContainerState, FileState, Left, Strangers, UnitState};
use archy_plan::{Known, Observed};
use archy_podman::{Container, ExecRequest};
use archy_quadlet::render::{LABEL_APP, LABEL_SHARED};
use archy_quadlet::{FileKind, HostFacts, unit_of};
use archy_types::{AppId, Health, PodmanVersion, ServiceName, UserError};

use super::bus::systemd;
use super::containers::SECRET_HASH_LABEL;
use super::snapshots::{Snapshots, Unreadable};
use super::{LOOK_DEADLINE, SystemHost, error, facts, listed, listening, place};
use crate::clock;

/// Names and labels.
type Labelled = BTreeMap<String, BTreeMap<String, String>>;

/// Those that Archipelago did not make.
fn strange(all: &HostResult<Labelled>) -> BTreeSet<String> {
    let ours = |labels: &BTreeMap<String, String>| {
        labels.contains_key(LABEL_APP) || labels.contains_key(LABEL_SHARED)
    };
    let all = all.iter().flatten();
    all.filter(|(_, labels)| !ours(labels)).map(|(name, _)| name.clone()).collect()
}

fn known<T>(result: HostResult<T>) -> Known<T> {
    match result {
        Ok(fact) => Known::Yes(fact),
        Err(failure) => Known::No(error::cause(&failure)),
    }
}

impl Observe for SystemHost {
    async fn observe(&self, interest: &Interest) -> Observed {
        let at = clock::now();
        let unit_files = self.unit_files().await;
        let data_sizes = self.data_sizes(&interest.measured).await;
        let (containers, images, volumes, networks, podman_secrets, units, version, local) = tokio::join!(
            self.containers(interest),
            self.images(interest),
            self.volumes(),
            self.networks(),
            self.podman_secrets(),
            self.unit_states(&unit_files, interest),
            self.podman_version(),
            self.local_facts(interest),
        );
        let (units, shutting_down) = units;
        let containers = listed::believe(containers, &units, &unit_files);
        let foreign = self.foreign(interest, &containers, &unit_files).await;
        Observed {
            at,
            host: HostFacts {
                podman: version,
                controllers: local.controllers,
                data_dir: self.config.data_dir.clone(),
                health_probe: self.config.health_probe.clone(),
                values: local.values,
            },
            unit_files: known(unit_files),
            units: known(units),
            containers: known(containers),
            image_sizes: images
                .iter()
                .flatten()
                .map(|(name, size)| (name.clone(), *size))
                .collect(),
            away_secs: std::collections::BTreeMap::new(),
            images: known(images.map(|all| all.into_keys().collect())),
            foreign,
            strangers: Strangers { networks: strange(&networks), volumes: strange(&volumes) },
            volumes: known(volumes.map(|all| all.into_keys().collect())),
            networks: known(networks.map(|all| all.into_keys().collect())),
            podman_secrets: known(podman_secrets),
            secret_files: known(local.secret_files),
            app_files: Known::Yes(local.app_files),
            contexts: local.contexts,
            snapshots: known(local.snapshots),
            left: Left { snapshots: local.unreadable, ..Left::default() },
            hooked: std::collections::BTreeMap::new(),
            data_sizes,
            listening: known(local.listening),
            lowest_port: known(local.lowest_port.ok_or_else(|| missing("lowest port"))),
            disk_free_bytes: known(local.disk_free.ok_or_else(|| missing("disk"))),
            inodes_free: known(local.inodes_free.ok_or_else(|| missing("inodes"))),
            memory_available_bytes: known(local.memory.ok_or_else(|| missing("memory"))),
            architecture: facts::architecture().to_owned(),
            platform: env!("CARGO_PKG_VERSION").to_owned(),
            shutting_down,
        }
    }

    async fn check_ready(
        &self,
        _: &AppId,
        container: &str,
        _: &Service,
        host_port: Option<u16>,
        check: &ReadyCheck,
    ) -> HostResult<bool> {
        let podman = self.podman.within(LOOK_DEADLINE);
        match (check, host_port) {
            (ReadyCheck::HttpJson { path, pointer, equals, .. }, Some(port)) => {
                let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
                let found = archy_fetch::local::get_json(address, path, LOOK_DEADLINE).await;
                match found {
                    Ok(document) => Ok(document.pointer(pointer) == Some(equals)),
                    Err(failure) => Err(not_yet(failure.to_string())),
                }
            }
            (ReadyCheck::Socket(_), Some(port)) => {
                let connect = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port));
                Ok(tokio::time::timeout(LOOK_DEADLINE, connect).await.is_ok_and(|c| c.is_ok()))
            }
            (ReadyCheck::HttpJson { port, .. } | ReadyCheck::Socket(port), None) => {
                Err(not_yet(format!("port {port} is not published")))
            }
            (ReadyCheck::LogLine(text), _) => {
                let lines =
                    podman.log_tail(container, 2000).await.map_err(|e| error::podman(&e))?;
                Ok(lines.iter().any(|line| line.text.contains(text)))
            }
            (ReadyCheck::File(path), _) => {
                let request = ExecRequest::new(["test", "-e", path.as_str()]);
                let done = podman.exec(container, &request).await.map_err(|e| error::podman(&e))?;
                Ok(done.exit_code == 0)
            }
        }
    }

    async fn log_tail(&self, container: &str, lines: usize) -> Vec<String> {
        let count = u64::try_from(lines).unwrap_or(u64::MAX);
        let lines = match self.podman.log_tail(container, count).await {
            Ok(lines) => lines,
            Err(_) => self.kept_log(container, lines).await,
        };
        lines.into_iter().map(|line| line.text).collect()
    }
}

fn not_yet(text: String) -> HostError {
    HostError { error: UserError::new("not-ready", text), retryable: true }
}

fn missing(what: &str) -> HostError {
    error::fatal(UserError::new("fact-missing", format!("The host does not tell its {what}.")))
}

impl SystemHost {
    async fn unit_files(&self) -> HostResult<BTreeMap<String, String>> {
        self.unit_dir()
            .read()
            .await
            .map_err(|e| error::fatal(UserError::new("unit-files", e.to_string())))
    }

    async fn containers(
        &self,
        interest: &Interest,
    ) -> HostResult<BTreeMap<String, ContainerState>> {
        let podman = self.podman.within(LOOK_DEADLINE);
        let all = podman.containers(&[]).await.map_err(|e| error::podman(&e))?;
        let mut states = BTreeMap::new();
        for container in all {
            let Some(name) = container.names.first().cloned() else { continue };
            states.insert(name, state(container));
        }
        self.sick.ask(&podman, &interest.apps, &mut states).await;
        // what a failing check said is worth a question of its own
        for (name, state) in &mut states {
            if state.health == Health::Unhealthy
                && let Ok(Some(detail)) = podman.container(name).await
            {
                state.health_output = detail.health.log.last().map(|entry| entry.output.clone());
            }
        }
        Ok(states)
    }

    /// Images that are there, with their bytes.
    async fn images(&self, interest: &Interest) -> HostResult<BTreeMap<String, u64>> {
        if interest.images.is_empty() && interest.contexts.is_empty() {
            return Ok(BTreeMap::new());
        }
        let podman = self.podman.within(LOOK_DEADLINE);
        let all = podman.images().await.map_err(|e| error::podman(&e))?;
        let named = |image: &archy_podman::Image| {
            let names: Vec<String> = image.tags.iter().chain(&image.digests).cloned().collect();
            let size = image.size;
            names.into_iter().map(move |name| (name, size))
        };
        let sizes: BTreeMap<String, u64> = all.iter().flat_map(named).collect();
        let sized =
            |reference: &String| Some((reference.clone(), *sizes.get(&stored_name(reference))?));
        let asked = interest.images.iter().filter_map(sized);
        let own = sizes.iter().filter(|(name, _)| name.starts_with("localhost/"));
        Ok(asked.chain(own.map(|(name, size)| (name.clone(), *size))).collect())
    }

    async fn volumes(&self) -> HostResult<Labelled> {
        let podman = self.podman.within(LOOK_DEADLINE);
        let all = podman.volumes(&[]).await.map_err(|e| error::podman(&e))?;
        Ok(all.into_iter().map(|volume| (volume.name, volume.labels)).collect())
    }

    async fn networks(&self) -> HostResult<Labelled> {
        let podman = self.podman.within(LOOK_DEADLINE);
        let all = podman.networks(&[]).await.map_err(|e| error::podman(&e))?;
        Ok(all.into_iter().map(|network| (network.name, network.labels)).collect())
    }

    async fn podman_secrets(&self) -> HostResult<BTreeMap<String, String>> {
        let podman = self.podman.within(LOOK_DEADLINE);
        let all = podman.secrets().await.map_err(|e| error::podman(&e))?;
        Ok(all
            .into_iter()
            .map(|mut secret| {
                let hash = secret.labels.remove(SECRET_HASH_LABEL).unwrap_or_default();
                (secret.name, hash)
            })
            .collect())
    }

    async fn podman_version(&self) -> PodmanVersion {
        if let Some(version) = self.version.get() {
            return *version;
        }
        match self.podman.within(LOOK_DEADLINE).ping().await {
            Ok(version) => *self.version.get_or_init(|| version),
            Err(_) => PodmanVersion::FLOOR,
        }
    }

    /// Units of the files in the Quadlet directory, and whether the manager is going down.
    async fn unit_states(
        &self,
        files: &HostResult<BTreeMap<String, String>>,
        interest: &Interest,
    ) -> (HostResult<BTreeMap<String, UnitState>>, bool) {
        let look = async {
            let manager = self.bus.get().await?.within(LOOK_DEADLINE);
            let of_files =
                files.as_ref().map_err(Clone::clone)?.keys().filter_map(|file| unit_of(file));
            // also of files that somebody deleted
            let of_apps = interest.apps.iter().flat_map(|app| unit_names(app));
            let adopted = interest.adopted.iter().filter_map(|app| app.adopted.as_ref());
            let parts = adopted.flat_map(|adopted| adopted.parts.values());
            let of_parts = parts.filter_map(|part| part.unit.clone());
            let names: BTreeSet<String> = of_files.chain(of_apps).chain(of_parts).collect();
            let names: Vec<String> = names.into_iter().collect();
            let state = manager.system_state().await.map_err(|e| systemd(&e))?;
            let units = manager.units(&names).await.map_err(|e| systemd(&e))?;
            let states = units.into_iter().map(|unit| (unit.unit.clone(), unit_state(unit)));
            let mut states = states.collect();
            self.sick.mark(&mut states);
            self.mark_endings(&interest.apps, &mut states).await;
            let stopping = state == archy_systemd::SystemState::Stopping;
            Ok::<_, HostError>((states, stopping))
        };
        match look.await {
            Ok((states, stopping)) => (Ok(states), stopping),
            Err(failure) => (Err(failure), false),
        }
    }

    async fn local_facts(&self, interest: &Interest) -> LocalFacts {
        let (host, interest) = (self.clone(), interest.clone());
        let task = tokio::task::spawn_blocking(move || host.look_locally(&interest));
        task.await.unwrap_or_default()
    }

    fn look_locally(&self, interest: &Interest) -> LocalFacts {
        let apps = &interest.apps;
        let (snapshots, unreadable) = match self.snapshots() {
            Ok((whole, unreadable)) => (Ok(whole), unreadable),
            Err(failure) => (Err(failure), BTreeMap::new()),
        };
        let cgroup = &self.config.user_cgroup;
        LocalFacts {
            controllers: archy_systemd::delegated_controllers(cgroup).unwrap_or_default(),
            values: self.placeholder_values(),
            secret_files: self.secret_hashes(apps.iter().chain(&interest.former)),
            contexts: self.contexts.look(&interest.contexts, apps),
            app_files: apps.iter().map(|app| (app.id.clone(), self.app_files(app))).collect(),
            listening: listening::ports(&self.standing.sockets()).map_err(|e| {
                error::fatal(UserError::new("ports-unknown", format!("/proc/net: {e}")))
            }),
            lowest_port: facts::lowest_port(),
            snapshots,
            unreadable,
            disk_free: facts::disk(&self.config.data_dir).map(|disk| disk.free),
            inodes_free: facts::room(&self.config.data_dir).map(|room| match room.inodes {
                0 => u64::MAX,
                _ => room.inodes_free,
            }),
            memory: facts::meminfo("MemAvailable"),
        }
    }

    fn secret_hashes<'a>(
        &self,
        apps: impl Iterator<Item = &'a Arc<Manifest>>,
    ) -> HostResult<BTreeMap<String, String>> {
        let names: BTreeSet<String> = apps.flat_map(|app| secret_names(app)).collect();
        let mut hashes = BTreeMap::new();
        for name in &names {
            let failed = |e| error::fatal(error::file(&e));
            if self.secrets.has(name).map_err(failed)? {
                let hash = self.secrets.keyed_hash([name.as_str()]).map_err(failed)?;
                hashes.insert(name.clone(), hash);
            }
        }
        Ok(hashes)
    }

    /// The paths that a manifest names, as far as they exist.
    fn app_files(&self, app: &Manifest) -> BTreeMap<String, FileState> {
        let mounts = app.services.values().flat_map(|service| &service.mounts);
        let dirs = mounts.filter_map(|mount| match &mount.source {
            MountSource::AppDir { path, .. } => Some(path.as_str()),
            _ => None,
        });
        let files = app.files.iter().map(|file| file.path.as_str());
        let certs = app.certs.iter().flat_map(|cert| [cert.crt.as_str(), cert.key.as_str()]);
        std::iter::once("")
            .chain(dirs)
            .chain(files)
            .chain(certs)
            .filter_map(|path| {
                let state = place::look(&self.app_path(&app.id, "").ok()?, path)?;
                Some((path.to_owned(), state))
            })
            .collect()
    }
}

/// What the blocking part of a look found.
#[derive(Debug)]
struct LocalFacts {
    controllers: Vec<String>,
    values: BTreeMap<archy_manifest::template::Placeholder, String>,
    secret_files: HostResult<BTreeMap<String, String>>,
    app_files: BTreeMap<AppId, BTreeMap<String, FileState>>,
    contexts: BTreeMap<AppId, BTreeMap<ServiceName, String>>,
    listening: HostResult<BTreeSet<(u16, archy_manifest::model::Protocol)>>,
    lowest_port: Option<u16>,
    snapshots: HostResult<Snapshots>,
    unreadable: Unreadable,
    disk_free: Option<u64>,
    inodes_free: Option<u64>,
    memory: Option<u64>,
}

impl Default for LocalFacts {
    /// Nothing is known.
    fn default() -> Self {
        Self {
            controllers: Vec::new(),
            values: BTreeMap::new(),
            secret_files: Err(missing("secrets")),
            app_files: BTreeMap::new(),
            contexts: BTreeMap::new(),
            listening: Err(missing("ports")),
            lowest_port: None,
            snapshots: Err(missing("snapshots")),
            unreadable: BTreeMap::new(),
            disk_free: None,
            inodes_free: None,
            memory: None,
        }
    }
}

/// The units that an app's manifest can become.
fn unit_names(app: &Manifest) -> impl Iterator<Item = String> {
    let containers =
        app.services.keys().map(|name| FileKind::Container.unit(&names::container(app, name)));
    let volumes =
        app.volumes.keys().map(|name| FileKind::Volume.unit(&names::volume(&app.id, name)));
    let network = FileKind::Network.unit(&names::network(&app.id));
    containers.chain(volumes).chain([network])
}

/// The name that Podman's store keeps for a reference: with a digest the tag is dropped.
pub(super) fn stored_name(reference: &str) -> String {
    let Some((name, digest)) = reference.split_once('@') else { return reference.to_owned() };
    let last = name.rsplit('/').next().unwrap_or(name);
    let bare = match last.rsplit_once(':') {
        Some((_, tag)) => &name[..name.len() - tag.len() - 1],
        None => name,
    };
    format!("{bare}@{digest}")
}

fn state(container: Container) -> ContainerState {
    ContainerState {
        state: format!("{:?}", container.state).to_lowercase(),
        health: container.health.unwrap_or(Health::Unknown),
        health_output: None,
        exit_code: (container.pid == 0).then_some(container.exit_code),
        id: container.id,
        started_at: container.started_at,
        labels: container.labels,
    }
}

fn unit_state(unit: archy_systemd::UnitStatus) -> UnitState {
    use archy_systemd::ActiveState as Theirs;
    UnitState {
        load: unit.load,
        active: match unit.active {
            Theirs::Active => ActiveState::Active,
            Theirs::Reloading => ActiveState::Reloading,
            Theirs::Failed => ActiveState::Failed,
            Theirs::Activating => ActiveState::Activating,
            Theirs::Deactivating => ActiveState::Deactivating,
            Theirs::Inactive | Theirs::Other => ActiveState::Inactive,
        },
        sub: unit.sub,
        result: unit.result,
        exit_status: (unit.exit_code != 0).then_some(unit.exit_status),
        restarts: unit.restarts,
        active_since: unit.active_since,
        inactive_since: unit.inactive_since,
        last_words: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_takes_the_place_of_the_tag() {
        for (reference, name) in [
            ("r.example/a:1", "r.example/a:1"),
            ("r.example/a@sha256:ab", "r.example/a@sha256:ab"),
            ("r.example:5000/a:1@sha256:ab", "r.example:5000/a@sha256:ab"),
            ("r.example:5000/a@sha256:ab", "r.example:5000/a@sha256:ab"),
        ] {
            assert_eq!(stored_name(reference), name);
        }
    }
}
