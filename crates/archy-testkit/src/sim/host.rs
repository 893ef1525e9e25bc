//! The host of a simulation as one run of the daemon sees it: the fake host behind boundaries.

use std::time::Duration;

use archy_engine::ports::{
    Containers, ExecOutput, Files, HookRequest, HostError, HostResult, Interest, Observe,
    ProgressSink, UnitOutcome, Units,
};
use archy_manifest::Manifest;
use archy_manifest::model::{Owner, ReadyCheck, SecretKind, Service};
use archy_manifest::template::Template;
use archy_plan::{DesiredApp, Known, Observed};
use archy_types::{AppId, Digest, Generation, UserError};
use tokio::time::{sleep, timeout};

use super::{Class, Gate, Moment, Sim, legacy, systemd};
use crate::host::FakeHost;

/// How long a look waits for a part of the host that does not answer.
const LOOK_LIMIT: Duration = Duration::from_secs(10);

/// The host of one run of the daemon.
#[derive(Debug, Clone)]
pub struct SimHost {
    pub(super) sim: Sim,
    pub(super) life: u64,
}

impl SimHost {
    pub(super) const fn new(sim: Sim, life: u64) -> Self {
        Self { sim, life }
    }

    pub(super) async fn pass(&self, class: Class, moment: Moment, text: &str) -> HostResult<()> {
        match self.sim.gate(self.life, class, moment, text) {
            Gate::Go => Ok(()),
            Gate::Never => std::future::pending().await,
            Gate::Fail => Err(refused(text)),
        }
    }

    /// A call: asked, done, answered. What was asked of Podman is done although the daemon dies.
    pub(super) async fn call<T, W>(
        &self,
        class: Class,
        text: String,
        work: impl FnOnce(FakeHost) -> W,
    ) -> HostResult<T>
    where
        T: Send + 'static,
        W: Future<Output = HostResult<T>> + Send + 'static,
    {
        self.pass(class, Moment::Before, &text).await?;
        self.sim.take_time(30).await;
        let work = work(self.sim.fake.clone());
        let boot = self.sim.state().boot;
        if self.sim.gate(self.life, class, Moment::Amid, &text) != Gate::Go {
            if class == Class::Podman {
                self.late(boot, work);
            }
            return std::future::pending().await;
        }
        self.unsynced();
        let done = work.await?;
        if class == Class::File {
            self.sim.state().writeback.synced();
        }
        self.pass(class, Moment::After, &text).await?;
        Ok(done)
    }

    fn late<T: Send + 'static>(
        &self,
        boot: u64,
        work: impl Future<Output = HostResult<T>> + Send + 'static,
    ) {
        let sim = self.sim.clone();
        tokio::spawn(async move {
            sim.take_time(500).await;
            if sim.state().boot == boot {
                // nobody is left to hear of it
                _ = work.await;
            }
        });
    }

    pub(super) fn unsynced(&self) {
        let mut state = self.sim.state();
        let model = self.sim.model();
        state.writeback.before(&model);
    }

    async fn jobs(&self, verb: &str, units: &[String], limit: Duration) -> Vec<UnitOutcome> {
        let text = format!("{verb} {}", units.join(" "));
        if self.pass(Class::Job, Moment::Before, &text).await.is_err() {
            let mut state = self.sim.state();
            let unit = state.rng.pick(units).cloned();
            state.doomed.extend(unit);
        }
        let boot = self.sim.state().boot;
        let start = verb == "start";
        let spawn = |unit: &String| {
            let (sim, unit) = (self.sim.clone(), unit.clone());
            tokio::spawn(async move {
                match start {
                    true => systemd::start(&sim, unit, boot).await,
                    false => systemd::stop(&sim, unit, boot).await,
                }
            })
        };
        let jobs: Vec<_> = units.iter().map(spawn).collect();
        self.never(Moment::Amid, &text).await;
        let mut outcomes = Vec::new();
        for (unit, job) in units.iter().zip(jobs) {
            let failure = match timeout(limit, job).await {
                Ok(Ok(done)) => done.err(),
                Ok(Err(_)) | Err(_) => {
                    Some(UserError::new("job-timeout", format!("The {verb} of {unit} hangs.")))
                }
            };
            outcomes.push(UnitOutcome { unit: unit.clone(), failure });
        }
        self.never(Moment::After, &text).await;
        outcomes
    }

    async fn never(&self, moment: Moment, text: &str) {
        if self.sim.gate(self.life, Class::Job, moment, text) != Gate::Go {
            std::future::pending::<()>().await;
        }
    }
}

pub(super) fn refused(text: &str) -> HostError {
    let error = UserError::new("host-refused", format!("The host refused: {text}."))
        .hint("`archy doctor` looks closer.");
    HostError { error, retryable: true }
}

impl Observe for SimHost {
    async fn observe(&self, interest: &Interest) -> Observed {
        let looked = self.pass(Class::Other, Moment::Before, "look").await;
        let asked = match self.sim.gate(self.life, Class::Podman, Moment::Before, "list") {
            Gate::Never if self.sim.state().life == self.life => {
                sleep(LOOK_LIMIT).await;
                false
            }
            Gate::Never => std::future::pending().await,
            Gate::Fail => false,
            Gate::Go => looked.is_ok(),
        };
        self.sim.take_time(40).await;
        let mut observed = self.sim.observed();
        let sizes = self.sim.fake.observe(interest).await.data_sizes;
        observed.data_sizes = sizes;
        if !asked {
            let cause = archy_types::Cause::new("host-away", "Podman does not answer.");
            observed.containers = Known::No(cause);
        }
        if let Known::No(cause) = &observed.containers {
            let wanted = !interest.adopted.is_empty() || !interest.candidates.is_empty();
            observed.foreign.unknown = wanted.then(|| cause.clone());
        }
        observed
    }

    async fn check_ready(
        &self,
        app: &AppId,
        container: &str,
        service: &Service,
        port: Option<u16>,
        check: &ReadyCheck,
    ) -> HostResult<bool> {
        let text = format!("ready? {container}");
        self.pass(Class::Podman, Moment::Before, &text).await?;
        self.sim.take_time(30).await;
        self.sim.fake.check_ready(app, container, service, port, check).await
    }

    async fn log_tail(&self, container: &str, lines: usize) -> Vec<String> {
        self.sim.fake.log_tail(container, lines).await
    }
}

impl Containers for SimHost {
    async fn pull(
        &self,
        reference: &str,
        progress: ProgressSink,
        deadline: Duration,
    ) -> HostResult<()> {
        let name = reference.to_owned();
        self.call(Class::Podman, format!("pull {reference}"), move |fake| async move {
            fake.pull(&name, progress, deadline).await
        })
        .await
    }

    async fn remove_container(&self, name: &str, limit: Duration) -> HostResult<()> {
        let (name, sim) = (name.to_owned(), self.sim.clone());
        let text = format!("remove container {name}");
        self.call(Class::Podman, text, move |fake| async move {
            fake.remove_container(&name, limit).await?;
            sim.model().ports.remove(&name);
            Ok(())
        })
        .await
    }

    async fn rename_container(&self, from: &str, to: &str) -> HostResult<()> {
        let (from, to) = (from.to_owned(), to.to_owned());
        let text = format!("rename container {from}");
        self.call(Class::Podman, text, move |fake| async move {
            fake.rename_container(&from, &to).await
        })
        .await
    }

    async fn remove_network(&self, name: &str) -> HostResult<()> {
        let name = name.to_owned();
        let text = format!("remove network {name}");
        self.call(Class::Podman, text, move |fake| async move { fake.remove_network(&name).await })
            .await
    }

    async fn remove_volume(&self, name: &str) -> HostResult<()> {
        let (name, sim) = (name.to_owned(), self.sim.clone());
        self.call(Class::Podman, format!("remove volume {name}"), move |fake| async move {
            fake.remove_volume(&name).await?;
            sim.model().data.remove(&format!("volume {name}"));
            Ok(())
        })
        .await
    }

    async fn sync_secret(&self, name: &str) -> HostResult<()> {
        let name = name.to_owned();
        let text = format!("sync secret {name}");
        self.call(Class::Podman, text, move |fake| async move { fake.sync_secret(&name).await })
            .await
    }

    async fn compose_secret(&self, name: &str, template: &str, hash: &str) -> HostResult<()> {
        let (name, template, hash) = (name.to_owned(), template.to_owned(), hash.to_owned());
        let text = format!("compose secret {name}");
        self.call(Class::Podman, text, move |fake| async move {
            fake.compose_secret(&name, &template, &hash).await
        })
        .await
    }

    async fn remove_secret(&self, name: &str) -> HostResult<()> {
        let name = name.to_owned();
        let text = format!("remove secret {name}");
        self.call(Class::Podman, text, move |fake| async move { fake.remove_secret(&name).await })
            .await
    }

    async fn exec(
        &self,
        container: &str,
        command: &[String],
        _: Option<&str>,
        limit: Duration,
    ) -> HostResult<ExecOutput> {
        let (name, command) = (container.to_owned(), command.to_vec());
        self.call(Class::Podman, format!("exec in {container}"), move |fake| async move {
            fake.exec(&name, &command, None, limit).await
        })
        .await
    }

    async fn copy_in(&self, container: &str, src: &str, dest: &str) -> HostResult<()> {
        let (name, src, dest) = (container.to_owned(), src.to_owned(), dest.to_owned());
        self.call(Class::Podman, format!("copy into {container}"), move |fake| async move {
            fake.copy_in(&name, &src, &dest).await
        })
        .await
    }

    async fn http(&self, request: &HookRequest, limit: Duration) -> HostResult<(u16, String)> {
        let request = request.clone();
        self.call(Class::Other, format!("ask port {}", request.port), move |fake| async move {
            fake.http(&request, limit).await
        })
        .await
    }
}

impl Units for SimHost {
    async fn write_unit_files(&self, files: &[(String, String)]) -> HostResult<()> {
        // a cut may come between any two of them
        for file in files {
            let (one, text) = ([file.clone()], format!("write {}", file.0));
            let (sim, name) = (self.sim.clone(), file.0.clone());
            self.call(Class::File, text, move |fake| async move {
                fake.write_unit_files(&one).await?;
                legacy::overwritten(&sim, &name);
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    async fn remove_unit_file(&self, file_name: &str) -> HostResult<()> {
        let name = file_name.to_owned();
        let text = format!("remove {name}");
        self.call(Class::Other, text, move |fake| async move { fake.remove_unit_file(&name).await })
            .await
    }

    async fn check_unit_files(&self, files: &[(String, String)]) -> HostResult<()> {
        let files = files.to_vec();
        self.call(Class::Other, "run the generator".to_owned(), move |fake| async move {
            fake.check_unit_files(&files).await
        })
        .await
    }

    async fn reload(&self) -> HostResult<()> {
        self.pass(Class::Job, Moment::Before, "reload").await?;
        self.call(Class::Other, "reload".to_owned(), move |fake| async move { fake.reload().await })
            .await
    }

    async fn start(&self, units: &[String], deadline: Duration) -> Vec<UnitOutcome> {
        self.jobs("start", units, deadline).await
    }

    async fn stop(&self, units: &[String], deadline: Duration) -> Vec<UnitOutcome> {
        self.jobs("stop", units, deadline).await
    }
}

impl Files for SimHost {
    async fn make_directory(
        &self,
        app: &AppId,
        path: &str,
        owner: Option<Owner>,
    ) -> HostResult<()> {
        let (app, path) = (app.clone(), path.to_owned());
        let text = format!("make directory {app}/{path}");
        self.pass(Class::File, Moment::Before, &text).await?;
        self.call(Class::Other, text, move |fake| async move {
            fake.make_directory(&app, &path, owner).await
        })
        .await
    }

    async fn generate_secret(&self, name: &str, kind: SecretKind) -> HostResult<()> {
        let (name, sim) = (name.to_owned(), self.sim.clone());
        self.call(Class::File, format!("generate secret {name}"), move |fake| async move {
            let known = sim.model().secret_files.contains_key(&name);
            fake.generate_secret(&name, kind).await?;
            if !known {
                // no two are alike
                let value = Digest::of(&sim.state().rng.next().to_le_bytes()).hex();
                sim.model().secret_files.insert(name, value);
            }
            Ok(())
        })
        .await
    }

    async fn make_cert(
        &self,
        app: &AppId,
        crt: &str,
        key: &str,
        common_name: &str,
        sans: &[String],
    ) -> HostResult<()> {
        let app = app.clone();
        let (crt, key) = (crt.to_owned(), key.to_owned());
        let (common_name, sans) = (common_name.to_owned(), sans.to_vec());
        self.call(Class::File, format!("make certificate {app}/{crt}"), move |fake| async move {
            fake.make_cert(&app, &crt, &key, &common_name, &sans).await
        })
        .await
    }

    async fn write_file(
        &self,
        app: &DesiredApp,
        path: &str,
        content: &Template,
        overwrite: bool,
        mode: u32,
    ) -> HostResult<()> {
        let text = format!("write {}/{path}", app.manifest.id);
        let (app, path, content) = (app.clone(), path.to_owned(), content.clone());
        self.call(Class::File, text, move |fake| async move {
            fake.write_file(&app, &path, &content, overwrite, mode).await
        })
        .await
    }

    async fn purge_data(&self, app: &AppId, containers: &[String]) -> HostResult<()> {
        let (app, containers, sim) = (app.clone(), containers.to_vec(), self.sim.clone());
        self.call(Class::Podman, format!("purge {app}"), move |fake| async move {
            fake.purge_data(&app, &containers).await?;
            let own = format!("directory {app}/");
            sim.model().data.retain(|place, _| !place.starts_with(&own));
            Ok(())
        })
        .await
    }

    async fn strike_secrets(&self, app: &Manifest, text: String) -> String {
        self.sim.fake.strike_secrets(app, text).await
    }

    async fn purge_secret(&self, name: &str) -> HostResult<()> {
        let name = name.to_owned();
        let text = format!("purge secret {name}");
        self.call(Class::Other, text, move |fake| async move { fake.purge_secret(&name).await })
            .await
    }

    async fn take_snapshot(
        &self,
        app: &DesiredApp,
        generation: Generation,
        volumes: &[String],
    ) -> HostResult<()> {
        self.save(&app.manifest.id, generation, volumes).await
    }

    async fn restore_snapshot(
        &self,
        app: &AppId,
        generation: Generation,
        wish: Generation,
    ) -> HostResult<()> {
        self.put_back(app, generation, wish).await
    }

    async fn remove_snapshots(&self, app: &AppId, generations: &[Generation]) -> HostResult<()> {
        self.prune(app, generations).await
    }
}
