//! Commands in a running node, as the service user or as root.
use std::path::Path;
use std::time::Duration;

use super::recipe;
use crate::sh::Cmd;

/// Whom a command in a node runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// The service user, with its runtime directory and user bus.
    User,
    /// Root.
    Root,
}

/// Everything that is needed to enter a node.
#[derive(Debug)]
pub(super) struct Door<'a> {
    /// The node's cgroup.
    pub cgroup: &'a Path,
    /// The script that joins it.
    pub script: &'a Path,
    /// The node's init, as the host counts.
    pub init: u32,
}

impl Door<'_> {
    /// A command line that runs `argv` in the node; with a limit it is ended there, not only here.
    pub(super) fn command(&self, who: Who, argv: &[String], limit: Option<Duration>) -> Cmd {
        let mut cmd = Cmd::new("bash").arg(self.script).arg(self.cgroup.join("enter"));
        cmd = cmd.args(["nsenter", "-t", &self.init.to_string()]);
        cmd = cmd.args(["-m", "-u", "-i", "-n", "-C", "-p"]);
        cmd = match who {
            Who::Root => cmd.args(["--wdns=/", "--", "env", "-i", "HOME=/root", "USER=root"]),
            Who::User => as_user(cmd),
        };
        cmd = cmd.args(["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]);
        cmd = cmd.args(["TERM=dumb", "LANG=C.UTF-8"]);
        if let Some(limit) = limit {
            cmd = cmd.args(["timeout", "-k", "5", &limit.as_secs().max(1).to_string()]);
            cmd = cmd.limit(limit + Duration::from_secs(15));
        }
        cmd.args(argv)
    }
}

/// `setpriv` and not `su`: no PAM session for each command.
fn as_user(cmd: Cmd) -> Cmd {
    let uid = recipe::UID;
    let home = recipe::HOME;
    cmd.arg(format!("--wdns={home}")).args(["--", "setpriv"]).args([
        format!("--reuid={uid}"),
        format!("--regid={uid}"),
        "--init-groups".into(),
        "env".into(),
        "-i".into(),
        format!("HOME={home}"),
        format!("USER={}", recipe::USER),
        format!("LOGNAME={}", recipe::USER),
        format!("XDG_RUNTIME_DIR=/run/user/{uid}"),
        format!("DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/{uid}/bus"),
    ])
}
