//! A node with twelve apps boots: how long until each is healthy, beside the same units without the daemon; and after a
//! power cut.
use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::json;

use super::inside::Action;
use super::report::{Aim, Line, Row};
use super::stand::{self, Stand};
use super::stats::Series;
use super::twelve;
use crate::node::{READY_LIMIT, Who};
use crate::sh::{self, wait_until};

/// Runs of each: a boot of all apps takes a minute.
const MOST_RUNS: usize = 5;
/// How long a boot may take until all apps are healthy.
const LIMIT: Duration = Duration::from_secs(300);
/// Between two looks at a node that boots, which cost it something.
const LOOKS: Duration = Duration::from_millis(500);
/// All that the package starts at boot.
const DAEMON: &[&str] =
    &["archipelago.service", "archipelago-https.socket", "archipelago-http.socket"];

/// Measures the boot, in turns with and without the daemon.
///
/// # Errors
/// An app does not come to run.
pub(super) fn boot(stand: &Stand, runs: usize) -> anyhow::Result<Row> {
    twelve::install(stand)?;
    let units = twelve::units(stand)?;
    let runs = runs.min(MOST_RUNS);
    let (mut own, mut bare) = (Series::default(), Series::default());
    for round in 1..=runs {
        for (daemon, series) in [(true, &mut own), (false, &mut bare)] {
            sh::say(&format!(
                "    … round {round} of {runs}: {}",
                if daemon { "with" } else { "without" }
            ));
            at_boot(stand, daemon)?;
            stand.node.power_off()?;
            stand.quiet();
            let took = boot_until_active(stand, &units);
            if took.is_err() {
                at_boot(stand, true)?;
            }
            series.push(took?);
            stand.node.wait_ready(READY_LIMIT)?;
        }
    }
    at_boot(stand, true)?;
    stand.with_daemon()?;
    let peer = "the same units on the same node without Archipelago";
    Ok(Row {
        runs,
        lines: vec![Line::beside(
            "boot → all of 12 apps healthy",
            peer,
            &bare,
            &own,
            Aim::Ratio(1.05),
        )],
        notes: vec![format!(
            "All test apps but `{}`: {} containers. From the start of the node's first process until the last of their \
             units is active, as systemd notes it; a unit is active when its app's health check has passed. The node is \
             powered off in good order before; without: `archipelago.service` and its sockets are disabled. A node has \
             no firmware and no kernel of its own to boot.",
            twelve::LEFT_OUT,
            units.len()
        )],
    })
}

/// Measures what a power cut takes.
///
/// # Errors
/// An app does not come back.
pub(super) fn recover(stand: &Stand, runs: usize) -> anyhow::Result<Row> {
    twelve::install(stand)?;
    let units = twelve::units(stand)?;
    let runs = runs.min(MOST_RUNS);
    let (mut shown, mut active) = (Series::default(), Series::default());
    for round in 1..=runs {
        sh::say(&format!("    … round {round} of {runs}"));
        stand.node.power_cut()?;
        stand.quiet();
        let began = uptime()?;
        stand.node.boot()?;
        let told = || {
            let state = stand.rpc("server.get-state", &json!({})).ok()?;
            twelve::all_well(&state, 12).then_some(())
        };
        wait_until(LIMIT, told).context("not all of them were running and healthy in time")?;
        shown.push(uptime()? - began);
        let last = twelve::last_active(stand, &units)?.context("a unit is not active any more")?;
        active.push(last - began);
        stand.node.wait_ready(READY_LIMIT)?;
    }
    Ok(Row {
        runs,
        lines: vec![Line::alone(
            "power cut, boot → all of 12 apps running and healthy, as Archipelago shows them",
            &shown,
            "ms",
            Aim::None,
            "–",
        )],
        notes: vec![format!(
            "From the start of the node's first process after the cut until `server.get-state` says it of all twelve; the \
             last of their {} units was active after {}.",
            units.len(),
            active.show("ms")
        )],
    })
}

/// Whether the daemon is started at boot.
fn at_boot(stand: &Stand, starts: bool) -> anyhow::Result<()> {
    let verb = if starts { "enable" } else { "disable" };
    let words = [&["systemctl", verb], DAEMON].concat();
    stand.perform_as(Who::Root, vec![Action::run(&words)]).map(drop)
}

/// Boots the node: milliseconds until the last unit is active.
fn boot_until_active(stand: &Stand, units: &BTreeSet<String>) -> anyhow::Result<f64> {
    let (began, since) = (uptime()?, Instant::now());
    stand.node.boot()?;
    loop {
        if let Some(last) = twelve::last_active(stand, units)? {
            return Ok(last - began);
        }
        if since.elapsed() > LIMIT {
            bail!("not all units are active after {} s", LIMIT.as_secs());
        }
        stand::pause(LOOKS);
    }
}

/// Milliseconds since the machine began to run, which systemd's monotonic times count too.
fn uptime() -> anyhow::Result<f64> {
    let text = fs::read_to_string("/proc/uptime")?;
    let seconds: f64 = text.split_whitespace().next().context("no uptime")?.parse()?;
    Ok(seconds * 1000.0)
}
