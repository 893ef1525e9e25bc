//! Containers that Archipelago did not make: they are started, stopped and renamed as they are, and
//! what is the owner's is kept below `<data>/.adopted/<app>`.

mod data;
mod files;
mod look;
mod policy;

use std::path::PathBuf;
use std::time::Duration;

use archy_engine::ports::{HostResult, Legacy};
use archy_plan::adopt::{SecretSource, aside_name};
use archy_plan::{DesiredApp, LegacyStep};
use archy_store::files::FileError;
use archy_types::{AppId, Secret, UserError};

use super::{CHANGE_DEADLINE, LOOK_DEADLINE, SystemHost, error};

/// Directory with what is kept of adoptions, below the data directory; no app has such an id.
const DIR: &str = ".adopted";

impl SystemHost {
    /// Where things of an app's adoption are kept.
    fn adopted_dir(&self, app: &AppId) -> PathBuf {
        self.config.data_dir.join(DIR).join(app.as_str())
    }
}

impl Legacy for SystemHost {
    async fn legacy(&self, app: &DesiredApp, step: &LegacyStep) -> HostResult<()> {
        let id = &app.manifest.id;
        match step {
            LegacyStep::StartContainers { names, deadline_secs } => {
                let podman = self.podman.within(secs(*deadline_secs));
                for name in names {
                    self.bury(name).await?;
                    self.starts_as_before(id, name).await?;
                    podman.start_container(name).await.map_err(|e| error::podman(&e))?;
                }
                Ok(())
            }
            LegacyStep::StopContainers { names, deadline_secs } => {
                let podman = self.podman.within(secs(*deadline_secs));
                for name in names {
                    self.bury(name).await?;
                    podman.stop_container(name, None).await.map_err(|e| error::podman(&e))?;
                }
                Ok(())
            }
            LegacyStep::Rename { id: container, from, to } if *to == aside_name(from) => {
                self.never_starts_by_itself(id, container).await?;
                self.rename(container, from, to).await
            }
            LegacyStep::Rename { id: container, from, to } => {
                self.rename(container, from, to).await?;
                self.starts_as_before(id, container).await
            }
            LegacyStep::SetFileAside { path } => self.set_aside(id, path).await,
            LegacyStep::PutFileBack { path } => self.put_file_back(id, path).await,
            LegacyStep::CopyData { data, wish } => self.copy_legacy(app, data, *wish).await,
            LegacyStep::TakeSecret { name, source } => self.take_secret(name, source).await,
            LegacyStep::Done => Ok(()),
        }
    }
}

fn secs(seconds: u32) -> Duration {
    Duration::from_secs(u64::from(seconds))
}

impl SystemHost {
    /// Makes Podman see that a container is dead whose processes were killed with what watched over
    /// it: only an attempt to stop it does, and fails.
    async fn bury(&self, name: &str) -> HostResult<()> {
        let podman = self.podman.within(CHANGE_DEADLINE);
        let found = podman.describe_container(name).await.map_err(|e| error::podman(&e))?;
        let seen = found.as_ref().and_then(archy_plan::adopt::Inspected::parse);
        if seen.is_some_and(|seen| look::is_dead(&seen))
            && let Err(failure) = podman.stop_container(name, Some(Duration::ZERO)).await
        {
            tracing::info!(container = name, %failure, "a container was dead");
        }
        Ok(())
    }

    /// Renames the container with this id, and no other.
    async fn rename(&self, id: &str, from: &str, to: &str) -> HostResult<()> {
        let podman = self.podman.within(CHANGE_DEADLINE);
        let found = podman.container(id).await.map_err(|e| error::podman(&e))?;
        let Some(found) = found else {
            let error = UserError::new("adopted-gone", format!("The container {from} is gone."));
            return Err(error::fatal(error.hint("Run it again the way it was made.")));
        };
        if found.name == to {
            return Ok(());
        }
        podman.rename_container(id, to).await.map_err(|e| error::podman(&e))
    }

    /// Keeps the value of a secret that a container has. One that is there already stays.
    async fn take_secret(&self, name: &str, source: &SecretSource) -> HostResult<()> {
        let podman = self.podman.within(LOOK_DEADLINE);
        let value = match source {
            SecretSource::Podman { secret } => {
                podman.secret_value(secret).await.map_err(|e| error::podman(&e))?
            }
            SecretSource::Variable { container, variable } => {
                let found = podman.describe_container(container).await;
                let found = found.map_err(|e| error::podman(&e))?;
                let seen = found.as_ref().and_then(archy_plan::adopt::Inspected::parse);
                seen.and_then(|mut seen| seen.env.remove(variable))
            }
        };
        let Some(value) = value else {
            let message = format!("The value of the secret {name} cannot be read any more.");
            return Err(error::fatal(
                UserError::new("migrate-secret-gone", message)
                    .hint("Start the app the way it was made, then migrate it again."),
            ));
        };
        let name = name.to_owned();
        self.blocking(move |host| keep(host, &name, &value)).await
    }
}

fn keep(host: &SystemHost, name: &str, value: &Secret) -> Result<(), UserError> {
    match host.secrets.supply(name, value, false) {
        Ok(()) | Err(FileError::SecretExists(_)) => Ok(()),
        Err(failure) => Err(error::file(&failure)),
    }
}
