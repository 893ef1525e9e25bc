//! A fake host: the engine's ports over a [`Model`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use archy_engine::ports::{
    Containers, ExecOutput, Files, HookRequest, HostError, HostResult, Interest, Observe, Progress,
    ProgressSink, UnitOutcome, Units,
};
use archy_manifest::Manifest;
use archy_manifest::model::{Owner, ReadyCheck, SecretKind, Service};
use archy_manifest::template::{Placeholder, Template};
use archy_plan::observed::{FileState, SnapshotState};
use archy_plan::{DesiredApp, Known, Observed};
use archy_quadlet::HostFacts;
use archy_types::{AppId, Cause, Digest, Generation, PodmanVersion, Secret, Timestamp, UserError};
use tokio::sync::mpsc;

use crate::clock::TestClock;
use crate::model::{Fault, Model, Snapshot};
use archy_engine::ports::Clock as _;

/// A host in memory. Cheap to clone; clones share it.
#[derive(Debug, Clone)]
pub struct FakeHost {
    model: Arc<Mutex<Model>>,
    clock: TestClock,
    hints: mpsc::Sender<()>,
}

impl FakeHost {
    /// An empty host, and the receiver of its hints.
    #[must_use]
    pub fn new(clock: TestClock) -> (Self, mpsc::Receiver<()>) {
        let (hints, receiver) = mpsc::channel(16);
        (Self { model: Arc::default(), clock, hints }, receiver)
    }

    /// The model, for looking and for breaking things.
    pub fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the engine that something changed.
    pub fn hint(&self) {
        // a full queue already holds a hint
        _ = self.hints.try_send(());
    }

    /// Comes back when Podman answers.
    async fn podman(&self) {
        if self.model().broken(&Fault::PodmanHangs) {
            std::future::pending::<()>().await;
        }
    }

    pub(crate) fn change<T>(
        &self,
        call: String,
        needs: &Fault,
        change: impl FnOnce(&mut Model, Timestamp) -> Result<T, UserError>,
    ) -> HostResult<T> {
        let mut model = self.model();
        model.calls.push(call);
        if model.broken(needs) {
            return Err(away(needs));
        }
        change(&mut model, self.clock.now()).map_err(|error| HostError { error, retryable: false })
    }
}

fn away(fault: &Fault) -> HostError {
    let error = UserError::new("host-away", format!("The host does not answer: {fault:?}."));
    HostError { error, retryable: true }
}

fn fact<T>(model: &Model, fault: &Fault, fact: T) -> Known<T> {
    let hangs = *fault == Fault::PodmanAway && model.broken(&Fault::PodmanHangs);
    if hangs || model.broken(fault) {
        Known::No(Cause::new("host-away", format!("{fault:?}")))
    } else {
        Known::Yes(fact)
    }
}

/// Facts about the fake host that shape units.
#[must_use]
pub fn facts() -> HostFacts {
    HostFacts {
        podman: PodmanVersion { major: 5, minor: 4, patch: 2 },
        controllers: ["cpu", "memory", "pids"].map(str::to_owned).into(),
        data_dir: "/var/lib/archipelago".into(),
        health_probe: "/usr/libexec/archipelago/archy-health".into(),
        values: [
            (Placeholder::HostIp, "10.0.0.5"),
            (Placeholder::HostMdns, "node.local"),
            (Placeholder::PublicHost, "10.0.0.5"),
            (Placeholder::DiskGb, "100"),
        ]
        .map(|(placeholder, value)| (placeholder, value.to_owned()))
        .into(),
    }
}

impl FakeHost {
    /// The model as a look tells it.
    pub(crate) fn seen(&self) -> Observed {
        let model = self.model();
        let (podman, systemd) = (Fault::PodmanAway, Fault::SystemdAway);
        Observed {
            at: self.clock.now(),
            host: facts(),
            unit_files: Known::Yes(model.unit_files.clone()),
            units: fact(&model, &systemd, model.units.clone()),
            containers: fact(&model, &podman, model.containers.clone()),
            images: fact(&model, &podman, model.images.clone()),
            volumes: fact(&model, &podman, model.volumes.clone()),
            networks: fact(&model, &podman, model.networks.clone()),
            podman_secrets: fact(&model, &podman, model.podman_secrets.clone()),
            secret_files: Known::Yes(model.secret_files.clone()),
            app_files: Known::Yes(model.app_files.clone()),
            contexts: BTreeMap::new(),
            snapshots: Known::Yes(snapshots(&model)),
            left: archy_plan::observed::Left::default(),
            hooked: std::collections::BTreeMap::new(),
            data_sizes: BTreeMap::new(),
            image_sizes: model.image_sizes.clone(),
            away_secs: BTreeMap::new(),
            listening: Known::Yes(model.foreign_ports.clone()),
            lowest_port: Known::Yes(1024),
            disk_free_bytes: Known::Yes(model.disk_free.unwrap_or(1 << 40)),
            inodes_free: Known::Yes(1 << 20),
            memory_available_bytes: Known::Yes(1 << 36),
            architecture: "amd64".to_owned(),
            strangers: archy_plan::observed::Strangers::default(),
            foreign: model.foreign.clone(),
            platform: String::new(),
            shutting_down: false,
        }
    }
}

/// How long a snapshot is kept: a day, in milliseconds.
const KEPT: i64 = 86_400_000;

fn snapshots(model: &Model) -> BTreeMap<AppId, BTreeMap<Generation, SnapshotState>> {
    let state = |snapshot: &Snapshot| SnapshotState {
        taken: snapshot.taken,
        expires: snapshot.taken.plus_millis(KEPT),
        bytes: 1,
        restored: snapshot.restored,
    };
    let of_app = |all: &BTreeMap<Generation, Snapshot>| {
        all.iter().map(|(generation, snapshot)| (*generation, state(snapshot))).collect()
    };
    model.snapshots.iter().map(|(app, all)| (app.clone(), of_app(all))).collect()
}

/// Refuses to touch the data of an app that runs.
fn idle(model: &Model, app: &AppId) -> Result<(), UserError> {
    let owner = |labels: &BTreeMap<String, String>| {
        labels.get(archy_quadlet::render::LABEL_APP).is_some_and(|label| label == app.as_str())
    };
    match model.containers.values().find(|container| owner(&container.labels)) {
        Some(_) => Err(UserError::new("still-running", format!("{app} runs."))),
        None => Ok(()),
    }
}

/// True for what an app wrote in its directory or one of these volumes.
fn is_data(app: &AppId, volumes: &[String], place: &str) -> bool {
    place.starts_with(&format!("directory {app}/"))
        || place.strip_prefix("volume ").is_some_and(|name| volumes.iter().any(|v| v == name))
}

impl Observe for FakeHost {
    async fn observe(&self, interest: &Interest) -> Observed {
        let mut observed = self.seen();
        self.model().looks += 1;
        let takes = self.model().look_takes;
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        for app in &interest.measured {
            let size = self.model().data_sizes.get(app).copied().unwrap_or(0);
            observed.data_sizes.insert(app.clone(), Known::Yes(size));
        }
        let late = self.model().slow_look.take();
        if let Some(late) = late {
            tokio::time::sleep(late).await;
        }
        observed
    }

    async fn check_ready(
        &self,
        _: &AppId,
        container: &str,
        _: &Service,
        _: Option<u16>,
        _: &ReadyCheck,
    ) -> HostResult<bool> {
        let model = self.model();
        let ready = !model.broken(&Fault::NotReady(container.to_owned()));
        Ok(ready && model.containers.contains_key(container))
    }

    async fn log_tail(&self, container: &str, _: usize) -> Vec<String> {
        vec![format!("last words of {container}")]
    }
}

impl Containers for FakeHost {
    async fn pull(&self, reference: &str, progress: ProgressSink, _: Duration) -> HostResult<()> {
        self.podman().await;
        progress(Progress { text: "half".to_owned(), percent: Some(50), bytes: None });
        if self.model().broken(&Fault::PullHangs) {
            std::future::pending::<()>().await;
        }
        self.change(format!("pull {reference}"), &Fault::PodmanAway, |model, _| {
            let refused = model.faults.iter().find_map(|fault| match fault {
                Fault::PullRefused(words) => Some(words.clone()),
                _ => None,
            });
            if let Some(words) = refused {
                return Err(UserError::new("pull-failed", format!("{reference}: {words}")));
            }
            if model.broken(&Fault::PullFails) || !model.registry.contains(reference) {
                return Err(UserError::new("pull-failed", format!("{reference}: not found")));
            }
            model.images.insert(reference.to_owned());
            Ok(())
        })
    }

    async fn remove_container(&self, name: &str, _: Duration) -> HostResult<()> {
        self.podman().await;
        self.change(format!("remove container {name}"), &Fault::PodmanAway, |model, _| {
            model.containers.remove(name);
            Ok(())
        })
    }

    async fn rename_container(&self, from: &str, to: &str) -> HostResult<()> {
        self.podman().await;
        self.change(format!("rename container {from}"), &Fault::PodmanAway, |model, _| {
            if let Some(container) = model.containers.remove(from) {
                model.containers.insert(to.to_owned(), container);
            }
            Ok(())
        })
    }

    async fn remove_network(&self, name: &str) -> HostResult<()> {
        self.podman().await;
        self.change(format!("remove network {name}"), &Fault::PodmanAway, |model, _| {
            model.networks.remove(name);
            Ok(())
        })
    }

    async fn remove_volume(&self, name: &str) -> HostResult<()> {
        self.podman().await;
        self.change(format!("remove volume {name}"), &Fault::PodmanAway, |model, _| {
            model.volumes.remove(name);
            Ok(())
        })
    }

    async fn sync_secret(&self, name: &str) -> HostResult<()> {
        self.podman().await;
        self.change(format!("sync secret {name}"), &Fault::PodmanAway, |model, _| {
            let hash = model.secret_files.get(name).cloned().ok_or_else(|| {
                UserError::new("secret-missing", format!("The secret {name} has no file."))
            })?;
            model.podman_secrets.insert(name.to_owned(), hash);
            Ok(())
        })
    }

    async fn compose_secret(&self, name: &str, template: &str, hash: &str) -> HostResult<()> {
        self.podman().await;
        self.change(format!("compose secret {name}"), &Fault::PodmanAway, |model, _| {
            let template = Template::parse(template)
                .map_err(|error| UserError::new("internal", error.to_string()))?;
            for placeholder in template.placeholders() {
                let known = matches!(placeholder, Placeholder::Secret(part)
                    if model.secret_files.contains_key(part));
                if !known {
                    return Err(placeholder.unknown());
                }
            }
            model.podman_secrets.insert(name.to_owned(), hash.to_owned());
            Ok(())
        })
    }

    async fn remove_secret(&self, name: &str) -> HostResult<()> {
        self.podman().await;
        self.change(format!("remove secret {name}"), &Fault::PodmanAway, |model, _| {
            model.podman_secrets.remove(name);
            Ok(())
        })
    }

    async fn exec(
        &self,
        container: &str,
        command: &[String],
        _: Option<&str>,
        _: Duration,
    ) -> HostResult<ExecOutput> {
        self.podman().await;
        let call = format!("exec {container} {}", command.join(" "));
        let word = command.first().cloned().unwrap_or_default();
        let (hangs, fails) = (Fault::HookHangs(word.clone()), Fault::HookFails(word.clone()));
        let done = self.change(call, &Fault::PodmanAway, |model, _| {
            if !model.containers.contains_key(container) {
                let message = format!("There is no container {container}.");
                return Err(UserError::new("container-missing", message));
            }
            if let [_, write, text] = command
                && write == "write"
            {
                model.write_data(container, text);
            }
            let exit_code = if model.broken(&fails) { 3 } else { 0 };
            let secrets: Vec<&str> = model.secret_files.values().map(String::as_str).collect();
            let output = format!("{word} said:\n{}\nlast words of {word}", secrets.join(" "));
            Ok(ExecOutput { exit_code, output })
        });
        if self.model().broken(&hangs) {
            std::future::pending::<()>().await;
        }
        done
    }

    async fn copy_in(&self, container: &str, src: &str, dest: &str) -> HostResult<()> {
        self.podman().await;
        self.change(format!("copy {src} to {container}:{dest}"), &Fault::PodmanAway, |_, _| Ok(()))
    }

    async fn http(&self, request: &HookRequest, _: Duration) -> HostResult<(u16, String)> {
        self.podman().await;
        let HookRequest { method, port, path, body } = request;
        let body = body.as_ref().map(|body| format!(" {body}")).unwrap_or_default();
        let call = format!("{method} {port}{path}{body}");
        let hangs = Fault::HookHangs(path.clone());
        let done = self.change(call, &Fault::PodmanAway, |model, _| {
            let fails = model.broken(&Fault::HookFails(path.clone()));
            Ok(if fails { (500, format!("{path} is unwell")) } else { (200, "fine".to_owned()) })
        });
        if self.model().broken(&hangs) {
            std::future::pending::<()>().await;
        }
        done
    }
}

impl Units for FakeHost {
    async fn write_unit_files(&self, files: &[(String, String)]) -> HostResult<()> {
        let late = self.model().late_write.take();
        if let Some(late) = late {
            tokio::time::sleep(late).await;
            self.model().unit_files.extend(files.iter().cloned());
            let error = UserError::new("write-late", "The files are there, but nobody says so.");
            return Err(HostError { error, retryable: true });
        }
        files.iter().try_for_each(|(file_name, text)| {
            self.change(format!("write {file_name}"), &Fault::DiskFull, |model, _| {
                model.unit_files.insert(file_name.clone(), text.clone());
                Ok(())
            })
        })
    }

    async fn remove_unit_file(&self, file_name: &str) -> HostResult<()> {
        self.change(format!("remove {file_name}"), &Fault::DiskFull, |model, _| {
            model.unit_files.remove(file_name);
            Ok(())
        })
    }

    async fn check_unit_files(&self, files: &[(String, String)]) -> HostResult<()> {
        let model = self.model();
        let rejected = |name: &str| model.broken(&Fault::GeneratorRejects(name.to_owned()));
        match files.iter().find(|(name, _)| rejected(name)) {
            Some((name, _)) => {
                let message = format!("Podman's generator rejects {name}.");
                let error = UserError::new("unit-rejected", message);
                Err(HostError { error, retryable: false })
            }
            None => Ok(()),
        }
    }

    async fn reload(&self) -> HostResult<()> {
        self.change("reload".to_owned(), &Fault::SystemdAway, |model, _| {
            model.reload();
            Ok(())
        })
    }

    async fn start(&self, units: &[String], _: Duration) -> Vec<UnitOutcome> {
        self.each(units, "start", Model::start)
    }

    async fn stop(&self, units: &[String], _: Duration) -> Vec<UnitOutcome> {
        self.each(units, "stop", Model::stop)
    }
}

impl FakeHost {
    fn each(
        &self,
        units: &[String],
        verb: &str,
        act: impl Fn(&mut Model, &str, Timestamp) -> Result<(), UserError>,
    ) -> Vec<UnitOutcome> {
        let one = |unit: &String| {
            let done = self.change(format!("{verb} {unit}"), &Fault::SystemdAway, |model, now| {
                act(model, unit, now)
            });
            UnitOutcome { unit: unit.clone(), failure: done.err().map(|failure| failure.error) }
        };
        units.iter().map(one).collect()
    }
}

/// What a placeholder stands for; `?` for what the fake host does not know.
fn value(app: &DesiredApp, placeholder: &Placeholder) -> String {
    let unknown = || "?".to_owned();
    match placeholder {
        Placeholder::Config(key) => {
            let default = || app.manifest.config.get(key)?.default.as_ref();
            app.settings.get(key).or_else(default).map_or_else(unknown, |value| {
                value.as_str().map_or_else(|| value.to_string(), str::to_owned)
            })
        }
        Placeholder::Port(port) => {
            app.host_port(*port).map_or_else(unknown, |port| port.to_string())
        }
        other => facts().values.get(other).cloned().unwrap_or_else(unknown),
    }
}

impl Files for FakeHost {
    async fn make_directory(&self, app: &AppId, path: &str, _: Option<Owner>) -> HostResult<()> {
        self.change(format!("mkdir {app}/{path}"), &Fault::DiskFull, |model, _| {
            let files = model.app_files.entry(app.clone()).or_default();
            files.insert(path.to_owned(), FileState::Directory);
            Ok(())
        })
    }

    async fn generate_secret(&self, name: &str, _: SecretKind) -> HostResult<()> {
        self.change(format!("generate secret {name}"), &Fault::DiskFull, |model, _| {
            let hash = Digest::of(name.as_bytes()).hex();
            model.secret_files.entry(name.to_owned()).or_insert(hash);
            Ok(())
        })
    }

    async fn make_cert(
        &self,
        app: &AppId,
        crt: &str,
        key: &str,
        _: &str,
        _: &[String],
    ) -> HostResult<()> {
        self.change(format!("make cert {app}/{crt}"), &Fault::DiskFull, |model, _| {
            let files = model.app_files.entry(app.clone()).or_default();
            for path in [crt, key] {
                let hash = Digest::of(path.as_bytes()).hex();
                files.insert(path.to_owned(), FileState::File { hash });
            }
            Ok(())
        })
    }

    async fn write_file(
        &self,
        app: &DesiredApp,
        path: &str,
        content: &Template,
        _: bool,
        _: u32,
    ) -> HostResult<()> {
        let id = &app.manifest.id;
        self.change(format!("write {id}/{path}"), &Fault::DiskFull, |model, _| {
            let text =
                content.resolve(|placeholder| Ok::<_, UserError>(value(app, placeholder)))?;
            let hash = Digest::of(text.as_bytes()).hex();
            let files = model.app_files.entry(id.clone()).or_default();
            files.insert(path.to_owned(), FileState::File { hash });
            Ok(())
        })
    }

    async fn purge_data(&self, app: &AppId, containers: &[String]) -> HostResult<()> {
        self.model().purged_logs.extend(containers.iter().cloned());
        self.change(format!("purge {app}"), &Fault::DiskFull, |model, _| {
            model.app_files.remove(app);
            Ok(())
        })
    }

    /// What the model keeps of a secret stands for its value.
    async fn strike_secrets(&self, app: &Manifest, text: String) -> String {
        let model = self.model();
        let names = archy_engine::ports::secret_names(app);
        let values = names.filter_map(|name| model.secret_files.get(&name).cloned());
        values.fold(text, |text, value| Secret::new(value).strike_from(&text))
    }

    async fn purge_secret(&self, name: &str) -> HostResult<()> {
        self.change(format!("purge secret {name}"), &Fault::DiskFull, |model, _| {
            model.secret_files.remove(name);
            Ok(())
        })
    }

    async fn take_snapshot(
        &self,
        app: &DesiredApp,
        generation: Generation,
        volumes: &[String],
    ) -> HostResult<()> {
        let id = &app.manifest.id;
        self.change(format!("snapshot {id} {generation}"), &Fault::DiskFull, |model, now| {
            idle(model, id)?;
            let data = model.data.iter().filter(|(place, _)| is_data(id, volumes, place));
            let data = data.map(|(place, text)| (place.clone(), text.clone())).collect();
            let files = model.app_files.get(id).cloned();
            let snapshot = Snapshot { taken: now, restored: None, data, files };
            model.snapshots.entry(id.clone()).or_default().insert(generation, snapshot);
            Ok(())
        })?;
        if self.model().broken(&Fault::SnapshotHangs) {
            std::future::pending::<()>().await;
        }
        // a copy takes time: what looks meanwhile sees the moment after it
        tokio::time::sleep(Duration::from_millis(2)).await;
        Ok(())
    }

    async fn restore_snapshot(
        &self,
        app: &AppId,
        generation: Generation,
        wish: Generation,
    ) -> HostResult<()> {
        self.change(format!("restore {app} {generation}"), &Fault::DiskFull, |model, _| {
            idle(model, app)?;
            let own = format!("directory {app}/");
            let all = model.snapshots.get_mut(app);
            let Some(snapshot) = all.and_then(|all| all.get_mut(&generation)) else {
                return Err(UserError::new("snapshot-missing", "There is no such snapshot."));
            };
            snapshot.restored = Some(wish);
            if let Some(files) = &snapshot.files {
                model.app_files.insert(app.clone(), files.clone());
                model.data.retain(|place, _| !place.starts_with(&own));
            }
            model.data.extend(snapshot.data.clone());
            Ok(())
        })
    }

    async fn remove_snapshots(&self, app: &AppId, generations: &[Generation]) -> HostResult<()> {
        self.change(format!("prune {app}"), &Fault::PodmanAway, |model, _| {
            if let Some(all) = model.snapshots.get_mut(app) {
                all.retain(|generation, _| !generations.contains(generation));
            }
            model.snapshots.retain(|_, all| !all.is_empty());
            Ok(())
        })
    }
}
