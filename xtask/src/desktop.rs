//! `cargo xtask up --host`: the same daemon, unprivileged, in this user's own session and XDG directories.
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;

use crate::sh::{self, Cmd, wait_until};
use crate::workspace::{self, Profile};

/// The transient user unit that holds the daemon.
const UNIT: &str = "archipelago-dev";
/// Oldest Podman whose Quadlet knows what the units need.
const PODMAN: (u32, u32) = (5, 4);
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// Starts the daemon; run again it starts the newest build.
///
/// # Errors
/// The session lacks something, which the error names.
pub fn up(profile: Profile) -> anyhow::Result<()> {
    check_session()?;
    let programs = workspace::programs(profile)?;
    let probe = data_home()?.join("archipelago/bin/archy-health");
    fs::create_dir_all(probe.parent().context("no parent")?)?;
    // a running container may hold the old one: a new file takes its place
    let fresh = probe.with_extension("new");
    fs::copy(&programs.health, &fresh)?;
    fs::rename(&fresh, &probe)?;
    let hook_files = data_home()?.join("archipelago/hook-files");
    fs::create_dir_all(hook_files.join("web-ui"))?;
    fs::copy(
        workspace::root().join("crates/archy-identity/assets/nostr-provider.js"),
        hook_files.join("web-ui/nostr-provider.js"),
    )?;
    Cmd::new("systemctl").args(["--user", "start", "podman.socket"]).run()?;
    stop()?;
    let daemon = Cmd::new("systemd-run")
        .args(["--user", "--unit", UNIT, "--property=Restart=on-failure", "--"])
        .arg(&programs.daemon)
        .args(["--mode", "user", "--set"])
        .arg(format!("health_probe={}", probe.display()))
        .arg("--set")
        .arg(format!("hook_files_dir={}", hook_files.display()));
    sh::step("starting the daemon", || daemon.run())?;
    let archy = || Cmd::new(&programs.cli).args(["--json", "list"]).succeeds().then_some(());
    wait_until(ANSWER_LIMIT, archy).with_context(|| {
        format!("the daemon does not answer; `journalctl --user -u {UNIT}` says why")
    })?;
    sh::print(&format!(
        "
The daemon runs in your session.

  dashboard   https://localhost:8443/     API  https://localhost:8443/rpc/v1
  install     {} install PATH/manifest.yml
  log         journalctl --user -u {UNIT} -f
  stop        cargo xtask down --host       (apps keep running)
",
        programs.cli.display()
    ));
    Ok(())
}

/// Stops the daemon; apps keep running.
///
/// # Errors
/// systemd's.
pub fn down() -> anyhow::Result<()> {
    sh::step("stopping the daemon", stop)
}

fn stop() -> anyhow::Result<()> {
    let unit = format!("{UNIT}.service");
    for verb in ["stop", "reset-failed"] {
        // a unit that is not there is as it should be
        Cmd::new("systemctl").args(["--user", verb, &unit]).output()?;
    }
    Ok(())
}

fn check_session() -> anyhow::Result<()> {
    let running = Cmd::new("systemctl").args(["--user", "is-system-running"]).output();
    let up =
        running.is_ok_and(|out| ["running", "degraded", "starting"].contains(&out.text().trim()));
    anyhow::ensure!(
        up,
        "this session has no systemd user manager; log in on a systemd machine (not through su), \
         or run `cargo xtask up` for a test node"
    );
    let version = Cmd::new("podman").args(["version", "--format", "{{.Client.Version}}"]).run().context(
        "podman 5.4 or newer is needed: on Debian 13, apt install podman passt uidmap catatonit",
    )?;
    let mut numbers = version.text().trim().split('.').map_while(|part| part.parse::<u32>().ok());
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    anyhow::ensure!(
        found >= PODMAN,
        "podman {} is too old: 5.4 or newer is needed",
        version.text().trim()
    );
    Ok(())
}

fn data_home() -> anyhow::Result<PathBuf> {
    if let Some(dir) = sh::env("XDG_DATA_HOME") {
        return Ok(PathBuf::from(dir));
    }
    let home = sh::env("HOME").context("HOME is not set")?;
    Ok(PathBuf::from(home).join(".local/share"))
}
