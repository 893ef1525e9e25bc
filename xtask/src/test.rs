//! `cargo xtask test`: everything that must hold, lane by lane.
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::cache::Cache;
use crate::node::preflight;
use crate::sh::{self, Cmd};
use crate::workspace::{self, AttachedOk, Profile};
use crate::{platform, tidy, web};

/// Tools that cargo installs when they are missing: program, crate, version.
const TOOLS: &[(&str, &str, &str)] =
    &[("cargo-nextest", "cargo-nextest", "0.9.143"), ("cargo-deny", "cargo-deny", "0.20.2")];
const TOOL_LIMIT: Duration = Duration::from_secs(30 * 60);

/// What to test.
#[derive(Debug, clap::Args)]
pub struct TestArgs {
    /// Only what needs no node: format, lints, tidy, licences, tests in memory.
    #[arg(long)]
    pub quick: bool,
    /// Only the tests on real nodes.
    #[arg(long)]
    pub live: bool,
    /// Also what namespaces cannot show, under a real kernel in software emulation.
    #[arg(long)]
    pub vm: bool,
    /// Only live tests whose name contains this.
    #[arg(long)]
    pub filter: Option<String>,
}

/// A lane: its name and what it does.
type Lane = (&'static str, fn(&TestArgs) -> anyhow::Result<()>);

/// Lanes that need no node.
const QUICK: &[Lane] = &[
    ("format", |_| workspace::cargo(&["fmt", "--all", "--check"])?.attached_ok()),
    ("lints", |_| {
        let args = ["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"];
        workspace::cargo(&args)?.attached_ok()
    }),
    ("tidy", |_| {
        anyhow::ensure!(tidy::run()? == ExitCode::SUCCESS, "see the findings above");
        Ok(())
    }),
    ("dashboard", |_| web::test()),
    ("fuzz targets", |_| {
        workspace::cargo(&["check", "--locked", "--manifest-path", "fuzz/Cargo.toml"])?
            .attached_ok()
    }),
    ("licences and sources", |_| deny()),
    ("tests in memory", |_| {
        // one test mounts a file system whose copies share blocks, where it can
        if let Err(error) = preflight::tools(&[("mkfs.btrfs", "btrfs-progs")]) {
            sh::say(&format!("snapshots that share blocks are not tested: {error}"));
        }
        workspace::cargo(&["nextest", "run", "--locked", "--workspace"])?.attached_ok()
    }),
];

/// Lanes on real nodes.
const LIVE: &[Lane] = &[("tests on real nodes", live)];

/// What namespaces cannot show, under a real kernel in software emulation.
const VM: &[Lane] = &[
    ("a node under a real kernel", |_| {
        let job = crate::node::vm::VmArgs::default();
        Ok(crate::node::vm::run(&Cache::locate()?, &job).map(drop)?)
    }),
    ("an app under a real kernel", |_| {
        let (deb, _) = platform::prepare(Profile::Dev, &[])?;
        nextest(&deb, &["-E", "binary(vm_limits)"])?.env("ARCHY_LIVE_VM", "1").attached_ok()
    }),
];

/// Runs the lanes; all of them, even after a failure, so that one run tells everything.
///
/// # Errors
/// A lane failed.
pub fn run(args: &TestArgs) -> anyhow::Result<ExitCode> {
    install_tools()?;
    let lanes = [(!args.live, QUICK), (!args.quick, LIVE), (args.vm, VM)];
    let mut outcomes = Vec::new();
    for (name, lane) in lanes.iter().filter(|(wanted, _)| *wanted).flat_map(|(_, lanes)| *lanes) {
        sh::say(&format!("== {name}"));
        let began = Instant::now();
        let result = lane(args);
        if let Err(error) = &result {
            sh::say(&format!("FAILED {name}: {error:#}"));
        }
        outcomes.push((*name, result.is_ok(), began.elapsed()));
    }
    let mut failed = 0;
    for (name, ok, took) in &outcomes {
        failed += usize::from(!ok);
        sh::print(&format!("{} {name} ({} s)", if *ok { "ok  " } else { "FAIL" }, took.as_secs()));
    }
    sh::print(&format!("{} passed, {failed} failed", outcomes.len() - failed));
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn install_tools() -> anyhow::Result<()> {
    for (program, krate, version) in TOOLS {
        let subcommand = program.trim_start_matches("cargo-");
        if Cmd::new("cargo").args([subcommand, "--version"]).succeeds() {
            continue;
        }
        let target = Cache::locate()?.dir("target-tools")?;
        let install = Cmd::new("cargo")
            .args(["install", "--locked", "--version", version, krate])
            .env("CARGO_TARGET_DIR", target)
            .limit(TOOL_LIMIT);
        sh::step(&format!("installing {program} {version}"), || install.attached_ok())?;
    }
    Ok(())
}

/// Licences, bans and sources hold without a network; advisories need their database.
fn deny() -> anyhow::Result<()> {
    // also what only other systems compile
    workspace::cargo(&["fetch", "--locked"])?.attached_ok()?;
    workspace::cargo(&["deny", "--offline", "check", "licenses", "bans", "sources"])?
        .attached_ok()?;
    let fetch = workspace::cargo(&["deny", "fetch", "db"])?.limit(Duration::from_secs(60));
    if fetch.succeeds() {
        workspace::cargo(&["deny", "--offline", "check", "advisories"])?.attached_ok()?;
    } else {
        sh::say("advisories were not checked: their database cannot be reached from here");
    }
    Ok(())
}

fn live(args: &TestArgs) -> anyhow::Result<()> {
    // built here once: the tests of one run share it
    let (deb, _) = platform::prepare(Profile::Dev, &[])?;
    let filter: Vec<&str> = args.filter.as_deref().into_iter().collect();
    nextest(&deb, &filter)?.attached_ok()
}

/// The live tests that a filter leaves, with the package that they test.
fn nextest(deb: &Path, filter: &[&str]) -> anyhow::Result<Cmd> {
    let run = ["nextest", "run", "--locked", "-p", "archy-live", "--profile", "live"];
    Ok(workspace::cargo(&[&run[..], filter].concat())?.env("ARCHY_LIVE_DEB", deb))
}
