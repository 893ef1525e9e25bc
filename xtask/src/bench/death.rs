//! A container dies: how long until its app answers again.
use std::path::Path;

use super::http::{Ask, Door};
use super::inside::{Action, Until};
use super::install;
use super::report::{Aim, Line, Row};
use super::stand::Stand;
use super::stats::Series;

/// The app's id.
const ID: &str = "bench-dies";
/// Its port on the node.
const PORT: u16 = 18102;
/// Settings of a restart in the units that Archipelago writes.
const RESTART: &[&str] = &["RestartSec=", "RestartSteps=", "RestartMaxDelaySec="];

/// Measures.
///
/// # Errors
/// The app does not come back.
pub(super) fn row(stand: &Stand, runs: usize) -> anyhow::Result<Row> {
    let unit = format!("{ID}.service");
    stand.clear()?;
    stand.install(ID, &install::one(stand, ID, PORT)?)?;
    let files = stand.unit_files(ID)?;
    let (path, text) = files
        .iter()
        .find(|(path, _)| path.extension().is_some_and(|kind| kind == "container"))
        .cloned()
        .unwrap_or_default();
    let settings: Vec<&str> =
        text.lines().filter(|line| RESTART.iter().any(|key| line.starts_with(key))).collect();
    let quick: String =
        text.split_inclusive('\n').filter(|line| !settings.contains(&line.trim_end())).collect();

    let (mut own, mut bare, mut default) =
        (Series::default(), Series::default(), Series::default());
    for _ in 0..runs {
        stand.with_daemon()?;
        // a start by hand sets the count of restarts, and so the delay, back
        stand.perform(vec![Action::ask("package.restart", ID, Until::Running)])?;
        own.push(kill(stand)?);
        stand.without_daemon()?;
        by_hand(stand, &path, &text, &unit)?;
        bare.push(kill(stand)?);
        by_hand(stand, &path, &quick, &unit)?;
        default.push(kill(stand)?);
        by_hand(stand, &path, &text, &unit)?;
    }
    stand.with_daemon()?;
    stand.purge(ID)?;
    let work = "container dies → answers again";
    let same = format!("a bare unit with the same settings ({})", settings.join(", "));
    let quick = "a bare unit with systemd's default delay (`RestartSec=` 100 ms)";
    Ok(Row {
        runs,
        lines: vec![
            Line::beside(work, &same, &bare, &own, Aim::Ratio(1.1)),
            Line::beside(work, quick, &default, &own, Aim::None),
        ],
        notes: vec![
            "From the start of `podman kill -s KILL` to the first HTTP answer; the first death after a start by hand, \
             since the delay grows with every further one. The bare unit is the file that Archipelago wrote, with \
             the daemon stopped: systemd restarts in both cases."
                .to_owned(),
        ],
    })
}

fn kill(stand: &Stand) -> anyhow::Result<f64> {
    let door = vec![Door { port: PORT, ask: Ask::Http("/health".to_owned()) }];
    stand.perform(vec![Action::Answer(door.clone())])?;
    stand.quiet();
    let done = stand
        .perform(vec![Action::run(&["podman", "kill", "-s", "KILL", ID]), Action::Answer(door)])?;
    stand.quiet();
    Ok(done.total())
}

fn by_hand(stand: &Stand, path: &Path, text: &str, unit: &str) -> anyhow::Result<()> {
    stand.perform(vec![
        Action::Write { path: path.to_owned(), text: text.to_owned() },
        Action::run(&["systemctl", "--user", "daemon-reload"]),
        Action::run(&["systemctl", "--user", "restart", unit]),
    ])?;
    Ok(())
}
