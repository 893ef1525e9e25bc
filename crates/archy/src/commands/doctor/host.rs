//! Checks that need no daemon: files of this machine.

use std::path::Path;

use archy_types::doctor::{self, Check};

use crate::environment::Environment;

/// The service user of a node.
pub(super) const SERVICE_USER: &str = "archipelago";
/// Directories of a node and what is kept there.
const DIRS: [(&str, &str); 2] =
    [("data", "/var/lib/archipelago"), ("store", "/var/lib/archipelago/state")];

/// Adds the checks.
pub(super) fn checks(environment: &Environment, out: &mut Vec<Check>) {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let kernel = read("/proc/sys/kernel/osrelease");
    out.push(doctor::kernel(kernel.as_deref().map(str::trim)));
    let lowest = read("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    out.push(doctor::lowest_port(lowest.and_then(|text| text.trim().parse().ok())));
    let passwd = read("/etc/passwd").unwrap_or_default();
    let Some((user, uid)) = subject(&passwd, environment.uid) else {
        let text = "the service user is not known";
        out.push(Check::warn("host", "user", text, "install the package"));
        return;
    };
    let lingering = Path::new("/var/lib/systemd/linger").join(&user).exists();
    out.push(doctor::linger(&user, lingering));
    for (name, file) in [("subuid", "/etc/subuid"), ("subgid", "/etc/subgid")] {
        let text = read(file).unwrap_or_default();
        out.push(doctor::ids(name, &user, subordinate(&text, &user, uid)));
    }
    let group = format!("/sys/fs/cgroup/user.slice/user-{uid}.slice/user@{uid}.service");
    match read(&format!("{group}/cgroup.controllers")) {
        Some(text) => {
            let list: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
            out.push(doctor::controllers(&list));
        }
        None => {
            let text = format!("systemd runs no manager for {user}");
            let mend = format!("`loginctl enable-linger {user}` as root");
            out.push(Check::fail("systemd", "manager", text, mend));
        }
    }
    let socket = format!("/run/user/{uid}/podman/podman.sock");
    out.push(match Path::new(&socket).exists() {
        true => Check::ok("podman", "socket", format!("{socket} is there")),
        false => {
            let mend = format!("`systemctl --user enable --now podman.socket` as {user}");
            Check::fail("podman", "socket", format!("{socket} is missing"), mend)
        }
    });
    store(out);
    let synchronised = Path::new("/run/systemd/timesync/synchronized").exists();
    let kept = synchronised || Path::new("/run/systemd/timesync").exists();
    out.push(doctor::synchronised(kept.then_some(synchronised)));
}

/// The store's files and the room beside them, as far as this user may see them.
fn store(out: &mut Vec<Check>) {
    for (what, path) in DIRS {
        if let Some(room) = room(Path::new(path)) {
            out.push(doctor::space(what, path, Some(room)));
            out.push(doctor::inodes(&format!("{what} inodes"), path, Some(room)));
        }
    }
    let dir = Path::new("/var/lib/archipelago/state");
    let has = |name: &str| std::fs::metadata(dir.join(name)).map(|meta| meta.len() > 0);
    let mend = "stop the daemon, then `archy doctor --rebuild` as root; a start does it as well";
    match (has("state.db"), has("state.last-good.db")) {
        (Err(error), _) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            out.push(Check::unknown("store", "files", "this user may not look at them"));
        }
        (Ok(true), _) => out.push(Check::ok("store", "files", "the database is there")),
        (_, Ok(true)) => {
            let text = "the database is missing, its last good copy is there";
            out.push(Check::fail("store", "files", text, mend));
        }
        _ if dir.exists() => {
            out.push(Check::fail("store", "files", "neither database nor copy are there", mend));
        }
        _ => {}
    }
}

fn room(path: &Path) -> Option<doctor::Room> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some(doctor::Room {
        total: stat.f_blocks * stat.f_frsize,
        free: stat.f_bavail * stat.f_frsize,
        inodes: stat.f_files,
        inodes_free: stat.f_favail,
        read_only: stat.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
    })
}

/// The service user, else the user of this process: name and id.
pub(super) fn subject(passwd: &str, uid: Option<u32>) -> Option<(String, u32)> {
    let users: Vec<(&str, u32)> = passwd
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            Some((fields.next()?, fields.nth(1)?.parse().ok()?))
        })
        .collect();
    let service = users.iter().find(|(name, _)| *name == SERVICE_USER);
    let own = || users.iter().find(|(_, id)| Some(*id) == uid);
    service.or_else(own).map(|(name, id)| ((*name).to_owned(), *id))
}

/// How many ids a user may use, by name or number (subuid(5)).
fn subordinate(text: &str, user: &str, uid: u32) -> u64 {
    let uid = uid.to_string();
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            let owner = fields.next()?;
            let count: u64 = fields.nth(1)?.trim().parse().ok()?;
            (owner == user || owner == uid).then_some(count)
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_ids() {
        let passwd = "root:x:0:0::/root:/bin/sh\nann:x:1001:1001::/home/ann:/bin/sh\n";
        assert_eq!(subject(passwd, Some(1001)), Some(("ann".to_owned(), 1001)));
        assert_eq!(subject(passwd, Some(7)), None);
        let node = format!("{passwd}archipelago:x:1000:1000::/home/archipelago:/bin/sh\n");
        assert_eq!(subject(&node, Some(1001)), Some(("archipelago".to_owned(), 1000)));
        let text = "ann:100000:65536\n1001:300000:5\nbob:200000:9\nbroken\n";
        assert_eq!(subordinate(text, "ann", 1001), 65_541);
        assert_eq!(subordinate("", "ann", 1001), 0);
    }
}
