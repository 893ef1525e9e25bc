//! The modelled host of a script: facts about it, one look at it, and steps carried out on it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, bail, ensure};
use archy_manifest::model::Protocol;
use archy_manifest::template::Placeholder;
use archy_plan::observed::{ContainerState, FileState};
use archy_plan::{DesiredApp, Known, Observed, Step, Strangers};
use archy_quadlet::HostFacts;
use archy_testkit::Model;
use archy_types::{AppId, Cause, Digest, Health, Timestamp};

/// Bytes in a MiB.
const MIB: u64 = 1 << 20;

/// A host in memory.
#[derive(Debug)]
pub(crate) struct Host {
    model: Model,
    facts: HostFacts,
    strangers: Strangers,
    unpullable: BTreeSet<String>,
    /// Containers in which hooks ran.
    hooked: BTreeMap<AppId, BTreeMap<String, String>>,
    /// Facts that cannot be seen, with the reason.
    unknown: BTreeMap<String, String>,
    disk_free: u64,
    /// Milliseconds since 1970.
    pub(crate) now: i64,
}

impl Host {
    /// A host on which nothing was ever done.
    pub(crate) fn new() -> Self {
        Self {
            model: Model::default(),
            facts: archy_testkit::host::facts(),
            strangers: Strangers::default(),
            unpullable: BTreeSet::new(),
            hooked: BTreeMap::new(),
            unknown: BTreeMap::new(),
            disk_free: 100 * 1024 * MIB,
            now: 0,
        }
    }

    /// Names of the unit files.
    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        self.model.unit_files.keys().map(String::as_str)
    }

    /// Makes a fact true.
    pub(crate) fn fact(&mut self, line: &str) -> anyhow::Result<()> {
        self.now += 1000;
        let (verb, rest) = line.split_once(' ').with_context(|| format!("no fact: {line:?}"))?;
        match verb {
            "image" => drop(self.model.images.insert(rest.to_owned())),
            "unpullable" => drop(self.unpullable.insert(rest.to_owned())),
            "gone" => self.gone(rest)?,
            "foreign" => self.foreign(rest)?,
            "listening" => drop(self.model.foreign_ports.insert(port(rest)?)),
            "edited" => self.edited(rest)?,
            "stopped" => {
                let stopped = self.model.stop(rest, Timestamp(self.now));
                stopped.map_err(|error| anyhow::anyhow!(error.message))?;
            }
            "failed" => {
                let (unit, result) = pair(rest, " ")?;
                self.model.containers.remove(unit.trim_end_matches(".service"));
                self.model.set_failed(unit, result, Timestamp(self.now));
            }
            "masked" => {
                let unit = self.model.units.get_mut(rest).context("no such unit")?;
                "masked".clone_into(&mut unit.load);
            }
            "unknown" => {
                let (fact, why) = pair(rest, ": ")?;
                self.unknown.insert(fact.to_owned(), why.to_owned());
            }
            "known" => ensure!(self.unknown.remove(rest).is_some(), "{rest} was not unknown"),
            "without" => self.facts.controllers.retain(|controller| controller != rest),
            "disk" => self.disk_free = rest.parse::<u64>()? * MIB,
            other => bail!("no fact: {other}"),
        }
        Ok(())
    }

    fn gone(&mut self, what: &str) -> anyhow::Result<()> {
        let (kind, name) = pair(what, " ")?;
        let model = &mut self.model;
        let was = match kind {
            "image" => model.images.remove(name),
            "file" => model.unit_files.remove(name).is_some(),
            "container" => model.containers.remove(name).is_some(),
            "network" => model.networks.remove(name),
            "volume" => model.volumes.remove(name),
            "secret" => model.secret_files.remove(name).is_some(),
            other => bail!("what is a {other}?"),
        };
        ensure!(was, "there is no {kind} {name}");
        Ok(())
    }

    fn foreign(&mut self, what: &str) -> anyhow::Result<()> {
        let (kind, name) = pair(what, " ")?;
        match kind {
            "container" => {
                let state = ContainerState {
                    labels: BTreeMap::new(),
                    state: "running".to_owned(),
                    health: Health::Unknown,
                    health_output: None,
                    exit_code: None,
                    id: "f".repeat(64),
                    started_at: Some(Timestamp(self.now)),
                };
                self.model.containers.insert(name.to_owned(), state);
            }
            "network" => {
                self.model.networks.insert(name.to_owned());
                self.strangers.networks.insert(name.to_owned());
            }
            "volume" => {
                self.model.volumes.insert(name.to_owned());
                self.strangers.volumes.insert(name.to_owned());
            }
            other => bail!("what is a foreign {other}?"),
        }
        Ok(())
    }

    fn edited(&mut self, what: &str) -> anyhow::Result<()> {
        let (file, change) = pair(what, ": ")?;
        let (old, new) = pair(change, " => ")?;
        let (old, new) = (old.replace("\\n", "\n"), new.replace("\\n", "\n"));
        let text = self.model.unit_files.get_mut(file).context("no such file")?;
        ensure!(text.contains(&old), "{file} has no {old:?}:\n{text}");
        *text = text.replacen(&old, &new, 1);
        self.model.reload();
        Ok(())
    }

    /// One look.
    pub(crate) fn observe(&self) -> Observed {
        let model = &self.model;
        Observed {
            contexts: std::collections::BTreeMap::new(),
            inodes_free: Known::Yes(1 << 20),
            at: Timestamp(self.now),
            host: self.facts.clone(),
            unit_files: self.seen("unit-files", &model.unit_files),
            units: self.seen("units", &model.units),
            containers: self.seen("containers", &model.containers),
            images: self.seen("images", &model.images),
            volumes: self.seen("volumes", &model.volumes),
            networks: self.seen("networks", &model.networks),
            strangers: self.strangers.clone(),
            podman_secrets: self.seen("podman-secrets", &model.podman_secrets),
            secret_files: self.seen("secret-files", &model.secret_files),
            app_files: self.seen("app-files", &model.app_files),
            snapshots: Known::Yes(BTreeMap::new()),
            left: archy_plan::observed::Left::default(),
            hooked: self.hooked.clone(),
            data_sizes: BTreeMap::new(),
            image_sizes: BTreeMap::new(),
            away_secs: BTreeMap::new(),
            foreign: archy_plan::adopt::Foreign::default(),
            listening: self.seen("listening", &model.foreign_ports),
            lowest_port: self.seen("lowest-port", &1024),
            disk_free_bytes: self.seen("disk", &self.disk_free),
            memory_available_bytes: self.seen("memory", &(4096 * MIB)),
            architecture: "amd64".to_owned(),
            platform: "0.1.0".to_owned(),
            shutting_down: false,
        }
    }

    fn seen<T: Clone>(&self, name: &str, fact: &T) -> Known<T> {
        match self.unknown.get(name) {
            Some(why) => Known::No(Cause::new("host-away", why.clone())),
            None => Known::Yes(fact.clone()),
        }
    }

    /// Carries out one step.
    pub(crate) fn carry_out(&mut self, app: &DesiredApp, step: &Step) -> anyhow::Result<()> {
        self.now += 1000;
        let now = Timestamp(self.now);
        let said = |error: archy_types::UserError| anyhow::anyhow!(error.message);
        match step {
            Step::StopUnits { units, .. } => {
                units.iter().try_for_each(|unit| self.model.stop(unit, now)).map_err(said)?;
            }
            Step::StartUnits { units, .. } => {
                units.iter().try_for_each(|unit| self.model.start(unit, now)).map_err(said)?;
            }
            Step::BuildImage { service, unit, .. } => {
                let reference = format!("localhost/{}-{service}", app.manifest.id);
                self.model.images.insert(reference);
                self.model.start(unit, now).map_err(said)?;
            }
            Step::PullImage { reference, .. } => {
                ensure!(!self.unpullable.contains(reference), "{reference}: not found");
                self.model.images.insert(reference.clone());
            }
            Step::WriteUnitFile { file_name, text, .. } => {
                self.model.unit_files.insert(file_name.clone(), text.clone());
            }
            Step::RemoveUnitFile { file_name } => {
                self.model.unit_files.remove(file_name);
            }
            Step::Reload => self.model.reload(),
            Step::RemoveContainer { name, .. } => drop(self.model.containers.remove(name)),
            Step::RemoveNetwork { name } => drop(self.model.networks.remove(name)),
            Step::PurgeVolume { name } => drop(self.model.volumes.remove(name)),
            Step::PurgeData => drop(self.model.app_files.remove(&app.manifest.id)),
            step if archy_plan::settles(step) => {
                let id = &app.manifest.id;
                let running = archy_plan::running_containers(id, &self.observe());
                self.hooked.insert(id.clone(), running.context("its containers are not known")?);
            }
            Step::RunHook { .. } => {}
            Step::Snapshot { .. }
            | Step::RestoreSnapshot { .. }
            | Step::Soak { .. }
            | Step::PruneSnapshots { .. } => {}
            other => self.keep(app, other)?,
        }
        Ok(())
    }

    /// Steps on secrets and files.
    fn keep(&mut self, app: &DesiredApp, step: &Step) -> anyhow::Result<()> {
        let made = self.now;
        let model = &mut self.model;
        let files = model.app_files.entry(app.manifest.id.clone());
        match step {
            Step::GenerateSecret { name, .. } => {
                let hash = Digest::of(format!("{name} {made}").as_bytes()).hex();
                model.secret_files.entry(name.clone()).or_insert(hash);
            }
            Step::SyncPodmanSecret { name } => {
                let hash = model.secret_files.get(name).context("the secret has no file")?;
                model.podman_secrets.insert(name.clone(), hash.clone());
            }
            Step::RemovePodmanSecret { name } => drop(model.podman_secrets.remove(name)),
            Step::PurgeSecret { name } => drop(model.secret_files.remove(name)),
            Step::MakeDirectory { path, .. } => {
                files.or_default().insert(path.clone(), FileState::Directory);
            }
            Step::MakeCert { index } => {
                let cert = app.manifest.certs.get(*index).context("no such certificate")?;
                for path in [&cert.crt, &cert.key] {
                    let file = FileState::File { hash: String::new() };
                    files_of(model, app).insert(path.clone(), file);
                }
            }
            Step::WriteFile { path } => {
                let hash = Digest::of(content(app, path, &self.facts)?.as_bytes()).hex();
                files.or_default().insert(path.clone(), FileState::File { hash });
            }
            other => bail!("the model does not know {other:?}"),
        }
        Ok(())
    }
}

fn files_of<'a>(model: &'a mut Model, app: &DesiredApp) -> &'a mut BTreeMap<String, FileState> {
    model.app_files.entry(app.manifest.id.clone()).or_default()
}

/// A file's content as the daemon would write it.
fn content(app: &DesiredApp, path: &str, facts: &HostFacts) -> anyhow::Result<String> {
    let mut files = app.manifest.files.iter();
    let file = files.find(|file| file.path == path).context("the manifest has no such file")?;
    file.content.resolve(|placeholder| match placeholder {
        Placeholder::Config(key) => {
            let default = app.manifest.config.get(key).and_then(|s| s.default.as_ref());
            let value = app.settings.get(key).or(default);
            Ok(value.map_or_else(String::new, |value| {
                value.as_str().map_or_else(|| value.to_string(), str::to_owned)
            }))
        }
        other => Ok(facts.values.get(other).cloned().unwrap_or_else(|| other.to_string())),
    })
}

fn pair<'a>(text: &'a str, between: &str) -> anyhow::Result<(&'a str, &'a str)> {
    text.split_once(between).with_context(|| format!("{text:?} has no {between:?}"))
}

fn port(text: &str) -> anyhow::Result<(u16, Protocol)> {
    let (number, protocol) = pair(text, "/")?;
    let protocol = match protocol {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        other => bail!("no protocol: {other}"),
    };
    Ok((number.parse()?, protocol))
}
