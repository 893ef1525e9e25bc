//! A container that is being started, looked at from outside: from `ExecStartPost=` of its unit, so
//! that whoever waits for the unit waits for the app. It takes one small process instead of one of
//! Podman's for each try, and no longer than the app needs.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process;

use rustix::fd::AsFd as _;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// The process that holds the unit, as systemd calls it (systemd.exec(5)): conmon, whose child is the
/// container.
const MAIN_PID: &str = "MAINPID";

/// Goes to where the container's sockets are, and looks until it is well; systemd's deadline for the
/// start ends that. What cannot be entered from here is asked of Podman.
pub(super) fn until_well(
    container: &str,
    look: impl Fn() -> Result<String, String>,
) -> Result<String, String> {
    let child = match enter() {
        Ok(child) => child,
        Err(why) => return ask_podman(container, &why),
    };
    loop {
        match look() {
            Ok(found) => return Ok(found),
            Err(why) if !child.exists() => return Err(format!("{container} ended: {why}")),
            Err(_) => super::pause(),
        }
    }
}

/// Enters the network of the container, which belongs to the user namespace of conmon. Gives the
/// directory of the container's process.
fn enter() -> Result<PathBuf, String> {
    let conmon = main_pid().ok_or_else(|| format!("{MAIN_PID} names no process"))?;
    let child = child_of(conmon).ok_or_else(|| format!("{conmon} has no child"))?;
    let open = |pid: u32, name: &str| {
        let path = PathBuf::from(format!("/proc/{pid}/ns/{name}"));
        File::open(&path).map_err(|error| format!("{}: {error}", path.display()))
    };
    let (user, net) = (open(conmon, "user")?, open(child, "net")?);
    for (file, kind) in [(user, LinkNameSpaceType::User), (net, LinkNameSpaceType::Network)] {
        move_into_link_name_space(file.as_fd(), Some(kind))
            .map_err(|error| format!("the container's network cannot be entered: {error}"))?;
    }
    Ok(PathBuf::from(format!("/proc/{child}")))
}

#[expect(clippy::disallowed_methods, reason = "systemd tells it this way alone")]
fn main_pid() -> Option<u32> {
    std::env::var(MAIN_PID).ok()?.parse().ok()
}

/// The first child of a process (proc_pid_task_tid_children(5)).
fn child_of(pid: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

/// Waits until Podman's own health check has passed.
#[expect(clippy::disallowed_methods, reason = "the health that Podman keeps is asked of Podman")]
fn ask_podman(container: &str, why: &str) -> Result<String, String> {
    let mut command = process::Command::new("podman");
    command.args(["wait", "--condition=healthy", "--condition=exited", container]);
    let status = command.status().map_err(|error| format!("podman: {error}"))?;
    if status.success() {
        Ok(format!("{container} is healthy, as Podman says ({why})"))
    } else {
        Err(format!("podman wait: {status} ({why})"))
    }
}
