//! Containers: list, inspect, remove, kill, run the health check.

use std::{collections::BTreeMap, time::Duration};

use archy_types::{Health, Timestamp};
use http::Method;
use serde::Deserialize;

use crate::{
    Podman, PodmanError,
    call::Call,
    wire::{health, nullable, time, unix_seconds},
};

/// State of a container (`define.ContainerStatus`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContainerState {
    /// Exists in the database only.
    Configured,
    /// Exists in the runtime.
    #[serde(alias = "initialized")]
    Created,
    /// Its process runs.
    Running,
    /// Being stopped.
    Stopping,
    /// Was stopped and is cleaned up.
    Stopped,
    /// Frozen.
    Paused,
    /// Its process ended.
    Exited,
    /// Being removed.
    Removing,
    /// Podman does not know, or a word newer than this program.
    #[default]
    #[serde(other)]
    Unknown,
}

/// A port of the host that leads to a container.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PortMapping {
    /// Address on the host; empty is all.
    #[serde(default)]
    pub host_ip: String,
    /// First port in the container.
    pub container_port: u16,
    /// First port on the host.
    #[serde(default)]
    pub host_port: u16,
    /// How many ports in a row.
    #[serde(default)]
    pub range: u16,
    /// `tcp`, `udp` or `sctp`.
    #[serde(default)]
    pub protocol: String,
}

/// A container as the list shows it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Container {
    /// Id, 64 hex digits.
    #[serde(rename = "Id")]
    pub id: String,
    /// Names; the first is the one it was made with.
    #[serde(rename = "Names", default, deserialize_with = "nullable")]
    pub names: Vec<String>,
    /// Image as it was named at creation.
    #[serde(rename = "Image", default)]
    pub image: String,
    /// Id of the image.
    #[serde(rename = "ImageID", default)]
    pub image_id: String,
    /// Labels.
    #[serde(rename = "Labels", default, deserialize_with = "nullable")]
    pub labels: BTreeMap<String, String>,
    /// State.
    #[serde(rename = "State", default)]
    pub state: ContainerState,
    /// Health; `None` without a check.
    #[serde(rename = "Status", default, deserialize_with = "health")]
    pub health: Option<Health>,
    /// Exit code of the last run; meaningless while it runs.
    #[serde(rename = "ExitCode", default)]
    pub exit_code: i32,
    /// Process id on the host; 0 when none runs.
    #[serde(rename = "Pid", default)]
    pub pid: i32,
    /// When it was made.
    #[serde(rename = "Created", default, deserialize_with = "time")]
    pub created: Option<Timestamp>,
    /// When it was last started.
    #[serde(rename = "StartedAt", default, deserialize_with = "unix_seconds")]
    pub started_at: Option<Timestamp>,
    /// When it last ended.
    #[serde(rename = "ExitedAt", default, deserialize_with = "unix_seconds")]
    pub exited_at: Option<Timestamp>,
    /// Published ports.
    #[serde(rename = "Ports", default, deserialize_with = "nullable")]
    pub ports: Vec<PortMapping>,
    /// Paths in the container that are mounts.
    #[serde(rename = "Mounts", default, deserialize_with = "nullable")]
    pub mounts: Vec<String>,
    /// Networks by name.
    #[serde(rename = "Networks", default, deserialize_with = "nullable")]
    pub networks: Vec<String>,
    /// The infrastructure container of a pod.
    #[serde(rename = "IsInfra", default)]
    pub is_infra: bool,
}

/// A mount of a container.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Mount {
    /// `bind`, `volume`, `tmpfs`, `image`.
    #[serde(rename = "Type", default)]
    pub kind: String,
    /// Name of the volume; empty for others.
    #[serde(rename = "Name", default)]
    pub name: String,
    /// Path on the host.
    #[serde(rename = "Source", default)]
    pub source: String,
    /// Path in the container.
    #[serde(rename = "Destination", default)]
    pub destination: String,
    /// May be written to.
    #[serde(rename = "RW", default)]
    pub writable: bool,
}

/// One run of a health check.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct HealthLogEntry {
    /// When it began.
    #[serde(rename = "Start", default, deserialize_with = "time")]
    pub start: Option<Timestamp>,
    /// When it ended.
    #[serde(rename = "End", default, deserialize_with = "time")]
    pub end: Option<Timestamp>,
    /// 0 is well.
    #[serde(rename = "ExitCode", default)]
    pub exit_code: i32,
    /// What the check printed.
    #[serde(rename = "Output", default)]
    pub output: String,
}

/// Health of a container with its last checks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct HealthReport {
    /// Health; `None` without a check.
    #[serde(rename = "Status", default, deserialize_with = "health")]
    pub status: Option<Health>,
    /// Failed checks in a row.
    #[serde(rename = "FailingStreak", default)]
    pub failing_streak: u32,
    /// The last checks, oldest first.
    #[serde(rename = "Log", default, deserialize_with = "nullable")]
    pub log: Vec<HealthLogEntry>,
}

/// A container's place in a network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ContainerNetwork {
    /// IPv4 address; empty while it does not run.
    #[serde(rename = "IPAddress")]
    pub ip: String,
    /// Names by which others find it.
    #[serde(rename = "Aliases", deserialize_with = "nullable")]
    pub aliases: Vec<String>,
}

/// One container in detail. Its environment is not read: it may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerDetail {
    /// Id, 64 hex digits.
    pub id: String,
    /// Name.
    pub name: String,
    /// Image as it was named at creation.
    pub image: String,
    /// Id of the image.
    pub image_id: String,
    /// Digest of the image, `sha256:…`.
    pub image_digest: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// State.
    pub state: ContainerState,
    /// Process id on the host; 0 when none runs.
    pub pid: i32,
    /// Exit code of the last run.
    pub exit_code: i32,
    /// The kernel ended it for want of memory.
    pub oom_killed: bool,
    /// What the runtime said when it could not be started.
    pub error: String,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// When it was last started.
    pub started_at: Option<Timestamp>,
    /// When it last ended.
    pub finished_at: Option<Timestamp>,
    /// How often Podman restarted it (not systemd).
    pub restart_count: u32,
    /// Health with its log.
    pub health: HealthReport,
    /// Mounts.
    pub mounts: Vec<Mount>,
    /// Networks by name.
    pub networks: BTreeMap<String, ContainerNetwork>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawDetail {
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    image: String,
    #[serde(default)]
    image_name: String,
    #[serde(default)]
    image_digest: String,
    #[serde(default, deserialize_with = "time")]
    created: Option<Timestamp>,
    #[serde(default)]
    restart_count: u32,
    state: RawState,
    #[serde(default, deserialize_with = "nullable")]
    mounts: Vec<Mount>,
    #[serde(default, deserialize_with = "nullable")]
    config: RawConfig,
    #[serde(default, deserialize_with = "nullable")]
    network_settings: RawNetworks,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct RawState {
    status: ContainerState,
    #[serde(rename = "OOMKilled")]
    oom_killed: bool,
    pid: i32,
    exit_code: i32,
    error: String,
    #[serde(deserialize_with = "time")]
    started_at: Option<Timestamp>,
    #[serde(deserialize_with = "time")]
    finished_at: Option<Timestamp>,
    #[serde(alias = "Healthcheck", deserialize_with = "nullable")]
    health: HealthReport,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct RawConfig {
    #[serde(deserialize_with = "nullable")]
    labels: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct RawNetworks {
    #[serde(deserialize_with = "nullable")]
    networks: BTreeMap<String, ContainerNetwork>,
}

// === impl Container ===

impl Container {
    /// The first name, or the id when there is none.
    #[must_use]
    pub fn name(&self) -> &str {
        self.names.first().unwrap_or(&self.id)
    }
}

impl From<RawDetail> for ContainerDetail {
    fn from(raw: RawDetail) -> Self {
        let RawDetail { id, name, image, image_name, image_digest, created, .. } = raw;
        let RawState { status, oom_killed, pid, exit_code, error, .. } = raw.state;
        Self {
            id,
            name,
            image: image_name,
            image_id: image,
            image_digest,
            labels: raw.config.labels,
            state: status,
            pid,
            exit_code,
            oom_killed,
            error,
            created,
            started_at: raw.state.started_at,
            finished_at: raw.state.finished_at,
            restart_count: raw.restart_count,
            health: raw.state.health,
            mounts: raw.mounts,
            networks: raw.network_settings.networks,
        }
    }
}

// === impl Podman ===

impl Podman {
    /// All containers, running or not, that carry every one of `labels` (`key` or `key=value`).
    ///
    /// # Errors
    /// Those of every call. An error is not an empty list.
    pub async fn containers(&self, labels: &[&str]) -> Result<Vec<Container>, PodmanError> {
        let call = Call::get(&["containers", "json"]).query("all", "true").labels(labels);
        self.json(&call).await
    }

    /// A container by name or id; `None` when there is none.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn container(&self, name: &str) -> Result<Option<ContainerDetail>, PodmanError> {
        let call = Call::get(&["containers", name, "json"]);
        let raw: Option<RawDetail> = self.json_if_exists(&call).await?;
        Ok(raw.map(Into::into))
    }

    /// Whether there is a container of this name or id.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn container_exists(&self, name: &str) -> Result<bool, PodmanError> {
        self.done_if_exists(&Call::get(&["containers", name, "exists"])).await
    }

    /// Removes a container with its anonymous volumes, also a running one: it gets its stop signal
    /// and `grace` (its own stop timeout when `None`), then it is killed. Named volumes stay.
    /// The deadline must be longer than the grace. False when it was not there.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn remove_container(
        &self,
        name: &str,
        grace: Option<Duration>,
    ) -> Result<bool, PodmanError> {
        let mut call =
            Call::delete(&["containers", name]).query("force", "true").query("v", "true");
        if let Some(grace) = grace {
            call = call.query("timeout", &grace.as_secs().to_string());
        }
        self.done_if_exists(&call).await
    }

    /// Sends a signal (`KILL`, `HUP`, …) to a container's first process.
    ///
    /// # Errors
    /// Those of every call; a conflict when it does not run.
    pub async fn kill_container(&self, name: &str, signal: &str) -> Result<(), PodmanError> {
        self.done(&Call::post(&["containers", name, "kill"]).query("signal", signal)).await
    }

    /// Runs the container's health check now and answers its health.
    ///
    /// # Errors
    /// Those of every call; a conflict when it has no check or does not run.
    pub async fn run_healthcheck(&self, name: &str) -> Result<HealthReport, PodmanError> {
        self.json(&Call::new(Method::GET, &["containers", name, "healthcheck"])).await
    }
}
