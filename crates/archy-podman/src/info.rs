//! What Podman says of itself and of the host.

use archy_types::PodmanVersion;
use serde::Deserialize;

use crate::{Podman, PodmanError, call::Call, wire::nullable};

/// Header in which the socket names its API's version.
const VERSION_HEADER: &str = "libpod-api-version";

/// The API's version, which is Podman's own.
pub type ApiVersion = PodmanVersion;

/// Podman and its host (`GET info`). Takes over 100 ms: ask seldom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// Podman's version.
    pub version: PodmanVersion,
    /// Runs without root.
    pub rootless: bool,
    /// Architecture as Go names it: `amd64`, `arm64`.
    pub arch: String,
    /// Kernel release.
    pub kernel: String,
    /// Host name.
    pub hostname: String,
    /// Number of processors.
    pub cpus: u32,
    /// Memory of the host in bytes.
    pub mem_total: u64,
    /// Free memory of the host in bytes.
    pub mem_free: u64,
    /// Cgroup controllers that Podman may use: `cpu`, `memory`, `pids`, ….
    pub cgroup_controllers: Vec<String>,
    /// `v2`, or `v1` on old hosts.
    pub cgroup_version: String,
    /// `systemd` or `cgroupfs`.
    pub cgroup_manager: String,
    /// Log driver of containers that name none.
    pub log_driver: String,
    /// `pasta` or `slirp4netns`.
    pub rootless_network: String,
    /// Directory that holds images and containers.
    pub graph_root: String,
    /// Directory that holds named volumes.
    pub volume_path: String,
    /// Size in bytes of the file system below `graph_root`.
    pub graph_root_allocated: u64,
    /// Used bytes of that file system.
    pub graph_root_used: u64,
    /// Storage driver: `overlay`, `vfs`, ….
    pub storage_driver: String,
}

#[derive(Deserialize)]
struct RawInfo {
    host: RawHost,
    store: RawStore,
    version: RawVersion,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct RawHost {
    arch: String,
    kernel: String,
    hostname: String,
    cpus: u32,
    mem_total: u64,
    mem_free: u64,
    #[serde(deserialize_with = "nullable")]
    cgroup_controllers: Vec<String>,
    cgroup_version: String,
    cgroup_manager: String,
    log_driver: String,
    rootless_network_cmd: String,
    security: RawSecurity,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawSecurity {
    rootless: bool,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct RawStore {
    graph_root: String,
    volume_path: String,
    graph_root_allocated: u64,
    graph_root_used: u64,
    graph_driver_name: String,
}

#[derive(Deserialize)]
struct RawVersion {
    #[serde(rename = "Version")]
    version: String,
}

// === impl Podman ===

impl Podman {
    /// The API's version (`GET _ping`). Takes under a millisecond on a warm socket.
    ///
    /// # Errors
    /// The socket cannot be reached, or does not name its version.
    pub async fn ping(&self) -> Result<ApiVersion, PodmanError> {
        let call = Call::get(&["_ping"]);
        let decode = |why: String| PodmanError::Decode { op: call.op.clone(), why };
        self.timed(&call.op, async {
            let answer = self.open(&call).await?;
            let header = answer.headers().get(VERSION_HEADER);
            let text = header
                .and_then(|h| h.to_str().ok())
                .ok_or_else(|| decode("it has no Libpod-API-Version".to_owned()))?;
            text.parse().map_err(|e| decode(format!("version {text:?}: {e}")))
        })
        .await
    }

    /// The API's version, if it is new enough.
    ///
    /// # Errors
    /// Those of [`Self::ping`], and a version below [`PodmanVersion::FLOOR`].
    pub async fn check_version(&self) -> Result<ApiVersion, PodmanError> {
        let found = self.ping().await?;
        let floor = PodmanVersion::FLOOR;
        if found < floor {
            return Err(PodmanError::TooOld { found, floor });
        }
        Ok(found)
    }

    /// Podman and its host.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn info(&self) -> Result<Info, PodmanError> {
        let call = Call::get(&["info"]);
        let RawInfo { host, store, version } = self.json(&call).await?;
        let version = version.version.parse().map_err(|e| PodmanError::Decode {
            op: call.op.clone(),
            why: format!("version {:?}: {e}", version.version),
        })?;
        Ok(Info {
            version,
            rootless: host.security.rootless,
            arch: host.arch,
            kernel: host.kernel,
            hostname: host.hostname,
            cpus: host.cpus,
            mem_total: host.mem_total,
            mem_free: host.mem_free,
            cgroup_controllers: host.cgroup_controllers,
            cgroup_version: host.cgroup_version,
            cgroup_manager: host.cgroup_manager,
            log_driver: host.log_driver,
            rootless_network: host.rootless_network_cmd,
            graph_root: store.graph_root,
            volume_path: store.volume_path,
            graph_root_allocated: store.graph_root_allocated,
            graph_root_used: store.graph_root_used,
            storage_driver: store.graph_driver_name,
        })
    }
}
