//! What the server asks of the host beside the engine: logs, commands, facts.

use std::path::Path;
use std::time::Duration;

use archy_api::logs::LogSource as Stream;
use archy_engine::ports::ExecOutput;
use archy_plan::Known;
use archy_podman::{LogLine, LogRequest, Logs, Output};
use archy_types::{AppId, Timestamp, UserError};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};

use super::bus::systemd;
use super::{LOOK_DEADLINE, SystemHost, error};
use crate::logs::{LogEntry, LogSource};
use crate::sources::{ExecSource, SnapshotFact, SystemFacts, SystemSource};

/// Most lines that one answer holds.
const MAX_LINES: usize = 10_000;

impl SystemHost {
    async fn open_log(
        &self,
        container: &str,
        lines: usize,
        since: Option<Timestamp>,
        follow: bool,
    ) -> Result<Option<Logs>, UserError> {
        let request =
            LogRequest { follow, tail: u64::try_from(lines).ok(), since, ..LogRequest::default() };
        match self.podman.logs(container, &request).await {
            Ok(logs) => Ok(Some(logs)),
            Err(archy_podman::PodmanError::Api { status: 404, .. }) => Ok(None),
            Err(failure) => Err(error::podman(&failure).error),
        }
    }

    /// The last lines of a log whose container is gone.
    pub(super) async fn kept_log(&self, container: &str, lines: usize) -> Vec<LogLine> {
        // a container's name, never a path
        if container.contains('/') {
            return Vec::new();
        }
        let path = archy_quadlet::log_file(&self.config.data_dir, container);
        let read =
            tokio::task::spawn_blocking(move || archy_podman::read_log_file(&path, lines).ok());
        read.await.ok().flatten().unwrap_or_default()
    }

    /// The same, of these only the ones since a moment.
    async fn kept_entries(
        &self,
        container: &str,
        lines: usize,
        since: Option<Timestamp>,
    ) -> Vec<LogEntry> {
        let all = self.kept_log(container, lines).await.into_iter().map(entry);
        all.filter(|entry| since.is_none_or(|since| entry.at >= since)).collect()
    }
}

impl LogSource for SystemHost {
    fn tail<'a>(
        &'a self,
        container: &'a str,
        lines: usize,
        since: Option<Timestamp>,
    ) -> BoxFuture<'a, Result<Vec<LogEntry>, UserError>> {
        Box::pin(async move {
            let lines = lines.min(MAX_LINES);
            let Some(mut logs) = self.open_log(container, lines, since, false).await? else {
                return Ok(self.kept_entries(container, lines, since).await);
            };
            let read = async {
                let mut entries = Vec::new();
                while let Some(line) = logs.next().await {
                    entries.push(entry(line.map_err(|e| error::podman(&e).error)?));
                }
                Ok(entries)
            };
            tokio::time::timeout(LOOK_DEADLINE, read).await.unwrap_or_else(|_| {
                Err(UserError::new("podman-timeout", "Podman did not give the log in time."))
            })
        })
    }

    fn follow(
        &self,
        container: &str,
        lines: usize,
        since: Option<Timestamp>,
    ) -> BoxStream<'static, Result<LogEntry, UserError>> {
        let (host, container) = (self.clone(), container.to_owned());
        let opened = async move {
            match host.open_log(&container, lines.min(MAX_LINES), since, true).await {
                Ok(Some(logs)) => logs
                    .into_stream()
                    .map(|line| line.map(entry).map_err(|e| error::podman(&e).error))
                    .boxed(),
                Ok(None) => {
                    let kept = host.kept_entries(&container, lines.min(MAX_LINES), since).await;
                    stream::iter(kept.into_iter().map(Ok)).boxed()
                }
                Err(failure) => stream::once(async { Err(failure) }).boxed(),
            }
        };
        stream::once(opened).flatten().boxed()
    }
}

fn entry(line: LogLine) -> LogEntry {
    LogEntry {
        at: line.time.unwrap_or_default(),
        stream: match line.output {
            Output::Stderr => Stream::Stderr,
            _ => Stream::Stdout,
        },
        line: line.text,
    }
}

impl ExecSource for SystemHost {
    fn exec(
        &self,
        container: String,
        command: Vec<String>,
        user: Option<String>,
        deadline: Duration,
    ) -> BoxFuture<'_, Result<ExecOutput, UserError>> {
        Box::pin(async move {
            let done = archy_engine::ports::Containers::exec(
                self,
                &container,
                &command,
                user.as_deref(),
                deadline,
            );
            done.await.map_err(|failure| failure.error)
        })
    }
}

impl SystemSource for SystemHost {
    fn facts(&self) -> BoxFuture<'_, SystemFacts> {
        Box::pin(async move {
            let podman = self.podman.within(LOOK_DEADLINE);
            let version = async {
                let manager = self.bus.get().await?;
                manager.version().await.map_err(|e| systemd(&e))
            };
            let (podman_version, systemd_version) = tokio::join!(podman.ping(), version);
            SystemFacts {
                podman_version: match podman_version {
                    Ok(version) => Known::Yes(version.to_string()),
                    Err(failure) => Known::No(error::cause(&error::podman(&failure))),
                },
                systemd_version: match systemd_version {
                    Ok(version) => Known::Yes(version),
                    Err(failure) => Known::No(error::cause(&failure)),
                },
                lingering: Known::Yes(lingering()),
                cgroup_controllers: Known::Yes(
                    archy_systemd::delegated_controllers(&self.config.user_cgroup)
                        .unwrap_or_default(),
                ),
            }
        })
    }

    fn data_bytes<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Result<u64, UserError>> {
        Box::pin(async move {
            let path = self.app_path(app, "").map_err(|failure| failure.error)?;
            if !path.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
                return Ok(0);
            }
            self.unshare.size_of(&path).await.map_err(|e| error::unshare(&e).error)
        })
    }

    fn snapshots<'a>(
        &'a self,
        app: &'a AppId,
    ) -> BoxFuture<'a, Result<Vec<SnapshotFact>, UserError>> {
        let app = app.clone();
        let read = self.blocking(move |host| host.snapshot_facts(&app));
        Box::pin(async move { read.await.map_err(|failure| failure.error) })
    }
}

/// `loginctl enable-linger` leaves a file by the user's name.
pub(super) fn lingering() -> bool {
    let uid = nix::unistd::Uid::current();
    let user = nix::unistd::User::from_uid(uid).ok().flatten();
    user.is_some_and(|user| Path::new("/var/lib/systemd/linger").join(user.name).exists())
}
