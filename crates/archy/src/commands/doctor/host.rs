//! Checks that need no daemon: files of this machine.

use std::path::Path;

use super::{Check, remote};
use crate::environment::Environment;

/// The service user of a node.
const SERVICE_USER: &str = "archipelago";

/// Adds the checks.
pub(super) fn checks(environment: &Environment, out: &mut Vec<Check>) {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let Some((user, uid)) = subject(&passwd, environment.uid) else {
        out.push(Check::warn("user", "the service user is not known", "install the package"));
        return;
    };
    let lingering = Path::new("/var/lib/systemd/linger").join(&user).exists();
    out.push(linger(&user, lingering));
    for (name, file) in [("subuid", "/etc/subuid"), ("subgid", "/etc/subgid")] {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        out.push(remote::ids(name, &user, subordinate(&text, &user, uid)));
    }
    let group = format!("/sys/fs/cgroup/user.slice/user-{uid}.slice/user@{uid}.service");
    match std::fs::read_to_string(format!("{group}/cgroup.controllers")) {
        Ok(text) => {
            let list: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
            out.push(controllers(&list));
        }
        Err(_) => out.push(Check::fail(
            "user manager",
            format!("systemd runs no manager for {user}"),
            format!("`loginctl enable-linger {user}`"),
        )),
    }
    let socket = format!("/run/user/{uid}/podman/podman.sock");
    out.push(match Path::new(&socket).exists() {
        true => Check::ok("podman", format!("{socket} is there")),
        false => Check::fail(
            "podman",
            format!("{socket} is missing"),
            format!("`systemctl --user enable --now podman.socket` as {user}"),
        ),
    });
}

/// The service user, else the user of this process: name and id.
fn subject(passwd: &str, uid: Option<u32>) -> Option<(String, u32)> {
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

/// The user manager must live without a login.
pub(super) fn linger(user: &str, lingering: bool) -> Check {
    match lingering {
        true => Check::ok("linger", format!("{user} lingers")),
        false => Check::fail(
            "linger",
            format!("apps of {user} stop at logout and do not start at boot"),
            format!("`loginctl enable-linger {user}`"),
        ),
    }
}

/// Controllers that limits need.
pub(super) fn controllers(delegated: &[String]) -> Check {
    let missing: Vec<_> = ["cpu", "memory", "pids"]
        .into_iter()
        .filter(|name| !delegated.iter().any(|have| have == name))
        .collect();
    if missing.is_empty() {
        return Check::ok("cgroup", "cpu, memory and pids are delegated");
    }
    Check::warn(
        "cgroup",
        format!("limits of {} are not enforced here", missing.join(", ")),
        "`Delegate=cpu memory pids` in a drop-in of user@.service; in a container, use a virtual machine",
    )
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
