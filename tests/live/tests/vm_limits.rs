//! Limits under a real kernel: an app installed by the package from its manifest has them in its container's cgroup,
//! and they bite. A node in namespaces has no delegated controllers.
//!
//! Minutes in software emulation: it runs only with `ARCHY_LIVE_VM=1`, which `cargo xtask test --vm` sets.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use archy_live::rounds::number;
use archy_live::vm::{Vm, manifest_of_probe};
use serde_json::Value;
use xtask::sh::{say, wait_until};

const SETTLED: Duration = Duration::from_secs(900);
/// How long the cause of a restart may take to be shown.
const NAMED: Duration = Duration::from_secs(120);
/// Each kill makes the pause before the next start longer: after some of them nobody can miss it.
const KILLS: u32 = 8;
const MEMORY: u64 = 64 << 20;
const PIDS: u64 = 40;

fn until_healthy(vm: &mut Vm) -> anyhow::Result<()> {
    let well = |vm: &mut Vm| {
        let app = vm.app("probe")?;
        let state = app.pointer("/status/state").or_else(|| app.get("state"))?;
        (state == "running" && vm.page("/health").is_some()).then_some(())
    };
    let found = wait_until(SETTLED, || well(vm));
    found.with_context(|| format!("it does not run: {:#?}\n{}", vm.app("probe"), vm.log()))
}

/// A file of the container's cgroup.
fn cgroup(vm: &mut Vm, file: &str) -> anyhow::Result<String> {
    let pid = vm.user(&["podman", "inspect", "-f", "{{.State.Pid}}", "probe"])?;
    let read = format!("cat /sys/fs/cgroup$(cut -d: -f3 /proc/{}/cgroup)/{file}", pid.trim());
    Ok(vm.root(&read)?.trim().to_owned())
}

fn throttled(vm: &mut Vm) -> anyhow::Result<u64> {
    let stat = cgroup(vm, "cpu.stat")?;
    let count = stat.lines().find_map(|line| line.strip_prefix("nr_throttled "));
    count.context("no count of throttled periods")?.trim().parse().context("not a number")
}

fn limits_bite(vm: &mut Vm) -> anyhow::Result<()> {
    for (file, wanted) in [
        ("memory.max", MEMORY.to_string()),
        ("cpu.max", "50000 100000".to_owned()),
        ("pids.max", PIDS.to_string()),
    ] {
        let found = cgroup(vm, file)?;
        ensure!(found == wanted, "{file} is {found}, not {wanted}");
    }
    let units = vm.archy_ok(&["--json", "status", "probe"])?;
    ensure!(!units.contains("not-enforced"), "a limit is shown as not enforced: {units}");

    let before = throttled(vm)?;
    vm.page("/data/write?n=64").context("the app did not write")?;
    let work = "for i in 1 2 3 4 5 6; do curl -sf -m 300 http://127.0.0.1:18001/data/verify > /dev/null & done; wait";
    vm.root(work)?;
    ensure!(throttled(vm)? > before, "its processors are not limited");

    let threads = vm.page("/threads?n=100").context("no answer")?;
    let count: u64 = threads.trim().trim_start_matches("threads=").parse()?;
    ensure!((1..PIDS).contains(&count), "{count} more threads");
    // they stay for a while, and a check needs some
    until_healthy(vm)
}

/// The cause of a restart or a failure that the memory brought.
fn want_of_memory(vm: &mut Vm) -> Option<Value> {
    let said = vm.archy(&["--json", "explain", "probe"]).ok().filter(xtask::node::Said::ok)?;
    let told: Value = serde_json::from_str(&said.text).ok()?;
    (told["cause"]["code"] == "out-of-memory").then_some(told)
}

fn too_much_memory_is_named(vm: &mut Vm) -> anyhow::Result<()> {
    let mut told = None;
    for _ in 0..KILLS {
        let before = cgroup(vm, "memory.max")?;
        ensure!(before == MEMORY.to_string(), "{before}");
        ensure!(vm.page("/memory?mib=200").is_none(), "it got three times its budget");
        told = wait_until(NAMED, || {
            let named = want_of_memory(vm);
            (named.is_some() || vm.page("/health").is_some()).then_some(named)
        });
        if matches!(told, Some(Some(_))) {
            break;
        }
        until_healthy(vm)?;
    }
    let told = told.flatten().with_context(|| format!("its end is not named\n{}", vm.log()))?;
    let text = told["cause"]["text"].as_str().unwrap_or_default();
    ensure!(text.contains("more than its budget of 64 MiB"), "{told:#}");
    ensure!(told["repair"]["command"].is_string(), "no repair: {told:#}");
    // the short form says the same as long as it lasts
    let app = vm.app("probe").context("no status")?.to_string();
    ensure!(app.contains("out-of-memory") || app.contains("running"), "{app}");
    // systemd starts it again, nobody has to
    until_healthy(vm)?;
    ensure!(cgroup(vm, "memory.max")? == MEMORY.to_string(), "the next one has no limit");
    Ok(())
}

#[test]
fn whatever_limits_a_manifest_declares_are_in_force() -> anyhow::Result<()> {
    if number("ARCHY_LIVE_VM") != Some(1) {
        say("skipped: limits under a real kernel run with ARCHY_LIVE_VM=1");
        return Ok(());
    }
    let manifest = manifest_of_probe()?.replace(
        "{ memory_limit: 64Mi, cpu_limit: 1 }",
        &format!("{{ memory_limit: 64Mi, cpu_limit: 0.5, pids_limit: {PIDS} }}"),
    );
    ensure!(manifest.contains("pids_limit"), "the manifest has other limits: {manifest}");
    let mut vm = Vm::new("vm-limits", &manifest, &[])?;
    vm.build("1.0.0")?;
    vm.archy_ok(&["--quiet", "install", "probe"])?;
    until_healthy(&mut vm)?;
    limits_bite(&mut vm)?;
    too_much_memory_is_named(&mut vm)
}
