//! Forty installed apps: the daemon's start, and the state that 32 clients ask for.
use std::time::Duration;

use anyhow::Context;
use serde::Deserialize;
use serde_json::json;

use super::inside::{Action, Until};
use super::install;
use super::report::{Aim, Line, Row};
use super::stand::{self, Stand};
use super::stats::Series;
use crate::node::Who;
use crate::sh::{self, Cmd};
use crate::workspace::{self, AttachedOk};

/// How many.
const APPS: u16 = 40;
/// Host port of the first one.
const FIRST_PORT: u16 = 18200;
/// Clients at once, how long they ask, and how often at most.
const CLIENTS: &str = "32";
const SECONDS: &str = "8";
const AT_MOST: &str = "200000";
/// Runs each way: every one is thousands of calls.
const MOST_RUNS: usize = 5;
/// The owner's password on the node.
const PASSWORD: &str = "a password for measuring";

/// Installs forty apps and stops them, unless they are there from the row before.
///
/// # Errors
/// One does not come to its end.
fn forty_apps(stand: &Stand) -> anyhow::Result<()> {
    stand.with_daemon()?;
    let state = stand.rpc("server.get-state", &json!({}))?;
    let there = |n: u16| state["data"]["package-data"][id(n)]["state"] == "stopped";
    if (0..APPS).all(there) {
        return Ok(());
    }
    stand.clear()?;
    let all = |until| {
        let waits = (0..APPS).map(|n| Action::Await { app: id(n), until });
        stand.perform(waits.collect()).map(drop)
    };
    sh::step("installing forty apps at once", || {
        for n in 0..APPS {
            let manifest = install::one(stand, &id(n), FIRST_PORT + n)?;
            stand.rpc("package.install", &json!({ "id": id(n), "manifest": manifest }))?;
        }
        all(Until::Running)
    })?;
    sh::step("stopping forty apps at once", || {
        for n in 0..APPS {
            stand.rpc("package.stop", &json!({ "id": id(n) }))?;
        }
        all(Until::Stopped)
    })
}

fn id(n: u16) -> String {
    format!("bench-{n:02}")
}

/// Measures the daemon's start.
///
/// # Errors
/// It does not answer.
pub(super) fn start(stand: &Stand, runs: usize) -> anyhow::Result<Row> {
    forty_apps(stand)?;
    let (mut first, mut exec) = (Series::default(), Series::default());
    for _ in 0..runs {
        stand.without_daemon()?;
        let start = Action::run(&["systemctl", "start", "--no-block", "archipelago"]);
        let done = stand.perform_as(Who::Root, vec![start, Action::Daemon])?;
        first.push(done.total());
        exec.push(done.marks[0]);
        stand::pause(Duration::from_secs(2));
    }
    Ok(Row {
        runs,
        lines: vec![Line::alone(
            "daemon start → first RPC answer, 40 apps",
            &first,
            "ms",
            Aim::AtMost(300.0),
            "≤ 300 ms",
        )],
        notes: vec![format!(
            "From `systemctl start --no-block archipelago` to the answer to `health` on the unix socket; \
                 systemctl itself took {}. The forty apps are installed and stopped.",
            exec.show("ms")
        )],
    })
}

/// What the load generator prints.
#[derive(Debug, Deserialize)]
struct Load {
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    errors: u64,
    bytes: u64,
}

/// Measures `server.get-state` under load.
///
/// # Errors
/// The generator does not build, or calls fail.
pub(super) fn state(stand: &Stand, runs: usize) -> anyhow::Result<Row> {
    let args = ["build", "--locked", "--release", "-p", "archy-client", "--example", "load"];
    sh::step("building the load generator", || workspace::cargo(&args)?.attached_ok())?;
    let program = workspace::target_dir()?.join("release/examples/load");
    forty_apps(stand)?;
    if stand.rpc("auth.isSetup", &json!({}))? != true {
        stand.rpc("auth.setup", &json!({ "password": PASSWORD }))?;
    }
    let certificate = stand.path("/etc/archipelago/ssl/archipelago.crt");
    let socket = stand.socket()?;
    let limits = ["--clients", CLIENTS, "--seconds", SECONDS, "--at-most", AT_MOST];
    let unix = Cmd::new(&program).args(limits).arg("--unix").arg(socket);
    let url = format!("https://{}", stand.node.ip());
    let https = Cmd::new(&program).args(limits).args(["--https", &url, "--ca"]);
    let https = https.arg(certificate).input(PASSWORD);
    let (mut lines, mut notes) = (Vec::new(), Vec::new());
    for (way, command) in [("unix socket", unix), ("HTTPS, keep-alive", https)] {
        let (mut rate, mut p99, mut p50) =
            (Series::default(), Series::default(), Series::default());
        let mut bytes = 0;
        for _ in 0..runs.min(MOST_RUNS) {
            let output = command.clone().limit(Duration::from_secs(60)).run()?;
            let load: Load =
                serde_json::from_str(output.text()).context("the generator's figures")?;
            anyhow::ensure!(load.errors == 0, "{} calls failed", load.errors);
            rate.push(load.per_second);
            p99.push(load.p99_ms);
            p50.push(load.p50_ms);
            bytes = load.bytes;
            stand.quiet();
        }
        let work = format!("`server.get-state`, 40 apps, 32 clients, {way}");
        let (slow, fast) = (Aim::AtMost(10.0), Aim::AtLeast(3000.0));
        lines.push(Line::alone(&format!("{work}: p99"), &p99, "ms", slow, "≤ 10 ms"));
        let work = format!("{work}: requests");
        lines.push(Line::alone(&work, &rate, "/s", fast, "≥ 3,000/s on 2 cores"));
        notes.push(format!("{way}: p50 {}, {bytes} bytes an answer.", p50.show("ms")));
    }
    notes
        .push(format!("{SECONDS} s a run; the generator runs on the host, on the same two cores."));
    Ok(Row { runs: runs.min(MOST_RUNS), lines, notes })
}
