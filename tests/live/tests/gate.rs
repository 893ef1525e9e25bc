//! The gate on a real node: one life of three apps together, with reboot and power cut, and its signed results.

use std::process::Command;

use anyhow::{Context as _, ensure};
use archy_live::Stand;
use serde_json::Value;
use xtask::sh::Cmd;
use xtask::{gate, workspace};

/// One container with its own data, one behind pasta with a setting, one with a volume of another user.
const APPS: [&str; 3] = ["probe", "website", "valkey"];

#[test]
fn three_apps_live_one_life() -> anyhow::Result<()> {
    let stand = Stand::new("gatelive")?;
    let out = workspace::target_dir()?.join("gate").join("gatelive");
    if out.exists() {
        std::fs::remove_dir_all(&out)?;
    }
    let apps = APPS.map(str::to_owned);
    ensure!(gate::put_apps(&out.join("apps"), &stand.index, &apps)? == APPS.len());
    let archy = workspace::target_dir()?.join("debug/archy");
    let home = out.join("home");
    let run = |args: &[&str]| {
        let mut cmd = Cmd::new(&archy).args(args).env("XDG_DATA_HOME", &home);
        cmd = cmd.limit(std::time::Duration::from_secs(600));
        cmd.output().context("archy cannot be run")
    };
    let driver = gate::driver_at(&xtask_program()?)?;
    let (dir, to) = (out.join("apps"), out.join("out"));
    let (dir, to) = (dir.to_string_lossy(), to.to_string_lossy());
    let node = ["--node", "gatelive", "--driver", &driver];
    let args = [&["gate", "--all-under", &dir, "--out", &to, "--iterations", "1"], &node[..]];
    let done = run(&args.concat())?;
    ensure!(done.ok(), "{}{}\n{}", done.stdout, done.stderr, stand.log());

    // every phase was tried, reboot and power cut among them, and the result is whole
    for app in APPS {
        let file = out.join("out/results").join(format!("{app}.json"));
        let file = file.to_string_lossy();
        let verified = run(&["app", "test", "--format", "json", "--verify", &file])?;
        ensure!(verified.ok(), "{app}: {}{}", verified.stdout, verified.stderr);
        let result: Value = serde_json::from_str(&verified.stdout)?;
        ensure!(result["payload"]["verdict"] == "passed", "{app}: {result:#}");
        let phases =
            result["payload"]["lives"][0]["phases"].as_array().cloned().unwrap_or_default();
        let passed = |name: &str| {
            phases.iter().any(|phase| phase["phase"] == name && phase["outcome"] == "passed")
        };
        for name in ["update", "back-out", "reboot", "power-cut", "purge"] {
            ensure!(passed(name), "{app}: {name} did not pass: {phases:?}");
        }
    }

    // an app of the owner is not touched
    stand.archy_ok(&["--quiet", "install", "probe"])?;
    let probe = out.join("apps/probe");
    let probe = probe.to_string_lossy();
    let refused = run(&[&["app", "test", &probe], &node[..]].concat())?;
    ensure!(refused.status.code() == Some(3), "exit {}: {}", refused.status, refused.stderr);
    ensure!(refused.stderr.contains("gate-app-exists"), "{}", refused.stderr);
    stand.until_state("probe", "running")
}

/// The program that reaches nodes, built beside the tests.
#[expect(clippy::disallowed_methods, reason = "cargo builds the driver")]
fn xtask_program() -> anyhow::Result<std::path::PathBuf> {
    let target = workspace::target_dir()?;
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--locked", "-p", "xtask"]).current_dir(workspace::root());
    ensure!(cargo.env("CARGO_TARGET_DIR", &target).status()?.success(), "xtask does not build");
    Ok(target.join("debug/xtask"))
}
