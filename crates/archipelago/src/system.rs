//! Facts about the host that need no adapter: `/proc`, the user database, the file system.

use std::path::Path;
use std::sync::PoisonError;

use archy_api::system::{SystemInfo, SystemStats, UserInfo};
use archy_plan::Known;
use archy_types::{Cause, PodmanVersion, UserError};
use tokio::sync::Mutex;

use crate::app::{App, VERSION, host_ip};
use crate::clock;
use crate::config::{Mode, User};
use crate::sources::SystemFacts;

/// Measurements are repeated after so long (milliseconds).
const STATS_AGE: i64 = 5000;

/// The answer to `system.info`.
pub async fn info(app: &App, facts: SystemFacts) -> SystemInfo {
    let paths = &app.config.paths;
    let mut unknown = Vec::new();
    let podman_version = known(facts.podman_version, &mut unknown);
    let systemd_version = known(facts.systemd_version, &mut unknown);
    let lingering = known(facts.lingering, &mut unknown);
    let cgroup_controllers = known(facts.cgroup_controllers, &mut unknown);
    let data_dir = paths.data_dir.clone();
    let unit_dir = paths.quadlet_dir.clone();
    let local = tokio::task::spawn_blocking(move || Local::look(&data_dir, &unit_dir)).await;
    let local = local.unwrap_or_default();
    let addresses = app.addresses.read().unwrap_or_else(PoisonError::into_inner).clone();
    SystemInfo {
        version: VERSION.to_owned(),
        hostname: app.hostname.clone(),
        os: local.os,
        kernel: local.kernel,
        architecture: architecture().to_owned(),
        node_mode: app.config.mode == Mode::Node,
        host_ip: host_ip(&app.config).map(|ip| ip.to_string()),
        podman_version,
        podman_floor: PodmanVersion::FLOOR.to_string(),
        systemd_version,
        user: UserInfo {
            name: local.user.name,
            uid: local.user.uid,
            lingering,
            subuids: local.subuids,
            subgids: local.subgids,
        },
        cgroup_controllers,
        data_dir: paths.data_dir.display().to_string(),
        unit_dir: paths.quadlet_dir.display().to_string(),
        unit_dir_writable: local.unit_dir_writable,
        disk_total_bytes: local.disk.map(|disk| disk.0),
        disk_free_bytes: local.disk.map(|disk| disk.1),
        memory_total_bytes: local.memory.map(|memory| memory.0),
        memory_available_bytes: local.memory.map(|memory| memory.1),
        api_addresses: addresses,
        unknown,
    }
}

fn known<T>(fact: Known<T>, unknown: &mut Vec<Cause>) -> Option<T> {
    match fact {
        Known::Yes(fact) => Some(fact),
        Known::No(cause) => {
            unknown.push(cause);
            None
        }
    }
}

/// The architecture in OCI words.
#[must_use]
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

struct Local {
    os: Option<String>,
    kernel: Option<String>,
    user: User,
    subuids: Option<u64>,
    subgids: Option<u64>,
    disk: Option<(u64, u64)>,
    memory: Option<(u64, u64)>,
    unit_dir_writable: bool,
}

impl Default for Local {
    fn default() -> Self {
        Self::look(Path::new("/"), Path::new("/nonexistent"))
    }
}

impl Local {
    fn look(data_dir: &Path, unit_dir: &Path) -> Self {
        let user = User::current();
        let kernel = rustix::system::uname();
        Self {
            os: os_name(&std::fs::read_to_string("/etc/os-release").unwrap_or_default()),
            kernel: kernel.release().to_str().ok().map(str::to_owned),
            subuids: subordinates("/etc/subuid", &user),
            subgids: subordinates("/etc/subgid", &user),
            disk: disk(data_dir),
            memory: memory(&std::fs::read_to_string("/proc/meminfo").unwrap_or_default()),
            unit_dir_writable: writable(unit_dir),
            user,
        }
    }
}

fn os_name(release: &str) -> Option<String> {
    let value = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(value.trim().trim_matches(['"', '\'']).to_owned())
}

/// How many subordinate ids the user's ranges hold (subuid(5)).
pub(crate) fn subordinates(file: &str, user: &User) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let uid = user.uid.to_string();
    let counts = text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let count = fields.nth(1)?;
        (name == user.name || name == uid).then(|| count.trim().parse::<u64>().ok())?
    });
    Some(counts.sum())
}

/// Total and free bytes, the latter for this user.
fn disk(path: &Path) -> Option<(u64, u64)> {
    let data = rustix::fs::statvfs(path).ok()?;
    Some((data.f_blocks * data.f_frsize, data.f_bavail * data.f_frsize))
}

/// Total and available bytes.
pub(crate) fn memory(meminfo: &str) -> Option<(u64, u64)> {
    let field = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib * 1024)
    };
    Some((field("MemTotal:")?, field("MemAvailable:")?))
}

pub(crate) fn writable(dir: &Path) -> bool {
    // a directory that is not there yet is made when it is needed
    let existing = dir.ancestors().find(|dir| dir.exists());
    existing.is_some_and(|dir| rustix::fs::access(dir, rustix::fs::Access::WRITE_OK).is_ok())
}

/// Busy and total time of all cores, from the first line of `/proc/stat`.
pub(crate) fn cpu_times(stat: &str) -> Option<(u64, u64)> {
    let fields = stat.lines().next()?.strip_prefix("cpu ")?;
    let times: Vec<u64> = fields.split_whitespace().filter_map(|n| n.parse().ok()).collect();
    let total = times.iter().take(8).sum();
    let idle = times.get(3)? + times.get(4)?;
    Some((u64::saturating_sub(total, idle), total))
}

/// The last measurement.
#[derive(Debug, Default)]
pub struct StatsCache {
    last: Mutex<Option<(SystemStats, (u64, u64))>>,
}

impl StatsCache {
    /// Processor, memory and disk use, at most 5 s old.
    ///
    /// # Errors
    /// `/proc` or the file system of the data directory cannot be read.
    pub async fn get(&self, data_dir: &Path) -> Result<SystemStats, UserError> {
        let mut last = self.last.lock().await;
        let now = clock::now().0;
        if let Some((stats, _)) =
            last.as_ref().filter(|(s, _)| (0..STATS_AGE).contains(&(now - s.at)))
        {
            return Ok(stats.clone());
        }
        let before = last.as_ref().map(|(_, times)| *times);
        let dir = data_dir.to_owned();
        let measured = tokio::task::spawn_blocking(move || measure(&dir, now, before)).await;
        let measured = measured.ok().flatten().ok_or_else(|| {
            UserError::new("host-unreachable", "The system's figures cannot be read.")
                .hint("Look whether /proc is mounted and the data directory exists.")
        })?;
        *last = Some(measured.clone());
        Ok(measured.0)
    }
}

fn measure(
    data_dir: &Path,
    at: i64,
    before: Option<(u64, u64)>,
) -> Option<(SystemStats, (u64, u64))> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let times = cpu_times(&read("/proc/stat")?)?;
    let percent = before.and_then(|(busy, total)| {
        let span = times.1.checked_sub(total).filter(|span| *span > 0)?;
        let used = times.0.saturating_sub(busy).min(span);
        // a tenth of a percent is as exact as it gets
        let tenths = u32::try_from(used * 1000 / span).ok()?;
        Some(f64::from(tenths) / 10.0)
    });
    let loads = read("/proc/loadavg")?;
    let mut loads = loads.split_whitespace().filter_map(|load| load.parse().ok());
    let (memory_total_bytes, memory_available_bytes) = memory(&read("/proc/meminfo")?)?;
    let (disk_total_bytes, disk_free_bytes) = disk(data_dir)?;
    let uptime = read("/proc/uptime")?;
    let stats = SystemStats {
        at,
        cpu_percent: percent,
        cpu_count: std::thread::available_parallelism()
            .map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX)),
        load: [loads.next()?, loads.next()?, loads.next()?],
        memory_total_bytes,
        memory_available_bytes,
        disk_total_bytes,
        disk_free_bytes,
        uptime_seconds: uptime.split('.').next()?.parse().ok()?,
    };
    Some((stats, times))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_the_kernel() {
        assert_eq!(os_name("A=1\nPRETTY_NAME=\"Debian 13\"\n").as_deref(), Some("Debian 13"));
        let text = "MemTotal:  100 kB\nMemFree: 1 kB\nMemAvailable:   50 kB\n";
        assert_eq!(memory(text), Some((102_400, 51_200)));
        assert_eq!(memory("MemTotal: x"), None);
        assert_eq!(cpu_times("cpu  10 0 20 60 10 0 0 0 0 0\ncpu0 1"), Some((30, 100)));
        assert_eq!(cpu_times(""), None);
    }

    #[tokio::test]
    async fn a_second_look_within_5_s_is_the_first() {
        let cache = StatsCache::default();
        let first = cache.get(Path::new("/")).await.unwrap();
        assert_eq!(first.cpu_percent, None);
        assert!(first.memory_total_bytes >= first.memory_available_bytes);
        assert_eq!(cache.get(Path::new("/")).await.unwrap(), first);
    }
}
