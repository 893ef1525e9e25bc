//! The host fails under the node: a full disk, a read-only store, no inodes, a store that is damaged or lost. The API
//! answers, apps go on, the cause is named with figures, and when it is over everything converges by itself.

use std::time::Duration;

use anyhow::{Context, ensure};
use archy_live::Stand;
use serde_json::Value;
use xtask::platform;
use xtask::sh::wait_until;

const STATE: &str = "/var/lib/archipelago/state";
/// Looks come every 5 s; a daemon that found its store read-only begins anew after a minute.
const NOTICED: Duration = Duration::from_secs(120);
const UNITS: [&str; 3] =
    ["archipelago-https.socket", "archipelago-http.socket", "archipelago.service"];

fn root(stand: &Stand, argv: &[&str]) -> anyhow::Result<String> {
    let out = stand.node.exec_root(argv)?;
    ensure!(out.ok(), "{argv:?} failed: {}{}", out.stdout, out.stderr);
    Ok(out.stdout)
}

fn shell(stand: &Stand, script: &str) -> anyhow::Result<String> {
    root(stand, &["sh", "-euc", script])
}

fn daemon(stand: &Stand, verb: &str) -> anyhow::Result<()> {
    root(stand, &[&["systemctl", verb], &UNITS[..]].concat())?;
    if verb == "start" { platform::wait_for_api(&stand.node) } else { Ok(()) }
}

/// A stand with an app that runs, its store on a small file system of its own.
fn small(name: &str, options: &str) -> anyhow::Result<Stand> {
    let stand = with_app(name)?;
    daemon(&stand, "stop")?;
    shell(
        &stand,
        &format!(
            "cp -a {STATE} /var/tmp/state\nmount -t tmpfs -o {options},mode=0700 small {STATE}\n\
             cp -a /var/tmp/state/. {STATE}/\nchown archipelago:archipelago {STATE}"
        ),
    )?;
    daemon(&stand, "start")?;
    Ok(stand)
}

fn with_app(name: &str) -> anyhow::Result<Stand> {
    let stand = Stand::new(name)?;
    stand.archy_ok(&["--quiet", "install", "probe"])?;
    stand.until_state("probe", "running")?;
    Ok(stand)
}

/// Container and the moment at which it began.
fn container(stand: &Stand, name: &str) -> anyhow::Result<String> {
    stand.user(&["podman", "inspect", "-f", "{{.Id}} {{.State.StartedAt}}", name])
}

fn notices(stand: &Stand) -> Option<Vec<Value>> {
    let out = stand.archy(&["--json", "status"]).ok().filter(xtask::sh::Output::ok)?;
    let value: Value = serde_json::from_str(&out.stdout).ok()?;
    value.pointer("/notices")?.as_array().cloned()
}

/// Waits until a notice of this code is there and gives its text.
fn until_told(stand: &Stand, code: &str) -> anyhow::Result<String> {
    let told =
        wait_until(NOTICED, || notices(stand)?.into_iter().find(|notice| notice["code"] == code));
    let told = told.with_context(|| {
        format!("no notice {code}; told: {:?}\n{}", notices(stand), stand.log())
    })?;
    Ok(told["text"].as_str().unwrap_or_default().to_owned())
}

fn until_over(stand: &Stand, code: &str) -> anyhow::Result<()> {
    let over = wait_until(NOTICED, || {
        let gone = notices(stand)?.iter().all(|notice| notice["code"] != code);
        gone.then_some(())
    });
    over.with_context(|| format!("{code} is told for ever\n{}", stand.log()))
}

/// The app is shown and answers, in the container that it had.
fn goes_on(stand: &Stand, before: &str) -> anyhow::Result<()> {
    let list = stand.archy_ok(&["list"])?;
    ensure!(list.contains("probe"), "the app is not shown: {list}");
    stand.until_answers(&stand.url(18001, "/health"), 200)?;
    ensure!(container(stand, "probe")? == before, "it was made anew\n{}", stand.log());
    Ok(())
}

/// What the owner asks for is done again.
fn obeys(stand: &Stand) -> anyhow::Result<()> {
    let stopped = wait_until(NOTICED, || {
        stand.archy(&["--quiet", "stop", "probe"]).ok().filter(xtask::sh::Output::ok)
    });
    stopped.with_context(|| format!("it still refuses\n{}", stand.log()))?;
    stand.until_state("probe", "stopped")?;
    stand.archy_ok(&["--quiet", "start", "probe"])?;
    stand.until_state("probe", "running")
}

fn refuses(stand: &Stand, codes: &[&str]) -> anyhow::Result<()> {
    let out = stand.archy(&["stop", "probe"])?;
    let words = format!("{}{}", out.stdout, out.stderr);
    ensure!(!out.ok() && codes.iter().any(|code| words.contains(code)), "{words}");
    Ok(())
}

#[test]
fn host_failures_a_full_disk_is_named_and_over_when_there_is_room() -> anyhow::Result<()> {
    let stand = small("hf-full", "size=8m")?;
    let before = container(&stand, "probe")?;
    let fill = format!("dd if=/dev/zero of={STATE}/filler bs=16k 2>/dev/null || true");
    shell(&stand, &fill)?;
    let text = until_told(&stand, "disk-full")?;
    ensure!(text.contains("of 8 MiB"), "no figures: {text}");
    goes_on(&stand, &before)?;

    // a daemon that begins on a full disk shows what it knows, and says why it changes nothing
    daemon(&stand, "stop")?;
    shell(&stand, &format!("dd if=/dev/zero of={STATE}/rest bs=4k 2>/dev/null || true"))?;
    daemon(&stand, "start")?;
    until_told(&stand, "disk-full")?;
    goes_on(&stand, &before)?;
    refuses(&stand, &["disk-full"])?;
    let doctor = stand.archy(&["doctor"])?.stdout;
    ensure!(doctor.contains("of 8 MiB free"), "{doctor}");

    shell(&stand, &format!("rm {STATE}/filler {STATE}/rest"))?;
    until_over(&stand, "disk-full")?;
    goes_on(&stand, &before)?;
    obeys(&stand)
}

#[test]
fn host_failures_a_store_without_inodes_is_named() -> anyhow::Result<()> {
    let stand = small("hf-inodes", "size=16m,nr_inodes=64")?;
    let before = container(&stand, "probe")?;
    daemon(&stand, "stop")?;
    shell(
        &stand,
        &format!("for i in $(seq 100); do touch {STATE}/x$i || break; done 2>/dev/null || true"),
    )?;
    daemon(&stand, "start")?;
    let text = until_told(&stand, "inodes-full")?;
    ensure!(text.contains("of 64 inodes"), "no figures: {text}");
    goes_on(&stand, &before)?;
    shell(&stand, &format!("rm {STATE}/x*"))?;
    until_over(&stand, "inodes-full")?;
    goes_on(&stand, &before)?;
    obeys(&stand)
}

#[test]
fn host_failures_a_read_only_store_is_read_and_opened_anew() -> anyhow::Result<()> {
    let stand = small("hf-ro", "size=16m")?;
    let before = container(&stand, "probe")?;
    daemon(&stand, "stop")?;
    root(&stand, &["mount", "-o", "remount,ro", STATE])?;
    daemon(&stand, "start")?;
    let text = until_told(&stand, "store-read-only")?;
    ensure!(text.contains(STATE), "{text}");
    goes_on(&stand, &before)?;
    refuses(&stand, &["store-read-only"])?;
    root(&stand, &["mount", "-o", "remount,rw", STATE])?;
    until_over(&stand, "store-read-only")?;
    goes_on(&stand, &before)?;
    obeys(&stand)
}

#[test]
fn host_failures_a_damaged_and_a_lost_store_come_back_and_no_container_is_made_anew()
-> anyhow::Result<()> {
    let stand = with_app("hf-lost")?;
    let before = container(&stand, "probe")?;

    // damaged: the last good copy takes its place
    daemon(&stand, "stop")?;
    shell(
        &stand,
        &format!(
            "dd if=/dev/urandom of={STATE}/state.db bs=1k seek=1 count=20 conv=notrunc 2>/dev/null"
        ),
    )?;
    daemon(&stand, "start")?;
    until_told(&stand, "store-recovered")?;
    stand.until_state("probe", "running")?;
    goes_on(&stand, &before)?;

    // lost with all copies of records: what it should be is read back out of its units
    daemon(&stand, "stop")?;
    shell(
        &stand,
        &format!("rm -f {STATE}/state.db* {STATE}/state.last-good.db {STATE}/manifests/*.json"),
    )?;
    daemon(&stand, "start")?;
    let text = until_told(&stand, "store-rebuilt")?;
    ensure!(text.contains("1 by their units"), "{text}");
    stand.until_state("probe", "running")?;
    goes_on(&stand, &before)?;

    // by hand, as root, with the daemon stopped
    let refused = stand.node.exec_root(["archy", "doctor", "--rebuild"])?;
    ensure!(!refused.ok() && refused.stderr.contains("daemon-running"), "{}", refused.stderr);
    daemon(&stand, "stop")?;
    shell(&stand, &format!("rm -f {STATE}/state.db* {STATE}/state.last-good.db"))?;
    let rebuilt = root(&stand, &["archy", "doctor", "--rebuild"])?;
    ensure!(rebuilt.contains("from-record"), "{rebuilt}");
    daemon(&stand, "start")?;
    stand.until_state("probe", "running")?;
    goes_on(&stand, &before)?;

    // and what tells about it works on a real node
    let explained = stand.archy_ok(&["explain", "probe"])?;
    ensure!(explained.contains("The last one at") && explained.contains("passed"), "{explained}");
    let doctor = stand.archy(&["--json", "doctor"])?.stdout;
    ensure!(doctor.contains("\"integrity\"") && !doctor.contains("drift; a pass"), "{doctor}");
    stand.archy_ok(&["support-bundle", "--out", "/var/tmp/bundle.tar.gz"])?;
    let secrets = shell(
        &stand,
        "cd /var/tmp; tar -xzf bundle.tar.gz; for f in /var/lib/archipelago/secrets/*; do \
         grep -rqFf \"$f\" archy-support && echo \"$f\"; done; stat -c %a bundle.tar.gz",
    )?;
    ensure!(secrets.trim() == "600", "in the bundle: {secrets}");
    obeys(&stand)
}

const IMAGES: &str = "/var/lib/archipelago/containers";
const SNAPSHOTS: &str = "/var/lib/archipelago/snapshots";

/// A small file system of its own for a directory of the service user, with what is in it.
fn mount_small(stand: &Stand, dir: &str, size: &str) -> anyhow::Result<()> {
    let script = format!(
        "mkdir -p {dir}\nmv {dir} /var/tmp/before\nmkdir {dir}\n\
         mount -t tmpfs -o size={size},mode=0700 small {dir}\n\
         cp -a /var/tmp/before/. {dir}/\nrm -rf /var/tmp/before\nchown archipelago:archipelago {dir}"
    );
    shell(stand, &script).map(drop)
}

fn more_room(stand: &Stand, dir: &str) -> anyhow::Result<()> {
    root(stand, &["mount", "-o", "remount,size=1g", dir]).map(drop)
}

/// Refused since a disk is full, with figures of it.
fn is_full(out: &xtask::sh::Output, size: &str) -> anyhow::Result<()> {
    let words = format!("{}{}", out.stdout, out.stderr);
    ensure!(!out.ok() && words.contains("disk-full"), "not named: {words}");
    ensure!(words.contains(&format!("of {size}")), "no figures: {words}");
    Ok(())
}

#[test]
fn host_failures_no_room_for_an_image_or_a_snapshot_touches_no_app() -> anyhow::Result<()> {
    let stand = Stand::new("hf-room")?;
    daemon(&stand, "stop")?;
    stand.user(&["systemctl", "--user", "stop", "podman.socket", "podman.service"])?;
    mount_small(&stand, IMAGES, "48m")?;
    mount_small(&stand, SNAPSHOTS, "4m")?;
    stand.user(&["systemctl", "--user", "start", "podman.socket"])?;
    daemon(&stand, "start")?;
    stand.archy_ok(&["--quiet", "install", "probe"])?;
    stand.until_state("probe", "running")?;
    let before = container(&stand, "probe")?;

    // the image does not fit; nothing of the app stays, and it is installed when there is room
    is_full(&stand.archy(&["install", "website"])?, "48 MiB")?;
    goes_on(&stand, &before)?;
    more_room(&stand, IMAGES)?;
    stand.archy_ok(&["--quiet", "install", "website"])?;
    stand.until_answers(&stand.url(18002, "/health"), 200)?;
    goes_on(&stand, &before)?;

    // its data does not fit beside itself
    ensure!(archy_live::get(&stand.url(18001, "/data/fill?mib=16"))?.status == 200);
    let at = stand.node.root_path();
    let manifest = std::fs::read_to_string(at.join("opt/archipelago/apps/probe/manifest.yml"))?;
    let next = archy_live::rounds::next_version(&manifest, "2s")?;
    std::fs::write(at.join(archy_live::rounds::NEXT.trim_start_matches('/')), next)?;
    let update = ["update", archy_live::rounds::NEXT, "--yes"];
    is_full(&stand.archy(&update)?, "4 MiB")?;
    let version = stand.until_answers(&stand.url(18001, "/version"), 200)?;
    ensure!(version.trim() == "1.0.0", "{version}");
    stand.until_state("probe", "running")?;
    let half = shell(&stand, &format!("find {SNAPSHOTS} -name data; df -k {SNAPSHOTS}"))?;
    ensure!(!half.contains("/data"), "half a copy stays: {half}");
    more_room(&stand, SNAPSHOTS)?;
    stand.archy_ok(&update)?;
    let version = stand.until_answers(&stand.url(18001, "/version"), 200)?;
    ensure!(version.trim() == "2.0.0", "{version}");
    obeys(&stand)
}
