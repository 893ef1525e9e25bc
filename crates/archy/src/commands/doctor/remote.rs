//! Checks that the daemon helps with.

use std::collections::BTreeMap;

use archy_api::NoParams;
use archy_api::method::{Health, ServerGetState, SystemInfo};
use archy_api::state::{PackageState, Protocol, StateData};
use archy_api::system;
use archy_client::ClientError;
use archy_types::PodmanVersion;

use super::Check;
use crate::context::Context;

const GIB: u64 = 1024 * 1024 * 1024;
/// Subordinate ids that rootless containers need.
const IDS_NEEDED: u64 = 65_536;

/// Adds the checks; nothing when the daemon does not answer.
pub(super) async fn checks(context: &Context, out: &mut Vec<Check>) -> Option<()> {
    let health = match context.client.call::<Health>(NoParams {}).await {
        Ok(health) => health,
        Err(error) => {
            out.push(unreachable(context, &error));
            return None;
        }
    };
    out.push(Check::ok("daemon", format!("version {} answers", health.version)));
    if !health.crash_recovery_complete {
        out.push(Check::warn(
            "recovery",
            "an earlier run is still being cleaned up",
            "wait for it",
        ));
    }
    match context.client.call::<SystemInfo>(NoParams {}).await {
        Ok(info) => host(&info, out),
        Err(error) => out.push(asked("host", &error)),
    }
    match context.client.call::<ServerGetState>(NoParams {}).await {
        Ok(state) => apps(&state.data, out),
        Err(error) => out.push(asked("apps", &error)),
    }
    Some(())
}

fn unreachable(context: &Context, error: &ClientError) -> Check {
    let detail = match error {
        ClientError::Unreachable { source, .. } => source.to_string(),
        other => other.to_string(),
    };
    let detail = format!("{} does not answer: {detail}", context.socket.display());
    Check::fail("daemon", detail, error.hint().unwrap_or("`systemctl status archipelago`"))
}

fn asked(name: &str, error: &ClientError) -> Check {
    let mend = error.hint().unwrap_or("`journalctl -u archipelago` may say more").to_owned();
    Check::fail(name, error.to_string(), mend)
}

fn host(info: &system::SystemInfo, out: &mut Vec<Check>) {
    out.push(podman(info.podman_version.as_deref(), &info.podman_floor));
    if let Some(lingering) = info.user.lingering {
        out.push(super::host::linger(&info.user.name, lingering));
    }
    if let Some(count) = info.user.subuids {
        out.push(ids("subuid", &info.user.name, count));
    }
    if let Some(count) = info.user.subgids {
        out.push(ids("subgid", &info.user.name, count));
    }
    if let Some(controllers) = &info.cgroup_controllers {
        out.push(super::host::controllers(controllers));
    }
    if let (Some(total), Some(free)) = (info.disk_total_bytes, info.disk_free_bytes) {
        out.push(disk(&info.data_dir, total, free));
    }
    out.push(match info.unit_dir_writable {
        true => Check::ok("unit dir", format!("{} can be written", info.unit_dir)),
        false => Check::fail(
            "unit dir",
            format!("{} cannot be written", info.unit_dir),
            format!("give {} to {}", info.unit_dir, info.user.name),
        ),
    });
    for cause in &info.unknown {
        let detail = format!("{} [{}]", cause.text, cause.code);
        out.push(Check::warn("unknown", detail, "`journalctl -u archipelago` may say more"));
    }
}

fn podman(version: Option<&str>, floor: &str) -> Check {
    let Some(version) = version else {
        return Check::fail(
            "podman",
            "does not answer",
            "`systemctl --user status podman.socket` as the service user",
        );
    };
    let parsed = (version.parse::<PodmanVersion>(), floor.parse::<PodmanVersion>());
    match parsed {
        (Ok(found), Ok(needed)) if found < needed => Check::fail(
            "podman",
            format!("{version} is older than {floor}"),
            format!("install Podman {floor} or newer"),
        ),
        _ => Check::ok("podman", version),
    }
}

/// Subordinate ids of a user.
pub(super) fn ids(name: &str, user: &str, count: u64) -> Check {
    if count >= IDS_NEEDED {
        return Check::ok(name, format!("{user} has {count}"));
    }
    let mend = format!("`usermod --add-{name}s 100000-165535 {user}`, then log in again");
    Check::fail(name, format!("{user} has {count} of {IDS_NEEDED}"), mend)
}

/// Room on the data directory's file system.
pub(super) fn disk(path: &str, total: u64, free: u64) -> Check {
    let percent = free.saturating_mul(100) / total.max(1);
    #[expect(clippy::cast_precision_loss, reason = "a size for people")]
    let text = format!("{:.1} GiB free on {path} ({percent} %)", free as f64 / GIB as f64);
    let mend = "remove what is not needed: `podman image prune`, `archy uninstall --purge`";
    match percent {
        0..=4 => Check::fail("disk", text, mend),
        _ if free < GIB => Check::fail("disk", text, mend),
        5..=9 => Check::warn("disk", text, mend),
        _ => Check::ok("disk", text),
    }
}

fn apps(data: &StateData, out: &mut Vec<Check>) {
    if let Some(cause) = &data.stale_because {
        out.push(Check::fail(
            "host view",
            cause.text.clone(),
            "`systemctl --user status podman.socket` as the service user",
        ));
    }
    out.push(ports(data));
    let mut well = true;
    for (id, package) in &data.package_data {
        let broken = matches!(package.state, PackageState::Exited | PackageState::Unknown);
        let unhealthy = package.health == Some(archy_types::Health::Unhealthy);
        if broken || unhealthy {
            well = false;
            let mend = format!("`archy status {id}` and `archy logs {id}`");
            out.push(Check::warn("app", format!("{id}: {}", package.status.cause.text), mend));
        }
    }
    if well {
        let count = data.package_data.len();
        out.push(Check::ok("apps", format!("{count} installed, none is failed or unhealthy")));
    }
}

fn ports(data: &StateData) -> Check {
    let mut users: BTreeMap<(u16, Protocol), Vec<&str>> = BTreeMap::new();
    for (id, package) in &data.package_data {
        for port in &package.ports {
            users.entry((port.host, port.protocol)).or_default().push(id);
        }
    }
    for list in users.values_mut() {
        list.dedup();
    }
    let clashes: Vec<_> = users
        .iter()
        .filter(|(_, apps)| apps.len() > 1)
        .map(|((port, _), apps)| format!("{port}: {}", apps.join(" and ")))
        .collect();
    if clashes.is_empty() {
        return Check::ok("ports", format!("{} published, no clash", users.len()));
    }
    let mend = "install one of them with `--port DECLARED=HOST`";
    Check::fail("ports", format!("two apps want the same port: {}", clashes.join(", ")), mend)
}
