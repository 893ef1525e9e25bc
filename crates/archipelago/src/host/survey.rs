//! A closer look at the host, and mends, through the adapters.

use std::collections::BTreeMap;
use std::time::Duration;

use archy_engine::ports::{Containers as _, Interest, Observe as _, Units as _};
use archy_plan::Known;
use archy_podman::{Container, ContainerState};
use archy_quadlet::render::{LABEL_APP, LABEL_SERVICE};
use archy_systemd::{Manager, SystemdError};
use archy_types::{Secret, Timestamp, UserError};
use futures_util::future::BoxFuture;

use super::bus::systemd;
use super::containers::SECRET_HASH_LABEL;
use super::{LOOK_DEADLINE, REMOVE_DEADLINE, SystemHost, error};
use crate::survey::{
    Belongings, BuiltImages, JournalLine, LastProbe, ManagerFacts, Mend, Owned, PodmanFacts,
    Survey, SurveySource,
};

/// Where the manager of the machine listens (dbus-daemon(1)).
const SYSTEM_BUS: &str = "unix:path=/run/dbus/system_bus_socket";

fn owned(name: &str, labels: &BTreeMap<String, String>, running: bool) -> Option<Owned> {
    let app = labels.get(LABEL_APP)?.clone();
    Some(Owned { name: name.to_owned(), app, running })
}

/// Names that builds of an app gave to an image. One that the owner made of it has the same labels, but
/// no such name.
fn built_names(image: &archy_podman::Image) -> Vec<String> {
    let (Some(app), Some(service)) = (image.labels.get(LABEL_APP), image.labels.get(LABEL_SERVICE))
    else {
        return Vec::new();
    };
    let containers = [app.clone(), format!("{app}-{service}")];
    let ours = |name: &&String| {
        let tagged = name.strip_prefix("localhost/").and_then(|rest| rest.split_once(':'));
        tagged.is_some_and(|(container, tag)| {
            containers.iter().any(|one| one == container)
                && archy_quadlet::render::is_build_tag(tag)
        })
    };
    image.tags.iter().filter(ours).cloned().collect()
}

fn known<T>(result: archy_engine::ports::HostResult<T>) -> Known<T> {
    match result {
        Ok(fact) => Known::Yes(fact),
        Err(failure) => Known::No(error::cause(&failure)),
    }
}

/// How long the manager of the whole machine waits for this user's one.
async fn shutdown_limit() -> Result<Duration, SystemdError> {
    let manager = Manager::connect(SYSTEM_BUS, LOOK_DEADLINE).await?.within(LOOK_DEADLINE);
    let unit = format!("user@{}.service", rustix::process::geteuid().as_raw());
    Ok(manager.stop_limit(&unit).await?.unwrap_or(Duration::MAX))
}

impl SystemHost {
    async fn podman_facts(&self) -> Known<PodmanFacts> {
        let info = self.podman.within(LOOK_DEADLINE).info().await;
        known(info.map_err(|e| error::podman(&e)).map(|info| PodmanFacts {
            version: info.version.to_string(),
            storage_driver: info.storage_driver,
            graph_root: info.graph_root,
            cgroup_version: info.cgroup_version,
            cgroup_manager: info.cgroup_manager,
            network: info.rootless_network,
        }))
    }

    async fn belongings(&self) -> Known<Belongings> {
        let podman = self.podman.within(LOOK_DEADLINE);
        let label = [LABEL_APP];
        let look = async {
            let (containers, networks, volumes, secrets) = tokio::try_join!(
                podman.containers(&label),
                podman.networks(&label),
                podman.volumes(&label),
                podman.secrets(),
            )?;
            let running = |state| matches!(state, ContainerState::Running | ContainerState::Paused);
            let container = |c: &Container| owned(c.name(), &c.labels, running(c.state));
            Ok(Belongings {
                containers: containers.iter().filter_map(container).collect(),
                networks: networks
                    .iter()
                    .filter_map(|n| owned(&n.name, &n.labels, false))
                    .collect(),
                volumes: volumes.iter().filter_map(|v| owned(&v.name, &v.labels, false)).collect(),
                secrets: secrets
                    .into_iter()
                    .filter(|secret| secret.labels.contains_key(SECRET_HASH_LABEL))
                    .map(|secret| secret.name)
                    .collect(),
            })
        };
        known(look.await.map_err(|e: archy_podman::PodmanError| error::podman(&e)))
    }

    async fn manager_facts(&self) -> Known<ManagerFacts> {
        let look = async {
            let manager = self.bus.get().await?.within(LOOK_DEADLINE);
            let (version, state, units) = tokio::try_join!(
                manager.version(),
                manager.system_state(),
                manager.list_units(&["*.service"]),
            )
            .map_err(|e| systemd(&e))?;
            let failed =
                units.into_iter().filter(|u| u.active == archy_systemd::ActiveState::Failed);
            let shutdown_limit = shutdown_limit().await.ok();
            Ok(ManagerFacts {
                shutdown_limit,
                version,
                state: format!("{state:?}").to_lowercase(),
                failed: failed.map(|unit| unit.unit).collect(),
            })
        };
        known(look.await)
    }

    async fn apply(&self, mend: Mend) -> Result<(), UserError> {
        let done = match mend {
            Mend::ResetFailed(unit) => {
                let manager = self.bus.get().await.map_err(|e| e.error)?;
                return manager.reset_failed(&unit).await.map(drop).map_err(|e| e.to_user_error());
            }
            Mend::Reload => self.reload().await,
            Mend::RemoveContainer(name) => self.remove_container(&name, REMOVE_DEADLINE).await,
            Mend::RemoveNetwork(name) => self.remove_network(&name).await,
            Mend::RemoveSecret(name) => self.remove_secret(&name).await,
            Mend::RemoveUnitFile(name) => self.remove_unit_file(&name).await,
            Mend::Converge(_) => Ok(()),
        };
        done.map_err(|failure| failure.error)
    }
}

impl SurveySource for SystemHost {
    fn survey(&self, interest: Interest) -> BoxFuture<'_, Survey> {
        Box::pin(async move {
            let (observed, podman, belongings, manager) = tokio::join!(
                self.observe(&interest),
                self.podman_facts(),
                self.belongings(),
                self.manager_facts(),
            );
            let lingering = Known::Yes(super::sources::lingering());
            Survey { observed, podman, belongings, manager, lingering }
        })
    }

    fn probe<'a>(
        &'a self,
        container: &'a str,
    ) -> BoxFuture<'a, Result<Option<LastProbe>, UserError>> {
        Box::pin(async move {
            let found = self.podman.within(LOOK_DEADLINE).container(container).await;
            let Some(detail) = found.map_err(|e| error::podman(&e).error)? else {
                return Ok(None);
            };
            let last = detail.health.log.last();
            Ok(Some(LastProbe {
                at: last.and_then(|entry| entry.end),
                exit_code: last.map_or(0, |entry| entry.exit_code),
                output: last.map(|entry| entry.output.clone()).unwrap_or_default(),
                failing: detail.health.failing_streak,
                out_of_memory: detail.oom_killed,
            }))
        })
    }

    fn mend(&self, mend: Mend) -> BoxFuture<'_, Result<(), UserError>> {
        Box::pin(self.apply(mend))
    }

    fn built_images(&self) -> BoxFuture<'_, Result<BuiltImages, UserError>> {
        Box::pin(async move {
            let images = self.podman.within(LOOK_DEADLINE).images().await;
            let images = images.map_err(|e| error::podman(&e).error)?;
            let files = self.unit_dir().read().await;
            let files = files.map_err(|e| UserError::new("unit-files", e.to_string()))?;
            let lines = files.values().flat_map(|text| text.lines());
            let named = lines.filter_map(|line| {
                line.strip_prefix("Image=").or_else(|| line.strip_prefix("ImageTag="))
            });
            Ok(BuiltImages {
                there: images.iter().flat_map(built_names).collect(),
                deployed: named.map(str::to_owned).collect(),
            })
        })
    }

    fn remove_image<'a>(&'a self, reference: &'a str) -> BoxFuture<'a, Result<(), UserError>> {
        Box::pin(async move {
            let podman = self.podman.within(super::CHANGE_DEADLINE);
            let name = super::observe::stored_name(reference);
            let removed = podman.remove_image(&name).await;
            removed.map(drop).map_err(|e| error::podman(&e).error)
        })
    }

    fn journal(&self, lines: u32) -> BoxFuture<'_, Vec<(String, String)>> {
        Box::pin(super::journal::read(lines))
    }

    fn daemon_log(
        &self,
        lines: u32,
        since: Option<Timestamp>,
        priority: u8,
    ) -> BoxFuture<'_, Result<Vec<JournalLine>, UserError>> {
        Box::pin(self.journal.of_daemon(lines, since, priority))
    }

    fn secrets(&self) -> BoxFuture<'_, Result<Vec<Secret>, UserError>> {
        let store = self.secrets.clone();
        Box::pin(async move {
            let read = move || {
                store.list()?.iter().map(|name| store.read(name)).collect::<Result<Vec<_>, _>>()
            };
            let read = tokio::task::spawn_blocking(read).await;
            let read = read.map_err(|e| UserError::new("internal", e.to_string()))?;
            read.map_err(|e| error::file(&e))
        })
    }
}
