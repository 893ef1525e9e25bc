//! Facts about the host: addresses, names, space, memory.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;

use archy_manifest::template::Placeholder;
use archy_types::doctor::{self, Room};

use super::HostConfig;

/// Values of the placeholders that this node knows.
pub(super) fn placeholder_values(config: &HostConfig) -> BTreeMap<Placeholder, String> {
    let mut values = BTreeMap::new();
    let address = config.host_ip.or_else(primary_ipv4).unwrap_or(Ipv4Addr::LOCALHOST);
    values.insert(Placeholder::HostIp, address.to_string());
    let public = config.public_host.clone().unwrap_or_else(|| address.to_string());
    values.insert(Placeholder::PublicHost, public);
    values.insert(Placeholder::HostMdns, format!("{}.local", hostname()));
    if let Some(total) = disk(&config.data_dir).or_else(|| disk(Path::new("/"))) {
        values.insert(Placeholder::DiskGb, (total.usable / 1_000_000_000).to_string());
    }
    for (role, app) in &config.role_defaults {
        values.insert(Placeholder::RoleHost(role.clone()), app.clone());
    }
    values
}

/// Name of this host.
pub(crate) fn hostname() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}

/// The address of the interface that holds the default route, else of the first one that is up.
pub(crate) fn primary_ipv4() -> Option<Ipv4Addr> {
    let route = std::fs::read_to_string("/proc/net/route").ok();
    let default = route.as_deref().and_then(default_interface);
    let addresses = nix::ifaddrs::getifaddrs().ok()?;
    let mut first = None;
    for interface in addresses {
        let Some(address) = interface.address.as_ref().and_then(|a| a.as_sockaddr_in()) else {
            continue;
        };
        let ip = address.ip();
        if ip.is_loopback() {
            continue;
        }
        if default == Some(interface.interface_name.as_str()) {
            return Some(ip);
        }
        first.get_or_insert(ip);
    }
    first
}

/// The interface with destination 0.0.0.0 in `/proc/net/route` (proc_net(5)).
fn default_interface(route: &str) -> Option<&str> {
    route.lines().skip(1).find_map(|line| {
        let mut words = line.split_whitespace();
        let name = words.next()?;
        (words.next()? == "00000000").then_some(name)
    })
}

/// Space of a file system in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Disk {
    /// What an unprivileged user could ever use.
    pub(crate) usable: u64,
    /// What is free for an unprivileged user now.
    pub(crate) free: u64,
}

/// Space of the file system that holds `path`.
pub(crate) fn disk(path: &Path) -> Option<Disk> {
    let stat = rustix::fs::statvfs(path).ok()?;
    let reserved = stat.f_bfree.saturating_sub(stat.f_bavail);
    Some(Disk {
        usable: stat.f_blocks.saturating_sub(reserved) * stat.f_frsize,
        free: stat.f_bavail * stat.f_frsize,
    })
}

/// Room on the file system that holds `path`.
pub(crate) fn room(path: &Path) -> Option<Room> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some(Room {
        total: stat.f_blocks * stat.f_frsize,
        free: stat.f_bavail * stat.f_frsize,
        inodes: stat.f_files,
        inodes_free: stat.f_favail,
        read_only: stat.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
    })
}

/// The same in words.
pub(crate) fn figures(path: &Path) -> Option<String> {
    let room = room(path)?;
    let (free, total) = (doctor::size(room.free), doctor::size(room.total));
    let inodes = match room.inodes {
        0 => String::new(),
        _ => format!(" and {} of {} inodes", room.inodes_free, room.inodes),
    };
    Some(format!("{free} of {total}{inodes} are free on {}", path.display()))
}

/// A figure of `/proc/meminfo` in bytes, for example `MemAvailable`.
pub(crate) fn meminfo(key: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.split(':').next() == Some(key))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// Lowest port that needs no rights to listen on (ip(7); ip-sysctl of the kernel).
pub(super) fn lowest_port() -> Option<u16> {
    let figure = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").ok()?;
    figure.trim().parse().ok()
}

/// The host's architecture in OCI words.
pub(super) const fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_route_names_its_interface() {
        let text = "Iface\tDestination\tGateway\nbr0\t0000A8C0\t0\neth0\t00000000\t0101A8C0\n";
        assert_eq!(default_interface(text), Some("eth0"));
        assert_eq!(default_interface("Iface\n"), None);
    }
}
