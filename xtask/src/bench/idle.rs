//! The daemon at rest, beside twelve running apps.
use std::time::Duration;

use anyhow::{Context, ensure};

use super::report::{Aim, Line, Row};
use super::stand::{self, Stand};
use super::stats::Series;
use super::twelve::{self, LEFT_OUT};
use crate::sh;

/// How long the apps have to come to rest, and how long is looked.
const SETTLE: Duration = Duration::from_secs(60);
const WATCH: Duration = Duration::from_secs(60);
/// Ticks of a second in `/proc/PID/stat`.
const TICKS: f64 = 100.0;

/// Processor time of a process and its children that ended, in ticks, and its resident set in KiB.
#[derive(Debug, Clone, Copy)]
struct Look {
    ticks: u64,
    children: u64,
    resident: u64,
}

/// Measures.
///
/// # Errors
/// An app does not come to run.
pub(super) fn row(stand: &Stand) -> anyhow::Result<Row> {
    twelve::install(stand)?;
    let containers = stand.user(&["podman", "ps", "-q"])?.lines().count();
    // what the installs left in memory is not what a node that runs for days has
    stand.without_daemon()?;
    stand.with_daemon()?;
    sh::step("waiting for rest", || -> anyhow::Result<()> {
        stand::pause(SETTLE);
        Ok(())
    })?;
    let daemon = pid(stand, &["systemctl", "show", "-P", "MainPID", "archipelago"])?;
    let podman = pid(stand, &["systemctl", "--user", "show", "-P", "MainPID", "podman.service"])?;
    let before = (look(stand, daemon)?, look(stand, podman).ok());
    sh::step("watching the daemon at rest", || -> anyhow::Result<()> {
        stand::pause(WATCH);
        Ok(())
    })?;
    let after = (look(stand, daemon)?, look(stand, podman).ok());
    Ok(figures(containers, before, after))
}

/// A look at the daemon, and one at Podman's API server if it runs.
type Looks = (Look, Option<Look>);

fn figures(containers: usize, before: Looks, after: Looks) -> Row {
    let share = |ticks: u64| ticks as f64 / TICKS / WATCH.as_secs_f64() * 100.0;
    let own = after.0.ticks - before.0.ticks + after.0.children - before.0.children;
    let server = before.1.zip(after.1).map_or_else(
        || "Podman's API server did not run all the time.".to_owned(),
        |(a, b)| {
            let percent = share(b.ticks - a.ticks + b.children - a.children);
            format!(
                "Podman's API server, which the daemon asks, took {percent:.2} % of a core beside it."
            )
        },
    );
    let memory = after.0.resident as f64 / 1024.0;
    Row {
        runs: 1,
        lines: vec![
            Line::alone(
                "daemon idle with 12 running apps, resident memory",
                &Series::from(memory),
                "MiB",
                Aim::AtMost(40.0),
                "≤ 40 MiB",
            ),
            Line::alone(
                "daemon idle with 12 running apps, processor",
                &Series::from(share(own)),
                "% of a core",
                Aim::AtMost(0.3),
                "≤ 0.3 % of a core",
            ),
        ],
        notes: vec![format!(
            "All test apps but `{LEFT_OUT}`: {containers} containers; {} s of watching after {} s of rest, once; the \
             daemon was started anew after the installs. {server}",
            WATCH.as_secs(),
            SETTLE.as_secs()
        )],
    }
}

fn pid(stand: &Stand, argv: &[&str]) -> anyhow::Result<u32> {
    Ok(stand.user(argv)?.trim().parse()?)
}

fn look(stand: &Stand, pid: u32) -> anyhow::Result<Look> {
    ensure!(pid > 0, "it does not run");
    let text = |name: &str| -> anyhow::Result<String> {
        let out = stand.node.exec_root(["cat", &format!("/proc/{pid}/{name}")])?;
        ensure!(out.ok(), "process {pid} is gone");
        Ok(out.stdout)
    };
    let stat = text("stat")?;
    let (_, rest) = stat.rsplit_once(')').context("a stat line without a name")?;
    let field = |n: usize| rest.split_whitespace().nth(n).and_then(|word| word.parse::<u64>().ok());
    let time = |user: usize| Some(field(user)? + field(user + 1)?);
    let status = text("status")?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let resident = resident.and_then(|line| line.split_whitespace().next()?.parse().ok());
    Ok(Look {
        ticks: time(11).context("no times")?,
        children: time(13).context("no times")?,
        resident: resident.context("no resident set")?,
    })
}
