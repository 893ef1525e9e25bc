//! The daemon in a user's own session, as `cargo xtask up --host` runs it: XDG directories, no package.

use std::time::Duration;

use anyhow::{Context, ensure};
use archy_live::{deb, get};
use xtask::cache::Cache;
use xtask::node::{NodeGuard, READY_LIMIT};
use xtask::sh::{Output, wait_until};
use xtask::{images, platform};

/// Where the package is unpacked, without being installed.
const TREE: &str = "/var/tmp/tree";
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn the_daemon_runs_in_a_users_session() -> anyhow::Result<()> {
    let cache = Cache::locate()?;
    let index = images::index(&cache).context("no images: run `cargo xtask images`")?;
    let _registry = images::registry::ensure(&cache)?;
    let node = NodeGuard::create("desktop")?;
    node.boot()?;
    node.wait_ready(READY_LIMIT)?;
    std::fs::copy(deb()?, node.root_path().join("var/tmp/archipelago.deb"))?;
    let package = node.root_path().join("var/tmp/probe");
    std::fs::create_dir_all(&package)?;
    let manifest = platform::apps(&index)?.remove("probe").context("no probe")?;
    std::fs::write(package.join("manifest.yml"), manifest)?;
    ok(node.exec_root(["dpkg-deb", "-x", "/var/tmp/archipelago.deb", TREE])?)?;

    ok(node.exec_user(["systemctl", "--user", "start", "podman.socket"])?)?;
    let daemon = format!("{TREE}/usr/bin/archipelago");
    let probe = format!("health_probe={TREE}/usr/libexec/archipelago/archy-health");
    let run = [
        "systemd-run",
        "--user",
        "--unit",
        "archipelago-dev",
        "--",
        &daemon,
        "--mode",
        "user",
        "--set",
        &probe,
    ];
    ok(node.exec_user(run)?)?;
    let archy = format!("{TREE}/usr/bin/archy");
    let up = || node.exec_user([archy.as_str(), "--json", "list"]).ok().filter(Output::ok);
    if wait_until(PATIENCE, up).is_none() {
        let log = node.exec_user([
            "journalctl",
            "--user",
            "-u",
            "archipelago-dev",
            "-n",
            "30",
            "--no-pager",
        ])?;
        anyhow::bail!("the daemon does not answer:\n{}", log.text());
    }

    ok(node.exec_user([archy.as_str(), "--quiet", "install", "/var/tmp/probe"])?)?;
    let url = format!("http://{}:18001/data/write?n=4", node.ip());
    ensure!(get(&url)?.status == 200, "the app does not answer");
    let data = "/home/archipelago/.local/share/archipelago/probe/data";
    ok(node.exec_user(["test", "-d", data])?).context("no data in the XDG directory")?;
    ensure!(
        !node.root_path().join("var/lib/archipelago").exists(),
        "the node's own directory was made"
    );

    // the daemon stops: the app does not
    ok(node.exec_user(["systemctl", "--user", "stop", "archipelago-dev"])?)?;
    let verify = format!("http://{}:18001/data/verify", node.ip());
    ensure!(get(&verify)?.status == 200, "the app stopped with the daemon");
    Ok(())
}

fn ok(out: Output) -> anyhow::Result<()> {
    ensure!(out.ok(), "{}{}", out.stdout, out.stderr);
    Ok(())
}
